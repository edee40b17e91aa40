"""The command that hands a model to other programs: export."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated

import typer

from sfumato.app.cli import common as c


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command()(export)


def export(
    model: Annotated[str, typer.Argument(help="A bundled model, a run directory, or a .safetensors file.")],
    to: Annotated[str, typer.Option("--to", help="safetensors, onnx or diffusers-scheduler.")],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="A new or empty folder; exports/MODEL-FORMAT by default.")
    ] = None,
    dtype: Annotated[
        str, typer.Option("--dtype", help="Of weights in safetensors: float32, float16 or bfloat16.")
    ] = "float32",
    shard: Annotated[
        int | None, typer.Option("--shard", min=1, help="Megabytes of weights in a file, at most; else it is one file.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Write into a folder that has files; those of the same names are replaced.")
    ] = False,
    json: c.Json = False,
    quiet: c.Quiet = False,
) -> None:
    """Write a model as files for other programs, with a model card: `sfumato export digits --to onnx -o OUT`."""
    from sfumato.app.export import export_model
    from sfumato.app.export.source import file_stem

    folder = out or Path("exports") / f"{file_stem(model)}-{to}"
    c.check_folder(folder)
    made = export_model(model, to, folder, dtype=dtype, megabytes=shard, force=force)
    if json:
        files = [{"file": str(file), "bytes": file.stat().st_size} for file in made.files]
        typer.echo(json_module.dumps({"folder": str(folder), "to": to, "files": files, "difference": made.difference}))
    elif not quiet:
        for file in made.files:
            typer.echo(f"{file}  {file.stat().st_size:,} bytes")
        if made.difference is not None:
            typer.echo(f"ONNX Runtime agrees with torch: largest difference {made.difference:.1e}")
