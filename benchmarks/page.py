"""Where tables go: to standard output, or into a page that has a place for them."""

from __future__ import annotations

import argparse
import datetime
from pathlib import Path

from tools.parts import put

from benchmarks.machine import facts


def add_option(parser: argparse.ArgumentParser, part: str) -> None:
    """`--page FILE`, for a table that is the part of this name."""
    parser.add_argument(
        "--page", type=Path, help=f"put the table into this page, in its part {part!r}, in place of what is there"
    )


def emit(page: Path | None, part: str, command: str, text: str) -> None:
    """Print a text with the day and the machine under it, or make it a part of a page with the command that made it."""
    told = f"{datetime.date.today()}; {facts()}."
    if page is None:
        print(f"{text}\n\n{told}")
    else:
        put(page, part, f"{text}\n\n(`python -m {command}`, {told})")
