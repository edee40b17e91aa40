"""The denoiser of a network of ours: conditions encoded once, its output turned into noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sfumato.backends.model import Defaults, Model
from sfumato.core.cascade import LowResolution
from sfumato.core.estimates import Condition, Estimate
from sfumato.core.levels import Level
from sfumato.core.loops import Loop
from sfumato.core.predictions import Prediction
from sfumato.core.ramps import read_weight
from sfumato.core.schedules import Additive, Schedule, make_schedule
from sfumato.errors import SfumatoError
from sfumato.files import sha256
from sfumato.models.network import Encoded, Network
from sfumato.models.weights import load_weights


@dataclass(frozen=True, eq=False)
class NetworkDenoiser(Model):
    """A trained network as the engine sees it."""

    name: str
    network: Network
    schedule: Schedule
    prediction: Prediction
    dtype: torch.dtype = torch.float32
    """Arithmetic inside the network; its input and output are float32."""
    facts: dict[str, Any] | None = None
    """What the file of weights says of its training."""
    sha256: str | None = None
    """Of the file of weights."""
    pixel_range: tuple[float, float] = (0.0, 1.0)
    defaults: Defaults = field(default_factory=lambda: Defaults(20, 1.0, 2.0))
    low_res: LowResolution | None = None
    """What it makes larger, if it is the later stage of a cascade."""
    _encoded: dict[Condition, Encoded] = field(default_factory=dict, init=False, repr=False)
    """What the network made of the conditions it was asked for so far."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        return self.network.config.shape

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return next(self.network.parameters()).device

    @property
    def classes(self) -> tuple[str, ...]:
        """The names it can be asked for, where these are a list; none for a model of free text or of nothing."""
        return self.network.classes

    @property
    def conditioned(self) -> bool:
        """Whether it can be asked for anything."""
        return self.network.config.conditioned

    def check(self, condition: Condition) -> tuple[str, ...]:
        """The words of a condition that the model has never seen; they do nothing.

        Raises UsageError for a condition of which it knows nothing.
        """
        return self.network.check(condition, self.name) if condition else ()

    def __call__(
        self,
        x: Float[Tensor, "b i h w"],
        conditions: Sequence[Condition],
        level: Level,
        of: Sequence[int] | None = None,
    ) -> Estimate:
        """The noise in canvas `of[k]` for the k-th condition; after a canvas's channels come those of its guide."""
        output, canvas = self._output(x, conditions, level, of), x[:, : self.shape[0]]
        canvas = canvas if of is None else canvas[list(of)]
        return Estimate(self.prediction.eps(output, canvas, level.alpha, level.sigma))

    def x0(
        self, x: Float[Tensor, "b i h w"], conditions: Sequence[Condition], level: Level
    ) -> Float[Tensor, "b c h w"]:
        """The clean picture in each row: also where there is no noise (sigma 0), of which `eps` could not speak."""
        output, canvas = self._output(x, conditions, level), x[:, : self.shape[0]]
        return self.prediction.x0(output, canvas, level.alpha, level.sigma)

    @torch.no_grad()
    def _output(
        self,
        x: Float[Tensor, "b i h w"],
        conditions: Sequence[Condition],
        level: Level,
        of: Sequence[int] | None = None,
    ) -> Float[Tensor, "r o h w"]:
        """What the network says."""
        canvases = x.to(self.dtype, memory_format=torch.channels_last)
        timed = self.network.config.timed
        # In float32 whatever the weights are: half precision cannot tell a time from its neighbours.
        time = self.schedule.time(torch.full((len(x), 1), level.t)).to(x.device) if timed else None
        rows = [self._encode(condition) for condition in conditions]
        encoded = tuple(torch.cat(parts) for parts in zip(*rows, strict=True))
        alone = of is None or list(of) == list(range(len(x)))
        output: Tensor = self._sampler(canvases, time, encoded, None if alone else torch.tensor(of, device=x.device))
        return output.float()

    def _encode(self, condition: Condition) -> Encoded:
        # Each alone, so that a row does not depend on its neighbours; once, for it is the same at all levels.
        if condition not in self._encoded:
            self.check(condition)
            read = self.network.read([condition]).to(self.device)
            # One-hot classes are numbers of the network's arithmetic; the tokens of a prompt are none.
            rows = read.to(self.dtype) if read.is_floating_point() else read
            self._encoded[condition] = self._sampler.encode(rows)
        return self._encoded[condition]

    @cached_property
    def _sampler(self) -> Network:
        """The network as it is fastest, made when it is first asked."""
        ready = self.network.ready(self.dtype)
        return ready.to(memory_format=torch.channels_last)  # type: ignore[no-any-return, call-overload]


def load_network(
    path: Path, name: str, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> NetworkDenoiser:
    """The denoiser of a file of weights. Raises UsageError or SfumatoError as `load_weights` does."""
    weights = load_weights(path)
    network = weights.network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    try:
        recipe = weights.facts["recipe"]
        # Files of earlier versions have no shifts, signal or sampler.
        keys = ("timesteps", "beta_start", "beta_end", "sigmas", "signal", "shift", "clean_shift")
        numbers = {key: recipe[key] for key in keys if key in recipe}
        schedule = make_schedule(recipe["schedule"], **numbers)
        prediction = Prediction(recipe["prediction"])
        low, high = map(float, weights.facts.get("data", {}).get("pixel_range", (0, 1)))
        steps = 1 if isinstance(schedule, Additive) else min(recipe["sample_steps"], recipe["timesteps"])
        config = weights.network.config
        low_res = LowResolution(recipe["low_res"], t=recipe["low_res_noise"]) if recipe.get("low_res") else None
        # 2 pixels at 64, as in the course, and in proportion; the strokes of small pictures are parted best by 1.5.
        hybrid_sigma = max(1.5, config.shape[-1] / 32)
        guidance = read_weight(recipe["guidance"]) if config.conditioned else 1.0
        loop = Loop(sampler=recipe.get("sampler", "ddpm"))
        defaults = Defaults(steps, guidance, hybrid_sigma, loop=loop)
    except (KeyError, TypeError, ValueError) as error:
        raise SfumatoError(f"{path} does not say how it was trained: {error}") from error
    return NetworkDenoiser(
        name,
        network,
        schedule,
        prediction,
        dtype,
        weights.facts,
        sha256(*weights.files),
        (low, high),
        defaults,
        low_res,
    )
