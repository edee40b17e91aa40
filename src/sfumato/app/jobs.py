"""The kinds of jobs. The command line, a rerun and the report all make and run these."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal

from jaxtyping import Float
from pydantic import Field, TypeAdapter, ValidationError, model_validator
from torch import Tensor

from sfumato.app.illusions import Anagram, Hybrid, Panorama, Reading, Region, Regions
from sfumato.app.job import Finite, Job, Loader, guide_of, to_model
from sfumato.app.origin import FromPicture
from sfumato.app.pictures import Picture
from sfumato.backends.model import Model
from sfumato.core.cascade import Guide
from sfumato.core.estimates import Node, Predict
from sfumato.core.filters import LowPass
from sfumato.core.levels import CLEAN, Level
from sfumato.core.loop import FromImage
from sfumato.core.schedules import Path
from sfumato.errors import UsageError, short

__all__ = [
    "Anagram",
    "AnyJob",
    "Denoise",
    "Edit",
    "Generate",
    "Hybrid",
    "Inpaint",
    "Panorama",
    "Reading",
    "Region",
    "Regions",
    "Upscale",
    "explain",
    "parse_job",
]


class Generate(Job):
    """A picture from noise."""

    kind: Literal["generate"] = "generate"
    prompt: str | None = None

    def tree(self) -> Node:
        """The guided estimate."""
        return self.guided(self.prompt)

    @property
    def title(self) -> str:
        """The prompt."""
        return self.prompt or "anything"


class Edit(FromPicture):
    """SDEdit: a picture noised to entry `begin` of the schedule and denoised again, inside a mask if there is one."""

    kind: Literal["edit"] = "edit"
    image: Picture
    prompt: str | None = None
    begin: Annotated[int, Field(ge=0)]

    def tree(self) -> Node:
        """The guided estimate."""
        return self.guided(self.prompt)

    @property
    def title(self) -> str:
        """What is made of what, and from where."""
        return f"{self.image.title} to {self.prompt or 'anything'} from start {self.begin}"


class Inpaint(FromPicture):
    """A picture made anew where a mask is white, and kept exactly elsewhere."""

    kind: Literal["inpaint"] = "inpaint"
    image: Picture
    mask: Picture
    prompt: str | None = None

    def tree(self) -> Node:
        """The guided estimate."""
        return self.guided(self.prompt)

    @property
    def title(self) -> str:
        """What is inpainted with what."""
        return f"{self.image.title} with {self.prompt or 'anything'}"


class Denoise(Job):
    """A picture noised to time `t` and cleaned in one way."""

    kind: Literal["denoise"] = "denoise"
    image: Picture
    prompt: str | None = None
    t: Annotated[float, Field(ge=0)]
    method: Literal["noised", "blur", "one-step", "iterative"]
    sigma: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    """Standard deviation in pixels of the blur."""

    @model_validator(mode="after")
    def _one_stage(self) -> Denoise:
        if self.larger:
            raise ValueError("denoise compares the ways of one model; leave --upscale and --larger out")
        return self

    def tree(self) -> Node:
        """The estimate: guided under a prompt, unconditional without."""
        return self.guided(self.prompt) if self.prompt is not None else Predict()

    def level(self, model: Model) -> Level:
        """The level of t. Raises UsageError when the model has none."""
        try:
            level = model.schedule.level(self.t)
        except ValueError as error:
            raise UsageError(f"model {model.name}: {error}") from error
        # B1.3 asks a denoiser about σ = 0, where the noise that it predicts is 0/0: so little noise changes no pixel.
        return replace(level, sigma=max(level.sigma, 1e-6)) if self.method == "one-step" else level

    def path(self, model: Model) -> Path:
        """From t down the strided schedule; at once to x₀ for one step; t alone where no model is asked."""
        level = self.level(model)
        match self.method:
            case "iterative":
                return (level, *(at for at in super().path(model) if at.snr > level.snr))
            case "one-step":
                return (level, CLEAN)
            case _:
                return (level,)

    def finish(self, x: Float[Tensor, "c h w"]) -> Float[Tensor, "c h w"]:
        """Blurred where that is the way."""
        return LowPass(self.sigma)(x[None])[0] if self.method == "blur" else x

    def start(self, model: Model) -> FromImage:
        """The picture at t."""
        return FromImage(to_model(self.image, model), self.level(model))

    @property
    def title(self) -> str:
        """The way, and from where."""
        return f"{self.method} {self.image.title} at t {self.t:g}"


class Upscale(Job):
    """A picture made larger by the later stage of a cascade."""

    kind: Literal["upscale"] = "upscale"
    image: Picture
    prompt: str | None = None
    noise_level: Finite | None = None
    """The time that the picture is noised to; the model's own where none is given."""

    def models(self, load: Loader) -> tuple[Model, ...]:
        """The first is a later stage itself."""
        first = load(self.model, self.dtype).taking(self.image.tensor().shape[-1])
        return self._with_stages(first if self.noise_level is None else first.guided_at(self.noise_level), load)

    def tree(self) -> Node:
        """The guided estimate."""
        return self.guided(self.prompt)

    def guide(self, model: Model) -> Guide:
        """The picture."""
        return guide_of(self.image.tensor(), model)

    @property
    def title(self) -> str:
        """What is made larger."""
        return f"{self.image.title} larger" + (f" as {self.prompt}" if self.prompt else "")


AnyJob = Annotated[
    Generate | Edit | Inpaint | Anagram | Hybrid | Regions | Panorama | Denoise | Upscale, Field(discriminator="kind")
]
_ADAPTER: TypeAdapter[AnyJob] = TypeAdapter(AnyJob)


def parse_job(data: Any) -> AnyJob:
    """A job from plain data. Raises UsageError with the first thing that is wrong in it."""
    try:
        return _ADAPTER.validate_python(data)
    except ValidationError as error:
        raise UsageError(explain(error)) from error


MOST_WORDS = 300
"""Letters of a complaint: pydantic repeats what it was given."""


def explain(error: ValidationError) -> str:
    """The first complaint of pydantic in one line."""
    first = error.errors()[0]
    kinds = {"generate", "edit", "inpaint", "anagram", "hybrid", "regions", "panorama", "denoise", "upscale"}
    where = ".".join(str(part) for part in first["loc"] if part not in kinds)
    if not where and first["type"] != "value_error":  # a complaint of ours speaks for itself
        where = "the job"
    message = str(first["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    if first["type"] == "extra_forbidden":
        message = "no such field"
    message = message if len(message) <= MOST_WORDS else f"{message[:MOST_WORDS]}…"
    given = first["input"]
    plain = isinstance(given, str | int | float) and not message.startswith("unknown")
    return f"{f'{where}: ' if where else ''}{message}{f' (given {short(given)})' if plain else ''}"
