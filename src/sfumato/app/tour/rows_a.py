"""Part A, first half: noise, three ways to take it away, sampling and guidance (A1.1 to A1.6)."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sfumato.app.command import command_lines
from sfumato.app.jobs import AnyJob, Denoise, Generate
from sfumato.app.pictures import Picture
from sfumato.app.report.document import table
from sfumato.app.report.figures import Row, Tile
from sfumato.app.tour.page import Section
from sfumato.app.tour.scores import METHODS, Method, Score, Scores, scores_of
from sfumato.app.tour.workshop import Workshop, inputs, listing
from sfumato.evaluation.samples import share

NAMES = {"noised": "noised", "blur": "blurred", "one-step": "one step", "iterative": "iterative"}
PHOTO = "2"
"""The digit that plays the photo."""


def denoising(w: Workshop) -> list[Section]:
    """A1.1 to A1.4: one digit and a row of test digits, noised to the course's times and cleaned in every way."""
    times = w.times(250, 500, 690, 750)
    photo = w.digit(PHOTO)
    jobs: list[AnyJob] = [Denoise(image=photo, t=t, method=m, **w.shared) for m in METHODS for t in times]
    made = dict(zip(itertools.product(METHODS, times), w.make(jobs), strict=True))
    scores = scores_of(w, times)
    command = command_lines(jobs, inputs(photo))
    rows = {m: [_tile(made[m, t], m, t, w) for t in times] for m in METHODS}
    clean = Tile(photo.tensor(), f"the clean digit {PHOTO}", "clean")
    many = f"mean over {w.size.clean} digits"

    def section(id: str, name: str, shown: list[Row], caption: str, sees: list[str], methods: list[Method]) -> Section:
        numbers: dict[str, Any] = {m: {str(t): vars(scores[m, t]) for t in times} for m in methods}
        return Section(id, (w.show(name, shown, caption),), tuple(sees), (command,), (), numbers)

    levels = [w.model.schedule.level(t) for t in times]
    faded = listing([f"{level.alpha:.2f} at t = {level.t:g}" for level in levels])
    widths = listing([f"{scores['blur', t].blur:g}" for t in times])
    forward = [
        f"Of the brightness of the digit this is left: {faded}; the rest of the picture is noise.",
        f"Against the clean digit that is a PSNR of {_decibels(scores, 'noised', times)} ({many}), "
        f"and of {w.size.clean} such pictures the judge still reads {_read(scores, 'noised', times)} rightly.",
    ]
    sections = [
        section(
            "A1.1",
            "A1.1-forward",
            [Row([clean, *rows["noised"]])],
            "A clean digit, and noised. ✓ and ✗: whether the judge, a classifier, reads the digit.",
            forward,
            ["noised"],
        ),
        section(
            "A1.2",
            "A1.2-blur",
            [Row(rows["noised"], "noised"), Row(rows["blur"], "blurred")],
            "Gaussian blur, σ = 1 pixel.",
            [
                _compared(scores, "blur", "noised", times, f"{many}; the best of many widths: {widths} pixels"),
                _kept(scores, "blur", times, w.size.clean),
            ],
            ["blur"],
        ),
        section(
            "A1.3",
            "A1.3-one-step",
            [Row(rows["noised"], "noised"), Row(rows["one-step"], "one step")],
            "The network asked once.",
            [_compared(scores, "one-step", "blur", times, many), _kept(scores, "one-step", times, w.size.clean)],
            ["one-step"],
        ),
    ]
    return [*sections, _iterative(w, photo, times, scores, rows, command)]


def _iterative(
    w: Workshop,
    photo: Picture,
    times: list[int],
    scores: Scores,
    rows: dict[Method, list[Tile]],
    command: str,
) -> Section:
    t = times[2]
    job = Denoise(image=photo, t=t, method="iterative", **w.shared)
    steps = w.watch([job], lambda step: step.index % 5 == 0 or step.index == step.total)
    canvases = [Tile(w.pictures(s.x)[0], f"the canvas at t = {s.level.t:g}", _time(s.level.t)) for s in steps]
    looks = [
        Tile(w.pictures(s.x0)[0], f"the estimate of the clean digit before t = {s.level.t:g}", "")
        for s in steps
        if s.x0 is not None
    ]
    blank = Tile(torch.full_like(photo.tensor(), 0.5), "no estimate yet", "")
    chain = [Row(canvases, "the canvas"), Row([blank, *looks], "its estimate")]
    many = f"mean over {w.size.clean} digits"
    best = [t for t in times if scores["iterative", t].psnr >= scores["one-step", t].psnr]
    clearer = [t for t in times if scores["iterative", t].read > scores["one-step", t].read]
    sees = [
        f"From t = {t} (entry 10 of the list, as in the course) the form firms up from step to step; every fifth step "
        f"is shown. {_compared(scores, 'iterative', 'one-step', times, many)}",
        "The one-step estimate is the mean of what could be underneath, which is the best guess in PSNR; the iterative "
        "one commits itself to a single digit. "
        + (f"Here it is closer at t = {listing(best)}." if best else "Here the mean is closer at every t.")
        + (f" The judge reads more of the iterative ones at t = {listing(clearer)}." if clearer else ""),
    ]
    head = ["PSNR (SSIM) [read]", *(f"t = {t}" for t in times)]
    cells = [[NAMES[m], *(_cell(scores[m, t], w.size.clean) for t in times)] for m in METHODS]
    caption = f"PSNR in dB and SSIM against the clean digit, {many}, the blur the best of many widths. "
    caption += "In brackets how many the judge reads rightly."
    figures = (
        w.show("A1.4-chain", chain, f"Iterative denoising from t = {t}, every fifth step."),
        w.show(
            "A1.4-side-by-side",
            [Row(rows[m], NAMES[m]) for m in METHODS],
            "All ways side by side.",
        ),
    )
    numbers: dict[str, Any] = {m: {str(t): vars(scores[m, t]) for t in times} for m in METHODS}
    return Section("A1.4", figures, tuple(sees), (command,), (table(head, cells, caption),), numbers)


def sampling(w: Workshop) -> list[Section]:
    """A1.5: pictures from noise alone."""
    jobs: list[AnyJob] = [
        Generate(steps=w.size.course_steps, guidance=w.model.defaults.guidance, seed=w.seed + k)
        for k in range(w.size.shown)
    ]
    pictures = w.make(jobs)
    read = w.readings(pictures)
    tiles = [
        Tile(p, f"an invented digit, read as {r}", f"{r}, {c:.0%}") for p, (r, c) in zip(pictures, read, strict=True)
    ]
    sure = sum(c >= 0.9 for _, c in read)
    sees = (
        f"{len(jobs)} pictures from {len(jobs)} seeds, with nothing asked for. Under each is what the judge, a "
        f"classifier that was trained on real digits, takes it for, and how sure it is: {sure} of {len(jobs)} are "
        f"digits to it beyond 90 %. They are {len({r for r, _ in read})} different digits.",
    )
    rows = [Row(tiles[k : k + 5]) for k in range(0, len(tiles), 5)]
    figures = (w.show("A1.5-samples", rows, "From pure noise, unconditionally."),)
    numbers = {"samples": len(jobs), "sure": sure, "readings": read}
    return [Section("A1.5", figures, sees, (command_lines(jobs),), (), numbers)]


def guidance(w: Workshop) -> list[Section]:
    """A1.6: every digit asked for, under several guidances, all judged."""
    classes = w.model.classes
    rows, cells, commands = [], [], []
    accuracies: dict[float, float] = {}
    variety: dict[float, float] = {}
    n = len(classes) * w.size.per_class
    for scale in w.size.guidances:
        jobs: list[AnyJob] = [
            Generate(prompt=c, steps=w.size.steps, guidance=scale, seed=w.seed + k)
            for c in classes
            for k in range(w.size.per_class)
        ]
        pictures = w.make(jobs)
        hits = w.judged(pictures, [c for c in classes for _ in range(w.size.per_class)]).correct
        accuracies[scale], variety[scale] = hits / n, _variety(pictures, len(classes))
        shown = pictures[:: w.size.per_class]
        read = w.readings(shown)
        tiles = [
            Tile(p, f"asked for {c}, read as {r}", r, "right" if r == c else "wrong")
            for p, c, (r, _) in zip(shown, classes, read, strict=True)
        ]
        rows.append(Row(tiles, f"γ = {scale:g}"))
        cells.append([f"γ = {scale:g}", f"{hits} of {n}", f"{variety[scale]:.3f}"])
        commands.append(command_lines(jobs))
    first, last = w.size.guidances[0], w.size.guidances[-1]
    best = max(accuracies.values())
    sees = (
        f"The judge reads the digit that was asked for in {accuracies[first]:.0%} of the pictures without guidance "
        f"(γ = {first:g}). At best, with γ = {listing([f'{g:g}' for g, a in accuracies.items() if a == best])}, "
        f"it reads {share(round(best * n), n)} as asked.",
        f"Pictures of the same digit differ by {variety[first]:.3f} at γ = {first:g} and by {variety[last]:.3f} at "
        f"γ = {last:g} (standard deviation of a pixel over seeds): "
        + ("guidance trades variety for typicality." if variety[last] < variety[first] else "no less varied here."),
    )
    caption = f"Samples read as asked, {w.size.steps} steps, and the mean standard deviation of a pixel over seeds."
    figures = (
        w.show(
            "A1.6-guidance",
            rows,
            "The digits 0 to 9 with one seed, under more and more guidance, and what the judge reads.",
        ),
    )
    numbers = {
        f"{g:g}": {"accuracy": accuracies[g], "variety": variety[g], "samples": n, "steps": w.size.steps}
        for g in w.size.guidances
    }
    head = ["guidance", "read as asked", "variety"]
    return [Section("A1.6", figures, sees, tuple(commands), (table(head, cells, caption),), numbers)]


def _tile(x: Float[Tensor, "c h w"], method: Method, t: int, w: Workshop) -> Tile:
    ((read, _),) = w.readings(x[None])
    return Tile(x, f"digit {PHOTO}, {NAMES[method]}, t = {t}", f"t = {t}", "right" if read == PHOTO else "wrong")


def _variety(pictures: Float[Tensor, "n c h w"], classes: int) -> float:
    grouped = pictures.reshape(classes, -1, *pictures.shape[1:])
    return float(grouped.std(1, correction=0).mean())


def _time(t: float) -> str:
    return "x₀" if t < 0 else f"t = {t:g}"


def _cell(score: Score, of: int) -> str:
    return f"{score.psnr:.1f} ({score.ssim:.2f}) [{score.read}/{of}]"


def _decibels(scores: Scores, method: Method, times: list[int]) -> str:
    return listing([f"{scores[method, t].psnr:.1f}" for t in times]) + " dB"


def _read(scores: Scores, method: Method, times: list[int]) -> str:
    return listing([scores[method, t].read for t in times])


def _compared(scores: Scores, a: Method, b: Method, times: list[int], many: str) -> str:
    parts = [f"{scores[a, t].psnr - scores[b, t].psnr:+.1f} dB at t = {t}" for t in times]
    return f"In PSNR, {NAMES[a]} against {NAMES[b]}: {listing(parts)} ({many})."


def _kept(scores: Scores, method: Method, times: list[int], of: int) -> str:
    at = listing([f"t = {t}" for t in times])
    return f"At {at} the judge reads {_read(scores, method, times)} of {of} rightly."
