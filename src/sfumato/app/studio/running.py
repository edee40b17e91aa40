"""The run that the worker is at: what the worker says of it becomes rows and events."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from sfumato.app.studio.events import Events
from sfumato.app.studio.pace import Pace
from sfumato.app.studio.records import Began, Kept, Made, Noted, Run, Said, Sampled, Stepped, Trained
from sfumato.app.studio.store import Store

WRITE_EVERY = 1.0
"""Seconds between two notes of a run's progress in the store, at least."""


@dataclass(eq=False)
class Running:
    """A run, from its beginning to its end."""

    store: Store
    events: Events
    run: Run
    """Fresher than its row."""
    clock: Callable[[], float]
    cancelled: float | None = None
    """When a user gave it up."""
    told: bool = False
    """Whether the worker knows that it is to end."""
    _reached: int = field(init=False)
    """The step that a training had come to before."""
    _written: float = field(init=False)
    """When its row was written."""
    _unwritten: bool = field(default=False, init=False)
    """Whether it has come further since."""

    def __post_init__(self) -> None:
        self._pace = Pace(self.run, self.store.last_done(self.run.model), self.clock)
        self._reached = (self.run.training or {}).get("step", 0)
        self._written = self.clock()

    def describe(self) -> dict[str, Any]:
        """As the page is told of it, with the time that it will take yet."""
        return self.run.to_dict(eta=self._pace.left())

    def hear(self, message: Said) -> None:
        """Take in what the worker says of it."""
        match message:
            case Began():
                self._pace.total = message.total
                self._change(total=message.total, notes=(*self.run.notes, *message.notes))
            case Noted():
                self._change(notes=(*self.run.notes, message.note))
            case Stepped():
                self._step(message)
            case Made():
                shown = self.store.add_picture(message, self.run.model)
                self.events.publish("picture", shown.to_dict(), str(shown.id))
            case Kept():
                self._change(strip=message.strip)
            case Trained():
                self._train(message)
            case Sampled():
                self.store.add_sample(message.run, message.epoch, message.file)
                samples = [{"epoch": epoch, "file": file} for epoch, file in self.store.samples(message.run).items()]
                self.run = replace(self.run, training={**(self.run.training or {}), "samples": samples})
                self._tell_training()

    def keep_up(self) -> None:
        """Note its progress, but not at every step: each note is a disk's whole turn."""
        if self._unwritten and self.clock() - self._written >= WRITE_EVERY:
            self._change()

    def close(self, **changes: Any) -> Run:
        """Write down how it has ended; its row."""
        return self._save(**changes)

    def _step(self, message: Stepped) -> None:
        self._pace.step(message.done)
        self._further(done=message.done)
        if message.x:
            about = {"run": message.run, "stage": message.stage, "step": message.step, "of": message.of, "t": message.t}
            pictures = {"x": [_data_url(png) for png in message.x], "x0": [_data_url(png) for png in message.x0]}
            self.events.publish("preview", {**about, **pictures}, str(message.run))

    def _train(self, message: Trained) -> None:
        self._pace.step(message.step)
        self._pace.total = message.of
        plain = {key: value for key, value in asdict(message).items() if key != "run"}
        # One that has come further than the times before may be interrupted again.
        attempts = 0 if message.step > self._reached else self.run.attempts
        training = {**(self.run.training or {}), **plain}
        self._further(done=message.step, total=message.of, training=training, attempts=attempts)
        self._tell_training()

    def _further(self, **changes: Any) -> None:
        self.run, self._unwritten = replace(self.run, **changes), True
        self.keep_up()

    def _change(self, **changes: Any) -> None:
        """Change its row, and tell everybody."""
        self.run = replace(self.run, **changes)
        self._save(**changes)
        self.events.publish("run", self.describe(), f"{self.run.id} {self.run.state}")

    def _save(self, **changes: Any) -> Run:
        own = {name: getattr(self.run, name) for name in ("done", "total", "training", "attempts")}
        saved = self.store.change(self.run.id, **{**own, **changes})
        self._written, self._unwritten = self.clock(), False
        return saved

    def _tell_training(self) -> None:
        data = self.run.training_dict()
        if data is not None:
            self.events.publish("training", data, str(self.run.id))


def _data_url(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
