"""What a network predicts, and how that is said as noise: one definition for training and for sampling."""

from __future__ import annotations

from enum import StrEnum

from jaxtyping import Float
from torch import Tensor


class Prediction(StrEnum):
    """The quantity a network was trained to output at x = alpha · x₀ + sigma · ε."""

    EPS = "eps"
    """The noise ε (Ho et al. 2020, eq. 14)."""
    X0 = "x0"
    """The clean picture."""
    V = "v"
    """alpha · ε − sigma · x₀ (Salimans & Ho 2022, section 4)."""
    FLOW = "flow"
    """The velocity from noise to data, x₀ − ε (Liu et al. 2023)."""

    def target(
        self,
        x0: Float[Tensor, "b c h w"],
        eps: Float[Tensor, "b c h w"],
        alpha: float | Float[Tensor, "#b 1 1 1"],
        sigma: float | Float[Tensor, "#b 1 1 1"],
    ) -> Float[Tensor, "b c h w"]:
        """The quantity itself, for a training pair (x₀, ε)."""
        match self:
            case Prediction.EPS:
                return eps
            case Prediction.X0:
                return x0
            case Prediction.V:
                return alpha * eps - sigma * x0
            case Prediction.FLOW:
                return x0 - eps

    def eps(
        self,
        output: Float[Tensor, "b c h w"],
        x: Float[Tensor, "b c h w"],
        alpha: float | Float[Tensor, "#b 1 1 1"],
        sigma: float | Float[Tensor, "#b 1 1 1"],
    ) -> Float[Tensor, "b c h w"]:
        """The noise that a network's output implies at x: the inverse of `target` along x = alpha · x₀ + sigma · ε."""
        match self:
            case Prediction.EPS:
                return output
            case Prediction.X0:
                return (x - alpha * output) / sigma
            case Prediction.V:
                return (alpha * output + sigma * x) / (alpha**2 + sigma**2)
            case Prediction.FLOW:
                return (x - alpha * output) / (alpha + sigma)

    def x0(
        self,
        output: Float[Tensor, "b c h w"],
        x: Float[Tensor, "b c h w"],
        alpha: float | Float[Tensor, "#b 1 1 1"],
        sigma: float | Float[Tensor, "#b 1 1 1"],
    ) -> Float[Tensor, "b c h w"]:
        """The clean picture that a network's output implies at x; unlike `eps` it needs no noise, sigma may be 0."""
        match self:
            case Prediction.EPS:
                return (x - sigma * output) / alpha
            case Prediction.X0:
                return output
            case Prediction.V:
                return (alpha * x - sigma * output) / (alpha**2 + sigma**2)
            case Prediction.FLOW:
                return (x + sigma * output) / (alpha + sigma)
