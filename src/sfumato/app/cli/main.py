"""The program `sfumato`: its commands, and how a failure is told in one line."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence

import typer

from sfumato.app import heap
from sfumato.app.cli import animate, batch, embed, export, files, make, models, studio, teach, views
from sfumato.errors import SfumatoError, Stopped

app = typer.Typer(
    name="sfumato",
    help="Pixel-space diffusion you can see through: make, edit and hide pictures, and train your own models.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    epilog="An error is one line; --debug, anywhere, shows where it came from.",
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> bool:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"sfumato {version('sfumato')}")
        raise typer.Exit
    return wanted


@app.callback()
def options(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Options of the program itself."""
    del version


for module in (make, animate, batch, embed, teach, studio, export, models, files, views):
    module.register(app)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program and exit: 0 when all went well, 2 for a request that cannot be meant, 1 for a failure.

    A failure is one line on standard error; `--debug` shows the traceback instead. Ctrl-C exits with 130.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    # Accepted by every command, before or after its name.
    debug = "--debug" in given
    heap.keep_freed_memory()
    logging.getLogger("sfumato").setLevel(logging.DEBUG if debug else logging.NOTSET)
    try:
        code = app([argument for argument in given if argument != "--debug"], standalone_mode=False)
        sys.stdout.flush()
        if code == Stopped.exit_code:  # what Typer makes of Ctrl-C
            code = _tell(KeyboardInterrupt())
    except (SfumatoError, KeyboardInterrupt, OSError, MemoryError, RuntimeError) as error:
        if debug:
            raise
        code = _tell(error)
    except Exception as error:
        # Typer's own complaints about arguments carry their message and exit code.
        if debug or not hasattr(error, "format_message"):
            raise
        code = _tell(error)
    sys.exit(code if isinstance(code, int) else 0)


def _tell(error: BaseException) -> int:
    if isinstance(error, BrokenPipeError):
        # The reader of our output has gone, as in `sfumato … | head`: nobody is left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    if isinstance(error, typer.Exit | typer.Abort):
        return getattr(error, "exit_code", 1)
    if isinstance(error, KeyboardInterrupt):
        error = Stopped("stopped; files are only written whole, so nothing is half done")
    if isinstance(error, Stopped):
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    if isinstance(error, SfumatoError):
        line, code = str(error), error.exit_code
    elif isinstance(error, OSError):
        line, code = f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}", 1
    elif isinstance(error, MemoryError):
        line, code = "out of memory; try fewer pictures at once (--count)", 1
    elif hasattr(error, "format_message"):
        line, code = str(error.format_message()), int(getattr(error, "exit_code", 2))
    else:
        line, code = f"{error or type(error).__name__} (--debug shows where)", 1
    sys.stderr.write(f"error: {' '.join(line.split())}\n")
    return code
