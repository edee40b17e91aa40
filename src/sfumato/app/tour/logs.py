"""What is known of the training of a model: its recipe, how far it came, its loss, and what it drew meanwhile."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from sfumato.app.command import train_command
from sfumato.app.report.chart import Series, chart, smoothed
from sfumato.app.report.figures import Html
from sfumato.backends.registry import bundled_models
from sfumato.images import read_image
from sfumato.models.weights import undivided
from sfumato.training.directory import RunDirectory


@dataclass(frozen=True)
class Training:
    """A training as its files tell it."""

    about: dict[str, Any]
    """Steps, epochs, epochs_of_recipe, finished, recipe; of a bundled model also sha256 and more."""
    log: tuple[dict[str, Any], ...]
    """Step, epoch, loss and learning rate, a line for each stretch of steps."""
    sheets: tuple[tuple[int, Path], ...] = ()
    """The files of samples that it left after some epochs."""

    @property
    def progress(self) -> str:
        """How far it came."""
        epochs, planned = self.about["epochs"], self.about["epochs_of_recipe"]
        steps = f"{self.about['steps']:,} steps".replace(",", "\u202f")
        if self.about["finished"]:
            return f"after {planned:g} epochs ({steps})"
        return f"after {epochs:.3g} of {planned:g} epochs ({steps}, training unfinished)"

    @property
    def command(self) -> str:
        """The command that trains it."""
        return train_command(self.about["recipe"])

    @property
    def losses(self) -> tuple[float, float]:
        """The first of the log, and the mean of its last tenth."""
        values = [row["loss"] for row in self.log]
        last = values[-max(1, len(values) // 10) :]
        return values[0], sum(last) / len(last)

    def curve(self, caption: str) -> Html:
        """The loss over the steps."""
        points = tuple((float(row["step"]), float(row["loss"])) for row in self.log)
        mean = smoothed(points, max(1, len(points) // 30))
        series = [Series("loss", points, faint=True), Series("its running mean", mean)]
        return chart(series, "step", "loss", caption, log_y=True)

    def sees(self) -> str:
        """What the curve shows."""
        first, last = self.losses
        recipe = self.about["recipe"]
        width = f", width D = {recipe['width']}" if recipe.get("width") else ""
        return (
            f"The loss goes from {first:.3g} to {last:.3g} {self.progress}, with batches of {recipe['batch_size']}"
            f"{width}, and Adam at {recipe['lr']:g}."
        )

    def epochs(self, most: int = 8) -> dict[int, Image.Image]:
        """Samples after some epochs, at most so many, the first and the last among them."""
        chosen = self.sheets
        if len(chosen) > most:
            chosen = tuple(chosen[round(k * (len(chosen) - 1) / (most - 1))] for k in range(most))
        return {epoch: read_image(path) for epoch, path in chosen}


def training(name: str) -> Training | None:
    """The training of a bundled model, or of a run directory; None where there are no files of it, or no log yet."""
    known = bundled_models().get(name)
    if known is None:
        return _of_run(Path(name))
    whole = undivided(known.path)
    about, log = whole.with_suffix(".json"), whole.with_suffix(".log.jsonl")
    if not about.is_file() or not log.is_file():
        return None
    lines = log.read_text(encoding="utf-8").splitlines()
    sheets = sorted((known.path.parent / "epochs").glob(f"{whole.stem}-*.png"))
    return Training(
        json.loads(about.read_text(encoding="utf-8")),
        tuple(json.loads(line) for line in lines),
        tuple((int(file.stem.rpartition("-")[2]), file) for file in sheets),
    )


def _of_run(path: Path) -> Training | None:
    run = RunDirectory(path)
    if not run.recipe_file.is_file():
        return None
    recipe, log = run.recipe(), run.metrics()
    if not log:
        return None
    finished = run.result_file.is_file()
    # The log counts the epoch that it is in.
    epochs = recipe.epochs if finished else log[-1]["epoch"] - 1
    about = {
        "steps": log[-1]["step"],
        "epochs": epochs,
        "epochs_of_recipe": recipe.epochs,
        "finished": finished,
        "recipe": recipe.model_dump(mode="json"),
    }
    sheets = sorted(run.sample_file(1).parent.glob("epoch-*.png"))
    return Training(about, tuple(log), tuple((int(file.stem.rpartition("-")[2]), file) for file in sheets))
