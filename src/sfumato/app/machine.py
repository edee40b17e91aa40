"""The facts of this machine that matter to sfumato, looked up without a word to the network."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sfumato.errors import SfumatoError

EXTRAS = {
    "if": (
        "DeepFloyd IF and other models of the Hugging Face hub",
        ("diffusers", "transformers", "accelerate", "sentencepiece", "huggingface_hub"),
    ),
    "report": ("curves in the report of a training", ("matplotlib",)),
    "tensorboard": ("watching a training in TensorBoard", ("tensorboard",)),
    "export": ("models as ONNX files", ("onnx", "onnxscript")),
    "video": ("animations as MP4", ("imageio-ffmpeg",)),
    "cluster": ("batches on a Slurm cluster", ("submitit",)),
    "studio": ("the web page", ("starlette", "uvicorn")),
}
"""Optional packages by the extra that installs them, and what they are for."""


@dataclass(frozen=True)
class Device:
    """A device of torch beside the processor."""

    name: str
    memory: int
    bfloat16: bool
    """Whether it computes in bfloat16 itself, not by way of float32."""


@dataclass(frozen=True)
class Torch:
    """What torch says of itself."""

    version: str
    toolkit: str | None
    """Of the devices that it was built for, such as CUDA 13.0; None where it was built for processors only."""
    devices: tuple[Device, ...]
    bfloat16: bool
    """Whether the processor computes in bfloat16."""
    said: str | None = None
    """What it warned of while it looked for devices."""


@dataclass(frozen=True)
class Hub:
    """What there is of the Hugging Face hub."""

    token: bool
    offline: bool
    cache: Path
    writable: bool
    free: int
    """Bytes left on the disk of the cache."""
    models: Mapping[str, str | None]
    """The known models that are here, and what is wrong with each."""
    largest: float
    """Gigabytes that the largest of the known models downloads."""


@dataclass(frozen=True)
class Machine:
    """All facts that are judged."""

    versions: Mapping[str, str]
    """Of the packages that are installed, sfumato among them."""
    python: str
    system: str
    torch: Torch | str
    """Or why it cannot be imported."""
    nvidia: bool
    """Whether there is a driver of an NVIDIA card."""
    cores: int
    memory: int | None
    """Bytes, where the system says."""
    torchvision: str | None
    """What importing it says where it fails; it need not be there."""
    bundled: Mapping[str, str | None]
    """The models that come with sfumato, and what is wrong with each."""
    hub: Hub | str | None
    """Or why its package cannot be imported; None where it is not installed."""


def look() -> Machine:
    """Find the facts of this machine. Nothing is asked of the network."""
    names = {"sfumato", "torchvision", *(name for _, packages in EXTRAS.values() for name in packages)}
    versions = {name: found for name in sorted(names) if (found := _version(name)) is not None}
    torch = _look_at_torch()
    return Machine(
        versions=versions,
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
        torch=torch,
        nvidia=Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None,
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory=_memory(),
        torchvision=_import_error("torchvision") if "torchvision" in versions else None,
        bundled={} if isinstance(torch, str) else _look_at_bundled(),
        hub=_look_at_hub() if "huggingface_hub" in versions else None,
    )


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _look_at_torch() -> Torch | str:
    try:
        import torch
    except Exception as error:  # an OSError where a library that it needs is missing, and who knows what else
        return _first_line(error)
    cuda, hip = torch.version.cuda, torch.version.hip
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        devices = tuple(_device(k) for k in range(count))
    try:
        ones = torch.ones(2, 2, dtype=torch.bfloat16)
        bfloat16 = bool((ones @ ones == 2).all())
    except RuntimeError:
        bfloat16 = False
    said = str(caught[0].message).splitlines()[0] if caught else None
    toolkit = f"CUDA {cuda}" if cuda else f"ROCm {hip}" if hip else None
    return Torch(str(torch.__version__), toolkit, devices, bfloat16, said)


def _device(k: int) -> Device:
    import torch

    with torch.cuda.device(k):
        facts = torch.cuda.get_device_properties(k)
        return Device(facts.name, facts.total_memory, torch.cuda.is_bf16_supported(including_emulation=False))


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _memory() -> int | None:
    try:
        import psutil
    except ImportError:
        try:
            return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        except (AttributeError, ValueError, OSError):  # not a Unix
            return None
    return int(psutil.virtual_memory().total)


def _import_error(module: str) -> str | None:
    """What importing a module says where it fails, in another process: it may take this one down."""
    command = [sys.executable, "-c", f"import {module}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"cannot be tried ({type(error).__name__})"
    if done.returncode == 0:
        return None
    return (done.stderr.strip().splitlines() or [f"ends with {done.returncode}"])[-1]


def _look_at_bundled() -> dict[str, str | None]:
    try:
        from sfumato.backends.registry import bundled_models

        return {name: _wrong_with(entry.path) for name, entry in bundled_models().items()}
    except Exception as error:  # whatever breaks sfumato itself is what a doctor is asked for
        return {"models": f"cannot be read ({type(error).__name__}: {_first_line(error)})"}


def _wrong_with(path: Path) -> str | None:
    """What is wrong with weights that have their SHA-256 beside them."""
    from sfumato.files import sha256
    from sfumato.models.weights import load_weights, undivided

    about = undivided(path).with_suffix(".json")
    try:
        files = load_weights(path).files
        told = json.loads(about.read_text(encoding="utf-8"))["sha256"]
        return None if sha256(*files) == told else f"{path} is not the file that it was"
    except SfumatoError as error:
        return str(error)
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"{about} is damaged: {error}"


def _look_at_hub() -> Hub | str:
    from sfumato.backends import hub

    try:
        cache = hub.cache_folder()
    except ImportError as error:
        return _first_line(error)
    there = next(parent for parent in (cache, *cache.absolute().parents) if parent.is_dir())
    known = hub.hub_models().values()
    models: dict[str, str | None] = {}
    for model in known:
        if hub.find(model) is not None:
            try:
                hub.check(model)
                models[model.name] = None
            except SfumatoError as error:
                models[model.name] = str(error)
    return Hub(
        token=hub.has_token(),
        offline=hub.is_offline(),
        cache=cache,
        writable=os.access(there, os.W_OK),
        free=shutil.disk_usage(there).free,
        models=models,
        largest=max(model.gigabytes() or 0.0 for model in known),
    )
