"""Those who watch a training: a terminal, a file's lines, TensorBoard."""

from __future__ import annotations

import shutil
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from PIL import Image

from sfumato.app.output import terminal_preview, zoom_for
from sfumato.errors import SfumatoError
from sfumato.images import read_image, to_tensor
from sfumato.training.trainer import Progress, Trainer

if TYPE_CHECKING:
    from rich.console import Console

BARS = "▁▂▃▄▅▆▇█"
SPARKS = 24
"""Bars of the small curve, at most."""


@runtime_checkable
class Watcher(Protocol):
    """Is told what happens."""

    def step(self, progress: Progress) -> None:
        """A step is done."""
        ...

    def samples(self, progress: Progress, file: Path) -> None:
        """A sheet of samples has been written."""
        ...


def sparkline(values: list[float]) -> str:
    """Numbers as small bars, the largest one full: a curve in a line of text."""
    low, high = min(values, default=0.0), max(values, default=0.0)
    scale = (len(BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(BARS[round((value - low) * scale)] for value in values)


class Lines:
    """For a file or a pipe: a line an epoch."""

    def __init__(self, epochs: int) -> None:
        self._epochs, self._mean = epochs, _Mean()

    def step(self, progress: Progress) -> None:
        """A line with the last step of an epoch."""
        mean = self._mean(progress.loss)
        if progress.epoch_ends:
            print(
                f"epoch {progress.epoch}/{self._epochs}: step {progress.step}, loss {mean:.4f}",
                file=sys.stderr,
                flush=True,
            )

    def samples(self, progress: Progress, file: Path) -> None:
        """Nothing."""


class Terminal(AbstractContextManager["Terminal"]):
    """For a person: a bar with the time that is left, the loss as a small curve, and samples as they come."""

    def __init__(self, trainer: Trainer, console: Console) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        self._bar = Bar(
            TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
            BarColumn(20),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]:.4f} {task.fields[curve]}"),
            TimeRemainingColumn(),
            console=console,
        )
        self._console, self._mean = console, _Mean()
        self._task = self._bar.add_task(
            "train", total=trainer.total_steps, epoch=0, epochs=trainer.recipe.epochs, loss=float("nan"), curve=""
        )
        self._every = max(1, trainer.total_steps // (2 * SPARKS))
        self._curve: list[float] = []
        self._height = trainer.data.shape[1]

    def __enter__(self) -> Terminal:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def step(self, progress: Progress) -> None:
        """The bar goes on."""
        mean = self._mean(progress.loss)
        if progress.step % self._every == 0:
            self._curve = [*self._curve, mean][-SPARKS:]
        curve = sparkline(self._curve)
        self._bar.update(self._task, completed=progress.step, epoch=progress.epoch, loss=mean, curve=curve)

    def samples(self, progress: Progress, file: Path) -> None:
        """As many of the first row as fit into the terminal."""
        from rich.text import Text

        zoom = zoom_for(self._height)
        image = read_image(file)
        small = image.resize((image.width // zoom, image.height // zoom), Image.Resampling.NEAREST)
        row = small.crop((0, 0, min(small.width, shutil.get_terminal_size().columns - 1), self._height + 2))
        preview = terminal_preview(to_tensor(row, None, 3)[None], shutil.get_terminal_size().columns)
        self._console.print(f"samples after epoch {progress.epoch}: {file}", highlight=False)
        self._console.print(Text.from_ansi(preview))


def check_tensorboard(wanted: bool) -> None:
    """Raise SfumatoError where TensorBoard is wanted and not installed: better before there is a run than after."""
    if wanted:
        _writer()


def _writer() -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise SfumatoError("TensorBoard is not installed: pip install 'sfumato[tensorboard]'") from error
    return SummaryWriter


class TensorBoard(AbstractContextManager["TensorBoard"]):
    """Writes the loss, the learning rate and samples where TensorBoard reads them.

    Raises SfumatoError when it is not installed.
    """

    def __init__(self, folder: Path) -> None:
        self._writer: Any = _writer()(str(folder))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    def step(self, progress: Progress) -> None:
        """A point of each curve."""
        self._writer.add_scalar("loss", progress.loss, progress.step)
        self._writer.add_scalar("lr", progress.lr, progress.step)

    def samples(self, progress: Progress, file: Path) -> None:
        """The sheet as a picture."""
        self._writer.add_image("samples", to_tensor(read_image(file), None, 3), progress.step)


def watch(trainer: Trainer, *, quiet: bool) -> AbstractContextManager[Watcher | None]:
    """Whoever looks at standard error: a person, a file, or nobody."""
    if quiet:
        return nullcontext(None)
    from rich.console import Console

    console = Console(stderr=True)
    return Terminal(trainer, console) if console.is_terminal else nullcontext(Lines(trainer.recipe.epochs))


class _Mean:
    """A running mean of the loss, of which single steps say little."""

    def __init__(self) -> None:
        self._value: float | None = None

    def __call__(self, loss: float) -> float:
        self._value = loss if self._value is None else 0.9 * self._value + 0.1 * loss
        return self._value
