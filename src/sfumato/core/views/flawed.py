"""Views that cannot work, kept for what they teach: the deliberate failures of Geng et al. 2024, "Visual anagrams".

Each looks as good as the others. `sfumato views check` shows what is wrong, and `parse_view` refuses them unless asked.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from sfumato.core.filters import LowPass
from sfumato.core.views.base import View


@dataclass(frozen=True)
class SmoothCircle(View):
    """A disc in the middle turned counter-clockwise by any angle, its values interpolated between pixels."""

    name: ClassVar[str] = "circle"

    degrees: int = 135
    r: float = field(default=0.375, kw_only=True)
    """The disc's radius over the shorter side."""

    def __post_init__(self) -> None:
        if not 0 < self.r <= 0.5:
            raise ValueError(f"{self}: the radius is a fraction of the size, above 0 and at most 0.5")

    @property
    def flaw(self) -> str:
        """What goes wrong."""
        return (
            "mixes pixels: an interpolated value is a mean of several, so white noise comes out weaker and no longer "
            "white; choose one of 90, 180, 270 degrees"
        )

    def __call__(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """A x, bilinear."""
        return self._turned(x, self.degrees)

    def inverse(self, y: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Turned back, interpolated once more: not A⁻¹ y."""
        return self._turned(y, -self.degrees)

    def _turned(self, x: Float[Tensor, "b c h w"], degrees: int) -> Float[Tensor, "b c h w"]:
        height, width = x.shape[-2:]
        row, column = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        down, right = (row - (height - 1) / 2).to(x), (column - (width - 1) / 2).to(x)
        cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        # In the units of grid_sample, where the canvas reaches from −1 to 1.
        across, along = (cos * right - sin * down) * 2 / width, (cos * down + sin * right) * 2 / height
        where = torch.stack([across, along], -1).expand(len(x), -1, -1, -1)
        inside = down**2 + right**2 < (self.r * min(height, width)) ** 2
        return torch.where(inside, F.grid_sample(x, where, align_corners=False), x)


@dataclass(frozen=True)
class Blur(View):
    """Blurred by a Gaussian of standard deviation `sigma` pixels, as if a hybrid were a view."""

    name: ClassVar[str] = "blur"

    sigma: float = 2.0

    def __post_init__(self) -> None:
        LowPass(self.sigma)

    @property
    def flaw(self) -> str:
        """What goes wrong."""
        return (
            "does not keep white noise white and forgets what it blurs: the model is shown noise that it has never "
            "seen, and its answer cannot be brought back; a hybrid filters the answer instead"
        )

    def __call__(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """A x."""
        return LowPass(self.sigma)(x)

    def inverse(self, y: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """y itself: what is blurred away is gone."""
        return y


@dataclass(frozen=True)
class WhiteBalance(View):
    """Every channel times its own gain, as in the photo of a dress that is blue or white."""

    name: ClassVar[str] = "white-balance"

    gains: tuple[float, ...] = (1.5,)
    """One for each channel, or one for all of them."""

    def __post_init__(self) -> None:
        if 0 in self.gains:
            raise ValueError(f"{self}: a gain of 0 leaves nothing to see")

    @property
    def flaw(self) -> str:
        """What goes wrong."""
        return (
            "scales white noise: it can be undone, but the model is shown more or less noise than it is told there is"
        )

    def __call__(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """A x. Raises ValueError when there is not one gain for each channel."""
        return x * self._column(x)

    def inverse(self, y: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """A⁻¹ y, which is not Aᵀ y."""
        return y / self._column(y)

    def _column(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "#c 1 1"]:
        if len(self.gains) not in {1, x.shape[1]}:
            raise ValueError(f"{self} has {len(self.gains)} gains for {x.shape[1]} channels")
        return torch.tensor(self.gains).to(x)[:, None, None]
