"""A text UNet for small pictures inside a level of its own for pictures of twice the size.

The inner network sees the means over 2×2 pixels and keeps all that it has learned of small pictures: what of a subject
is where is decided there, at a quarter of the cost. The outer level adds what the means cannot hold. (Gu et al. 2023,
"Matryoshka Diffusion Models", section 3.2, nest UNets so and train all sizes at once; here the inner one comes first.)

Both predict v on a variance-preserving schedule. Let x = α x₀ + σ ε, A x the means, A* their pixels each four times,
c² = α² + σ²/4. The mean of four noises has half their spread, so A x/c is a small picture at the level (α/c, σ/2c), of
which the inner network N says v. In terms of that and of A x, the v of the means is

    v_A = N(A x/c)/2c − (3ασ/4c²) A x

and what is left of the picture, x − A*A x, of spread τ, is estimated linearly before the outer level is asked
(`linear_estimate`):

    v = A* v_A + ασ(1 − τ²)/(α²τ² + σ²) (x − A*A x) + τ/√(α²τ² + σ²) outer(x, N)

The outer level begins as 0: until it has learned, the whole says of the means exactly what the inner network does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.nn import functional as F

from sfumato.models.linear_estimate import checked, levels_at
from sfumato.models.network import Encoded, NamedAxis, Network, NetworkConfig, Seen
from sfumato.models.text import Vocabulary
from sfumato.models.text_encoder import zeroed
from sfumato.models.text_unet import GROUP, ResBlock, TextNetwork, TextUNet, TextUNetConfig


@dataclass(frozen=True)
class NestedUNetConfig(NetworkConfig):
    """What a nested text UNet is built from."""

    kind: ClassVar[str] = "nested-text-unet"

    inner: TextUNetConfig
    """The network for pictures of half the size."""
    width: int
    """Channels of the outer level, at half the size in patches of 2×2 pixels; a multiple of 16."""
    alphas_cumprod: tuple[float, ...]
    """ᾱ of the schedule that it is trained on."""
    detail: float = 0.12
    """τ: the root mean square of what a picture in [−1, 1] is beside the means; of emoji art, 0.12."""

    def __post_init__(self) -> None:
        if self.inner.guide:
            raise ValueError("a network that makes pictures larger is not nested")
        if self.width < 1 or self.width % GROUP:
            raise ValueError(f"the width of the outer level must be a multiple of {GROUP}")
        checked(self.alphas_cumprod, self.detail)

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
        bars = tuple(data["alphas_cumprod"])
        return cls(**{**data, "inner": TextUNetConfig.from_dict(data["inner"]), "alphas_cumprod": bars})

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
        """What the inner network sees in the means, what is known of v without it, the factors of both, the patches."""
        assert time is not None
        at, tau = levels_at(time, self.config.alphas_cumprod), self.config.detail
        mean_square = at.alpha**2 + at.sigma**2 / 4
        past, fine = -0.75 * at.alpha * at.sigma / mean_square, at.known(tau)
        means, patches = F.avg_pool2d(x, 2), F.pixel_unshuffle(x, 2)
        known = fine.to(x) * patches + fours((past - fine).to(x) * means)
        factors = (0.5 * mean_square.rsqrt()).to(x), at.gain(tau).to(x)
        inner = self.inner.see(mean_square.rsqrt().to(x) * means, time)
        return (*inner, known, *factors, self.first(patches))

    def answer(self, seen: Seen, condition: Encoded) -> Float[Tensor, "b o h w"]:
        """The inner network between the blocks of the outer level."""
        inner, time, known, coarse, fine, h = seen
        modulation = self.inner.modulation(time, condition)
        h = self.down(h, modulation)
        inner = self.inner.body(inner + self.coarser(h), modulation, condition)
        h = self.up(torch.cat([self.finer(inner), h], dim=1), modulation)
        patches = known + fours(coarse * self.inner.head(inner)) + fine * self.last(F.silu(self.norm(h)))
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


def fours(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h w"]:
    """Pictures of patches, d = 4c, of 2×2 pixels that are all alike."""
    return x.repeat_interleave(4, dim=1)
