"""Pictures that the tour brings along: three drawings by an unsteady hand, and a mask. White on black, 28×28."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from PIL import Image, ImageDraw
from torch import Tensor

from sfumato.images import to_tensor

SIZE = 28
_FINE = 16
"""Drawn this much larger, then scaled down, so that edges are smooth."""
_PEN = 2.3
"""Width of the pen in pixels."""

Point = tuple[float, float]


def three() -> Float[Tensor, "1 28 28"]:
    """Two open bows above each other: something like a 3, by a hand that shakes."""
    return _drawn([_arc(13.5, 9.2, 4.6, 4.0, -150, 90), _arc(13.3, 18.4, 5.3, 4.9, -85, 155)], shake=0.45)


def smiley() -> Float[Tensor, "1 28 28"]:
    """A face that smiles."""
    eyes = [_arc(10.4, 11.2, 0.5, 0.5, 0, 360), _arc(17.6, 11.2, 0.5, 0.5, 0, 360)]
    return _drawn([_arc(14, 14, 9.5, 9.5, 0, 365), *eyes, _arc(14, 15, 4.6, 3.8, 15, 165)], shake=0.2, pen=1.7)


def house() -> Float[Tensor, "1 28 28"]:
    """A little house with a door."""
    walls = [(7.0, 13.0), (7.0, 23.0), (21.0, 23.0), (21.0, 13.0)]
    roof = [(4.5, 13.8), (14.0, 4.8), (23.5, 13.8)]
    door = [(12.2, 23.0), (12.2, 17.4), (15.8, 17.4), (15.8, 23.0)]
    return _drawn([walls, roof, door], shake=0.3, pen=1.6)


DRAWINGS: dict[str, Callable[[], Tensor]] = {"drawn-three": three, "drawn-smiley": smiley, "drawn-house": house}
"""The drawings by the names of their files."""


def half_mask() -> Float[Tensor, "1 28 28"]:
    """White, to be made anew, on the left half; black, to be kept, on the right."""
    mask = torch.zeros(1, SIZE, SIZE)
    mask[:, :, : SIZE // 2] = 1
    return mask


def _arc(x: float, y: float, rx: float, ry: float, start: float, end: float) -> list[Point]:
    """Points on an ellipse, clockwise in degrees from the right."""
    turns = [math.radians(start + (end - start) * k / 24) for k in range(25)]
    return [(x + rx * math.cos(a), y + ry * math.sin(a)) for a in turns]


def _drawn(strokes: Sequence[Sequence[Point]], shake: float, pen: float = _PEN) -> Float[Tensor, "1 28 28"]:
    """The strokes with a pen that wanders by about `shake` pixels, slowly."""
    hand = random.Random(len(strokes))  # not a matter of chance: the same drawing every time
    image = Image.new("L", (SIZE * _FINE, SIZE * _FINE))
    brush = ImageDraw.Draw(image)
    radius = pen * _FINE / 2
    for stroke in strokes:
        phase = [hand.uniform(0, math.tau) for _ in range(4)]
        for k, (x, y) in enumerate(_dense(stroke)):
            wander = k / 22
            dx = shake * (math.sin(wander + phase[0]) + 0.5 * math.sin(2.7 * wander + phase[1]))
            dy = shake * (math.sin(1.2 * wander + phase[2]) + 0.5 * math.sin(2.3 * wander + phase[3]))
            cx, cy = (x + dx + 0.5) * _FINE, (y + dy + 0.5) * _FINE
            brush.ellipse((cx - radius, cy - radius, cx + radius, cy + radius), fill=255)
    return to_tensor(image, (SIZE, SIZE), 1)


def _dense(stroke: Sequence[Point]) -> list[Point]:
    """The stroke as points a tenth of a pixel apart."""
    out = []
    for (x0, y0), (x1, y1) in itertools.pairwise(stroke):
        n = max(1, round(math.hypot(x1 - x0, y1 - y0) * 10))
        out += [(x0 + (x1 - x0) * k / n, y0 + (y1 - y0) * k / n) for k in range(n)]
    return out
