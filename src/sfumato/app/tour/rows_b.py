"""Part B: a denoiser and two diffusion models from scratch, and their work in motion."""

from __future__ import annotations

import math
from typing import Any

from jaxtyping import Float
from torch import Tensor

from sfumato.app.command import command_lines
from sfumato.app.jobs import AnyJob, Denoise, Generate
from sfumato.app.output import gif_bytes
from sfumato.app.report.chart import Series, chart
from sfumato.app.report.document import table
from sfumato.app.report.figures import Html, Row, Tile, animation, frames
from sfumato.app.tour.logs import Training, epoch_sheets, training
from sfumato.app.tour.page import Section
from sfumato.app.tour.workshop import DENOISER, MODEL, TIME_MODEL, Workshop, inputs, listing
from sfumato.core.pixels import to_unit
from sfumato.evaluation.denoising import DenoisingRow, Quality, denoising_table
from sfumato.evaluation.samples import share
from sfumato.files import write_bytes

SIGMAS = (0.0, 0.2, 0.4, 0.5, 0.6, 0.8, 1.0)
TRAINED = 0.5
PHOTO = "2"
FRAMES = 16
ZOOM = 4


def denoiser(w: Workshop) -> list[Section]:
    """B1.1 to B1.3: noise, a denoiser for one level of it, and other levels."""
    model = w.load(DENOISER, "float32")
    photo = w.digit(PHOTO)
    shared: dict[str, Any] = {
        "image": photo,
        "model": DENOISER,
        "seed": w.seed,
        "steps": 1,
        "guidance": model.defaults.guidance,
    }
    jobs: list[AnyJob] = [Denoise(t=s, method="noised", **shared) for s in SIGMAS]
    jobs += [Denoise(t=s, method="one-step", **shared) for s in SIGMAS[1:]]
    made = w.make(jobs)
    noised, cleaned = made[: len(SIGMAS)], made[len(SIGMAS) :]
    command = command_lines([job for job in jobs if not isinstance(job, Denoise) or job.t > 0], inputs(photo))
    clean, _ = w.clean(w.size.denoiser_clean)
    measured = denoising_table(model, clean, SIGMAS, w.seed)
    tiles = [Tile(x, f"digit {PHOTO} with noise, σ = {s:g}", f"σ = {s:g}") for s, x in zip(SIGMAS, noised, strict=True)]
    untouched = _without_noise(w, photo.tensor())
    answers = [
        Tile(x, f"denoised from σ = {s:g}", f"σ = {s:g}") for s, x in zip(SIGMAS, [untouched, *cleaned], strict=True)
    ]
    fallen = [f"{row.noisy.psnr:.1f} dB at σ = {row.level.sigma:g}" for row in measured[1:]]
    noising = Section(
        "B1.1",
        (w.show("B1.1-noise", [Row(tiles)], "One digit, seven amounts of noise."),),
        (f"PSNR against the clean digit, mean over {len(clean)} digits: {listing(fallen)}.",),
        (command,),
        (),
        {f"{row.level.sigma:g}": row.noisy.to_dict() for row in measured},
    )
    better = [row for row in measured if row.one_step.psnr > row.blur.psnr]
    untouched_psnr = measured[0].one_step.psnr
    best = max(measured[1:], key=lambda row: row.one_step.psnr - row.blur.psnr)
    sees = (
        f"It is better than the best Gaussian blur at {len(better)} of the {len(measured)} noise levels"
        + (f" (σ = {listing([f'{row.level.sigma:g}' for row in better])})" if better else "")
        + f"; its lead is greatest at σ = {best.level.sigma:g}, {best.one_step.psnr - best.blur.psnr:+.1f} dB, and it "
        f"was trained at σ = {TRAINED:g}. "
        f"From there to σ = 1 its PSNR goes from {_at(measured, TRAINED).one_step.psnr:.1f} to "
        f"{measured[-1].one_step.psnr:.1f} dB."
        + (
            f" A picture without any noise comes back at {untouched_psnr:.1f} dB."
            if math.isfinite(untouched_psnr)
            else ""
        ),
    )
    head = ["σ", "noisy", "best blur", "denoiser"]
    cells = [[f"{row.level.sigma:g}", *(_cell(q) for q in (row.noisy, row.blur, row.one_step))] for row in measured]
    lines = [
        Series("denoiser", tuple((row.level.sigma, row.one_step.psnr) for row in measured), colour=0),
        Series("best blur", tuple((row.level.sigma, row.blur.psnr) for row in measured[1:]), colour=1),
        Series("noisy", tuple((row.level.sigma, row.noisy.psnr) for row in measured[1:]), colour=2),
    ]
    other = Section(
        "B1.3",
        (
            w.show("B1.3-denoised", [Row(tiles, "noisy"), Row(answers, "denoised")], "Trained at σ = 0.5 alone."),
            chart(lines, "σ", "PSNR, dB", f"PSNR against the clean digit, mean over {len(clean)} digits."),
        ),
        sees,
        (command,),
        (table(head, cells, "PSNR in dB (SSIM). The blur is the best of many widths at each σ."),),
        {f"{row.level.sigma:g}": row.to_dict() for row in measured},
    )
    return [noising, _training_denoiser(w), other]


def _training_denoiser(w: Workshop) -> Section:
    model = w.load(DENOISER, "float32")
    clean, labels = w.one_of_each()
    shared: dict[str, Any] = {"model": DENOISER, "t": TRAINED, "steps": 1, "guidance": model.defaults.guidance}
    jobs: list[AnyJob] = [
        Denoise(image=w.input(x, f"photo-{label}"), method=method, seed=w.seed, **shared)
        for method in ("noised", "one-step")
        for x, label in zip(clean, labels, strict=True)
    ]
    made = w.make(jobs)
    known = training(DENOISER)
    rows = [
        Row([Tile(x, f"{name} digit {label}") for x, label in zip(group, labels, strict=True)], name)
        for name, group in (("clean", clean), ("noisy", made[: len(clean)]), ("denoised", made[len(clean) :]))
    ]
    before, after = (w.judged(part, labels).correct for part in (made[: len(clean)], made[len(clean) :]))
    figures = [*_curve(known), w.show("B1.2-rows", rows, f"Test digits at σ = {TRAINED:g}{_when(known)}.")]
    figures += _epochs(w, "B1.2", DENOISER, "clean, noisy and denoised")
    sees = [known.sees()] if known else []
    sees.append(f"Of the {len(labels)} digits below the curve the judge reads {before} noisy and {after} denoised.")
    return Section("B1.2", tuple(figures), tuple(sees), _train(known), (), _facts(known))


def diffusion(w: Workshop) -> list[Section]:
    """B2.1 and B2.4: the two diffusion models, their losses and their samples."""
    known = training(TIME_MODEL)
    jobs: list[AnyJob] = [
        Generate(model=TIME_MODEL, steps=w.size.chain_steps, guidance=1.0, seed=w.seed + k)
        for k in range(2 * w.size.shown)
    ]
    pictures = w.make(jobs)
    readings = w.readings(pictures)
    sure = sum(c >= 0.9 for _, c in readings)
    tiles = [Tile(x, f"a sample, read as {r}") for x, (r, _) in zip(pictures, readings, strict=True)]
    rows = [Row(tiles[k : k + w.size.shown]) for k in range(0, len(tiles), w.size.shown)]
    time = Section(
        "B2.1",
        (
            *_curve(known),
            w.show("B2.1-samples", rows, f"Samples of the time-conditioned model{_when(known)}."),
            *_epochs(w, "B2.1", TIME_MODEL, "samples"),
        ),
        (
            *([known.sees()] if known else []),
            f"Which digit comes is left to chance. The judge takes {sure} of {len(tiles)} for a digit beyond 90 %, and "
            f"finds {len({r for r, _ in readings})} different ones.",
        ),
        (*_train(known), command_lines(jobs)),
        (),
        {**_facts(known), "samples": len(tiles), "sure": sure},
    )
    known = training(MODEL)
    classes = w.model.classes
    scale = 5.0
    asked: list[AnyJob] = [
        Generate(prompt=c, steps=w.size.steps, guidance=scale, seed=w.seed + k) for c in classes for k in range(4)
    ]
    made = w.make(asked)
    wanted = [c for c in classes for _ in range(4)]
    hits = w.judged(made, wanted).correct
    shown = [
        Row([Tile(made[4 * i + k], f"asked for {c}", c if k == 0 else "") for i, c in enumerate(classes)])
        for k in range(4)
    ]
    conditional = Section(
        "B2.4",
        (
            *_curve(known),
            w.show("B2.4-samples", shown, f"Four of each digit at γ = {scale:g}{_when(known)}."),
            *_epochs(w, "B2.4", MODEL, "the digits in turn"),
        ),
        (*([known.sees()] if known else []), f"The judge reads {share(hits, len(wanted))} as the digit asked for."),
        (*_train(known), command_lines(asked)),
        (),
        {**_facts(known), "samples": len(wanted), "read_as_asked": hits / len(wanted), "guidance": scale},
    )
    return [time, conditional]


def _epochs(w: Workshop, row: str, name: str, what: str) -> list[Html]:
    """What the training showed after its epochs: the same seeds each time, so that one sees it learn."""
    return [
        w.show_sheet(f"{row}-epoch-{epoch:03d}", image, f"{what} after epoch {epoch}", f"Epoch {epoch}: {what}.", 480)
        for epoch, image in epoch_sheets(name).items()
    ]


def motion(w: Workshop) -> list[Section]:
    """B3: three animations of the same loop."""
    steps, n = w.size.chain_steps, w.size.shown
    scale = w.model.defaults.guidance
    kinds: dict[str, tuple[str, list[AnyJob]]] = {
        "time": (
            "Time-conditioned: nothing can be asked for.",
            [Generate(model=TIME_MODEL, steps=steps, guidance=1.0, seed=w.seed + k) for k in range(n)],
        ),
        "class": (
            f"Class-conditioned: the digits in turn, at γ = {scale:g}.",
            [Generate(prompt=c, steps=steps, guidance=scale, seed=w.seed) for c in w.model.classes[:n]],
        ),
        "class-zero": (
            "Class-conditioned, its class vector all zero: it does as it likes.",
            [Generate(steps=steps, guidance=scale, seed=w.seed + k) for k in range(n)],
        ),
    }
    figures, numbers, last = [], {}, {}
    for name, (caption, jobs) in kinds.items():
        kept = w.watch(
            jobs, lambda step: step.index % max(1, -(-step.total // FRAMES)) == 0 or step.index == step.total
        )
        grids = [to_unit(step.x, w.model) for step in kept]
        write_bytes(w.folder / "pictures" / f"B3-{name}.gif", gif_bytes(frames(grids, 5, ZOOM)))
        small = gif_bytes(frames(grids, 5, 1))
        alt = f"{len(jobs)} pictures turn from noise into digits in {len(kept)} frames"
        figures.append(animation(small, alt, caption, 5 * 29 * 4))
        last[name] = w.readings(grids[-1])
        numbers[name] = {"frames": len(kept), "bytes": len(small), "read": [r for r, _ in last[name]]}
    asked = sum(r == c for (r, _), c in zip(last["class"], w.model.classes, strict=False))
    sees = (
        f"At the end the judge reads {asked} of {len(last['class'])} digits as asked for in the middle one, and "
        f"{len({r for r, _ in last['time']})} and {len({r for r, _ in last['class-zero']})} different digits in the "
        "other two.",
    )
    return [Section("B3", tuple(figures), sees, tuple(command_lines(jobs) for _, jobs in kinds.values()), (), numbers)]


def _without_noise(w: Workshop, x: Float[Tensor, "c h w"]) -> Float[Tensor, "c h w"]:
    """What the denoiser makes of a clean picture: its answer itself, as there is no noise to tell it by."""
    model = w.load(DENOISER, "float32")
    return to_unit(model.x0(x[None], [None], model.schedule.level(0.0)), model)[0]


def _at(rows: list[DenoisingRow], sigma: float) -> DenoisingRow:
    return next(row for row in rows if row.level.sigma == sigma)


def _cell(quality: Quality) -> str:
    return f"{quality.psnr:.1f} ({quality.ssim:.2f})" if math.isfinite(quality.psnr) else "∞"


def _curve(known: Training | None) -> tuple[Html, ...]:
    return (known.curve("The loss in training, on a logarithmic scale."),) if known else ()


def _when(known: Training | None) -> str:
    return f", {known.progress}" if known else ""


def _train(known: Training | None) -> tuple[str, ...]:
    return (known.command,) if known else ()


def _facts(known: Training | None) -> dict[str, object]:
    if known is None:
        return {}
    first, last = known.losses
    return {key: known.about[key] for key in ("steps", "epochs", "epochs_of_recipe", "finished")} | {
        "first_loss": first,
        "last_loss": last,
    }
