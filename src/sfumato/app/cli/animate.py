"""Commands that show illusions in time and on paper: animate, sheet."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated

import typer

from sfumato.app.cli import common as c
from sfumato.errors import UsageError

File = Annotated[Path, typer.Argument(help="A PNG that sfumato made; with --view, any picture.")]
Views = Annotated[
    list[str] | None,
    typer.Option("--view", help="Show the picture as it is and through this view, as in `anagram`; again for more."),
]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command()(animate)
    app.command()(sheet)


def animate(
    file: File,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="A .gif or .mp4; FILE-animated.gif beside it by default.")
    ] = None,
    view: Views = None,
    size: Annotated[int, typer.Option("--size", min=64, max=4096, help="Pixels of the picture, at most.")] = 512,
    seconds: Annotated[float, typer.Option("--seconds", min=0.1, max=60, help="Of each move.")] = 3.0,
    fps: Annotated[float, typer.Option("--fps", min=1, max=50, help="Frames a second.")] = 20.0,
    hold: Annotated[float, typer.Option("--hold", min=0, max=60, help="Seconds that each reading stays.")] = 1.0,
    captions: Annotated[bool, typer.Option("--captions/--no-captions", help="Say what one sees.")] = True,
    json: c.Json = False,
    quiet: c.Quiet = False,
) -> None:
    """Show how one reading of an illusion becomes the other: `sfumato animate out/anagram-….png`."""
    from sfumato.app.animate import animate as write
    from sfumato.app.animate.film import Pace

    path = _out(file, out, "-animated.gif")
    write(file, path, view or (), size=size, pace=Pace(seconds, hold, fps), captions=captions)
    _say(path, json=json, quiet=quiet)


def sheet(
    file: File,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="A .pdf or .png; FILE-sheet.pdf beside it by default.")
    ] = None,
    view: Views = None,
    paper: Annotated[str, typer.Option("--paper", help="a4 or letter.")] = "a4",
    dpi: Annotated[int, typer.Option("--dpi", min=50, max=600, help="Dots an inch.")] = 150,
    json: c.Json = False,
    quiet: c.Quiet = False,
) -> None:
    """Make a page to print of an anagram, with lines to cut along: `sfumato sheet out/anagram-….png`."""
    from sfumato.app.sheets import print_sheet

    path = _out(file, out, "-sheet.pdf")
    print_sheet(file, path, view or (), paper=paper, dpi=dpi)
    _say(path, json=json, quiet=quiet)


def _out(file: Path, out: Path | None, ending: str) -> Path:
    """Where to write. Raises UsageError, before any work is done, when that cannot be."""
    path = file.parent / f"{file.stem}{ending}" if out is None else out
    c.check_folder(path.parent)
    if path.is_dir():
        raise UsageError(f"{path} is a folder; give the name of a file with --out")
    if path.exists() and file.exists() and path.samefile(file):
        raise UsageError(f"{path} is the picture itself; give another name with --out")
    return path


def _say(path: Path, *, json: bool, quiet: bool) -> None:
    if json:
        typer.echo(json_module.dumps({"file": str(path), "bytes": path.stat().st_size}, ensure_ascii=False))
    elif not quiet:
        typer.echo(path)
