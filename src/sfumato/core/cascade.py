"""From one size to the next: what the later stage of a cascade is guided by (Ho et al. 2022)."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from sfumato.core.levels import Level, diffuse
from sfumato.core.schedules import Additive, Schedule


@dataclass(frozen=True)
class LowResolution:
    """The smaller picture as the model of the next size sees it: brought to that size, then noised a little.

    The noise (their "conditioning augmentation", section 4.2) lets the later stage mend what the earlier one got
    wrong.
    """

    size: int
    """Height and width of the smaller picture."""
    schedule: Schedule = field(default_factory=Additive)
    """The noise levels that it may be at."""
    t: float = 0.1
    """The time of its level when sampling; of an additive schedule the noise's standard deviation."""
    align_corners: bool = False
    """Whether the outermost pixels of both sizes lie on each other, or their edges (torch's bilinear `interpolate`)."""

    @property
    def level(self) -> Level:
        """Its noise level when sampling. Raises ValueError when the schedule has none at `t`."""
        return self.schedule.level(self.t)

    def enlarged(self, small: Float[Tensor, "b c s s"], size: int) -> Float[Tensor, "b c h w"]:
        """Pictures bilinearly brought to `size`."""
        return F.interpolate(small, size=(size, size), mode="bilinear", align_corners=self.align_corners)


@dataclass(frozen=True, eq=False)
class Guide:
    """The smaller picture that one canvas is guided by, values in the model's pixel range."""

    small: Float[Tensor, "c s s"]
    low_res: LowResolution

    def noised(self, noise: Float[Tensor, "c h w"]) -> Float[Tensor, "c h w"]:
        """What the model sees beside the canvas: the picture at the canvas's size, at its level with this noise."""
        return diffuse(self.low_res.enlarged(self.small[None], noise.shape[-1])[0].to(noise), self.low_res.level, noise)


def draw_guides(
    low_res: LowResolution, x0: Float[Tensor, "b c h w"], generator: torch.Generator
) -> Float[Tensor, "b c h w"]:
    """For training: the guides of clean pictures, made from their means over blocks of pixels.

    The noise has for each picture another standard deviation, between 0 and twice that of sampling.
    """
    enlarged = low_res.enlarged(F.adaptive_avg_pool2d(x0, low_res.size), x0.shape[-1])
    scale = 2 * low_res.level.sigma * torch.rand(len(x0), 1, 1, 1, generator=generator)
    return enlarged + (scale * torch.randn(x0.shape, generator=generator)).to(x0)
