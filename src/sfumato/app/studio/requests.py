"""What the page sends, and how it becomes what is queued: complete jobs, checked before anybody waits for them.

What a request does not say is filled as the command line fills it (`sfumato.app.defaults`), and what is wrong with it
is said in the same line. A request names models, pictures and data by the studio's tables, never by a path.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationError

from sfumato.app import defaults
from sfumato.app.studio.bodies import STRICT
from sfumato.app.studio.bounds import MOST_COUNT, MOST_JOBS, check_bounds, check_crops
from sfumato.app.studio.fitting import Fitting
from sfumato.app.studio.models import Models
from sfumato.app.studio.records import NewRun, Run
from sfumato.errors import UsageError, one_of

if TYPE_CHECKING:
    from sfumato.app.jobs import AnyJob
    from sfumato.backends.model import Model

_log = logging.getLogger("sfumato.studio")


class RunRequest(BaseModel):
    """Pictures to be made."""

    model_config = STRICT

    job: dict[str, Any]
    """As `parse_job` takes it, or part of it; uploads in the place of pictures."""
    count: Annotated[int, Field(ge=1, le=MOST_COUNT)] = 1
    """Of each picture so many, with seeds that follow each other."""
    keep: Literal["last", "steps"] = "last"


@dataclass(frozen=True)
class Requests:
    """Makes jobs of requests."""

    models: Models
    fitting: Fitting

    def pictures(self, request: RunRequest) -> NewRun:
        """What is queued for a request. Raises UsageError with the line that the command line would say."""
        with _explained():
            jobs = self._jobs(request)
            self._check(jobs)
        titles = list(dict.fromkeys(job.title for job in jobs))
        title = titles[0] if len(titles) == 1 else f"{titles[0]}, and {len(titles) - 1} more"
        order = {"jobs": [job.model_dump(mode="json") for job in jobs], "keep_steps": request.keep == "steps"}
        return NewRun("pictures", title[:300], self.models.called(jobs[0].model), order)

    def again(self, run: Run) -> NewRun:
        """The same pictures once more, if they can still be made. Raises UsageError when they cannot."""
        from sfumato.app.jobs import parse_job

        with _explained():
            self._check([parse_job(job) for job in run.order["jobs"]])
        return NewRun("pictures", run.title, run.model, run.order)

    def _jobs(self, request: RunRequest) -> list[AnyJob]:
        from sfumato.app.jobs import parse_job

        given = {name: value for name, value in request.job.items() if value is not None}
        check_bounds(given)
        kind = given.get("kind")
        usual = defaults.model_for(defaults.prompts_of(given), str(kind))
        name = self.models.find(given.get("model", usual))
        dtype = given.pop("dtype", "auto")
        model = self.models.load(name, self.models.dtype(name) if dtype == "auto" else str(dtype))
        fields = self._filled({**given, "model": name}, str(kind), model)
        steps = defaults.own_steps(str(kind), from_picture="image" in fields)
        fields = defaults.completed(fields, model, steps=steps)
        variants = _variants(fields, str(kind), model)
        if len(variants) * request.count > MOST_JOBS:
            raise UsageError(f"{len(variants) * request.count} pictures are more than the {MOST_JOBS} of a run")
        seed = fields.get("seed", 0)
        seeds = [seed + k for k in range(request.count)] if isinstance(seed, int) else [seed]
        return [parse_job({**fields, **variant, "seed": each}) for variant in variants for each in seeds]

    def _filled(self, fields: dict[str, Any], kind: str, model: Model) -> dict[str, Any]:
        """With pictures for uploads, and what is peculiar to the kind."""
        from sfumato.app.batch_jobs import KINDS

        if kind not in KINDS:
            raise one_of("kind of job", kind, KINDS)
        out = {**fields, **self.fitting.pictures(fields, kind, model)}
        if "larger" in out:
            out["larger"] = self._later(out["larger"], model)
        match kind:
            case "hybrid" if "far" in out:
                out.setdefault("sigma", model.defaults.hybrid_sigma)
            case "hybrid":
                sigma = out.pop("sigma", None)
                if sigma is not None and not (isinstance(sigma, int | float) and sigma > 0):
                    raise UsageError("sigma: a number above 0, please")
                out["factors"] = defaults.factors(str(out.get("factors", "frequency")), model, sigma)
            case "panorama":
                width, height = defaults.panorama_size(model)
                out = {"width": width, "height": height, **out}
            case "upscale":
                level = defaults.small_level(model)
                out = {"noise_level": level, **out}
        if "mask" in out:
            out.setdefault("jump", defaults.JUMP)
        return out

    def _later(self, given: Any, model: Model) -> Any:
        """The later stages with everything said; what are no stages is left to the job to complain of."""
        from sfumato.app.job import Stage
        from sfumato.app.jobs import explain
        from sfumato.backends.registry import dtype_name

        if not isinstance(given, list):
            return given
        rows = [{"model": each} if isinstance(each, str) else each for each in given]
        named = [{**row, "model": self.models.find(row.get("model"))} if isinstance(row, dict) else row for row in rows]
        try:
            stages = [Stage.model_validate(row) for row in named]
        except ValidationError as error:
            raise UsageError(f"larger: {explain(error)}") from error
        return defaults.later_stages(stages, model, self.models.load, dtype_name(model.dtype))

    def _check(self, jobs: Sequence[AnyJob]) -> None:
        """Build the batches, which says all that can be wrong with a job before it runs."""
        from sfumato.app.jobs import Panorama
        from sfumato.app.run import make_batches

        for job in jobs:
            check_bounds({name: getattr(job, name, None) for name in ("factors", "sigma")})
            if isinstance(job, Panorama):
                check_crops(job.width, job.height, job.overlap, self.models.load(job.model, job.dtype).shape[1:])
        make_batches(jobs, self.models.load)


@contextmanager
def _explained() -> Iterator[None]:
    """What fails on odd numbers of a job is the job's fault, and said in one line."""
    try:
        yield
    except (ArithmeticError, ValueError, RuntimeError, MemoryError) as error:
        _log.warning("a job cannot be made", exc_info=True)
        raise UsageError(f"the job cannot be made: {' '.join(str(error).split())[:200]}") from error


def _variants(fields: dict[str, Any], kind: str, model: Model) -> list[dict[str, Any]]:
    """What the pictures of a request differ in besides their seeds; its words for that are taken out of the fields."""
    match kind:
        case "generate" if "prompts" in fields:
            _only_one(fields, "prompt", "prompts")
            return [{"prompt": prompt} for prompt in _list(fields, "prompts", (str, type(None)))]
        case "denoise" if "t" not in fields or "method" not in fields:
            _only_one(fields, "t", "times")
            times = [fields.pop("t")] if "t" in fields else defaults.noised_times(model)
            if "times" in fields:
                times = _list(fields, "times", (int, float))
            methods = [fields.pop("method")] if "method" in fields else defaults.denoise_methods(model)
            return [{"t": time, "method": method} for time in times for method in methods]
        case _ if "begins" in fields and kind in {"edit", "anagram", "hybrid"}:
            _only_one(fields, "begin", "begins")
            return [{"begin": begin} for begin in _list(fields, "begins", (int,))]
        case "edit" if "begin" not in fields:
            return [{"begin": begin} for begin in defaults.STARTS]
    return [{}]


def _only_one(fields: Mapping[str, Any], one: str, several: str) -> None:
    if one in fields and several in fields:
        raise UsageError(f"{one} and {several} say the same; give one of them")


def _list(fields: dict[str, Any], name: str, kinds: tuple[type, ...]) -> list[Any]:
    """A list of different values of these kinds, taken out of the fields. Raises UsageError for anything else."""
    values = fields.pop(name)
    if not isinstance(values, list) or not values or len(values) > MOST_COUNT:
        raise UsageError(f"{name}: a list of 1 to {MOST_COUNT}, please")
    if not all(isinstance(value, kinds) and not isinstance(value, bool) for value in values):
        raise UsageError(f"{name}: {'numbers' if str not in kinds else 'texts'} only, please")
    if len(set(values)) != len(values):
        raise UsageError(f"{name} names {'a number' if str not in kinds else 'a text'} twice")
    return values
