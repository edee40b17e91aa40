"""The studio's worker: a process that does one order after the other, and ends when its parent does."""

from __future__ import annotations

import gc
import logging
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable
from functools import partial
from logging.handlers import RotatingFileHandler
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from sfumato.app import heap
from sfumato.app.studio.records import Cancel, Ended, Order, Ready, Said
from sfumato.errors import SfumatoError

if TYPE_CHECKING:
    from sfumato.app.studio.orders import Desk

LOG = "worker.log"
"""Where the tracebacks go, in the studio's folder."""
LOG_BYTES = 200_000
"""Of the log, and of the one before it."""
NICE = 10
"""How far the worker stands behind the server, of 19."""

_log = logging.getLogger("sfumato.studio.worker")


def main(connection: Connection, folder: Path, device: str = "auto") -> None:
    """Do what comes through the connection until it is closed.

    Takes `Order` and `Cancel`, says `Ready` and then what `orders` says, and `Ended` after every order.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    _give_way()
    heap.keep_freed_memory()
    inbox = Inbox(connection)
    _write_log(folder)
    try:
        from sfumato.app.studio.orders import Desk

        desk = Desk(device)
    except BaseException:
        _log.exception("the worker cannot start")
        raise

    def say(message: Said) -> None:
        try:
            connection.send(message)
        except OSError:
            _leave()

    say(Ready(0, desk.warm_up()))
    while True:
        order = inbox.next()
        say(carry_out(desk, order, say, partial(inbox.cancelled, order.run)))
        heap.return_freed_memory()  # others may want it until somebody asks for the next


def _give_way() -> None:
    """Let the server answer first where both want the processor: an answer takes milliseconds, an order seconds."""
    if sys.platform != "win32":
        os.nice(NICE)


class Inbox:
    """What the parent says, heard by a thread of its own: also in the middle of an order.

    When the parent has gone the process ends at once.
    """

    def __init__(self, connection: Connection) -> None:
        self._orders: queue.SimpleQueue[Order] = queue.SimpleQueue()
        self._cancelled: set[int] = set()
        threading.Thread(target=self._listen, args=(connection,), daemon=True).start()

    def next(self) -> Order:
        """The next order; waits for it."""
        return self._orders.get()

    def cancelled(self, run: int) -> bool:
        """Whether a run was cancelled."""
        return run in self._cancelled

    def _listen(self, connection: Connection) -> None:
        try:
            while True:
                match connection.recv():
                    case Order() as order:
                        self._orders.put(order)
                    case Cancel(run):
                        self._cancelled.add(run)
        except (EOFError, OSError):
            _leave()


def _leave() -> None:
    """The parent has gone: nobody wants the rest. Files are only written whole, so nothing is half done."""
    os._exit(0)


def carry_out(desk: Desk, order: Order, say: Callable[[Said], None], cancelled: Callable[[], bool]) -> Ended:
    """Do an order, and tell how it ended: in one line, whatever went wrong."""
    from sfumato.app.studio.orders import Cancelled

    try:
        desk.carry_out(order, say, cancelled)
        return Ended(order.run, "done")
    except Cancelled:
        return Ended(order.run, "cancelled")
    except SfumatoError as error:
        return Ended(order.run, "failed", _line(str(error)))
    except Exception as error:
        _log.exception("run %d failed", order.run)
        if not _is_shortage(error):
            return Ended(order.run, "failed", explained(error))
    # Behind the clause, where nothing holds the frames of what failed any longer.
    desk.forget()
    gc.collect()
    return Ended(order.run, "failed", SHORTAGE)


SHORTAGE = "out of memory; make fewer or smaller pictures at once, or end other programs"


def explained(error: Exception) -> str:
    """A failure that nobody foresaw, in one line."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}{f': {error.filename}' if error.filename else ''}"
    lines = str(error).strip().splitlines()
    return _line(f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__)


def _is_shortage(error: Exception) -> bool:
    """Whether memory was short: torch has an error of its own for GPUs, and a plain RuntimeError for processors."""
    words = ("out of memory", "can't allocate memory", "not enough memory")
    torch = sys.modules.get("torch")
    return (
        isinstance(error, MemoryError)
        or (torch is not None and isinstance(error, torch.OutOfMemoryError))
        or (isinstance(error, RuntimeError) and any(word in str(error).lower() for word in words))
    )


def _line(text: str) -> str:
    return " ".join(text.split())


def _write_log(folder: Path) -> None:
    handler = RotatingFileHandler(folder / LOG, maxBytes=LOG_BYTES, backupCount=1, encoding="utf-8", delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logging.getLogger().addHandler(handler)
    logging.captureWarnings(True)
