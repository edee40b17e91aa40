"""More illusions: regions, canvases wider than the model, other factors, and a search (C3 to C6)."""

from __future__ import annotations

import itertools
from statistics import fmean, median
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sfumato.app.defaults import factors
from sfumato.app.jobs import Generate, Panorama, Region, Regions
from sfumato.app.report.chart import Series, chart
from sfumato.app.report.document import table
from sfumato.app.report.figures import Row, Tile, side_by_side
from sfumato.app.search import Search, best_of
from sfumato.app.tour.drawings import soft_half
from sfumato.app.tour.illusions import Tried, anagram_of, hybrid_of, told, try_out, turn
from sfumato.app.tour.page import Measured, Section
from sfumato.app.tour.reader import judged
from sfumato.app.tour.rows_illusions import tiles
from sfumato.app.tour.workshop import Workshop, listing

WIDTHS = 4
"""How many times wider than the model a canvas is."""


def regions(w: Workshop) -> list[Section]:
    """C3: one prompt above, another below; beside what each of them makes of the same noise by itself."""
    pairs = w.subject.prompts.regions
    if not pairs:
        return []
    above = w.put(soft_half(w.model.shape), "above")
    rows, commands, near, other = [], [], [], []
    for first, second in pairs:
        jobs = [
            w.job(Regions, regions=(Region(prompt=first, mask=above),), rest=second, seed=w.seed + k)
            for k in range(w.size.tries)
        ]
        alone = [
            w.make([w.job(Generate, prompt=prompt, seed=w.seed + k) for k in range(w.size.tries)])
            for prompt in (first, second)
        ]
        made = w.make(jobs)
        own, foreign = _closeness(made, alone[0], alone[1], above.tensor())
        near.append(own)
        other.append(foreign)
        white = above.tensor().expand(w.model.shape[0], -1, -1)
        both = [
            Tile(alone[0][0], f"{first}, by itself", first),
            Tile(white, f"the mask: white for {first} above, black for {second} below", "where"),
            Tile(alone[1][0], f"{second}, by itself", second),
            Tile(made[0], f"{first} above and {second} below", f"{first} over {second}"),
        ]
        rows.append(Row(both))
        commands.append(w.command(jobs))
    figures = (
        w.show("C3-regions", rows, "Each prompt by itself and, by the mask, both in one picture, from the same noise."),
    )
    mine, others = fmean(near), fmean(other)
    closer = "nearer to what its own prompt makes" if mine < others else "no nearer to what its own prompt makes"
    sees = (
        f"In each half the picture is {closer} of the same noise by itself (a pixel is {mine:.2f} away, root mean "
        f"square) than to what the other prompt makes ({others:.2f}).",
    )
    measured = (
        Measured(
            f"{mine:.2f} against {others:.2f}", "distance of a half to its own prompt's picture, and to the other's"
        ),
    )
    numbers = {"own": mine, "other": others, "pictures": len(pairs) * w.size.tries}
    return [Section("C3", figures, sees, measured, tuple(commands), (), numbers)]


def wide(w: Workshop) -> list[Section]:
    """C4: canvases wider than the model."""
    prompts = w.subject.prompts.wide
    if not prompts or not w.subject.iterates:
        return []
    _, height, width = w.model.shape
    figures, commands, counts, edges = [], [], [], []
    numbers: dict[str, Any] = {}
    for k, prompt in enumerate(prompts):
        job = w.job(Panorama, prompt=prompt, width=WIDTHS * width, height=height)
        (made,) = w.make([job])
        name = prompt or "anything"
        read = w.reader([prompt] if prompt else w.subject.data.classes)
        crops = torch.stack([made[:, :, x : x + width] for x in range(0, made.shape[-1] - width + 1, width // 2)])
        seen = read.read(crops)
        sure = [r for r in seen if r.sure >= 0.5 and (prompt is None or r.name == prompt)]
        if read.reads:
            counts.append((name, len(sure), len(crops)))
        numbers[name] = {"size": [WIDTHS * width, height], "crops": len(crops), "read": [r.name for r in seen]}
        edges.append(_edges(made, width // 2))
        caption = f"{name}, {WIDTHS * width} × {height} pixels."
        figures.append(w.show_wide(f"C4-wide-{k}", made, f"{name}, {WIDTHS} times as wide as the model", caption))
        commands.append(w.command([job]))
    at, elsewhere = fmean(a for a, _ in edges), fmean(b for _, b in edges)
    numbers["neighbours"] = {"at edges": at, "elsewhere": elsewhere}
    sees = [
        f"The model has never seen more than {width} pixels side by side. Where its crops begin and end, neighbouring "
        f"pixels differ by {at:.3f}, elsewhere by {elsewhere:.3f}: "
        + ("there is no seam." if at <= 1.2 * elsewhere else "there one could find the seams.")
    ]
    measured = [
        Measured(
            f"{at:.3f} against {elsewhere:.3f}", "difference of neighbouring pixels, at the crops' edges and elsewhere"
        )
    ]
    if counts:
        said = listing([f"{hits} of {of} ({name})" for name, hits, of in counts])
        sees.append(
            f"Windows of the model's size, half a window apart, in which a judge reads more probably than not what was "
            f"asked for, or anything at all where nothing was: {said}."
        )
        hits, of = sum(count[1] for count in counts), sum(count[2] for count in counts)
        measured.append(Measured(f"{hits} of {of}", "windows are read as asked"))
    return [Section("C4", tuple(figures), tuple(sees), tuple(measured), tuple(commands), (), numbers)]


def factored(w: Workshop) -> list[Section]:
    """C5: three bands of frequencies, motion, and colour where there is any."""
    prompts = w.subject.prompts
    kinds = [
        ("three distances", prompts.bands, factors("triple", w.model)),
        ("motion and rest", prompts.motions, f"motion:{2 * (w.model.shape[-1] // 8) + 1}"),
    ]
    if w.model.shape[0] == 3:
        kinds.append(("grey and colour", prompts.colours, "colour"))
    found: list[tuple[str, Tried]] = []
    for name, wanted, how in kinds:
        if wanted:
            found.append((name, try_out(w, [hybrid_of(w, parts, how) for parts in wanted[: w.size.pairs]])))
    if not found:
        return []
    rows = [Row(tiles(one), name) for name, tried in found for one in tried.best[:2]]
    sees = [f"Hybrids of {name}: {_counted(tried)}." for name, tried in found]
    sees += [w.subject.prompts.chosen] if w.subject.prompts.chosen else []
    measured = [measure for name, tried in found for measure in tried.measured(f"hybrids of {name}")]
    tables = [each for name, tried in found for each in tried.table(name)]
    figures = (w.show_apart("C5-factored", rows, "The best of each kind, in each of its ways."),)
    commands = tuple(w.command([tried.best[0].result.job]) for _, tried in found)
    numbers = {name: tried.numbers for name, tried in found}
    return [Section("C5", figures, tuple(sees), tuple(measured), commands, tuple(tables), numbers)]


def search(w: Workshop) -> list[Section]:
    """C6: the first seed against the best of many."""
    hard = [ways for ways in w.subject.prompts.hard if w.reader([prompt for prompt, _ in ways]).reads]
    if not hard:
        return []
    figures, cells, lines, commands = [], [], [], []
    numbers: dict[str, Any] = {}
    gains: list[tuple[float, float]] = []
    for k, ways in enumerate(hard):
        job = anagram_of(w, ways)
        found = best_of(job, w.size.search, w.load, lambda prompts: _reader(w, tuple(prompts)))
        values = list(found.weakest.values())
        first, best = values[0], max(values)
        gains.append((first, best))
        reader = w.reader([prompt for prompt, _ in ways])
        one, kept = judged([*w.run([job]), found.kept[0].result], reader)
        figures += [
            turn(w, f"C6-first-{k}", one, f"The first seed: weakest reading {first:.0%}."),
            turn(w, f"C6-best-{k}", kept, f"The best of {len(values)}: weakest reading {best:.0%}."),
        ]
        cells.append(
            [told(one), f"{first:.2f}", f"{median(values):.2f}", f"{best:.2f}", f"{found.right} of {len(values)}"]
        )
        lines.append(Series(told(one), _stairs(values), colour=k % 4))
        commands.append(f"{w.command([job])} --best-of {w.size.search}")
        numbers[told(one)] = {**_without_kept(found), "first": first, "best": best}
    curve = chart(
        lines, "seeds tried", "weakest reading", "The best so far: the probability of its weakest reading.", log_x=True
    )
    head = ["pair", "first seed", "median", "best", "read as wanted"]
    tables = (table(head, cells, "The probability of the weakest reading."),)
    worked = sum(first > 0.5 for first, _ in gains), sum(best > 0.5 for _, best in gains)
    sees = (
        f"These pairs seldom work. With the first seed {worked[0]} of {len(gains)} have no reading below 50 %, with "
        f"the best of {w.size.search} seeds {worked[1]} of {len(gains)}.",
    )
    measured = tuple(
        Measured(f"{first:.0%} → {best:.0%}", f"weakest reading of {row[0]}, first seed and best of {w.size.search}")
        for (first, best), row in zip(gains, cells, strict=True)
    )
    return [Section("C6", (side_by_side(figures), curve), sees, measured, tuple(commands), tables, numbers)]


def _closeness(
    made: Float[Tensor, "n c h w"], first: Float[Tensor, "n c h w"], second: Float[Tensor, "n c h w"], mask: Tensor
) -> tuple[float, float]:
    """How far each half is from the picture of its own prompt, and from that of the other (root mean square)."""
    inside, outside = (mask == 1)[0], (mask == 0)[0]

    def apart(a: Tensor, b: Tensor, where: Tensor) -> float:
        return float((a - b)[:, :, where].square().mean())

    own = (apart(made, first, inside) + apart(made, second, outside)) / 2
    other = (apart(made, second, inside) + apart(made, first, outside)) / 2
    return own**0.5, other**0.5


def _edges(x: Float[Tensor, "c h w"], stride: int) -> tuple[float, float]:
    """How much neighbouring pixels of a row differ, where crops begin or end, and elsewhere."""
    steps = (x[:, :, 1:] - x[:, :, :-1]).abs().mean((0, 1))
    at = torch.arange(1, x.shape[-1]) % stride == 0
    return float(steps[at].mean()), float(steps[~at].mean())


def _stairs(values: list[float]) -> tuple[tuple[float, float], ...]:
    """The best so far after each seed, as a line that rises where it does."""
    best = list(itertools.accumulate(values, max))
    return tuple((float(n), y) for n in range(1, len(best) + 1) for y in dict.fromkeys(best[max(0, n - 2) : n]))


def _counted(tried: Tried) -> str:
    if not tried.reads:
        return f"{len(tried.all)} attempts, which no judge here reads"
    return f"{tried.works} of {len(tried.all)} attempts are read as wanted in every way"


def _reader(w: Workshop, prompts: tuple[str, ...]) -> Any:
    return w.reader(prompts).judge


def _without_kept(found: Search) -> dict[str, Any]:
    return {key: value for key, value in found.to_dict().items() if key != "kept"}
