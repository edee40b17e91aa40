"""What the parts of the studio tell each other: rows of its store, orders to its worker, and the worker's messages."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

State = Literal["queued", "running", "done", "failed", "cancelled"]
ENDED: frozenset[State] = frozenset({"done", "failed", "cancelled"})
"""States that nothing follows on."""


@dataclass(frozen=True)
class Upload:
    """A picture that a user brought, decoded and written anew as a PNG."""

    id: str
    """SHA-256 of the PNG's bytes."""
    name: str
    """Of the file it came from."""
    width: int
    height: int
    mode: str
    job: dict[str, Any] | None = None
    """The job in its metadata, where it is one of ours."""
    parameters: str | None = None
    """The `parameters` text in its metadata, ours or another tool's."""

    def to_dict(self) -> dict[str, Any]:
        """As the page is told."""
        return {**_plain(self), "url": f"/api/uploads/{self.id}"}


@dataclass(frozen=True)
class Dataset:
    """Pictures that a user brought to train on, in a folder of the studio."""

    id: int
    name: str
    count: int
    labels: tuple[str, ...]
    """Of its classes; none where the pictures have no labels."""

    def to_dict(self) -> dict[str, Any]:
        """As the page is told."""
        return {**_plain(self), "labels": list(self.labels)}


@dataclass(frozen=True)
class Strip:
    """The steps of a run as one picture: a column for each step, and two rows, x_t and x̂₀, for each picture."""

    columns: int
    rows: int
    width: int
    """Of a cell, in pixels."""
    height: int
    levels: tuple[dict[str, float], ...]
    """t, alpha and sigma of each column; the last one is the clean picture."""


@dataclass(frozen=True)
class Order:
    """What the worker is to do: jobs that run together, or a training."""

    run: int
    folder: Path
    """The studio's."""
    jobs: tuple[dict[str, Any], ...] = ()
    """Complete jobs as data."""
    keep_steps: bool = False
    """Whether to leave a strip of the steps."""
    recipe: dict[str, Any] | None = None
    """A resolved recipe, for a training."""
    training: str | None = None
    """The name of the training's folder under `runs/`; it is resumed when it is there."""


@dataclass(frozen=True)
class Cancel:
    """The worker is to give up the order of this run; a training saves first."""

    run: int


@dataclass(frozen=True)
class Said:
    """A message of the worker about the run it is at."""

    run: int


@dataclass(frozen=True)
class Ready(Said):
    """It has started, and computes on this device. `run` is 0."""

    device: str


@dataclass(frozen=True)
class Began(Said):
    """The order is understood: this many steps are to be done, and this is what a user should know."""

    total: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Noted(Said):
    """A user should know this as well; it turned up on the way."""

    note: str


@dataclass(frozen=True)
class Stepped(Said):
    """A step is done. Pictures are PNG bytes at the model's size, at most four; none in steps that are not shown."""

    done: int
    """Of all steps of the run."""
    stage: int
    """Of a cascade; 0 is the first."""
    step: int
    """Of those of the batch that these pictures are in; 0 is the start."""
    of: int
    t: float
    x: tuple[bytes, ...] = ()
    x0: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class Reading:
    """What the judge read in a picture, looked at in one way."""

    look: str
    prompt: str
    """What was asked for."""
    read: str
    """What it reads first of all."""
    probability: float
    """Of what was asked for."""
    right: bool
    """Whether both are the same."""


@dataclass(frozen=True)
class Made(Said):
    """A picture is finished and lies in the folder `pictures` under this name."""

    file: str
    job: dict[str, Any]
    kind: str
    title: str
    command: str
    parameters: str
    width: int
    height: int
    readings: tuple[Reading, ...]


@dataclass(frozen=True)
class Kept(Said):
    """The steps lie in `frames/RUN.png`."""

    strip: Strip


@dataclass(frozen=True)
class Trained(Said):
    """A training is at this step."""

    step: int
    of: int
    epoch: int
    epochs: int
    loss: float
    lr: float
    per_second: float
    """Pictures a second, lately."""
    curve: tuple[tuple[int, float], ...]
    """Steps and losses, each the mean since the one before: at most 200."""


@dataclass(frozen=True)
class Sampled(Said):
    """A training has left a sheet of samples after this epoch, as this file of its run's folder."""

    epoch: int
    file: str


@dataclass(frozen=True)
class Ended(Said):
    """The order is done, given up because it was cancelled, or failed for the reason given in one line."""

    state: Literal["done", "cancelled", "failed"]
    error: str | None = None


@dataclass(frozen=True)
class NewRun:
    """What is to be queued."""

    kind: Literal["pictures", "training"]
    title: str
    model: str
    """As the page calls it."""
    order: dict[str, Any]
    """As in `Run`."""


@dataclass(frozen=True)
class Run:
    """A row of the queue."""

    id: int
    kind: Literal["pictures", "training"]
    title: str
    state: State
    model: str
    """As the page calls it."""
    created: float
    order: dict[str, Any]
    """`jobs` and `keep_steps`, or `recipe` and `training`: what the worker is given."""
    started: float | None = None
    finished: float | None = None
    error: str | None = None
    done: int = 0
    """Steps."""
    total: int = 0
    """Steps; 0 until the worker has understood the order."""
    attempts: int = 0
    """How often it has ended the worker."""
    notes: tuple[str, ...] = ()
    strip: Strip | None = None
    training: dict[str, Any] | None = None
    """The last `Trained` as data, and `samples`: epochs and files."""

    @property
    def jobs(self) -> int:
        """How many pictures are to be made."""
        return len(self.order.get("jobs", ()))

    def ordered(self, folder: Path) -> Order:
        """What the worker of the studio in this folder is told to do."""
        order = self.order
        return Order(
            self.id,
            folder,
            tuple(order.get("jobs", ())),
            bool(order.get("keep_steps")),
            order.get("recipe"),
            order.get("training"),
        )

    def to_dict(self, *, eta: float | None = None, ahead: int = 0) -> dict[str, Any]:
        """As the page is told: with the seconds that are left, where anybody knows, and the runs before it."""
        strip = self.strip
        frames = None if strip is None else {"url": f"/api/frames/{self.id}", **asdict(strip)}
        plain = _plain(self, "order", "strip")
        own = {"eta": eta, "ahead": ahead, "jobs": self.jobs, "notes": list(self.notes), "frames": frames}
        return {**plain, **own, "training": self.training_dict()}

    def training_dict(self) -> dict[str, Any] | None:
        """How far a training is, as the page is told; None where there is nothing to tell yet."""
        if self.training is None or "step" not in self.training:
            return None
        samples = [
            {"epoch": sample["epoch"], "url": f"/api/samples/{self.id}/{sample['epoch']}"}
            for sample in self.training.get("samples", ())
        ]
        return {**self.training, "run": self.id, "samples": samples}


@dataclass(frozen=True)
class Shown:
    """A picture of the gallery."""

    id: int
    run: int
    file: str
    width: int
    height: int
    title: str
    kind: str
    model: str
    seed: int
    created: float
    job: dict[str, Any]
    command: str
    parameters: str
    readings: tuple[Reading, ...] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        """As the page is told."""
        own = {"url": f"/api/pictures/{self.id}/file", "name": self.file}
        return {**_plain(self, "file"), **own, "readings": [asdict(reading) for reading in self.readings]}


def _plain(record: Upload | Dataset | Run | Shown, *but: str) -> dict[str, Any]:
    """The fields of a record by name. Not `asdict`, which copies all that is in them, pictures of jobs too."""
    return {each.name: getattr(record, each.name) for each in fields(record) if each.name not in but}
