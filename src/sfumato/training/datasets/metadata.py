"""The list of a captioned folder, `metadata.jsonl`: a JSON object a line, as in Hugging Face's "imagefolder"."""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from sfumato.errors import UsageError
from sfumato.models.text import words
from sfumato.training.captions import Record

METADATA = "metadata.jsonl"


def _texts(value: object) -> tuple[str, ...]:
    """The texts that have a word in them."""
    texts = [] if value is None else [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ValueError("must be a string or a list of strings")
    return tuple(" ".join(text.split()) for text in texts if words(text))


def _named(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names:
        raise ValueError("must say in words what is seen")
    return names


def _inside(name: str) -> str:
    # Both kinds of paths, for a folder must mean the same everywhere.
    if any(pure.anchor or ".." in pure.parts for pure in (PurePosixPath(name), PureWindowsPath(name))):
        raise ValueError("leads out of the folder; name files relative to it")
    return name


class Entry(BaseModel):
    """A line of a folder's list of pictures."""

    model_config = ConfigDict(strict=True, frozen=True)

    file_name: Annotated[str, Field(min_length=1), AfterValidator(_inside)]
    """Relative to the folder."""
    text: Annotated[tuple[str, ...], BeforeValidator(_texts), AfterValidator(_named)]
    keywords: Annotated[tuple[str, ...], BeforeValidator(_texts)] = ()
    style: Annotated[tuple[str, ...], BeforeValidator(_texts)] = ()
    concept: str | None = None
    mirror: bool = True
    held_out: bool = False
    """Whether it belongs to the test split."""

    @property
    def record(self) -> Record:
        """What it says of the picture."""
        concept = self.text[0] if self.concept is None else self.concept
        return Record(self.text, self.keywords, self.style, concept, self.mirror)


def read_entries(path: Path) -> list[Entry]:
    """The lines of the `metadata.jsonl` in a folder. Raises UsageError where it is missing or a line is no entry."""
    file = path / METADATA
    try:
        lines = file.read_text(encoding="utf-8-sig").split("\n")
    except FileNotFoundError as error:
        what = f"{path} has no {METADATA}; list its pictures there" if path.is_dir() else f"there is no folder {path}"
        raise UsageError(what) from error
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {file}; it must be a text file in UTF-8") from error
    listed = []
    for number, line in enumerate(lines, start=1):
        try:
            if line.strip():
                listed.append(Entry.model_validate_json(line))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            field = "".join(f'"{part}": ' for part in first["loc"][:1])
            reason = "not JSON" if first["type"] == "json_invalid" else first["msg"].removeprefix("Value error, ")
            raise UsageError(f"{file}, line {number} is no entry of a picture: {field}{reason}") from error
    return listed
