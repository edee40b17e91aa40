"""Part A, pictures made from pictures: image to image, drawings, with a prompt (A1.7, A1.7.1, A1.7.3)."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sfumato.app.fidelity import Kept, fidelity
from sfumato.app.jobs import Edit
from sfumato.app.pictures import Picture
from sfumato.app.report.chart import Series, chart
from sfumato.app.report.document import table
from sfumato.app.report.figures import Html, Row, Tile, side_by_side
from sfumato.app.tour.inputs import Input
from sfumato.app.tour.page import Measured, Section
from sfumato.app.tour.workshop import Workshop, listing
from sfumato.evaluation.metrics import ssim

EDITED = "7"
"""The digit that is asked to become others."""


def image_to_image(w: Workshop) -> list[Section]:
    """A1.7: pictures of every kind from every start, with nothing in particular asked for."""
    s = w.subject
    if not s.iterates:
        return []
    given = [*([s.own] if s.own else []), *s.pictures(w.size.pictures)]
    images = [w.input(one) for one in given]
    jobs = [_edits(w, image, s.prompts.nothing) for image in images]
    clean, labels = torch.stack([one.picture for one in given]), [one.label for one in given]
    results = w.run([job for group in jobs for job in group])
    made = torch.stack([result.picture for result in results]).reshape(len(images), -1, *clean.shape[1:])
    starts = range(len(w.size.starts))
    similar = [float(ssim(made[:, k], clean).mean()) for k in starts]
    # Each picture by itself, for its edits are compared with it.
    each = [fidelity(w.run(group)) for group in jobs]
    kept = [fmean(rows[k].psnr for rows in each) for k in starts]
    reader = w.reader(labels)
    shown = sorted({0, *range(0, len(images), max(1, len(images) // 3))})[:4]
    rows = [Row(_tiles(w, made[i], given[i], given[i].label)) for i in shown]
    n, first, last = len(images), w.size.starts[0], w.size.starts[-1]
    sees = [
        f"From start {first} a result is like its original by {similar[0]:.2f} (SSIM, 1 is the same), from start "
        f"{last} by {similar[-1]:.2f}. What is not kept is invented."
    ]
    head = ["", *(f"start {start}" for start in w.size.starts)]
    cells = [["SSIM", *(f"{x:.2f}" for x in similar)], ["PSNR, dB", *(f"{x:.1f}" for x in kept)]]
    measured = [Measured(f"{similar[0]:.2f} → {similar[-1]:.2f}", f"SSIM to the original, start {first} to {last}")]
    numbers = {
        str(start): {"ssim": similar[k], "psnr": kept[k], "pictures": n} for k, start in enumerate(w.size.starts)
    }
    if reader.reads:
        known = [i for i in range(n) if labels[i] is not None]
        same = [reader.count(made[known, k], [labels[i] for i in known]) for k in starts]
        sees.append(
            f"From start {first} a judge still reads the original {s.noun} in {same[0]} of {len(known)} results, from "
            f"start {last} in {same[-1]}. ✓ marks what is still read as the original."
        )
        cells.insert(0, [f"same {s.noun}", *(f"{count} of {len(known)}" for count in same)])
        measured.append(Measured(f"{same[0]} → {same[-1]}", f"of {len(known)} are still read as the original"))
        for start, count in zip(w.size.starts, same, strict=True):
            numbers[str(start)]["same"] = count / len(known)
    caption = f"Over {n} pictures; entries of the list of {w.size.course_steps} times."
    figures = (
        w.show("A1.7-edits", rows, "Pictures from several starts, and the original."),
        _kept_chart(list(zip(w.size.starts, kept, strict=True)), n),
    )
    commands = tuple(w.command(jobs[i]) for i in shown)
    tables = (table(head, cells, caption),)
    return [Section("A1.7", figures, tuple(sees), tuple(measured), commands, tables, dict(numbers))]


def drawings(w: Workshop) -> list[Section]:
    """A1.7.1: drawings made in the program, without a prompt and with one."""
    s = w.subject
    if not s.iterates:
        return []
    rows, commands, lines = [], [], []
    numbers: dict[str, dict[str, Any]] = {}
    worked = total = 0
    for one in s.drawings:
        image = w.input(one)
        name = one.name.removeprefix("drawn-")
        for prompt in dict.fromkeys((s.prompts.nothing, one.prompt)):
            jobs = _edits(w, image, prompt)
            made = w.make(jobs)
            label = f"{name}, " + ("nothing asked for" if prompt is None else f"as {prompt}")
            rows.append(Row(_tiles(w, made, one, prompt), label))
            commands.append(w.command(jobs))
            reads = [read.name for read in w.reader([prompt]).read(made)] if prompt else []
            numbers[f"{name}: {prompt or 'nothing'}"] = {
                "read": reads,
                "ssim": [float(ssim(x[None], one.picture[None])[0]) for x in made],
            }
            if prompt is not None and any(reads):
                right = [start for start, read in zip(w.size.starts, reads, strict=True) if read == prompt]
                lines.append(f"Asked for {prompt}, the {name} is read as one from {_starts(right)}.")
                worked, total = worked + len(right), total + len(reads)
    likeness = [fmean(row["ssim"][k] for row in numbers.values()) for k in (0, -1)]
    first, last = w.size.starts[0], w.size.starts[-1]
    label = f"SSIM to the drawing, start {first} to {last}"
    measured = [Measured(f"{likeness[0]:.2f} → {likeness[1]:.2f}", label)]
    if total:
        measured.insert(0, Measured(f"{worked} of {total}", "edits of drawings are read as what was asked for"))
    sees = ("A late start keeps the drawing, an early one only its coarse forms. " + " ".join(lines),)
    figures = (w.show("A1.7.1-drawings", rows, "Drawings by an unsteady hand, drawn in the program."),)
    return [Section("A1.7.1", figures, sees, tuple(measured), tuple(commands), (), numbers)]


def prompted(w: Workshop) -> list[Section]:
    """A1.7.3: from one picture to what is asked for, and what that costs by start."""
    s = w.subject
    if not s.iterates or not s.prompts.edits:
        return []
    rows, commands, lines = [], [], []
    numbers: dict[str, Any] = {}
    given = [s.picture(EDITED), *([s.own] if s.own else [])]
    for one in given:
        image = w.input(one)
        for prompt in s.prompts.edits:
            jobs = _edits(w, image, prompt)
            made = w.make(jobs)
            rows.append(Row(_tiles(w, made, one, prompt), f"{one.label or one.what} to {prompt}"))
            commands.append(w.command(jobs))
            reads = [read.name for read in w.reader([prompt]).read(made)]
            numbers[f"{one.label or one.what} to {prompt}"] = reads
            if any(reads):
                lines.append(_became(w, one, prompt, reads))
    kept, prompt = _measured(w, given[0])
    numbers["by start"] = [row.to_dict() for row in kept]
    figures = [
        w.show("A1.7.3-prompted", rows, "A picture, and what it is asked to become."),
        _trade(kept, prompt, w.size.keeps),
    ]
    first, last = kept[0], kept[-1]
    sees = [
        *lines,
        f"What is kept goes from {first.psnr:.1f} dB at start {first.start} to {last.psnr:.1f} dB at {last.start}.",
    ]
    measured = [
        Measured(f"{first.psnr:.1f} → {last.psnr:.1f} dB", f"kept of the picture, start {first.start} to {last.start}")
    ]
    if first.wanted is not None and last.wanted is not None:
        sees[-1] += f" How probable a judge finds “{prompt}” goes from {first.wanted:.0%} to {last.wanted:.0%}."
        label = f"probability of “{prompt}” to a judge, start {first.start} to {last.start}"
        measured.append(Measured(f"{first.wanted:.0%} → {last.wanted:.0%}", label))
    return [Section("A1.7.3", tuple(figures), tuple(sees), tuple(measured), tuple(commands), (), numbers)]


def _measured(w: Workshop, one: Input) -> tuple[list[Kept], str]:
    """What edits of a picture keep of it by start, over several seeds, and what they were asked for."""
    prompt, image = w.subject.prompts.edits[0], w.input(one)
    jobs = [
        w.course(Edit, image=image, prompt=prompt, begin=begin, seed=w.seed + k)
        for begin in w.size.starts
        for k in range(w.size.keeps)
    ]
    return fidelity(w.run(jobs)), prompt


def _trade(kept: list[Kept], prompt: str, seeds: int) -> Html:
    """What is kept and what is gained, by start: the trade of SDEdit."""
    charts = [_kept_chart([(row.start, row.psnr) for row in kept], seeds, "seeds")]
    gained = tuple((float(row.start), row.wanted) for row in kept if row.wanted is not None)
    if gained:
        caption = f"What is gained: how probable a judge finds “{prompt}”, mean over {seeds} seeds."
        charts.append(chart([Series("wanted", gained, colour=1)], "start", "probability", caption))
    return side_by_side(charts)


def _kept_chart(kept: Sequence[tuple[float, float]], n: int, of: str = "pictures") -> Html:
    caption = f"What is kept: PSNR to the original by start, mean over {n} {of}."
    return chart([Series("kept", tuple(kept))], "start", "PSNR, dB", caption)


def _became(w: Workshop, one: Input, prompt: str, reads: list[str]) -> str:
    turned = [start for start, read in zip(w.size.starts, reads, strict=True) if read == prompt]
    still = [start for start, read in zip(w.size.starts, reads, strict=True) if read == one.label]
    stays = f", and stays a {one.label} from {_starts(still)}" if still and one.label else ""
    return f"Asked for {prompt}, {one.what} becomes one from {_starts(turned)}{stays}."


def _edits(w: Workshop, image: Picture, prompt: str | None) -> list[Edit]:
    return [w.course(Edit, image=image, prompt=prompt, begin=begin) for begin in w.size.starts]


def _starts(starts: list[int]) -> str:
    """`starts 1, 3 and 5`."""
    return f"{'starts' if len(starts) > 1 else 'start'} {listing(starts)}" if starts else "no start"


def _tiles(w: Workshop, made: Float[Tensor, "n c h w"], one: Input, expected: str | None) -> list[Tile]:
    """A result for each start, then the original."""
    read = w.reader([expected]).read(made)
    tiles = [
        Tile(x, r.after(f"{one.what} from start {start}"), f"{start}", r.verdict(expected))
        for x, start, r in zip(made, w.size.starts, read, strict=True)
    ]
    return [*tiles, Tile(one.picture, f"the original of {one.what}", "original")]
