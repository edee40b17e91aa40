"""Models by name: the bundled ones, run directories, and files of weights."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

import torch

from sfumato.backends.network import Defaults, NetworkDenoiser, load_network
from sfumato.errors import UsageError


@dataclass(frozen=True)
class Bundled:
    """A model that comes with sfumato."""

    name: str
    path: Path
    defaults: Defaults
    summary: str


def bundled_models() -> dict[str, Bundled]:
    """The models in the package, by name."""
    folder = Path(str(files("sfumato.bundled")))
    entries = json.loads((folder / "models.json").read_text(encoding="utf-8"))
    return {
        name: Bundled(name, folder / entry["file"], Defaults(**entry["defaults"]), entry["summary"])
        for name, entry in entries.items()
    }


def load(name: str, device: str = "cpu", dtype: str = "float32") -> NetworkDenoiser:
    """A model by name: a bundled one, a run directory that `sfumato train` made, or a .safetensors file of one.

    `device` is as torch names it; `dtype` (float32, bfloat16 or float16) is the arithmetic inside the network. Raises
    UsageError for an unknown name, device or dtype.
    """
    where, precision = _device(device), _dtype(dtype)
    known = bundled_models()
    if name in known:
        entry = known[name]
        return replace(load_network(entry.path, name, where, precision), defaults=entry.defaults)
    path = Path(name)
    if path.is_dir():
        path = _weights_of_run(path)
    elif path.suffix != ".safetensors":
        raise UsageError(
            f"unknown model {name!r}; choose one of {', '.join(known)}, a run directory or a .safetensors file"
        )
    return load_network(path, name, where, precision)


def _weights_of_run(run: Path) -> Path:
    """The final weights of a run, or those of its last finished epoch."""
    final = run / "model.safetensors"
    if final.is_file():
        return final
    epochs = sorted((run / "epochs").glob("epoch-*.safetensors"))
    if not epochs:
        raise UsageError(f"{run} has no weights yet: no model.safetensors and no finished epoch")
    return epochs[-1]


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"device {name!r} is not there ({str(error).splitlines()[0]}); try cpu") from error
    return device


def _dtype(name: str) -> torch.dtype:
    known = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    if name not in known:
        raise UsageError(f"unknown dtype {name!r}; choose one of {', '.join(known)}")
    return known[name]
