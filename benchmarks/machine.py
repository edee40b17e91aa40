"""What a table must say of the machine it was made on, and the fastest that its convolutions go."""

from __future__ import annotations

import platform
import statistics
from importlib.metadata import version
from pathlib import Path

import torch
from torch.nn import functional as F

from benchmarks.paired import timed

SHAPES = {"cpu": (64, 128, 14, 14), "cuda": (64, 512, 64, 64)}
"""Of the convolution that the peak is measured with. On a processor one that fits into the cache, as those of our
networks do; on a GPU one that takes far longer than it takes to start."""


def processor() -> str:
    """Its name, as the system has it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def facts() -> str:
    """A line about the machine and the versions."""
    parts = (
        f"{processor()}, {torch.get_num_threads()} threads",
        f"{platform.system()} {platform.machine()}",
        f"Python {platform.python_version()}",
        *(f"{name} {version(name)}" for name in ("torch", "sfumato")),
    )
    return "; ".join(parts)


def peak(dtype: torch.dtype, device: str = "cpu") -> float:
    """Floating-point operations a second of a 3×3 convolution in channels-last layout, the best of many."""
    shape = SHAPES[torch.device(device).type]
    x = torch.randn(shape, dtype=dtype, device=device).to(memory_format=torch.channels_last)
    channels = shape[1]
    weight = torch.randn(channels, channels, 3, 3, dtype=dtype, device=device).to(memory_format=torch.channels_last)

    def call() -> None:
        for _ in range(20):
            F.conv2d(x, weight, padding=1)
        if device != "cpu":
            torch.cuda.synchronize()

    with torch.no_grad():
        call()
        seconds = statistics.median(sorted(timed(call) for _ in range(9))[:3])
    batch, _, height, width = shape
    return 20 * 2 * 9 * channels**2 * height * width * batch / seconds
