"""Jobs: one picture each, completely described. The command line, a rerun and the report all make and run these."""

from __future__ import annotations

import hashlib
import json
from abc import abstractmethod
from typing import Annotated, Any, Literal

from jaxtyping import Float
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from torch import Tensor

from sfumato.app.pictures import Picture
from sfumato.backends.network import NetworkDenoiser
from sfumato.core.constraints import Inpaint as InpaintConstraint
from sfumato.core.estimates import Clipped, DynamicallyThresholded, Node, Predict, anagram, guided, hybrid
from sfumato.core.filters import LowPass
from sfumato.core.levels import CLEAN, Level
from sfumato.core.loop import Canvas, FromImage
from sfumato.core.samplers import DDIM, DDPM, SAMPLERS, Sampler
from sfumato.core.schedules import Path, strided, with_jumps
from sfumato.core.views import parse_view
from sfumato.errors import UsageError

SCHEMA = 1


def _view(text: str) -> str:
    return str(parse_view(text))


def _sampler(name: str) -> str:
    if name not in SAMPLERS:
        raise ValueError(f"unknown sampler {name!r}; choose one of {', '.join(SAMPLERS)}")
    return name


ViewText = Annotated[str, AfterValidator(_view)]
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
        tree = self.tree()
        for query in tree.queries():
            model.check(query.condition)
        low, high = model.pixel_range
        match self.threshold:
            case "static":
                tree = Clipped(tree, low, high)
            case "dynamic":
                tree = DynamicallyThresholded(tree, low, high)
        return Canvas(tree, self.seed, self.start(model), self.constraint(model))

    def start(self, model: NetworkDenoiser) -> FromImage | None:
        """Where the canvas begins; None is pure noise."""
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


class Edit(Job):
    """SDEdit: a picture noised to entry `begin` of the strided schedule and denoised again."""

    kind: Literal["edit"] = "edit"
    image: Picture
    prompt: str | None = None
    begin: Annotated[int, Field(ge=0)]
    """i_start: 0 is the noisiest level, where hardly anything of the picture is left."""

    def tree(self) -> Node:
        """The guided estimate."""
        return self.guided(self.prompt)

    def start(self, model: NetworkDenoiser) -> FromImage:
        """The picture at its level."""
        return FromImage(to_model(self.image, model), self.begin_level(model))

    def begin_level(self, model: NetworkDenoiser) -> Level:
        """The level that `begin` means."""
        path = self.path(model)
        if self.begin >= len(path) - 1:
            raise UsageError(f"start {self.begin} is past the end: with {self.steps} steps it is 0 … {len(path) - 2}")
        return path[self.begin]

    @property
    def title(self) -> str:
        """What is made of what, and from where."""
        return f"{self.image.name} to {self.prompt or 'anything'} from start {self.begin}"


class Inpaint(Job):
    """A picture made anew where a mask is white, and kept exactly elsewhere."""

    kind: Literal["inpaint"] = "inpaint"
    image: Picture
    mask: Picture
    prompt: str | None = None
    resample: Count = 1
    """RePaint: how often each stretch is walked."""
    jump: Count = 10
    """RePaint: steps in a stretch."""

    def tree(self) -> Node:
        """The guided estimate."""
        return self.guided(self.prompt)

    def path(self, model: NetworkDenoiser) -> Path:
        """The strided path with RePaint's jumps."""
        return with_jumps(super().path(model), jump=self.jump, resample=self.resample)

    def constraint(self, model: NetworkDenoiser) -> InpaintConstraint:
        """The kept area."""
        return InpaintConstraint(to_model(self.image, model), self.mask.tensor().to(model.device))

    @property
    def title(self) -> str:
        """What is inpainted with what."""
        return f"{self.image.name} with {self.prompt or 'anything'}"


class Reading(BaseModel):
    """What an anagram shows through a view."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompt: str
    view: ViewText = "identity"


class Anagram(Job):
    """One picture with several readings, each through its own view."""

    kind: Literal["anagram"] = "anagram"
    readings: Annotated[tuple[Reading, ...], Field(min_length=1)]

    def tree(self) -> Node:
        """The mean of the guided estimates through their views."""
        nodes = [self.guided(reading.prompt) for reading in self.readings]
        return anagram(nodes, [parse_view(reading.view) for reading in self.readings])

    @property
    def title(self) -> str:
        """Every prompt with its view."""
        return ", ".join(f"{reading.prompt} ({reading.view})" for reading in self.readings)


class Hybrid(Job):
    """One picture that is one thing from far away and another from near."""

    kind: Literal["hybrid"] = "hybrid"
    far: str
    near: str
    sigma: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    """Standard deviation in pixels of the Gaussian that parts the two."""

    def tree(self) -> Node:
        """Low frequencies of one guided estimate, high ones of the other."""
        return hybrid(self.guided(self.far), self.guided(self.near), sigma=self.sigma)

    @property
    def title(self) -> str:
        """Both prompts."""
        return f"{self.far} from afar, {self.near} from near"


class Denoise(Job):
    """A picture noised to time `t` and cleaned in one way."""

    kind: Literal["denoise"] = "denoise"
    image: Picture
    prompt: str | None = None
    t: Annotated[float, Field(ge=0)]
    method: Literal["noised", "blur", "one-step", "iterative"]
    sigma: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    """Standard deviation in pixels of the blur."""

    def tree(self) -> Node:
        """The estimate: guided under a prompt, unconditional without."""
        return self.guided(self.prompt) if self.prompt is not None else Predict()

    def level(self, model: NetworkDenoiser) -> Level:
        """The level of t. Raises UsageError when the model has none, or when there is no noise at it."""
        try:
            level = model.schedule.level(self.t)
        except ValueError as error:
            raise UsageError(f"model {model.name}: {error}") from error
        if level.sigma == 0:
            raise UsageError(f"model {model.name} has no noise at t {self.t:g}: nothing is to be denoised")
        return level

    def path(self, model: NetworkDenoiser) -> Path:
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

    def start(self, model: NetworkDenoiser) -> FromImage:
        """The picture at t."""
        return FromImage(to_model(self.image, model), self.level(model))

    @property
    def title(self) -> str:
        """The way, and from where."""
        return f"{self.method} {self.image.name} at t {self.t:g}"


AnyJob = Annotated[Generate | Edit | Inpaint | Anagram | Hybrid | Denoise, Field(discriminator="kind")]
_ADAPTER: TypeAdapter[AnyJob] = TypeAdapter(AnyJob)


def parse_job(data: Any) -> AnyJob:
    """A job from plain data. Raises UsageError with the first thing that is wrong in it."""
    try:
        return _ADAPTER.validate_python(data)
    except ValidationError as error:
        raise UsageError(explain(error)) from error


def explain(error: ValidationError) -> str:
    """The first complaint of pydantic in one line."""
    first = error.errors()[0]
    kinds = {"generate", "edit", "inpaint", "anagram", "hybrid", "denoise"}
    where = ".".join(str(part) for part in first["loc"] if part not in kinds) or "the job"
    message = str(first["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    given = first["input"]
    shown = f" (given {given!r})" if isinstance(given, str | int | float) and not message.startswith("unknown") else ""
    return f"{where}: {message}{shown}"


def to_model(picture: Picture, model: NetworkDenoiser) -> Float[Tensor, "c h w"]:
    """A picture in the model's pixel range, on its device. Raises UsageError when it has another shape."""
    x = picture.tensor()
    if tuple(x.shape) != model.shape:
        raise UsageError(f"picture {picture.name} is {tuple(x.shape)}, model {model.name} wants {model.shape}")
    low, high = model.pixel_range
    return (low + (high - low) * x).to(model.device)


def from_model(x: Float[Tensor, "*b c h w"], model: NetworkDenoiser) -> Float[Tensor, "*b c h w"]:
    """Values in [0, 1], on the CPU, from the model's pixel range; values outside are cut off."""
    low, high = model.pixel_range
    return ((x.float().cpu() - low) / (high - low)).clamp(0, 1)
