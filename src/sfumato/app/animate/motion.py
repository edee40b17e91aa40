"""How a piece gets from where it is to where it goes: what turns, slides, and travels around."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from sfumato.app.animate.pieces import Array, Piece

THINNEST = 1 / 256
"""The width of what is seen edge-on: it does not vanish for a frame."""


@dataclass(frozen=True, eq=False)
class Motion:
    """A rigid motion: about a pivot, by a turn in the plane or, for what is turned over, in space, and straight on.

    Whatever turns in the plane does so about the one point that stays where it is; whatever is turned over, about the
    line that does, along which it may slide. All else only slides.
    """

    pivot: Float[Array, " 2"]
    travel: Float[Array, " 2"]
    angle: float = 0.0
    """Of the turn in the plane, counter-clockwise, the short way."""
    across: Float[Array, " 2"] | None = None
    """For what is turned over: the direction in which its width goes through zero."""
    in_place: bool = False
    """Whether it turns in the plane and stays in its place, and so needs room."""

    @classmethod
    def of(cls, piece: Piece) -> Motion:
        """The motion that takes a piece where it goes."""
        away = piece.matrix @ piece.middle + piece.shift - piece.middle
        # Of the points that stay, or slide, the nearest to the middle; rounding leaves no false traces of travel.
        pivot = np.round(piece.middle + np.linalg.pinv(np.eye(2) - piece.matrix) @ away, 6)
        travel = piece.matrix @ pivot + piece.shift - pivot
        if piece.mirrored:
            values, vectors = np.linalg.eigh(piece.matrix)
            return cls(pivot, travel, across=vectors[:, values.argmin()])
        angle = math.atan2(piece.matrix[0, 1], piece.matrix[0, 0])
        arm = piece.middle - pivot
        if angle == math.pi and pivot @ [arm[1], -arm[0]] > 0:  # of two ways of one length that through the inside
            angle = -math.pi
        return cls(pivot, travel, angle, in_place=angle != 0 and not arm.any())

    def at(self, s: float) -> tuple[Float[Array, "2 2"], Float[Array, " 2"]]:
        """The map p ↦ M p + t at s, from 0 (nothing has moved) to 1 (it is there).

        A square that turns by θ in its place needs |cos θ| + |sin θ| times the room, so by that factor its pivot draws
        away from the middle of the picture: tiles make room for each other, and hinged ones stay hinged.
        """
        if self.across is not None:
            c = math.cos(math.pi * s)
            width = math.copysign(max(abs(c), THINNEST), c)
            matrix, room = np.eye(2) + (width - 1) * np.outer(self.across, self.across), 1.0
        else:
            c, n = math.cos(s * self.angle), math.sin(s * self.angle)
            matrix, room = np.array([[c, n], [-n, c]]), abs(c) + abs(n) if self.in_place else 1.0
        return matrix, room * (self.pivot + s * self.travel) - matrix @ self.pivot

    def reach(self, piece: Piece) -> float:
        """How far from the middle of the picture, across or down, the piece's box gets on its way."""
        sides = np.array(piece.mask.shape[::-1]) / 2
        corners = piece.middle + np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]]) * sides
        ways = [self.at(s) for s in np.linspace(0, 1, 33)]
        return max(float(np.abs(corners @ matrix.T + shift).max()) for matrix, shift in ways)


@dataclass(frozen=True, eq=False)
class Belt:
    """Pixels that travel around: what leaves their box on one side comes in on the other."""

    box: tuple[slice, slice]
    """One row, one column, or all of the picture."""
    mask: Array
    """Which pixels of the box are its own."""
    travel: Float[Array, " 2"]
    sign: int


def belts(pieces: Sequence[Piece], size: tuple[int, int]) -> tuple[list[Belt], list[Piece]]:
    """The belts in a picture of this height and width, and the pieces that are in none of them.

    Pieces make belts when their shifts are the same but for whole heights and widths, and all of their pixels together
    go to their own places. Rows and columns travel one by one, each nearly as far as its neighbours; which way around
    is that of the most pixels.
    """
    height, width = size
    groups: dict[tuple[float, float, int], list[Piece]] = defaultdict(list)
    for piece in pieces:
        if piece.moves and (piece.matrix == np.eye(2)).all():
            x, y = piece.shift
            groups[x % width, y % height, piece.sign].append(piece)
    found, taken = [], set()
    for (x, y, sign), group in groups.items():
        if len({tuple(piece.shift) for piece in group}) == 1:
            continue
        shifts = np.zeros((*size, 2))
        mask = np.zeros(size, dtype=bool)
        for piece in group:
            mask[piece.box] |= piece.mask
            shifts[piece.box][piece.mask] = piece.shift
        if np.array_equal(np.roll(mask, (int(y), int(x)), (0, 1)), mask):
            found += [Belt(box, mask[box], _most(shifts[box][mask[box]]), sign) for box in _lines(mask, x, y)]
            taken |= {id(piece) for piece in group}
    return _alike(found, size), [piece for piece in pieces if id(piece) not in taken]


def _lines(mask: Array, x: float, y: float) -> list[tuple[slice, slice]]:
    """The rows of what travels across, the columns of what travels down; else all."""
    if not y:
        return [np.s_[k : k + 1, :] for k in np.flatnonzero(mask.any(axis=1)).tolist()]
    if not x:
        return [np.s_[:, k : k + 1] for k in np.flatnonzero(mask.any(axis=0)).tolist()]
    return [np.s_[:, :]]


def _most(shifts: Float[Array, "n 2"]) -> Float[Array, " 2"]:
    """The most frequent one."""
    values, counts = np.unique(shifts, axis=0, return_counts=True)
    most: Array = values[counts.argmax()]
    return most


def _alike(found: list[Belt], size: tuple[int, int]) -> list[Belt]:
    """Rows, and columns, that go so many whole ways around more or less that neighbours travel together.

    The one that travels least is as it was: a skewed picture leans, instead of being torn where half way around is.
    """
    for axis in (0, 1):  # rows, which travel in x, and columns, which travel in y
        far = np.zeros(size[axis])
        for belt in found:
            far[belt.box[axis]] = belt.travel[axis] if belt.box[axis].start is not None else 0
        along, least = np.unwrap(far, period=size[1 - axis]), np.abs(far).argmin()
        along += far[least] - along[least]
        found = [
            belt
            if belt.box[axis].start is None
            else replace(belt, travel=np.roll([float(along[belt.box[axis]][0]), 0.0], axis))
            for belt in found
        ]
    return found
