"""Preparing what is needed next while something else is computed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Value = TypeVar("Value")


def ahead(function: Callable[[Item], Value], items: Iterable[Item], depth: int) -> Iterator[Value]:
    """The function of each item, in order, computed by another thread up to `depth` items before it is asked for.

    With `depth` 0 nothing is computed before its time. What the function raises is raised here.
    """
    if depth == 0:
        yield from map(function, items)
        return
    waiting: deque[Future[Value]] = deque()
    with ThreadPoolExecutor(1) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > depth:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
