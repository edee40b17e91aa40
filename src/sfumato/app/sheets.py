"""A page to print of an anagram: the picture with lines to cut along, what to do, and what comes out as small pictures.

The lines run between the pieces that the change of views moves, exactly: the pieces are found from the views.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from sfumato.app.animate.page import font_of, wrapped
from sfumato.app.animate.pieces import SYMMETRIES, Array, Change, Piece, change, connected
from sfumato.errors import UsageError, one_of
from sfumato.files import write_bytes

if TYPE_CHECKING:
    from sfumato.app.animate.illusion import Illusion

PAPERS = {"a4": (210.0, 297.0), "letter": (215.9, 279.4)}
"""Width and height in millimetres."""
SUFFIXES = (".pdf", ".png")
MOST = 200
"""Pieces that anybody would cut."""

MARGIN, GAP, SMALL = 15.0, 9.0, 36.0
"""Millimetres around the page, between its parts, and of a side of the small pictures."""
TITLE, TEXT = 8.0, 4.2
"""Millimetres of letters."""
FAINT = "#b0b0b0"
"""The grey around pictures."""
HALO, LINE = 0.7, 0.25
"""Millimetres of a line to cut along: a white one below a thin black one is seen on any picture."""


def print_sheet(file: Path, out: Path, views: Sequence[str] = (), *, paper: str = "a4", dpi: int = 150) -> None:
    """Write the page of an anagram as a PDF or a PNG, by the suffix of `out`; with `views`, that of any picture.

    Raises UsageError for what paper cannot do.
    """
    from sfumato.app.animate.illusion import read_illusion

    if out.suffix.lower() not in SUFFIXES:
        raise UsageError(f"a sheet is a .pdf or a .png, not {out.suffix or 'a file without a suffix'}")
    if paper not in PAPERS:
        raise one_of("paper", paper, tuple(PAPERS))
    illusion = read_illusion(file, views, largest=1024)
    page = sheet_of(illusion, PAPERS[paper], dpi)
    buffer = io.BytesIO()
    if out.suffix.lower() == ".pdf":
        # Without its dates the file is the same each time.
        page.save(buffer, "PDF", resolution=dpi, quality=95, title=_title(illusion), creationDate=None, modDate=None)
    else:
        page.save(buffer, "PNG", dpi=(dpi, dpi))
    write_bytes(out, buffer.getvalue())


def sheet_of(illusion: Illusion, paper: tuple[float, float], dpi: int) -> Image.Image:
    """The page of an illusion on paper of so many millimetres. Raises UsageError for what paper cannot do."""
    from sfumato.evaluation.illusions import seen
    from sfumato.images import to_image, to_tensor

    if not illusion.readings:
        raise UsageError(f"{illusion.path} is no anagram: nothing to cut or turn; give it views with --view")
    channels = len(illusion.picture.getbands())
    (_, first), *others = illusion.readings
    shape = (channels, illusion.picture.height, illusion.picture.width)
    changes = [change(first, view, shape) for _, view in others]
    if not any(piece.changes for between in changes for piece in between.pieces):
        raise UsageError("all of its views show the same; there is nothing to cut or turn")
    steps = [instruction(between) for between in changes]
    if len(steps) > 1:
        steps = [f"{prompt}: {step}" for (prompt, _), step in zip(others, steps, strict=True)]
    x = to_tensor(illusion.picture, None, channels)[None]
    main, *results = (to_image(seen(x, view)[0]) for _, view in illusion.readings)

    page = _Page(main.mode, paper, dpi)
    middle, width = paper[0] / 2, paper[0] - 2 * MARGIN
    top = page.text(_title(illusion), MARGIN, TITLE, middle, width, 2)
    top = page.text(" ".join(steps), top + 1, TEXT, middle, width, 3)
    small = min(SMALL, (width + GAP) / len(results) - GAP)
    bottom = paper[1] - MARGIN - 1.5 * TEXT - small
    page.picture(main, (top + GAP, bottom - GAP), cuts(changes))
    page.row(results, [prompt for prompt, _ in others], bottom, small)
    return page.image


def _title(illusion: Illusion) -> str:
    return " · ".join(prompt for prompt, _ in illusion.readings)


def cuts(changes: Sequence[Change]) -> tuple[Array, Array]:
    """Where pieces meet: for each pixel but the last of its row, whether the one on its right, and for each but the
    last of its column, whether the one below, belongs to another piece in any of the changes.

    Raises UsageError for more pieces than anybody would cut.
    """
    labels = np.dstack([between.labels for between in changes])
    count = int(connected(labels).max()) + 1
    if count > MOST:
        raise UsageError(f"the picture would have to be cut into {count} pieces; a sheet is for at most {MOST}")
    return (labels[:, 1:] != labels[:, :-1]).any(axis=-1), (labels[1:] != labels[:-1]).any(axis=-1)


def instruction(between: Change) -> str:
    """What to do with the paper, in a sentence. Raises UsageError for what paper cannot do."""
    pieces = between.pieces
    actions = []
    if len(pieces) == 1:
        # A mirror exchanges left and right, so what is turned over is turned in the plane first.
        mirror = np.diag([-1.0, 1.0]) if pieces[0].mirrored else np.eye(2)
        quarters = next(k for k in range(4) if np.array_equal(mirror @ SYMMETRIES[k], pieces[0].matrix))
        actions += [f"turn the page by {_turn(quarters)}"] if quarters else []
        actions += ["look at it in a mirror"] if pieces[0].mirrored else []
    elif any(piece.mirrored for piece in pieces) or len({piece.sign for piece in pieces}) > 1:
        raise UsageError("some of its pieces would have to be turned over or negated, which paper cannot be")
    elif len(moving := [piece for piece in pieces if piece.moves]) == 1 and _in_place(moving[0]):
        quarters = next(k for k in range(4) if np.array_equal(SYMMETRIES[k], moving[0].matrix))
        actions.append(f"cut along the line and turn the inner piece by {_turn(quarters)}")
    elif moving:
        actions.append(f"cut along the lines and put the {len(pieces)} pieces together as in the small picture")
    if all(piece.sign < 0 for piece in pieces):
        actions.append("invert the colours of a photograph of it")
    sentence = " and ".join(actions) or "look at it"
    return f"{sentence[0].upper()}{sentence[1:]}."


def _turn(quarters: int) -> str:
    return ("", "a quarter turn to the left", "180°", "a quarter turn to the right")[quarters]


def _in_place(piece: Piece) -> bool:
    return bool(np.array_equal(piece.matrix @ piece.middle + piece.shift, piece.middle))


class _Page:
    """White paper that is drawn on in millimetres."""

    def __init__(self, mode: str, paper: tuple[float, float], dpi: int) -> None:
        self.paper, self.dpi = paper, dpi
        self.image = Image.new(mode, (self.px(paper[0]), self.px(paper[1])), "white")
        self.draw = ImageDraw.Draw(self.image)

    def px(self, millimetres: float) -> int:
        return round(millimetres / 25.4 * self.dpi)

    def text(self, text: str, top: float, letters: float, middle: float, width: float, most: int) -> float:
        """Centred lines of text; returns where they end."""
        font = font_of(letters / 25.4 * self.dpi)
        for line in wrapped(text, font, self.px(width), most):
            self.draw.text((self.px(middle), self.px(top)), line, "black", font, anchor="ma")
            top += 1.3 * letters
        return top

    def picture(self, image: Image.Image, between: tuple[float, float], cuts: tuple[Array, Array]) -> None:
        """The picture as large as fits between two heights, with lines where to cut and marks at its corners."""
        room = (self.px(self.paper[0] - 2 * MARGIN), self.px(between[1]) - self.px(between[0]))
        scale = min(room[0] / image.width, room[1] / image.height)
        width, height = math.floor(image.width * scale), math.floor(image.height * scale)
        left, top = (self.image.width - width) // 2, self.px(between[0]) + (room[1] - height) // 2
        across = [left + round(k * width / image.width) for k in range(image.width + 1)]
        down = [top + round(k * height / image.height) for k in range(image.height + 1)]
        self._framed(_sized(image, across, down), left, top)
        right, below = cuts
        lines = [(across[x + 1], down[a], across[x + 1], down[b]) for x, a, b in _runs(right.T)]
        lines += [(across[a], down[y + 1], across[b], down[y + 1]) for y, a, b in _runs(below)]
        self._lines(lines, HALO, "white")
        self._lines(lines, LINE, "black")
        near, far = self.px(2), self.px(6)
        beside = [(left - far, left - near), (left + width + near, left + width + far)]
        above = [(top - far, top - near), (top + height + near, top + height + far)]
        marks = [(a, y, b, y) for a, b in beside for y in (top, top + height)]
        self._lines([*marks, *((x, a, x, b) for a, b in above for x in (left, left + width))], LINE, "black")

    def row(self, images: Sequence[Image.Image], captions: Sequence[str], top: float, side: float) -> None:
        """Small pictures beside each other, each with its caption."""
        left = (self.paper[0] - len(images) * (side + GAP) + GAP) / 2
        for image, caption in zip(images, captions, strict=True):
            scale = self.px(side) / max(image.size)
            small = image.resize(
                (max(1, round(image.width * scale)), max(1, round(image.height * scale))), Image.Resampling.BOX
            )
            self._framed(small, self.px(left + side / 2) - small.width // 2, self.px(top))
            self.text(caption, top + side + 0.4 * TEXT, TEXT, left + side / 2, side + GAP, 1)
            left += side + GAP

    def _framed(self, image: Image.Image, left: int, top: int) -> None:
        """A picture with a thin line around it, or white ones would not end."""
        self.image.paste(image, (left, top))
        self.draw.rectangle((left - 1, top - 1, left + image.width, top + image.height), outline=FAINT)

    def _lines(self, lines: Iterable[tuple[int, int, int, int]], millimetres: float, colour: str) -> None:
        """Lines from left to right or from above to below, with square ends."""
        half = self.px(millimetres) // 2
        for x0, y0, x1, y1 in lines:
            self.draw.rectangle((x0 - half, y0 - half, x1 + half, y1 + half), colour)


def _sized(image: Image.Image, across: list[int], down: list[int]) -> Image.Image:
    """The picture with the borders of its pixels where they are said to be."""
    width, height = across[-1] - across[0], down[-1] - down[0]
    if width < image.width or height < image.height:
        return image.resize((width, height), Image.Resampling.BOX)
    return Image.fromarray(np.asarray(image).repeat(np.diff(down), axis=0).repeat(np.diff(across), axis=1))


def _runs(lines: Array) -> Iterator[tuple[int, int, int]]:
    """Of each line of truths the stretches that are true: its index, where they begin, and where they end."""
    ends = np.diff(np.pad(lines.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    begin, end = np.argwhere(ends == 1), np.argwhere(ends == -1)
    for (line, a), (_, b) in zip(begin.tolist(), end.tolist(), strict=True):
        yield line, a, b
