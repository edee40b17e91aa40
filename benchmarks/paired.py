"""Two ways of doing the same, timed in turns: what else the machine does meanwhile hits both."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """A row of a table: the plain way and ours, each a function that does `count` of the unit."""

    name: str
    plain: Callable[[], object]
    ours: Callable[[], object]
    count: float
    """Units that a call of either makes."""
    unit: str
    flops: float = 0.0
    """Floating-point operations of the plain way for one unit; 0 where nobody counts them."""
    note: str = ""


@dataclass(frozen=True)
class Outcome:
    """What came out: seconds for a call of each, and how many times faster ours is."""

    case: Case
    plain: float
    ours: float
    ratio: float
    low: float
    """The lower quartile of the ratios of single rounds."""
    high: float
    """The upper one."""
    rounds: int

    @property
    def rates(self) -> tuple[float, float]:
        """Units a second, the plain way and ours."""
        return self.case.count / self.plain, self.case.count / self.ours


def compare(case: Case, rounds: int = 7, on_round: Callable[[int], None] = lambda _: None) -> Outcome:
    """Warm both up, then call them in turns; medians, and the quartiles of the ratio."""
    case.plain()
    case.ours()
    pairs = []
    for k in range(rounds):
        # Who begins changes, so that neither always follows the other's heat.
        order = (case.plain, case.ours) if k % 2 == 0 else (case.ours, case.plain)
        seconds = {call: timed(call) for call in order}
        pairs.append((seconds[case.plain], seconds[case.ours]))
        on_round(k)
    ratios = sorted(plain / ours for plain, ours in pairs)
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
    plain, ours = (statistics.median(column) for column in zip(*pairs, strict=True))
    return Outcome(case, plain, ours, middle, low, high, rounds)


def timed(call: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun
