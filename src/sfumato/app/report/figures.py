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
    turn: str = ""
    """What happens under the pointer: `rotate`, `flip` or `mirror`."""


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
    labelled = " labelled" if any(row.label for row in rows) else ""
    body = "".join(_row(row) for row in rows)
    legend = f"<figcaption>{text(caption)}</figcaption>"
    return Html(f'<figure class="tiles{labelled}" style="--columns:{columns}">{body}{legend}</figure>')


def picture(image: Image.Image, alt: str, caption: str, width: int, format: str = "PNG") -> Html:
    """One picture over the width of the column, at most `width` CSS pixels."""
    return animation(_encoded(image, format), alt, caption, width, format.lower())


def animation(content: bytes, alt: str, caption: str, width: int, kind: str = "gif") -> Html:
    """A picture or animation from its bytes."""
    source = f'src="{_uri(content, kind)}" alt="{text(alt)}" style="width:{width}px"'
    return Html(f'<figure><img class="pixels wide" {source}><figcaption>{text(caption)}</figcaption></figure>')


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
    return f'<div class="row">{label}<div class="cells">{"".join(map(_tile, row.tiles))}</div></div>'


def _tile(tile: Tile) -> str:
    classes = "" if tile.width else "pixels"
    classes += f" turn {tile.turn}" if tile.turn else ""
    style = f' style="width:{tile.width}px"' if tile.width else ""
    source = _uri(_encoded(to_image(tile.picture), "PNG"), "png")
    mark = {"right": '<b class="right">✓</b> ', "wrong": '<b class="wrong">✗</b> ', "": ""}[tile.verdict]
    caption = f"<span>{mark}{text(tile.caption)}</span>" if tile.caption or mark else ""
    image = f'<img class="{classes.strip()}" src="{source}" alt="{text(tile.alt)}"{style}>'
    return f'<div class="tile">{image}{caption}</div>'


def _encoded(image: Image.Image, format: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, optimize=True)
    return buffer.getvalue()


def _uri(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
