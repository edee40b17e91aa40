"""The command line that makes a job: the way back from what was run to what a person types."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sfumato.app.defaults import model_for, prompts_of
from sfumato.app.job import Job
from sfumato.app.jobs import Anagram, AnyJob, Denoise, Edit, Generate, Hybrid, Inpaint, Panorama, Regions, Upscale
from sfumato.app.origin import FromPicture
from sfumato.backends.registry import bundled_models
from sfumato.core.loops import Loop
from sfumato.core.ramps import spell_weight
from sfumato.training.recipe import Recipe, load_recipe, packaged_recipes, parse

_FLAGS = {"negative", "dtype"}
"""Options of every command whose defaults are those of the job."""
_ASKS = {"prompt", "parts", "readings", "regions", "rest"}
"""Fields that say what a job asks for."""
_MERGED = {"seed", "begin", "t", "method", "prompt"}
"""Fields in which the jobs of one command may differ."""


def command_line(job: AnyJob, image: str | None = None, mask: str | None = None) -> str:
    """The command that makes this one job, quoted for a shell.

    Only what differs from the defaults is said, except steps, guidance and seed, whose defaults are the model's or
    easily forgotten. Guidance is left out where nothing is asked for, because there it changes nothing.

    Args:
        job: What is made.
        image: The file of the job's picture, by default the name that the picture carries.
        mask: The file of the mask, likewise.
    """
    return command_lines([job], image, mask)


def command_lines(jobs: Sequence[AnyJob], image: str | None = None, mask: str | None = None) -> str:
    """The one command that makes all of these jobs. Raises ValueError when there is none.

    The jobs of a command differ in their seeds, which follow each other, and besides in their prompts (generate),
    starts (edit), or times and methods (denoise).
    """
    first = jobs[0]
    same = {key: value for key, value in first if key not in _MERGED}
    if any({key: value for key, value in job if key not in _MERGED} != same for job in jobs):
        raise ValueError("these jobs are not those of one command")
    words = ["sfumato", first.kind, *_what(first, jobs, image), *_model(jobs), *_common(first)]
    if isinstance(first, FromPicture):
        words += _origin(first, jobs, image, mask)
    seeds = _unique(job.seed for job in jobs)
    if seeds != list(range(seeds[0], seeds[0] + len(seeds))):
        raise ValueError(f"the seeds of one command follow each other, and {seeds} do not")
    words += ["--seed", str(seeds[0])]
    words += ["-n", str(len(seeds))] if len(seeds) > 1 else []
    return shlex.join(words)


def train_command(recipe: Mapping[str, Any]) -> str:
    """The command of a training, from its resolved recipe: the packaged one and what was changed in it."""
    used = parse(recipe, "the recipe")
    known = [load_recipe(name) for name in packaged_recipes()]
    # A recipe of the user's own is told as what it changes in the packaged one that is nearest to it.
    same = [one for one in known if one.name == used.name] or [one for one in known if type(one) is type(used)]
    packaged = min(same, key=lambda one: len(_changes(used, one)))
    words = ["sfumato", "train", packaged.name, "--data", used.data]
    if used.init:
        words += ["--init", used.init]
    for key, value in _changes(used, packaged).items():
        words += ["--set", f"{key}={value if isinstance(value, str) else json.dumps(value)}"]
    return shlex.join(words)


def _changes(used: Recipe, packaged: Recipe) -> dict[str, Any]:
    """What a recipe says otherwise than a packaged one, as JSON has it."""
    told = used.model_dump(mode="json", exclude={"summary", "data", "init", "init_sha256"})
    usual = packaged.model_dump(mode="json")
    return {key: value for key, value in told.items() if value != usual.get(key)}


def _what(first: AnyJob, jobs: Sequence[AnyJob], image: str | None) -> list[str]:  # noqa: PLR0911
    """The arguments and options that say what is made."""
    match first:
        case Generate():
            prompts = _unique(job.prompt for job in jobs if isinstance(job, Generate))
            return [prompt for prompt in prompts if prompt is not None]
        case Denoise():
            times = _unique(f"{job.t:g}" for job in jobs if isinstance(job, Denoise))
            blur = [] if first.sigma == 1 else ["--sigma", f"{first.sigma:g}"]
            return [image or first.image.name, *_prompt(first.prompt), "--t", ",".join(times), *blur]
        case Edit() | Inpaint() | Upscale():
            return [image or first.image.name, *_prompt(first.prompt)]
        case Anagram():
            views = [word for reading in first.readings for word in ("--view", reading.view)]
            for option, name, usual in (("--weight", "weight", 1.0), ("--view-guidance", "guidance", None)):
                given = [getattr(reading, name) for reading in first.readings]
                if any(value != usual for value in given):
                    own = (first.guidance if value is None else value for value in given)
                    views += [word for value in own for word in (option, spell_weight(value))]
            return [*(reading.prompt for reading in first.readings), *views]
        case Hybrid():
            reference = [] if first.reference is None else ["--reference", first.reference.name]
            return [*first.parts, "--kind", first.factors, *reference]
        case Regions():
            masks = [word for region in first.regions for word in ("--mask", region.mask.name)]
            return [*(region.prompt for region in first.regions), *([first.rest] if first.rest else []), *masks]
        case Panorama():
            size = f"{first.width}x{first.height}"
            return [*([first.prompt] if first.prompt else []), "--size", size, "--overlap", f"{first.overlap:g}"]


def _origin(first: FromPicture, jobs: Sequence[AnyJob], image: str | None, mask: str | None) -> list[str]:
    """The options that say which picture it comes from."""
    words = []
    if first.image is not None and not isinstance(first, Edit | Inpaint):
        words += ["--image", image or first.image.name]
    begins = [str(job.begin) for job in jobs if isinstance(job, FromPicture) and job.begin is not None]
    if begins:
        words += ["--start", ",".join(_unique(begins))]
    if first.mask is not None:
        words += ["--mask", mask or first.mask.name]
        words += ["--resample", str(first.resample), "--jump", str(first.jump)] if first.resample > 1 else []
    return words


def _model(jobs: Sequence[AnyJob]) -> list[str]:
    """The model, unless it is the one that the command takes for these prompts by itself."""
    asked = [prompt for job in jobs for prompt in prompts_of(job.model_dump(mode="json", include=_ASKS))]
    return [] if jobs[0].model == model_for(asked, jobs[0].kind) else ["--model", jobs[0].model]


def _common(job: AnyJob) -> list[str]:
    """The options that all commands share, seeds left out."""
    words = ["--steps", str(job.steps)]
    known = bundled_models().get(job.model)
    loop = known.defaults.loop if known else None
    for name, value in asdict(loop or Loop()).items():
        if getattr(job, name) != value or (loop is None and name == "sampler"):
            words += _option(name, getattr(job, name))
    if any(query.condition is not None for query in job.tree().queries()):
        words += ["--guidance", spell_weight(job.guidance)]
    for name, field in Job.model_fields.items():
        value = getattr(job, name)
        if name in _FLAGS and value != field.default:
            words += _option(name, value)
    words += [word for stage in job.larger for word in ("--larger", stage.model)]
    for option, name in (
        ("--later-steps", "steps"),
        ("--later-guidance", "guidance"),
        ("--noise-level", "noise_level"),
    ):
        said = [getattr(stage, name) for stage in job.larger]
        if None not in said:
            words += [word for value in said for word in (option, spell_weight(value))]
    return words


def _option(name: str, value: Any) -> list[str]:
    match value:
        case bool():
            return [f"--{'' if value else 'no-'}{name.replace('_', '-')}"]
        case float():
            return [f"--{name}", f"{value:g}"]
        case _:
            return [f"--{name}", str(value)]


def _prompt(prompt: str | None) -> list[str]:
    return [] if prompt is None else ["--prompt", prompt]


def _unique(values: Any) -> list[Any]:
    return list(dict.fromkeys(values))
