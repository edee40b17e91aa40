"""Constraints: what is done to a canvas after each step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from sfumato.core.filters import Filter
from sfumato.core.levels import Level, diffuse


@runtime_checkable
class Constraint(Protocol):
    """A projection of one canvas at a level."""

    def apply(self, x: Float[Tensor, "c h w"], level: Level, draw: Callable[[], Tensor]) -> Float[Tensor, "c h w"]:
        """The canvas with the constraint met; `draw` gives fresh standard normal noise of its shape."""
        ...


@dataclass(frozen=True, eq=False)
class Inpaint:
    """x ← m·x + (1−m)·forward(original, t): new where the mask m is 1, the original where it is 0 (A1.7.2).

    At a clean level the original comes back as it is, so outside the mask the result is the original exactly.
    """

    original: Float[Tensor, "c h w"]
    mask: Float[Tensor, "1 h w"]
    """1 where the picture is to be made anew, 0 where it is kept; values between blend."""

    def apply(self, x: Float[Tensor, "c h w"], level: Level, draw: Callable[[], Tensor]) -> Float[Tensor, "c h w"]:
        """The canvas with the kept area put back, noised to the level."""
        kept = self.original if level.sigma == 0 else diffuse(self.original, level, draw())
        # Selected, not multiplied, where the mask is hard: 0·x + 1·kept is not kept when x is not finite.
        blend = self.mask * x + (1 - self.mask) * kept
        return torch.where(self.mask == 0, kept, torch.where(self.mask == 1, x, blend))


@dataclass(frozen=True, eq=False)
class Match:
    """x ← x − F x + F forward(reference, t): one component is the reference's, the others are made to go with it.

    (Geng et al. 2024, "Factorized diffusion", on inverse problems.) With a low pass the picture looks like the
    reference from afar, with `Grey` it colours it. At a clean level the component is the reference's own.
    """

    filter: Filter
    """F: one of filters that sum to the identity."""
    reference: Float[Tensor, "c h w"]

    def apply(self, x: Float[Tensor, "c h w"], level: Level, draw: Callable[[], Tensor]) -> Float[Tensor, "c h w"]:
        """The canvas with the component exchanged for that of the reference, noised to the level."""
        known = self.reference if level.sigma == 0 else diffuse(self.reference, level, draw())
        components = self.filter(torch.stack([x, known]))
        return x - components[0] + components[1]
