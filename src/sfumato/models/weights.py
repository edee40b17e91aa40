"""A network as one file, whose header says how to build it and where it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sfumato.errors import SfumatoError
from sfumato.models.course_unet import CourseUNetConfig
from sfumato.models.network import Network, NetworkConfig
from sfumato.models.text_unet import TextUNetConfig
from sfumato.tensors import read_tensors, write_tensors

ARCHITECTURES: dict[str, type[NetworkConfig]] = {config.kind: config for config in (CourseUNetConfig, TextUNetConfig)}
"""The networks that a file can hold, by kind."""


@dataclass(frozen=True)
class Weights:
    """A network read from a file, in evaluation mode, float32, with the facts in the file's header."""

    network: Network
    facts: dict[str, Any]


def as_dtype(state: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """The state with its floating tensors as `dtype`; counters stay integers."""
    return {name: t.to(dtype) if t.is_floating_point() else t for name, t in state.items()}


def save_weights(
    path: Path,
    config: NetworkConfig,
    state: Mapping[str, Tensor],
    facts: Mapping[str, Any],
    dtype: torch.dtype = torch.float32,
) -> None:
    """Write a network's state, its floating tensors as `dtype`, with its configuration and `facts` (plain data)."""
    write_tensors(path, as_dtype(state, dtype), {"kind": config.kind, "network": config.to_dict(), "facts": facts})


def load_weights(path: Path) -> Weights:
    """Read a network. Raises UsageError for a missing or foreign file, SfumatoError for a damaged one."""
    state, header = read_tensors(path, *ARCHITECTURES)
    try:
        network = ARCHITECTURES[header["kind"]].from_dict(header["network"]).build()
        network.load_state_dict(as_dtype(state, torch.float32))
        facts: dict[str, Any] = header["facts"]
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise SfumatoError(f"{path} is damaged: {str(error).splitlines()[0]}") from error
    return Weights(network.eval(), facts)
