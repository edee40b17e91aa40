"""How a job that says part of itself becomes complete: with what its model, its kind and the course are used to.

The command line and the studio fill their jobs here, so that both make the same picture of the same request. Nothing
heavy is imported until it is used.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sfumato.errors import UsageError

if TYPE_CHECKING:
    from sfumato.app.job import Loader, Stage
    from sfumato.backends.model import Model
    from sfumato.core.loops import Loop

MODEL = "emoji"
"""That makes pictures where nobody says which, and no other one knows the prompts by name."""
SCRATCH = "digits"
"""Whose training the tour shows."""
COURSE_STEPS = 34
"""Levels of the strided schedule of the course: 990, 960, …, 0 of 1000, that its i_start counts in."""
STARTS = (1, 3, 5, 7, 10, 20)
"""Entries of that schedule at which an edit begins."""
VIEWS = ("identity", "rotate:180")
"""Of an anagram."""
ILLUSIONS = frozenset({"anagram", "hybrid"})
"""Kinds of jobs whose picture is read in several ways."""
JUMP = 5
"""Steps of a stretch that RePaint walks again."""


def model_for(prompts: Iterable[str | None], kind: str = "generate") -> str:
    """The bundled model that is taken where nobody names one: that whose classes all prompts are, else `MODEL`.

    To upscale it is what makes the pictures of `MODEL` larger.
    """
    from sfumato.backends.registry import bundled_models, classes_of

    if kind == "upscale":
        return bundled_models()[MODEL].defaults.larger or MODEL
    asked = {prompt for prompt in prompts if prompt is not None}
    return next((name for name in bundled_models() if asked and asked <= set(classes_of(name))), MODEL)


def prompts_of(fields: Mapping[str, Any]) -> list[str]:
    """What the fields of a job ask for, of any kind of job; a list `prompts` counts too."""
    named = [fields.get(name) for name in ("prompt", "far", "near", "rest")]
    for name in ("prompts", "parts", "readings", "regions"):
        items = fields.get(name)
        for item in items if isinstance(items, list) else ():
            named.append(item.get("prompt") if isinstance(item, dict) else item)
    return [prompt for prompt in named if isinstance(prompt, str)]


def own_steps(kind: str, *, from_picture: bool) -> int | None:
    """The levels of a kind of job, or None for those of its model.

    Where a job begins from a picture its starts count in the schedule of the course.
    """
    return COURSE_STEPS if from_picture and kind != "upscale" else None


def completed(
    fields: Mapping[str, Any], model: Model, *, loop: Loop | None = None, steps: int | None = None
) -> dict[str, Any]:
    """The fields of a job with the model's defaults for what all jobs have and these do not say.

    Args:
        fields: What is said, its kind too; a job says nothing by None where that has no meaning of its own.
        model: That of the job.
        loop: How it walks where the fields do not say; the model's own loop by default.
        steps: The levels where the fields do not say, as far as the model's schedule has so many; the model's own by
            default.
    """
    from sfumato.backends.registry import dtype_name

    defaults = model.defaults
    return {
        **asdict(loop or defaults.loop),
        "steps": min(steps or defaults.steps, model.most_steps),
        "guidance": defaults.guidance_of(illusion=fields.get("kind") in ILLUSIONS),
        "dtype": dtype_name(model.dtype),
        **fields,
    }


def later_stages(wanted: Iterable[Stage], model: Model, load: Loader, dtype: str) -> list[Stage]:
    """What makes the pictures of a model larger, one stage after the other, with everything said.

    Raises UsageError for a model that cannot follow on the one before.
    """
    stages: list[Stage] = []
    for stage in wanted:
        model = load(stage.model, dtype).after(model)
        stages.append(stage.resolved(model))
    return stages


def stages_to(size: int, model: Model, load: Loader, dtype: str) -> list[str]:
    """The names of a model's own later stages that make its pictures `size` pixels large.

    Raises UsageError when they make none of that size.
    """
    names: list[str] = []
    first, sizes = model.name, [model.picture_shape[-1]]
    while sizes[-1] < size and model.defaults.larger is not None:
        names.append(model.defaults.larger)
        model = load(names[-1], dtype).after(model)
        sizes.append(model.picture_shape[-1])
    if sizes[-1] != size:
        raise UsageError(f"{first} makes pictures of {' or '.join(map(str, sizes))} pixels, not {size}")
    return names


def factors(kind: str, model: Model, sigma: float | None = None) -> str:
    """How a hybrid is parted: `frequency` and `triple` get their widths in pixels, all else is complete as it is.

    Raises UsageError when `sigma` is given where the kind says its numbers itself.
    """
    if sigma is not None and kind != "frequency":
        raise UsageError("--sigma parts far from near; say the numbers of another kind in it, as in --kind triple:1,2")
    width = model.defaults.hybrid_sigma if sigma is None else sigma
    return {"frequency": f"frequency:{width!r}", "triple": f"triple:{width / 2!r},{width!r}"}.get(kind, kind)


def noised_times(model: Model) -> list[float]:
    """Where `denoise` compares its methods: the quarters of the schedule, 250, 500, 750 of the course's 1000."""
    from sfumato.core.schedules import Discrete

    whole = len(model.schedule) if isinstance(model.schedule, Discrete) else 1
    return [whole * k / 4 for k in (1, 2, 3)]


def denoise_methods(model: Model) -> Sequence[str]:
    """What `denoise` compares; a one-step denoiser has nothing to iterate on."""
    return ("noised", "blur", "one-step", *(("iterative",) if model.most_steps > 1 else ()))


def panorama_size(model: Model) -> tuple[int, int]:
    """Width and height of a panorama: three of the model's pictures side by side."""
    _, height, width = model.shape
    return 3 * width, height


def small_level(model: Model) -> float:
    """The time that a picture is noised to, to be made larger. Raises UsageError when the model makes none larger."""
    if model.low_res is None:
        raise UsageError(f"model {model.name} makes no picture larger")
    return model.low_res.t


def small_shape(model: Model, given: int) -> tuple[int, int, int]:
    """Channels, height, width that a picture, its shorter side `given` pixels, is brought to, to be made larger."""
    size = model.small_size(given)
    return model.picture_shape[0], size, size
