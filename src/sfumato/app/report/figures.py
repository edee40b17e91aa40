"""Figures: rows of pictures with captions, as HTML with the pictures inside and as one sheet for the disk."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NewType

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from sfumato.app.output import enlarge, sheet
from sfumato.images import to_image

Html = NewType("Html", str)
"""Markup that is safe to put into a page: its text is escaped."""

Verdict = Literal["", "right", "wrong"]

GREYS = 16
"""Levels of grey in an animation: noise does not compress, fewer levels do."""
COLOURS = 128
"""Colours in a frame of an animation in colour."""
_SMOOTH = 128
"""Pixels of a picture that is larger than that are no longer shown as squares."""


@dataclass(frozen=True, eq=False)
class Tile:
    """One picture of a figure."""

    picture: Float[Tensor, "c h w"]
    """Values in [0, 1]."""
    alt: str
    """What it shows, for those who do not see it."""
    caption: str = ""
    verdict: Verdict = ""
    """Whether the judge read what was asked for."""
    width: int | None = None
    """In CSS pixels, smoothed as the eye would; None fills its column, every pixel a square."""


@dataclass(frozen=True, eq=False)
class Row:
    """Pictures side by side."""

    tiles: Sequence[Tile]
    label: str = ""


def text(value: object) -> Html:
    """Plain text as markup."""
    return Html(html.escape(str(value)))


def figure(rows: Sequence[Row], caption: str) -> Html:
    """Rows of pictures; equal columns, narrower on a narrow screen."""
    columns = max(len(row.tiles) for row in rows)
    largest = max(tile.picture.shape[-1] for row in rows for tile in row.tiles)
    labelled = " labelled" if any(row.label for row in rows) else ""
    body = "".join(_row(row) for row in rows)
    legend = f"<figcaption>{text(caption)}</figcaption>"
    style = f"--columns:{columns};--tile:{_shown(largest)}px"
    return Html(f'<figure class="tiles{labelled}" style="{style}">{body}{legend}</figure>')


def side_by_side(figures: Sequence[Html]) -> Html:
    """Figures in two columns where there is room for them."""
    return Html(f'<div class="pair">{"".join(figures)}</div>') if len(figures) > 1 else Html("".join(figures))


def picture(image: Image.Image, alt: str, caption: str, width: int, format: str = "PNG") -> Html:
    """One picture over the width of the column, at most `width` CSS pixels."""
    return animation(_encoded(image, format), alt, caption, width, format.lower())


def animation(
    content: bytes, alt: str, caption: str, width: int, kind: str = "gif", still: Image.Image | None = None
) -> Html:
    """A picture or animation from its bytes; `still` is shown in its place to who would rather have nothing move."""
    image = f'<img class="pixels wide" src="{_uri(content, kind)}" alt="{text(alt)}" style="width:{width}px">'
    if still is not None:
        calm = f'<source media="(prefers-reduced-motion: reduce)" srcset="{data_url(still)}">'
        image = f"<picture>{calm}{image}</picture>"
    return Html(f"<figure>{image}<figcaption>{text(caption)}</figcaption></figure>")


def cells(tiles: Sequence[Tile]) -> Html:
    """Pictures side by side, in equal columns; what is around them sets their number, `--columns`."""
    return Html(f'<div class="cells">{"".join(map(_tile, tiles))}</div>')


def data_url(image: Image.Image) -> str:
    """A picture as the source of an `<img>`, without loss."""
    return _uri(_encoded(image, "PNG"), "png")


def disk_sheet(rows: Sequence[Row]) -> Image.Image:
    """The figure as one picture: rows filled up with grey."""
    columns = max(len(row.tiles) for row in rows)
    blank = torch.full_like(rows[0].tiles[0].picture, 0.5)
    pictures = [p for row in rows for p in [*(tile.picture for tile in row.tiles), *[blank] * columns][:columns]]
    return sheet(torch.stack(pictures), columns, zoom=4)


def frames(grids: Sequence[Float[Tensor, "n c h w"]], columns: int, zoom: int) -> list[Image.Image]:
    """Frames of an animation, each a grid of pictures with values in [0, 1], in few greys or colours."""
    if grids[0].shape[1] > 1:
        return [enlarge(sheet(grid, columns, zoom=1, gap=1).quantize(COLOURS), zoom) for grid in grids]
    shades = [(grid * (GREYS - 1)).round() / (GREYS - 1) for grid in grids]
    return [enlarge(sheet(grid, columns, zoom=1, gap=1), zoom).quantize(GREYS + 1) for grid in shades]


def _row(row: Row) -> str:
    label = f'<div class="label">{text(row.label)}</div>' if row.label else ""
    return f'<div class="row">{label}{cells(row.tiles)}</div>'


def _tile(tile: Tile) -> str:
    sharp = tile.width is None and tile.picture.shape[-1] <= _SMOOTH
    style = f' style="width:{tile.width}px"' if tile.width else ""
    source = data_url(to_image(tile.picture))
    mark = {"right": '<b class="right">✓</b> ', "wrong": '<b class="wrong">✗</b> ', "": ""}[tile.verdict]
    caption = f"<span>{mark}{text(tile.caption)}</span>" if tile.caption or mark else ""
    kind = ' class="pixels"' if sharp else ""
    image = f'<img{kind} src="{source}" alt="{text(tile.alt)}"{style}>'
    return f'<div class="tile">{image}{caption}</div>'


def _shown(size: int) -> int:
    """CSS pixels of a picture, at most: a whole multiple of its own where it is small."""
    return size * max(1, round(112 / size)) if size <= _SMOOTH else 256


def _encoded(image: Image.Image, format: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, optimize=True)
    return buffer.getvalue()


def _uri(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
