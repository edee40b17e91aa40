"""The gallery's rows: pictures that were made, found again by words, thrown into the bin and fetched from it.

Files and rows agree: a picture's file is there before its row, and one that is thrown away lies in `bin`.
"""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from sfumato.app.studio.database import Database, packed, unpacked
from sfumato.app.studio.records import Made, Reading, Shown
from sfumato.files import sync_folder, writing

FOLDERS = ("pictures", "uploads", "frames", "datasets", "runs", "bin")
"""Of the studio's folder."""
MOST_WORDS = 20
"""Of a search; what follows is left out."""


class Gallery:
    """The pictures of a studio's folder."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self.folder = folder
        self._clock = clock
        self._database = Database(folder)
        for name in FOLDERS:
            with writing(folder / name):
                (folder / name).mkdir(exist_ok=True)

    def close(self) -> None:
        """Let the folder go."""
        self._database.close()

    def add_picture(self, made: Made, model: str) -> Shown:
        """Show a picture that a run has made; one that was there already, under the same name, belongs to it as well.

        Args:
            made: The picture.
            model: What the page calls its model.
        """
        job = made.job
        words = _words(" ".join([made.title, made.kind, model, *_prompts(job)]))
        columns = {
            "run": made.run,
            "file": made.file,
            "width": made.width,
            "height": made.height,
            "title": made.title,
            "kind": made.kind,
            "model": model,
            "seed": job.get("seed", 0),
            "created": self._clock(),
            "job": packed(job),
            "command": made.command,
            "parameters": made.parameters,
            "readings": packed([asdict(reading) for reading in made.readings]),
            "words": f" {' '.join(words)} ",
        }
        again = ", ".join(f"{name} = excluded.{name}" for name in columns if name not in {"file", "created"})
        query = f"""INSERT INTO pictures ({", ".join(columns)}) VALUES ({", ".join("?" * len(columns))})
                    ON CONFLICT (file) DO UPDATE SET {again}, deleted = NULL"""
        with self._database.writing() as connection:
            connection.execute(query, tuple(columns.values()))
            (row,) = connection.execute("SELECT * FROM pictures WHERE file = ?", (made.file,))
            connection.execute("INSERT OR IGNORE INTO made VALUES (?, ?)", (made.run, row["id"]))
        return _shown(row)

    def picture(self, picture: int) -> Shown | None:
        """A picture of the gallery; None where there is no such, or in the bin."""
        row = self._database.row("SELECT * FROM pictures WHERE id = ? AND deleted IS NULL", (picture,))
        return None if row is None else _shown(row)

    def pictures_of(self, run: int) -> list[Shown]:
        """What a run has made, in order."""
        query = """SELECT pictures.* FROM pictures JOIN made ON made.picture = pictures.id
                   WHERE made.run = ? AND deleted IS NULL ORDER BY pictures.id"""
        return [_shown(row, run) for row in self._database.rows(query, (run,))]

    def pictures(self, search: str = "", before: int | None = None, limit: int = 60) -> tuple[list[Shown], bool]:
        """The newest pictures, newest first, and whether there are more.

        Args:
            search: Words that all must be there: the beginnings of words of the title, the kind, the model or the
                prompts, whole numbers among them, or `seed:7`.
            before: Only pictures older than this one.
            limit: How many, at most.
        """
        conditions: list[str] = ["deleted IS NULL"]
        values: list[str | int] = []
        for seed in _SEED.findall(search)[:MOST_WORDS]:
            conditions.append("seed = ?")
            values.append(_number(seed))
        for word in _words(_SEED.sub(" ", search))[:MOST_WORDS]:
            if word.isdecimal():
                conditions.append("(words LIKE ? OR seed = ?)")
                values += [f"% {word} %", _number(word)]
            else:
                conditions.append("words LIKE ?")
                values.append(f"% {word}%")
        if before is not None:
            conditions.append("id < ?")
            values.append(before)
        query = f"SELECT * FROM pictures WHERE {' AND '.join(conditions)} ORDER BY id DESC LIMIT ?"
        rows = self._database.rows(query, (*values, limit + 1))
        return [_shown(row) for row in rows[:limit]], len(rows) > limit

    def delete_picture(self, picture: int) -> Shown | None:
        """Throw a picture into the bin; None where there is no such in the gallery."""
        return self._move(picture, "pictures", "bin", deleted=True)

    def restore_picture(self, picture: int) -> Shown | None:
        """Fetch a picture from the bin; None where there is no such in it."""
        return self._move(picture, "bin", "pictures", deleted=False)

    def _move(self, picture: int, source: str, target: str, *, deleted: bool) -> Shown | None:
        with self._database.writing() as connection:
            query = f"SELECT * FROM pictures WHERE id = ? AND deleted IS {'' if deleted else 'NOT '}NULL"
            row = connection.execute(query, (picture,)).fetchone()
            if row is None:
                return None
            when = self._clock() if deleted else None
            connection.execute("UPDATE pictures SET deleted = ? WHERE id = ?", (when, picture))
            file = self.folder / source / row["file"]
            with writing(file):
                if file.exists():  # whoever has removed it by hand wants it away
                    file.replace(self.folder / target / row["file"])
        for folder in (source, target):
            sync_folder(self.folder / folder)
        return _shown(row)

    def settle_bin(self) -> None:
        """Let rows say what the files do: a server may have been killed between the two."""
        with self._database.writing() as connection:
            for path in (self.folder / "bin").iterdir():
                if not (self.folder / "pictures" / path.name).exists():
                    query = "UPDATE pictures SET deleted = ? WHERE file = ? AND deleted IS NULL"
                    connection.execute(query, (self._clock(), path.name))
            for row in connection.execute("SELECT id, file FROM pictures WHERE deleted IS NOT NULL").fetchall():
                kept, gone = (self.folder / name / row["file"] for name in ("pictures", "bin"))
                if kept.exists() and not gone.exists():
                    connection.execute("UPDATE pictures SET deleted = NULL WHERE id = ?", (row["id"],))


_SEED = re.compile(r"\bseed[:=]\s*(\d+)", re.IGNORECASE)
_WORD = re.compile(r"[^\W_]+")


def _number(digits: str) -> int:
    number = int(digits[:20])
    return number if number < 2**63 else -1  # SQLite holds none so large, and no seed is


def _words(text: str) -> list[str]:
    return list(dict.fromkeys(_WORD.findall(text.casefold())))


def _prompts(job: Any) -> Iterator[str]:
    """All that a job asks for; not what the pictures in it were once asked for."""
    if isinstance(job, dict):
        for key, value in job.items():
            if key in {"prompt", "negative", "rest"} and isinstance(value, str):
                yield value
            elif key == "parts":
                yield from value
            elif key in {"readings", "regions"}:
                yield from _prompts(value)
    elif isinstance(job, list | tuple):
        for part in job:
            yield from _prompts(part)


def _shown(row: sqlite3.Row, run: int | None = None) -> Shown:
    data = {each.name: row[each.name] for each in fields(Shown)}
    readings = tuple(Reading(**reading) for reading in unpacked(data["readings"]))
    own = {"run": run or data["run"], "job": unpacked(data["job"]), "readings": readings}
    return Shown(**{**data, **own})
