"""What a batch is asked for: files of jobs, read line by line; seeds; and shards, which part the jobs."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO, get_args

from sfumato.app.jobs import AnyJob
from sfumato.app.pictures import read_mask, read_picture
from sfumato.backends.model import Model
from sfumato.errors import SfumatoError, UsageError
from sfumato.images import read_image

_JOBS = get_args(get_args(AnyJob)[0])
KINDS: tuple[str, ...] = tuple(job.model_fields["kind"].default for job in _JOBS)
"""What a job can be."""
_FIELDS = {name for job in _JOBS for name in job.model_fields}
_LISTS = ("larger", "parts", "readings", "regions")
"""Fields that are JSON in a cell of a table: a cell is one text, and these are several things."""


@dataclass(frozen=True)
class Line:
    """What a line of a file of jobs says: fields of a job; the others have their defaults."""

    number: int
    """Counted from 1."""
    fields: dict[str, Any]


@dataclass(frozen=True)
class Shard:
    """One of several parts that are disjoint and together everything: a job is in the one that its hash says."""

    index: int = 1
    """1 … of."""
    of: int = 1

    def has(self, job: AnyJob) -> bool:
        """Whether a job belongs to it."""
        return int(job.digest[:16], 16) % self.of == self.index - 1

    def __str__(self) -> str:
        return f"{self.index}/{self.of}"


def parse_shard(text: str) -> Shard:
    """`3/8` as the third of eight. Raises UsageError for anything else."""
    try:
        index, of = (int(part) for part in text.split("/"))
    except ValueError:
        index = of = 0
    if not 1 <= index <= of:
        raise UsageError(f"--shard wants one of several, 1/8 to 8/8, not {text!r}")
    return Shard(index, of)


def parse_seeds(text: str) -> tuple[range, ...]:
    """`0-99,200` as ranges of seeds. Raises UsageError for anything else, and for a seed that is named twice."""
    ranges: list[range] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        try:
            seeds = range(int(first), int(last if dash else first) + 1)
        except ValueError:
            seeds = range(0)
        if not seeds or seeds[-1] >= 2**63:
            raise UsageError(f"--seeds wants seeds from 0 to 2^63 - 1, such as 0-99 or 3,5,8-12, not {text!r}")
        if any(seeds[0] <= other[-1] and other[0] <= seeds[-1] for other in ranges):
            raise UsageError(f"--seeds {text} names a seed twice")
        ranges.append(seeds)
    return tuple(ranges)


@contextmanager
def at(where: str) -> Iterator[None]:
    """Say of an error where in the file it is: a UsageError stays one, as does a SfumatoError."""
    try:
        yield
    except SfumatoError as error:
        kind = UsageError if isinstance(error, UsageError) else SfumatoError
        raise kind(f"{where}: {error}") from error


def read_lines(path: Path) -> Iterator[Line]:
    """The lines of a file of jobs, one after the other, so that it may be of any length.

    A `.jsonl` has a JSON object in each line and a `.csv` a table with a line of names above it, both with the fields
    of jobs; a `.txt` has a prompt in each line, with comments after #. Empty lines and empty cells say nothing.

    Raises UsageError for a file that cannot be read or is none of these, and for the first line that is wrong.
    """
    readers = {".jsonl": _json_lines, ".csv": _table, ".txt": _prompts}
    if path.suffix.lower() not in readers:
        raise UsageError(f"{path} is no list of jobs; give a .jsonl, .csv or .txt file")
    try:
        # (The mark that some programs put before UTF-8 is no part of the first line.)
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from readers[path.suffix.lower()](path, file)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not text in UTF-8; save it as that") from error


def with_pictures(fields: dict[str, Any], kind: str, folder: Path, model: Model) -> dict[str, Any]:
    """The fields of a job with pictures where they have paths, which begin in `folder`, as the commands read them.

    Raises UsageError for what is no picture, and a mask of another size than its image.
    """
    out, image, mask, shape = dict(fields), fields.get("image"), fields.get("mask"), model.shape
    if isinstance(image, str):
        path = folder / image
        with at("image"):
            if kind == "upscale":
                size = model.small_size(min(read_image(path).size))
                shape = (model.picture_shape[0], size, size)
            out["image"] = read_picture(path, shape)
    if mask is not None:
        out.setdefault("jump", 5)
    if isinstance(mask, str):
        with at("mask"):
            if not isinstance(image, str):
                raise UsageError("it is about the image in a file; give that by its path as well")
            out["mask"] = read_mask(folder / mask, folder / image, shape)
    if isinstance(reference := fields.get("reference"), str):
        with at("reference"):
            out["reference"] = read_picture(folder / reference, shape)
    if isinstance(regions := fields.get("regions"), list):
        with at("regions"):
            out["regions"] = [_region(region, folder, model) for region in regions]
    return out


def _region(region: Any, folder: Path, model: Model) -> Any:
    if not isinstance(region, dict) or not isinstance(region.get("mask"), str):
        return region
    path = folder / region["mask"]
    return {**region, "mask": read_mask(path, path, model.shape)}


def _json_lines(path: Path, file: TextIO) -> Iterator[Line]:
    for number, text in enumerate(file, start=1):
        if not text.strip():
            continue
        try:
            fields = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{path}:{number}: not JSON: {error}") from error
        if not isinstance(fields, dict):
            raise UsageError(f'{path}:{number}: a job is an object, {{"kind": …}}, not {text.strip()[:40]}')
        yield Line(number, fields)


def _table(path: Path, file: TextIO) -> Iterator[Line]:
    rows = csv.reader(file, strict=True)
    names: list[str] | None = None
    while True:
        number = rows.line_num + 1  # where the row begins: a cell in quotes may go on in the next line
        try:
            cells = next(rows, None)
        except csv.Error as error:
            raise UsageError(f"{path}:{number}: not a table of comma-separated values: {error}") from error
        if cells is None:
            return
        if not any(cell.strip() for cell in cells):
            continue
        if names is None:
            names = [cell.strip() for cell in cells]
            if not all(names) or len(set(names)) < len(names):
                raise UsageError(f"{path}:{number}: each column wants its own name, a field of jobs such as prompt")
            for name in names:
                if name not in _FIELDS:
                    raise UsageError(f"{path}:{number}: {name}: no job has such a field; choose of {_known()}")
            continue
        if len(cells) != len(names):
            raise UsageError(f"{path}:{number}: {len(cells)} cells under {len(names)} names")
        given = zip(names, cells, strict=True)
        yield Line(number, {name: _cell(path, number, name, cell) for name, cell in given if cell.strip()})


def _known() -> str:
    return ", ".join(sorted(_FIELDS))


def _cell(path: Path, number: int, name: str, cell: str) -> Any:
    if name not in _LISTS:
        return cell
    try:
        return json.loads(cell)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}:{number}: {name}: a list in JSON, please, not {cell[:40]!r}") from error


def _prompts(path: Path, file: TextIO) -> Iterator[Line]:
    del path
    for number, text in enumerate(file, start=1):
        prompt = text.strip()
        if prompt and not prompt.startswith("#"):
            yield Line(number, {"kind": "generate", "prompt": prompt})
