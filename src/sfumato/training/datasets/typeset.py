"""Digits that look written by hand, drawn on this machine: MNIST's shape and statistics without a download.

The digits of twelve fonts are turned, sheared, stretched, drawn with a thinner or a thicker pen and bent elastically
(Simard, Steinkraus and Platt 2003), then scaled to a box of about 20×20 and centred by mass in 28×28, as MNIST's are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from io import BytesIO
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn import functional

from sfumato.core.noise import stream
from sfumato.errors import UsageError
from sfumato.training.data import ImageData

SIZE = 28
BOX = 19.3
"""Pixels of a digit's longer side; the soft edge adds the rest of MNIST's 20."""
SIZES = {"train": 60_000, "test": 10_000}

_CHUNK = 1000  # pictures drawn together; part of what a seed means
_GLYPH = 64  # texels of a glyph's longer side in the table of glyphs
_TEXELS = 96  # sides of a table's entry
_FINE = 2  # outlines are traced at this multiple
_REACH = 24  # distances are exact so far, in texels of the outline: more than the widest pen adds
_GRID = 14  # knots of an elastic field along a side

_Mask = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
_Field = np.ndarray[tuple[int, ...], np.dtype[np.float32]]


@dataclass(frozen=True)
class _Glyphs:
    """All digits of all fonts, as distances to the outline (positive inside).

    A distance field keeps outlines sharp at any size, and another threshold is another pen.
    """

    distances: Float[Tensor, "fonts digits h w"]
    """In units of the glyph's longer side, sampled on [-0.75, 0.75]²."""
    strokes: Float[Tensor, "fonts digits"]
    """Mean width of the strokes, in the same unit."""


@dataclass(frozen=True)
class _Draws:
    """The random numbers of a chunk, one row a picture."""

    label: Int[Tensor, " b"]
    font: Int[Tensor, " b"]
    matrix: Float[Tensor, "b 2 2"]
    """From directions on the canvas to directions on the glyph, before the size is set."""
    pen: Float[Tensor, " b"]
    """Width of the strokes in pixels."""
    size: Float[Tensor, " b"]
    """Length of the longer side of the digit's box in pixels."""
    bend: Float[Tensor, "b 2 h w"]
    """Elastic displacement in pixels."""
    pressure: Float[Tensor, "b 1 h w"]
    """How much wider the stroke is here and there, in pixels."""


def load_typeset(n: int | None = None, split: Literal["train", "test"] = "train", seed: int = 0) -> ImageData:
    """`n` digits of 28×28, white on black (by default 60,000 for training or 10,000 for testing).

    The same seed and split give the same pictures (another processor or version of torch or Pillow may round a few
    pixels differently), and the first pictures do not depend on how many are asked for. The classes are equally
    frequent. Raises UsageError for an
    unknown split and for less than one picture.
    """
    if split not in SIZES:
        raise UsageError(f"unknown split {split!r}; choose one of {', '.join(SIZES)}")
    n = SIZES[split] if n is None else n
    if n < 1:
        raise UsageError(f"cannot draw {n} digits; ask for at least 1")
    images = torch.empty(n, 1, SIZE, SIZE, dtype=torch.uint8)
    labels = torch.empty(n, dtype=torch.int64)
    with _one_thread():
        for start in range(0, n, _CHUNK):
            draws = _draw(stream(seed, "typeset", split, start // _CHUNK))
            count = min(_CHUNK, n - start)
            images[start : start + count] = _pictures(draws)[:count]
            labels[start : start + count] = draws.label[:count]
    name = "typeset" if split == "train" else f"typeset-{split}"
    return ImageData(name, images, labels, tuple("0123456789"))


@contextmanager
def _one_thread() -> Iterator[None]:
    """Without torch's threads: they wait for each other at each of many small steps, for longer than they save."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _draw(generator: torch.Generator) -> _Draws:
    b = _CHUNK

    def uniform(low: float, high: float) -> Float[Tensor, " b"]:
        return low + (high - low) * torch.rand(b, generator=generator)

    def normal(deviation: float, limit: float) -> Float[Tensor, " b"]:
        return (deviation * torch.randn(b, generator=generator)).clamp(-limit, limit)

    label = torch.randperm(b, generator=generator) % 10
    font = torch.randint(_glyphs().distances.shape[0], (b,), generator=generator)
    # Hands slant to the right more than they turn; a digit is a bit narrower or wider than the font has it.
    angle, slant, stretch = normal(0.1, 0.3), 0.08 + normal(0.15, 0.35), torch.exp(0.04 + normal(0.06, 0.15))
    cos, sin, zero, one = torch.cos(angle), torch.sin(angle), torch.zeros(b), torch.ones(b)
    turn = torch.stack([cos, sin, -sin, cos], 1).view(b, 2, 2)
    shear = torch.stack([one, slant, zero, one], 1).view(b, 2, 2)
    scale = torch.stack([1 / stretch, zero, zero, stretch], 1).view(b, 2, 2)
    field = _smooth(torch.rand(b, 3, _GRID, _GRID, generator=generator) * 2 - 1)
    return _Draws(
        label=label,
        font=font,
        matrix=scale @ shear @ turn,
        pen=uniform(1.7, 3.4),
        size=BOX - uniform(0, 0.8),
        bend=field[:, :2] * uniform(0.3, 1.1)[:, None, None, None],
        pressure=field[:, 2:] * 0.25,
    )


def _smooth(noise: Float[Tensor, "b c g g"]) -> Float[Tensor, "b c h w"]:
    """Gaussian-filtered noise of unit variance on the pixels (σ is 4 pixels, as Simard et al. have it)."""
    sigma = 4 * _GRID / SIZE
    radius = math.ceil(2.5 * sigma)
    kernel = torch.exp(-(torch.arange(-radius, radius + 1) ** 2) / (2 * sigma**2))
    kernel = kernel / kernel.square().sum().sqrt()
    g = noise.shape[-1]
    # A matrix rather than a convolution: the grid is small, and its edges see noise that wraps around.
    offsets = (torch.arange(g)[:, None] + torch.arange(-radius, radius + 1)[None, :]) % g
    matrix = torch.zeros(g, g).scatter_add_(1, offsets, kernel.expand(g, -1))
    field = matrix @ (noise * math.sqrt(3)) @ matrix.T  # uniform noise on [-1, 1] has variance 1/3
    return functional.interpolate(field, size=(SIZE, SIZE), mode="bilinear", align_corners=False)


def _pictures(draws: _Draws) -> UInt8[Tensor, "b 1 h w"]:
    """The pictures of a chunk."""
    # Each drawing measures the digit, pen and bends included; the next has the size and the place wanted.
    scale = torch.full_like(draws.size, 16.0)
    centre = torch.zeros(len(scale), 2)
    table = _glyphs().distances[draws.font, draws.label][:, None]
    ink = _ink(draws, table, scale, centre)
    for _ in range(2):
        factor = draws.size / _extent(ink)
        centre = (centre - _centre_of_mass(ink)) * factor[:, None]
        scale = scale * factor
        ink = _ink(draws, table, scale, centre)
    # What is left is a shift by whole pixels, as MNIST has it.
    shift = _centre_of_mass(ink).round().long()
    pixels = torch.arange(SIZE)
    columns = (pixels + shift[:, :1]).clamp(0, SIZE - 1)[:, None, None, :]
    rows = (pixels + shift[:, 1:]).clamp(0, SIZE - 1)[:, None, :, None]
    ink = ink.gather(3, columns.expand(ink.shape)).gather(2, rows.expand(ink.shape))
    return (ink * 255).round().to(torch.uint8)


def _ink(
    draws: _Draws, table: Float[Tensor, "b 1 h w"], scale: Float[Tensor, " b"], centre: Float[Tensor, "b 2"]
) -> Float[Tensor, "b 1 28 28"]:
    """Coverage in [0, 1] of digits with so many pixels to the glyph's side, whose middle is at `centre`."""
    middle = (SIZE - 1) / 2
    axis = torch.arange(SIZE) - middle
    canvas = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), -1)
    bend = draws.bend.permute(0, 2, 3, 1)
    offset = (canvas - centre[:, None, None, :] + bend) / scale[:, None, None, None]
    at = torch.einsum("bij,bhwj->bhwi", draws.matrix, offset)
    inside = functional.grid_sample(table, at * (2 * _GLYPH / _TEXELS), padding_mode="border", align_corners=False)
    stroke = _glyphs().strokes[draws.font, draws.label] * scale
    # Half of the wanted change on each side of the stroke; thin parts of a stroke must survive a thinner pen.
    widen = torch.maximum((draws.pen - stroke) / 2, -0.2 * stroke).clamp(max=0.9)
    distance = inside * scale[:, None, None, None] + widen[:, None, None, None] + draws.pressure
    return (distance / 1.3 + 0.5).clamp(0, 1)


def _extent(ink: Float[Tensor, "b 1 h w"]) -> Float[Tensor, " b"]:
    """The longer side of each digit's box, to a fraction of a pixel (the edge pixels count by their ink)."""
    sides = [ink.amax(dim=(1, axis)).clamp(max=0.5).sum(1) * 2 for axis in (2, 3)]
    return torch.stack(sides).amax(0).clamp(min=1)


def _centre_of_mass(ink: Float[Tensor, "b 1 h w"]) -> Float[Tensor, "b 2"]:
    """x and y in pixels from the middle."""
    axis = torch.arange(SIZE) - (SIZE - 1) / 2
    total = ink.sum(dim=(1, 2, 3)).clamp(min=1e-6)
    x = (ink.sum(dim=(1, 2)) * axis).sum(1) / total
    y = (ink.sum(dim=(1, 3)) * axis).sum(1) / total
    return torch.stack([x, y], 1)


@cache
def _glyphs() -> _Glyphs:
    folder = files("sfumato.training.datasets") / "fonts"
    fonts = sorted((f for f in folder.iterdir() if f.name.startswith("digits-")), key=lambda f: f.name)
    masks = np.stack([[_mask(font.read_bytes(), digit) for digit in "0123456789"] for font in fonts])
    fine = np.stack([[_distances(mask) for mask in row] for row in masks]) / (_GLYPH * _FINE)
    # Across a stroke of width w the distance to its outline is w/4 in the mean.
    strokes = 4 * (fine * masks).sum((2, 3)) / masks.sum((2, 3))
    coarse = fine.reshape(*masks.shape[:2], _TEXELS, _FINE, _TEXELS, _FINE).mean((3, 5))
    return _Glyphs(torch.from_numpy(coarse).float(), torch.from_numpy(strokes).float())


def _mask(font: bytes, digit: str) -> _Mask:
    """A digit in the middle of a square of `_TEXELS` × `_FINE`, its longer side `_GLYPH` × `_FINE`."""
    # The basic layout engine is always there, and digits need no shaping.
    drawn = ImageFont.truetype(BytesIO(font), 256, layout_engine=ImageFont.Layout.BASIC)
    canvas = Image.new("L", (768, 768))
    ImageDraw.Draw(canvas).text((256, 512), digit, fill=255, font=drawn, anchor="ls")
    box = canvas.getbbox()
    assert box is not None  # every bundled font has every digit (there is a test)
    side, longest = _TEXELS * _FINE, max(box[2] - box[0], box[3] - box[1])
    half = longest * _TEXELS / _GLYPH / 2
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    whole = canvas.transform(
        (side, side),
        Image.Transform.EXTENT,
        (x - half, y - half, x + half, y + half),
        Image.Resampling.BILINEAR,
    )
    return np.asarray(whole) > 127


def _distances(mask: _Mask) -> _Field:
    """The signed Euclidean distance of each texel to the outline, positive inside, at most about `_REACH`."""
    return _to_nearest(~mask) - _to_nearest(mask)


def _to_nearest(target: _Mask) -> _Field:
    """Distance to the edge of the nearest texel of `target`: 0 on `target`, at most about `_REACH`.

    In numpy: on arrays of this size torch's threads cost more than they bring.
    """
    rows = np.arange(target.shape[0], dtype=np.float32)[:, None]
    # Down each column, the nearest row of the target above and below: where the last one was, and the next one is.
    above = rows - np.maximum.accumulate(np.where(target, rows, -np.inf))
    below = np.minimum.accumulate(np.where(target, rows, np.inf)[::-1])[::-1] - rows
    column = np.minimum(np.minimum(above, below), _REACH).astype(np.float32) ** 2
    # Then along the rows: the nearest over all columns within reach.
    padded = np.pad(column, ((0, 0), (_REACH, _REACH)), constant_values=_REACH**2)
    nearest = column.copy()
    for step in range(-_REACH, _REACH + 1):
        start = _REACH + step
        np.minimum(nearest, padded[:, start : start + column.shape[1]] + np.float32(step**2), out=nearest)
    return np.maximum(np.sqrt(nearest) - np.float32(0.5), 0)
