"""Where the weights of a large model go, by the memory that is there."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from typing import Literal

import torch

from sfumato.backends.parts import Residence

Mode = Literal["auto", "low", "lowest"]
MODES: tuple[Mode, ...] = ("auto", "low", "lowest")

ROOM = 0.85
"""Of the free memory that weights may take: the rest is for activations."""


@dataclass(frozen=True)
class Placement:
    """Where the parts of a model compute, and how they are held. The text encoder is freed before the network loads."""

    network: Residence
    text: Residence
    text_device: torch.device
    keep: bool
    """Whether the network stays loaded when the next stage of a cascade runs."""


def free_bytes(device: torch.device) -> int:
    """Memory that a device could still give."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        import psutil

        return int(psutil.virtual_memory().available)
    except ImportError:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")


def place(mode: Mode, device: torch.device, network: int, text: int, free: dict[str, int] | None = None) -> Placement:
    """A placement for a network and a text encoder of so many bytes.

    `auto` takes the fastest that fits: the text encoder on the device, else on the CPU, else streamed from the disk;
    the network on the device, else streamed. `low` reads prompts on the CPU, or on a GPU in 8 bits where bitsandbytes
    is installed, and lets each stage of a cascade go before the next. `lowest` holds one layer at a time.

    `free` is the memory by type of device, measured where it is not given.
    """
    if mode == "lowest":
        return Placement("streamed", "streamed", device, keep=False)
    cpu, known = torch.device("cpu"), free or {}
    room = {
        where.type: ROOM * (known[where.type] if where.type in known else free_bytes(where)) for where in (device, cpu)
    }
    eight_bit = device.type == "cuda" and importlib.util.find_spec("bitsandbytes") is not None
    readers: list[tuple[Residence, torch.device, float]] = [("resident", device, text), ("resident", cpu, text)]
    if mode == "low":
        readers = [("8-bit", device, 0.55 * text)] if eight_bit else readers[1:]
    fitting = [(how, at) for how, at, size in readers if size <= room[at.type]]
    reader, where = fitting[0] if fitting else ("streamed", device)
    resident = network <= room[device.type]
    keep = mode == "auto" and 2 * network <= room[device.type]
    return Placement("resident" if resident else "streamed", reader, where, keep)


def explain(placement: Placement, mode: Mode, device: torch.device, network: int, text: int) -> str | None:
    """One line about a placement that is slower than the fastest; None when nothing had to give way."""
    gives = []
    if text and placement.text == "streamed":
        gives.append(f"the text encoder ({_gb(text)}) reads layer by layer from the disk")
    elif text and placement.text == "8-bit":
        gives.append(f"the text encoder ({_gb(text)}) reads in 8 bits")
    elif text and placement.text_device != device:
        gives.append(f"the text encoder ({_gb(text)}) reads on the CPU")
    if placement.network == "streamed":
        gives.append(f"the network ({_gb(network)}) computes layer by layer from the disk, which is slow")
    if not gives:
        return None
    why = "as --memory asks" if mode != "auto" else f"{_gb(free_bytes(device))} are free on {device}"
    return f"{why}: {' and '.join(gives)}"


def _gb(size: float) -> str:
    return f"{size / 1e9:.1f} GB"
