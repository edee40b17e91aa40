"""The command embed: prompts to vectors, once, for machines without the text encoder."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated

import typer

from sfumato.app.cli import common as c
from sfumato.errors import UsageError


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command()(embed)


def embed(
    prompts: Annotated[list[str], typer.Argument(help="Prompts; the empty one, for guidance, is always added.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The file to write, .safetensors.")],
    model: Annotated[str, typer.Option("--model", help="A model that reads text with a pretrained encoder.")] = (
        "deepfloyd"
    ),
    device: c.Device = "auto",
    dtype: c.Dtype = "auto",
    memory: c.Memory = "auto",
    json: c.Json = False,
    quiet: c.Quiet = False,
) -> None:
    """Write prompts as vectors, so that --embeddings can take the text encoder's place."""
    from sfumato.backends.conditions import Prompts
    from sfumato.backends.embeddings import write_embeddings
    from sfumato.backends.registry import load
    from sfumato.backends.unet import UNetDenoiser

    if out.suffix != ".safetensors":
        raise UsageError(f"prompts as vectors go into a .safetensors file, not {out}")
    c.check_folder(out.absolute().parent)
    loaded = load(model, device, dtype, memory=memory)
    if not isinstance(loaded, UNetDenoiser) or not isinstance(loaded.conditions, Prompts):
        raise UsageError(f"model {model} reads no prompts with a pretrained text encoder; choose one such as deepfloyd")
    for note in loaded.notes if not quiet else ():
        typer.echo(f"note: {note}", err=True)
    wanted = list(dict.fromkeys([*prompts, ""]))
    reader = loaded.conditions.reader
    vectors = dict(zip(wanted, reader.read(wanted), strict=True))
    write_embeddings(out, vectors, reader.sha256, model)
    if json:
        told = {"file": str(out), "prompts": wanted, "encoder": reader.sha256, "shape": list(vectors[""].shape)}
        typer.echo(json_module.dumps(told, ensure_ascii=False))
    elif not quiet:
        tokens, width = vectors[""].shape
        typer.echo(f"{out}: {len(wanted)} prompts, {tokens} × {width} numbers each")
