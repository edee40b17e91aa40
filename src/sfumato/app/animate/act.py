"""One act: all that there is to draw between two readings of a picture, the lowest first."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from PIL import Image

from sfumato.app.animate.layers import Sprite, fading, lay, layer, signed
from sfumato.app.animate.motion import Belt, Motion, belts
from sfumato.app.animate.pieces import Array, Change, Piece
from sfumato.app.animate.scene import GROUND

MANY = 400
"""Pieces that slide, from which on they are drawn all at once."""


@dataclass(frozen=True, eq=False)
class Act:
    """What stays, what travels around, what moves by itself, and single pixels."""

    base: Image.Image
    """What stays as it is, not enlarged."""
    belts: Sequence[tuple[Belt, Array]]
    """With their enlarged pixels."""
    sprites: Sequence[Sprite]
    dust: Dust
    zoom: int

    @classmethod
    def of(cls, reading: Image.Image, change: Change, zoom: int) -> Act:
        """The act of a change of a reading, its pixels enlarged `zoom` times."""
        values = np.asarray(reading).reshape(reading.height, reading.width, -1)
        around, others = belts(change.pieces, change.before)
        others = [piece for piece in others if piece.changes]
        sliding = [piece for piece in others if (piece.matrix == np.eye(2)).all()]
        loose = [piece for piece in sliding if piece.area == 1 or len(sliding) > MANY]
        apart = {id(piece) for piece in loose}
        # What stays where it is lies below, and large pieces lie below small ones.
        large = [piece for piece in others if id(piece) not in apart]
        large.sort(key=lambda piece: (piece.moves, -piece.area))
        flying = [(piece, Motion.of(piece)) for piece in large]
        base = _rest(values, change, [piece for piece, motion in flying if motion.in_place and not motion.pivot.any()])
        return cls(
            Image.fromarray(base.squeeze(-1) if reading.mode == "L" else base),
            [(belt, layer(values[belt.box], belt.mask, zoom)) for belt in around],
            [Sprite.of(values, piece, motion, zoom) for piece, motion in flying],
            Dust.of(values, loose),
            zoom,
        )

    @property
    def does_anything(self) -> bool:
        """Whether anything changes."""
        return bool(self.belts or self.sprites or len(self.dust.at))

    @property
    def reach(self) -> float:
        """How far from the middle of the picture, across or down, anything gets, in its pixels."""
        return max((sprite.motion.reach(sprite.piece) for sprite in self.sprites), default=0.0)

    def draw(self, stage: Image.Image, corner: tuple[int, int], s: float) -> Image.Image:
        """Draw all but the base at s on a stage; the corner is that of the picture."""
        levels = fading(s)
        for belt, pixels in self.belts:
            x, y = np.round(s * belt.travel * self.zoom).astype(int)
            down, across = ((part.start or 0) * self.zoom for part in belt.box)
            at = (corner[0] + across, corner[1] + down)
            lay(stage, signed(np.roll(pixels, (y, x), (0, 1)), belt.sign, levels), at)
        for sprite in self.sprites:
            sprite.draw(stage, s, self.zoom, levels)
        return self.dust.over(stage, s, self.zoom, levels)


@dataclass(frozen=True, eq=False)
class Dust:
    """Pixels that only slide, of pieces that are too small or too many to be drawn one by one."""

    at: Float[Array, "n 2"]
    travel: Float[Array, "n 2"]
    signs: Int[Array, "n 1"]
    values: Array

    @classmethod
    def of(cls, values: Array, pieces: Sequence[Piece]) -> Dust:
        """The pixels of pieces of a picture's values (h, w, c)."""
        places = [np.argwhere(piece.mask) + np.array([piece.top, piece.left]) for piece in pieces]
        rows, columns = np.concatenate([np.empty((0, 2), dtype=np.int64), *places]).T
        height, width = values.shape[:2]
        counts = [len(place) for place in places]
        return cls(
            np.stack([columns + 0.5 - width / 2, rows + 0.5 - height / 2], axis=1),
            np.array([piece.shift for piece in pieces]).reshape(-1, 2).repeat(counts, axis=0),
            np.array([piece.sign for piece in pieces], dtype=np.int64).repeat(counts)[:, None],
            values[rows, columns],
        )

    def over(self, stage: Image.Image, s: float, zoom: int, levels: Array) -> Image.Image:
        """The stage with the pixels at s, to whole pixels of the stage."""
        if not len(self.at):
            return stage
        canvas = np.array(stage)
        shown = np.where(self.signs < 0, levels[self.values], self.values).reshape(len(self.at), *canvas.shape[2:])
        places = (self.at + s * self.travel - 0.5) * zoom + np.array(stage.size) / 2
        left, top = np.floor(places + 0.5).astype(int).T  # halves all one way, so that pieces keep together
        for row, column in itertools.product(range(zoom), repeat=2):
            canvas[top + row, left + column] = shown
        return Image.fromarray(canvas)


def _rest(values: Array, change: Change, covered: Sequence[Piece]) -> Array:
    """What stays as it is, and nothing elsewhere.

    Below what turns about the middle of the picture it is continued by a pixel: a disc of pixels has steps at its edge,
    between which one would see through.
    """
    still = np.array([not piece.changes for piece in change.pieces])[change.labels]
    base = np.where(still[..., None], values, np.uint8(GROUND))
    hidden = np.zeros_like(still)
    for piece in covered:
        hidden[piece.box] |= piece.mask
    height, width = still.shape
    around, known = np.pad(values, ((1, 1), (1, 1), (0, 0))), np.pad(still, 1)
    for row, column in ((0, 1), (2, 1), (1, 0), (1, 2), (0, 0), (0, 2), (2, 0), (2, 2)):  # sides before corners
        beside = np.s_[row : row + height, column : column + width]
        lent = hidden & known[beside]
        base[lent] = around[beside][lent]
        hidden &= ~lent
    return base
