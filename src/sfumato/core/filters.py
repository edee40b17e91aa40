"""Linear maps L of a noise estimate. Filters that sum to the identity split a picture into bands, for hybrids."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


class Filter(ABC):
    """A linear map of pictures."""

    @abstractmethod
    def __call__(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """L x."""


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
        if self.kernel is not None and (self.kernel < 1 or self.kernel % 2 == 0):
            raise ValueError(f"the kernel's width must be odd and positive, not {self.kernel}")

    def __call__(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The blurred pictures."""
        rows = self._along(x.reshape(-1, 1, *x.shape[-2:]), -1)
        return self._along(rows, -2).reshape(x.shape)

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


def gaussian(sigma: float, radius: int) -> Float[Tensor, " k"]:
    """A Gaussian sampled at −radius … radius, summing to 1."""
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float64)
    weights = torch.exp(-0.5 * (offsets / sigma) ** 2)
    return weights / weights.sum()
