"""What a filter is, and filters made of others."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


class Filter(ABC):
    """A linear map L of pictures: a frozen, hashable value."""

    @abstractmethod
    def __call__(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """L x. Raises ValueError for a canvas that it does not fit."""

    def share(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """How much a variance counts, pixel by pixel, beside those that other filters in a sum let through.

        All the same, unless the filter acts on each pixel alone.
        """
        return torch.ones_like(x)

    def enlarged(self, ratio: float) -> Filter:
        """What does the same on canvases `ratio` times as large: its lengths in pixels are as much larger."""
        del ratio
        return self

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width of the canvases that it fits; None for all."""
        return None


@dataclass(frozen=True)
class Series(Filter):
    """Filters one after the other, the first one first."""

    filters: tuple[Filter, ...]

    def __call__(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """L x."""
        for each in self.filters:
            x = each(x)
        return x

    def enlarged(self, ratio: float) -> Series:
        """All of them enlarged."""
        return Series(tuple(each.enlarged(ratio) for each in self.filters))

    @property
    def size(self) -> tuple[int, int] | None:
        """That of the first that has one."""
        return next((each.size for each in self.filters if each.size), None)


@dataclass(frozen=True)
class Residual(Filter):
    """What a filter takes away: x − L x."""

    filter: Filter

    def __call__(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The pictures without what the filter lets through."""
        return x - self.filter(x)

    def enlarged(self, ratio: float) -> Residual:
        """What the enlarged filter takes away."""
        return Residual(self.filter.enlarged(ratio))

    @property
    def size(self) -> tuple[int, int] | None:
        """That of the filter."""
        return self.filter.size
