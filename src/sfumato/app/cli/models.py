"""Commands on models and on the machine they run on: models list, info, pull; doctor."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sfumato.app.cli import common as c
from sfumato.errors import SfumatoError, Stopped, UsageError

if TYPE_CHECKING:
    from sfumato.backends.hub import HubModel

NAME = "A name that `sfumato models list` knows, a run directory, a .safetensors file, or hf:OWNER/REPO."


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    group = typer.Typer(help="List models, say what is known of one, or download one.", no_args_is_help=True)
    group.command("list")(list_models)
    group.command()(info)
    group.command()(pull)
    app.add_typer(group, name="models")
    app.command()(doctor)


def list_models(json: c.Json = False) -> None:
    """List the models that come with sfumato, and those that it knows how to download."""
    from sfumato.backends.hub import hub_models, is_here
    from sfumato.backends.registry import bundled_models

    rows: list[dict[str, Any]] = [
        {"name": m.name, "summary": m.summary, "megabytes": _megabytes(m.path), "here": True}
        for m in bundled_models().values()
    ]
    rows += [
        {
            "name": m.name,
            "summary": m.summary,
            "repository": m.repo,
            "gigabytes": round(m.gigabytes() or 0, 1),
            "gated": m.gated,
            "here": is_here(m),
        }
        for m in hub_models().values()
    ]
    if json:
        typer.echo(json_module.dumps(rows, ensure_ascii=False))
        return
    for row in rows:
        said = [row["summary"], f"{row['megabytes']} MB" if "megabytes" in row else f"{row['gigabytes']} GB"]
        if "repository" in row:
            said += ["a licence to accept"] if row["gated"] else []
            said += ["on this machine" if row["here"] else "not on this machine"]
        typer.echo(f"{row['name']:<16} {', '.join(said)}")


def info(
    name: Annotated[str, typer.Argument(help=NAME)],
    online: Annotated[bool, typer.Option("--online", help="Ask the Hugging Face hub as well.")] = False,
    json: c.Json = False,
) -> None:
    """Say what is known of a model: licence, size, needs, defaults, where it is."""
    from sfumato.backends.hub import reference

    model = reference(name)
    if online and model is None:
        raise UsageError(f"{name} is not on the Hugging Face hub; leave --online out")
    facts = _facts_of_file(name) if model is None else _facts_of_hub(model)
    if model is not None and online:
        from sfumato.backends.hub_pull import listing

        told = listing(model)
        facts |= {"licence": model.licence or told.licence, "gated": told.gated, "newest_revision": told.commit}
        facts |= {"download_gigabytes": _giga(sum(told.files.values())), "files": len(told.files)}
    facts = {key: value for key, value in facts.items() if value is not None}
    if json:
        typer.echo(json_module.dumps(facts, ensure_ascii=False))
        return
    for key, value in facts.items():
        typer.echo(f"{key.replace('_', ' '):<24} {_words(value)}")


def pull(
    name: Annotated[str, typer.Argument(help="A name that `sfumato models list` shows with its GB, or hf:OWNER/REPO.")],
    dtype: Annotated[str, typer.Option("--dtype", help="Of the files: float16 or float32.")] = "float16",
    no_text: Annotated[bool, typer.Option("--no-text", help="Leave its text encoder out.")] = False,
    json: c.Json = False,
    quiet: c.Quiet = False,
) -> None:
    """Download a model from the Hugging Face hub; one that was stopped goes on where it was."""
    from sfumato.backends.hub_pull import pull as pull_files

    model = _to_pull(name)
    fetched: list[str] = []
    try:
        with c.download_line(silent=quiet or json) as show:

            def note(file: str, done: int, total: int) -> None:
                if file not in fetched:
                    fetched.append(file)
                show(file, done, total)

            folder = pull_files(model, dtype=dtype, text=not no_text, show=note)
    except KeyboardInterrupt as stop:
        raise Stopped(f"stopped; files that are whole stay, and this goes on: sfumato models pull {name}") from stop
    notes = [] if no_text else _notes(model)
    if json:
        typer.echo(
            json_module.dumps(
                {"name": name, "folder": str(folder), "downloaded": fetched, "notes": notes}, ensure_ascii=False
            )
        )
    elif not quiet:
        kind = "all of it was there already" if not fetched else f"{len(fetched)} files downloaded and checked"
        typer.echo(f"{name}: {kind}; in {folder}")
        for line in notes:
            typer.echo(f"note: {line}", err=True)


def doctor(json: c.Json = False) -> None:
    """Check this machine: Python, torch and its devices, optional packages, the Hugging Face hub, the models."""
    from dataclasses import asdict

    from sfumato.app.doctor import examine
    from sfumato.app.machine import look

    checks = examine(look())
    problems = [check.name for check in checks if check.status == "problem"]
    if json:
        rows = [asdict(check) for check in checks]
        typer.echo(json_module.dumps({"problems": len(problems), "checks": rows}, ensure_ascii=False))
    else:
        for check in checks:
            advice = f"; {check.advice}" if check.advice else ""
            typer.echo(f"{check.status:<8} {check.name:<13} {check.found}{advice}")
    if problems:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise SfumatoError(f"{count}: {', '.join(problems)}")


def _to_pull(name: str) -> HubModel:
    """The model of the hub that a name stands for. Raises UsageError when there is nothing to download."""
    from sfumato.backends.hub import hub_models, reference
    from sfumato.backends.registry import bundled_models

    if name in bundled_models():
        raise UsageError(f"{name} comes with sfumato; there is nothing to download")
    model = reference(name)
    if model is not None:
        return model
    if name and Path(name).exists():
        raise UsageError(f"{name} is on this machine; there is nothing to download")
    raise UsageError(f"unknown model {name!r}; choose one of {', '.join(hub_models())}, or hf:OWNER/REPO")


def _notes(model: HubModel) -> list[str]:
    """What else is needed to use a model that has been downloaded."""
    from sfumato.backends.hub import text_snapshot

    if model.text is None:
        return []
    try:
        text_snapshot(model)
    except SfumatoError as error:
        return [str(error)]
    return []


def _facts_of_hub(model: HubModel) -> dict[str, Any]:
    from sfumato.backends.hub import find, how_to_get
    from sfumato.backends.shards import DTYPES, missing, variants

    folder = find(model)
    lacking = ["the model"] if folder is None else missing(folder)
    facts = {
        "name": model.name,
        "summary": model.summary,
        "page": model.url,
        "licence": model.licence,
        "licence_url": model.licence_url,
        "gated": model.gated,
        "parameters": model.parameters,
        "text_encoder": model.encoder and model.encoder + (f", that of {model.text}" if model.text else ""),
        "needs": model.needs,
        "steps": model.steps,
        "guidance": model.guidance,
        "larger": model.larger,
        "download_gigabytes": (size := model.gigabytes()) and round(size, 2),
        "here": not lacking,
        "get": how_to_get(model) if lacking else None,
    }
    if folder is None:
        return facts
    names = {name: dtype for dtype, name in DTYPES.items()}
    return facts | {
        "missing": lacking or None,
        "folder": str(folder),
        "revision": folder.name,
        "gigabytes_on_disk": _giga(sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())),
        "unet": [names.get(which, which) for which in variants(folder / "unet")] or None,
        "text_encoder_here": bool(variants(folder / "text_encoder")),
    }


def _facts_of_file(name: str) -> dict[str, Any]:
    from sfumato.backends.hub import hub_models
    from sfumato.backends.network import NetworkDenoiser
    from sfumato.backends.registry import bundled_models, load

    bundled = bundled_models().get(name)
    path = bundled.path if bundled else Path(name)
    if not path.exists() and path.suffix != ".safetensors":
        known = ", ".join([*bundled_models(), *hub_models()])
        raise UsageError(
            f"unknown model {name!r}; choose one of {known}, a run directory, a .safetensors file, or hf:OWNER/REPO"
        )
    model = load(name)
    recipe = (model.facts or {}).get("recipe", {})
    return {
        "name": name,
        "summary": bundled.summary if bundled else recipe.get("summary"),
        "licence": "Apache-2.0" if bundled else None,
        "parameters": (
            sum(p.numel() for p in model.network.parameters()) if isinstance(model, NetworkDenoiser) else None
        ),
        "shape": model.shape,
        "classes": model.classes or None,
        "recipe": recipe.get("name"),
        "data": recipe.get("data"),
        "steps": model.defaults.steps,
        "guidance": model.defaults.guidance,
        "illusion guidance": model.defaults.illusion_guidance,
        "larger": model.defaults.larger,
        "folder" if path.is_dir() else "file": str(path),
        "megabytes": _megabytes(path),
        "sha256": model.sha256,
    }


def _megabytes(path: Path) -> float:
    """Of a file with all its shards, or of all files in a folder."""
    from sfumato.models.weights import shard_files

    files = path.rglob("*") if path.is_dir() else shard_files(path)
    return round(sum(file.stat().st_size for file in files if file.is_file()) / 1e6, 1)


def _giga(size: int) -> float:
    return round(size / 1e9, 2)


def _words(value: Any) -> str:
    """A fact for a person."""
    from sfumato.core.ramps import spell_weight

    match value:
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:g}"
        case (float(), float()):  # guidance that changes on the way
            return spell_weight(value)
        case list() | tuple():
            return ", ".join(map(str, value))
        case _:
            return str(value)
