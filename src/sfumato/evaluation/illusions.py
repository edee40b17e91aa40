"""Whether illusions succeed: a judge reads one picture in both of the ways that it was made to be read."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sfumato.core.estimates import Denoiser, Node, anagram, guided, hybrid
from sfumato.core.filters import LowPass
from sfumato.core.views import IDENTITY, Rotate, View
from sfumato.errors import UsageError
from sfumato.evaluation.samples import (
    Classifier,
    Progress,
    Sampling,
    class_indices,
    markdown_table,
    sample_trees,
    share,
    silent,
    wilson_interval,
)

Pair = tuple[str, str]
"""What the two readings are to be."""
UPSIDE_DOWN: tuple[View, View] = (IDENTITY, Rotate(180))
"""The views of an anagram that is turned on its head."""


@dataclass(frozen=True)
class PairScore:
    """How often an illusion of two classes succeeds."""

    wanted: Pair
    count: int
    """Seeds that were tried."""
    both: int
    """Seeds for which both readings are as wanted."""
    each: tuple[int, int]
    """Seeds for which the one, and the other, is."""
    weakest: float
    """The probability of the wanted class, in the reading where it is smaller; the mean over the seeds."""
    best_seed: int
    """The seed where that is largest: the one to show."""
    best_weakest: float
    """How large it is there."""


@dataclass(frozen=True)
class IllusionTable:
    """The success of an illusion for many pairs of classes."""

    kind: str
    """anagram or hybrid."""
    readings: tuple[str, str]
    """How the picture is looked at for the one and for the other reading."""
    scores: tuple[PairScore, ...]

    @property
    def count(self) -> int:
        """Pictures in all."""
        return sum(score.count for score in self.scores)

    @property
    def both(self) -> int:
        """Pictures whose readings are both as wanted."""
        return sum(score.both for score in self.scores)

    @property
    def each(self) -> tuple[int, int]:
        """Pictures whose one reading, and whose other, is."""
        return sum(score.each[0] for score in self.scores), sum(score.each[1] for score in self.scores)

    def best(self, n: int) -> tuple[PairScore, ...]:
        """The n pairs that succeed most often, the more certain first among equals."""
        return tuple(sorted(self.scores, key=lambda score: (-score.both / score.count, -score.weakest))[:n])

    def to_dict(self) -> dict[str, Any]:
        """Plain data, fit for JSON."""
        return {
            "kind": self.kind,
            "readings": list(self.readings),
            "count": self.count,
            "both": self.both,
            "share": self.both / self.count,
            "interval": list(wilson_interval(self.both, self.count)),
            "each": list(self.each),
            "pairs": [{**asdict(s), "wanted": list(s.wanted), "each": list(s.each)} for s in self.scores],
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> IllusionTable:
        """The inverse of `to_dict`."""
        scores = [PairScore(**{**s, "wanted": _two(s["wanted"]), "each": _two(s["each"])}) for s in data["pairs"]]
        return cls(data["kind"], _two(data["readings"]), tuple(scores))

    def to_markdown(self, shown: int = 5) -> str:
        """The overall success, a matrix of the pairs' successes, and the `shown` best pairs."""
        first, second = self.readings
        by_pair = {score.wanted: score for score in self.scores}
        rows, columns = (list(dict.fromkeys(pair[k] for pair in by_pair)) for k in (0, 1))
        body = [(row, *(_successes(by_pair.get((row, column))) for column in columns)) for row in rows]
        matrix = markdown_table((f"{first} \\ {second}", *columns), body)
        best = [
            (" / ".join(s.wanted), _successes(s), f"{s.weakest:.2f}", str(s.best_seed), f"{s.best_weakest:.2f}")
            for s in self.best(shown)
        ]
        ranking = markdown_table(("best pairs", "both", "mean weakest", "best seed", "its weakest"), best)
        return f"{self._sentence}\n\n{matrix}\n\n{ranking}"

    def to_lines(self) -> str:
        """The overall success, and a line for each pair: for pairs that make no matrix."""
        first, second = self.readings
        head = ("pair", "both", first, second, "mean weakest", "best seed", "its weakest")
        lines = [
            (
                " / ".join(s.wanted),
                _successes(s),
                *(f"{each}/{s.count}" for each in s.each),
                f"{s.weakest:.2f}",
                str(s.best_seed),
                f"{s.best_weakest:.2f}",
            )
            for s in self.best(len(self.scores))
        ]
        return f"{self._sentence}\n\n{markdown_table(head, lines)}"

    @property
    def _sentence(self) -> str:
        first, second = self.readings
        some = f"{sum(score.both > 0 for score in self.scores)} of {len(self.scores)} pairs"
        return (
            f"{share(self.both, self.count)} are read as wanted both ways, at least one of {some}; "
            f"{self.each[0]} {first}, {self.each[1]} {second}."
        )


def ordered_pairs(classes: Sequence[str]) -> tuple[Pair, ...]:
    """Every class with every class, itself included."""
    return tuple(itertools.product(classes, classes))


def seen(pictures: Float[Tensor, "b c h w"], view: View) -> Float[Tensor, "b c h2 w2"]:
    """Pictures in [0, 1] as a viewer sees them through the view.

    A view is linear and middle grey is its zero: what moves pixels does just that, `negate` makes 1 − x of x.
    """
    return (view(2 * pictures - 1) + 1) / 2


def from_afar(pictures: Float[Tensor, "b c h w"], sigma: float) -> Float[Tensor, "b c h w"]:
    """Pictures in [0, 1] without what is too small to be seen: blurred, and each stretched to the whole of [0, 1].

    A blur dims thin strokes, which the eye makes up for and a judge does not. `sigma` in pixels is the blur's standard
    deviation (ValueError unless positive). A picture of one value is black.
    """
    blurred = LowPass(sigma)(pictures)
    low, high = (bound(blurred, (1, 2, 3), keepdim=True) for bound in (torch.amin, torch.amax))
    # What rounding leaves of an even picture must not be stretched.
    even = high - low < 1e-4
    return torch.where(even, 0.0, (blurred - low) / torch.where(even, 1.0, high - low))


def anagram_table(
    model: Denoiser,
    pairs: Sequence[Pair],
    judge: Classifier,
    how: Sampling,
    *,
    views: tuple[View, View] = UPSIDE_DOWN,
    seeds: Sequence[int] = (0,),
    prompt: Callable[[str], str] = str,
    on_step: Progress = silent,
) -> IllusionTable:
    """How often an anagram of two classes is read as the one through one view and as the other through the other.

    All pairs are made with all seeds; `prompt` says what the model is asked for to show a class. Raises UsageError for
    no pairs or seeds, a class that the judge or the model does not know, and as `sample_trees` does.
    """

    def tree(pair: Pair) -> Node:
        return anagram([guided(prompt(name), scale=how.guidance) for name in pair], views)

    def look(pictures: Tensor) -> tuple[Tensor, Tensor]:
        return seen(pictures, views[0]), seen(pictures, views[1])

    names = (str(views[0]), str(views[1]))
    return _table("anagram", names, model, pairs, judge, how, tree, look, seeds, on_step)


def hybrid_table(
    model: Denoiser,
    pairs: Sequence[Pair],
    judge: Classifier,
    how: Sampling,
    *,
    sigma: float,
    read_sigma: float | None = None,
    seeds: Sequence[int] = (0,),
    prompt: Callable[[str], str] = str,
    on_step: Progress = silent,
) -> IllusionTable:
    """How often a hybrid of two classes, (far, near), is read as the one from afar and as the other from near.

    `sigma` in pixels parts the two when the picture is made; `read_sigma` blurs it for the reading from afar, by
    default the same; `prompt` is as there. Raises UsageError as `anagram_table` does, and for sigmas that are not
    positive.
    """
    blur = sigma if read_sigma is None else read_sigma
    if not (sigma > 0 and blur > 0):
        raise UsageError(f"the blurs of a hybrid must be positive, not {sigma:g} and {blur:g}")

    def tree(pair: Pair) -> Node:
        far, near = (guided(prompt(name), scale=how.guidance) for name in pair)
        return hybrid(far, near, sigma=sigma)

    def look(pictures: Tensor) -> tuple[Tensor, Tensor]:
        return from_afar(pictures, blur), pictures

    return _table("hybrid", ("from afar", "from near"), model, pairs, judge, how, tree, look, seeds, on_step)


def _table(
    kind: str,
    readings: Pair,
    model: Denoiser,
    pairs: Sequence[Pair],
    judge: Classifier,
    how: Sampling,
    tree: Callable[[Pair], Node],
    look: Callable[[Tensor], tuple[Tensor, Tensor]],
    seeds: Sequence[int],
    on_step: Progress,
) -> IllusionTable:
    if not pairs or not seeds:
        raise UsageError("an illusion wants at least one pair of classes and one seed")
    # Before an hour of sampling, not after it.
    wanted = [class_indices(names, judge) for names in zip(*pairs, strict=True)]
    trees = [tree(pair) for pair in pairs for _ in seeds]
    pictures = sample_trees(model, trees, [*seeds] * len(pairs), how, on_step)

    right, probability = [], []
    for reading, target in zip(look(pictures), wanted, strict=True):
        probabilities = judge.probabilities(reading).cpu().reshape(len(pairs), len(seeds), -1)
        asked = target[:, None].expand(-1, len(seeds))
        right.append(probabilities.argmax(dim=2) == asked)
        probability.append(probabilities.gather(2, asked[..., None])[..., 0])
    both, weakest = right[0] & right[1], torch.minimum(*probability)
    scores = []
    for k, pair in enumerate(pairs):
        best = int(weakest[k].argmax())
        each = int(right[0][k].sum()), int(right[1][k].sum())
        mean, top = weakest[k].double().mean().item(), weakest[k, best].item()
        scores.append(PairScore(pair, len(seeds), int(both[k].sum()), each, mean, seeds[best], top))
    return IllusionTable(kind, readings, tuple(scores))


def _successes(score: PairScore | None) -> str:
    return "" if score is None else f"{score.both}/{score.count}"


def _two(values: Sequence[Any]) -> tuple[Any, Any]:
    first, second = values
    return first, second
