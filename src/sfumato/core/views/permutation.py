"""What a permutation of pixels is: it only says where each pixel comes from."""

from __future__ import annotations

from abc import abstractmethod
from functools import lru_cache

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from sfumato.core.views.base import View


class Permutation(View):
    """(A x)[p] = x[source(p)], the same for every channel. Its inverse is exact, bit for bit."""

    @abstractmethod
    def sources(self, height: int, width: int) -> Int64[Tensor, "h w"]:
        """For each pixel of what is seen, the index (row · width + column) of the pixel that it comes from.

        Raises ValueError for a canvas that it does not fit.
        """

    def __call__(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """A x."""
        return x.flatten(-2)[..., _tables(self, *x.shape[-2:], x.device)[0]]

    def inverse(self, y: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """A⁻¹ y."""
        return y.flatten(-2)[..., _tables(self, *y.shape[-2:], y.device)[1]]


@lru_cache(maxsize=32)  # a run has a few views at one or two sizes; the values stay hashable without their tables
def _tables(view: Permutation, height: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """The sources of each pixel seen through the view, and through its inverse."""
    sources = view.sources(height, width)
    inverse = torch.empty_like(sources)
    inverse.view(-1)[sources.flatten()] = torch.arange(height * width)
    return sources.to(device), inverse.to(device)


def grid(height: int, width: int) -> tuple[Int64[Tensor, "h w"], Int64[Tensor, "h w"]]:
    """The row and the column of every pixel."""
    row, column = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return row, column


def from_middle(height: int, width: int) -> tuple[Int64[Tensor, "h w"], Int64[Tensor, "h w"]]:
    """How far down and right of the canvas's middle every pixel lies, in half pixels so that it is a whole number."""
    row, column = grid(height, width)
    return 2 * row - (height - 1), 2 * column - (width - 1)


def turned(
    down: Int64[Tensor, "h w"], right: Int64[Tensor, "h w"], quarters: int | Int64[Tensor, "h w"]
) -> tuple[Int64[Tensor, "h w"], Int64[Tensor, "h w"]]:
    """Where pixels come from when they are turned about the middle by quarters of a turn, counter-clockwise."""
    quarters = torch.as_tensor(quarters)
    cos, sin = (torch.tensor(table)[quarters % 4] for table in ((1, 0, -1, 0), (0, 1, 0, -1)))
    return cos * down + sin * right, cos * right - sin * down


def index(down: Int64[Tensor, "h w"], right: Int64[Tensor, "h w"]) -> Int64[Tensor, "h w"]:
    """The index of the pixels that lie so many half pixels from the middle of a canvas of this shape."""
    height, width = down.shape
    return (down + height - 1) // 2 * width + (right + width - 1) // 2


def seeded(seed: int) -> torch.Generator:
    """The generator of a view with a seed. Raises ValueError for a seed that is not one."""
    if not 0 <= seed < 2**63:
        raise ValueError(f"a seed is a whole number from 0 to 2⁶³ − 1, not {seed}")
    return torch.Generator().manual_seed(seed)


def enlarged(cells: Int64[Tensor, "rows columns"], height: int, width: int) -> Int64[Tensor, "h w"]:
    """The sources of pixels where cells, each as large as the canvas allows, are rearranged as `cells` says.

    `cells` has the index of the cell that each comes from; `height` and `width` are multiples of its.
    """
    rows, columns = cells.shape
    down, across = height // rows, width // columns
    row, column = grid(height, width)
    cell = cells[row // down, column // across]
    return (cell // columns * down + row % down) * width + cell % columns * across + column % across
