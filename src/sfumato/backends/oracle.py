"""An exact denoiser, for tests and demonstrations: the score of a mixture of Gaussians has a closed form."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from sfumato.core.estimates import Condition, Estimate
from sfumato.core.levels import Level
from sfumato.core.schedules import Schedule, linear
from sfumato.errors import one_of


@dataclass(frozen=True, eq=False)
class GaussianMixture:
    """The exact noise estimate E[ε | x_t] for x₀ ~ Σ_k w_k N(μ_k, s²), every pixel with standard deviation s.

    A condition is the name of a component and picks it alone; None is the whole mixture. Computes in the precision of
    `means`, so that laws can be checked in float64.
    """

    means: Float[Tensor, "k c h w"]
    std: float = 0.0
    names: tuple[str, ...] = ()
    schedule: Schedule = field(default_factory=linear)
    pixel_range: tuple[float, float] = (-1.0, 1.0)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        _, channels, height, width = self.means.shape
        return channels, height, width

    @property
    def device(self) -> torch.device:
        """The device of the means."""
        return self.means.device

    def __call__(
        self,
        x: Float[Tensor, "b c h w"],
        conditions: Sequence[Condition],
        level: Level,
        of: Sequence[int] | None = None,
    ) -> Estimate:
        """E[ε | x] = (x − alpha·E[x₀ | x])/sigma of canvas `of[k]` under the k-th condition."""
        x = x if of is None else x[list(of)]
        x0 = torch.stack([self._posterior_mean(row, c, level) for row, c in zip(x, conditions, strict=True)])
        return Estimate((x - level.alpha * x0) / level.sigma)

    def _posterior_mean(self, x: Float[Tensor, "c h w"], condition: Condition, level: Level) -> Float[Tensor, "c h w"]:
        means = self.means if condition is None else self.means[[self._index(condition)]]
        variance = (level.alpha * self.std) ** 2 + level.sigma**2
        difference = x - level.alpha * means
        log_weights = -difference.square().sum((1, 2, 3)) / (2 * variance)
        weights = torch.softmax(log_weights, 0)[:, None, None, None]
        # E[x₀ | x, k] = μ_k + alpha s²/(alpha² s² + sigma²) · (x − alpha μ_k)
        return (weights * (means + level.alpha * self.std**2 / variance * difference)).sum(0)

    def _index(self, name: str) -> int:
        if name not in self.names:
            raise one_of("component", name, self.names)
        return self.names.index(name)

    def flow(self, x: Float[Tensor, "b c h w"], level: Level, to: Level) -> Float[Tensor, "b c h w"]:
        """The exact probability flow (Song et al. 2021) from one level to another, for a single component.

        For x₀ ~ N(μ, s²) it is affine: (x − alpha μ)/√(alpha² s² + sigma²) stays the same all the way.
        """
        if len(self.means) != 1:
            raise ValueError("the flow has a closed form for one component only")
        before, after = (math.hypot(at.alpha * self.std, at.sigma) for at in (level, to))
        return to.alpha * self.means + after / before * (x - level.alpha * self.means)
