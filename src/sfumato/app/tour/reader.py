"""What is read in pictures, where somebody can read them; where nobody can, nothing is said of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from sfumato.app.job import Look
from sfumato.app.report.figures import Verdict
from sfumato.app.run import Result
from sfumato.evaluation.samples import Classifier


@dataclass(frozen=True)
class Read:
    """What was read in a picture."""

    name: str = ""
    """Empty where nobody could read it."""
    sure: float = 0.0
    """The probability that the judge gives to it."""

    def verdict(self, wanted: str | None) -> Verdict:
        """Whether it is what was wanted, where somebody wanted something and somebody could read."""
        if wanted is None or not self.name:
            return ""
        return "right" if self.name == wanted else "wrong"

    def after(self, said: str) -> str:
        """A description with what was read."""
        return f"{said}, read as {self.name}" if self.name else said


@dataclass(frozen=True, eq=False)
class Reader:
    """A judge, or nobody."""

    judge: Classifier | None

    @property
    def reads(self) -> bool:
        """Whether there is anybody."""
        return self.judge is not None

    def read(self, pictures: Float[Tensor, "n c h w"]) -> list[Read]:
        """What is read in each picture."""
        if self.judge is None:
            return [Read()] * len(pictures)
        sure, index = self.judge.probabilities(pictures).max(1)
        return [Read(self.judge.classes[int(i)], float(p)) for i, p in zip(index, sure, strict=True)]

    def chance(self, pictures: Float[Tensor, "n c h w"], wanted: str) -> list[float]:
        """How probable it is in each picture; none where nobody reads."""
        if self.judge is None:
            return []
        column = self.judge.probabilities(pictures)[:, self.judge.classes.index(wanted)]
        return [float(p) for p in column]

    def count(self, pictures: Float[Tensor, "n c h w"], expected: Sequence[str | None]) -> int:
        """How many are read as expected."""
        return sum(read.name == wanted for read, wanted in zip(self.read(pictures), expected, strict=True))


@dataclass(frozen=True, eq=False)
class Judged:
    """A picture of several readings, with what is read in each of them."""

    result: Result
    looks: tuple[Look, ...]
    seen: tuple[Float[Tensor, "c h w"], ...]
    """The picture as it is looked at for each reading."""
    read: tuple[Read, ...]
    chances: tuple[float, ...]
    """Of what was wanted; none where nobody reads."""

    @property
    def picture(self) -> Float[Tensor, "c h w"]:
        """As it is."""
        return self.result.picture

    @property
    def wanted(self) -> tuple[str, ...]:
        """What is to be read."""
        return tuple(look.prompt for look in self.looks)

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """Whether each reading is as wanted."""
        return tuple(read.verdict(look.prompt) for read, look in zip(self.read, self.looks, strict=True))

    @property
    def works(self) -> bool:
        """Whether all are."""
        return all(verdict == "right" for verdict in self.verdicts)

    @property
    def weakest(self) -> float:
        """The smallest of the probabilities; 0 where nobody reads."""
        return min(self.chances, default=0.0)


def judged(results: Sequence[Result], reader: Reader) -> list[Judged]:
    """Each picture with what is read in it in every one of its ways."""
    out = []
    for result in results:
        looks = result.job.looks()
        seen = tuple(look.at(result.picture[None])[0] for look in looks)
        read = tuple(reader.read(x[None])[0] for x in seen)
        chances = tuple(p for x, look in zip(seen, looks, strict=True) for p in reader.chance(x[None], look.prompt))
        out.append(Judged(result, looks, seen, read, chances))
    return out


def best_of_each(found: Sequence[Judged], tries: int) -> list[Judged]:
    """The best of every `tries`, the best first; where nobody reads the first of each."""
    groups = [found[k : k + tries] for k in range(0, len(found), tries)]
    return sorted((max(group, key=lambda one: one.weakest) for group in groups), key=lambda one: -one.weakest)
