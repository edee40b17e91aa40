"""Part A, what is asked for: steps, guidance, and a picture that is designed (A0, A1.6, A2)."""

from __future__ import annotations

from typing import Any

from jaxtyping import Float
from torch import Tensor

from sfumato.app.defaults import later_stages
from sfumato.app.job import Stage
from sfumato.app.jobs import AnyJob, Generate
from sfumato.app.report.document import table
from sfumato.app.report.figures import Row, Tile
from sfumato.app.tour.page import Measured, Section
from sfumato.app.tour.reader import Reader
from sfumato.app.tour.workshop import Workshop, listing
from sfumato.core.ramps import spell_weight
from sfumato.evaluation.samples import wilson_interval

SEED = 180
"""The course's."""


def steps(w: Workshop) -> list[Section]:
    """A0: what is asked for, in several numbers of steps; the first seed shown, all of them judged."""
    s = w.subject
    each = s.prompts.each
    counts = [n for n in w.size.step_counts if n <= w.model.most_steps]
    if not each or not s.iterates:
        return []
    reader, total = w.reader(each), len(each) * w.size.each
    stages = _larger(w)
    rows, cells, commands = [], [], []
    numbers: dict[str, Any] = {}
    hits: dict[int, int] = {}
    before: Tensor | None = None
    for n in counts:
        jobs = _asked(w, each, steps=n)
        made = w.make(jobs)
        first = jobs[:: w.size.each]
        shown = w.make([job.model_copy(update={"larger": stages}) for job in first]) if stages else made[:: w.size.each]
        rows.append(Row(_tiles(shown, each, reader, under=n == counts[-1]), f"{n} steps"))
        moved = None if before is None else float((made - before).square().mean().sqrt())
        before = made
        numbers[str(n)] = {"samples": total, "change": moved}
        cell = [f"{n}"]
        if reader.reads:
            hits[n] = reader.count(made, [p for p in each for _ in range(w.size.each)])
            low, high = wilson_interval(hits[n], total)
            numbers[str(n)] |= {"right": hits[n], "accuracy": hits[n] / total, "interval": [low, high]}
            cell += [f"{hits[n]} of {total}", f"{low:.0%} to {high:.0%}"]
        cells.append([*cell, "" if moved is None else f"{moved:.2f}"])
        commands.append(w.command(jobs))
    head = ["steps", *(["read as asked", "95 % interval"] if reader.reads else []), "change of a pixel"]
    caption = (
        f"{total} samples for each number of steps, γ = {spell_weight(s.guidance)}; the change of a pixel is the root "
        "mean square difference to the pictures of the same seeds in the row above."
    )
    sees = [_of_steps(counts, hits, total, reader)]
    measured = []
    if reader.reads:
        measured = [Measured(f"{hits[n] / total:.0%}", f"read as asked, {n} steps") for n in counts]
    change = numbers[str(counts[-1])]["change"]
    if change is not None:
        measured.append(Measured(f"{change:.2f}", f"change of a pixel from {counts[-2]} to {counts[-1]} steps"))
    if stages:
        sees.append(f"Shown are the pictures after {listing([stage.model for stage in stages])} made them larger.")
    figures = (w.show("A0-steps", rows, f"One seed, {listing(counts)} steps."),)
    return [
        Section("A0", figures, tuple(sees), tuple(measured), tuple(commands), (table(head, cells, caption),), numbers)
    ]


def guidance(w: Workshop) -> list[Section]:
    """A1.6: everything asked for under several guidances, all judged."""
    s = w.subject
    each = s.prompts.each
    if not each or not s.iterates or s.guidance == 1:
        return []
    reader, n = w.reader(each), len(each) * w.size.each
    rows, cells, commands = [], [], []
    hits: dict[float, int] = {}
    variety: dict[float, float] = {}
    for scale in w.size.guidances:
        jobs = _asked(w, each, guidance=scale)
        pictures = w.make(jobs)
        variety[scale] = _variety(pictures, len(each))
        rows.append(
            Row(_tiles(pictures[:: w.size.each], each, reader, under=scale == w.size.guidances[-1]), f"γ = {scale:g}")
        )
        cell = [f"γ = {scale:g}"]
        if reader.reads:
            hits[scale] = reader.count(pictures, [p for p in each for _ in range(w.size.each)])
            cell.append(f"{hits[scale]} of {n}")
        cells.append([*cell, f"{variety[scale]:.3f}"])
        commands.append(w.command(jobs))
    first, last = w.size.guidances[0], w.size.guidances[-1]
    sees = [
        f"Pictures of the same thing differ by {variety[first]:.3f} at γ = {first:g} and by {variety[last]:.3f} at "
        f"γ = {last:g} (standard deviation of a pixel over seeds): "
        + ("guidance trades variety for typicality." if variety[last] < variety[first] else "no less varied here.")
    ]
    measured = [
        Measured(
            f"{variety[first]:.2f} → {variety[last]:.2f}", f"variety, from γ = {first:g} to γ = {last:g}", telling=False
        ),
    ]
    if reader.reads:
        best = max(hits.values())
        at = listing([f"{g:g}" for g, hit in hits.items() if hit == best])
        low, high = wilson_interval(best, n)
        sees.insert(
            0,
            f"A judge reads what was asked for in {hits[first] / n:.0%} of the pictures without guidance "
            f"(γ = {first:g}). At best, with γ = {at}, it reads {best} of {n} as asked (95 % interval {low:.0%} to "
            f"{high:.0%}).",
        )
        measured.insert(0, Measured(f"{best / n:.0%}", f"of {n} samples are read as what was asked for, γ = {at}"))
    caption = f"Samples of {w.size.steps} steps, and the mean standard deviation of a pixel over seeds."
    figures = (w.show("A1.6-guidance", rows, "One seed under more and more guidance."),)
    numbers = {
        f"{g:g}": {
            "accuracy": hits[g] / n if g in hits else None,
            "variety": variety[g],
            "samples": n,
            "steps": w.size.steps,
        }
        for g in w.size.guidances
    }
    head = ["guidance", *(["read as asked"] if reader.reads else []), "variety"]
    tables = (table(head, cells, caption),)
    return [Section("A1.6", figures, tuple(sees), tuple(measured), tuple(commands), tables, numbers)]


def design(w: Workshop) -> list[Section]:
    """A2: a picture designed from a prompt and made larger, where the model has a later stage."""
    s = w.subject
    if not s.iterates or not s.model.conditioned:
        return []
    stages = _larger(w)
    logo = s.prompts.logo or (s.prompts.each[0] if s.prompts.each else None)
    if not stages or logo is None:
        return [Section("A2", sees=(_no_stage(s.title),))]
    jobs = [w.job(Generate, prompt=logo, seed=SEED + w.seed + k) for k in range(min(3, w.size.best))]
    above = [job.model_copy(update={"larger": stages}) for job in jobs]
    small, large = w.make(jobs), w.make(above)
    sizes = [x.shape[-1] for x in (small, large)]
    rows = [
        Row([Tile(x, f"{logo}, {size} pixels") for x in group], f"{size} pixels")
        for group, size in zip((small, large), sizes, strict=True)
    ]
    sees = (f"“{logo}”, from {len(jobs)} seeds, at {sizes[0]} pixels and made larger to {sizes[1]}.",)
    measured = (Measured(f"{sizes[0]} → {sizes[1]}", "pixels wide"),)
    numbers = {"prompt": logo, "sizes": sizes, "larger": [stage.model for stage in stages]}
    figures = (w.show_apart("A2-logo", rows, "A picture designed, small and made larger."),)
    return [Section("A2", figures, sees, measured, (w.command(above),), (), numbers)]


def _no_stage(name: str) -> str:
    return f"The model {name} has no second stage, so there is nothing to be seen here; deepfloyd has one."


def _larger(w: Workshop) -> tuple[Stage, ...]:
    """The model's own next stage, with everything said; none where it has none."""
    name = w.model.defaults.larger
    return () if name is None else tuple(later_stages([Stage(model=name)], w.model, w.load, w.dtype))


def _asked(w: Workshop, each: tuple[str, ...], **given: Any) -> list[AnyJob]:
    return [
        w.job(Generate, prompt=prompt, seed=SEED + w.seed + k, **given) for prompt in each for k in range(w.size.each)
    ]


def _tiles(made: Float[Tensor, "n c h w"], each: tuple[str, ...], reader: Reader, *, under: bool) -> list[Tile]:
    """A picture of each prompt; what was asked for stands under the last row."""
    short = all(len(prompt) < 4 for prompt in each)
    return [
        Tile(
            x, read.after(f"asked for {prompt}"), read.name if short else prompt if under else "", read.verdict(prompt)
        )
        for x, prompt, read in zip(made, each, reader.read(made), strict=True)
    ]


def _of_steps(counts: list[int], hits: dict[int, int], total: int, reader: Reader) -> str:
    first, last = counts[0], counts[-1]
    if not reader.reads:
        return "No judge here reads such pictures, so whether the longer way is worth it is for the eye to say."
    said = f"In {first} steps a judge reads {hits[first]} of {total} as asked, in {last} steps {hits[last]}."
    best = max(hits.values())
    # The fewest steps whose interval reaches up to the best count.
    enough = next(n for n in counts if wilson_interval(hits[n], total)[1] >= best / total)
    if enough == last:
        return f"{said} Each step was worth it here."
    return f"{said} From {enough} steps on, more of them change nothing that {total} samples could tell."


def _variety(pictures: Float[Tensor, "n c h w"], prompts: int) -> float:
    grouped = pictures.reshape(prompts, -1, *pictures.shape[1:])
    return float(grouped.std(1, correction=0).mean())
