"""The best of many seeds: a judge reads every picture in each of the ways it is to be read, and the weakest counts."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sfumato.app.job import Loader, Look
from sfumato.app.jobs import AnyJob
from sfumato.app.run import Batch, Result, run
from sfumato.core.loop import Step
from sfumato.errors import UsageError
from sfumato.evaluation.samples import Classifier

TOGETHER = 32
"""Seeds that are made at once."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """A picture, and how probable the judge finds each of its readings."""

    result: Result
    readings: tuple[float, ...]
    right: bool
    """Whether each reading is the most probable of all that the judge could say."""

    @property
    def weakest(self) -> float:
        """The probability of the reading that convinces least."""
        return min(self.readings)


@dataclass(frozen=True, eq=False)
class Search:
    """What a search found."""

    kept: tuple[Candidate, ...]
    """The best, the best first."""
    weakest: dict[int, float]
    """By seed: the probability of the weakest reading, of all that were tried."""
    right: int
    """Seeds whose readings are all right."""
    asked_for: int
    """Seeds that would have been tried had it not been good enough before."""

    def to_dict(self) -> dict[str, Any]:
        """Plain data, fit for JSON."""
        return {
            "tried": len(self.weakest),
            "asked_for": self.asked_for,
            "right": self.right,
            "weakest": {str(seed): value for seed, value in self.weakest.items()},
            "quantiles": dict(zip(("0", "0.25", "0.5", "0.75", "1"), self._quantiles(), strict=True)),
            "kept": [{"seed": c.result.job.seed, "readings": list(c.readings), "right": c.right} for c in self.kept],
        }

    def __str__(self) -> str:
        best = self.kept[0]
        low, lower, middle, upper, high = self._quantiles()
        stopped = "" if len(self.weakest) == self.asked_for else f" (good enough before {self.asked_for})"
        return (
            f"best of {len(self.weakest)}{stopped}: seed {best.result.job.seed}, weakest reading {best.weakest:.2f}; "
            f"all: {low:.2f} … {lower:.2f} … {middle:.2f} … {upper:.2f} … {high:.2f}; {self.right} read as wanted"
        )

    def _quantiles(self) -> list[float]:
        values = torch.tensor(list(self.weakest.values()), dtype=torch.float64)
        return [float(q) for q in torch.quantile(values, torch.linspace(0, 1, 5, dtype=torch.float64))]


@dataclass(eq=False)
class _Best:
    """The few best candidates so far."""

    keep: int
    candidates: list[Candidate] = field(default_factory=list)

    def add(self, new: Sequence[Candidate]) -> None:
        """Earlier seeds first among equals."""
        self.candidates = sorted([*self.candidates, *new], key=lambda c: (-c.weakest, c.result.job.seed))[: self.keep]

    def good(self, enough: float | None) -> bool:
        return enough is not None and len(self.candidates) == self.keep and self.candidates[-1].weakest >= enough


def best_of(
    job: AnyJob,
    count: int,
    load: Loader,
    judge: Callable[[Sequence[str]], Classifier],
    *,
    keep: int = 1,
    enough: float | None = None,
    on_step: Callable[[Batch, Step], None] | None = None,
) -> Search:
    """Make a job with `count` seeds, its own the first, and keep those whose weakest reading convinces most.

    Args:
        job: An illusion, or anything with a prompt.
        count: Seeds to try.
        load: Where models come from.
        judge: Makes the judge of some prompts.
        keep: Pictures to keep.
        enough: Stop when as many as are kept have no reading less probable than this.
        on_step: Sees every step of every batch.

    Raises UsageError for a job with nothing to be read, more to keep than to try, or as `run` does.
    """
    if keep > count:
        raise UsageError(f"cannot keep {keep} of {count} pictures")
    if enough is not None and not 0 < enough <= 1:
        raise UsageError(f"what is enough is a probability between 0 and 1, not {enough:g}")
    looks = job.looks()
    if not looks:
        raise UsageError("there is nothing to judge without a prompt")
    reader, best = judge([look.prompt for look in looks]), _Best(keep)
    weakest: dict[int, float] = {}
    right = 0
    for start in range(0, count, TOGETHER):
        seeds = range(job.seed + start, job.seed + min(count, start + TOGETHER))
        results = run([job.model_copy(update={"seed": seed}) for seed in seeds], load, on_step)
        new = candidates(results, looks, reader)
        weakest.update((candidate.result.job.seed, candidate.weakest) for candidate in new)
        right += sum(candidate.right for candidate in new)
        best.add(new)
        if best.good(enough):
            break
    return Search(tuple(best.candidates), weakest, right, count)


def candidates(results: Sequence[Result], looks: Sequence[Look], judge: Classifier) -> list[Candidate]:
    """The pictures of some jobs that differ in their seeds, judged. Raises UsageError for a prompt it cannot say."""
    pictures = torch.stack([result.picture for result in results])
    each, right = [], torch.ones(len(results), dtype=torch.bool)
    for look in looks:
        if look.prompt not in judge.classes:
            raise UsageError(f"the judge cannot say {look.prompt!r}; it says {', '.join(judge.classes)}")
        wanted = judge.classes.index(look.prompt)
        probabilities = judge.probabilities(look.at(pictures)).cpu()
        each.append(probabilities[:, wanted])
        right &= probabilities.argmax(dim=1) == wanted
    rows: Float[Tensor, "b r"] = torch.stack(each, dim=1)
    return [
        # A probability of nothing a number is no probability: a diverged picture comes last.
        Candidate(result, tuple(value if math.isfinite(value) else 0.0 for value in row), bool(ok))
        for result, row, ok in zip(results, rows.tolist(), right.tolist(), strict=True)
    ]
