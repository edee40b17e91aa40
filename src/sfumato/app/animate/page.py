"""The page that an animation is on: a picture, and below it a line that says what one sees."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from sfumato.app.animate.scene import GROUND, INK, ground

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True)
class Page:
    """Pictures of one size, and room for captions below them; both sides are even, as films want them."""

    size: tuple[int, int]
    """Width and height of the pictures."""
    captions: tuple[str, ...]
    """All that there will be; empty for no room."""

    @property
    def letters(self) -> int:
        """The size of the letters, in pixels."""
        return max(14, min(self.size) // 20)

    @property
    def room(self) -> int:
        """The height of what is below the pictures."""
        lines = max((len(self._lines(caption)) for caption in self.captions), default=0)
        return round((1.25 * lines + 0.75) * self.letters) if lines else 0

    def compose(self, picture: Image.Image, caption: str = "", strength: float = 1.0) -> Image.Image:
        """A picture with its caption, from 0 (not there) to 1 (fully inked)."""
        width, height = self.size
        page = ground(picture.mode, (width + width % 2, height + self.room + (height + self.room) % 2))
        page.paste(picture, (0, 0))
        if not (self.room and caption and strength > 0):
            return page
        level = round(GROUND + (INK - GROUND) * min(strength, 1.0))
        draw = ImageDraw.Draw(page)
        for k, line in enumerate(self._lines(caption)):
            at = (width / 2, height + round(1.25 * k * self.letters))
            draw.text(at, line, level if page.mode == "L" else (level,) * 3, font_of(self.letters), anchor="ma")
        return page

    def _lines(self, caption: str) -> list[str]:
        return wrapped(caption, font_of(self.letters), self.size[0] * 0.92, 2)


def font_of(size: float) -> Font:
    """Pillow's own letters."""
    return ImageFont.load_default(size)


def wrapped(text: str, font: Font, width: float, most: int) -> list[str]:
    """Words in at most `most` lines no wider than `width`; what is too long ends in an ellipsis."""
    lines: list[str] = []
    for word in _plain(text).split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(longer) <= width:
            lines[-1] = longer
        elif len(lines) < most:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]}…"
            break
    return [_shortened(line, font, width) for line in lines]


def _plain(text: str) -> str:
    """Letters without accents, which the font does not have."""
    return "".join(letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))


def _shortened(line: str, font: Font, width: float) -> str:
    while font.getlength(line) > width and len(line) > 1:
        line = f"{line.rstrip('…')[:-1]}…"
    return line
