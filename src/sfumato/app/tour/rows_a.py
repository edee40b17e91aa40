"""Part A, first half: noise, three ways to take it away, and pictures from noise alone (A1.1 to A1.5)."""

from __future__ import annotations

import itertools
from typing import Any

from jaxtyping import Float
from torch import Tensor

from sfumato.app.jobs import Denoise, Generate
from sfumato.app.pictures import Picture
from sfumato.app.report.document import table
from sfumato.app.report.figures import Html, Row, Tile
from sfumato.app.tour.page import Measured, Section
from sfumato.app.tour.scores import METHODS, Method, Score, Scores, scores_of
from sfumato.app.tour.workshop import Workshop, listing

NAMES = {"noised": "noised", "blur": "blurred", "one-step": "one step", "iterative": "iterative"}
STEPPED = 4
"""Pictures that one can watch come out of noise, step by step."""


def denoising(w: Workshop) -> list[Section]:
    """A1.1 to A1.4: one picture and a row of others, noised to the course's times and cleaned in every way."""
    s = w.subject
    if not s.iterates:
        return []
    times = s.times(250, 500, 690, 750)
    photo = w.input(s.photo)
    jobs = [w.course(Denoise, image=photo, t=t, method=m, **w.plain) for m in METHODS for t in times]
    made = dict(zip(itertools.product(METHODS, times), w.make(jobs), strict=True))
    scores = scores_of(w, times)
    command = w.command(jobs)
    rows = {m: [_tile(made[m, t], m, t, w) for t in times] for m in METHODS}
    clean = Tile(photo.tensor(), f"{s.photo.what}, clean", "clean")
    n = min(w.size.clean, len(s.data))
    many = f"mean over {n} {s.noun}s"

    def section(
        id: str, name: str, shown: list[Row], caption: str, sees: list[str], measured: list[Measured], method: Method
    ) -> Section:
        numbers: dict[str, Any] = {method: _numbers(scores, method, times)}
        return Section(id, (w.show(name, shown, caption),), tuple(sees), tuple(measured), (command,), (), numbers)

    levels = [w.model.schedule.level(t) for t in times]
    faded = listing([f"{level.alpha:.2f} at t = {level.t:g}" for level in levels])
    widths = listing([f"{scores['blur', t].blur:g}" for t in times])
    marks = " ✓ and ✗: whether a judge, a classifier, reads what it is." if rows["noised"][0].verdict else ""
    forward = [
        f"Of the brightness of the clean picture this is left: {faded}; the rest of the picture is noise.",
        _read(scores, "noised", times, n, "still reads"),
    ]
    sections = [
        section(
            "A1.1",
            "A1.1-forward",
            [Row([clean, *rows["noised"]])],
            f"{_capital(s.photo.what)}, clean, and noised.{marks}",
            forward,
            [Measured(_decibels(scores, "noised", times), f"PSNR against the clean picture, {many}")],
            "noised",
        ),
        section(
            "A1.2",
            "A1.2-blur",
            [Row(rows["noised"], "noised"), Row(rows["blur"], "blurred")],
            "Gaussian blur, σ = 1 pixel.",
            [
                _compared(scores, "blur", "noised", times, f"{many}; the best of many widths: {widths} pixels"),
                _read(scores, "blur", times, n, "reads"),
            ],
            [Measured(_decibels(scores, "blur", times), f"PSNR of the best blur, {many}")],
            "blur",
        ),
        section(
            "A1.3",
            "A1.3-one-step",
            [Row(rows["noised"], "noised"), Row(rows["one-step"], "one step")],
            f"The network asked once{_asked(w)}.",
            [_compared(scores, "one-step", "blur", times, many), _read(scores, "one-step", times, n, "reads")],
            [Measured(_decibels(scores, "one-step", times), f"PSNR of the one-step estimate, {many}")],
            "one-step",
        ),
    ]
    return [*sections, _iterative(w, photo, times, scores, rows, command)]


def _iterative(
    w: Workshop,
    photo: Picture,
    times: list[float],
    scores: Scores,
    rows: dict[Method, list[Tile]],
    command: str,
) -> Section:
    t = times[2]
    steps = w.watch([w.course(Denoise, image=photo, t=t, method="iterative", **w.plain)])
    figures = (_chain(w, steps, t), _side_by_side(w, rows))
    many, n = (
        f"mean over {min(w.size.clean, len(w.subject.data))} {w.subject.noun}s",
        len(w.subject.clean(w.size.clean)),
    )
    best = [t for t in times if scores["iterative", t].psnr >= scores["one-step", t].psnr]
    clearer = [t for t in times if (scores["iterative", t].read or 0) > (scores["one-step", t].read or 0)]
    sees = [
        f"From t = {t:g} (entry 10 of the list, as in the course) the form firms up from step to step: drag the "
        f"slider. {_compared(scores, 'iterative', 'one-step', times, many)}",
        "The one-step estimate is the mean of what could be underneath, which is the best guess in PSNR; the iterative "
        f"one commits itself to a single {w.subject.noun}. "
        + (f"Here it is closer at t = {_times(best)}." if best else "Here the mean is closer at every t.")
        + (f" A judge reads more of the iterative ones at t = {_times(clearer)}." if clearer else ""),
    ]
    head = ["PSNR (SSIM)" + (" [read]" if scores["noised", t].read is not None else ""), *(f"t = {t:g}" for t in times)]
    cells = [[NAMES[m], *(_cell(scores[m, t], n) for t in times)] for m in METHODS]
    caption = f"PSNR in dB and SSIM against the clean picture, {many}, the blur the best of many widths."
    caption += " In brackets how many a judge reads rightly." if scores["noised", t].read is not None else ""
    measured = (Measured(_decibels(scores, "iterative", times), f"PSNR of the iterative result, {many}"),)
    numbers: dict[str, Any] = {m: _numbers(scores, m, times) for m in METHODS}
    return Section("A1.4", figures, tuple(sees), measured, (command,), (table(head, cells, caption),), numbers)


def _chain(w: Workshop, steps: list[Any], t: float) -> Html:
    """Every step under a slider; on the disk every fifth, as in the course."""
    fifth = [step for step in steps if step.index % 5 == 0 or step.index == step.total]
    w.save_row("A1.4-chain", [w.pictures(step.x)[0] for step in fifth])
    caption = f"Iterative denoising from t = {t:g}: what there is, and what the network takes it for."
    return w.show_steps(steps, [""], caption)


def _side_by_side(w: Workshop, rows: dict[Method, list[Tile]]) -> Html:
    return w.show("A1.4-side-by-side", [Row(rows[m], NAMES[m]) for m in METHODS], "All ways side by side.")


def sampling(w: Workshop) -> list[Section]:
    """A1.5: pictures from noise alone."""
    s = w.subject
    if not s.iterates:
        return []
    jobs = [w.course(Generate, seed=w.seed + k, **w.plain) for k in range(w.size.shown)]
    pictures = w.make(jobs)
    read = w.reader(s.data.classes).read(pictures)
    tiles = [
        Tile(p, r.after(f"an invented {s.noun}"), f"{r.name}, {r.sure:.0%}" if r.name else "")
        for p, r in zip(pictures, read, strict=True)
    ]
    stepped = jobs[:STEPPED]
    figures = (
        w.show_steps(
            w.watch(stepped),
            [f"seed {job.seed}" for job in stepped],
            f"Out of pure noise{_asked(w)}, step by step: above the canvas, below what the network takes it for.",
        ),
        w.show(
            "A1.5-samples", [Row(tiles[k : k + 5]) for k in range(0, len(tiles), 5)], f"From pure noise{_asked(w)}."
        ),
    )
    sure = sum(r.sure >= 0.9 for r in read)
    spread = float(pictures.std(0, correction=0).mean())
    kinds = len({r.name for r in read})
    sees = [f"{len(jobs)} pictures from {len(jobs)} seeds, with nothing in particular asked for."]
    measured = [Measured(f"{spread:.2f}", "standard deviation of a pixel over seeds, of at most 0.5")]
    if read[0].name:
        sees[0] += (
            " Under each is what a judge, a classifier that was trained on real ones, takes it for, and how sure it "
            f"is. It is surer than 90 % of {sure} of {len(jobs)}, and reads {kinds} different {s.noun}s."
        )
        measured.insert(0, Measured(f"{sure} of {len(jobs)}", f"are {s.noun}s to a judge, surer than 90 %"))
    numbers: dict[str, Any] = {"samples": len(jobs), "deviation": spread}
    numbers |= {"sure": sure, "readings": [(r.name, r.sure) for r in read]} if read[0].name else {}
    return [Section("A1.5", figures, tuple(sees), tuple(measured), (w.command(jobs),), (), numbers)]


def _tile(x: Float[Tensor, "c h w"], method: Method, t: float, w: Workshop) -> Tile:
    photo = w.subject.photo
    read = w.reader([photo.label]).read(x[None])[0]
    return Tile(x, f"{photo.what}, {NAMES[method]}, t = {t:g}", f"t = {t:g}", read.verdict(photo.label))


def _asked(w: Workshop) -> str:
    prompt = w.subject.prompts.nothing
    return "" if prompt is None else f", asked for “{prompt}”"


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def _numbers(scores: Scores, method: Method, times: list[float]) -> dict[str, Any]:
    return {f"{t:g}": vars(scores[method, t]) for t in times}


def _cell(score: Score, of: int) -> str:
    read = "" if score.read is None else f" [{score.read}/{of}]"
    return f"{score.psnr:.1f} ({score.ssim:.2f}){read}"


def _times(times: list[float]) -> str:
    return listing([f"{t:g}" for t in times])


def _decibels(scores: Scores, method: Method, times: list[float]) -> str:
    return " · ".join(f"{scores[method, t].psnr:.1f}" for t in times) + " dB"


def _compared(scores: Scores, a: Method, b: Method, times: list[float], many: str) -> str:
    parts = [f"{scores[a, t].psnr - scores[b, t].psnr:+.1f} dB at t = {t:g}" for t in times]
    return f"In PSNR, {NAMES[a]} against {NAMES[b]}: {listing(parts)} ({many}).".replace(": -", ": −").replace(
        " -", " −"
    )


def _read(scores: Scores, method: Method, times: list[float], of: int, reads: str) -> str:
    """How many a judge reads; empty where nobody does."""
    counts = [scores[method, t].read for t in times]
    if None in counts:
        return ""
    at = listing([f"t = {t:g}" for t in times])
    return f"At {at} a judge {reads} {listing(counts)} of {of} rightly."
