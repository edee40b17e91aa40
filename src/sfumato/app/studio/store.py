"""The studio's store: its queue, gallery, uploads and data sets as rows, which outlive the server however it ends."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

from sfumato.app.studio.database import packed, unpacked
from sfumato.app.studio.gallery import Gallery
from sfumato.app.studio.records import Dataset, NewRun, Run, State, Strip, Upload
from sfumato.errors import UsageError
from sfumato.files import clear_leftovers

MOST_ATTEMPTS, TOO_OFTEN = 3, "three times"
"""After so many times that a run has ended the worker, or the studio, it is not tried again."""

_JSON = {"notes", "strip", "training"}
"""Columns of runs that hold JSON and may change."""
_CHANGES = {"state", "started", "finished", "error", "done", "total", "attempts"} | _JSON


class Store(Gallery):
    """All rows of the studio in a folder. Methods may be called from any thread.

    Raises UsageError when another server uses the folder, and SfumatoError when it cannot be used (see `Database`);
    each method raises SfumatoError when the system does not let it read or write.
    """

    def add_runs(self, new: Sequence[NewRun]) -> list[Run]:
        """Queue all of these, or none."""
        query = "INSERT INTO runs (kind, title, state, model, created, task) VALUES (?, ?, 'queued', ?, ?, ?)"
        with self._database.writing() as connection:
            ids = [
                connection.execute(query, (n.kind, n.title, n.model, self._clock(), packed(n.order))).lastrowid
                for n in new
            ]
        return [self._known(run) for run in ids if run is not None]

    def run(self, run: int) -> Run | None:
        """A run; None where there is no such."""
        row = self._database.row("SELECT * FROM runs WHERE id = ?", (run,))
        return None if row is None else self._run(row)

    def runs(self, state: State | None = None, limit: int = 50) -> list[Run]:
        """The newest runs, newest first: all, or those in one state."""
        where, values = ("", ()) if state is None else ("WHERE state = ?", (state,))
        rows = self._database.rows(f"SELECT * FROM runs {where} ORDER BY id DESC LIMIT ?", (*values, limit))
        return [self._run(row) for row in rows]

    def queue(self, limit: int = -1) -> list[Run]:
        """The queued runs, the next one first."""
        rows = self._database.rows("SELECT * FROM runs WHERE state = 'queued' ORDER BY id LIMIT ?", (limit,))
        return [self._run(row) for row in rows]

    def next_run(self) -> Run | None:
        """The run that is to be done next: the oldest that is queued."""
        return next(iter(self.queue(1)), None)

    def queued(self) -> int:
        """How many runs are queued."""
        return int(self._database.rows("SELECT count(*) FROM runs WHERE state = 'queued'")[0][0])

    def ahead(self, run: int) -> int:
        """How many runs are done before this queued one; 0 for any other."""
        query = """SELECT count(*) FROM runs WHERE state IN ('queued', 'running') AND id < ?1
                   AND EXISTS (SELECT 1 FROM runs WHERE id = ?1 AND state = 'queued')"""
        return int(self._database.rows(query, (run,))[0][0])

    def last_done(self, model: str) -> Run | None:
        """The last run that made pictures with this model."""
        query = """SELECT * FROM runs WHERE model = ? AND state = 'done' AND kind = 'pictures'
                   ORDER BY finished DESC LIMIT 1"""
        row = self._database.row(query, (model,))
        return None if row is None else self._run(row)

    def change(self, run: int, **changes: Any) -> Run:
        """Change fields of a run by their names in `Run`; a state that ends it, or begins it, sets the time as well."""
        unknown = changes.keys() - _CHANGES
        assert not unknown, f"a run's {', '.join(unknown)} cannot change"
        match changes.get("state"):
            case "queued":
                changes = {"started": None, "finished": None, "done": 0, **changes}
            case "running":
                changes = {"started": self._clock(), **changes}
            case "done" | "failed" | "cancelled":
                changes = {"finished": self._clock(), **changes}
        values = [_column(name, value) for name, value in changes.items()]
        setting = ", ".join(f"{name} = ?" for name in changes)
        with self._database.writing() as connection:
            connection.execute(f"UPDATE runs SET {setting} WHERE id = ?", (*values, run))
        return self._known(run)

    def set_back(self, run: Run, because: str) -> Run:
        """Queue a run again that has ended the worker or the studio; it fails when it has done so too often."""
        attempts = run.attempts + 1
        if attempts >= MOST_ATTEMPTS:
            return self.change(run.id, state="failed", attempts=attempts, error=because)
        return self.change(run.id, state="queued", attempts=attempts)

    def recover(self, because: str = f"the studio ended {TOO_OFTEN} while it ran") -> list[Run]:
        """Clear up after a server that was killed; the runs that it was at, which are queued again or have failed.

        `because` is what is told of those that have.
        """
        clear_leftovers(self.folder)
        clear_leftovers(self.folder / "datasets")  # a training clears up in its own folder
        self.settle_bin()
        return [self.set_back(run, because) for run in self.runs("running", -1)]

    # What users bring, and what trainings leave.

    def add_upload(self, upload: Upload) -> Upload:
        """Remember an upload; of one whose picture is there already the row that is there."""
        values = [packed(value) if isinstance(value, dict) else value for value in _values(upload)]
        with self._database.writing() as connection:
            connection.execute(f"INSERT OR IGNORE INTO uploads VALUES ({', '.join('?' * len(values))})", values)
        known = self.upload(upload.id)
        assert known is not None
        return known

    def upload(self, upload: str) -> Upload | None:
        """An upload; None where there is no such."""
        row = self._database.row("SELECT * FROM uploads WHERE id = ?", (upload,))
        return None if row is None else Upload(**{**dict(row), "job": unpacked(row["job"])})

    def add_dataset(self, name: str, count: int, labels: Sequence[str]) -> Dataset:
        """Remember a data set. Raises UsageError when there is one of this name."""
        with self._database.writing() as connection:
            try:
                query = "INSERT INTO datasets (name, count, labels) VALUES (?, ?, ?)"
                added = connection.execute(query, (name, count, packed(list(labels)))).lastrowid
            except sqlite3.IntegrityError as error:
                raise UsageError(f"there is a data set {name!r} already; choose another name") from error
        assert added is not None
        return Dataset(added, name, count, tuple(labels))

    def dataset(self, dataset: int) -> Dataset | None:
        """A data set; None where there is no such."""
        return next((each for each in self.datasets() if each.id == dataset), None)

    def datasets(self) -> list[Dataset]:
        """All data sets, oldest first."""
        rows = self._database.rows("SELECT * FROM datasets ORDER BY id")
        return [Dataset(row["id"], row["name"], row["count"], tuple(unpacked(row["labels"]))) for row in rows]

    def add_sample(self, run: int, epoch: int, file: str) -> None:
        """Remember a sheet of samples, which replaces an earlier one of its epoch."""
        with self._database.writing() as connection:
            connection.execute("INSERT OR REPLACE INTO samples VALUES (?, ?, ?)", (run, epoch, file))

    def samples(self, run: int) -> dict[int, str]:
        """The sheets of samples of a training by epoch: files of its folder."""
        rows = self._database.rows("SELECT epoch, file FROM samples WHERE run = ? ORDER BY epoch", (run,))
        return {row["epoch"]: row["file"] for row in rows}

    def _known(self, run: int) -> Run:
        found = self.run(run)
        assert found is not None, f"there is no run {run}"
        return found

    def _run(self, row: sqlite3.Row) -> Run:
        data = {name: unpacked(row[name]) if name in _JSON else row[name] for name in row.keys()}  # noqa: SIM118
        strip, training = data.pop("strip"), data["training"]
        if strip is not None:
            strip = Strip(**{**strip, "levels": tuple(strip["levels"])})
        if row["kind"] == "training" and (samples := self.samples(row["id"])):
            training = {**(training or {}), "samples": [{"epoch": e, "file": file} for e, file in samples.items()]}
        order = unpacked(data.pop("task"))
        return Run(**{**data, "order": order, "notes": tuple(data["notes"]), "strip": strip, "training": training})


def _values(record: Upload) -> list[Any]:
    return [getattr(record, each.name) for each in fields(record)]


def _column(name: str, value: Any) -> Any:
    if name not in _JSON or value is None:
        return value
    if isinstance(value, Strip):
        value = asdict(value)
    return packed(value)
