"""Part A, two pictures in one: visual anagrams and hybrid images (A1.8, A1.9)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sfumato.app.command import command_line
from sfumato.app.jobs import Anagram, AnyJob, Hybrid, Reading
from sfumato.app.report.document import table
from sfumato.app.report.figures import Row, Tile, Verdict
from sfumato.app.tour.page import Section
from sfumato.app.tour.workshop import Workshop
from sfumato.core.views import parse_view
from sfumato.evaluation.illusions import from_afar, seen

PAIRS = (
    ("6", "9", "rotate:180"),
    ("2", "5", "flip"),
    ("7", "4", "rotate:180"),
    ("3", "5", "flip"),
    ("1", "7", "rotate:180"),
    ("9", "4", "mirror"),
    ("4", "9", "rotate:180"),
    ("2", "5", "mirror"),
    ("5", "8", "rotate:180"),
    ("0", "8", "rotate:180"),
    ("6", "2", "mirror"),
    ("3", "8", "flip"),
)
"""What is read upright, what through the view, and the view."""
HYBRIDS = (
    ("0", "3"),
    ("1", "7"),
    ("0", "8"),
    ("6", "8"),
    ("9", "4"),
    ("8", "3"),
    ("0", "5"),
    ("1", "4"),
    ("3", "2"),
    ("6", "5"),
    ("7", "9"),
    ("0", "2"),
)
"""What is seen from afar, and from near."""
TURNS = {"rotate:180": "rotate", "flip": "flip", "mirror": "mirror"}
WIDTHS = (56, 28, 14)


@dataclass(frozen=True, eq=False)
class Judged:
    """An illusion with what the judge reads in each of its two ways."""

    job: AnyJob
    picture: Float[Tensor, "c h w"]
    other: Float[Tensor, "c h w"]
    """As seen the other way."""
    wanted: tuple[str, str]
    read: tuple[str, str]
    weakest: float
    """The smaller of the two probabilities that the judge gives to what was wanted."""

    @property
    def works(self) -> bool:
        """Whether both ways are read as wanted."""
        return self.read == self.wanted


def anagrams(w: Workshop) -> list[Section]:
    """A1.8: several pairs from several seeds; the best are shown."""
    jobs = [
        Anagram(
            readings=(Reading(prompt=a), Reading(prompt=b, view=view)),
            seed=w.seed + k,
            steps=w.size.steps,
            guidance=w.model.defaults.guidance,
        )
        for a, b, view in PAIRS[: w.size.pairs]
        for k in range(w.size.tries)
    ]
    pictures = w.make(jobs)
    turned = [seen(x[None], parse_view(job.readings[1].view))[0] for job, x in zip(jobs, pictures, strict=True)]
    wanted = [(job.readings[0].prompt, job.readings[1].prompt) for job in jobs]
    all_of_them = _judged(w, jobs, pictures, torch.stack(turned), wanted)
    best = _best_of_each(all_of_them, w.size.tries)
    rows = []
    for one in best[: w.size.best]:
        assert isinstance(one.job, Anagram)
        view = one.job.readings[1].view
        rows.append(Row(_both(one, ("upright", view), TURNS[view]), " / ".join(one.wanted)))
    cells = [
        [" / ".join(one.wanted), _view(one), f"{_working(all_of_them, one)} of {w.size.tries}", f"{one.weakest:.0%}"]
        for one in best
    ]
    works = sum(one.works for one in all_of_them)
    sees = (
        f"{works} of {len(jobs)} attempts are read as wanted both ways: {len(PAIRS[: w.size.pairs])} pairs, "
        f"{w.size.tries} seeds each. Shown is the best of {w.size.tries} of each of the {len(rows)} best pairs, by "
        "their weaker reading. Under the pointer they turn.",
    )
    caption = "Attempts read as wanted both ways, and the weaker reading's probability in the best one."
    figures = (w.show("A1.8-anagrams", _paired(rows), "Visual anagrams, both ways."),)
    numbers = _numbers(all_of_them, best)
    tables = (table(["pair", "view", "both ways", "best"], cells, caption),)
    return [Section("A1.8", figures, sees, tuple(command_line(one.job) for one in best[:3]), tables, numbers)]


def hybrids(w: Workshop) -> list[Section]:
    """A1.9: several pairs from several seeds; the best are shown at sizes that shrink."""
    sigma = w.model.defaults.hybrid_sigma
    jobs = [
        Hybrid(
            parts=(far, near),
            factors=f"frequency:{sigma:g}",
            seed=w.seed + k,
            steps=w.size.steps,
            guidance=w.model.defaults.guidance,
        )
        for far, near in HYBRIDS[: w.size.pairs]
        for k in range(w.size.tries)
    ]
    pictures = w.make(jobs)
    all_of_them = _judged(w, jobs, pictures, from_afar(pictures, sigma), [(job.near, job.far) for job in jobs])
    best = _best_of_each(all_of_them, w.size.tries)
    rows = []
    for one in best[: w.size.best]:
        near, far = one.wanted
        sizes = [
            Tile(one.picture, f"a hybrid of {near} and {far}, {width} pixels wide", "", width=width) for width in WIDTHS
        ]
        rows.append(Row([*_both(one, ("near", "far"), ""), *sizes], f"{far} from afar, {near} from near"))
    cells = [
        [f"{one.wanted[1]} / {one.wanted[0]}", f"{_working(all_of_them, one)} of {w.size.tries}", f"{one.weakest:.0%}"]
        for one in best
    ]
    works = sum(one.works for one in all_of_them)
    sees = (
        f"{works} of {len(jobs)} attempts are read as wanted in both ways: as they are, and blurred with the Gaussian "
        f"of σ = {sigma:g} pixels that parted them, in full contrast, as an eye far away would see them. "
        f"Shown is the best of {w.size.tries} of each of the {len(rows)} best pairs; to the right the same picture "
        "as it goes away.",
    )
    caption = "Attempts read as wanted from near and from afar, and the weaker reading's probability in the best one."
    figures = (w.show("A1.9-hybrids", rows, "Hybrids: as they are, blurred, and smaller and smaller."),)
    numbers = _numbers(all_of_them, best)
    tables = (table(["far / near", "both", "best"], cells, caption),)
    return [Section("A1.9", figures, sees, tuple(command_line(one.job) for one in best[:3]), tables, numbers)]


def _judged(
    w: Workshop,
    jobs: Sequence[AnyJob],
    pictures: Float[Tensor, "n c h w"],
    others: Float[Tensor, "n c h w"],
    wanted: Sequence[tuple[str, str]],
) -> list[Judged]:
    out = []
    chances = [w.judge.probabilities(x) for x in (pictures, others)]
    for k, (job, pair) in enumerate(zip(jobs, wanted, strict=True)):
        rows = [chance[k] for chance in chances]
        read = tuple(w.judge.classes[int(row.argmax())] for row in rows)
        weakest = min(float(row[w.judge.classes.index(name)]) for row, name in zip(rows, pair, strict=True))
        out.append(Judged(job, pictures[k], others[k], pair, (read[0], read[1]), weakest))
    return out


def _best_of_each(judged: Sequence[Judged], tries: int) -> list[Judged]:
    """The best of every pair, best first."""
    groups = [judged[k : k + tries] for k in range(0, len(judged), tries)]
    return sorted((max(group, key=lambda one: one.weakest) for group in groups), key=lambda one: -one.weakest)


def _both(one: Judged, names: tuple[str, str], turn: str) -> list[Tile]:
    out = []
    for k, x in enumerate((one.picture, one.other)):
        verdict: Verdict = "right" if one.read[k] == one.wanted[k] else "wrong"
        alt = f"{names[k]}: meant as {one.wanted[k]}, read as {one.read[k]}"
        out.append(Tile(x, alt, f"{names[k]}: {one.read[k]}", verdict, turn=turn))
    return out


def _paired(rows: Sequence[Row]) -> list[Row]:
    """Two illusions side by side, so that the figure is not a long strip."""
    out = []
    for k in range(0, len(rows), 2):
        pair = rows[k : k + 2]
        out.append(Row([tile for row in pair for tile in row.tiles], ", ".join(row.label for row in pair)))
    return out


def _view(one: Judged) -> str:
    return one.job.readings[1].view if isinstance(one.job, Anagram) else ""


def _working(judged: Sequence[Judged], like: Judged) -> int:
    return sum(one.works for one in judged if one.wanted == like.wanted and _view(one) == _view(like))


def _numbers(judged: Sequence[Judged], best: Sequence[Judged]) -> dict[str, object]:
    shown = [{"title": one.job.title, "seed": one.job.seed, "read": one.read, "weakest": one.weakest} for one in best]
    return {"attempts": len(judged), "both_ways": sum(one.works for one in judged), "best": shown}
