"""Running jobs: those that share a model, a path and a sampler go through the loop as one batch, stage after stage."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from sfumato.app.job import Job, Loader, Stage
from sfumato.app.jobs import AnyJob
from sfumato.backends.model import Model
from sfumato.core.cascade import LowResolution
from sfumato.core.estimates import Condition
from sfumato.core.loop import Canvas, Step, steps
from sfumato.core.samplers import Sampler
from sfumato.core.schedules import Path


@dataclass(frozen=True, eq=False)
class Result:
    """A finished job: the picture, values in [0, 1], and the models that made it, the first stage's first."""

    job: AnyJob
    models: tuple[Model, ...]
    picture: Float[Tensor, "c h w"]

    @property
    def model(self) -> Model:
        """The model of the first stage."""
        return self.models[0]


@dataclass(frozen=True, eq=False)
class Task:
    """One stage of a job."""

    job: AnyJob
    stage: Job
    """The job as this stage does it."""
    models: tuple[Model, ...]
    """Those of the stages so far; the last one is this stage's."""
    canvas: Canvas


@dataclass(frozen=True, eq=False)
class Batch:
    """Tasks that run together."""

    tasks: tuple[Task, ...]
    path: Path
    sampler: Sampler

    @property
    def model(self) -> Model:
        """The model of all of them."""
        return self.tasks[0].models[-1]

    @property
    def total(self) -> int:
        """How many steps it takes: the path is walked from the noisiest start of its tasks."""
        starts = [task.canvas.start for task in self.tasks]
        return len(self.path) - 1 - min(0 if start is None else self.path.index(start.level) for start in starts)

    def steps(self) -> Iterator[Step]:
        """Every step of the loop."""
        return steps(
            self.model, [task.canvas for task in self.tasks], self.path, self.sampler, row_limit=self.model.row_limit()
        )

    def results(self, last: Step) -> list[Result]:
        """The finished pictures, from the last step."""
        finished = zip(self.tasks, last.x, strict=True)
        return [Result(t.job, t.models, self.model.pictures(t.stage.finish(x)[None])[0]) for t, x in finished]


def make_batches(jobs: Sequence[AnyJob], load: Loader) -> list[Batch]:
    """The first stages of jobs in as few batches as can be.

    Raises UsageError for a job that its models cannot do, before any runs.
    """
    models = [job.models(load) for job in jobs]
    return _grouped(Task(job, job, (own[0],), job.canvas(own[0])) for job, own in zip(jobs, models, strict=True))


def batches_above(results: Sequence[Result], load: Loader) -> list[Batch]:
    """The next stages of those jobs that have one."""
    tasks = []
    for result in results:
        models = result.job.models(load)
        if len(result.models) < len(models):
            index = len(result.models)
            stage, model = result.job.stage(index, models), models[index]
            tasks.append(Task(result.job, stage, models[: index + 1], stage.canvas_above(model, result.picture)))
    return _grouped(tasks)


def run(jobs: Sequence[AnyJob], load: Loader, on_step: Callable[[Batch, Step], None] | None = None) -> list[Result]:
    """Run jobs to their ends; results in the order of the jobs. `on_step` sees every step of every batch."""
    done = {id(result.job): result for result in finished(jobs, load, on_step)}
    return [done[id(job)] for job in jobs]


def finished(
    jobs: Sequence[AnyJob], load: Loader, on_step: Callable[[Batch, Step], None] | None = None
) -> Iterator[Result]:
    """The results of jobs, each as soon as it is there."""
    batches = make_batches(jobs, load)
    prepare(jobs, load)
    while batches:
        results = []
        for batch in batches:
            last: Step | None = None
            for last in batch.steps():
                if on_step is not None:
                    on_step(batch, last)
            assert last is not None
            ended = batch.results(last)
            yield from (result for result in ended if len(result.models) == 1 + len(result.job.larger))
            results += ended
        for model in dict.fromkeys(batch.model for batch in batches):
            model.rest()
        batches = batches_above(results, load)


def notes(batches: Sequence[Batch], load: Loader) -> list[str]:
    """What a user should know: how large models run here, and the words of prompts that a model does not know."""
    chains = {(task.job.model, task.job.larger, task.job.dtype): task.job for batch in batches for task in batch.tasks}
    told = [note for job in chains.values() for model in job.models(load) for note in model.notes]
    told += [note for batch in batches for note in _cost(batch)]
    return [*dict.fromkeys(told), *unknown_words(batches)]


def _cost(batch: Batch) -> list[str]:
    """What RePaint's way up and down again adds."""
    job = batch.tasks[0].job
    walked, plain = len(batch.path) - 1, len(job.loop.path(batch.model.schedule, job.steps)) - 1
    if walked <= plain or getattr(job, "resample", 1) == 1:
        return []
    return [f"resampling walks {walked} steps instead of {plain}, {walked / plain:.1f} times as long"]


def unknown_words(batches: Sequence[Batch]) -> list[str]:
    """One line for each model that does not know some words of its prompts."""
    seen: dict[str, dict[str, None]] = {}
    for batch in batches:
        queries = [query for task in batch.tasks for query in task.canvas.estimate.queries()]
        words = (word for query in queries for word in batch.model.check(query.condition))
        seen.setdefault(batch.model.name, {}).update(dict.fromkeys(words))
    return [
        f"model {name} has never seen {', '.join(map(repr, words))}: it leaves that out"
        for name, words in seen.items()
        if words
    ]


def total_steps(batches: Sequence[Batch], load: Loader) -> int:
    """Steps of all stages of the jobs of these first batches, for a progress bar."""
    later: set[tuple[int, tuple[Stage, ...], int]] = set()
    for k, batch in enumerate(batches):
        for job in {task.job.larger: task.job for task in batch.tasks}.values():
            models = job.models(load)
            for index in range(1, len(models)):
                stage = job.stage(index, models)
                later.add((k, job.larger[:index], len(stage.loop.path(models[index].schedule, stage.steps)) - 1))
    # Jobs that share a batch now and their later models share the later ones.
    return sum(batch.total for batch in batches) + sum(steps for *_, steps in later)


def prepare(jobs: Sequence[AnyJob], load: Loader) -> None:
    """Tell the models of all stages all that they will be asked for, so that none is refused when others have run."""
    asked: dict[tuple[str, str], tuple[Model, dict[Condition, None]]] = {}
    for job in jobs:
        models = job.models(load)
        stages = [job, *(job.stage(index, models) for index in range(1, len(models)))]
        for stage, model in zip(stages, models, strict=True):
            _, conditions = asked.setdefault((stage.model, stage.dtype), (model, {}))
            conditions.update((query.condition, None) for query in stage.tree().queries())
    for model, conditions in asked.values():
        for condition in conditions:
            model.check(condition)
        model.prepare(conditions)


def _grouped(tasks: Iterator[Task] | Sequence[Task]) -> list[Batch]:
    groups: dict[tuple[str, str, LowResolution | None, Path, Sampler], list[Task]] = {}
    for task in tasks:
        stage, model = task.stage, task.models[-1]
        key = (stage.model, stage.dtype, model.low_res, stage.path(model), stage.loop.solver())
        groups.setdefault(key, []).append(task)
    return [Batch(tuple(members), path, sampler) for (*_, path, sampler), members in groups.items()]
