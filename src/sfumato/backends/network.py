"""The denoiser of a network of ours: its output turned into noise, its class names into one-hot rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sfumato.core.estimates import Condition, Estimate
from sfumato.core.levels import Level
from sfumato.core.predictions import Prediction
from sfumato.core.schedules import Additive, Discrete, Schedule, make_schedule
from sfumato.errors import SfumatoError, UsageError, one_of
from sfumato.files import sha256
from sfumato.models.course_unet import CourseUNet
from sfumato.models.weights import load_weights


@dataclass(frozen=True)
class Defaults:
    """What to use where the user does not say."""

    steps: int
    guidance: float
    hybrid_sigma: float
    """Of the Gaussian that parts near from far, in pixels."""


@dataclass(frozen=True, eq=False)
class NetworkDenoiser:
    """A trained course UNet as the engine sees it."""

    name: str
    network: CourseUNet
    schedule: Schedule
    prediction: Prediction
    dtype: torch.dtype = torch.float32
    """Arithmetic inside the network; its input and output are float32."""
    facts: dict[str, Any] | None = None
    """What the file of weights says of its training."""
    sha256: str | None = None
    """Of the file of weights."""
    pixel_range: tuple[float, float] = (0.0, 1.0)
    defaults: Defaults = Defaults(20, 1.0, 2.0)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        config = self.network.config
        return config.channels, config.size, config.size

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return next(self.network.parameters()).device

    @property
    def classes(self) -> tuple[str, ...]:
        """The names it can be asked for; none when it is not class-conditioned."""
        return self.network.config.classes

    @property
    def most_steps(self) -> int:
        """The longest path that its schedule has."""
        match self.schedule:
            case Discrete():
                return len(self.schedule)
            case Additive():
                return 1
            case _:
                return 1000

    def check(self, condition: Condition) -> None:
        """Raise UsageError for a condition that the model does not know."""
        if condition is None:
            return
        if not self.classes:
            raise UsageError(f"model {self.name} knows no classes; leave the prompt {condition!r} out")
        if condition not in self.classes:
            raise one_of(f"class of {self.name}", condition, self.classes)

    def __call__(self, x: Float[Tensor, "b c h w"], conditions: Sequence[Condition], level: Level) -> Estimate:
        """The noise in each row."""
        return Estimate(self.prediction.eps(self._output(x, conditions, level), x, level.alpha, level.sigma))

    def x0(
        self, x: Float[Tensor, "b c h w"], conditions: Sequence[Condition], level: Level
    ) -> Float[Tensor, "b c h w"]:
        """The clean picture in each row: also where there is no noise (sigma 0), of which `eps` could not speak."""
        return self.prediction.x0(self._output(x, conditions, level), x, level.alpha, level.sigma)

    def _output(
        self, x: Float[Tensor, "b c h w"], conditions: Sequence[Condition], level: Level
    ) -> Float[Tensor, "b c h w"]:
        """What the network says."""
        config = self.network.config
        rows = len(x)
        time = self.schedule.time(torch.full((rows, 1), level.t)).to(x) if config.time else None
        classes = self._one_hot(conditions).to(x) if config.classes else None
        with torch.autocast(x.device.type, self.dtype, enabled=self.dtype != torch.float32):
            output: Tensor = self.network(x.contiguous(memory_format=torch.channels_last), time, classes)
        return output.float()

    def _one_hot(self, conditions: Sequence[Condition]) -> Float[Tensor, "b k"]:
        out = torch.zeros(len(conditions), len(self.classes))
        for row, condition in enumerate(conditions):
            self.check(condition)
            if condition is not None:
                out[row, self.classes.index(condition)] = 1
        return out


def load_network(
    path: Path, name: str, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> NetworkDenoiser:
    """The denoiser of a file of weights. Raises UsageError or SfumatoError as `load_weights` does."""
    weights = load_weights(path)
    network = weights.network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    try:
        recipe = weights.facts["recipe"]
        numbers = {key: recipe[key] for key in ("timesteps", "beta_start", "beta_end", "sigmas")}
        schedule = make_schedule(recipe["schedule"], **numbers)
        prediction = Prediction(recipe["prediction"])
        steps = 1 if isinstance(schedule, Additive) else min(recipe["sample_steps"], recipe["timesteps"])
        config = weights.network.config
        # 2 pixels at 64, as in the course, and in proportion.
        defaults = Defaults(steps, recipe["guidance"] if config.classes else 1.0, config.size / 32)
    except (KeyError, TypeError, ValueError) as error:
        raise SfumatoError(f"{path} does not say how it was trained: {error}") from error
    return NetworkDenoiser(name, network, schedule, prediction, dtype, weights.facts, sha256(path), defaults=defaults)
