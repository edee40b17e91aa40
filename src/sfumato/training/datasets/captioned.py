"""A folder of pictures with captions as training data. Each visit of a picture shows it a little differently."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from sfumato.errors import UsageError, one_of
from sfumato.images import ImageError, read_image
from sfumato.models.text import Vocabulary
from sfumato.training.captions import COLOURS, WHITE, Record, all_words, caption, draw_caption
from sfumato.training.data import Batch
from sfumato.training.datasets.folder import Skipped
from sfumato.training.datasets.metadata import read_entries
from sfumato.training.painterly import TREATMENTS, paint

SPLITS = ("train", "test")

_CHUNK = 256  # pictures that `plain` has as floats at once
_APART = 0.3  # a background is at least so far from the mean colour of what lies on it (Euclidean, sRGB in [0, 1])
_COVERED = 0.95  # a picture that covers more of its square hides its background
_HUES = tuple(colour for colour in COLOURS if colour != WHITE)
_MEDIA = tuple(TREATMENTS)


@dataclass(frozen=True)
class Augmentation:
    """How much a picture differs from visit to visit. Colours are left as they are, for captions name them."""

    turn: float = 6.0
    """At most so many degrees, both ways."""
    scale: tuple[float, float] = (0.88, 1.0)
    """Least and greatest factor, log-uniform between them."""
    shift: float = 0.04
    """At most this part of the side, in each direction."""
    mirror: float = 0.5
    """Probability, where the picture may be mirrored."""
    coloured: float = 0.4
    """Probability of a background that is not white."""
    gradient: float = 0.3
    """Probability that a coloured background is lighter above than below, or the other way round."""
    painted: float = 0.25
    """Probability of one of the painterly treatments."""

    @classmethod
    def none(cls) -> Augmentation:
        """Pictures as they are, on white."""
        return cls(turn=0, scale=(1, 1), shift=0, mirror=0, coloured=0, gradient=0, painted=0)

    @property
    def moves(self) -> bool:
        """Whether any picture is turned, scaled, shifted or mirrored."""
        return bool(self.turn or self.scale != (1.0, 1.0) or self.shift or self.mirror)


@dataclass(frozen=True)
class _Draws:
    """The random choices for a batch, one row a picture."""

    matrix: Float[Tensor, "b 2 3"]
    """From places in the picture shown to places in the picture kept, both in [-1, 1], x before y."""
    ground: Float[Tensor, "b 3 h 1"]
    """The background's colour, row by row, in [0, 1]."""
    grounds: tuple[str | None, ...]
    """What a caption calls it; None where it is hidden."""
    treatments: tuple[str | None, ...]


@dataclass(frozen=True)
class CaptionedData:
    """Pictures with captions, resident in memory. Satisfies `sfumato.training.data.TrainingData`."""

    name: str
    pictures: UInt8[Tensor, "n 4 side side"]
    """Red, green, blue and alpha, 0 … 255, premultiplied, at `fine` times the size that a training sees."""
    records: tuple[Record, ...]
    """What each picture shows."""
    vocabulary: Vocabulary
    """Every word that a caption of any split of the folder can have."""
    concepts: tuple[str, ...]
    """What there is to be seen in any split of the folder, in the order of its list."""
    concept_of: Int[Tensor, " n"]
    """Index into `concepts`."""
    length: int = 24
    """Tokens of a caption."""
    augmentation: Augmentation = Augmentation()
    fine: int = 2
    """The pictures kept are so much larger than those seen, so that turned ones stay sharp."""

    def __len__(self) -> int:
        return self.pictures.shape[0]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width of the pictures that a training sees."""
        size = self.pictures.shape[-1] // self.fine
        return 3, size, size

    @property
    def pixel_range(self) -> tuple[float, float]:
        """Black and white."""
        return -1.0, 1.0

    @property
    def names(self) -> tuple[str, ...]:
        """The words of the captions."""
        return self.vocabulary.words

    @property
    def facts(self) -> dict[str, Any]:
        """Each concept's first name with the styles that it is seen in."""
        subjects: dict[str, tuple[str, list[str]]] = {}
        for record in self.records:
            _, styles = subjects.setdefault(record.concept, (record.names[0], []))
            styles += [style for style in record.styles[:1] if style not in styles]
        return {"subjects": list(subjects.values())}

    def prompts(self, n: int) -> list[str | None]:
        """The first n concepts, drawn in all the styles and media in turn."""
        firsts: dict[str, Record] = {}
        for record in self.records:
            firsts.setdefault(record.concept, record)
        styles = dict.fromkeys(record.styles[0] for record in self.records if record.styles)
        subjects, ways = [record.names[0] for record in firsts.values()], (None, *styles, *_MEDIA)
        return [caption(subjects[k % len(subjects)], ways[k % len(ways)]) for k in range(n)]

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over pixels, records, vocabulary and settings: tells a resumed run that its data are the same."""
        settings = (
            tuple(self.pictures.shape),
            self.records,
            self.vocabulary.words,
            self.length,
            self.augmentation,
            self.fine,
        )
        digest = hashlib.sha256(repr((settings, dict(COLOURS), _MEDIA)).encode())
        digest.update(self.pictures.contiguous().numpy().tobytes())
        return digest.hexdigest()

    def plain(self, index: Int[Tensor, " b"], device: torch.device) -> Float[Tensor, "b 3 size size"]:
        """The pictures of these numbers on white as they are, in [-1, 1]: for judges, and to look at."""
        white = torch.ones(1, 3, 1, 1, device=device)
        parts = [_laid_on(self._kept(part, device), white, self.fine) for part in torch.split(index, _CHUNK)]
        return torch.cat(parts) * 2 - 1

    def batch(self, index: Int[Tensor, " b"], generator: torch.Generator, device: torch.device) -> Batch:
        """The pictures of these numbers as drawn, in [-1, 1], and the tokens of a caption for each: `[b, length]`.

        All random numbers come from `generator`, on the CPU; the pixels are worked on where they are wanted.
        """
        draws = self._draw(index, generator)
        chosen = zip(index.tolist(), draws.treatments, draws.grounds, strict=True)
        captions = [draw_caption(self.records[i], how, ground, generator) for i, how, ground in chosen]
        kept = self._kept(index, device)
        if self.augmentation.moves:
            grid = F.affine_grid(draws.matrix.to(device), list(kept.shape), align_corners=False)
            kept = F.grid_sample(kept, grid, align_corners=False)
        pictures = paint(_laid_on(kept, draws.ground.to(device), self.fine), draws.treatments, generator)
        return Batch(pictures * 2 - 1, self.vocabulary.read(captions, self.length).to(device))

    def _kept(self, index: Int[Tensor, " b"], device: torch.device) -> Float[Tensor, "b 4 side side"]:
        """Premultiplied pictures in [0, 1]."""
        if device not in self._copies:
            self._copies[device] = self.pictures.to(device)
        return self._copies[device][index.to(device)].float() / 255

    @cached_property
    def _copies(self) -> dict[torch.device, UInt8[Tensor, "n 4 side side"]]:
        return {}

    @cached_property
    def _hidden(self) -> Bool[Tensor, " n"]:
        """Which pictures hide their background."""
        return self.pictures[:, 3].sum((1, 2), dtype=torch.int64) > _COVERED * 255 * self.pictures[0, 0].numel()

    @cached_property
    def _apart(self) -> Bool[Tensor, "n hues"]:
        """On which of `_HUES` a picture can be made out. A red apple on red teaches nothing."""
        total = self.pictures.sum((2, 3), dtype=torch.int64).float()
        mean = total[:, :3] / total[:, 3:].clamp(min=1)
        return torch.cdist(mean, torch.tensor([COLOURS[hue] for hue in _HUES])) > _APART

    def _draw(self, index: Int[Tensor, " b"], generator: torch.Generator) -> _Draws:
        """The same number of random numbers for each row, whatever it is."""
        how = self.augmentation
        columns = torch.rand(len(index), 15, generator=generator).unbind(1)
        turn, scale, right, down, mirror, coloured, hue, light, red, green, blue, graded, slope, painted, kind = columns

        # Which treatment, and so whether colours are of use; which colour, of those that the picture stands out from.
        kinds, yeses = (kind * len(_MEDIA)).long().tolist(), (painted < how.painted).tolist()
        treatments = tuple(_MEDIA[k] if yes else None for k, yes in zip(kinds, yeses, strict=True))
        colourful = torch.tensor([word is None or TREATMENTS[word].keeps_colours for word in treatments])
        apart = self._apart[index]
        has_hue = (coloured < how.coloured) & colourful & apart.any(1) & ~self._hidden[index]
        at = (apart.cumsum(1) <= (hue * apart.sum(1)).floor()[:, None]).sum(1)
        names = [_HUES[k] if yes else WHITE for k, yes in zip(at.tolist(), has_hue.tolist(), strict=True)]

        # Its value varies by ±0.06, each channel by ±0.02, a gradient adds up to ±0.12 from top to bottom.
        vary = 0.12 * (light[:, None] - 0.5) + 0.04 * (torch.stack([red, green, blue], 1) - 0.5)
        incline = 0.24 * (slope - 0.5) * (graded < how.gradient)
        rows = torch.linspace(-1, 1, self.shape[1])
        varied = (vary[:, :, None] + incline[:, None, None] * rows) * has_hue[:, None, None]
        ground = (torch.tensor([COLOURS[name] for name in names])[:, :, None] + varied).clamp(0, 1)

        flip = (mirror < how.mirror) & torch.tensor([self.records[i].mirror for i in index.tolist()])
        low, high = (math.log(factor) for factor in how.scale)
        return _Draws(
            matrix=_affine(
                (turn * 2 - 1) * math.radians(how.turn),
                torch.exp(low + (high - low) * scale),
                (torch.stack([right, down], 1) * 2 - 1) * 2 * how.shift,  # the side is 2 long
                flip,
            ),
            ground=ground[..., None],
            grounds=tuple(None if hid else name for name, hid in zip(names, self._hidden[index].tolist(), strict=True)),
            treatments=treatments,
        )


def load_captioned(
    path: Path,
    size: int,
    split: Literal["train", "test"] = "train",
    *,
    length: int = 24,
    augmentation: Augmentation | None = None,
    fine: int = 2,
) -> tuple[CaptionedData, list[Skipped]]:
    """The pictures of a folder with a `metadata.jsonl`, and what was left out.

    The list is that of Hugging Face's "imagefolder": a JSON object a line. `file_name` (relative to the folder) and
    `text` (a name of what is seen, or a list of names) must be there; `keywords` (a list), `style` (a phrase such as
    "3D render", or a list), `concept` (what pictures of the same thing share; else the first name), `mirror` (false
    where a mirrored picture would be wrong) and `held_out` (true for pictures of the test split) may be. Pictures are
    fitted into transparent squares; missing and broken ones are left out and reported.

    Args:
        path: The folder.
        size: Height and width of the pictures that a training sees, at least 8.
        split: `train`, or `test` for what is held out. Both have the same vocabulary and concepts.
        length: Tokens of a caption, at least 1; longer captions are cut off.
        augmentation: By default that of `Augmentation`.
        fine: Pictures are kept so much larger than `size`, at least 1.

    Raises:
        UsageError: a missing folder or list, a line that is not as above or whose file lies outside of the folder,
            no usable picture, or a number that makes no pictures.
    """
    if split not in SPLITS:
        raise one_of("split", split, SPLITS)
    if size < 8 or length < 1 or fine < 1:
        raise UsageError(f"pictures of {size} pixels with {length} words cannot be; give at least 8 pixels and 1 word")
    listed = read_entries(path)
    wanted = [line for line in listed if line.held_out == (split == "test")]
    side = fine * size
    pictures = torch.empty(len(wanted), 4, side, side, dtype=torch.uint8)
    records: list[Record] = []
    skipped: list[Skipped] = []
    for line in wanted:
        file = path / line.file_name
        try:
            pictures[len(records)] = _premultiplied(read_image(file, at_least=2 * side), side)
        except ImageError as error:
            skipped.append(Skipped(file, error.reason))
        else:
            records.append(line.record)
    if not records:
        why = f" ({len(skipped)} left out; the first, {skipped[0].path.name}: {skipped[0].reason})" if skipped else ""
        raise UsageError(f"no picture for the split {split} in {path}{why}")
    everything = [line.record for line in listed]
    concepts = {concept: k for k, concept in enumerate(dict.fromkeys(record.concept for record in everything))}
    data = CaptionedData(
        name=path.resolve().name + ("" if split == "train" else f"-{split}"),
        pictures=pictures[: len(records)],
        records=tuple(records),
        vocabulary=Vocabulary.of(all_words(everything)),
        concepts=tuple(concepts),
        concept_of=torch.tensor([concepts[record.concept] for record in records]),
        length=length,
        augmentation=Augmentation() if augmentation is None else augmentation,
        fine=fine,
    )
    return data, skipped


def _premultiplied(image: Image.Image, side: int) -> UInt8[Tensor, "4 side side"]:
    """A picture fitted into the middle of a transparent square."""
    scale = side / max(image.size)
    width, height = (max(1, round(length * scale)) for length in image.size)
    fitted = image.convert("RGBA")
    if fitted.size != (width, height):
        fitted = fitted.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=3.0)
    square = Image.new("RGBA", (side, side))
    square.paste(fitted, ((side - width) // 2, (side - height) // 2))
    samples = np.asarray(square).astype(np.uint32)
    samples[..., :3] = (samples[..., :3] * samples[..., 3:] + 127) // 255
    return torch.from_numpy(samples.astype(np.uint8)).permute(2, 0, 1)


def _affine(
    angle: Float[Tensor, " b"], scale: Float[Tensor, " b"], shift: Float[Tensor, "b 2"], flip: Bool[Tensor, " b"]
) -> Float[Tensor, "b 2 3"]:
    """What undoes: mirror, scale, turn by an angle in radians, shift. (Sampling asks where a pixel comes from.)"""
    cos, sin = torch.cos(angle) / scale, torch.sin(angle) / scale
    undo = torch.stack([torch.stack([cos, sin], 1), torch.stack([-sin, cos], 1)], 1)
    undo[:, 0] *= torch.where(flip, -1.0, 1.0)[:, None]
    return torch.cat([undo, -undo @ shift[..., None]], 2)


def _laid_on(
    kept: Float[Tensor, "b 4 side side"], ground: Float[Tensor, "#b 3 #h 1"], fine: int
) -> Float[Tensor, "b 3 h w"]:
    """Premultiplied pictures, brought to a fraction of their sides, on a background, in [0, 1]."""
    # The mean first: it is linear as the composition is, and there is a quarter of the work left.
    small = F.avg_pool2d(kept, fine)
    return (small[:, :3] + (1 - small[:, 3:]) * ground).clamp(0, 1)
