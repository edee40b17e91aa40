"""What a change of views does to a picture, as pieces: connected pixels that it moves as one.

A view is a signed permutation of pixels. Shown a picture of numbers, it tells where each pixel goes; and pixels that
keep together move by one rigid map p ↦ M p + t, with M one of the eight symmetries of the square. So turns, jigsaws,
hinged tiles and discs need no animation of their own: each is what its pieces do.

A position p is (x, y) in pixels from the middle of the picture, x to the right and y down. It is a multiple of ½, so
floats hold it exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, Num
from numpy.typing import NDArray

from sfumato.core.views import View
from sfumato.errors import UsageError

Array = NDArray[Any]

_QUARTER = np.array([[0.0, 1.0], [-1.0, 0.0]])  # counter-clockwise to the eye, where y points down
_TURNS = [np.linalg.matrix_power(_QUARTER, k) for k in range(4)]
SYMMETRIES = np.stack(_TURNS + [turn @ np.diag([-1.0, 1.0]) for turn in _TURNS]) + 0.0  # no −0, whose angle is −π
"""The symmetries of the square: no turn, three turns, four mirrors. What can be told as either is told as the first."""


@dataclass(frozen=True, eq=False)
class Piece:
    """Connected pixels that move as one, by p ↦ matrix · p + shift, their values times `sign`."""

    top: int
    left: int
    mask: Array
    """Which pixels of its box, whose corner is at (top, left), are its own."""
    middle: Float[Array, " 2"]
    """The position of the middle of its box."""
    matrix: Float[Array, "2 2"]
    shift: Float[Array, " 2"]
    sign: int

    @property
    def box(self) -> tuple[slice, slice]:
        """The rows and columns of its box."""
        height, width = self.mask.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)

    @property
    def area(self) -> int:
        """How many pixels it has."""
        return int(self.mask.sum())

    @property
    def mirrored(self) -> bool:
        """Whether it is turned over."""
        return bool(self.matrix[0, 0] * self.matrix[1, 1] < self.matrix[0, 1] * self.matrix[1, 0])

    @property
    def moves(self) -> bool:
        """Whether it goes anywhere."""
        return bool(self.shift.any() or (self.matrix != np.eye(2)).any())

    @property
    def changes(self) -> bool:
        """Whether it goes anywhere or changes its sign."""
        return self.moves or self.sign < 0


@dataclass(frozen=True, eq=False)
class Change:
    """How a picture as seen through one view becomes what is seen through another."""

    before: tuple[int, int]
    """Height and width."""
    after: tuple[int, int]
    pieces: tuple[Piece, ...]
    labels: Int[Array, "h w"]
    """The index of the piece that each pixel belongs to."""


def change(before: View, after: View, shape: tuple[int, int, int]) -> Change:
    """The pieces that a picture of this shape (channels, height, width) falls into from one view to the other.

    Raises UsageError for views that do not fit the picture or do more than move pixels and change signs.
    """
    destination, sign, sizes = _destinations(before, after, shape)
    at, to = _positions(sizes[0]), _positions(sizes[1]).reshape(-1, 2)[destination]
    area, best = np.zeros(at.shape[:2], dtype=np.int64), np.zeros(at.shape[:2], dtype=np.int64)
    shifts = np.zeros_like(at)
    for k, matrix in enumerate(SYMMETRIES):
        # The shift that would take each pixel where it goes; neighbours with the same one keep together.
        shift = to - at @ matrix.T
        labels = connected(np.dstack([shift, sign]))
        together = np.bincount(labels.ravel())[labels]
        more = together > area
        area[more], best[more], shifts[more] = together[more], k, shift[more]
    labels = connected(np.dstack([shifts, sign, best]))
    return Change(*sizes, _cut(labels, at, SYMMETRIES[best], shifts, sign), labels)


def _destinations(
    before: View, after: View, shape: tuple[int, int, int]
) -> tuple[Int[Array, "h w"], Int[Array, "h w"], tuple[tuple[int, int], tuple[int, int]]]:
    """For every pixel seen through `before`, its index among those seen through `after`, and its sign there."""
    count = shape[1] * shape[2]
    numbers = torch.arange(1, count + 1, dtype=torch.float64).view(1, 1, *shape[1:]).expand(1, *shape)
    try:
        first, second = (np.asarray(view(numbers)[0]) for view in (before, after))
    except (ValueError, RuntimeError) as error:
        raise UsageError(f"the picture has {shape[2]}×{shape[1]} pixels: {error}") from error
    for seen, view in ((first, before), (second, after)):
        if (seen != seen[:1]).any() or not np.array_equal(np.sort(np.abs(seen[0]).ravel()), np.arange(1, count + 1)):
            raise UsageError(f"{view} does more than move pixels and change their signs; that cannot be shown in steps")
    one, other = first[0], second[0]
    where = np.empty(count, dtype=np.int64)
    where[np.abs(other).astype(np.int64).ravel() - 1] = np.arange(count)
    destination = where[np.abs(one).astype(np.int64) - 1]
    sign = np.sign(one) * np.sign(other).ravel()[destination]
    return destination, sign.astype(np.int64), (one.shape, other.shape)


def _positions(size: tuple[int, int]) -> Float[Array, "h w 2"]:
    """Of every pixel."""
    height, width = size
    y, x = np.mgrid[:height, :width]
    return np.stack([x + 0.5 - width / 2, y + 0.5 - height / 2], axis=-1)


def connected(values: Num[Array, "h w k"]) -> Int[Array, "h w"]:
    """Labels 0, 1, … of the sets of pixels that are connected by their sides and have equal values."""
    height, width = values.shape[:2]
    index = np.arange(height * width).reshape(height, width)
    right, down = (values[:, 1:] == values[:, :-1]).all(-1), (values[1:] == values[:-1]).all(-1)
    one = np.concatenate([index[:, :-1][right], index[:-1][down]])
    other = np.concatenate([index[:, 1:][right], index[1:][down]])
    # Every pixel points to one of its set with a smaller or the same number, in the end to the smallest.
    root = index.ravel().copy()
    while (apart := root[one] != root[other]).any():
        one, other = one[apart], other[apart]
        low, high = np.minimum(root[one], root[other]), np.maximum(root[one], root[other])
        np.minimum.at(root, high, low)
        while not np.array_equal(root, root[root]):
            root = root[root]
    return np.unique(root, return_inverse=True)[1].reshape(height, width)


def _cut(labels: Array, at: Array, matrices: Array, shifts: Array, signs: Array) -> tuple[Piece, ...]:
    count = int(labels.max()) + 1
    flat, width = labels.ravel(), labels.shape[1]
    first = np.unique(flat, return_index=True)[1]
    rows, columns = np.divmod(np.arange(flat.size), width)
    low, high = np.full((2, count), flat.size), np.zeros((2, count), dtype=np.int64)
    for axis, index in enumerate((rows, columns)):
        np.minimum.at(low[axis], flat, index)
        np.maximum.at(high[axis], flat, index)
    pieces = []
    for k, (top, left), (bottom, right) in zip(range(count), low.T, high.T + 1, strict=True):
        row, column = divmod(int(first[k]), width)
        pieces.append(
            Piece(
                int(top),
                int(left),
                labels[top:bottom, left:right] == k,
                (at[top, left] + at[bottom - 1, right - 1]) / 2,
                matrices[row, column],
                shifts[row, column],
                int(signs[row, column]),
            )
        )
    return tuple(pieces)
