"""What is known of the training of a bundled model: its recipe, how far it came, and the log of its loss."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from PIL import Image

from sfumato.app.command import train_command
from sfumato.app.report.chart import Series, chart, smoothed
from sfumato.app.report.figures import Html
from sfumato.backends.registry import bundled_models
from sfumato.images import read_image


@dataclass(frozen=True)
class Training:
    """A training as its files beside the weights tell it."""

    about: dict[str, Any]
    """Steps, epochs, whether it finished, recipe, data, environment."""
    log: tuple[dict[str, Any], ...]
    """Step, epoch, loss and learning rate, a line for each stretch of steps."""

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
        return (
            f"The loss falls from {first:.3g} to {last:.3g} {self.progress}, with batches of {recipe['batch_size']}, "
            f"width D = {recipe['width']}, and Adam at {recipe['lr']:g}."
        )


def epoch_sheets(name: str) -> dict[int, Image.Image]:
    """Samples that the training of a bundled model left after its epochs, as far as they are in the package."""
    path = bundled_models()[name].path
    found = sorted((path.parent / "epochs").glob(f"{path.stem}-*.png"))
    return {int(file.stem.rpartition("-")[2]): read_image(file) for file in found}


def training(name: str) -> Training | None:
    """The training of a bundled model; None where its files are not in the package."""
    path = bundled_models()[name].path
    about, log = path.with_suffix(".json"), path.with_suffix(".log.jsonl")
    if not about.is_file() or not log.is_file():
        return None
    lines = log.read_text(encoding="utf-8").splitlines()
    return Training(json.loads(about.read_text(encoding="utf-8")), tuple(json.loads(line) for line in lines))
