"""Models that stay loaded from one order to the next, as far as memory allows."""

from __future__ import annotations

import gc
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch

from sfumato.app.job import Loader
from sfumato.app.jobs import AnyJob
from sfumato.backends.diffusers_folder import is_diffusers
from sfumato.backends.hub import reference
from sfumato.backends.model import Model
from sfumato.backends.registry import load

MOST = 4
"""Models that are kept beside those of an order."""
MOST_ORDERS = 256
"""After so many a model is loaded anew, for it remembers every prompt that it has read."""


@dataclass
class _Kept:
    model: Model
    stamp: tuple[int, ...]
    """Of its files."""
    orders: int = 0


class Shelf:
    """Models by name and dtype."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._kept: dict[tuple[str, str], _Kept] = {}

    def loader(self, jobs: Iterable[AnyJob]) -> Loader:
        """Where the models of an order come from.

        Each is loaded once, and again when its files have changed since the last order, as a training changes them.
        Before a large one is loaded the others are let go of: it looks how much memory there is.
        """
        needed = {(name, job.dtype) for job in jobs for name in (job.model, *(stage.model for stage in job.larger))}
        for key in needed & self._kept.keys():
            kept = self._kept[key]
            kept.orders += 1
            if kept.orders > MOST_ORDERS or kept.stamp != _stamp(key[0]):
                del self._kept[key]
        others = [key for key in self._kept if key not in needed]
        if any(_is_large(name) for name, _ in needed - self._kept.keys()):
            self._let_go(others)
        else:
            self._let_go(others[: max(0, len(others) - MOST)])
        return self._load

    def forget(self) -> None:
        """Let go of all of them."""
        self._let_go(list(self._kept))

    def _load(self, name: str, dtype: str) -> Model:
        key = (name, dtype)
        if key not in self._kept:
            stamp = _stamp(name)  # before it is read: what changes meanwhile is seen next time
            self._kept[key] = _Kept(load(name, self._device, dtype), stamp)
        return self._kept[key].model

    def _let_go(self, keys: list[tuple[str, str]]) -> None:
        for key in keys:
            del self._kept[key]
        if keys:
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()


def _is_large(name: str) -> bool:
    return reference(name) is not None or is_diffusers(Path(name))


def _stamp(name: str) -> tuple[int, ...]:
    """Changes when the weights of a run, a file or a folder do; of a model that is no path it is empty."""
    times = []
    for path in (Path(name), Path(name) / "epochs"):  # a file that gets its name in a folder changes the folder
        try:
            times.append(path.stat().st_mtime_ns)
        except OSError:
            continue
    return tuple(times)
