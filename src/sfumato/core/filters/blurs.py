"""Filters that mix pixels: by frequency, and along a line."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from sfumato.core.filters.base import Filter


@dataclass(frozen=True)
class LowPass(Filter):
    """Gaussian blur of standard deviation `sigma` pixels, borders reflected.

    `kernel` is the odd width of the kernel in pixels; by default 16·sigma + 1 (33 for sigma 2, as in the course), no
    wider than reflection allows. It acts on each channel alone.
    """

    sigma: float
    kernel: int | None = None

    def __post_init__(self) -> None:
        if not self.sigma > 0:
            raise ValueError(f"the blur's sigma must be positive, not {self.sigma:g}")
        if self.kernel is not None:
            _check_width(self.kernel)

    def __call__(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The blurred pictures."""
        rows = self._along(x.reshape(-1, 1, *x.shape[-2:]), -1)
        return self._along(rows, -2).reshape(x.shape)

    def enlarged(self, ratio: float) -> LowPass:
        """With a larger sigma and kernel."""
        return LowPass(self.sigma * ratio, self.kernel and _odd(self.kernel * ratio))

    def _along(self, x: Float[Tensor, "n 1 h w"], axis: int) -> Float[Tensor, "n 1 h w"]:
        wanted = math.ceil(8 * self.sigma) if self.kernel is None else self.kernel // 2
        radius = min(wanted, x.shape[axis] - 1)
        weights = gaussian(self.sigma, radius).to(x)
        shape, pad = ((1, 1, 1, -1), (radius, radius, 0, 0)) if axis == -1 else ((1, 1, -1, 1), (0, 0, radius, radius))
        return F.conv2d(F.pad(x, pad, mode="reflect"), weights.view(shape))


@dataclass(frozen=True)
class HighPass(Filter):
    """What the low pass takes away: x − LowPass(x)."""

    sigma: float
    kernel: int | None = None

    def __call__(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The pictures without their low frequencies."""
        return x - LowPass(self.sigma, self.kernel)(x)

    def enlarged(self, ratio: float) -> HighPass:
        """With a larger sigma and kernel."""
        return HighPass(self.sigma * ratio, self.kernel and _odd(self.kernel * ratio))


@dataclass(frozen=True)
class MotionBlur(Filter):
    """The mean along a line of `width` pixels (odd) through each, borders reflected, as if the picture had moved.

    `angle` is the line's in degrees, counter-clockwise from one that lies flat; −45 runs down to the right. The line
    has a pixel in each column, or in each row where it is steep. Geng et al. 2024, "Factorized diffusion", blur along
    the diagonal.
    """

    width: int = 7
    angle: float = -45.0

    def __post_init__(self) -> None:
        _check_width(self.width)

    def __call__(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The blurred pictures."""
        height, width = x.shape[-2:]
        radius = min(self.width // 2, height - 1, width - 1)
        right, up = math.cos(math.radians(self.angle)), math.sin(math.radians(self.angle))
        step = max(abs(right), abs(up))
        line = [(-round(k * up / step), round(k * right / step)) for k in range(-radius, radius + 1)]
        wide = F.pad(x, (radius, radius, radius, radius), mode="reflect")
        moved = [wide[..., radius + dy :, radius + dx :][..., :height, :width] for dy, dx in line]
        return torch.stack(moved).mean(0)

    def enlarged(self, ratio: float) -> MotionBlur:
        """Along a longer line."""
        return MotionBlur(_odd(self.width * ratio), self.angle)


def gaussian(sigma: float, radius: int) -> Float[Tensor, " k"]:
    """A Gaussian sampled at −radius … radius, summing to 1."""
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float64)
    weights = torch.exp(-0.5 * (offsets / sigma) ** 2)
    return weights / weights.sum()


def _odd(width: float) -> int:
    """The whole number next to a width, or the odd one above it: 4 times 33 is 133, as in public hybrid code."""
    return round(width) | 1


def _check_width(width: int) -> None:
    if width < 1 or width % 2 == 0:
        raise ValueError(f"the kernel's width must be odd and positive, not {width}")
