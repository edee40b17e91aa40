"""Constraints: what is done to a canvas after each step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

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
