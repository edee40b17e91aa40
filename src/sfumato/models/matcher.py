"""A small network that says how well a text fits a picture: the one inside the judge of text-to-image samples.

Pictures and texts become unit vectors of one space; how well they fit is their cosine (Radford et al. 2021, Learning
Transferable Visual Models From Natural Language Supervision, section 2.3). The text is read as a bag of words.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from sfumato.models.text import PAD, Vocabulary

_PATCH = 2  # pixels, in height and width, that become channels
_SHARPEST = 100.0  # the temperature's bound, as in the paper


@dataclass(frozen=True)
class MatcherConfig:
    """What a matcher is built from."""

    words: tuple[str, ...]
    """The vocabulary."""
    size: int = 64
    """Height and width of the picture in pixels."""
    widths: tuple[int, ...] = (32, 64, 128, 256)
    """Channels at size/2, half of that, a quarter …"""
    blocks: tuple[int, ...] = (0, 1, 2, 1)
    """Residual blocks at each of these sizes; at least one at each but the first."""
    features: int = 192
    """Numbers of a vector."""
    word_width: int = 128
    """Numbers of a word."""
    text_width: int = 256
    """Numbers between the bag of words and the vector."""
    length: int = 24
    """Words of a text, at most."""

    def __post_init__(self) -> None:
        numbers = (self.size, self.features, self.word_width, self.text_width, self.length)
        if not self.widths or min(*numbers, *self.widths) < 1:
            raise ValueError("the numbers of a matcher must be at least 1")
        if len(self.blocks) != len(self.widths) or self.blocks[0] < 0 or any(count < 1 for count in self.blocks[1:]):
            raise ValueError("a matcher has at least one block at each size but the first")
        if self.size % (_PATCH * 2 ** (len(self.widths) - 1)):
            raise ValueError(f"a picture of {self.size} pixels cannot be halved {len(self.widths)} times")

    def to_dict(self) -> dict[str, Any]:
        """As plain data, for a file."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> MatcherConfig:
        """From plain data. Raises TypeError for an unknown or missing key, ValueError for an impossible number."""
        values: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in data.items()}
        return cls(**values)


class MatcherBlock(nn.Module):
    """Two 3×3 convolutions with batch normalisation, a residual (He et al. 2016, Deep Residual Learning, section 3).

    With a stride of 2 the way around them averages, so that no pixel is thrown away (He et al. 2019, Bag of Tricks).
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        # Batch normalisation has a bias of its own.
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.skip: nn.Module = nn.Identity()
        if stride > 1 or inputs != outputs:
            self.skip = nn.Sequential(
                nn.AvgPool2d(stride), nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
            )
        # A residual that begins as nothing.
        nn.init.zeros_(self.norm2.weight)

    def forward(self, x: Float[Tensor, "b i h w"]) -> Float[Tensor, "b o u v"]:
        """x through the block."""
        h = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        out: Tensor = F.relu(h + self.skip(x))
        return out


class BagOfWords(nn.Module):
    """The mean of the words' vectors, whatever their order; zero for a text without words."""

    def __init__(self, tokens: int, width: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(tokens, width, padding_idx=PAD)
        # Small, so that training can soon tell words apart.
        nn.init.normal_(self.embed.weight, std=0.05)
        nn.init.zeros_(self.embed.weight[PAD])

    def forward(self, tokens: Int[Tensor, "n l"]) -> Float[Tensor, "n d"]:
        """The bag of each row of tokens."""
        known = (tokens != PAD)[..., None]
        out: Tensor = (self.embed(tokens) * known).sum(1) / known.sum(1).clamp_min(1)
        return out


class MatcherNet(nn.Module):
    """A residual convolutional network beside a bag of words with two layers, and a temperature.

    With the defaults 66 million multiplications a picture, and 1.6 million parameters besides the words.
    """

    def __init__(self, config: MatcherConfig) -> None:
        super().__init__()
        self.config = config
        first, last = config.widths[0], config.widths[-1]
        # Pixels that become channels, instead of convolutions at full size: a quarter of the work.
        self.first = nn.Sequential(
            nn.PixelUnshuffle(_PATCH),
            nn.Conv2d(3 * _PATCH**2, first, 3, padding=1, bias=False),
            nn.BatchNorm2d(first),
            nn.ReLU(inplace=True),
        )
        blocks = [MatcherBlock(first, first) for _ in range(config.blocks[0])]
        for (fine, coarse), count in zip(itertools.pairwise(config.widths), config.blocks[1:], strict=True):
            blocks += [MatcherBlock(fine, coarse, stride=2), *(MatcherBlock(coarse, coarse) for _ in range(count - 1))]
        self.maps = nn.Sequential(*blocks)
        # What all pictures, or all texts, have in common is taken from their vectors: these spread over the sphere.
        self.picture = nn.Sequential(nn.Linear(last, config.features), nn.BatchNorm1d(config.features, affine=False))
        self.bag = BagOfWords(len(config.words) + 1, config.word_width)
        self.text = nn.Sequential(
            nn.Linear(config.word_width, config.text_width),
            nn.ReLU(inplace=True),
            nn.Linear(config.text_width, config.features),
            nn.BatchNorm1d(config.features, affine=False),
        )
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The words it knows."""
        return Vocabulary(self.config.words)

    @property
    def scale(self) -> Float[Tensor, ""]:
        """What a cosine is multiplied with before the softmax: one over the temperature, at most 100."""
        return self.log_scale.exp().clamp_max(_SHARPEST)

    def read(self, texts: Sequence[str | None]) -> Int[Tensor, "n l"]:
        """Texts as rows of tokens; words never seen are left out."""
        return self.vocabulary.read(texts, self.config.length)

    def picture_vectors(self, x: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b f"]:
        """Unit vectors of pictures in [0, 1] of the configured size."""
        maps = self.maps(self.first(2 * x - 1))
        return F.normalize(self.picture(maps.mean((2, 3))).float(), dim=1)

    def text_vectors(self, tokens: Int[Tensor, "n l"]) -> Float[Tensor, "n f"]:
        """Unit vectors of rows of tokens. Neither order nor padding changes them."""
        return F.normalize(self.text(self.bag(tokens)).float(), dim=1)

    def forward(self, x: Float[Tensor, "b 3 h w"], tokens: Int[Tensor, "n l"]) -> Float[Tensor, "b n"]:
        """How well each text fits each picture: cosines × `scale`, the logits of a softmax over texts."""
        pictures, texts = self.picture_vectors(x), self.text_vectors(tokens)
        # Autocast would round the cosines, of which near-equal ones are the hard ones.
        with torch.autocast(x.device.type, enabled=False):
            return self.scale * (pictures @ texts.T)
