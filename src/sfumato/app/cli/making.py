"""From jobs to files: pictures made, the best of many sought, written, and told."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sfumato.app.cli.common import Output, Sampling, check_folder, progress
from sfumato.errors import UsageError

if TYPE_CHECKING:
    from sfumato.app.jobs import AnyJob
    from sfumato.app.run import Result
    from sfumato.app.search import Search


Also = Callable[[Sequence["Result"]], tuple[list[str], dict[str, Any]]]
"""What else is to be said of some results: lines to a person, facts as JSON."""


@dataclass(frozen=True)
class Searching(Sampling):
    """Options of commands whose pictures can be sought among many seeds."""

    best_of: Annotated[
        int | None,
        typer.Option("--best-of", min=1, help="Try so many seeds and keep the -n best, by their weakest reading."),
    ] = None
    enough: Annotated[
        float | None, typer.Option("--enough", help="Stop a search when no reading kept is less probable than this.")
    ] = None
    judge: Annotated[
        str, typer.Option("--judge", help="Who reads: auto, digits, emoji, a file of one, clip:FOLDER or clip:hf:REPO.")
    ] = "auto"


def make(
    kind: str,
    variants: Sequence[dict[str, Any]],
    options: Searching,
    steps: int | None = None,
    columns: int | None = None,
    also: Also | None = None,
) -> None:
    """Make each variant with each seed, or with the best of many; `also` has something to say of what came out."""
    if options.best_of is None:
        if options.enough is not None:
            raise UsageError("--enough says when a search may stop; give --best-of as well")
        make_pictures(options.jobs(kind, variants, steps), options, columns, also)
        return
    check_folder(options.out)
    found = _search(options.jobs(kind, variants, steps, seeds=1), options)
    results = [candidate.result for search in found for candidate in search.kept]
    said, facts = also(results) if also else ([], {})
    facts = {"searches": [search.to_dict() for search in found], **facts}
    _write(results, options, columns, [*map(str, found), *said], facts)


def make_pictures(
    jobs: Sequence[AnyJob], options: Output, columns: int | None = None, also: Also | None = None
) -> list[Result]:
    """Run jobs, write one PNG for each and a sheet when there are several, and say where they are."""
    from sfumato.app.run import make_batches, run, total_steps

    check_folder(options.out)
    batches = make_batches(jobs, options.load)
    notes = _tell(jobs, options)
    with progress("sampling", total_steps(batches, options.load), silent=options.quiet or options.json) as advance:
        results = run(jobs, options.load, lambda _, step: advance() if step.index else None)
    said, facts = also(results) if also else ([], {})
    _write(results, options, columns, said, {"notes": notes, **facts})
    return results


def _search(jobs: Sequence[AnyJob], options: Searching) -> list[Search]:
    from sfumato.app.run import make_batches, total_steps
    from sfumato.app.search import best_of
    from sfumato.evaluation.judges import judge_of

    assert options.best_of is not None
    _tell(jobs, options)
    shape = jobs[0].models(options.load)[-1].picture_shape
    # All that can be wrong with the judge, before an hour of sampling.
    for job in jobs:
        judge_of(options.judge, shape, [look.prompt for look in job.looks()])
    total = options.best_of * sum(total_steps(make_batches([job], options.load), options.load) for job in jobs)
    with progress("searching", total, silent=options.quiet or options.json) as advance:

        def step(batch: Any, at: Any) -> None:
            for _ in batch.tasks if at.index else ():
                advance()

        return [
            best_of(
                job,
                options.best_of,
                options.load,
                lambda prompts: judge_of(options.judge, shape, prompts),
                keep=options.count,
                enough=options.enough,
                on_step=step,
            )
            for job in jobs
        ]


def _tell(jobs: Sequence[AnyJob], options: Output) -> list[str]:
    """Say on standard error what a user should know before it begins."""
    from sfumato.app.run import make_batches, notes

    told = notes(make_batches(jobs, options.load), options.load)
    for note in told if not options.quiet else ():
        typer.echo(f"note: {note}", err=True)
    return told


def _write(
    results: Sequence[Result],
    options: Output,
    columns: int | None,
    lines: Sequence[str],
    facts: dict[str, Any],
) -> None:
    """Write pictures and their sheet, and say where they are; then `lines` to a person, or `facts` as JSON."""
    import torch

    from sfumato.app.output import file_name, save_image, save_result, sheet

    paths = [save_result(result, options.out) for result in results]
    overview = None
    if len(results) > 1:
        digest = file_name(results[0]).rsplit("-", 1)[-1]
        overview = options.out / f"sheet-{results[0].job.kind}-{len(results)}-{digest}"
        save_image(sheet(torch.stack([result.picture for result in results]), columns), overview)
    if options.json:
        rows = [{"file": str(p), "job": r.job.model_dump(mode="json")} for p, r in zip(paths, results, strict=True)]
        typer.echo(json.dumps({"pictures": rows, "sheet": overview and str(overview), **facts}, ensure_ascii=False))
    elif not options.quiet:
        _say(results, paths, overview)
        for line in lines:
            typer.echo(line)


def _say(results: Sequence[Result], paths: Sequence[Path], overview: Path | None) -> None:
    import torch

    from sfumato.app.output import terminal_preview

    if sys.stdout.isatty():
        width = shutil.get_terminal_size().columns
        typer.echo(terminal_preview(torch.stack([result.picture for result in results]), width))
    shown = paths if len(paths) <= 12 else paths[:1]
    for path in shown:
        typer.echo(path)
    if len(shown) < len(paths):
        typer.echo(f"… and {len(paths) - 1} more beside it")
    if overview:
        typer.echo(f"all of them: {overview}")
