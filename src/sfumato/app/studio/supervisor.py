"""The parent's side of the queue: the next run goes to the worker, and what it says becomes rows and events."""

from __future__ import annotations

import logging
import multiprocessing
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from sfumato.app.studio.child import Child, Gone, Process
from sfumato.app.studio.events import Events
from sfumato.app.studio.records import ENDED, Cancel, Ended, NewRun, Ready, Run, Said
from sfumato.app.studio.running import Running
from sfumato.app.studio.store import TOO_OFTEN, Store
from sfumato.app.studio.worker import LOG
from sfumato.errors import SfumatoError

PATIENCE = 10.0
"""Seconds that a cancelled run has to end before its worker is killed."""
FAREWELL = 5.0
"""Seconds that a run has to end, and a training to save, when the studio stops."""
START = 300.0
"""Seconds that a worker has to start."""
PAUSES = (0.0, 0.5, 2.0, 10.0, 30.0)
"""Seconds before a worker is started again, after so many that ended at once."""
AT_ONCE = 10.0
"""A worker that ends within so many seconds, at no run, has ended at once."""
LOOK_EVERY, LOOK_OFTEN = 1.0, 0.25
"""Seconds between two looks at what there is to do; the shorter ones while a cancelled run is waited for."""
HEARD_TOGETHER = 50
"""Messages of the worker that are heard before anything else is looked after."""
TOLD_NEXT = 10
"""Of the queue, so many runs are told how many are before them when that changes."""

_log = logging.getLogger("sfumato.studio")


@dataclass(eq=False)
class Supervisor:
    """Has the queue of a store done, one run at a time, by a worker that may be killed and is started again.

    All its work is done by one thread; the methods may be called from any other.
    """

    store: Store
    events: Events
    folder: Path
    device: str = "auto"
    """Where the worker computes, as torch names it, or auto."""
    hire: Callable[[Path, str], Child] = Process
    """Starts a worker."""
    clock: Callable[[], float] = time.monotonic
    computes_on: str | None = field(default=None, init=False)
    """Where the worker computes; None before it has said so."""
    trouble: str | None = field(default=None, init=False)
    """Why nothing is being done, in one line; None when all is well."""

    def __post_init__(self) -> None:
        self._guard = threading.RLock()
        self._child: Child | None = None
        self._ready = False
        self._hired = 0.0
        self._failures = 0
        """Workers in a row that ended at once."""
        self._not_before = self.clock()
        self._now: Running | None = None
        self._stale = False
        """Whether the store holds runs that nobody is at any more."""
        self._stopping = False
        self._bell, self._ring = multiprocessing.Pipe(duplex=False)
        self._rung = False
        self._thread = threading.Thread(target=self._work, name="sfumato-supervisor", daemon=True)

    def start(self) -> None:
        """Queue again what a server that was killed left behind, and begin."""
        self.store.recover()
        self._thread.start()

    def stop(self) -> None:
        """Let the worker end; what it was at is queued, a training from where it is. Waits for it, some seconds."""
        self._stopping = True
        self.wake()
        if self._thread.ident is not None:
            self._thread.join()
        with self._guard:
            self._rung = True  # there is nobody to wake any more
            self._bell.close()
            self._ring.close()

    def submit(self, new: Sequence[NewRun]) -> list[Run]:
        """Queue runs, and tell everybody."""
        runs = self.store.add_runs(new)
        for run in runs:
            self._tell_run(run)
        self.wake()
        return runs

    def cancel(self, run_id: int) -> bool:
        """Give up a run: a queued one at once, a running one soon. False where there is no such, or it has ended."""
        with self._guard:
            run = self.store.run(run_id)
            if run is None or run.state in ENDED:
                return False
            if self._now is not None and self._now.run.id == run_id:
                self._now.cancelled = self._now.cancelled or self.clock()
            else:
                self._tell_run(self.store.change(run_id, state="cancelled"))
                self._tell_queue()
        self.wake()
        return True

    def describe(self, run: Run) -> dict[str, Any]:
        """A run as the page is told of it: as fresh as can be, with the time that it will take yet."""
        now = self._now
        if now is not None and now.run.id == run.id and run.state not in ENDED:
            return now.describe()
        return run.to_dict(ahead=self.store.ahead(run.id) if run.state == "queued" else 0)

    def wake(self) -> None:
        """There is something to do."""
        with self._guard:
            if not self._rung:
                self._rung = True
                self._ring.send_bytes(b"!")

    # The thread.

    def _work(self) -> None:
        while not self._stopping:
            try:
                self._round()
            except Exception as error:  # this thread is all that keeps the queue going
                self._give_up(error)
        self._finish()

    def _round(self) -> None:
        """Wait for something to happen, and do what there is to do."""
        if self._stale:
            for run in self.store.recover(f"the studio could not go on, {TOO_OFTEN}: {self.trouble}"):
                self._tell_run(run)
            self._stale, self.trouble = False, None
        self._hire()
        self._begin()
        self._pass_on_cancel()
        if self._now is not None:
            self._now.keep_up()
        self._listen(LOOK_OFTEN if self._now is not None and self._now.cancelled is not None else LOOK_EVERY)

    def _listen(self, seconds: float) -> None:
        """Hear what the worker says, for so long or until something was heard."""
        sources = [self._bell] if self._child is None else [self._bell, self._child.connection]
        heard = wait(sources, max(0.0, seconds))
        if self._bell in heard:
            with self._guard:
                self._bell.recv_bytes()
                self._rung = False
        try:
            for _ in range(HEARD_TOGETHER):
                message = None if self._child is None else self._child.heard()
                if message is None:
                    return
                self._hear(message)
        except Gone:
            self._lose()

    def _hire(self) -> None:
        """Start a worker where there is none; one that has hung while it started is ended."""
        now = self.clock()
        if self._child is not None and not self._ready and now - self._hired > START:
            self._lose()
        if self._child is None and now >= self._not_before:
            self._hired, self._ready = now, False
            self._child = self.hire(self.folder, self.device)

    def _begin(self) -> None:
        """Give the worker the next run."""
        if self._child is None or not self._ready or self._now is not None:
            return
        with self._guard:
            run = self.store.next_run()
            if run is None:
                return
            run = self.store.change(run.id, state="running", total=0, notes=())
            self._now = Running(self.store, self.events, run, self.clock)
        self._tell_run(run)
        self._tell_queue()
        try:
            self._child.tell(run.ordered(self.folder))
        except Gone:
            self._lose()

    def _pass_on_cancel(self) -> None:
        """Tell the worker that its run is given up, and end it when it does not listen."""
        now = self._now
        if now is None or now.cancelled is None or self._child is None:
            return
        try:
            if not now.told:
                now.told = True
                self._child.tell(Cancel(now.run.id))
            if self.clock() - now.cancelled > PATIENCE:
                self._lose()
        except Gone:
            self._lose()

    def _hear(self, message: Said) -> None:
        """Turn a message into rows and events."""
        if isinstance(message, Ready):
            self._ready, self.computes_on, self.trouble = True, message.device, None
            self.events.publish("hello", {}, "the studio")
        now = self._now
        if now is None or message.run != now.run.id:
            return
        if isinstance(message, Ended):
            self._end(message)
        else:
            now.hear(message)

    def _end(self, message: Ended) -> None:
        now = self._now
        assert now is not None
        self._failures = 0
        if message.state == "cancelled" and now.cancelled is None:  # the studio stops
            self._close(state="queued", done=0, total=0)
        else:
            self._close(state=message.state, error=message.error)
        if now.run.kind == "training":
            self.events.publish("hello", {}, "the studio")  # there is another model

    def _lose(self) -> None:
        """The worker has ended, or is made to: what it was at is tried again, but not for ever."""
        child, self._child = self._child, None
        if child is None:
            return
        how = child.end()
        at_once = not self._ready or (self._now is None and self.clock() - self._hired < AT_ONCE)
        self._failures = self._failures + 1 if at_once else 0
        if at_once and not self._stopping:
            self.trouble = f"the worker ended {how} as soon as it was started; its log is {self.folder / LOG}"
            _log.warning("%s", self.trouble)
        self._not_before = self.clock() + PAUSES[min(self._failures, len(PAUSES) - 1)]
        self._ready = False
        now = self._now
        if now is None:
            return
        if now.cancelled is not None:
            self._close(state="cancelled")
        elif self._stopping:
            self._close(state="queued", done=0, total=0)
        else:
            with self._guard:
                self._now = None
                now.close()
                because = f"it ended the worker {TOO_OFTEN}, the last time {how}"
                if how == "by SIGKILL":
                    because += ", as a system does that is short of memory"
                self._told(self.store.set_back(now.run, because))

    def _give_up(self, error: Exception) -> None:
        """Something failed that has nothing to do with the run, such as a full disk: begin again, after a while."""
        _report(error)
        self.trouble = str(error)
        with self._guard:
            self._now, self._stale = None, True
        child, self._child = self._child, None
        if child is not None:
            child.end()
        self._failures += 1
        self._not_before = self.clock() + PAUSES[min(self._failures, len(PAUSES) - 1)]
        while not self._stopping and self.clock() < self._not_before:
            self._listen(self._not_before - self.clock())

    def _finish(self) -> None:
        """Let the worker end what it can in a few seconds."""
        deadline = self.clock() + FAREWELL
        try:
            if self._now is not None and self._child is not None and not self._now.told:
                self._child.tell(Cancel(self._now.run.id))
            while self._now is not None and self.clock() < deadline:
                self._listen(deadline - self.clock())
        except Gone:
            pass
        except Exception as error:  # the run is found at the next start, and queued again
            _report(error)
        try:
            self._lose()
        except Exception as error:
            _report(error)

    def _close(self, **changes: Any) -> None:
        """The worker is at the run no longer."""
        with self._guard:
            now, self._now = self._now, None
            assert now is not None
            self._told(now.close(**changes))

    def _told(self, run: Run) -> None:
        """Tell everybody how a run has ended, or that it waits again."""
        self.events.forget("preview", str(run.id))
        self._tell_run(run)
        self._tell_queue()

    def _tell_run(self, run: Run) -> None:
        self.events.publish("run", self.describe(run), f"{run.id} {run.state}")

    def _tell_queue(self) -> None:
        """Tell those who wait how many are before them now."""
        for run in self.store.queue(TOLD_NEXT):
            self._tell_run(run)


def _report(error: Exception) -> None:
    """To whoever looks at the terminal."""
    if isinstance(error, SfumatoError):
        _log.error("%s", error)
    else:
        _log.error("the queue has stumbled", exc_info=error)
