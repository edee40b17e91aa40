"""Views that move parts of the canvas: rolled, skewed, in patches, with a disc or tiles turned.

Each is defined at every size by fractions or counts, never by pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from jaxtyping import Int64
from torch import Tensor

from sfumato.core.views.permutation import Permutation, enlarged, from_middle, grid, index, seeded, turned

FARTHEST = 1_000_000
"""How often anything goes around a canvas, at most: beyond 2⁵³ pixels a page of the studio would round otherwise."""


@dataclass(frozen=True)
class Roll(Permutation):
    """Shifted right by `dx` and down by `dy` of the canvas; what leaves on one side comes in on the other."""

    name: ClassVar[str] = "roll"

    dx: float = field(default=0.25, kw_only=True)
    dy: float = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        if max(abs(self.dx), abs(self.dy)) > FARTHEST:
            raise ValueError(f"{self}: no farther than {FARTHEST:,} canvases")

    def sources(self, height: int, width: int) -> Int64[Tensor, "h w"]:
        """Each pixel from as far left and up, to the nearest pixel."""
        row, column = grid(height, width)
        down, right = round(self.dy * height) % height, round(self.dx * width) % width
        return (row - down) % height * width + (column - right) % width


@dataclass(frozen=True)
class Skew(Permutation):
    """Each column rolled down by `slope` times its distance from the middle one, wrapping around."""

    name: ClassVar[str] = "skew"

    slope: float = 1.5

    def __post_init__(self) -> None:
        if abs(self.slope) > FARTHEST:
            raise ValueError(f"{self}: no steeper than {FARTHEST:,}")

    def sources(self, height: int, width: int) -> Int64[Tensor, "h w"]:
        """Each pixel from its own column."""
        row, column = grid(height, width)
        shift = torch.tensor([math.trunc(self.slope * (x - width // 2)) % height for x in range(width)])
        return (row - shift) % height * width + column


@dataclass(frozen=True)
class Permute(Permutation):
    """Cut into n × n patches, which change places at random."""

    name: ClassVar[str] = "permute"

    n: int = 8
    seed: int = field(default=0, kw_only=True)

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ValueError(f"{self}: there is at least 1 patch a side, not {self.n}")
        seeded(self.seed)

    def sources(self, height: int, width: int) -> Int64[Tensor, "h w"]:
        """Each pixel from its place in another patch. Raises ValueError where n does not divide both sides."""
        for size in (height, width):
            if size % self.n:
                divisors = ", ".join(str(d) for d in range(1, size + 1) if size % d == 0)
                raise ValueError(f"{self} cannot cut {size} pixels into {self.n} patches; choose one of {divisors}")
        order = torch.randperm(self.n**2, generator=seeded(self.seed))
        return enlarged(order.view(self.n, self.n), height, width)


@dataclass(frozen=True)
class Circle(Permutation):
    """A disc in the middle turned counter-clockwise by 90, 180 or 270 degrees, its radius `r` of the shorter side.

    Turns between these would mix pixels: an interpolated value is a mean of several, and means of white noise are
    neither as strong nor independent of each other.
    """

    name: ClassVar[str] = "circle"

    degrees: int = 180
    r: float = field(default=0.375, kw_only=True)

    def __post_init__(self) -> None:
        if self.degrees not in {90, 180, 270}:
            why = "would mix pixels" if self.degrees % 90 else "is not offered"
            raise ValueError(f"circle:{self.degrees} {why}; choose one of 90, 180, 270")
        if not 0 < self.r <= 0.5:
            raise ValueError(f"{self}: the radius is a fraction of the size, above 0 and at most 0.5")

    def sources(self, height: int, width: int) -> Int64[Tensor, "h w"]:
        """Each pixel inside from as far on the other side of the turn."""
        if self.degrees != 180 and (height - width) % 2:
            raise ValueError(f"{self} needs sides that are both even or both odd, not {height}×{width}")
        down, right = from_middle(height, width)
        inside = down**2 + right**2 < (2 * self.r * min(height, width)) ** 2
        return torch.where(inside, index(*turned(down, right, self.degrees // 90)), index(down, right))


@dataclass(frozen=True)
class Hinge(Permutation):
    """Square tiles, `n` along the shorter side, turned by 90° clockwise and counter-clockwise in turn.

    So do hinged squares that swing open. Pixels that are left over on the right and below stay where they are.
    """

    name: ClassVar[str] = "hinge"

    n: int = 3

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ValueError(f"{self}: there is at least 1 tile a side, not {self.n}")

    def sources(self, height: int, width: int) -> Int64[Tensor, "h w"]:
        """Each pixel from within its tile."""
        side = min(height, width) // self.n
        if side == 0:
            raise ValueError(f"{self} cannot cut {min(height, width)} pixels into {self.n} tiles")
        out = torch.arange(height * width).view(height, width)
        for i in range(height // side):
            for j in range(width // side):
                tile = out[i * side : (i + 1) * side, j * side : (j + 1) * side]
                tile.copy_(torch.rot90(tile, 1 if (i + j) % 2 else -1).clone())
        return out
