"""Each side of a row in a process of its own: what one does with its memory is not the other's business."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from multiprocessing.connection import Connection
from typing import Literal, get_args

from benchmarks.paired import Case
from benchmarks.rows import ROWS
from sfumato.app.heap import keep_freed_memory

Side = Literal["plain", "ours"]


@contextmanager
def apart(name: str) -> Iterator[Case]:
    """The row of a name; each of its sides waits in its process until it is called.

    Ours keeps the memory that it frees, as the program does; the plain way leaves that to its system.
    """
    with in_process(name, "plain") as plain, in_process(name, "ours", keep_freed_memory) as ours:
        yield replace(plain, ours=ours.ours)


@contextmanager
def in_process(name: str, side: Side, first: Callable[[], object] | None = None) -> Iterator[Case]:
    """The row of a name, with one side of it in a new process: both functions of the case call that one.

    `first` is called in the process before the row is made there.
    """
    context = multiprocessing.get_context("spawn")
    connection, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, name, side, first), daemon=True)
    process.start()
    theirs.close()

    def answer() -> dict[str, object]:
        try:
            facts: dict[str, object] = connection.recv()
        except EOFError:
            raise SystemExit(f"the process of {name}, {side}, has ended") from None
        return facts

    def call() -> None:
        connection.send(None)
        answer()

    try:
        yield Case(plain=call, ours=call, **answer())  # type: ignore[arg-type]
    finally:
        connection.close()
        process.join(5)
        process.kill()


def _serve(connection: Connection, name: str, side: Side, first: Callable[[], object] | None) -> None:
    if first is not None:
        first()
    case = ROWS[name]()
    connection.send(
        {field.name: getattr(case, field.name) for field in fields(case) if field.name not in get_args(Side)}
    )
    call = getattr(case, side)
    while True:
        try:
            connection.recv()
        except EOFError:
            return
        call()
        connection.send({})
