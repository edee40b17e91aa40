"""Samples of a model, and what a judge reads in them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from sfumato.core.estimates import Denoiser, Node, guided
from sfumato.core.loop import Canvas, Step, steps
from sfumato.core.loops import Loop
from sfumato.core.pixels import to_unit
from sfumato.core.ramps import PlainWeight
from sfumato.core.schedules import Path
from sfumato.errors import UsageError, one_of
from sfumato.evaluation.metrics import confusion

Progress = Callable[[int, int], None]
"""Is told how many steps are done, and how many there are in all."""


def silent(done: int, total: int) -> None:
    """The progress of which nobody wants to know."""
    del done, total


@runtime_checkable
class Classifier(Protocol):
    """What a judge is to a measure: names of classes, and how probable each is."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes."""
        ...

    def probabilities(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """A probability for each class, of pictures in [0, 1]; rows sum to one."""
        ...


@dataclass(frozen=True)
class Sampling:
    """How canvases are sampled: everything but what they are of."""

    steps: int
    guidance: PlainWeight = 1.0
    """γ of ε_u + γ(ε_c − ε_u)."""
    loop: Loop = Loop()  # noqa: RUF009 (frozen)
    """Which levels are visited, and how the canvas goes from one to the next."""
    batch: int = 64
    """Canvases that walk together."""
    row_limit: int = 128
    """Rows of one forward."""

    def __post_init__(self) -> None:
        if self.batch < 1 or self.row_limit < 1:
            raise UsageError(f"batch and row_limit must be at least 1, not {self.batch} and {self.row_limit}")

    def path(self, model: Denoiser) -> Path:
        """The levels to visit. Raises UsageError for a number of steps that the model cannot do."""
        try:
            return self.loop.path(model.schedule, self.steps)
        except ValueError as error:
            raise UsageError(str(error)) from error


def sample_trees(
    model: Denoiser, trees: Sequence[Node], seeds: Sequence[int], how: Sampling, on_step: Progress = silent
) -> Float[Tensor, "b c h w"]:
    """One picture for each tree and seed, in [0, 1] on the CPU, `how.batch` of them at a time.

    Raises UsageError when there is nothing to sample, not one seed for each tree, or a number of steps that the model
    cannot do.
    """
    if not trees or len(trees) != len(seeds):
        raise UsageError(f"sampling wants one seed for each picture, and at least one: {len(seeds)} and {len(trees)}")
    path, sampler = how.path(model), how.loop.solver()
    trees = [how.loop.thresholded(tree, model.pixel_range) for tree in trees]
    canvases = [Canvas(tree, seed) for tree, seed in zip(trees, seeds, strict=True)]
    parts = [canvases[start : start + how.batch] for start in range(0, len(canvases), how.batch)]
    done, total = 0, len(parts) * (len(path) - 1)
    pictures = []
    for part in parts:
        last: Step | None = None
        for last in steps(model, part, path, sampler, row_limit=how.row_limit):
            if last.index > 0:
                done += 1
                on_step(done, total)
        assert last is not None
        pictures.append(to_unit(last.x, model))
    return torch.cat(pictures)


def sample_classes(
    model: Denoiser, classes: Sequence[str], n: int, how: Sampling, *, seed: int = 0, on_step: Progress = silent
) -> tuple[Float[Tensor, "b c h w"], tuple[str, ...]]:
    """n pictures in [0, 1] and the names they were asked for: the classes in turn, picture k with seed + k.

    Raises UsageError for no classes, and as `sample_trees` does.
    """
    if not classes:
        raise UsageError("this model knows no classes to ask for")
    names = tuple(classes[k % len(classes)] for k in range(n))
    trees = [guided(name, scale=how.guidance) for name in names]
    return sample_trees(model, trees, range(seed, seed + n), how, on_step), names


@dataclass(frozen=True)
class JudgedSamples:
    """What a judge read in pictures of known classes."""

    classes: tuple[str, ...]
    """The judge's."""
    confusion: tuple[tuple[int, ...], ...]
    """How often each class (row) was taken for each (column)."""

    @property
    def count(self) -> int:
        """Pictures in all."""
        return sum(map(sum, self.confusion))

    @property
    def correct(self) -> int:
        """Pictures that were read as what they should be."""
        return sum(row[k] for k, row in enumerate(self.confusion))

    @property
    def accuracy(self) -> float:
        """The share of them, in [0, 1]."""
        return self.correct / self.count

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of the accuracy."""
        return wilson_interval(self.correct, self.count)

    @property
    def per_class(self) -> dict[str, float]:
        """The accuracy within each class that there are pictures of."""
        rows = zip(self.classes, self.confusion, strict=True)
        return {name: row[k] / sum(row) for k, (name, row) in enumerate(rows) if sum(row)}

    def to_dict(self) -> dict[str, Any]:
        """Plain data, fit for JSON."""
        return {
            "count": self.count,
            "correct": self.correct,
            "accuracy": self.accuracy,
            "interval": list(self.interval),
            "per_class": self.per_class,
            "classes": list(self.classes),
            "confusion": [list(row) for row in self.confusion],
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> JudgedSamples:
        """The inverse of `to_dict`."""
        return cls(tuple(data["classes"]), tuple(tuple(row) for row in data["confusion"]))

    def to_markdown(self) -> str:
        """A sentence and the confusion matrix."""
        body = [
            (name, *(str(n or "·") for n in row), f"{self.per_class[name]:.0%}")
            for name, row in zip(self.classes, self.confusion, strict=True)
            if sum(row)
        ]
        table = markdown_table(("asked \\ read", *self.classes, "right"), body)
        return f"{share(self.correct, self.count)} are read as what was asked for.\n\n{table}"


@dataclass(frozen=True)
class RecognisedSamples:
    """What a judge read in pictures of which nobody knows what they should be."""

    classes: tuple[str, ...]
    """The judge's."""
    histogram: tuple[int, ...]
    """How many pictures are most probably of each class."""
    recognised: int
    """Pictures whose most probable class has at least the probability `threshold`."""
    threshold: float

    @property
    def count(self) -> int:
        """Pictures in all."""
        return sum(self.histogram)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, fit for JSON."""
        return {
            "count": self.count,
            "recognised": self.recognised,
            "share": self.recognised / self.count,
            "interval": list(wilson_interval(self.recognised, self.count)),
            "threshold": self.threshold,
            "classes": list(self.classes),
            "histogram": list(self.histogram),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> RecognisedSamples:
        """The inverse of `to_dict`."""
        return cls(tuple(data["classes"]), tuple(data["histogram"]), data["recognised"], data["threshold"])

    def to_markdown(self) -> str:
        """A sentence and the histogram."""
        table = markdown_table(("read as", *self.classes), [("samples", *map(str, self.histogram))])
        sentence = (
            f"{share(self.recognised, self.count)} are recognised with a probability of {self.threshold:g} or more."
        )
        return f"{sentence}\n\n{table}"


def judged(pictures: Float[Tensor, "b c h w"], expected: Sequence[str], judge: Classifier) -> JudgedSamples:
    """What the judge reads in pictures in [0, 1] that should be of the `expected` classes.

    Raises UsageError for no pictures, not one name for each, or a name that the judge does not know.
    """
    if len(pictures) != len(expected) or not expected:
        raise UsageError(f"judging wants a class for each picture, and at least one: {len(expected)}, {len(pictures)}")
    wanted = class_indices(expected, judge)
    table = confusion(judge.probabilities(pictures).argmax(dim=1), wanted, len(judge.classes))
    return JudgedSamples(judge.classes, tuple(tuple(row) for row in table.tolist()))


def recognised(pictures: Float[Tensor, "b c h w"], judge: Classifier, threshold: float = 0.9) -> RecognisedSamples:
    """How many pictures in [0, 1] the judge is sure of, and how they spread over its classes.

    Raises UsageError when there are none.
    """
    if len(pictures) == 0:
        raise UsageError("there are no pictures to judge")
    best = judge.probabilities(pictures).max(dim=1)
    histogram = torch.bincount(best.indices.cpu(), minlength=len(judge.classes))
    return RecognisedSamples(judge.classes, tuple(histogram.tolist()), int((best.values >= threshold).sum()), threshold)


def class_indices(names: Sequence[str], judge: Classifier) -> torch.Tensor:
    """The judge's indices of names. Raises UsageError for one that it does not know."""
    for name in names:
        if name not in judge.classes:
            raise one_of("class of the judge", name, judge.classes)
    return torch.tensor([judge.classes.index(name) for name in names], dtype=torch.long)


def wilson_interval(successes: int, trials: int, z: float = 1.959964) -> tuple[float, float]:
    """Where the probability of success lies, with 95 % confidence for the default z (Wilson 1927), within [0, 1].

    Unlike the textbook's ±√(p(1−p)/n) it is no point when all or none succeed. Raises UsageError for impossible counts.
    """
    if not 0 <= successes <= trials or trials == 0:
        raise UsageError(f"{successes} successes in {trials} trials have no interval")
    p = successes / trials
    centre = p + z**2 / (2 * trials)
    radius = z * math.sqrt(p * (1 - p) / trials + z**2 / (4 * trials**2))
    scale = 1 + z**2 / trials
    # At 0 and 1 the formula meets the border exactly, but for rounding.
    low = 0.0 if successes == 0 else (centre - radius) / scale
    high = 1.0 if successes == trials else (centre + radius) / scale
    return low, high


def share(successes: int, trials: int) -> str:
    """A share with its interval in words, such as `93 of 100 samples (93.0 %, 95 % interval 86.3–96.6 %)`."""
    low, high = wilson_interval(successes, trials)
    percent = f"{100 * successes / trials:.1f} %"
    return f"{successes} of {trials} samples ({percent}, 95 % interval {100 * low:.1f}–{100 * high:.1f} %)"


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown, its columns padded so that it reads well as it stands; the first is flush left."""
    widths = [max(3, *(len(line[k]) for line in (head, *rows))) for k in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        first, *others = (cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
        return f"| {' | '.join([first.strip().ljust(widths[0]), *others])} |"

    rule = [("-" * w if k == 0 else "-" * (w - 1) + ":") for k, w in enumerate(widths)]
    return "\n".join(line(cells) for cells in (head, rule, *rows))
