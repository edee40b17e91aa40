"""Weights that change on the way from noise to picture."""

from __future__ import annotations

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


def weight_at(weight: Weight, level: Level) -> float:
    """The weight at a level."""
    return weight.at(level) if isinstance(weight, Ramp) else weight
