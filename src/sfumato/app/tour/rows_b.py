"""Part B, first half: a one-step denoiser, its training, and noise that it never saw (B1.1 to B1.3)."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from sfumato.app.jobs import Denoise
from sfumato.app.report.chart import Series, chart
from sfumato.app.report.document import table
from sfumato.app.report.figures import Row, Tile, side_by_side
from sfumato.app.tour.family import curve, epochs, facts, family, loss, train, when
from sfumato.app.tour.logs import Training
from sfumato.app.tour.page import Measured, Section
from sfumato.app.tour.workshop import Workshop, listing
from sfumato.backends.model import Model
from sfumato.core.pixels import to_unit
from sfumato.core.schedules import Additive
from sfumato.evaluation.denoising import DenoisingRow, Quality, denoising_table

SIGMAS = (0.0, 0.2, 0.4, 0.5, 0.6, 0.8, 1.0)


def denoiser(w: Workshop) -> list[Section]:
    """B1.1 to B1.3, for every one-step denoiser in the family."""
    out = []
    for name, model, known in family(w):
        # The lesson of pure noise has hardly any signal to denoise, so nothing could be compared.
        if isinstance(model.schedule, Additive) and model.schedule.signal == 1:
            out += _sections(w, name, model, known)
    return out


def _sections(w: Workshop, name: str, model: Model, known: Training | None) -> list[Section]:
    s = w.subject
    one = s.picture("2")
    photo = w.input(one)
    made = w.make(
        [w.job(Denoise, model=name, image=photo, t=sigma, method="noised") for sigma in SIGMAS]
        + [w.job(Denoise, model=name, image=photo, t=sigma, method="one-step") for sigma in SIGMAS[1:]]
    )
    noised, cleaned = made[: len(SIGMAS)], made[len(SIGMAS) :]
    commanded = [
        w.job(Denoise, model=name, image=photo, t=sigma, method=m)
        for m in ("noised", "one-step")
        for sigma in SIGMAS[1:]
    ]
    command = w.command(commanded)
    clean = torch.stack([given.picture for given in s.clean(w.size.denoiser_clean)])
    measured = denoising_table(model, clean, SIGMAS, w.seed)
    many = f"mean over {len(clean)} {s.noun}s"
    tiles = [
        Tile(x, f"{one.what} with noise, σ = {sigma:g}", f"σ = {sigma:g}")
        for sigma, x in zip(SIGMAS, noised, strict=True)
    ]
    fallen = [f"{row.noisy.psnr:.1f} dB at σ = {row.level.sigma:g}" for row in measured[1:]]
    noising = Section(
        "B1.1",
        (w.show("B1.1-noise", [Row(tiles)], f"One {s.noun}, seven amounts of noise."),),
        (f"PSNR against the clean {s.noun}, {many}: {listing(fallen)}.",),
        (Measured(f"{_at(measured, 0.5).noisy.psnr:.1f} dB", f"PSNR at σ = 0.5, {many}"),),
        (command,),
        (),
        {f"{row.level.sigma:g}": row.noisy.to_dict() for row in measured},
    )
    untouched = _without_noise(model, one.picture)
    answers = [
        Tile(x, f"denoised from σ = {sigma:g}", f"σ = {sigma:g}")
        for sigma, x in zip(SIGMAS, [untouched, *cleaned], strict=True)
    ]
    shown = [Row(tiles, "noisy"), Row(answers, "denoised")]
    trained = max(model.schedule.sigmas) if isinstance(model.schedule, Additive) else 0.5
    other = _unseen(w, measured, shown, trained, many, command)
    return [noising, _training(w, name, known, trained), other]


def _unseen(
    w: Workshop, measured: list[DenoisingRow], shown: list[Row], trained: float, many: str, command: str
) -> Section:
    better = [row for row in measured if row.one_step.psnr > row.blur.psnr]
    best = max(measured[1:], key=lambda row: row.one_step.psnr - row.blur.psnr)
    here, last = _at(measured, trained), measured[-1]
    untouched = measured[0].one_step.psnr
    sees = (
        f"It is better than the best Gaussian blur at {len(better)} of the {len(measured)} noise levels"
        + (f" (σ = {listing([f'{row.level.sigma:g}' for row in better])})" if better else "")
        + f"; its lead is greatest at σ = {best.level.sigma:g}, {best.one_step.psnr - best.blur.psnr:+.1f} dB, and it "
        f"was trained at σ = {trained:g}. "
        f"From there to σ = 1 its PSNR goes from {here.one_step.psnr:.1f} to {last.one_step.psnr:.1f} dB."
        + (f" A picture without any noise comes back at {untouched:.1f} dB." if math.isfinite(untouched) else ""),
    )
    head = ["σ", "noisy", "best blur", "denoiser"]
    cells = [[f"{row.level.sigma:g}", *(_cell(q) for q in (row.noisy, row.blur, row.one_step))] for row in measured]
    lines = [
        Series("denoiser", tuple((row.level.sigma, row.one_step.psnr) for row in measured), colour=0),
        Series("best blur", tuple((row.level.sigma, row.blur.psnr) for row in measured[1:]), colour=1),
        Series("noisy", tuple((row.level.sigma, row.noisy.psnr) for row in measured[1:]), colour=2),
    ]
    label = f"PSNR at σ = {trained:g}; the best blur has {here.blur.psnr:.1f}, the noisy picture {here.noisy.psnr:.1f}"
    return Section(
        "B1.3",
        (
            w.show("B1.3-denoised", shown, f"Trained at σ = {trained:g} alone."),
            chart(lines, "σ", "PSNR, dB", f"PSNR against the clean picture, {many}."),
        ),
        sees,
        (Measured(f"{here.one_step.psnr:.1f} dB", label),),
        (command,),
        (table(head, cells, "PSNR in dB (SSIM). The blur is the best of many widths at each σ."),),
        {f"{row.level.sigma:g}": row.to_dict() for row in measured},
    )


def _training(w: Workshop, name: str, known: Training | None, trained: float) -> Section:
    given = w.subject.pictures(10)
    jobs = [
        w.job(Denoise, model=name, image=w.input(one), t=trained, method=method)
        for method in ("noised", "one-step")
        for one in given
    ]
    made = w.make(jobs)
    clean = torch.stack([one.picture for one in given])
    noisy, cleaned = made[: len(given)], made[len(given) :]
    rows = [
        Row([Tile(x, f"{word}: {one.what}") for x, one in zip(group, given, strict=True)], word)
        for word, group in (("clean", clean), ("noisy", noisy), ("denoised", cleaned))
    ]
    figures = [*curve(known), w.show("B1.2-rows", rows, f"Test pictures at σ = {trained:g}{when(known)}.")]
    figures.append(side_by_side(epochs(w, "B1.2", known, "clean, noisy and denoised")))
    labels = [one.label for one in given]
    reader = w.reader(labels)
    sees = [known.sees()] if known else []
    measured = loss(known)
    if reader.reads:
        before, after = reader.count(noisy, labels), reader.count(cleaned, labels)
        sees.append(f"Of the {len(labels)} {w.subject.noun}s shown a judge reads {before} noisy and {after} denoised.")
        read = Measured(f"{before} → {after}", f"of {len(labels)} {w.subject.noun}s are read, noisy and denoised")
        measured = (*measured, read)
    return Section("B1.2", tuple(figures), tuple(sees), measured, train(known), (), facts(known))


def _without_noise(model: Model, x: Float[Tensor, "c h w"]) -> Float[Tensor, "c h w"]:
    """What the denoiser makes of a clean picture: its answer itself, as there is no noise to tell it by."""
    return to_unit(model.x0(x[None], [None], model.schedule.level(0.0)), model)[0]


def _at(rows: list[DenoisingRow], sigma: float) -> DenoisingRow:
    return min(rows, key=lambda row: abs(row.level.sigma - sigma))


def _cell(quality: Quality) -> str:
    return f"{quality.psnr:.1f} ({quality.ssim:.2f})" if math.isfinite(quality.psnr) else "∞"
