"""Views of the whole canvas: turned over, turned, negated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from sfumato.core.views.base import View


@dataclass(frozen=True)
class Flip(View):
    """Upside down: rows in reverse order."""

    name: ClassVar[str] = "flip"

    def __call__(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """A x."""
        return x.flip(-2)

    def inverse(self, y: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """A⁻¹ y = A y."""
        return self(y)


@dataclass(frozen=True)
class Mirror(View):
    """Left and right exchanged: columns in reverse order."""

    name: ClassVar[str] = "mirror"

    def __call__(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """A x."""
        return x.flip(-1)

    def inverse(self, y: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """A⁻¹ y = A y."""
        return self(y)


@dataclass(frozen=True)
class Rotate(View):
    """Turned counter-clockwise by 90, 180 or 270 degrees."""

    name: ClassVar[str] = "rotate"

    degrees: int

    def __post_init__(self) -> None:
        if self.degrees not in {90, 180, 270}:
            why = "would mix pixels" if self.degrees % 90 else "is not offered"
            raise ValueError(f"rotate:{self.degrees} {why}; choose one of 90, 180, 270")

    def __call__(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
        """A x."""
        return torch.rot90(x, self.degrees // 90, (-2, -1))

    def inverse(self, y: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
        """A⁻¹ y."""
        return torch.rot90(y, -self.degrees // 90, (-2, -1))


@dataclass(frozen=True)
class Negate(View):
    """Every value with the opposite sign.

    Black becomes white where the model's pixel range is symmetric about 0.
    """

    name: ClassVar[str] = "negate"

    def __call__(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """A x."""
        return -x

    def inverse(self, y: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """A⁻¹ y = A y."""
        return self(y)

    def inverse_magnitude(self, y: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """|A|⁻¹ y = y."""
        return y
