"""A jigsaw puzzle of 4 × 4 pieces, put together in another way."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from sfumato.core.views.permutation import Permutation, from_middle, grid, index, seeded, turned

_FIRST = (0, 1, 2, 5)
"""The first piece of each sort: a corner, two edges, an inner piece. The others are these turned about the middle."""


@dataclass(frozen=True)
class Jigsaw(Permutation):
    """A jigsaw puzzle put together in another way that fits, drawn from `seed` among 4!⁴·2⁴.

    Like a chessboard, every second piece has its tabs above and below and its holes left and right, the others the
    other way round. So a quarter turn of the whole puzzle is the same puzzle: the 4 corners are the same piece turned,
    and so are the 4 inner ones, which also look the same upside down, and the edges in two sorts of 4. Within each
    sort all change places at random, turned to fit.
    """

    name: ClassVar[str] = "jigsaw"

    seed: int = field(default=4522, kw_only=True)

    def __post_init__(self) -> None:
        seeded(self.seed)

    def sources(self, height: int, width: int) -> Int64[Tensor, "h w"]:
        """Each pixel from its place in the piece. Raises ValueError unless the canvas is a square that 4 divides."""
        if height != width or height % 4:
            raise ValueError(f"{self} needs a square canvas whose side 4 divides, not {height}×{width}")
        generator = seeded(self.seed)
        # The piece of a sort that is at place k now was at order[k]; so many quarter turns of the puzzle took it here.
        order = torch.stack([torch.randperm(4, generator=generator) for _ in _FIRST])
        upside_down = torch.randint(2, (4,), generator=generator).bool()

        at = _pieces(height)
        sort, place = (table[at] for table in _sorts_and_places())
        down, right = from_middle(height, width)
        # Upside down is a half turn about the piece's own middle; those of inner pieces are half a cell from the axes.
        flipped = (sort == 3) & upside_down[place]
        middle_down, middle_right = (torch.where(k >= 2, height // 4, -height // 4) for k in (at // 4, at % 4))
        down = torch.where(flipped, 2 * middle_down - down, down)
        right = torch.where(flipped, 2 * middle_right - right, right)
        return index(*turned(down, right, place - order[sort, place]))


def _pieces(side: int) -> Int64[Tensor, "s s"]:
    """The number (4 · row + column) of the piece that each pixel is part of."""
    cell = side // 4
    row, column = grid(side, side)
    i, j = row // cell, column // cell
    # Whether this cell's holes, where its neighbours' tabs are, are on the left and right, or above and below.
    across = (i + j) % 2 == 0
    depth, along = torch.where(across, column, row) % cell, torch.where(across, row, column) % cell
    neighbour = _tab(cell - 1 - depth, along, cell).long() - _tab(depth, along, cell).long()
    i, j = i + torch.where(across, 0, neighbour), j + torch.where(across, neighbour, 0)
    return 4 * i.clamp(0, 3) + j.clamp(0, 3)  # beyond the border nobody's tab reaches in


def _tab(depth: Int64[Tensor, "s s"], along: Int64[Tensor, "s s"], cell: int) -> Bool[Tensor, "s s"]:
    """Whether a pixel so deep behind a side, so far along it, is in the tab that comes in through it.

    The tab is a disc of radius 0.2 whose middle lies 0.15 behind that of the side, in fractions of the cell; here in
    fortieths of a pixel, which are whole numbers.
    """
    return (20 * (2 * depth + 1) - 6 * cell) ** 2 + (20 * (2 * along + 1 - cell)) ** 2 < (8 * cell) ** 2


def _sorts_and_places() -> tuple[Int64[Tensor, " 16"], Int64[Tensor, " 16"]]:
    """Of each piece its sort, and how many quarter turns of the puzzle bring the first of that sort to its place."""
    sort, place = torch.empty(16, dtype=torch.long), torch.empty(16, dtype=torch.long)
    for quarters in range(4):
        came_from = index(*turned(*from_middle(4, 4), quarters)).flatten()
        for k, first in enumerate(_FIRST):
            sort[came_from == first], place[came_from == first] = k, quarters
    return sort, place
