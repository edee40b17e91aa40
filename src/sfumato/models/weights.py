"""A network as one file, or a few, whose header says how to build it and where it came from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sfumato.errors import SfumatoError, UsageError
from sfumato.models.course_unet import CourseUNetConfig
from sfumato.models.nested_unet import NestedUNetConfig
from sfumato.models.network import Network, NetworkConfig
from sfumato.models.refining_unet import RefiningUNetConfig
from sfumato.models.text_unet import TextUNetConfig
from sfumato.tensors import read_tensors, write_tensors

ARCHITECTURES: dict[str, type[NetworkConfig]] = {
    config.kind: config for config in (CourseUNetConfig, TextUNetConfig, NestedUNetConfig, RefiningUNetConfig)
}
"""The networks that a file can hold, by kind."""


@dataclass(frozen=True)
class Weights:
    """A network read from its files, in evaluation mode, float32, with the facts in their header."""

    network: Network
    facts: dict[str, Any]
    files: tuple[Path, ...]
    """The file, or its shards in order."""


_PART = re.compile(r"-(\d+)-of-(\d+)$")


def undivided(path: Path) -> Path:
    """The name of a network's file without which shard of how many it is; what lies beside it is called after that."""
    return path.with_stem(_PART.sub("", path.stem))


def shard_files(path: Path) -> tuple[Path, ...]:
    """All the files of a network of which one is given: the file, or its shards in order."""
    found = _PART.search(path.stem)
    return _files(undivided(path), int(found[2]) if found else 1)


def as_dtype(state: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """The state with its floating tensors as `dtype`; counters stay integers."""
    return {name: t.to(dtype) if t.is_floating_point() else t for name, t in state.items()}


def save_weights(
    path: Path,
    config: NetworkConfig,
    state: Mapping[str, Tensor],
    facts: Mapping[str, Any],
    dtype: torch.dtype = torch.float32,
    shard_bytes: int | None = None,
) -> tuple[Path, ...]:
    """Write a network's state, its floating tensors as `dtype`, with its configuration and `facts` (plain data).

    With `shard_bytes` a state that is larger goes into several files of at most so many bytes of tensors, NAME-1-of-3
    and so on, each with the whole header. Returns the files.
    """
    shards = _shards(as_dtype(state, dtype), shard_bytes)
    header = {"kind": config.kind, "network": config.to_dict(), "facts": facts}
    files = _files(path, len(shards))
    for k, (file, tensors) in enumerate(zip(files, shards, strict=True)):
        write_tensors(file, tensors, header if len(shards) == 1 else {**header, "shard": (k + 1, len(shards))})
    return files


def load_weights(path: Path) -> Weights:
    """Read a network from its file, or the first of its shards.

    Raises UsageError for a missing or foreign file, SfumatoError for a damaged one.
    """
    state, header = read_tensors(path, *ARCHITECTURES)
    files: tuple[Path, ...] = (path,)
    try:
        if "shard" in header:
            first, count = header["shard"]
            end = f"-{first}-of-{count}"
            if first != 1 or not path.stem.endswith(end):
                raise UsageError(f"{path} is a part of a network; give the first one, {path.stem.split('-')[0]}-1-of-…")
            files = shard_files(path)
            for file in files[1:]:
                state |= read_tensors(file, header["kind"])[0]
        with torch.device("meta"):  # what is read replaces the random start, which need not be drawn
            network = ARCHITECTURES[header["kind"]].from_dict(header["network"]).build()
        network.load_state_dict(as_dtype(state, torch.float32), assign=True)
        facts: dict[str, Any] = header["facts"]
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise SfumatoError(f"{path} is damaged: {str(error).splitlines()[0]}") from error
    return Weights(network.eval(), facts, files)


def _shards(state: Mapping[str, Tensor], most: int | None) -> list[dict[str, Tensor]]:
    """The state in parts of at most so many bytes, in its own order; a larger tensor is a part of its own."""
    parts: list[dict[str, Tensor]] = [{}]
    filled = 0
    for name, tensor in state.items():
        if most is not None and parts[-1] and filled + tensor.nbytes > most:
            parts.append({})
            filled = 0
        parts[-1][name] = tensor
        filled += tensor.nbytes
    return parts


def _files(path: Path, count: int) -> tuple[Path, ...]:
    return (path,) if count == 1 else tuple(path.with_stem(f"{path.stem}-{k}-of-{count}") for k in range(1, count + 1))
