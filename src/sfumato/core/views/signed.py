"""Any signed permutation of pixels, as a value whose text holds all of it."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from sfumato.core.views.permutation import Permutation, enlarged

_DAMAGED = "the table of a signed permutation is damaged or cut off"


@dataclass(frozen=True)
class Signed(Permutation):
    """Pixels moved and negated as a table says; on a canvas k times as large, cells of k × k pixels.

    Its text is the table itself, so a picture made with it can be made again without the file that it came from.
    """

    name: ClassVar[str] = "signed"

    height: int
    width: int
    table: str
    """The entries row by row, each in as few bits as the largest needs, in URL-safe base64."""

    def __post_init__(self) -> None:
        # A table has one text: what would be packed differently is no text of it.
        if _text(_checked(self.entries)) != self.table:
            raise ValueError(_DAMAGED)

    @property
    def entries(self) -> Int64[Tensor, "h w"]:
        """For each pixel the one that it comes from, counted from 1, negative where its value is negated."""
        count = self.height * self.width
        if self.height < 1 or self.width < 1 or 6 * len(self.table) < count * _bits_of(count):
            raise ValueError(_DAMAGED)
        try:
            data = base64.b64decode(self.table + "=" * (-len(self.table) % 4), b"-_", validate=True)
        except ValueError as error:
            raise ValueError(_DAMAGED) from error
        bits = _bits(torch.tensor(list(data)), 8)[: count * _bits_of(count)]
        codes = _numbers(bits, _bits_of(count))
        return ((codes // 2 + 1) * (1 - 2 * (codes % 2))).view(self.height, self.width)

    def sources(self, height: int, width: int) -> Int64[Tensor, "h w"]:
        """Each pixel from the cell that the table says. Raises ValueError for a canvas that is no multiple of it."""
        if height % self.height or width % self.width or height * self.width != width * self.height:
            raise ValueError(
                f"a permutation of {self.height}×{self.width} pixels fits canvases 1, 2, … times that size, "
                f"not {height}×{width}"
            )
        return enlarged(self.entries.abs() - 1, height, width)

    def __call__(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """A x."""
        return super().__call__(x) * _signs(self, x.shape[-1] // self.width).to(x)

    def inverse(self, y: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """A⁻¹ y."""
        return super().inverse(y * _signs(self, y.shape[-1] // self.width).to(y))

    def inverse_magnitude(self, y: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """|A|⁻¹ y."""
        return super().inverse(y)


def signed(entries: Int64[Tensor, "h w"]) -> Signed:
    """The view with this table, as `Signed.entries` has it. Raises ValueError when it is no signed permutation."""
    height, width = entries.shape
    return Signed(height, width, _text(_checked(entries)))


@lru_cache(maxsize=32)
def _signs(view: Signed, times: int) -> Float[Tensor, "h w"]:
    """Of every pixel of a canvas so many times as large as the table."""
    return view.entries.sign().float().repeat_interleave(times, 0).repeat_interleave(times, 1)


def _checked(entries: Int64[Tensor, "h w"]) -> Int64[Tensor, "h w"]:
    count = entries.numel()
    missing = set(range(1, count + 1)).difference(entries.abs().flatten().tolist())
    if missing:
        raise ValueError(
            f"a signed permutation of {count} pixels has each of 1 … {count} once, some of them negative; "
            f"this one has no {min(missing)}"
        )
    return entries


def _text(entries: Int64[Tensor, "h w"]) -> str:
    codes = 2 * (entries.abs() - 1) + (entries < 0)
    bits = _bits(codes.flatten(), _bits_of(entries.numel()))
    octets = _numbers(torch.cat([bits, bits.new_zeros(-len(bits) % 8)]), 8)
    return base64.urlsafe_b64encode(bytes(octets.tolist())).decode().rstrip("=")


def _bits_of(count: int) -> int:
    """How many bits an entry takes: its sign and a number below `count`."""
    return (2 * count - 1).bit_length()


def _bits(numbers: Int64[Tensor, " n"], size: int) -> Int64[Tensor, " n*{size}"]:
    """Numbers as bits, the highest first."""
    return ((numbers[:, None] >> torch.arange(size).flip(0)) & 1).flatten()


def _numbers(bits: Int64[Tensor, " n"], size: int) -> Int64[Tensor, " m"]:
    """Bits as numbers of `size` bits each."""
    return (bits.view(-1, size) << torch.arange(size).flip(0)).sum(1)
