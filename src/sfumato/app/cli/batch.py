"""The command that makes many pictures: batch."""

from __future__ import annotations

import json as json_module
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sfumato.app.cli import common as c
from sfumato.app.defaults import model_for, own_steps, prompts_of
from sfumato.errors import SfumatoError, Stopped, UsageError, one_of

if TYPE_CHECKING:
    from sfumato.app.batch import Asked, Summary
    from sfumato.app.batch_jobs import Line, Shard
    from sfumato.app.job import Loader
    from sfumato.app.jobs import AnyJob

EXECUTORS = ("local", "slurm")


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command()(c.expand(batch))


def batch(
    jobs: Annotated[Path, typer.Argument(help="Jobs, one a line: .jsonl, .csv, or .txt with a prompt in each.")],
    seeds: Annotated[
        str | None, typer.Option("--seeds", help="Make each job with each of these: 0-99, or 3,5,8-12.")
    ] = None,
    shard: Annotated[
        str | None, typer.Option("--shard", help="Make one part of several, such as 3/8; other processes the others.")
    ] = None,
    executor: Annotated[str, typer.Option("--executor", help="Where it runs: local (here) or slurm.")] = "local",
    shards: Annotated[int | None, typer.Option("--shards", min=1, help="Of slurm: in how many tasks.")] = None,
    slurm: Annotated[
        list[str] | None, typer.Option("--slurm", help="KEY=VALUE for Slurm, such as partition=gpu; again for more.")
    ] = None,
    *,
    options: c.Sampling,
) -> None:
    """Make the pictures of a list of jobs; the same command again goes on where it stopped.

    The options are what the lines do not say.
    """
    from sfumato.app.batch_jobs import parse_shard

    c.check_folder(options.out)
    work = _Work(jobs, _seeds(seeds, options), options)
    part = parse_shard(shard) if shard else None
    if executor == "slurm":
        if part is not None or shards is None:
            raise UsageError("--executor slurm makes all shards; say how many with --shards 8, and leave --shard out")
        work.total()  # a wrong line is told here, not in a log tomorrow
        _submit(work, shards, slurm or [])
    elif executor != "local":
        raise one_of("executor", executor, EXECUTORS)
    elif slurm or shards:
        raise UsageError("--slurm and --shards are for --executor slurm; one shard is made by --shard 1/8")
    else:
        _run(work, part)


@dataclass(frozen=True)
class _Work:
    """All that a batch is asked for. A task on a cluster is given it."""

    file: Path
    seeds: tuple[range, ...]
    """Of every job; none where the lines say."""
    options: c.Sampling

    def total(self) -> int:
        """How many jobs there are. Raises UsageError for the first line that is wrong, and when there is none."""
        lines = sum(1 for _ in self._jobs())
        if not lines:
            raise UsageError(f"{self.file} asks for nothing: it has no line with a job")
        return lines * (sum(map(len, self.seeds)) or 1)

    def asked(self) -> Iterator[Asked]:
        """Every job with every seed."""
        from sfumato.app.batch import Asked

        for line, job in self._jobs():
            for seed in chain(*self.seeds) if self.seeds else (job.seed,):
                yield Asked(line, job.model_copy(update={"seed": seed}))

    def _jobs(self) -> Iterator[tuple[int, AnyJob]]:
        from sfumato.app.batch_jobs import at, read_lines

        known: dict[tuple[str, str], c.Sampling] = {}
        for line in read_lines(self.file):
            with at(f"{self.file}:{line.number}"):
                if self.seeds and "seed" in line.fields:
                    raise UsageError("seed: the command says which seeds as well; leave it out here or there")
                job = self._job(line, known)
            yield line.number, job

    def _job(self, line: Line, known: dict[tuple[str, str], c.Sampling]) -> AnyJob:
        """The job of a line, with what the command line says, and then the model, where the line does not."""
        from sfumato.app.batch_jobs import KINDS, at, with_pictures

        given = dict(line.fields)
        kind = given.pop("kind", None)
        if kind not in KINDS:
            raise UsageError(
                f"kind: {'none is given' if kind is None else repr(kind)}; choose one of {', '.join(KINDS)}"
            )
        model, dtype = (given.pop(name, getattr(self.options, name)) for name in ("model", "dtype"))
        model = model_for(prompts_of(given), kind) if model is None else model
        for name, value in {"model": model, "dtype": dtype}.items():
            if not isinstance(value, str):
                raise UsageError(f"{name}: a name, please, not {value!r}")
        options = known.setdefault((model, dtype), _changed(self.options, model=model, dtype=dtype))
        with at("model"):
            loaded = options.loaded
        if kind == "hybrid" and "far" in given:
            given.setdefault("sigma", loaded.defaults.hybrid_sigma)
        elif kind == "hybrid":
            given.setdefault("factors", f"frequency:{loaded.defaults.hybrid_sigma!r}")
        if kind == "upscale" and loaded.low_res is not None:  # its own level is the first, as for the command
            first, *others = options.noise_level or [loaded.low_res.t]
            given.setdefault("noise_level", first)
            options = _changed(options, noise_level=others)
        given = with_pictures(given, kind, self.file.parent, loaded)
        steps = own_steps(kind, from_picture=given.get("image") is not None)
        (job,) = options.jobs(kind, [given], steps, seeds=1)
        with at("larger"):
            later = zip(job.larger, job.models(options.load)[1:], strict=True) if job.larger else ()
            return job.model_copy(update={"larger": tuple(stage.resolved(model) for stage, model in later)})


def _changed(options: c.Sampling, **changes: Any) -> c.Sampling:
    """The options with changes, and with the models that are loaded already."""
    changed = replace(options, **changes)
    vars(changed)["load"] = options.load
    return changed


def _seeds(text: str | None, options: c.Sampling) -> tuple[range, ...]:
    """The seeds that the command line names."""
    from sfumato.app.batch_jobs import parse_seeds

    counted = options.seed > 0 or options.count > 1
    if text is None:
        return parse_seeds(f"{options.seed}-{options.seed + options.count - 1}") if counted else ()
    if counted:
        raise UsageError("--seeds says which seeds, and so do --seed and --count; give one or the other")
    return parse_seeds(text)


def _run(work: _Work, shard: Shard | None) -> None:
    """Make a shard here, and say what came of it. Raises SfumatoError when some jobs could not be made."""
    from sfumato.app.batch import make

    options = work.options
    notes: dict[str, None] = {}

    def tell(note: str) -> None:
        if note not in notes and len(notes) < 100:
            notes[note] = None
            if not options.quiet:
                typer.echo(f"note: {note}", err=True)

    def new_loader() -> Loader:
        return replace(options).load  # which has loaded nothing yet

    try:
        with c.progress("jobs", work.total(), silent=options.quiet or options.json) as advance:
            done = make(work.asked(), options.out, new_loader, shard, tell=tell, advance=advance)
    except KeyboardInterrupt as stop:
        raise Stopped("stopped; what is made is whole, and the same command makes the rest") from stop
    _say(done, work, shard, list(notes))
    if done.failed:
        raise SfumatoError(f"{done.failed} of {done.jobs} jobs could not be made; the others are in {options.out}")


def _say(done: Summary, work: _Work, shard: Shard | None, notes: Sequence[str]) -> None:
    from sfumato.app.batch_index import INDEX

    options, errors = work.options, done.errors
    if options.json:
        facts: dict[str, Any] = {"folder": str(options.out), "index": str(options.out / INDEX)}
        facts |= {"shard": shard and str(shard), "jobs": done.jobs, "made": done.made, "there": done.there}
        facts |= {"repeated": done.repeated, "failed": done.failed, "notes": list(notes)}
        facts["errors"] = [{"line": line, "error": error} for line, error in errors.items()]
        typer.echo(json_module.dumps(facts, ensure_ascii=False))
        return
    for line, error in errors.items():
        typer.echo(f"{work.file}:{line}: {error}", err=True)
    if not options.quiet:
        parts = [f"{done.made} made", f"{done.there} there already"]
        parts += [f"{done.repeated} asked for twice"] if done.repeated else []
        whose = f"shard {shard}: " if shard else ""
        typer.echo(f"{whose}{', '.join(parts)}; {options.out / INDEX} says which job is in which file")


def _submit(work: _Work, shards: int, settings: Sequence[str]) -> None:
    from sfumato.app.batch_index import HOME
    from sfumato.app.batch_jobs import Shard
    from sfumato.app.executor import submit
    from sfumato.training.recipe import parse_settings

    told = work.options
    options = replace(told, out=told.out.absolute(), embeddings=told.embeddings and told.embeddings.absolute())
    task = partial(_run, replace(work, file=work.file.absolute(), options=options))
    logs = options.out / HOME / "slurm"
    parts = [Shard(index, shards) for index in range(1, shards + 1)]
    submitted = submit(task, parts, logs, parse_settings(settings))
    names = [str(job.job_id) for job in submitted]
    if told.json:
        typer.echo(json_module.dumps({"folder": str(told.out), "tasks": names, "logs": str(logs)}))
    elif not told.quiet:
        typer.echo(f"{shards} tasks are queued, {names[0]} to {names[-1]}; what they say is in {logs}")
