"""Commands on what is there: inspect, rerun, models, data."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated, Any

import typer

from sfumato.app.cli import common as c
from sfumato.errors import SfumatoError, UsageError

FILE = Annotated[Path, typer.Argument(help="A PNG that sfumato made.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command()(inspect)
    app.command()(c.expand(rerun))
    for name, listing in (("models", models), ("data", data)):
        group = typer.Typer(help=listing.__doc__, no_args_is_help=True)
        group.callback()(lambda: None)
        group.command("list")(listing)
        app.add_typer(group, name=name)


def inspect(file: FILE, json: c.Json = False) -> None:
    """Say how a picture was made."""
    from sfumato.app.output import read_provenance

    facts = read_provenance(file)
    if json:
        typer.echo(json_module.dumps(facts, ensure_ascii=False))
        return
    job = _without_pixels(facts["job"])
    typer.echo(json_module.dumps({**facts, "job": job}, indent=2, ensure_ascii=False))


def rerun(
    file: FILE,
    settings: Annotated[list[str] | None, typer.Option("--set", help="One thing of the job: seed=7.")] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Compare with the file, pixel by pixel.")] = False,
    *,
    options: c.Output,
) -> None:
    """Make a picture again from the job that it carries, with changes if you like."""
    from sfumato.app.jobs import parse_job
    from sfumato.app.output import differences, read_provenance
    from sfumato.app.run import run

    facts = read_provenance(file)
    if not isinstance(facts["job"], dict):
        raise UsageError(f"the job in {file} is damaged: it is no table")
    if verify:
        if settings:
            raise UsageError("--verify compares with the file as it is; leave --set out")
        (result,) = run([parse_job(facts["job"])], options.load)
        found = differences(facts, result, file)
        if options.json:
            typer.echo(json_module.dumps({"identical": not found, "differences": found}))
        elif not found and not options.quiet:
            typer.echo(f"{file}: identical, pixel for pixel")
        if found:
            raise SfumatoError(f"{file} does not come out the same: {'; '.join(found)}")
        return
    job = parse_job({**facts["job"], **_changes(settings, facts["job"])})
    c.make_pictures([job], options)


def models(json: c.Json = False) -> None:
    """List the models that come with sfumato."""
    from sfumato.backends.registry import bundled_models

    rows = [{"name": m.name, "summary": m.summary, "megabytes": _megabytes(m.path)} for m in bundled_models().values()]
    _table(rows, json)


def data(json: c.Json = False) -> None:
    """List the data sets that `train` knows by name."""
    rows = [
        {"name": "mnist", "summary": "60,000 written digits, 28×28; four idx files, downloaded when first trained on"},
        {"name": "typeset", "summary": "60,000 digits drawn on this machine from several fonts; no download"},
        {"name": "FOLDER", "summary": "pictures, or one folder of pictures for each class"},
    ]
    _table(rows, json)


def _table(rows: list[dict[str, Any]], json: bool) -> None:
    if json:
        typer.echo(json_module.dumps(rows, ensure_ascii=False))
        return
    for row in rows:
        typer.echo(f"{row['name']:<16} {row['summary']}" + (f", {row['megabytes']} MB" if "megabytes" in row else ""))


def _megabytes(path: Path) -> float:
    return round(path.stat().st_size / 1e6, 1)


def _without_pixels(job: Any) -> Any:
    """The job with its pictures named, not spelled out."""
    if not isinstance(job, dict):
        return job
    pictures = {key for key, value in job.items() if isinstance(value, dict) and "png" in value}
    return {key: value["name"] if key in pictures else value for key, value in job.items()}


def _changes(settings: list[str] | None, job: dict[str, Any]) -> dict[str, Any]:
    from sfumato.training.recipe import parse_settings

    changes = parse_settings(settings or [])
    # A class is called "3", not 3: what was text stays text.
    return {k: str(v) if isinstance(job.get(k), str) and isinstance(v, int | float) else v for k, v in changes.items()}
