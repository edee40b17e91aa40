"""Commands on what is there: inspect, rerun, data."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sfumato.app.cli import common as c
from sfumato.app.cli.making import make_pictures
from sfumato.errors import SfumatoError, UsageError, one_of

if TYPE_CHECKING:
    from sfumato.training.datasets.sources import Source

FILE = Annotated[Path, typer.Argument(help="A PNG that sfumato made.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command()(inspect)
    app.command()(c.expand(rerun))
    group = typer.Typer(help="List the data sets that `train` knows by name, or download one.", no_args_is_help=True)
    group.command("list")(data)
    group.command()(pull)
    app.add_typer(group, name="data")


def inspect(
    file: Annotated[Path, typer.Argument(help="A picture that sfumato made, or AUTOMATIC1111, ComfyUI or InvokeAI.")],
    json: c.Json = False,
) -> None:
    """Say how a picture was made, by sfumato or by another program."""
    from sfumato.app.foreign import read_foreign
    from sfumato.app.provenance import read_provenance, without_pixels

    if (foreign := read_foreign(file)) is not None:
        rows = foreign.rows()
        if json:
            typer.echo(json_module.dumps({**rows, "text": dict(foreign.text)}, ensure_ascii=False))
            return
        for name, value in rows.items():
            typer.echo(f"{name:<10} {(value or 'not said').replace(chr(10), chr(10) + ' ' * 11)}")
        return
    facts = read_provenance(file)
    if json:
        typer.echo(json_module.dumps(facts, ensure_ascii=False))
        return
    job = without_pixels(facts["job"])
    typer.echo(json_module.dumps({**facts, "job": job}, indent=2, ensure_ascii=False))


def rerun(
    file: FILE,
    settings: Annotated[list[str] | None, typer.Option("--set", help="One thing of the job: seed=7.")] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Compare with the file, pixel by pixel.")] = False,
    *,
    options: c.Output,
) -> None:
    """Make a picture again from the job that it carries, with changes if you like."""
    from sfumato.app.foreign import refuse_foreign
    from sfumato.app.jobs import parse_job
    from sfumato.app.output import differences, rounding
    from sfumato.app.provenance import read_provenance
    from sfumato.app.run import run

    refuse_foreign(file)
    facts = read_provenance(file)
    if not isinstance(facts["job"], dict):
        raise UsageError(f"the job in {file} is damaged: it is no table")
    if verify:
        if settings:
            raise UsageError("--verify compares with the file as it is; leave --set out")
        (result,) = run([parse_job(facts["job"])], options.load)
        found = differences(facts, result, file)
        rounded = rounding(facts, result, file) if found else 0
        if options.json:
            typer.echo(json_module.dumps({"identical": not found, "rounding": rounded, "differences": found}))
        elif not found and not options.quiet:
            typer.echo(f"{file}: identical, pixel for pixel")
        elif rounded and not options.quiet:
            typer.echo(f"{file}: the same but for {rounded} values, one grey level apart: it was made beside others")
        if found and not rounded:
            raise SfumatoError(f"{file} does not come out the same: {'; '.join(found)}")
        return
    job = parse_job({**facts["job"], **_changes(settings, facts["job"])})
    make_pictures([job], options)


def data(json: c.Json = False) -> None:
    """List the data sets that `train` knows by name."""
    from sfumato.training.datasets.sources import SOURCES

    rows = [_row(source) for source in SOURCES.values()]
    rows.append({"name": "typeset", "summary": "70,000 digits drawn on this machine from several fonts; no download"})
    rows.append(
        {"name": "FOLDER", "summary": "pictures, a folder for each class, or with captions in a metadata.jsonl"}
    )
    _table(rows, json)


def _row(source: Source) -> dict[str, Any]:
    """What is said of a data set that can be downloaded."""
    from sfumato.training.datasets.stored import is_here

    (channels, size, _), here = source.shape, is_here(source)
    form = f"{size}×{size}, {'grey' if channels == 1 else 'colour'}, {len(source.classes)} classes"
    where = "on this machine" if here else f"{source.megabytes} MB, downloaded when first asked for"
    return {
        "name": source.name,
        "summary": "; ".join(part for part in (f"{source.summary}, {form}", source.terms, where) if part),
        "shape": source.shape,
        "pictures": dict(source.pictures),
        "classes": source.classes,
        "download_megabytes": source.megabytes,
        "here": here,
    }


def pull(
    name: Annotated[str, typer.Argument(help="A data set that `sfumato data list` lists with its megabytes.")],
    json: c.Json = False,
    quiet: c.Quiet = False,
) -> None:
    """Download a data set into the cache and compare its checksums."""
    from sfumato.training.datasets.downloads import cache_folder
    from sfumato.training.datasets.sources import SOURCES
    from sfumato.training.datasets.stored import pull as pull_files

    if name == "typeset":
        raise UsageError("typeset is drawn on this machine; there is nothing to download")
    if name not in SOURCES:
        raise one_of("data set", name, tuple(SOURCES))
    source = SOURCES[name]
    with c.download_line(silent=quiet or json) as show:
        fetched = pull_files(source, show)
    folder = cache_folder(source)
    if json:
        files = [path.name for path in fetched]
        typer.echo(json_module.dumps({"name": name, "folder": str(folder), "downloaded": files}, ensure_ascii=False))
    elif not quiet:
        kept = len(source.files) - len(fetched)
        typer.echo(f"{name}: {len(fetched)} downloaded, {kept} already there, all checked; in {folder}")


def _table(rows: list[dict[str, Any]], json: bool) -> None:
    if json:
        typer.echo(json_module.dumps(rows, ensure_ascii=False))
        return
    for row in rows:
        typer.echo(f"{row['name']:<16} {row['summary']}")


def _changes(settings: list[str] | None, job: dict[str, Any]) -> dict[str, Any]:
    from sfumato.training.recipe import parse_settings

    changes = parse_settings(settings or [])
    # A class is called "3", not 3: what was text stays text.
    return {k: str(v) if isinstance(job.get(k), str) and isinstance(v, int | float) else v for k, v in changes.items()}
