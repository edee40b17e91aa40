"""The job: one picture to be sampled, and what all kinds of them share."""

from __future__ import annotations

import hashlib
import json
from abc import abstractmethod
from typing import Annotated, Literal

from jaxtyping import Float
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from torch import Tensor

from sfumato.app.pictures import Picture
from sfumato.backends.network import NetworkDenoiser
from sfumato.core.constraints import Inpaint as InpaintConstraint
from sfumato.core.estimates import Clipped, DynamicallyThresholded, Node, guided
from sfumato.core.loop import Canvas, FromImage
from sfumato.core.noise import stream
from sfumato.core.pixels import from_unit
from sfumato.core.samplers import DDIM, DDPM, SAMPLERS, Sampler
from sfumato.core.schedules import Path, strided
from sfumato.errors import UsageError

SCHEMA = 2


def _sampler(name: str) -> str:
    if name not in SAMPLERS:
        raise ValueError(f"unknown sampler {name!r}; choose one of {', '.join(SAMPLERS)}")
    return name


Finite = Annotated[float, Field(allow_inf_nan=False)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Count = Annotated[int, Field(ge=1)]


class Job(BaseModel):
    """One picture to be sampled."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = "digits"
    seed: Seed = 0
    steps: Count
    """Levels of the strided schedule."""
    sampler: Annotated[str, AfterValidator(_sampler)] = "ddpm"
    eta: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Of ddim: 0 deterministic, 1 ancestral."""
    variance: Literal["posterior", "forward"] = "posterior"
    """Of ddpm's noise."""
    guidance: Finite
    negative: str | None = None
    threshold: Literal["none", "static", "dynamic"] = "none"
    """What is done to x̂₀ outside the pixel range; the course does nothing."""
    last_step: bool = True
    """Whether a last step goes from t = 0 to x₀; the loop of the course stops at t = 0."""
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    larger: tuple[str, ...] = ()
    """Models that make the picture larger, one after the other: the later stages of a cascade."""

    @abstractmethod
    def tree(self) -> Node:
        """The noise estimate, thresholding left out."""

    @property
    @abstractmethod
    def title(self) -> str:
        """What the picture is of, in a few words."""

    def path(self, model: NetworkDenoiser) -> Path:
        """The noise levels to visit."""
        try:
            return strided(model.schedule, self.steps, last_step=self.last_step)
        except ValueError as error:
            raise UsageError(f"model {model.name}: {error}") from error

    def canvas(self, model: NetworkDenoiser) -> Canvas:
        """What the loop is given. Raises UsageError for a condition that the model does not know."""
        guide = self.guide(model)
        if guide is None and model.low_res is not None:
            raise UsageError(
                f"model {model.name} makes pictures larger that there are; use it with upscale or --larger"
            )
        return Canvas(self._thresholded(model), self.seed, self.start(model), self.constraint(model), guide)

    def stage(self, model: NetworkDenoiser, below: tuple[int, int, int]) -> Job:
        """The same job as the later stage of a cascade does it, after a stage of shape `below`."""
        del below
        defaults = model.defaults
        return self.model_copy(update={"model": model.name, "steps": defaults.steps, "guidance": defaults.guidance})

    def canvas_above(self, model: NetworkDenoiser, below: Float[Tensor, "c s s"]) -> Canvas:
        """What the loop of a later stage is given, after a finished picture, values in [0, 1], of the one before."""
        return Canvas(self._thresholded(model), self.seed, guide=low_resolution(below, model, self.seed))

    def _thresholded(self, model: NetworkDenoiser) -> Node:
        tree = self.tree()
        for query in tree.queries():
            model.check(query.condition)
        low, high = model.pixel_range
        match self.threshold:
            case "static":
                return Clipped(tree, low, high)
            case "dynamic":
                return DynamicallyThresholded(tree, low, high)
            case _:
                return tree

    def start(self, model: NetworkDenoiser) -> FromImage | None:
        """Where the canvas begins; None is pure noise."""
        del model
        return None

    def guide(self, model: NetworkDenoiser) -> Float[Tensor, "c h w"] | None:
        """What the model sees beside the canvas."""
        del model
        return None

    def constraint(self, model: NetworkDenoiser) -> InpaintConstraint | None:
        """What holds after each step."""
        del model
        return None

    def finish(self, x: Float[Tensor, "c h w"]) -> Float[Tensor, "c h w"]:
        """What is done to the canvas when it has left the loop."""
        return x

    def make_sampler(self) -> Sampler:
        """The sampler with its settings."""
        match self.sampler:
            case "ddpm":
                return DDPM(self.variance)
            case "ddim":
                return DDIM(self.eta)
            case name:
                return SAMPLERS[name]

    def guided(self, prompt: str | None) -> Node:
        """The estimate for a prompt under this job's guidance."""
        return guided(prompt, scale=self.guidance, negative=self.negative)

    @property
    def digest(self) -> str:
        """SHA-256 of the job as data: equal for equal jobs."""
        return hashlib.sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()


def low_resolution(small: Float[Tensor, "c s s"], model: NetworkDenoiser, seed: int) -> Float[Tensor, "c h w"]:
    """A picture, values in [0, 1], as the guide of a model that makes it larger.

    Raises UsageError when the model makes larger nothing, or something else.
    """
    if model.low_res is None:
        raise UsageError(f"model {model.name} makes no picture larger")
    try:
        return model.low_res.of(from_unit(small, model), stream(seed, "guide", model.low_res.size), model.shape[-1])
    except ValueError as error:
        raise UsageError(f"model {model.name}: {error}") from error


def to_model(picture: Picture, model: NetworkDenoiser) -> Float[Tensor, "c h w"]:
    """A picture in the model's pixel range, on its device. Raises UsageError when it has another shape."""
    x = picture.tensor()
    if tuple(x.shape) != model.shape:
        raise UsageError(f"picture {picture.name} is {tuple(x.shape)}, model {model.name} wants {model.shape}")
    return from_unit(x, model)
