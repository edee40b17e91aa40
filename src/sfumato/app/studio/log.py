"""Where the server says what went wrong: all of it in a file, a line of it on the terminal."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from logging.handlers import RotatingFileHandler
from pathlib import Path

from sfumato.files import writing

NAME = "studio.log"
"""In the studio's folder."""
MOST_BYTES = 1_000_000
"""Of the log, and of the one before it."""


class _OneLine(logging.Formatter):
    """Without the traceback, which is for the file."""

    def format(self, record: logging.LogRecord) -> str:
        line = " ".join(record.getMessage().split())
        error = record.exc_info[1] if record.exc_info else None
        return f"{record.levelname.lower()}: {line}" + (f": {error or type(error).__name__}" if error else "")


@contextmanager
def logging_to(folder: Path, *, debug: bool) -> Iterator[None]:
    """Keep a log in a folder, and tell the terminal of what goes wrong; with `debug` of everything, tracebacks too."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    file = RotatingFileHandler(folder / NAME, maxBytes=MOST_BYTES, backupCount=1, encoding="utf-8", delay=True)
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    terminal = logging.StreamHandler()
    terminal.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s") if debug else _OneLine())
    if not debug:
        terminal.addFilter(logging.Filter("sfumato"))
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.INFO if debug else logging.WARNING)
    for handler in (file, terminal):
        root.addHandler(handler)
    try:
        yield
    finally:
        root.setLevel(level)
        for handler in (file, terminal):
            root.removeHandler(handler)
            handler.close()
