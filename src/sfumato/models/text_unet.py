"""A text-conditioned UNet for small colour pictures, with its text encoder.

The picture is cut into patches of 2×2 pixels that become channels (pixel unshuffle), so the network works at half the
size. Residual blocks (He et al. 2016, pre-activation) are modulated by time and pooled text through their
normalisation (Dhariwal & Nichol 2021, section 3); at small sizes the pixels attend to the words, and at the smallest
to words and pixels together: the words' keys and values stand beside their own (Nichol et al. 2022, section 4).

Modulation says the same to every place, and attention asks each place what it needs: neither can say at once where what
of a subject is to be, when there is nothing to be seen but noise. So the words, as a bag, are also mapped to a coarse
picture of channels, their layout, which is added at the smallest size. With it a text is learned several times as fast.

The text encoder is a small transformer over words, trained with the rest. It asks for no download.
"""

from __future__ import annotations

import itertools
import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor, nn
from torch.nn import functional as F

from sfumato.errors import UsageError
from sfumato.models.network import Encoded, NamedAxis, Network, NetworkConfig, Seen
from sfumato.models.text import Vocabulary, words
from sfumato.models.text_encoder import Attention, TextEncoder, zeroed

GROUP = 16
"""Channels that are normalised together."""
LAYOUT = 8
"""Height and width of a text's layout."""


@dataclass(frozen=True)
class TextUNetConfig(NetworkConfig):
    """What a text UNet is built from."""

    kind: ClassVar[str] = "text-unet"

    words: tuple[str, ...]
    """The vocabulary."""
    size: int = 64
    """Height and width of the picture in pixels."""
    channels: int = 3
    """Channels of the picture."""
    patch: int = 2
    """Pixels, in height and width, that become channels."""
    widths: tuple[int, ...] = (64, 192, 384)
    """Channels at size/patch, half of that, a quarter …; multiples of 32."""
    blocks: int = 1
    """Residual blocks at each size on the way down, and on the way up."""
    attention: int = 1
    """First of `widths`, counted from 0, at which the picture attends to the words; the last one always does."""
    own_attention: int = 2
    """First one at which it attends to itself too; the last one always does."""
    head: int = 32
    """Channels of an attention head."""
    text_width: int = 256
    """Channels of a word."""
    text_layers: int = 2
    """Layers of the text encoder."""
    layout: int = 32
    """Channels of a text's layout."""
    length: int = 24
    """Words of a prompt, at most."""
    guide: int = 0
    """Channels that it is given beside the picture's: those of a smaller picture, brought to its size."""

    def __post_init__(self) -> None:
        numbers = (self.size, self.channels, self.patch, self.blocks, self.head, self.text_width, self.length)
        if not self.widths or min(*numbers, self.layout, *self.widths) < 1 or self.text_layers < 0:
            raise ValueError("the numbers of a text UNet must be at least 1")
        if self.size % (self.patch * 2 ** (len(self.widths) - 1)):
            raise ValueError(
                f"a picture of {self.size} pixels cannot be halved {len(self.widths) - 1} times in patches"
            )
        if any(width % math.lcm(GROUP, self.head) for width in (*self.widths, self.text_width)):
            raise ValueError(f"widths must be multiples of {math.lcm(GROUP, self.head)}")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        return self.channels, self.size, self.size

    @property
    def timed(self) -> bool:
        """Always."""
        return True

    @property
    def conditioned(self) -> bool:
        """Always: by text."""
        return True

    def build(self) -> TextUNet:
        """The network, with random weights."""
        return TextUNet(self)


class ResBlock(nn.Module):
    """Two 3×3 convolutions, the second's normalisation scaled and shifted by the embedding of time and text."""

    def __init__(self, inputs: int, outputs: int, embedding: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(inputs // GROUP, inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.modulate = zeroed(nn.Linear(embedding, 2 * outputs))
        self.norm2 = nn.GroupNorm(outputs // GROUP, outputs, affine=False)
        self.conv2 = zeroed(nn.Conv2d(outputs, outputs, 3, padding=1))
        self.skip = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Float[Tensor, "b i h w"], embedding: Float[Tensor, "b e"]) -> Float[Tensor, "b o h w"]:
        """x through the block."""
        scale, shift = self.modulate(embedding)[:, :, None, None].chunk(2, dim=1)
        h = self.conv1(F.silu(self.norm1(x)))
        h = self.conv2(F.silu(torch.addcmul(shift, self.norm2(h), 1 + scale)))
        out: Tensor = self.skip(x) + h
        return out


class Stage(nn.Module):
    """A residual block, and attention over pixels and words where the size allows it."""

    def __init__(self, inputs: int, outputs: int, embedding: int, attention: Attention | None) -> None:
        super().__init__()
        self.block = ResBlock(inputs, outputs, embedding)
        self.attention = attention

    def forward(
        self, x: Float[Tensor, "b i h w"], embedding: Float[Tensor, "b e"], words: Words
    ) -> Float[Tensor, "b o h w"]:
        """x through the stage; takes its own keys and values from `words`."""
        out: Tensor = self.block(x, embedding)
        if self.attention is None:
            return out
        rows: Tensor = self.attention(out.flatten(2).transpose(1, 2), words.counts, words.next())
        return rows.transpose(1, 2).reshape(out.shape)


class Words:
    """The keys and values of the words for each attention of a network, handed out in order."""

    def __init__(self, counts: Bool[Tensor, "b l"], pairs: Sequence[Tensor]) -> None:
        self.counts = counts
        self._pairs = iter(zip(pairs[::2], pairs[1::2], strict=True))

    def next(self) -> tuple[Tensor, Tensor]:
        """Those of the next attention."""
        return next(self._pairs)


class TextNetwork(Network):
    """A network that is asked in words."""

    @property
    @abstractmethod
    def vocabulary(self) -> Vocabulary:
        """The words it knows."""

    @property
    @abstractmethod
    def length(self) -> int:
        """Words of a prompt that it reads, at most."""

    def check(self, condition: str, model: str) -> tuple[str, ...]:
        """The unknown words of a prompt; UsageError when there is no other."""
        unknown = self.vocabulary.unknown(condition)
        if unknown and len(unknown) == len(set(words(condition))):
            near = self.vocabulary.near(unknown[0])
            hint = f"; near it are {', '.join(near)}" if near else ""
            raise UsageError(f"model {model} knows no word of {condition!r}{hint}")
        return unknown

    def read(self, conditions: Sequence[str | None]) -> Int[Tensor, "b l"]:
        """Prompts as tokens; None and the empty prompt are nothing. Unknown words are left out."""
        return self.vocabulary.read(conditions, self.length)


class TextUNet(TextNetwork):
    """The UNet; `read` and `encode` are its text side, `forward` its picture side."""

    config: TextUNetConfig

    def __init__(self, config: TextUNetConfig) -> None:
        super().__init__()
        self.config = config
        widths, patch = config.widths, config.patch**2
        embedding = widths[-1]
        self.text = TextEncoder(
            len(config.words) + 1, config.text_width, config.text_layers, config.length, config.head
        )
        self.pooled = nn.Linear(config.text_width, embedding)
        self.bag = nn.Linear(config.text_width, embedding)
        # Every place of a layout begins alike, so that places a smaller picture did not tell apart go on so.
        self.layout = zeroed(nn.Linear(config.text_width, config.layout * LAYOUT**2))
        self.spread = nn.Conv2d(config.layout, widths[-1], 1)
        self.time = nn.Sequential(nn.Linear(embedding, embedding), nn.SiLU(), nn.Linear(embedding, embedding))

        words, own = (min(first, len(widths) - 1) for first in (config.attention, config.own_attention))

        def stage(level: int, inputs: int) -> Stage:
            attention = Attention(widths[level], config.head, own=level >= own, text=config.text_width)
            return Stage(inputs, widths[level], embedding, attention if level >= words else None)

        self.unshuffle, self.shuffle = nn.PixelUnshuffle(config.patch), nn.PixelShuffle(config.patch)
        self.first = nn.Conv2d((config.channels + config.guide) * patch, widths[0], 3, padding=1)
        # Levels from fine to coarse on the way down and from coarse to fine on the way up, `blocks` stages at each.
        levels = [level for level in range(len(widths)) for _ in range(config.blocks)]
        pairs = list(itertools.pairwise(widths))
        self.down = nn.ModuleList(stage(level, widths[level]) for level in levels)
        self.coarser = nn.ModuleList(nn.Conv2d(fine, coarse, 3, stride=2, padding=1) for fine, coarse in pairs)
        self.middle = stage(len(widths) - 1, widths[-1])
        self.up = nn.ModuleList(stage(level, 2 * widths[level]) for level in reversed(levels))
        self.finer = nn.ModuleList(
            nn.Sequential(nn.Conv2d(coarse, 4 * fine, 1), nn.PixelShuffle(2)) for fine, coarse in reversed(pairs)
        )
        self.norm = nn.GroupNorm(widths[0] // GROUP, widths[0])
        self.last = zeroed(nn.Conv2d(widths[0], config.channels * patch, 3, padding=1))

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The words it knows."""
        return Vocabulary(self.config.words)

    @property
    def length(self) -> int:
        """Words of a prompt, at most."""
        return self.config.length

    def encode(self, conditions: Shaped[Tensor, "b l"]) -> Encoded:
        """The pooled text, its layout, which words count, and the keys and values of the words for each attention."""
        vectors, counts = self.text(conditions)
        bag = self.text.bag(conditions)
        layout = self.layout(bag).unflatten(1, (-1, LAYOUT, LAYOUT))
        # In the order in which a picture passes them.
        attentions = [stage.attention for stage in (*self.down, self.middle, *self.up)]
        pairs = [attention.read(vectors) for attention in attentions if isinstance(attention, Attention)]
        pooled = self.pooled(vectors[:, 0]) + self.bag(bag)
        return (pooled, layout, counts, *(tensor for pair in pairs for tensor in pair))

    def named_axes(self) -> dict[str, NamedAxis]:
        """The words."""
        return {"text.embed.weight": (0, ("", *self.config.words))}

    def see(self, x: Float[Tensor, "b i h w"], time: Float[Tensor, "b 1"] | None = None) -> Seen:
        """The patches and the embedding of the time: from the first block on, everything depends on the text."""
        assert time is not None
        h = self.first(self.unshuffle(x))
        return h, self.time(sinusoids(time, self.config.widths[-1]).to(x.dtype))

    def answer(self, seen: Seen, condition: Encoded) -> Float[Tensor, "b o h w"]:
        """The blocks."""
        h, time = seen
        return self.head(self.body(h, self.modulation(time, condition), condition))

    def modulation(self, time: Float[Tensor, "b e"], condition: Encoded) -> Float[Tensor, "b e"]:
        """The embedding of time and text that modulates every block."""
        return F.silu(time + condition[0])

    def body(
        self, h: Float[Tensor, "b i h w"], modulation: Float[Tensor, "b e"], condition: Encoded
    ) -> Float[Tensor, "b i h w"]:
        """The blocks: from what was seen, at the finest level, to what is to be painted there."""
        _, layout, counts, *pairs = condition
        reading = Words(counts, pairs)
        skips: list[Tensor] = []
        blocks = self.config.blocks
        for k, stage in enumerate(self.down):
            if k and k % blocks == 0:
                h = self.coarser[k // blocks - 1](h)
            if k == len(self.down) - blocks:
                h = h + self.spread(F.adaptive_avg_pool2d(layout, (h.shape[-2], h.shape[-1])))
            h = stage(h, modulation, reading)
            skips.append(h)
        h = self.middle(h, modulation, reading)
        for k, stage in enumerate(self.up):
            if k and k % blocks == 0:
                h = self.finer[k // blocks - 1](h)
            h = stage(torch.cat([h, skips.pop()], dim=1), modulation, reading)
        return h

    def head(self, h: Float[Tensor, "b i y x"]) -> Float[Tensor, "b o h w"]:
        """The output from the last block's channels."""
        out: Tensor = self.shuffle(self.last(F.silu(self.norm(h))))
        return out


def sinusoids(time: Float[Tensor, "b 1"], width: int) -> Float[Tensor, "b d"]:
    """Cosines and sines of times in [0, 1] at `width`/2 frequencies from 1 to 1000 radians (Vaswani et al. 2017)."""
    frequencies = torch.logspace(0, 3, width // 2, device=time.device)
    angles = time.float() * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=1)
