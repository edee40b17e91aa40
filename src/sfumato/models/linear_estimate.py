"""What is known of v before a network is asked: the preconditioning of Karras et al. (2022, table 1), for v.

Where x = α x₀ + σ ε and x₀ has the spread τ around 0, the best linear estimate leaves of v = α ε − σ x₀

    v = ασ(1 − τ²)/(α²τ² + σ²) x + τ/√(α²τ² + σ²) F

of which a network has to say F alone, whose spread is 1 at every level. Where there is little noise τ/√(…) is small
for x₀: what the network gets wrong hardly shows.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


class Levels(NamedTuple):
    """The noise levels of some pictures on a variance-preserving schedule, each with axes for channels and pixels."""

    alpha: Float[Tensor, "b 1 1 1"]
    sigma: Float[Tensor, "b 1 1 1"]

    def spread(self, tau: float) -> Float[Tensor, "b 1 1 1"]:
        """Of what is noised, τ being its own: √(α²τ² + σ²)."""
        return ((self.alpha * tau) ** 2 + self.sigma**2).sqrt()

    def known(self, tau: float) -> Float[Tensor, "b 1 1 1"]:
        """What x is multiplied by for that part of v which is known."""
        return self.alpha * self.sigma * (1 - tau**2) / self.spread(tau) ** 2

    def gain(self, tau: float) -> Float[Tensor, "b 1 1 1"]:
        """What F is multiplied by."""
        return tau / self.spread(tau)


def levels_at(time: Float[Tensor, "b 1"], alphas_cumprod: tuple[float, ...]) -> Levels:
    """The levels of a discrete schedule at times in [0, 1], in float32."""
    bars = torch.tensor(alphas_cumprod, device=time.device)
    bar = bars[(time[:, 0] * len(bars)).round().long().clamp(0, len(bars) - 1), None, None, None]
    return Levels(bar.sqrt(), (1 - bar).sqrt())


def checked(alphas_cumprod: tuple[float, ...], detail: float) -> None:
    """ValueError for numbers that no schedule and no picture has."""
    if not alphas_cumprod or not all(0 < bar < 1 for bar in alphas_cumprod):
        raise ValueError("a network with a linear estimate wants the alphas_cumprod of a schedule, between 0 and 1")
    if detail <= 0:
        raise ValueError("the detail of a network with a linear estimate must be above 0")
