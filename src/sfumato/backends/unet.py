"""The denoiser of a UNet of diffusers: pixels in, noise out, and where it learned one the variance of the step."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from sfumato.backends.activations import rows_that_fit
from sfumato.backends.conditions import Conditions, Prompts
from sfumato.backends.memory import free_bytes
from sfumato.backends.model import Defaults, Model
from sfumato.backends.parts import Part
from sfumato.core.cascade import LowResolution
from sfumato.core.estimates import Condition, Estimate
from sfumato.core.levels import Level
from sfumato.core.pixels import to_unit
from sfumato.core.predictions import Prediction
from sfumato.core.schedules import Schedule

MOST_LATENT = 256
"""Pixels of a smaller picture that a stage in latents makes larger."""
MOST_ROWS = 64
"""Rows of one forward, however much memory there is."""


@dataclass(frozen=True, eq=False)
class Decoder:
    """From latents to pixels, for a stage that works in latents: an autoencoder's second half."""

    part: Part
    scaling: float
    """Latents are divided by this."""
    factor: int
    """How many times larger the picture is."""

    def __call__(self, latents: Float[Tensor, "b c h w"]) -> Float[Tensor, "b 3 h2 w2"]:
        """Pictures with values in [−1, 1]. In float32: half precision overflows here."""
        with torch.no_grad():
            network: Any = self.part.network
            rows = [network.decode(row[None] / self.scaling).sample for row in latents]
        return torch.cat(rows)


@dataclass(frozen=True, eq=False)
class UNetDenoiser(Model):
    """A UNet of diffusers as the engine sees it; its weights are loaded when it is first asked."""

    name: str
    part: Part
    canvas_shape: tuple[int, int, int]
    schedule: Schedule
    prediction: Prediction
    conditions: Conditions
    defaults: Defaults
    sha256: str | None = None
    facts: dict[str, Any] | None = None
    pixel_range: tuple[float, float] = (-1.0, 1.0)
    low_res: LowResolution | None = None
    levelled: Literal["label", "nothing"] = "nothing"
    """Whether the level of the smaller picture is told to the network, as its class label."""
    any_size: bool = False
    """Whether the smaller picture may have any size below its own."""
    decoder: Decoder | None = None
    keep: bool = True
    """Whether the weights stay loaded when it has been used."""
    notes: tuple[str, ...] = ()
    _rows: dict[str, int] = field(default_factory=dict, init=False, repr=False)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width of a canvas."""
        return self.canvas_shape

    @property
    def dtype(self) -> torch.dtype:  # type: ignore[override]
        """Arithmetic inside the network."""
        return self.part.dtype

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.part.device

    @property
    def classes(self) -> tuple[str, ...]:
        """The numbers of its classes, where it has some."""
        return self.conditions.classes

    @property
    def conditioned(self) -> bool:
        """Whether it can be asked for anything."""
        return self.conditions.conditioned

    @property
    def text_sha256(self) -> str | None:
        """Of what turns its prompts into vectors."""
        return self.conditions.reader.sha256 if isinstance(self.conditions, Prompts) else None

    @property
    def picture_shape(self) -> tuple[int, int, int]:
        """Channels, height, width of a finished picture."""
        if self.decoder is None:
            return self.shape
        _, height, width = self.shape
        return 3, self.decoder.factor * height, self.decoder.factor * width

    def check(self, condition: Condition) -> tuple[str, ...]:
        """Raise UsageError for a condition that means nothing to it; no word of a prompt is unknown to it."""
        self.conditions.check(condition, self.name)
        return ()

    def prepare(self, conditions: Iterable[Condition]) -> None:
        """Read the prompts."""
        self.conditions.prepare(conditions)

    def rest(self) -> None:
        """Let go of the weights, where memory is short."""
        for part in (self.part, self.decoder.part if self.decoder else None):
            if part is not None and not self.keep:
                part.release()

    def small_size(self, given: int) -> int:
        """In latents any multiple of 8; more than 256 pixels take more memory than most have."""
        return max(8, min(MOST_LATENT, given // 8 * 8)) if self.latent else super().small_size(given)

    def taking(self, size: int) -> Model:
        """This later stage for smaller pictures of `size` pixels; where it works in latents its canvas has their size.

        Raises UsageError when it makes nothing larger, or such pictures are large already.
        """
        if self.low_res is None or not self.any_size or (not self.latent and size >= self.shape[-1]):
            return super().taking(size)
        shape = (self.shape[0], size, size) if self.latent else self.shape
        return replace(self, canvas_shape=shape, low_res=replace(self.low_res, size=size))

    def after(self, below: Model) -> Model:
        """This model as the next stage after the model `below`, with the prompts as that one has read them.

        One text encoder serves the cascade where it can: a second would take as long, to say the same.
        """
        stage = super().after(below)
        theirs = below.conditions if isinstance(below, UNetDenoiser) else None
        if self.latent or not isinstance(theirs, Prompts) or not isinstance(self.conditions, Prompts):
            return stage
        assert isinstance(stage, UNetDenoiser)
        return replace(stage, conditions=theirs) if theirs.width == self.conditions.width else stage

    def pictures(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h2 w2"]:
        """Finished canvases as pictures, values in [0, 1], on the CPU."""
        return to_unit(x if self.decoder is None else self.decoder(x), self)

    def __call__(
        self,
        x: Float[Tensor, "b i h w"],
        conditions: Sequence[Condition],
        level: Level,
        of: Sequence[int] | None = None,
    ) -> Estimate:
        """The noise in canvas `of[k]` for the k-th condition; after a canvas's channels come those of its guide."""
        x = x if of is None else x[list(of)]
        channels = self.shape[0]
        output = self._output(x, conditions, level)
        eps = self.prediction.eps(output[:, :channels], x[:, :channels], level.alpha, level.sigma)
        # Nichol & Dhariwal 2021, eq. 15, with v in [−1, 1].
        return Estimate(eps, (output[:, channels:] + 1) / 2 if output.shape[1] == 2 * channels else None)

    def x0(
        self, x: Float[Tensor, "b i h w"], conditions: Sequence[Condition], level: Level
    ) -> Float[Tensor, "b c h w"]:
        """The clean picture in each row."""
        channels = self.shape[0]
        output = self._output(x, conditions, level)
        return self.prediction.x0(output[:, :channels], x[:, :channels], level.alpha, level.sigma)

    def _output(
        self, x: Float[Tensor, "b i h w"], conditions: Sequence[Condition], level: Level
    ) -> Float[Tensor, "b o h w"]:
        """What the network says. Its arithmetic has its dtype; what goes in and comes out is float32."""
        arguments = self.conditions.arguments(conditions, self.device, self.dtype)
        if self.levelled == "label":
            assert self.low_res is not None
            arguments["class_labels"] = torch.full((len(x),), int(self.low_res.t), device=self.device)
        time = torch.full((len(x),), level.t, device=self.device)
        with torch.no_grad():
            output: Tensor = self.part.network(x.to(self.dtype), time, **arguments, return_dict=False)[0]
        return output.float()

    def row_limit(self) -> int:
        """Rows of one forward that fit into the memory that is there, from a forward of one row that is measured."""
        if "limit" not in self._rows:
            channels = self.shape[0] + (0 if self.low_res is None else self.picture_shape[0])
            x = torch.zeros(1, channels, *self.shape[1:], device=self.device)
            first = self.conditions.known
            level = self.schedule.level(0.0)
            self._output(x, [first], level)  # loads the weights, which are not to be counted
            limit = rows_that_fit(lambda: self._output(x, [first], level), free_bytes(self.device))
            self._rows["limit"] = max(1, min(limit, MOST_ROWS))
        return self._rows["limit"]
