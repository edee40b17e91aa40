"""The job: one picture to be sampled, and what all kinds of them share."""

from __future__ import annotations

import hashlib
import json
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Annotated, Any, ClassVar, Literal

from jaxtyping import Float
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from torch import Tensor

from sfumato.app.defaults import MODEL
from sfumato.app.pictures import Picture
from sfumato.backends.model import Model
from sfumato.core.cascade import Guide
from sfumato.core.constraints import Constraint
from sfumato.core.estimates import Node, guided
from sfumato.core.fit import check_fit
from sfumato.core.loop import Canvas, FromImage
from sfumato.core.loops import Loop, Threshold
from sfumato.core.pixels import from_unit
from sfumato.core.ramps import PlainWeight, read_weight
from sfumato.core.samplers import Variance, known_sampler
from sfumato.core.schedules import Path, Spacing
from sfumato.errors import UsageError

Loader = Callable[[str, str], Model]
"""A model by name and dtype."""


Finite = Annotated[float, Field(allow_inf_nan=False)]
FiniteWeight = Annotated[PlainWeight, BeforeValidator(read_weight)]
"""A number; or two, from which it goes at pure noise to which at the clean picture, also written 4..1."""
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Count = Annotated[int, Field(ge=1)]


@dataclass(frozen=True, eq=False)
class Look:
    """A way of looking at a finished picture, and what is to be seen then."""

    prompt: str
    name: str
    """What one does to look so, such as rotate:180 or from afar."""
    at: Callable[[Tensor], Tensor]
    """Pictures (b, c, h, w) with values in [0, 1] as they are seen so."""


class Stage(BaseModel):
    """A later stage of a cascade. What is not said is as its model is made for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    steps: Count | None = None
    guidance: FiniteWeight | None = None
    noise_level: Finite | None = None
    """The time that the smaller picture is noised to."""
    loop: Loop | None = None

    def resolved(self, model: Model) -> Stage:
        """With everything said, so that a picture made so can be made again by whatever defaults."""
        own: dict[str, Any] = {
            "steps": model.defaults.steps,
            "guidance": model.defaults.guidance,
            "noise_level": None if model.low_res is None else model.low_res.t,
            "loop": model.defaults.loop,
        }
        unsaid = {name: value for name, value in own.items() if getattr(self, name) is None}
        return self.model_copy(update=unsaid)


def _stage(value: Any) -> Any:
    """A stage may be given as the name of its model."""
    return {"model": value} if isinstance(value, str) else value


class Job(BaseModel):
    """One picture to be sampled."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    pixels_only: ClassVar[bool] = False
    """Whether its estimate means something for canvases of pixels alone."""

    model: str = MODEL
    seed: Seed = 0
    steps: Count
    """Levels of the path."""
    spacing: Spacing = "strided"
    """Which levels of the schedule these are."""
    sampler: Annotated[str, AfterValidator(known_sampler)] = "ddpm"
    eta: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Of ddim: 0 deterministic, 1 ancestral."""
    variance: Variance = "posterior"
    """Of ddpm's noise."""
    guidance: FiniteWeight
    negative: str | None = None
    threshold: Threshold = "none"
    """What is done to x̂₀ outside the pixel range; the course does nothing."""
    quantile: Annotated[float, Field(gt=0, le=1)] = 0.95
    """Of dynamic thresholding."""
    largest: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 1.5
    """Of dynamic thresholding: no larger factor is divided by."""
    last_step: bool = True
    """Whether a last step goes from t = 0 to x₀; the loop of the course stops at t = 0."""
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    larger: tuple[Annotated[Stage, BeforeValidator(_stage)], ...] = ()
    """What makes the picture larger, one after the other: the later stages of a cascade."""

    @abstractmethod
    def tree(self) -> Node:
        """The noise estimate, thresholding left out."""

    @property
    @abstractmethod
    def title(self) -> str:
        """What the picture is of, in a few words."""

    def path(self, model: Model) -> Path:
        """The noise levels to visit."""
        if self.steps > model.most_steps:  # also of a schedule that could be cut as finely as one likes
            raise UsageError(f"model {model.name} takes 1 to {model.most_steps} steps, not {self.steps}")
        try:
            return self.loop.path(model.schedule, self.steps)
        except ValueError as error:
            raise UsageError(f"model {model.name}: {error}") from error

    def canvas(self, model: Model) -> Canvas:
        """What the loop is given. Raises UsageError for a condition that the model does not know."""
        guide = self.guide(model)
        if guide is None and model.low_res is not None:
            raise UsageError(
                f"model {model.name} makes other pictures larger: use it by upscale, or by --larger after a first stage"
            )
        return Canvas(self._thresholded(model), self.seed, self.start(model), self.constraint(model), guide)

    def models(self, load: Loader) -> tuple[Model, ...]:
        """Those of all its stages. Raises UsageError when one does not fit the one before."""
        return self._with_stages(load(self.model, self.dtype), load)

    def _with_stages(self, first: Model, load: Loader) -> tuple[Model, ...]:
        if self.variance == "learned" and self.sampler == "ddpm" and not first.learned_variance:
            raise UsageError(f"model {first.name} has learned no variance; choose posterior or forward")
        models = [first]
        for stage in self.larger:
            model = load(stage.model, self.dtype).after(models[-1])
            if model.latent and self.pixels_only:
                raise UsageError(
                    f"{self.title}: it must stay in pixels to be read both ways, and {stage.model} works in latents; "
                    f"end with {models[-1].name}"
                )
            models.append(model if stage.noise_level is None else model.guided_at(stage.noise_level))
        return tuple(models)

    def stage(self, index: int, models: Sequence[Model]) -> Job:
        """The same job as the later stage `index` of a cascade does it, 1 the first, given the models of all stages."""
        how = self.larger[index - 1].resolved(models[index])
        assert how.loop is not None
        own = {"model": how.model, "steps": how.steps, "guidance": how.guidance}
        return self.model_copy(update={**own, **asdict(how.loop), "larger": ()})

    def canvas_above(self, model: Model, below: Float[Tensor, "c s s"]) -> Canvas:
        """What the loop of a later stage is given, after a finished picture, values in [0, 1], of the one before."""
        return Canvas(self._thresholded(model), self.seed, guide=guide_of(below, model))

    def _thresholded(self, model: Model) -> Node:
        try:
            tree = self.tree()
            check_fit(tree, model.shape, model.shape)
        except ValueError as error:
            raise UsageError(f"model {model.name}: {error}") from error
        for query in tree.queries():
            model.check(query.condition)
        return self.loop.thresholded(tree, model.pixel_range)

    def start(self, model: Model) -> FromImage | None:
        """Where the canvas begins; None is pure noise."""
        del model
        return None

    def guide(self, model: Model) -> Guide | None:
        """What the model sees beside the canvas."""
        del model
        return None

    def constraint(self, model: Model) -> Constraint | None:
        """What holds after each step."""
        del model
        return None

    def finish(self, x: Float[Tensor, "c h w"]) -> Float[Tensor, "c h w"]:
        """What is done to the canvas when it has left the loop."""
        return x

    def looks(self) -> tuple[Look, ...]:
        """The ways in which the picture is to be read; none where nothing was asked for."""
        prompt = getattr(self, "prompt", None)
        return () if prompt is None else (Look(prompt, "as it is", lambda x: x),)

    @property
    def loop(self) -> Loop:
        """How it walks."""
        return Loop(**{field.name: getattr(self, field.name) for field in fields(Loop)})

    def guided(self, prompt: str | None) -> Node:
        """The estimate for a prompt under this job's guidance."""
        return guided(prompt, scale=self.guidance, negative=self.negative)

    @property
    def digest(self) -> str:
        """SHA-256 of the job as data: equal for equal jobs."""
        return hashlib.sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()


def guide_of(small: Float[Tensor, "c s s"], model: Model) -> Guide:
    """A picture, values in [0, 1], as the guide of a model that makes it larger.

    Raises UsageError when the model makes larger nothing, or something else.
    """
    if model.low_res is None:
        raise UsageError(f"model {model.name} makes no picture larger")
    size = model.low_res.size
    if small.shape[-2:] != (size, size):
        raise UsageError(
            f"model {model.name}: the smaller picture must be {size}×{size}, not {tuple(small.shape[-2:])}"
        )
    return Guide(from_unit(small, model), model.low_res)


def to_model(picture: Picture, model: Model) -> Float[Tensor, "c h w"]:
    """A picture in the model's pixel range, on its device. Raises UsageError when it has another shape."""
    x = picture.tensor()
    if tuple(x.shape) != model.shape:
        raise UsageError(f"picture {picture.name} is {tuple(x.shape)}, model {model.name} wants {model.shape}")
    return from_unit(x, model)
