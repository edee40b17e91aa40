"""Filters that act on each pixel alone: colour, weight, region."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from sfumato.core.filters.base import Filter


@dataclass(frozen=True)
class Grey(Filter):
    """The mean of the channels, in each of them: what is seen of a picture in dim light."""

    def __call__(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The grey pictures."""
        return x.mean(1, keepdim=True).expand(x.shape)


@dataclass(frozen=True)
class Colour(Filter):
    """What greyness takes away: x − Grey(x). Of a picture of one channel nothing is left."""

    def __call__(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The pictures without their lightness."""
        return x - Grey()(x)


@dataclass(frozen=True)
class Scale(Filter):
    """A weight: w · x."""

    weight: float

    def __call__(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The pictures times the weight."""
        return self.weight * x

    def share(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """|w|."""
        return torch.full_like(x, abs(self.weight))


@dataclass(frozen=True, eq=False)
class Mask(Filter):
    """A region: m · x, with m from 0 to 1. Masks with the same values are equal."""

    mask: Float[Tensor, "1 h w"] = field(repr=False)
    """Copied, so that it stays what it is."""

    def __post_init__(self) -> None:
        if not bool(((self.mask >= 0) & (self.mask <= 1)).all()):
            raise ValueError("the values of a mask must be between 0 and 1")
        object.__setattr__(self, "mask", self.mask.detach().clone())

    def __call__(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The pictures inside the region. Raises ValueError for pictures of another size."""
        if x.shape[-2:] != self.mask.shape[-2:]:
            sizes = ["×".join(map(str, each.shape[-2:])) for each in (self.mask, x)]
            raise ValueError(f"a mask of {sizes[0]} pixels does not fit a canvas of {sizes[1]}")
        return self.mask.to(x) * x

    def share(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """m."""
        return self(torch.ones_like(x))

    def enlarged(self, ratio: float) -> Mask:
        """The mask enlarged bilinearly, so that masks that sum to 1 still do."""
        wide = F.interpolate(self.mask[None], scale_factor=ratio, mode="bilinear", align_corners=False)
        return Mask(wide[0].clamp(0, 1))

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width of the mask."""
        _, height, width = self.mask.shape
        return height, width

    @cached_property
    def _content(self) -> tuple[tuple[int, ...], bytes]:
        values = self.mask.double().cpu().contiguous().numpy().tobytes()
        return tuple(self.mask.shape), hashlib.sha256(values).digest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mask) and self._content == other._content

    def __hash__(self) -> int:
        return hash(self._content)
