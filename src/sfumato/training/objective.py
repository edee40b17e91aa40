"""The one loss: a network's output against its target at random noise levels."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from sfumato.core.cascade import LowResolution, draw_guides
from sfumato.core.levels import per_row
from sfumato.core.predictions import Prediction
from sfumato.core.schedules import Schedule


class Weighting(StrEnum):
    """How much a noise level counts."""

    UNIFORM = "uniform"
    """Every level alike, in the units of the prediction."""
    MIN_SNR = "min-snr"
    """min(snr, γ) in units of x₀ (Hang et al. 2023, eq. 8): nearly clean levels, where little is to be learnt, less."""
    CAPPED_V = "capped-v"
    """min(snr + 1, γ) in units of x₀: v's own weight, cut off where the picture is nearly clean."""

    def weight(self, snr: Float[Tensor, " b"], gamma: float, prediction: Prediction) -> Float[Tensor, " b"] | None:
        """The factor on each row's squared error of `prediction`; None is 1."""
        match self:
            case Weighting.UNIFORM:
                return None
            case Weighting.MIN_SNR:
                return snr.clamp(max=gamma) / _x0_weight(prediction, snr)
            case Weighting.CAPPED_V:
                return (snr + 1).clamp(max=gamma) / _x0_weight(prediction, snr)


def _x0_weight(prediction: Prediction, snr: Float[Tensor, " b"]) -> Float[Tensor, " b"]:
    """|error of the prediction|² over |error of x₀|² at a level of a variance-preserving schedule."""
    match prediction:
        case Prediction.EPS:
            return snr
        case Prediction.X0:
            return torch.ones_like(snr)
        case Prediction.V:
            return snr + 1
        case Prediction.FLOW:
            return (snr.sqrt() + 1).square()


@dataclass(frozen=True)
class Example:
    """What a network is shown in one step, what it should answer, and how much each row counts."""

    x: Float[Tensor, "b i h w"]
    """The noised pictures, and after their channels those of their guides where there are any."""
    time: Float[Tensor, "b 1"]
    conditions: Shaped[Tensor, "b k"]
    target: Float[Tensor, "b c h w"]
    weight: Float[Tensor, " b"] | None
    share: float = 1.0
    """Of the whole batch."""

    def rows(self, rows: slice) -> Example:
        """Some rows of it."""
        weight = None if self.weight is None else self.weight[rows]
        x, time, conditions, target = (part[rows] for part in (self.x, self.time, self.conditions, self.target))
        return Example(x, time, conditions, target, weight, self.share * len(x) / len(self.x))

    def loss(self, output: Float[Tensor, "b c h w"]) -> Float[Tensor, ""]:
        """The mean squared error of a network's output, weighted."""
        squares = (output - self.target).square()
        return squares.mean() if self.weight is None else (squares.mean((1, 2, 3)) * self.weight).mean()


@dataclass(frozen=True)
class Objective:
    """w ‖f(alpha·x₀ + sigma·ε, t, c) − target(x₀, ε)‖², levels drawn from a schedule (Ho et al. 2020, eq. 14).

    With `Additive(σ)` and `Prediction.X0` it is the one-step denoiser of B1.2, with a discrete schedule and
    `Prediction.EPS` the diffusion models of B2.
    """

    schedule: Schedule
    prediction: Prediction
    condition_dropout: float = 0.0
    weighting: Weighting = Weighting.UNIFORM
    gamma: float = 5.0
    """Of the weighting."""
    low_res: LowResolution | None = None
    """What a later stage of a cascade is guided by."""

    def example(
        self,
        x0: Float[Tensor, "b c h w"],
        conditions: Shaped[Tensor, "b k"],
        generator: torch.Generator,
    ) -> Example:
        """Draw levels, noise and hidden conditions for a batch of clean pictures, on the device of these."""
        levels = self.schedule.draw(len(x0), generator).to(x0.device)
        noise = torch.randn(x0.shape, generator=generator).to(x0.device)
        shown = torch.rand(len(x0), 1, generator=generator) >= self.condition_dropout
        x = levels.diffuse(x0, noise)
        return Example(
            x=x if self.low_res is None else torch.cat([x, draw_guides(self.low_res, x0, generator)], dim=1),
            time=self.schedule.time(levels.t)[:, None],
            conditions=conditions * shown.to(conditions),
            target=self.prediction.target(x0, noise, per_row(levels.alpha), per_row(levels.sigma)),
            weight=self.weighting.weight((levels.alpha / levels.sigma).square(), self.gamma, self.prediction),
        )
