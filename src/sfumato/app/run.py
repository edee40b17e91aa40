"""Running jobs: those that share a model, a path and a sampler go through the loop as one batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from sfumato.app.jobs import AnyJob
from sfumato.backends.network import NetworkDenoiser
from sfumato.core.loop import Canvas, Step, steps
from sfumato.core.pixels import to_unit
from sfumato.core.samplers import Sampler
from sfumato.core.schedules import Path

ROW_LIMIT = 128
"""Rows of one forward. On a CPU more rows gain nothing and cost memory."""
Loader = Callable[[str, str], NetworkDenoiser]
"""A model by name and dtype."""


@dataclass(frozen=True, eq=False)
class Result:
    """A finished job: the picture, values in [0, 1], and the model that made it."""

    job: AnyJob
    model: NetworkDenoiser
    picture: Float[Tensor, "c h w"]


@dataclass(frozen=True, eq=False)
class Batch:
    """Jobs that run together."""

    jobs: tuple[AnyJob, ...]
    canvases: tuple[Canvas, ...]
    model: NetworkDenoiser
    path: Path
    sampler: Sampler

    def steps(self) -> Iterator[Step]:
        """Every step of the loop."""
        return steps(self.model, self.canvases, self.path, self.sampler, row_limit=ROW_LIMIT)

    def results(self, last: Step) -> list[Result]:
        """The finished pictures, from the last step."""
        finished = [job.finish(x) for job, x in zip(self.jobs, last.x, strict=True)]
        return [Result(job, self.model, to_unit(x, self.model)) for job, x in zip(self.jobs, finished, strict=True)]


def make_batches(jobs: Sequence[AnyJob], load: Loader) -> list[Batch]:
    """The jobs in as few batches as can be. Raises UsageError for a job that its model cannot do, before any runs."""
    models: dict[tuple[str, str], NetworkDenoiser] = {}
    groups: dict[tuple[str, str, Path, Sampler], list[tuple[AnyJob, Canvas]]] = {}
    for job in jobs:
        key = (job.model, job.dtype)
        if key not in models:
            models[key] = load(*key)
        model = models[key]
        group = (*key, job.path(model), job.make_sampler())
        groups.setdefault(group, []).append((job, job.canvas(model)))
    return [
        Batch(tuple(job for job, _ in members), tuple(c for _, c in members), models[name, dtype], path, sampler)
        for (name, dtype, path, sampler), members in groups.items()
    ]


def run(jobs: Sequence[AnyJob], load: Loader, on_step: Callable[[Batch, Step], None] | None = None) -> list[Result]:
    """Run jobs to their ends; results in the order of the jobs. `on_step` sees every step of every batch."""
    done: dict[int, Result] = {}
    for batch in make_batches(jobs, load):
        last: Step | None = None
        for last in batch.steps():
            if on_step is not None:
                on_step(batch, last)
        assert last is not None
        done.update({id(result.job): result for result in batch.results(last)})
    return [done[id(job)] for job in jobs]


def unknown_words(batches: Sequence[Batch]) -> list[str]:
    """One line for each model that does not know some words of its prompts."""
    seen: dict[str, dict[str, None]] = {}
    for batch in batches:
        queries = [query for canvas in batch.canvases for query in canvas.estimate.queries()]
        words = (word for query in queries for word in batch.model.check(query.condition))
        seen.setdefault(batch.model.name, {}).update(dict.fromkeys(words))
    return [
        f"model {name} has never seen {', '.join(map(repr, words))}: it leaves that out"
        for name, words in seen.items()
        if words
    ]


def total_steps(batches: Sequence[Batch]) -> int:
    """Steps of all batches, for a progress bar."""
    return sum(len(batch.path) - 1 for batch in batches)
