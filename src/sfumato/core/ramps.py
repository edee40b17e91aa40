"""Weights that change on the way from noise to picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sfumato.core.levels import Level


@dataclass(frozen=True)
class Ramp:
    """A weight that goes from `noisy` at pure noise to `clean` without any, straight in the noise's share.

    The share of a level is sigma/(alpha + sigma): of a flow its time, and of every schedule 0 at a clean level and
    near 1 at the first.
    """

    noisy: float
    clean: float

    def at(self, level: Level) -> float:
        """The weight at a level."""
        share = level.sigma / (level.alpha + level.sigma)
        return (1 - share) * self.clean + share * self.noisy


Weight = float | Ramp
"""A weight in an estimate: the same at all levels, or a ramp."""

Ends = tuple[float, float]
"""A ramp as plain data: the weight at pure noise, and at the clean picture."""
Plain = float | Ends
"""A weight as plain data."""


def plain_weight(value: float | Sequence[float]) -> Plain:
    """Plain data as JSON gives them back, where a ramp's ends are a list."""
    if isinstance(value, Sequence):
        noisy, clean = value
        return float(noisy), float(clean)
    return float(value)


def make_weight(plain: Plain) -> Weight:
    """The weight that plain data mean."""
    if not isinstance(plain, tuple):
        return plain
    noisy, clean = plain
    return noisy if noisy == clean else Ramp(noisy, clean)


def spell_weight(plain: Plain) -> str:
    """As it is written: 4, or 4..1 for a ramp."""
    return "..".join(f"{end:g}" for end in plain) if isinstance(plain, tuple) else f"{plain:g}"


def parse_weight(text: str) -> Plain:
    """What `spell_weight` writes. Raises ValueError for anything else."""
    first, dots, last = text.partition("..")
    try:
        return (float(first), float(last)) if dots else float(first)
    except ValueError as error:
        raise ValueError(f"a number, or two such as 2..0.5, not {text!r}") from error


def weight_at(weight: Weight, level: Level) -> float:
    """The weight at a level."""
    return weight.at(level) if isinstance(weight, Ramp) else weight
