"""What the matcher is taught on: the names of concepts, and their pictures, made worse as a diffusion model might."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from sfumato.errors import UsageError
from sfumato.training.captions import COLOURS, Record, draw_caption
from sfumato.training.datasets.captioned import CaptionedData
from sfumato.training.painterly import TREATMENTS

CPU = torch.device("cpu")
T = TypeVar("T")


@dataclass(frozen=True)
class Concepts:
    """What there is to be told apart in a folder's pictures."""

    keys: tuple[str, ...]
    """What the folder calls them."""
    records: tuple[Record, ...]
    """The names of each that no other has, but the main name first in any case; its keywords; the styles of all."""

    @classmethod
    def in_data(cls, data: CaptionedData) -> Concepts:
        """Those that the data have pictures of. Raises UsageError when two of them have the same main name."""
        groups: dict[str, list[Record]] = {}
        for record in data.records:
            groups.setdefault(record.concept, []).append(record)
        styles = tuple(dict.fromkeys(style for record in data.records for style in record.styles))
        merged = [_merged(group, styles) for group in groups.values()]
        double = Counter(record.names[0] for record in merged).most_common(1)[0]
        if double[1] > 1:
            raise UsageError(f"two concepts of {data.name} are called {double[0]!r}; a judge could not tell them apart")
        # A cat's face that is called "cat" as well would teach that a cat is no better a cat.
        shared = Counter(name for record in merged for name in record.names)
        own = (tuple(name for name in record.names[1:] if shared[name] == 1) for record in merged)
        records = tuple(
            replace(record, names=(record.names[0], *names)) for record, names in zip(merged, own, strict=True)
        )
        return cls(tuple(groups), records)

    @property
    def names(self) -> tuple[str, ...]:
        """The main names."""
        return tuple(record.names[0] for record in self.records)

    def of(self, data: CaptionedData) -> Int[Tensor, " n"]:
        """The place of each picture's concept; -1 where it is none of these."""
        places = {key: place for place, key in enumerate(self.keys)}
        return torch.tensor([places.get(record.concept, -1) for record in data.records])

    def texts(self, each: int, generator: torch.Generator) -> list[str]:
        """For each concept in turn so many of its names, then as many captions.

        Style, medium and ground of a caption are any, so they say nothing of the concept.
        """
        mediums = (*TREATMENTS, *[None] * (2 * len(TREATMENTS)))

        def name(record: Record) -> str:
            return _pick(record.names, torch.rand((), generator=generator).item())

        def caption(record: Record) -> str:
            style, medium, ground = torch.rand(3, generator=generator).tolist()
            shown = replace(record, styles=(_pick(record.styles, style),) if record.styles else ())
            return draw_caption(shown, _pick(mediums, medium), _pick((None, *COLOURS), ground), generator)

        return [form(record) for record in self.records for form in (name, caption) for _ in range(each)]


def seen(data: CaptionedData, index: Int[Tensor, " b"], generator: torch.Generator) -> Float[Tensor, "b 3 h w"]:
    """The pictures of these numbers as the data's augmentation shows them, in [0, 1]."""
    return unit(data.batch(index, generator, CPU).pictures, data)


def worsen(x: Float[Tensor, "b 3 h w"], generator: torch.Generator) -> Float[Tensor, "b 3 h w"]:
    """Pictures in [0, 1], each bent, blurred, recoloured, blotched and noisy by its own amounts; a fifth are not.

    Elastic fields of up to some two pixels of 64 (as in `train_judge.augment`), half and quarter resolution
    mixed in, saturation, contrast, gains and lightness off by up to a third, coloured clouds and noise of up to 0.12.
    """
    rows, side = len(x), x.shape[-1]
    some = (torch.rand(rows, 1, 1, 1, generator=generator) < 0.8).float()

    def amount(most: float, often: float = 1.0) -> Tensor:
        return some * most * (1 - torch.rand(rows, 1, 1, 1, generator=generator) / often).clamp_min(0)

    def off_by(most: float, channels: int = 1) -> Tensor:
        return some * most * (2 * torch.rand(rows, channels, 1, 1, generator=generator) - 1)

    def clouds(channels: int, cells: int) -> Tensor:
        coarse = torch.randn(rows, channels, cells, cells, generator=generator)
        return F.interpolate(coarse, size=x.shape[-2:], mode="bicubic", align_corners=False)

    def coarser(factor: int) -> Tensor:
        return F.interpolate(F.avg_pool2d(x, factor), size=x.shape[-2:], mode="bilinear", align_corners=False)

    # In units of the grid, where a side is 2.
    bend = (clouds(2, 6) * amount(2.5 / 64) * 2).permute(0, 2, 3, 1)
    still = F.affine_grid(torch.eye(2, 3).expand(rows, 2, 3), [rows, 1, side, side], align_corners=False)
    x = F.grid_sample(x, still + bend, padding_mode="border", align_corners=False)
    x = torch.lerp(x, coarser(2), amount(1.0, often=0.6))
    x = torch.lerp(x, coarser(4), amount(0.8, often=0.3))
    grey = x.mean(1, keepdim=True)
    x = grey + (x - grey) * (1 + off_by(0.3))
    mean = x.mean((1, 2, 3), keepdim=True)
    x = mean + (x - mean) * torch.exp(off_by(0.3))
    x = x * torch.exp(off_by(0.15, channels=3)) + off_by(0.12)
    x = x + clouds(3, 5) * amount(0.12, often=0.6)
    x = x + torch.randn(x.shape, generator=generator) * amount(0.12, often=0.6)
    return x.clamp(0, 1)


def unit(x: Float[Tensor, "b 3 h w"], data: CaptionedData) -> Float[Tensor, "b 3 h w"]:
    """Pictures in the data's range, brought to [0, 1]."""
    low, high = data.pixel_range
    return (x - low) / (high - low)


def _merged(records: Sequence[Record], styles: tuple[str, ...]) -> Record:
    """All names and keywords of a concept's pictures, in their order."""
    names = dict.fromkeys(name for record in records for name in record.names)
    keywords = dict.fromkeys(word for record in records for word in record.keywords)
    return Record(tuple(names), tuple(keywords), styles, records[0].concept)


def _pick(options: Sequence[T], number: float) -> T:
    """The option at this share, in [0, 1), of all."""
    return options[int(number * len(options))]
