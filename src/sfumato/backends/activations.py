"""How much memory a forward takes beside the weights, on any device: by counting what its operations make."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

ROOM = 0.6
"""Of the free memory: what operations use inside themselves is not counted."""


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of the storages that operations make, as long as they live."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now: int = 0
        self.peak: int = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        del types
        out = func(*args, **(kwargs or {}))
        before = {leaf.untyped_storage()._cdata for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor) and (storage := leaf.untyped_storage())._cdata not in before:
                size = storage.nbytes()
                self.now += size
                self.peak = max(self.peak, self.now)
                weakref.finalize(storage, self._gone, size).atexit = False
        return out

    def _gone(self, size: int) -> None:
        self.now -= size


def peak_bytes(forward: Callable[[], object]) -> int:
    """The most memory that lives at once in what `forward` computes, in bytes; weights that were there are not in it.

    Works on the device `meta` too, where nothing is computed.
    """
    counter = _Counter()
    with counter:
        forward()
    return counter.peak


def rows_that_fit(forward: Callable[[], object], free: int) -> int:
    """How many rows of a forward fit into `free` bytes, measured by a `forward` of one row; 0 when none does."""
    return int(ROOM * free / max(1, peak_bytes(forward)))
