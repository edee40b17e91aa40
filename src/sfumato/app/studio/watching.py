"""What the worker shows while it works: previews of steps, a strip of all of them, and the curve of a training."""

from __future__ import annotations

import io
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from jaxtyping import Float
from PIL import Image
from torch import Tensor

from sfumato.app.run import Batch
from sfumato.app.studio.records import Order, Said, Sampled, Stepped, Strip, Trained
from sfumato.backends.model import Model
from sfumato.core.levels import Level
from sfumato.core.loop import Step
from sfumato.core.pixels import to_unit
from sfumato.files import number_of, numbered
from sfumato.images import to_image
from sfumato.training.directory import RunDirectory
from sfumato.training.trainer import Progress, Trainer

MOST_SHOWN = 4
"""Pictures of a batch that previews and strips show."""
PREVIEW_EVERY = 0.1
"""Seconds between two previews, at least."""
PREVIEW_SHARE = 0.1
"""Of the time, at most, that goes into previews."""
PREVIEW_SIDE = 512
CELL_SIDE = 256
"""Pixels of a side of a preview and of a picture in a strip, at most; larger ones are shown at a fraction."""
STRIP_WIDTH = 16_384
"""Pixels, at most: what browsers draw. Of a longer run evenly many steps are left out."""
TRAINED_EVERY = 0.5
"""Seconds between two messages of a training, at least."""
LATELY = 5.0
"""Seconds over which the speed of a training is measured."""
POINTS = 200
"""Of a curve, at most."""


class Cancelled(Exception):
    """The run was given up."""


@dataclass(eq=False)
class Steps:
    """Sees every step of an order: tells it, shows some, and keeps all where they are to be kept.

    The strip is that of the first stage; of batches that walk different paths it is that of the longest one.
    """

    order: Order
    say: Callable[[Said], None]
    cancelled: Callable[[], bool]
    longest: int
    """Steps of the longest batch in the first stage."""
    clock: Callable[[], float] = time.monotonic
    done: int = 0
    reel: Reel | None = None
    _kept: Batch | None = None
    _next: float = -math.inf
    """When the next preview may be."""

    def __call__(self, batch: Batch, step: Step) -> None:
        """A step is done. Raises Cancelled when the run has been given up."""
        if self.cancelled():
            raise Cancelled
        stage = len(batch.tasks[0].models) - 1
        self.done += step.index > 0
        if self.order.keep_steps and stage == 0 and step.total == self.longest and self._kept in (None, batch):
            self._kept = batch
            self.reel = self.reel or Reel(batch.model)
            self.reel.add(step)
        x, x0 = self._preview(batch.model, step)
        self.say(Stepped(self.order.run, self.done, stage, step.index, step.total, step.level.t, x, x0))

    def _preview(self, model: Model, step: Step) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
        now = self.clock()
        if now < self._next and step.index < step.total:
            return (), ()
        x, x0 = (
            tuple(_png(image) for image in small(tensor, model, PREVIEW_SIDE)) if tensor is not None else ()
            for tensor in (step.x, step.x0)
        )
        self._next = now + max(PREVIEW_EVERY, (self.clock() - now) / PREVIEW_SHARE)
        return x, x0


class Reel:
    """The steps of a batch as one picture: a column for each, and in it x_t and the x̂₀ that the model sees in it."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._every = 1
        self._levels: list[Level] = []
        self._x: list[list[Image.Image]] = []
        self._x0: list[list[Image.Image]] = []

    def add(self, step: Step) -> None:
        """The next step."""
        if step.index == 0:
            width = min(CELL_SIDE, step.x.shape[-1])
            self._every = math.ceil(step.total / max(1, STRIP_WIDTH // width - 1)) or 1
        if len(self._x0) < len(self._x):  # what was estimated on the way from the column before
            last = self._x0[-1] if self._x0 else self._x[-1]  # for a jump up nothing is
            self._x0.append(last if step.x0 is None else small(step.x0, self._model, CELL_SIDE))
        if step.index % self._every == 0 or step.index == step.total:
            self._x.append(small(step.x, self._model, CELL_SIDE))
            self._levels.append(step.level)

    def strip(self) -> tuple[Image.Image, Strip] | None:
        """The picture, and what is in it; None of a model whose canvases are no pictures."""
        if not self._x or not self._x[0]:
            return None
        estimates = [*self._x0, self._x[-1]][: len(self._x)]  # at the end there is nothing left to estimate
        first = self._x[0][0]
        rows, (width, height) = 2 * len(self._x[0]), first.size
        board = Image.new(first.mode, (width * len(self._x), height * rows))
        for column, (xs, x0s) in enumerate(zip(self._x, estimates, strict=True)):
            for k, (x, x0) in enumerate(zip(xs, x0s, strict=True)):
                board.paste(x, (column * width, 2 * k * height))
                board.paste(x0, (column * width, (2 * k + 1) * height))
        levels = tuple({"t": level.t, "alpha": level.alpha, "sigma": level.sigma} for level in self._levels)
        return board, Strip(len(self._x), rows, width, height, levels)


def small(x: Float[Tensor, "b c h w"], model: Model, side: int) -> list[Image.Image]:
    """The first few canvases as pictures of at most `side` pixels; none where canvases are no pictures."""
    if model.latent:
        return []
    images = [to_image(picture) for picture in to_unit(x[:MOST_SHOWN], model)]
    factor = math.ceil(max(images[0].size) / side)
    return [image.reduce(factor) for image in images] if factor > 1 else images


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


@dataclass(eq=False)
class Lessons:
    """Watches a training (see `app.live.Watcher`) and tells of it."""

    order: Order
    run: RunDirectory
    trainer: Trainer
    say: Callable[[Said], None]
    clock: Callable[[], float] = time.monotonic
    _curve: Curve | None = None
    _lately: deque[tuple[float, int]] = field(default_factory=deque)
    _said: float = -math.inf

    def step(self, progress: Progress) -> None:
        """A step is done."""
        now, first = self.clock(), self._curve is None
        if self._curve is None:
            self._curve = Curve()
            for row in self.run.metrics():  # of the steps before a training that goes on
                if row["step"] < progress.step:
                    self._curve.add(row["step"], row["loss"])
        self._curve.add(progress.step, progress.loss)
        self._lately.append((now, progress.step))
        while now - self._lately[0][0] > LATELY and len(self._lately) > 2:
            self._lately.popleft()
        if now - self._said >= TRAINED_EVERY or progress.step == self.trainer.total_steps:
            self._said = now
            self._tell(progress, self._curve)
        if first:
            for file in numbered(self.run.path / "samples", "epoch-*.png"):
                self._show(number_of(file), file)

    def samples(self, progress: Progress, file: Path) -> None:
        """A sheet of samples has been written."""
        self._show(progress.epoch, file)

    def _show(self, epoch: int, file: Path) -> None:
        self.say(Sampled(self.order.run, epoch, file.relative_to(self.run.path).as_posix()))

    def _tell(self, progress: Progress, curve: Curve) -> None:
        trainer = self.trainer
        (began, first), (ended, last) = self._lately[0], self._lately[-1]
        speed = (last - first) * trainer.recipe.batch_size / (ended - began) if ended > began else 0.0
        epochs = math.ceil(trainer.total_steps / trainer.steps_per_epoch)
        about = (progress.step, trainer.total_steps, progress.epoch, epochs, progress.loss, progress.lr)
        self.say(Trained(self.order.run, *about, speed, curve.points))


@dataclass
class _Point:
    place: int
    step: int
    total: float
    count: int


class Curve:
    """A curve of losses that never has more than so many points: each is the mean of as many steps as it takes."""

    def __init__(self, most: int = POINTS) -> None:
        self._most = most
        self._width = 1
        self._points: list[_Point] = []

    def add(self, step: int, loss: float) -> None:
        """The loss of a step, or the mean of the steps up to this one; steps come in order, from 1."""
        self._take(_Point((step - 1) // self._width, step, loss, 1))
        while len(self._points) > self._most:
            self._width *= 2
            finer, self._points = self._points, []
            for point in finer:
                self._take(_Point((point.step - 1) // self._width, point.step, point.total, point.count))

    @property
    def points(self) -> tuple[tuple[int, float], ...]:
        """Steps, the last one of each stretch, and mean losses."""
        return tuple((point.step, point.total / point.count) for point in self._points)

    def _take(self, new: _Point) -> None:
        if self._points and self._points[-1].place == new.place:
            last = self._points[-1]
            last.step, last.total, last.count = new.step, last.total + new.total, last.count + new.count
        else:
            self._points.append(new)
