"""Named tensors with a header of plain data, in one safetensors file whose bytes follow from its content."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from sfumato.errors import SfumatoError, UsageError
from sfumato.files import write_bytes

KEY = "sfumato"
"""The one metadata entry that holds the header: safetensors writes several in no fixed order."""


def pack(tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> bytes:
    """The bytes of a file."""
    return save({name: t.contiguous().cpu() for name, t in tensors.items()}, {KEY: json.dumps(header, sort_keys=True)})


def write_tensors(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """Write a file, whole or not at all."""
    write_bytes(path, pack(tensors, header))


def read_tensors(path: Path, *kinds: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the header of a file whose header says that it is of one of these `kinds`.

    Raises UsageError for a missing file or one that is something else, SfumatoError for one that cannot be read.
    """
    with _opened(path, kinds) as (file, header):
        return {name: file.get_tensor(name) for name in file.keys()}, header  # noqa: SIM118 (not a dict)


def read_header(path: Path, *kinds: str) -> dict[str, Any]:
    """The header alone, in a moment. Raises as `read_tensors` does."""
    with _opened(path, kinds) as (_, header):
        return header


@contextmanager
def _opened(path: Path, kinds: tuple[str, ...]) -> Iterator[tuple[Any, dict[str, Any]]]:
    if not path.is_file():
        raise UsageError(f"no such file: {path}")
    try:
        with safe_open(path, "pt") as file:
            header: dict[str, Any] = json.loads((file.metadata() or {}).get(KEY, "{}"))
            if header.get("kind") not in kinds:
                raise UsageError(f"{path} holds no {' or '.join(kinds)} that sfumato wrote")
            yield file, header
    except SafetensorError as error:
        raise UsageError(f"{path} is not a whole safetensors file ({error})") from error
    except (OSError, ValueError) as error:
        raise SfumatoError(f"cannot read {path}: {error}") from error
