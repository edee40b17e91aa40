"""The worker as its parent holds it: a process that is started afresh, spoken to through a pipe, and killed."""

from __future__ import annotations

import multiprocessing
import pickle
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any, Protocol

from sfumato.app.studio.records import Cancel, Order, Said
from sfumato.app.studio.worker import main

LAST_WORDS = 1.0
"""Seconds that a process has to end by itself."""


class Gone(Exception):
    """The worker has ended."""


class Child(Protocol):
    """A worker. It is told orders and cancels, and says messages."""

    @property
    def connection(self) -> Any:
        """What `multiprocessing.connection.wait` waits for: something was said, or it has ended."""
        ...

    def tell(self, message: Order | Cancel) -> None:
        """Send it a message. Raises Gone."""
        ...

    def heard(self) -> Said | None:
        """The next message that it has sent; None where there is none at the moment. Raises Gone after the last."""
        ...

    def end(self) -> str:
        """Make sure that it has ended; in a few words how it did."""
        ...


class Process:
    """A worker in a process of its own. It ends when the parent does, however that ends."""

    def __init__(self, folder: Path, device: str) -> None:
        # Not forked: a process with threads and a GPU cannot be. And it must not inherit the parent's end of the pipe.
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=main, args=(theirs, folder, device), name="sfumato-worker", daemon=True)
        with deaf_to_interrupts():
            self._process.start()
        theirs.close()

    @property
    def pid(self) -> int | None:
        """Of the process."""
        return self._process.pid

    def tell(self, message: Order | Cancel) -> None:
        """Send it a message. Raises Gone."""
        try:
            self.connection.send(message)
        except OSError as error:
            raise Gone from error

    def heard(self) -> Said | None:
        """The next message that it has sent; None where there is none at the moment. Raises Gone after the last."""
        try:
            message = self.connection.recv() if self.connection.poll() else None
        except (EOFError, OSError, pickle.UnpicklingError) as error:  # the last one may be cut off
            raise Gone from error
        assert message is None or isinstance(message, Said)
        return message

    def end(self) -> str:
        """Make sure that it has ended; in a few words how it did."""
        self.connection.close()  # which it takes for the end
        self._process.join(LAST_WORDS)
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join()
        code = self._process.exitcode
        self._process.close()
        if code is not None and code < 0:
            with suppress(ValueError):
                return f"by {signal.Signals(-code).name}"
        return f"with exit code {code}"


@contextmanager
def deaf_to_interrupts() -> Iterator[None]:
    """What is started here never gets a Ctrl-C, which a terminal sends to children too: they wait for their parent."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # it changes the mask when it starts
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
