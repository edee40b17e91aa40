"""The studio's file of rows: opening it for one server alone, refusing what is damaged or newer, and transactions."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from sfumato.errors import SfumatoError, UsageError
from sfumato.files import locked

NAME = "studio.sqlite"
SCHEMA = 1
"""Of the tables; a file of a later one is refused."""

_TABLES = """
CREATE TABLE runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL, title TEXT NOT NULL, state TEXT NOT NULL, model TEXT NOT NULL, created REAL NOT NULL,
    task TEXT NOT NULL, started REAL, finished REAL, error TEXT,
    done INTEGER NOT NULL DEFAULT 0, total INTEGER NOT NULL DEFAULT 0, attempts INTEGER NOT NULL DEFAULT 0,
    notes TEXT NOT NULL DEFAULT '[]', strip TEXT, training TEXT
);
CREATE INDEX runs_by_state ON runs (state, id);
CREATE INDEX runs_by_model ON runs (model, state, finished);
CREATE TABLE pictures (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run INTEGER NOT NULL REFERENCES runs (id), file TEXT NOT NULL UNIQUE,
    width INTEGER NOT NULL, height INTEGER NOT NULL, title TEXT NOT NULL, kind TEXT NOT NULL, model TEXT NOT NULL,
    seed INTEGER NOT NULL, created REAL NOT NULL, job TEXT NOT NULL, command TEXT NOT NULL, parameters TEXT NOT NULL,
    readings TEXT NOT NULL, words TEXT NOT NULL, deleted REAL
);
CREATE TABLE made (
    run INTEGER NOT NULL REFERENCES runs (id), picture INTEGER NOT NULL REFERENCES pictures (id),
    PRIMARY KEY (run, picture)
) WITHOUT ROWID;
CREATE TABLE uploads (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL, mode TEXT NOT NULL, job TEXT, parameters TEXT
) WITHOUT ROWID;
CREATE TABLE datasets (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE, count INTEGER NOT NULL, labels TEXT NOT NULL
);
CREATE TABLE samples (
    run INTEGER NOT NULL REFERENCES runs (id), epoch INTEGER NOT NULL, file TEXT NOT NULL,
    PRIMARY KEY (run, epoch)
) WITHOUT ROWID;
"""


class Database:
    """One SQLite file in a folder that no other server uses meanwhile; its methods may be called from any thread.

    What a transaction has written survives a power cut when it ends.

    Raises UsageError when another server uses the folder, and SfumatoError, with everything left as it is, when the
    file is damaged, of a later sfumato, or cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self._guard = threading.RLock()
        with ExitStack() as stack:
            stack.enter_context(
                locked(folder / ".lock", f"another studio uses {folder}; stop it, or choose another folder with --out")
            )
            self._connection = self._open()
            stack.callback(self._connection.close)
            self._held = stack.pop_all()

    def close(self) -> None:
        """Let the folder go."""
        with self._guard:
            self._held.close()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction: all of it is written, or nothing. Raises SfumatoError when the system does not let it be."""
        with self._guard, self._telling():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # after a full disk SQLite may have rolled back itself
                    self._connection.execute("ROLLBACK")
                raise

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """What a query finds."""
        with self._guard, self._telling():
            return self._connection.execute(query, values).fetchall()

    def row(self, query: str, values: Sequence[Any] = ()) -> sqlite3.Row | None:
        """The first that a query finds."""
        found = self.rows(query, values)
        return found[0] if found else None

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise SfumatoError(f"cannot use {self.path}: {error}") from error

    def _open(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = None
        try:
            connection = sqlite3.connect(self.path, check_same_thread=False, isolation_level=None)
            connection.row_factory = sqlite3.Row
            self._check(connection)
            # A server that is killed loses nothing that it has told anyone.
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
                connection.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {SCHEMA}; COMMIT")
        except BaseException as error:
            if connection is not None:
                connection.close()
            if isinstance(error, sqlite3.Error):
                raise self._refusal(error) from error
            raise
        return connection

    def _check(self, connection: sqlite3.Connection) -> None:
        """Before anything is changed, or even read back from the journal by a write of ours."""
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA:
            raise UsageError(
                f"{self.path} was written by a later sfumato (schema {version}, this one knows {SCHEMA}); "
                "use that one, or choose another folder with --out"
            )
        found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise sqlite3.DatabaseError(" ".join(str(found).split()))
        names = {row["name"] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if (version == 0 and names) or (version and "runs" not in names):
            raise sqlite3.DatabaseError("it has other tables than a studio's")

    def _refusal(self, error: sqlite3.Error) -> SfumatoError:
        if isinstance(error, sqlite3.OperationalError):  # a folder that cannot be written, a full disk, …
            return SfumatoError(f"cannot use {self.path}: {error}")
        return SfumatoError(
            f"{self.path} is damaged ({error}); pictures and trainings beside it are whole: put back a copy, "
            f"or move it away, with {NAME}-wal and {NAME}-shm, to begin with an empty queue and gallery"
        )


def packed(value: Any) -> str:
    """Plain data as a column holds it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def unpacked(text: str | None) -> Any:
    """What a column holds as plain data."""
    return None if text is None else json.loads(text)
