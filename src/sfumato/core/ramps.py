"""Weights that change on the way from noise to picture."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass

from sfumato.core.levels import Level


@dataclass(frozen=True)
class Ramp:
    """A weight that goes from `noisy` at pure noise to `clean` without any, straight in the noise's share.

    The share of a level is sigma/(alpha + sigma): of a flow its time, and of every schedule 0 at a clean level. Where
    the first level still has some signal, as with the bundled digits, it is less than 1 there.
    """

    noisy: float
    clean: float

    def at(self, level: Level) -> float:
        """The weight at a level."""
        share = level.sigma / (level.alpha + level.sigma)
        return (1 - share) * self.clean + share * self.noisy


Weight = float | Ramp
"""A weight in an estimate: the same at all levels, or a ramp."""

RampEnds = tuple[float, float]
"""A ramp as plain data: the weight at pure noise, and at the clean picture."""
PlainWeight = float | RampEnds
"""A weight as plain data."""


def read_weight(value: object) -> PlainWeight:
    """A weight from a number, from two, or from text: 4, or 4..1 for a ramp. Raises ValueError for anything else."""
    match value.split("..") if isinstance(value, str) else value:
        case [noisy, clean]:
            return _finite(noisy), _finite(clean)
        case [only] if isinstance(value, str):
            return _finite(only)
        case number:
            return _finite(number)


def _finite(value: object) -> float:
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        with contextlib.suppress(OverflowError, ValueError):
            number = float(value)
            if math.isfinite(number):
                return number
    raise ValueError("should be a finite number, or two such as 2..0.5")


def spell_weight(plain: PlainWeight) -> str:
    """The text that `read_weight` reads: 4, or 4..1 for a ramp."""
    return "..".join(f"{end:g}" for end in plain) if isinstance(plain, tuple) else f"{plain:g}"


def make_weight(given: PlainWeight | Weight) -> Weight:
    """The weight that plain data mean; a ramp whose ends are equal is none."""
    if not isinstance(given, tuple):
        return given
    noisy, clean = given
    return noisy if noisy == clean else Ramp(noisy, clean)


def weight_at(weight: Weight, level: Level) -> float:
    """The weight at a level."""
    return weight.at(level) if isinstance(weight, Ramp) else weight
