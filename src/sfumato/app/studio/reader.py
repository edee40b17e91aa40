"""Uploads become plain PNGs: decoded in a process of their own, with little memory and time, that may be killed.

The decoders of picture formats are where hostile files do their harm. What comes back is a picture written anew by us,
and of its metadata only a job that was understood.
"""

from __future__ import annotations

import json
import multiprocessing
import shutil
import tempfile
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from sfumato.app.studio import decoding
from sfumato.app.studio.child import deaf_to_interrupts
from sfumato.errors import SfumatoError, UsageError
from sfumato.files import writing

SECONDS = 5.0
"""That a picture may take."""
HEADROOM = 2 << 30
"""Bytes that a picture may take."""
START = 120.0
"""Seconds that a process has to start."""


@dataclass(frozen=True)
class Read:
    """A picture as it was read."""

    png: bytes
    """Mode L, RGB or RGBA; it carries the job, where there is one."""
    width: int
    height: int
    mode: str
    job: dict[str, Any] | None
    """Complete, as data."""
    parameters: str | None
    """What it says of its making, ours or another program's."""


@dataclass(eq=False)
class Reader:
    """Reads one picture after the other. Methods may be called from any thread."""

    seconds: float = SECONDS
    headroom: int = HEADROOM
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _child: tuple[BaseProcess, Connection] | None = field(default=None, init=False)
    _ready: bool = field(default=False, init=False)
    _folder: Path | None = field(default=None, init=False)
    _closed: bool = field(default=False, init=False)

    def start(self) -> None:
        """Start the process, so that the first picture need not wait for it."""
        with self._lock:
            if not self._closed:
                self._hire()

    def close(self) -> None:
        """End the process at once."""
        self._closed = True
        child = self._child
        if child is not None:
            with suppress(ValueError):  # it has been dismissed meanwhile
                child[0].kill()  # whoever reads right now is told
        with self._lock:
            self._dismiss()
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)
                self._folder = None

    def read(self, data: bytes, name: str) -> Read:
        """A picture from its bytes.

        Args:
            data: Of a PNG, JPEG, WebP or GIF file.
            name: What it is called, for the one line that says what is wrong.

        Raises UsageError for what is no picture, is damaged, or takes too much time or memory.
        """
        with self._lock:
            if self._closed:
                raise SfumatoError("the studio is stopping")
            child, connection = self._hire()
            if not self._ready:
                self._wait_until_ready()
            assert self._folder is not None
            path = self._folder / "upload"
            with writing(path):
                path.write_bytes(data)
            late = threading.Event()

            def end() -> None:
                late.set()
                child.kill()

            timer = threading.Timer(self.seconds, end)
            timer.start()
            try:
                connection.send_bytes(b"read")
                facts = json.loads(connection.recv_bytes())
                png = connection.recv_bytes() if "error" not in facts else b""
            except (EOFError, OSError) as error:
                self._dismiss()
                if self._closed:
                    raise SfumatoError("the studio is stopping") from error
                why = f"it takes more than {self.seconds:g} s" if late.is_set() else "it ended the process that read it"
                raise UsageError(f"cannot read the picture {name}: {why}") from error
            finally:
                timer.cancel()
                path.unlink(missing_ok=True)
            if late.is_set():  # in time after all, but killed: the next one gets another process
                self._dismiss()
        if "error" in facts:
            raise UsageError(f"cannot read the picture {name}: {facts['error']}")
        return Read(png, facts["width"], facts["height"], facts["mode"], facts["job"], facts["parameters"])

    def _hire(self) -> tuple[BaseProcess, Connection]:
        if self._child is not None and not self._child[0].is_alive():
            self._dismiss()
        if self._child is None:
            if self._folder is None:
                self._folder = Path(tempfile.mkdtemp(prefix="sfumato-"))
            context = multiprocessing.get_context("spawn")
            ours, theirs = context.Pipe()
            arguments = (theirs, self._folder / "upload", self.headroom)
            process = context.Process(target=decoding.main, args=arguments, name="sfumato-reader", daemon=True)
            with deaf_to_interrupts():
                process.start()
            theirs.close()
            self._child, self._ready = (process, ours), False
        return self._child

    def _wait_until_ready(self) -> None:
        assert self._child is not None
        connection = self._child[1]
        try:
            if not connection.poll(START):
                raise EOFError
            connection.recv_bytes()
        except (EOFError, OSError) as error:
            self._dismiss()
            raise SfumatoError("the process that reads pictures does not start; try again") from error
        self._ready = True

    def _dismiss(self) -> None:
        if self._child is None:
            return
        process, connection = self._child
        self._child, self._ready = None, False
        connection.close()
        process.kill()
        process.join()
        process.close()
