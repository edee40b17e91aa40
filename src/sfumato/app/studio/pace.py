"""How long a run will take yet: from its own steps, and before these from an earlier run of the same model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from sfumato.app.studio.records import Run


@dataclass
class Pace:
    """The steps of a run as they come."""

    run: Run
    earlier: Run | None
    """The last run of the same model that is done."""
    clock: Callable[[], float]
    """Seconds; only differences count."""
    total: int = 0
    """Steps of the run, where they are known."""
    _began: float = field(init=False)
    _first: tuple[float, int] | None = field(default=None, init=False)
    """When its first step was done, and which that was: a training that goes on begins with another than 1."""
    _last: tuple[float, int] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._began = self.clock()

    def step(self, done: int) -> None:
        """So many steps are done."""
        if done > 0:
            self._last = (self.clock(), done)
            self._first = self._first or self._last

    def left(self) -> float | None:
        """The seconds until its end; None where nobody knows."""
        if not self.total:
            return None
        if self._first is not None and self._last is not None and self._last[1] > self._first[1]:
            each = (self._last[0] - self._first[0]) / (self._last[1] - self._first[1])
            there, done = self._last
            return max(0.0, each * (self.total - done) - (self.clock() - there))
        whole = self._as_before()
        return None if whole is None else max(0.0, whole - (self.clock() - self._began))

    def _as_before(self) -> float | None:
        """What it takes if a step of a picture takes as long as it did in the earlier run."""
        before = self.earlier
        if before is None or before.started is None or before.finished is None or not before.total * before.jobs:
            return None
        return (before.finished - before.started) * self.total * self.run.jobs / (before.total * before.jobs)
