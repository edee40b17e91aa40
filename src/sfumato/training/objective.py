"""The one loss: a network's output against its target at random noise levels."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from sfumato.core.levels import per_row
from sfumato.core.predictions import Prediction
from sfumato.core.schedules import Schedule
from sfumato.models.course_unet import CourseUNetConfig


@dataclass(frozen=True)
class Example:
    """What a network is shown in one step, and what it should answer."""

    x: Float[Tensor, "b c h w"]
    time: Float[Tensor, "b 1"] | None
    classes: Float[Tensor, "b k"] | None
    target: Float[Tensor, "b c h w"]


@dataclass(frozen=True)
class Objective:
    """‖f(alpha·x₀ + sigma·ε, t, class) − target(x₀, ε)‖², levels drawn from a schedule (Ho et al. 2020, eq. 14).

    With `Additive(σ)` and `Prediction.X0` it is the one-step denoiser of B1.2, with a discrete schedule and
    `Prediction.EPS` the diffusion models of B2.
    """

    schedule: Schedule
    prediction: Prediction
    condition_dropout: float = 0.0

    def example(
        self,
        x0: Float[Tensor, "b c h w"],
        labels: Int[Tensor, " b"],
        config: CourseUNetConfig,
        generator: torch.Generator,
    ) -> Example:
        """Draw levels, noise and hidden classes for a batch of clean pictures."""
        levels = self.schedule.draw(len(x0), generator)
        noise = torch.randn(x0.shape, generator=generator)
        classes = None
        if config.classes:
            shown = torch.rand(len(x0), 1, generator=generator) >= self.condition_dropout
            classes = F.one_hot(labels, len(config.classes)).float() * shown
        return Example(
            x=levels.diffuse(x0, noise),
            time=self.schedule.time(levels.t)[:, None] if config.time else None,
            classes=classes,
            target=self.prediction.target(x0, noise, per_row(levels.alpha), per_row(levels.sigma)),
        )
