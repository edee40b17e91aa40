"""The command line. Torch and the rest are imported inside the commands, so that `--help` is quick."""

from sfumato.app.cli.main import main

__all__ = ["main"]
