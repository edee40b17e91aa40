"""Noise levels, and the forward process that takes a clean picture to one of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Level:
    """One noise level: x = alpha · x₀ + sigma · ε.

    `t` is the time as the model counts it (an index for discrete schedules); `alpha` ≥ 0 and `sigma` ≥ 0 are the
    factors of signal and noise (√ᾱ and √(1−ᾱ) for a variance-preserving schedule).
    """

    t: float
    alpha: float
    sigma: float

    @property
    def snr(self) -> float:
        """Signal-to-noise ratio alpha²/sigma² (infinite for a clean level)."""
        return math.inf if self.sigma == 0 else (self.alpha / self.sigma) ** 2


CLEAN = Level(t=-1.0, alpha=1.0, sigma=0.0)
"""The level of a finished picture. A path of levels that ends here takes a last step to x₀."""


def diffuse(x0: Float[Tensor, "*b c h w"], level: Level, noise: Float[Tensor, "*b c h w"]) -> Float[Tensor, "*b c h w"]:
    """The forward process q(x_t | x₀) (Ho et al. 2020, eq. 4): alpha · x₀ + sigma · ε."""
    return level.alpha * x0 + level.sigma * noise


def rediffuse(
    x: Float[Tensor, "*b c h w"], level: Level, noisier: Level, noise: Float[Tensor, "*b c h w"]
) -> Float[Tensor, "*b c h w"]:
    """Take x from `level` up to a `noisier` one, q(x_t | x_s): what RePaint's jumps do (Lugmayr et al. 2022, alg. 1).

    Raises ValueError when `noisier` has less noise than `level`.
    """
    if noisier.snr > level.snr:
        raise ValueError(f"cannot diffuse from {level} to {noisier}: it has less noise")
    scale = noisier.alpha / level.alpha
    return scale * x + transition_sigma(level, noisier) * noise


def transition_sigma(cleaner: Level, noisier: Level) -> float:
    """Standard deviation of q(x_t | x_s) for s cleaner than t: √(σ_t² − (α_t/α_s)² σ_s²); √β of the stride if VP."""
    scale = noisier.alpha / cleaner.alpha
    return math.sqrt(max(noisier.sigma**2 - (scale * cleaner.sigma) ** 2, 0.0))


def x0_from_eps(x: Float[Tensor, "b c h w"], eps: Float[Tensor, "b c h w"], level: Level) -> Float[Tensor, "b c h w"]:
    """The clean picture that a noise estimate implies, x̂₀ = (x − sigma · ε̂)/alpha."""
    return (x - level.sigma * eps) / level.alpha


def eps_from_x0(x: Float[Tensor, "b c h w"], x0: Float[Tensor, "b c h w"], level: Level) -> Float[Tensor, "b c h w"]:
    """The noise that an estimate of the clean picture implies, ε̂ = (x − alpha · x̂₀)/sigma."""
    return (x - level.alpha * x0) / level.sigma


@dataclass(frozen=True)
class LevelBatch:
    """A level per row, for training: `t`, `alpha`, `sigma` of shape (b,)."""

    t: Float[Tensor, " b"]
    alpha: Float[Tensor, " b"]
    sigma: Float[Tensor, " b"]

    def to(self, device: torch.device) -> LevelBatch:
        """The same on a device."""
        return LevelBatch(self.t.to(device), self.alpha.to(device), self.sigma.to(device))

    def diffuse(self, x0: Float[Tensor, "b c h w"], noise: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The forward process, each row at its own level."""
        return per_row(self.alpha) * x0 + per_row(self.sigma) * noise


def per_row(values: Float[Tensor, " b"]) -> Float[Tensor, "b 1 1 1"]:
    """One number a row, shaped to multiply pictures."""
    return values[:, None, None, None]


def draw_levels(levels: tuple[Level, ...], n: int, generator: torch.Generator) -> LevelBatch:
    """Draw n of the `levels` uniformly."""
    index = torch.randint(len(levels), (n,), generator=generator)
    table = torch.tensor([(level.t, level.alpha, level.sigma) for level in levels], dtype=torch.float64)
    t, alpha, sigma = table[index].float().unbind(1)
    return LevelBatch(t, alpha, sigma)
