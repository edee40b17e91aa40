"""From one size to the next: what the later stage of a cascade is guided by (Ho et al. 2022)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class LowResolution:
    """The smaller picture as the model of the next size sees it: with a little noise, brought to that size.

    The noise (their "conditioning augmentation", section 4.2) lets the later stage mend what the earlier one got
    wrong.
    """

    size: int
    """Height and width of the smaller picture."""
    noise: float = 0.1
    """Its standard deviation when sampling, in units where the pixel range is [−1, 1]."""
    most_noise: float = 0.2
    """While training it is drawn anew for each picture, between 0 and this."""

    def guide(
        self, small: Float[Tensor, "b c s s"], noise: Float[Tensor, "b c s s"], scale: float | Tensor, size: int
    ) -> Float[Tensor, "b c h w"]:
        """Pictures with `scale` times the noise, bilinearly brought to `size`."""
        noisy = small + scale * noise
        return F.interpolate(noisy, size=(size, size), mode="bilinear", align_corners=False)

    def draw(self, x0: Float[Tensor, "b c h w"], generator: torch.Generator) -> Float[Tensor, "b c h w"]:
        """For training: the guide of clean pictures, made from their means over blocks of pixels."""
        small = F.adaptive_avg_pool2d(x0, self.size)
        scale = torch.rand(len(x0), 1, 1, 1, generator=generator) * self.most_noise
        noise = torch.randn(small.shape, generator=generator)
        return self.guide(small, noise.to(x0.device), scale.to(x0.device), x0.shape[-1])

    def of(self, small: Float[Tensor, "c s s"], generator: torch.Generator, size: int) -> Float[Tensor, "c h w"]:
        """For sampling: the guide of one picture of this size. Raises ValueError for another size."""
        if small.shape[-2:] != (self.size, self.size):
            raise ValueError(f"the smaller picture must be {self.size}×{self.size}, not {tuple(small.shape[-2:])}")
        noise = torch.randn(small.shape, generator=generator).to(small.device)
        return self.guide(small[None], noise[None], self.noise, size)[0]
