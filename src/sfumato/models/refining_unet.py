"""A text UNet for the later stage of a cascade: it is shown a smaller picture and adds what that cannot hold.

The guide u is the smaller picture at the canvas's size. What x₀ is beside it, of spread τ, is small, so it is estimated
linearly first, and the network says the rest:

    v = −σ u + ασ(1 − τ²)/(α²τ² + σ²) (x − α u) + τ/√(α²τ² + σ²) F(x − α u, u)

A network that has learned nothing, F = 0, makes the picture of u; noise passes it by, and its errors are at most of the
size of τ. (`linear_estimate` has the formula.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from sfumato.models.linear_estimate import checked, levels_at
from sfumato.models.network import Encoded, NamedAxis, NetworkConfig, Seen
from sfumato.models.text import Vocabulary
from sfumato.models.text_unet import TextNetwork, TextUNet, TextUNetConfig


@dataclass(frozen=True)
class RefiningUNetConfig(NetworkConfig):
    """What a refining text UNet is built from."""

    kind: ClassVar[str] = "refining-text-unet"

    inner: TextUNetConfig
    """The network that says F; its guide has the channels of its pictures."""
    alphas_cumprod: tuple[float, ...]
    """ᾱ of the schedule that it is trained on."""
    detail: float = 0.08
    """τ: the root mean square of what a picture in [−1, 1] is beside the guide; of emoji art, 0.08 from 64 pixels."""

    def __post_init__(self) -> None:
        checked(self.alphas_cumprod, self.detail)
        if self.inner.guide != self.inner.channels:
            raise ValueError("the guide of a refining network must have the channels of its pictures")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        return self.inner.shape

    @property
    def guide(self) -> int:
        """Channels of the guide."""
        return self.inner.guide

    @property
    def timed(self) -> bool:
        """Always."""
        return True

    @property
    def conditioned(self) -> bool:
        """Always: by text."""
        return True

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> RefiningUNetConfig:
        """From plain data. Raises TypeError for an unknown or missing key, ValueError for an impossible number."""
        bars = tuple(data["alphas_cumprod"])
        return cls(**{**data, "inner": TextUNetConfig.from_dict(data["inner"]), "alphas_cumprod": bars})

    def build(self) -> RefiningUNet:
        """The network, with random weights."""
        return RefiningUNet(self)


class RefiningUNet(TextNetwork):
    """The linear estimate, and the network that says what it leaves."""

    config: RefiningUNetConfig

    def __init__(self, config: RefiningUNetConfig) -> None:
        super().__init__()
        self.config = config
        self.inner = TextUNet(config.inner)

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
        """What the inner network sees beside the guide, what is known of v without it, and what its answer weighs."""
        assert time is not None
        canvas, guide = x.chunk(2, dim=1)
        at, tau = levels_at(time, self.config.alphas_cumprod), self.config.detail
        rest = canvas - at.alpha.to(x) * guide
        known = at.known(tau).to(x) * rest - at.sigma.to(x) * guide
        inner = self.inner.see(torch.cat([rest / at.spread(tau).to(x), guide], dim=1), time)
        return (*inner, known, at.gain(tau).to(x))

    def answer(self, seen: Seen, condition: Encoded) -> Float[Tensor, "b o h w"]:
        """What is known, and what the inner network adds to it."""
        *inner, known, gain = seen
        return known + gain * self.inner.answer(tuple(inner), condition)

    def named_axes(self) -> dict[str, NamedAxis]:
        """The words."""
        return {f"inner.{name}": axis for name, axis in self.inner.named_axes().items()}
