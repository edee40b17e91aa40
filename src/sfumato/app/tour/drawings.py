"""Pictures that the tour brings along: drawings by an unsteady hand, grey or in colour at any size, and masks."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import torch
from jaxtyping import Float
from PIL import Image, ImageDraw
from torch import Tensor

from sfumato.images import to_tensor

UNITS = 28
"""Drawings are described on a square of so many units; a grey one of as many pixels has a unit a pixel."""
_FINE = 16
"""A unit is drawn this large, then scaled down, so that edges are smooth."""

Point = tuple[float, float]
Colour = tuple[int, int, int]
Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Drawing:
    """Strokes with a pen; in colour also what is filled before, each area over the ones before it."""

    strokes: tuple[tuple[Point, ...], ...]
    shake: float
    """How far the pen wanders, in units."""
    pen: float
    """Its width."""
    ground: Colour = (250, 248, 242)
    areas: tuple[tuple[Colour, tuple[Point, ...]], ...] = ()

    def picture(self, shape: Shape) -> Float[Tensor, "c h w"]:
        """The drawing in a shape (channels, height, width), values in [0, 1]: white on black where that is grey."""
        channels, height, width = shape
        image = Image.new("RGB", (UNITS * _FINE, UNITS * _FINE), self.ground if channels == 3 else (0, 0, 0))
        brush = ImageDraw.Draw(image)
        for colour, area in self.areas if channels == 3 else ():
            brush.polygon([(x * _FINE, y * _FINE) for x, y in area], fill=colour)
        ink = _INK if channels == 3 else (255, 255, 255)
        # In colour the areas carry the picture, so its lines are finer.
        pen = self.pen * (0.55 if channels == 3 else 1)
        for circle in self._line(pen):
            brush.ellipse(circle, fill=ink)
        return to_tensor(image, (height, width), channels)

    def _line(self, pen: float) -> list[tuple[float, float, float, float]]:
        """Where the pen rests, stroke by stroke, in fine pixels: it wanders slowly."""
        hand = random.Random(len(self.strokes))  # not a matter of chance: the same drawing every time
        radius, out = pen * _FINE / 2, []
        for stroke in self.strokes:
            phase = [hand.uniform(0, math.tau) for _ in range(4)]
            for k, (x, y) in enumerate(_dense(stroke)):
                wander = k / 22
                dx = self.shake * (math.sin(wander + phase[0]) + 0.5 * math.sin(2.7 * wander + phase[1]))
                dy = self.shake * (math.sin(1.2 * wander + phase[2]) + 0.5 * math.sin(2.3 * wander + phase[3]))
                cx, cy = (x + dx + 0.5) * _FINE, (y + dy + 0.5) * _FINE
                out.append((cx - radius, cy - radius, cx + radius, cy + radius))
        return out


_INK: Colour = (48, 44, 52)


def _arc(x: float, y: float, rx: float, ry: float, start: float, end: float) -> tuple[Point, ...]:
    """Points on an ellipse, clockwise in degrees from the right."""
    turns = [math.radians(start + (end - start) * k / 24) for k in range(25)]
    return tuple((x + rx * math.cos(a), y + ry * math.sin(a)) for a in turns)


def _dense(stroke: Sequence[Point]) -> list[Point]:
    """The stroke as points a tenth of a unit apart."""
    out = []
    for (x0, y0), (x1, y1) in itertools.pairwise(stroke):
        n = max(1, round(math.hypot(x1 - x0, y1 - y0) * 10))
        out += [(x0 + (x1 - x0) * k / n, y0 + (y1 - y0) * k / n) for k in range(n)]
    return out


_EYES = (_arc(10.4, 11.2, 0.5, 0.5, 0, 360), _arc(17.6, 11.2, 0.5, 0.5, 0, 360))
_WALLS = ((7.0, 13.0), (7.0, 23.0), (21.0, 23.0), (21.0, 13.0))
_ROOF = ((4.5, 13.8), (14.0, 4.8), (23.5, 13.8))
_DOOR = ((12.2, 23.0), (12.2, 17.4), (15.8, 17.4), (15.8, 23.0))
_HULL = (*_arc(14, 12, 4.2, 9.5, -180, 0), (18.2, 20.5), (9.8, 20.5), (9.8, 12))
_FINS = (((9.8, 15.5), (6.4, 21.0), (9.8, 20.5)), ((18.2, 15.5), (21.6, 21.0), (18.2, 20.5)))
_FLAME = ((11.2, 21.0), (14.0, 25.2), (16.8, 21.0))

DRAWINGS: Mapping[str, Drawing] = MappingProxyType(
    {
        # Two open bows above each other: something like a 3, by a hand that shakes.
        "three": Drawing((_arc(13.5, 9.2, 4.6, 4.0, -150, 90), _arc(13.3, 18.4, 5.3, 4.9, -85, 155)), 0.45, 2.3),
        "smiley": Drawing(
            (_arc(14, 14, 9.5, 9.5, 0, 365), *_EYES, _arc(14, 15, 4.6, 3.8, 15, 165)),
            0.2,
            1.7,
            (214, 232, 244),
            (((250, 205, 70), _arc(14.4, 14.4, 9.6, 9.6, 0, 360)),),
        ),
        "house": Drawing(
            (_WALLS, _ROOF, _DOOR),
            0.3,
            1.6,
            (186, 218, 240),
            (
                ((252, 214, 92), _arc(23.5, 5.0, 2.6, 2.6, 0, 360)),
                ((122, 176, 96), ((0, 21.5), (28, 20.5), (28, 28), (0, 28))),
                ((238, 226, 200), (*_WALLS, (21.0, 13.0))),
                ((184, 74, 58), _ROOF),
                ((120, 78, 52), _DOOR),
            ),
        ),
        "rocket": Drawing(
            (_HULL, *_FINS, _arc(14, 10.5, 1.7, 1.7, 0, 365), _FLAME),
            0.2,
            1.5,
            (30, 36, 74),
            (
                ((246, 168, 60), _FLAME),
                ((206, 62, 56), _FINS[0]),
                ((206, 62, 56), _FINS[1]),
                ((236, 238, 242), _HULL),
                ((118, 186, 226), _arc(14, 10.5, 1.7, 1.7, 0, 360)),
            ),
        ),
    }
)
"""The drawings by name."""


def half_mask(shape: Shape) -> Float[Tensor, "1 h w"]:
    """White, to be made anew, on the lower half; black, to be kept, on the upper."""
    _, height, width = shape
    mask = torch.zeros(1, height, width)
    mask[:, height // 2 :] = 1
    return mask


def soft_half(shape: Shape) -> Float[Tensor, "1 h w"]:
    """White on the upper half, black on the lower, and grey between them over a fifth of the height."""
    _, height, width = shape
    rows = (torch.arange(height) + 0.5) / height
    return ((0.6 - rows) / 0.2).clamp(0, 1)[None, :, None].expand(1, height, width).contiguous()
