"""What a request may ask for at most: a job can be well formed and never end, or want all memory there is."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from sfumato.errors import UsageError

MOST_COUNT = 64
"""Pictures of each kind in a request, and times or starts."""
MOST_JOBS = 256
"""Pictures in a run."""
MOST_WAITING = 200
"""Runs in the queue."""
MOST_PICTURES = 20_000
"""Pictures in a data set."""
_MOST = {"readings": 32, "regions": 32, "parts": 32, "larger": 4}
"""Entries of the lists of a job."""
_MOST_VIEWS = 32
"""Views in a chain."""
_MOST_LENGTH = 1000.0
"""Pixels that a filter reaches."""
_MOST_CROPS = 2000
"""Of a panorama: each is a row of the model in every step."""
_NUMBER = re.compile(r"[-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?")

RECIPE = {
    "epochs": 10_000,
    "steps": 10_000_000,
    "width": 512,
    "batch_size": 4096,
    "size": 256,
    "timesteps": 10_000,
    "sample_steps": 10_000,
    "keep_checkpoints": 100,
    "warmup": 10_000_000,
}
"""The largest numbers of a recipe."""


def check_bounds(job: Mapping[str, Any]) -> None:
    """Raise UsageError for a job, complete or not and of whatever types, that asks for too much."""
    for name, most in _MOST.items():
        value = job.get(name)
        if isinstance(value, list) and len(value) > most:
            raise UsageError(f"{name}: {len(value)} are more than the studio's {most}")
    readings = job.get("readings")
    for reading in readings if isinstance(readings, list) else ():
        view = reading.get("view") if isinstance(reading, Mapping) else None
        if isinstance(view, str) and view.count("+") >= _MOST_VIEWS:
            raise UsageError(f"readings: a chain has at most {_MOST_VIEWS} views here, not {view.count('+') + 1}")
    factors, sigma = job.get("factors"), job.get("sigma")
    given = _NUMBER.findall(factors) if isinstance(factors, str) else []
    if any(abs(_float(number)) > _MOST_LENGTH for number in (*given, sigma)):
        raise UsageError(f"filters reach {_MOST_LENGTH:g} pixels at most")


def check_crops(width: int, height: int, overlap: float, part: tuple[int, int]) -> None:
    """Raise UsageError for a panorama of more crops, of `part` (height, width) pixels, than one can wait for."""
    many = 1
    for whole, own in zip((height, width), part, strict=True):
        many *= math.ceil(max(0, whole - own) / max(1, round(own * (1 - overlap)))) + 1
    if many > _MOST_CROPS:
        raise UsageError(
            f"a panorama of {width}×{height} pixels with overlap {overlap:g} is made of {many:,} crops; "
            f"{_MOST_CROPS:,} are the most here"
        )


def check_recipe(settings: Mapping[str, Any]) -> None:
    """Raise UsageError for settings of a training, of whatever types, that ask for too much."""
    for name, most in RECIPE.items():
        value = settings.get(name)
        if isinstance(value, int | float) and value > most:
            raise UsageError(f"{name}: {value:g} is more than the studio's {most:,}")


def _float(value: Any) -> float:
    """A number; 0 for what is none, of which others complain."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0
    except OverflowError:
        return math.inf
