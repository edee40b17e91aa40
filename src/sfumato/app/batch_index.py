"""The index of a batch: which job is in which file."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from sfumato.app.jobs import AnyJob
from sfumato.app.pictures import Picture
from sfumato.backends.model import Model
from sfumato.errors import SfumatoError, UsageError
from sfumato.files import atomic, clear_leftovers, locked

INDEX = "index.jsonl"
HOME = ".batch"
"""The folder beside the pictures with locks, and with what is being written."""


def row_of(file: str, job: AnyJob, models: tuple[Model, ...]) -> str:
    """The line of a file: its name, its job, and the weights; a picture in a job is its name and hash."""
    data = _named(job.model_dump(mode="json"))
    weights = [{"name": model.name, "sha256": model.sha256} for model in models]
    return json.dumps({"file": file, "job": data, "models": weights}, ensure_ascii=False)


def _named(value: Any) -> Any:
    """Data of a job with the names and hashes of its pictures in their places."""
    if isinstance(value, list):
        return [_named(each) for each in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == Picture.model_fields.keys():
        return {"name": value["name"], "sha256": Picture(**value).sha256}
    return {key: _named(each) for key, each in value.items()}


class Index:
    """The lines of a shard. They are kept in a file of SQLite's that has no name: a million are too many for memory."""

    def __init__(self) -> None:
        with _told():
            self._rows = sqlite3.connect("", isolation_level=None)
            self._rows.execute("PRAGMA journal_mode = OFF")
            self._rows.execute("CREATE TABLE rows (file TEXT PRIMARY KEY, row TEXT, there INTEGER) WITHOUT ROWID")

    def close(self) -> None:
        """Let the lines go."""
        self._rows.close()

    def claim(self, file: str, row: str) -> bool:
        """Take a file for a job; False when an equal job has it. Raises UsageError when a different one has it."""
        with _told():
            if self._rows.execute("INSERT OR IGNORE INTO rows VALUES (?, ?, 0)", (file, row)).rowcount:
                return True
            ((taken,),) = self._rows.execute("SELECT row FROM rows WHERE file = ?", (file,))
        if taken != row:
            raise UsageError(f"its file would have the name of another job's, {file}; give one of them another seed")
        return False

    def enter(self, file: str) -> None:
        """Say that a file that was claimed is there."""
        with _told():
            self._rows.execute("UPDATE rows SET there = 1 WHERE file = ?", (file,))

    def write(self, out: Path) -> None:
        """Write the files that are there, by name, with those that the index in `out` knows from other shards."""
        with _alone(out), _told():
            clear_leftovers(out)
            for file, row in _known(out):
                self._rows.execute("INSERT OR IGNORE INTO rows VALUES (?, ?, 1)", (file, row))
            with atomic(out / INDEX) as written:
                for (row,) in self._rows.execute("SELECT row FROM rows WHERE there ORDER BY file"):
                    written.write(f"{row}\n".encode())


def _known(out: Path) -> Iterator[tuple[str, str]]:
    """The lines of the index in a folder whose files are still there; what is no such line goes."""
    try:
        with (out / INDEX).open(encoding="utf-8", errors="replace") as rows:
            for row in rows:
                try:
                    file = json.loads(row)["file"]
                    if (out / file).is_file():
                        yield file, row.rstrip("\n")
                except (ValueError, TypeError, KeyError, RecursionError):
                    continue
    except FileNotFoundError:
        pass


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Wait until no other shard writes the index, so that each adds to what the others have."""
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(locked(out / HOME / "index.lock", "busy"))
                break
            except UsageError:
                time.sleep(0.1)
        yield


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise SfumatoError(f"cannot keep the index: {error}; make room on the disk for temporary files") from error
