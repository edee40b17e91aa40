"""Checkpoints: all that a training needs to go on, in one safetensors file with its SHA-256 beside it."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import itertools
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from sfumato.errors import SfumatoError
from sfumato.files import sha256, write_bytes, write_text, writing
from sfumato.tensors import KEY, pack, read_tensors

KIND = "checkpoint"

Groups = Mapping[str, Mapping[str, Tensor]]
"""Tensors by group (`network`, `ema`, `exp_avg`, `exp_avg_sq`) and name."""


@dataclass(frozen=True)
class Checkpoint:
    """A state read back: its step, its tensors by group, and the facts written with it."""

    step: int
    groups: dict[str, dict[str, Tensor]]
    facts: dict[str, Any]


def save_checkpoint(folder: Path, step: int, groups: Groups, facts: Mapping[str, Any]) -> Path:
    """Write `step-NNNNNNNN.safetensors`, its checksum first.

    The checkpoint is there at the moment when its file gets its name, so a crash at any other leaves the previous one
    valid. The fact `loss`, where there is one, tells which checkpoint is the best.
    """
    path = folder / f"step-{step:08d}.safetensors"
    flat = {f"{group}/{name}": tensor for group, state in groups.items() for name, tensor in state.items()}
    data = pack(flat, {"kind": KIND, "step": step, "facts": facts})
    try:
        write_text(_checksum_path(path), _checksum(path, hashlib.sha256(data).hexdigest()))
        write_bytes(path, data)
    except BaseException:
        if not path.exists():
            with contextlib.suppress(OSError):
                _checksum_path(path).unlink(missing_ok=True)
        raise
    return path


def latest_checkpoint(folder: Path) -> Checkpoint | None:
    """The newest checkpoint whose content is what was written; damaged ones are passed over.

    None where there are no checkpoints. Raises SfumatoError when there are some and all are damaged.
    """
    paths = _paths(folder)
    for path in reversed(paths):
        if _is_whole(path):
            return _load(path)
    if paths:
        raise _all_damaged(folder, paths)
    return None


def tidy(folder: Path, keep: int, keep_best: bool, warn: Callable[[str], None]) -> None:
    """Forget all checkpoints but the newest `keep` and, with `keep_best`, the one with the lowest fact `loss`.

    A damaged one neither counts nor is deleted: it gets another name, and `warn` is told in one line. Raises
    SfumatoError, with everything as it was, when all are damaged.
    """
    paths = _paths(folder)
    whole = [path for path in paths if _is_whole(path)]
    if paths and not whole:
        raise _all_damaged(folder, paths)
    with writing(folder):
        aside = {path: _set_aside(path) for path in paths if path not in whole}
        kept = {*whole[-keep:], *(_best(whole) if keep_best else ())}
        for path in whole:
            if path not in kept:
                # In this order a crash leaves no file without its checksum, which would pass for damage.
                path.unlink()
                _checksum_path(path).unlink(missing_ok=True)
        for checksum in folder.glob("step-*.sha256"):
            if not checksum.with_suffix(".safetensors").exists():
                checksum.unlink()
    for path, name in aside.items():
        warn(f"{path} is damaged and now named {name}; the newest good checkpoint is {whole[-1].name}")


def check_finite(step: int, groups: Groups) -> None:
    """Raise SfumatoError when a number of the state after a step is infinite or none at all."""
    for group, state in groups.items():
        for name, tensor in state.items():
            if not bool(torch.isfinite(tensor).all()):
                raise SfumatoError(
                    f"step {step} left {group}/{name} without finite values and is not saved; try a smaller lr"
                )


def digest(state: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, shapes and values of a group of tensors, independent of memory layout."""
    out = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        out.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        out.update(tensor.numpy().tobytes())
    return out.hexdigest()


def _paths(folder: Path) -> list[Path]:
    """The checkpoints of a folder, whole or not, oldest first."""
    return sorted(folder.glob("step-*.safetensors"))


def _checksum_path(path: Path) -> Path:
    return path.with_suffix(".sha256")


def _checksum(path: Path, digest: str) -> str:
    """What the file beside a checkpoint says, in the form that `sha256sum --check` reads."""
    return f"{digest}  {path.name}\n"


def _is_whole(path: Path) -> bool:
    """Whether a checkpoint and its checksum are byte for byte what was written."""
    try:
        return _checksum_path(path).read_bytes() == _checksum(path, sha256(path)).encode()
    except OSError as error:
        # A missing checksum and a sector that cannot be read are damage. Anything else may pass, such as a refusal.
        if error.errno in {errno.ENOENT, errno.EIO}:
            return False
        raise SfumatoError(f"cannot read {path}: {error.strerror or error}") from error


def _all_damaged(folder: Path, paths: Sequence[Path]) -> SfumatoError:
    which = f"all {len(paths)} checkpoints are" if len(paths) > 1 else "the only checkpoint is"
    return SfumatoError(f"{which} damaged in {folder}; put back a copy, or begin anew in another folder")


def _set_aside(path: Path) -> str:
    """Rename a checkpoint and its checksum so that they are checkpoints no more; the new name."""
    names = (f"damaged-{k}-{path.name}" for k in itertools.count(1))
    aside = next(path.with_name(name) for name in names if not path.with_name(name).exists())
    path.rename(aside)
    with contextlib.suppress(FileNotFoundError):
        _checksum_path(path).rename(_checksum_path(aside))
    return aside.name


def _best(paths: Sequence[Path]) -> list[Path]:
    """The checkpoint with the lowest loss, where any tells its loss."""
    losses = {path: _loss(path) for path in paths}
    best = min(paths, key=lambda path: losses[path], default=None)
    return [] if best is None or losses[best] == math.inf else [best]


def _loss(path: Path) -> float:
    """The fact `loss` of a checkpoint, without reading its tensors."""
    with safe_open(path, "pt") as file:
        loss = json.loads(file.metadata()[KEY])["facts"].get("loss")
    return math.inf if loss is None else float(loss)


def _load(path: Path) -> Checkpoint:
    tensors, header = read_tensors(path, KIND)
    groups: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        group, name = key.split("/", 1)
        groups.setdefault(group, {})[name] = tensor
    return Checkpoint(header["step"], groups, header["facts"])
