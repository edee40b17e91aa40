"""Pictures as people have them, values in [0, 1], and as a model has them."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from sfumato.core.estimates import Denoiser


def to_unit(x: Float[Tensor, "*b c h w"], model: Denoiser) -> Float[Tensor, "*b c h w"]:
    """Pictures in the model's pixel range as values in [0, 1] on the CPU, those outside cut off."""
    low, high = model.pixel_range
    return ((x.float().cpu() - low) / (high - low)).clamp(0, 1)


def from_unit(x: Float[Tensor, "*b c h w"], model: Denoiser) -> Float[Tensor, "*b c h w"]:
    """Pictures in [0, 1] as values in the model's pixel range on its device."""
    low, high = model.pixel_range
    return (low + (high - low) * x.float()).to(model.device)
