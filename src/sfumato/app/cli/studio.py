"""The command that serves the web page: studio."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from sfumato.app.cli import common as c


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command()(studio)


def studio(
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Folder for all that is made; one of the user's data by default.")
    ] = None,
    host: Annotated[
        str, typer.Option("--host", help="Where to listen; any address that others can reach wants a token.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Where to listen; 0 is any that is free.")
    ] = 7860,
    token: Annotated[
        str | None, typer.Option("--token", help="What a browser must know; made where one is wanted.")
    ] = None,
    open_browser: Annotated[bool, typer.Option("--open/--no-open", help="Show the page in a browser.")] = True,
    device: c.Device = "auto",
    quiet: c.Quiet = False,
) -> None:
    """Serve the web page on 127.0.0.1: everything with previews, on your own machine alone."""
    from sfumato.app.studio.server import Settings, serve

    if out is None:
        import platformdirs

        out = platformdirs.user_data_path("sfumato") / "studio"
    c.check_folder(out)
    debug = logging.getLogger("sfumato").isEnabledFor(logging.DEBUG)  # as --debug, of every command, says
    serve(Settings(out, host, port, token, open_browser, device, quiet, debug))
