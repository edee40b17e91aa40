"""Checkpoints: all that a training needs to go on, in one safetensors file with its SHA-256 beside it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from sfumato.errors import SfumatoError
from sfumato.files import sha256, write_bytes, write_text
from sfumato.tensors import pack, read_tensors

KIND = "checkpoint"

Groups = Mapping[str, Mapping[str, Tensor]]
"""Tensors by group (`network`, `ema`, `exp_avg`, `exp_avg_sq`) and name."""


@dataclass(frozen=True)
class Checkpoint:
    """A state read back: its step, its tensors by group, and the facts written with it."""

    step: int
    groups: dict[str, dict[str, Tensor]]
    facts: dict[str, Any]


def save_checkpoint(folder: Path, step: int, groups: Groups, facts: Mapping[str, Any], keep: int) -> Path:
    """Write `step-NNNNNNNN.safetensors`, then its checksum, then forget all but the newest `keep`.

    A checkpoint counts only once its checksum is there, so a crash at any moment leaves the previous one valid.
    """
    path = folder / f"step-{step:08d}.safetensors"
    flat = {f"{group}/{name}": tensor for group, state in groups.items() for name, tensor in state.items()}
    data = pack(flat, {"kind": KIND, "step": step, "facts": facts})
    write_bytes(path, data)
    write_text(_checksum_path(path), f"{hashlib.sha256(data).hexdigest()}  {path.name}\n")
    for old in sorted(folder.glob("step-*.safetensors"))[:-keep]:
        _checksum_path(old).unlink(missing_ok=True)
        old.unlink()
    return path


def latest_checkpoint(folder: Path) -> Checkpoint | None:
    """The newest checkpoint whose content is what was written; damaged or unfinished ones are passed over."""
    for path in sorted(folder.glob("step-*.safetensors"), reverse=True):
        checksum = _checksum_path(path)
        if checksum.is_file() and checksum.read_text(encoding="utf-8").split()[:1] == [sha256(path)]:
            return _load(path)
    return None


def digest(state: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, shapes and values of a group of tensors, independent of memory layout."""
    out = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        out.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        out.update(tensor.numpy().tobytes())
    return out.hexdigest()


def _checksum_path(path: Path) -> Path:
    return path.with_suffix(".sha256")


def _load(path: Path) -> Checkpoint | None:
    try:
        tensors, header = read_tensors(path, KIND)
    except SfumatoError:
        return None
    groups: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        group, name = key.split("/", 1)
        groups.setdefault(group, {})[name] = tensor
    return Checkpoint(header["step"], groups, header["facts"])
