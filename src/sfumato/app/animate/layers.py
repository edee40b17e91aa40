"""Drawing with pixels that have alpha: enlarged parts of a picture, laid on a stage where their motions take them."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from PIL import Image

from sfumato.app.animate.motion import Motion
from sfumato.app.animate.pieces import Array, Piece

FINE = 4
"""Samples a side of a pixel for what is turned over: seen from its edge a picture is much smaller than it is."""
RIM = 0.5
"""How grey the edge of a piece is half way: of black pieces on each other one would see nothing."""


def layer(values: Array, mask: Array, zoom: int) -> Array:
    """Values (h, w, c) with alpha, opaque where the mask is, every pixel a square of zoom × zoom."""
    pixels = np.dstack([values * mask[..., None], np.where(mask, 255, 0).astype(np.uint8)])
    return pixels.repeat(zoom, axis=0).repeat(zoom, axis=1)


def lay(stage: Image.Image, pixels: Array, corner: tuple[int, int]) -> None:
    """Lay pixels with alpha on a stage."""
    values = pixels[..., 0] if pixels.shape[-1] == 2 else pixels[..., :-1]
    opaque = Image.fromarray(np.ascontiguousarray(pixels[..., -1]))
    stage.paste(Image.fromarray(np.ascontiguousarray(values)), corner, opaque)


def fading(s: float) -> Array:
    """What becomes of each of the 256 levels at s of a change of sign: through grey to the negative."""
    return np.round(127.5 + (np.arange(256) - 127.5) * (1 - 2 * s)).astype(np.uint8)


def signed(pixels: Array, sign: int, levels: Array) -> Array:
    """Pixels with alpha, their levels changed where the sign does."""
    return pixels if sign > 0 else np.dstack([levels[pixels[..., :-1]], pixels[..., -1]])


def _rim(opaque: Array) -> Array:
    """The opaque pixels that have others beside them, on a border that has none."""
    inside = opaque.copy()
    for axis, step in itertools.product((0, 1), (1, -1)):
        inside &= np.roll(opaque, step, axis)
    return opaque & ~inside


@dataclass(frozen=True, eq=False)
class Sprite:
    """A piece that is drawn by itself."""

    piece: Piece
    motion: Motion
    pixels: Array
    rim: Array
    """Which of the pixels are at its edge."""
    corner: Float[Array, " 2"]
    """The position of the corner of `pixels`, in pixels of the picture."""

    @classmethod
    def of(cls, values: Array, piece: Piece, motion: Motion, zoom: int) -> Sprite:
        """The sprite of a piece of a picture's values (h, w, c), a transparent pixel around it for smooth edges."""
        pixels = np.pad(layer(values[piece.box], piece.mask, zoom), ((1, 1), (1, 1), (0, 0)))
        height, width = piece.mask.shape
        corner = piece.middle - np.array([width, height]) / 2 - 1 / zoom
        return cls(piece, motion, pixels, _rim(pixels[..., -1] > 0), corner)

    def draw(self, stage: Image.Image, s: float, zoom: int, levels: Array) -> None:
        """Draw it where it is at s, each pixel of the picture `zoom` wide on the stage."""
        matrix, shift = self.motion.at(s)
        middle = np.array(stage.size) / 2
        height, width = self.pixels.shape[:2]
        corners = self.corner + np.array([[0, 0], [width, 0], [0, height], [width, height]]) / zoom
        places = (corners @ matrix.T + shift) * zoom + middle
        low, high = np.floor(places.min(axis=0)).astype(int), np.ceil(places.max(axis=0)).astype(int)
        # Pillow asks where in the sprite each pixel of the drawing comes from.
        fine = FINE if self.piece.mirrored else 1
        back = np.linalg.inv(matrix)
        start = (back @ ((low - middle) / zoom - shift) - self.corner) * zoom
        box = [int(side) * fine for side in high - low]
        pixels = signed(self.pixels, self.piece.sign, levels).copy()
        grey = RIM * math.sin(math.pi * s)
        pixels[self.rim, :-1] = np.round(pixels[self.rim, :-1] * (1 - grey) + 128 * grey)
        drawn = Image.fromarray(pixels).transform(
            (box[0], box[1]),
            Image.Transform.AFFINE,
            np.column_stack([back / fine, start]).ravel().tolist(),
            Image.Resampling.NEAREST if fine > 1 else Image.Resampling.BILINEAR,
        )
        lay(stage, np.asarray(drawn.reduce(fine)), (int(low[0]), int(low[1])))
