"""A text UNet for small pictures inside a level of its own for pictures of twice the size.

The inner network sees the means over 2×2 pixels and keeps all that it has learned of small pictures: what of a subject
is where is decided there, at a quarter of the cost. The outer level adds what the means cannot hold. (Gu et al. 2023,
"Matryoshka Diffusion Models", section 3.2, nest UNets so and train all sizes at once; here the inner one comes first.)

With N the inner network, A the means over 2×2 pixels and A* each of its pixels four times,

    output = A*(a(t) N(b(t) A x) + c(t) A x) + outer(x, N)

where outer is 0 and (a, b, c) = (1, 2, 0) at first: noise loses half its spread in a mean of four, and where there is
nearly nothing but noise, where a text decides, the v of a mean is the mean of v. At cleaner levels both are in other
units; the three factors are functions of the time that are learned.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.nn import functional as F

from sfumato.models.network import Encoded, NamedAxis, Network, NetworkConfig, Seen
from sfumato.models.text import Vocabulary
from sfumato.models.text_encoder import zeroed
from sfumato.models.text_unet import GROUP, ResBlock, TextNetwork, TextUNet, TextUNetConfig, sinusoids


@dataclass(frozen=True)
class NestedUNetConfig(NetworkConfig):
    """What a nested text UNet is built from."""

    kind: ClassVar[str] = "nested-text-unet"

    inner: TextUNetConfig
    """The network for pictures of half the size."""
    width: int = 64
    """Channels of the outer level, at half the size in patches of 2×2 pixels; a multiple of 16."""

    def __post_init__(self) -> None:
        if self.inner.guide:
            raise ValueError("a network that makes pictures larger is not nested")
        if self.width < 1 or self.width % GROUP:
            raise ValueError(f"the width of the outer level must be a multiple of {GROUP}")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        return self.inner.channels, 2 * self.inner.size, 2 * self.inner.size

    @property
    def timed(self) -> bool:
        """Always."""
        return True

    @property
    def conditioned(self) -> bool:
        """Always: by text."""
        return True

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> NestedUNetConfig:
        """From plain data. Raises TypeError for an unknown or missing key, ValueError for an impossible number."""
        return cls(**{**data, "inner": TextUNetConfig.from_dict(data["inner"])})

    def build(self) -> NestedUNet:
        """The network, with random weights."""
        return NestedUNet(self)


class NestedUNet(TextNetwork):
    """The inner network and the level around it."""

    config: NestedUNetConfig

    def __init__(self, config: NestedUNetConfig) -> None:
        super().__init__()
        self.config = config
        inner, width = config.inner, config.width
        patches, modulation = 4 * inner.channels, inner.widths[-1]
        self.inner = TextUNet(inner)
        self.factors = zeroed(nn.Linear(modulation, 3))
        with torch.no_grad():
            self.factors.bias.copy_(torch.tensor([1.0, 2.0, 0.0]))
        self.first = nn.Conv2d(patches, width, 3, padding=1)
        self.down = ResBlock(width, width, modulation)
        self.coarser = zeroed(nn.Conv2d(width, inner.widths[0], 2 * inner.patch - 1, inner.patch, inner.patch - 1))
        self.finer = nn.Sequential(nn.Conv2d(inner.widths[0], inner.patch**2 * width, 1), nn.PixelShuffle(inner.patch))
        self.up = ResBlock(2 * width, width, modulation)
        self.norm = nn.GroupNorm(width // GROUP, width)
        self.last = zeroed(nn.Conv2d(width, patches, 3, padding=1))

    @property
    def vocabulary(self) -> Vocabulary:
        """The words it knows."""
        return self.inner.vocabulary

    @property
    def length(self) -> int:
        """Words of a prompt, at most."""
        return self.inner.length

    def encode(self, conditions: Shaped[Tensor, "b l"]) -> Encoded:
        """What the inner network reads."""
        return self.inner.encode(conditions)

    def see(self, x: Float[Tensor, "b i h w"], time: Float[Tensor, "b 1"] | None = None) -> Seen:
        """What the inner network sees in the means, these and their factor in the output, and the patches."""
        assert time is not None
        means = F.avg_pool2d(x, 2)
        rows = self.factors(sinusoids(time, self.factors.in_features).to(x.dtype))
        out, into, past = rows[:, :, None, None].split(1, dim=1)
        return (*self.inner.see(into * means, time), past * means, out, self.first(F.pixel_unshuffle(x, 2)))

    def answer(self, seen: Seen, condition: Encoded) -> Float[Tensor, "b o h w"]:
        """The inner network between the blocks of the outer level."""
        inner, time, means, factor, h = seen
        modulation = self.inner.modulation(time, condition)
        h = self.down(h, modulation)
        inner = self.inner.body(inner + self.coarser(h), modulation, condition)
        coarse = factor * self.inner.head(inner) + means
        h = self.up(torch.cat([self.finer(inner), h], dim=1), modulation)
        # Each of the coarse pixels stands for the patch of four: the same number in four channels.
        patches = self.last(F.silu(self.norm(h))) + coarse.repeat_interleave(4, dim=1)
        return F.pixel_shuffle(patches, 2)

    def named_axes(self) -> dict[str, NamedAxis]:
        """The words."""
        return {f"inner.{name}": axis for name, axis in self.inner.named_axes().items()}

    def adopt(self, other: Network) -> None:
        """Take the weights of a nested network, or of one for small pictures as those of the inner one."""
        if isinstance(other, TextUNet):
            self.inner.adopt(other)
        else:
            super().adopt(other)
