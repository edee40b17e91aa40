"""A network as one file: safetensors whose header says how to build it and where it came from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from sfumato.errors import SfumatoError, UsageError
from sfumato.files import write_bytes
from sfumato.models.course_unet import CourseUNet, CourseUNetConfig


@dataclass(frozen=True)
class Weights:
    """A network read from a file, in evaluation mode, float32, with the facts in the file's header."""

    network: CourseUNet
    facts: dict[str, Any]


def save_weights(
    path: Path,
    config: CourseUNetConfig,
    state: dict[str, Tensor],
    facts: dict[str, Any],
    dtype: torch.dtype = torch.float32,
) -> None:
    """Write a network's state, its floating tensors as `dtype`, with its configuration and `facts` (plain data)."""
    tensors = {
        name: (tensor.to(dtype) if tensor.is_floating_point() else tensor).contiguous().cpu()
        for name, tensor in state.items()
    }
    header = {"format": "sfumato", "network": json.dumps(config.to_dict()), "facts": json.dumps(facts)}
    write_bytes(path, save(tensors, header))


def load_weights(path: Path) -> Weights:
    """Read a network. Raises UsageError for a missing or foreign file, SfumatoError for a damaged one."""
    if not path.is_file():
        raise UsageError(f"no such weights: {path}")
    try:
        with safe_open(path, "pt") as file:
            header = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except SafetensorError as error:
        raise UsageError(f"{path} is not a safetensors file ({error})") from error
    if header.get("format") != "sfumato":
        raise UsageError(f"{path} has no sfumato header: it was not written by sfumato")
    try:
        config = CourseUNetConfig.from_dict(json.loads(header["network"]))
        facts: dict[str, Any] = json.loads(header["facts"])
        network = CourseUNet(config)
        network.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in state.items()})
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise SfumatoError(f"{path} is damaged: {error}".splitlines()[0]) from error
    return Weights(network.eval(), facts)
