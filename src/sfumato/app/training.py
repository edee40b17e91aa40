"""A training as a person follows it: its data, a progress bar, samples after epochs, the loss curve."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from sfumato.app.output import save_image, sheet
from sfumato.backends.network import NetworkDenoiser
from sfumato.core.estimates import guided
from sfumato.core.filters import LowPass
from sfumato.core.levels import CLEAN
from sfumato.core.loop import Canvas, FromImage, sample
from sfumato.core.noise import stream
from sfumato.core.pixels import to_unit
from sfumato.core.schedules import Additive, strided
from sfumato.errors import UsageError
from sfumato.files import write_bytes
from sfumato.training.data import TrainingData
from sfumato.training.recipe import Recipe
from sfumato.training.run import RunDirectory, train
from sfumato.training.trainer import Progress, Trainer

Warn = Callable[[str], None]
SAMPLES = 40
"""Pictures in a sheet of samples; four of each class where there are ten."""


def begin(folder: Path, recipe: Recipe, device: str, warn: Warn) -> tuple[Trainer, RunDirectory]:
    """A new run. Raises UsageError before anything is written when the data or the recipe cannot be meant."""
    run = RunDirectory(folder)
    run.check_new()
    if recipe.data and Path(recipe.data).is_dir():
        # A run may be resumed from elsewhere.
        recipe = recipe.with_changes({"data": str(Path(recipe.data).resolve())})
    trainer = Trainer(recipe, recipe.load("train", warn), _device(device))
    run.create(recipe)
    return trainer, run


def resume_run(folder: Path, device: str, warn: Warn) -> tuple[Trainer, RunDirectory]:
    """The run that is there, its trainer not yet at the checkpoint."""
    run = RunDirectory(folder)
    recipe = run.recipe()
    return Trainer(recipe, recipe.load("train", warn), _device(device)), run


def follow(run: RunDirectory, trainer: Trainer, *, stop: Callable[[], bool], quiet: bool) -> None:
    """Train to the end or until `stop`, showing progress, and leave samples and the loss curve in the run."""
    with _bar(trainer, silent=quiet) as show:
        for progress in train(run, trainer, stop=stop):
            show(progress)
            if progress.epoch_ends:
                recipe, last = trainer.recipe, progress.step == trainer.total_steps
                shown = progress.epoch in recipe.sample_epochs if recipe.sample_epochs else recipe.keeps(progress.epoch)
                if shown or last:
                    save_image(sheet_of(trainer), run.sample_file(progress.epoch))
                title = f"recipe {recipe.name} on {Path(recipe.data).name}"
                draw_loss(run.path / "loss.png", run.metrics(), title)


def sheet_of(trainer: Trainer) -> Image.Image:
    """Samples of a trainer's averaged weights."""
    recipe = trainer.recipe
    model = NetworkDenoiser(
        recipe.name,
        trainer.average_network(),
        trainer.objective.schedule,
        recipe.prediction,
        pixel_range=trainer.data.pixel_range,
        low_res=trainer.objective.low_res,
    )
    return sample_sheet(model, recipe, trainer.data)


def sample_sheet(model: NetworkDenoiser, recipe: Recipe, data: TrainingData, zoom: int | None = None) -> Image.Image:
    """Samples with the recipe's steps and guidance; of a one-step denoiser clean, noisy and denoised rows of `data`."""
    if isinstance(model.schedule, Additive):
        return sheet(denoised_rows(model, data, max(model.schedule.sigmas)), columns=10, zoom=zoom)
    steps = min(recipe.sample_steps, model.most_steps)
    if model.low_res is not None:
        return sheet(enlarged_rows(model, data, steps, recipe.guidance), columns=10, zoom=zoom)
    prompts = data.prompts(SAMPLES) if model.conditioned else [None] * SAMPLES
    trees = [guided(prompt, scale=recipe.guidance) for prompt in prompts]
    canvases = [Canvas(tree, seed) for seed, tree in enumerate(trees)]
    pictures = sample(model, canvases, strided(model.schedule, steps), row_limit=64)
    return sheet(to_unit(pictures, model), columns=10, zoom=zoom)


def enlarged_rows(
    model: NetworkDenoiser, data: TrainingData, steps: int, guidance: float, n: int = 10
) -> Float[Tensor, "m c h w"]:
    """Rows of n small pictures with each pixel a square, the same made larger by the model, and the true large ones."""
    assert model.low_res is not None
    size = model.shape[-1]
    clean = data.batch(torch.arange(min(n, len(data))), stream(0, "rows"), model.device).pictures
    small = F.adaptive_avg_pool2d(clean, model.low_res.size)
    guides = [model.low_res.of(row, stream(0, "guide", k), size) for k, row in enumerate(small)]
    canvases = [Canvas(guided(None, scale=guidance), seed, guide=guide) for seed, guide in enumerate(guides)]
    larger = sample(model, canvases, strided(model.schedule, steps))
    return to_unit(torch.cat([F.interpolate(small, size=(size, size)), larger, clean]), model)


def denoised_rows(model: NetworkDenoiser, data: TrainingData, sigma: float, n: int = 10) -> Float[Tensor, "m c h w"]:
    """Rows of n clean pictures, the same with noise, and denoised in one step."""
    clean = data.batch(torch.arange(min(n, len(data))), stream(0, "rows"), model.device).pictures
    level = model.schedule.level(sigma)
    canvases = [Canvas(guided(None, scale=1), seed, FromImage(picture, level)) for seed, picture in enumerate(clean)]
    noisy = sample(model, canvases, (level,))
    return torch.cat([clean, noisy.clamp(0, 1), sample(model, canvases, (level, CLEAN)).clamp(0, 1)])


def draw_loss(path: Path, rows: Sequence[Mapping[str, Any]], title: str) -> None:
    """The loss curve of a log as a PNG, each logged mean and a smoothed line; nothing without matplotlib."""
    try:
        import matplotlib
    except ImportError:
        return
    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    if len(rows) < 2:
        return
    steps, losses = [row["step"] for row in rows], [row["loss"] for row in rows]
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(steps, losses, linewidth=0.6, alpha=0.4, color="tab:blue")
    smooth = max(1.0, len(losses) / 100)
    line = LowPass(smooth)(torch.tensor(losses)[None, None, None].expand(1, 1, 2, -1))[0, 0, 0]
    axes.plot(steps, line.tolist(), color="tab:blue")
    axes.set(xlabel="step", ylabel="loss", yscale="log", title=title)
    axes.grid(alpha=0.3)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    write_bytes(path, buffer.getvalue())


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"device {name!r} is not there ({str(error).splitlines()[0]}); try cpu") from error


@contextmanager
def _bar(trainer: Trainer, *, silent: bool) -> Iterator[Callable[[Progress], None]]:
    """Progress with the time that is left: a bar for a person, now and then a line for a file."""
    if silent:
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    columns = (
        TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]:.4f}"),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=console, disable=not sys.stderr.isatty()) as bar:
        epochs = trainer.recipe.epochs
        task = bar.add_task("train", total=trainer.total_steps, epoch=0, epochs=epochs, loss=float("nan"))
        mean = 0.0

        def show(progress: Progress) -> None:
            nonlocal mean
            mean = progress.loss if mean == 0 else 0.9 * mean + 0.1 * progress.loss
            bar.update(task, completed=progress.step, epoch=progress.epoch, loss=mean)
            if console.is_terminal:
                return
            if progress.epoch_ends:
                console.print(f"epoch {progress.epoch}/{epochs}: step {progress.step}, loss {mean:.4f}")

        yield show
