"""Jobs with several prompts in one picture: anagrams, hybrids, regions; and pictures larger than the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any, ClassVar, Literal

from jaxtyping import Float
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

from sfumato.app.job import Count, FiniteWeight, Job, Look, to_model
from sfumato.app.origin import FromPicture
from sfumato.app.pictures import Picture
from sfumato.backends.model import Model
from sfumato.core.constraints import Constraint, Match
from sfumato.core.crops import panorama
from sfumato.core.estimates import Node, Sum, Viewed, factorized, guided
from sfumato.core.filters import Filter, Grey, LowPass, MotionBlur, parse_factors, regions
from sfumato.core.loop import Canvas
from sfumato.core.ramps import PlainWeight, RampEnds, Weight, make_weight
from sfumato.core.views import parse_view
from sfumato.errors import UsageError


def _view(text: str) -> str:
    # A job is data: it names no files, whose content could change or be none of its reader's business.
    return str(parse_view(text, files=False))


def _factors(text: str) -> str:
    parse_factors(text)
    return text


ViewText = Annotated[str, AfterValidator(_view)]
FactorsText = Annotated[str, AfterValidator(_factors)]


class Reading(BaseModel):
    """What an anagram shows through a view."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompt: str
    view: ViewText = "identity"
    weight: FiniteWeight = 1.0
    """How much it counts among the readings; a pair goes from the first at pure noise to the second at the end."""
    guidance: FiniteWeight | None = None
    """Its own guidance, likewise; the job's where none is given."""


class Anagram(FromPicture):
    """One picture with several readings, each through its own view."""

    kind: Literal["anagram"] = "anagram"
    pixels_only: ClassVar[bool] = True
    readings: Annotated[tuple[Reading, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _weights_sum_to_something(self) -> Anagram:
        if any(abs(total) < 1e-6 for total in self._totals()):
            raise ValueError("the weights of the readings sum to 0, of which no mean can be made")
        return self

    def tree(self) -> Node:
        """The weighted mean of the guided estimates through their views (Geng et al. 2024, eq. 4)."""
        noisy, clean = self._totals()
        terms: list[tuple[Weight, Node]] = []
        for reading in self.readings:
            first, last = _ends(reading.weight)
            weight = make_weight((first / noisy, last / clean))
            scale = self.guidance if reading.guidance is None else reading.guidance
            node = guided(reading.prompt, scale=scale, negative=self.negative)
            terms.append((weight, Viewed(parse_view(reading.view), node)))
        return Sum(tuple(terms))

    def looks(self) -> tuple[Look, ...]:
        """Through every view."""
        from sfumato.evaluation.illusions import seen

        return tuple(Look(r.prompt, r.view, partial(seen, view=parse_view(r.view))) for r in self.readings)

    @property
    def title(self) -> str:
        """Every prompt with its view."""
        return ", ".join(f"{reading.prompt} ({reading.view})" for reading in self.readings) + self.origin_title

    def _totals(self) -> tuple[float, float]:
        ends = [_ends(reading.weight) for reading in self.readings]
        return sum(first for first, _ in ends), sum(last for _, last in ends)


class Hybrid(FromPicture):
    """One picture whose components show different things: low and high frequencies, greyness and colour, ….

    `far`, `near` and `sigma` may be given in the place of `parts` and `factors`.
    """

    kind: Literal["hybrid"] = "hybrid"
    pixels_only: ClassVar[bool] = True
    parts: Annotated[tuple[str, ...], Field(min_length=1)]
    """A prompt for each component, that of the lowest frequencies first."""
    factors: FactorsText = "frequency:2"
    """How the picture is parted (see `parse_factors`)."""
    reference: Picture | None = None
    """A picture whose own first component is kept: then `parts` are about the others."""
    enlarged: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    """How many times larger the canvas is than the one that the factors speak of: in later stages."""

    @model_validator(mode="before")
    @classmethod
    def _from_two(cls, data: Any) -> Any:
        if not isinstance(data, dict) or "far" not in data or "parts" in data:
            return data
        rest = {key: value for key, value in data.items() if key not in {"far", "near", "sigma"}}
        sigma = data.get("sigma")
        if not isinstance(sigma, int | float) or not sigma > 0:
            raise ValueError(f"sigma must be a positive number, not {str(sigma)[:40]}")
        return {**rest, "parts": (data["far"], data.get("near")), "factors": f"frequency:{sigma!r}"}

    @model_validator(mode="after")
    def _one_part_for_each(self) -> Hybrid:
        filters = parse_factors(self.factors)
        wanted = len(filters) - (self.reference is not None)
        if len(self.parts) != wanted:
            beside = " beside the reference" if self.reference is not None else ""
            raise ValueError(f"{self.factors} wants {wanted} prompts{beside}, not {len(self.parts)}")
        if self.reference is not None and self.mask is not None:
            raise ValueError("a hybrid keeps a component of a reference or what is outside a mask, not both")
        return self

    @property
    def filters(self) -> tuple[Filter, ...]:
        """What the picture is parted by."""
        return tuple(each.enlarged(self.enlarged) for each in parse_factors(self.factors))

    def tree(self) -> Node:
        """Each component of its own guided estimate; that of a reference is replaced after every step."""
        nodes = [self.guided(part) for part in self.parts]
        return factorized(nodes if self.reference is None else [nodes[0], *nodes], self.filters)

    def constraint(self, model: Model) -> Constraint | None:
        """The reference's component."""
        if self.reference is None:
            return super().constraint(model)
        return Match(self.filters[0], to_model(self.reference, model))

    def stage(self, index: int, models: Sequence[Model]) -> Job:
        """The components part at the same place of the picture, so further apart in pixels."""
        ratio = models[index].shape[-1] / models[0].shape[-1]
        return super().stage(index, models).model_copy(update={"enlarged": self.enlarged * ratio})

    def looks(self) -> tuple[Look, ...]:
        """How each component is seen alone, or most of all."""
        from sfumato.evaluation.illusions import from_afar

        name, filters = self.factors.partition(":")[0], self.filters
        ways: list[tuple[str, Callable[[Tensor], Tensor]]]
        match name, filters[0]:
            case "colour", _:
                ways = [("in grey", Grey()), ("in colour", _as_it_is)]
            case "motion", MotionBlur() as blur:
                ways = [("in motion", blur), ("still", _as_it_is)]
            case (("frequency" | "triple"), _):
                sigmas = sorted(_sigmas(self.factors), reverse=True)
                afar = [partial(from_afar, sigma=sigma * self.enlarged) for sigma in sigmas]
                names = ["from afar", *["from midway"] * (len(sigmas) - 1)]
                ways = [*zip(names, afar, strict=True), ("from near", _as_it_is)]
            case _:
                ways = [("as it is", _as_it_is)] * len(filters)
        prompts = self.parts if self.reference is None else (None, *self.parts)
        both = zip(prompts, ways, strict=True)
        return tuple(Look(prompt, how, at) for prompt, (how, at) in both if prompt is not None)

    @property
    def title(self) -> str:
        """Every prompt, and how it is seen."""
        seen = ", ".join(f"{look.prompt} {look.name}" for look in self.looks())
        kept = "" if self.reference is None else f" in {self.reference.title}"
        return seen + kept + self.origin_title

    @property
    def far(self) -> str:
        """What is seen from afar, or of the first component."""
        return self.parts[0]

    @property
    def near(self) -> str:
        """What is seen from near, or of the last component."""
        return self.parts[-1]

    @property
    def sigma(self) -> float | None:
        """The largest blur, in pixels, that parts frequencies; None where something else is parted."""
        return max(_sigmas(self.factors), default=None)


class Region(BaseModel):
    """A prompt and where it is drawn."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompt: str
    mask: Picture
    """White where it is drawn."""


class Regions(Job):
    """One picture with a prompt for each region, and one for the rest."""

    kind: Literal["regions"] = "regions"
    regions: Annotated[tuple[Region, ...], Field(min_length=1)]
    rest: str | None = None
    enlarged: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    """How many times larger the canvas is than the masks."""

    def tree(self) -> Node:
        """The estimates of the regions, blended where masks are grey; where masks overlap they share."""
        masks = [region.mask.tensor()[:1] for region in self.regions]
        total = sum(masks[1:], masks[0])
        shared = [mask / total.clamp(min=1) for mask in masks]
        rest = (1 - sum(shared[1:], shared[0])).clamp(min=0)
        filters = [each.enlarged(self.enlarged) for each in regions([*shared, rest])]
        return factorized([*(self.guided(region.prompt) for region in self.regions), self.guided(self.rest)], filters)

    def stage(self, index: int, models: Sequence[Model]) -> Job:
        """The regions are as much larger as the picture is."""
        ratio = models[index].shape[-1] / models[0].shape[-1]
        return super().stage(index, models).model_copy(update={"enlarged": self.enlarged * ratio})

    @property
    def title(self) -> str:
        """Every prompt with its mask."""
        return ", ".join(f"{r.prompt} in {r.mask.title}" for r in self.regions) + (
            f", {self.rest}" if self.rest else ""
        )


class Panorama(Job):
    """A picture larger than the model, of any aspect, which the model sees crop by crop."""

    kind: Literal["panorama"] = "panorama"
    prompt: str | None = None
    width: Count
    height: Count
    overlap: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """The least share of a crop that the next one repeats."""

    @model_validator(mode="after")
    def _of_a_size(self) -> Panorama:
        if self.width * self.height > MOST_PIXELS:
            raise ValueError(f"{self.width}×{self.height} pixels are more than {MOST_PIXELS / 1e6:g} million")
        if self.larger:
            raise ValueError("a panorama is as large as one says; leave --upscale and --larger out")
        return self

    def tree(self) -> Node:
        """The guided estimate of a crop."""
        return self.guided(self.prompt)

    def canvas(self, model: Model) -> Canvas:
        """A canvas of its own size. Raises UsageError when it is smaller than the model's."""
        channels, *size = model.shape
        estimate = super().canvas(model).estimate
        try:
            whole = panorama(estimate, canvas=(self.height, self.width), model=(size[0], size[1]), overlap=self.overlap)
        except ValueError as error:
            raise UsageError(f"model {model.name}: {error}") from error
        return Canvas(whole, self.seed, shape=(channels, self.height, self.width))

    @property
    def title(self) -> str:
        """The prompt and the size."""
        return f"{self.prompt or 'anything'} of {self.width} by {self.height}"


MOST_PIXELS = 16_000_000
"""Of a panorama."""


def _as_it_is(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    return x


def _sigmas(factors: str) -> list[float]:
    """The blurs in a text of factors that part frequencies."""
    out: list[float] = []
    for each in parse_factors(factors):
        for part in getattr(each, "filters", (each,)):
            if isinstance(part, LowPass) and part.sigma not in out:
                out.append(part.sigma)
    return out


def _ends(weight: PlainWeight) -> RampEnds:
    return weight if isinstance(weight, tuple) else (weight, weight)
