"""The run directory: recipe, environment, log, checkpoints, the averaged weights after every epoch, the result."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sfumato.errors import SfumatoError, UsageError
from sfumato.files import write_text
from sfumato.models.weights import save_weights
from sfumato.training.checkpoint import digest, latest_checkpoint, save_checkpoint
from sfumato.training.recipe import Recipe, parse
from sfumato.training.trainer import Progress, Trainer


@dataclass(frozen=True)
class RunDirectory:
    """Where a training leaves everything, and all that it needs to go on."""

    path: Path

    @property
    def recipe_file(self) -> Path:
        """The resolved recipe."""
        return self.path / "recipe.json"

    @property
    def metrics_file(self) -> Path:
        """One JSON object a line: step, epoch, loss, lr."""
        return self.path / "metrics.jsonl"

    @property
    def checkpoints(self) -> Path:
        """Folder of checkpoints."""
        return self.path / "checkpoints"

    @property
    def model_file(self) -> Path:
        """The averaged weights at the end."""
        return self.path / "model.safetensors"

    @property
    def result_file(self) -> Path:
        """Steps, last loss and SHA-256 of weights, average and optimizer at the end."""
        return self.path / "result.json"

    def epoch_file(self, epoch: int) -> Path:
        """The averaged weights after an epoch (counted from 1), in half precision."""
        return self.path / "epochs" / f"epoch-{epoch:03d}.safetensors"

    def sample_file(self, epoch: int) -> Path:
        """Sample pictures after an epoch."""
        return self.path / "samples" / f"epoch-{epoch:03d}.png"

    def check_new(self) -> None:
        """Raise UsageError when a run cannot begin here."""
        if self.recipe_file.exists():
            raise UsageError(f"{self.path} holds a run already; continue it with --resume or choose another --out")
        if self.path.exists() and not self.path.is_dir():
            raise UsageError(f"{self.path} is a file, not a folder")

    def create(self, recipe: Recipe) -> None:
        """Begin a run here. Raises UsageError when there is one already."""
        self.check_new()
        write_text(self.path / "environment.json", json.dumps(environment(), indent=2) + "\n")
        write_text(self.recipe_file, recipe.model_dump_json(indent=2) + "\n")

    def recipe(self) -> Recipe:
        """The recipe of the run that is here. Raises UsageError when there is none."""
        try:
            data = json.loads(self.recipe_file.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise UsageError(f"no run in {self.path} (it has no recipe.json)") from error
        except (OSError, ValueError) as error:
            raise SfumatoError(f"cannot read {self.recipe_file}: {error}") from error
        return parse(data, str(self.recipe_file))

    def metrics(self) -> list[dict[str, Any]]:
        """The log, oldest first; a line cut off by a crash is left out."""
        if not self.metrics_file.exists():
            return []
        rows = []
        for line in self.metrics_file.read_text(encoding="utf-8").splitlines():
            try:
                rows.append(json.loads(line))
            except ValueError:
                break
        return rows


def environment() -> dict[str, Any]:
    """What a result may depend on besides recipe and data."""
    return {
        "sfumato": importlib.metadata.version("sfumato"),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "system": platform.system(),
        "machine": platform.machine(),
        "threads": torch.get_num_threads(),
    }


def train(run: RunDirectory, trainer: Trainer, *, stop: Callable[[], bool] = lambda: False) -> Iterator[Progress]:
    """Train in a run directory, continuing from its newest valid checkpoint if it has one.

    A checkpoint is written every `checkpoint_every` steps, after every epoch whose weights are kept, and when `stop`
    returns True; the generator then ends early. The log is cut back to the checkpoint, so it reads as if nothing had
    happened.
    """
    recipe = trainer.recipe
    pending: list[float] = []
    checkpoint = latest_checkpoint(run.checkpoints)
    if checkpoint is not None:
        if checkpoint.facts["data"] != trainer.data.fingerprint:
            raise UsageError(f"the data are not those that {run.path} was trained on; give the same --data")
        trainer.restore(checkpoint)
        pending = list(checkpoint.facts["pending"])
    kept = [row for row in run.metrics() if row["step"] <= trainer.step]
    write_text(run.metrics_file, "".join(json.dumps(row) + "\n" for row in kept))

    with run.metrics_file.open("a", encoding="utf-8") as log:
        for progress in trainer.run():
            pending.append(progress.loss)
            last = progress.step == trainer.total_steps
            if progress.step % recipe.log_every == 0 or last:
                mean = sum(pending) / len(pending)
                row = {
                    "step": progress.step,
                    "epoch": progress.epoch,
                    "loss": round(mean, 7),
                    "lr": progress.lr,
                }
                log.write(json.dumps(row) + "\n")
                pending.clear()
            stopping = stop()
            keep = last or (progress.epoch_ends and recipe.keeps(progress.epoch))
            if keep or stopping or progress.step % recipe.checkpoint_every == 0:
                log.flush()
                os.fsync(log.fileno())
                facts = {
                    "data": trainer.data.fingerprint,
                    "pending": pending,
                    "recipe": recipe.model_dump(mode="json"),
                }
                save_checkpoint(run.checkpoints, progress.step, trainer.groups(), facts, keep=recipe.keep_checkpoints)
            if keep:
                _save_average(run.epoch_file(progress.epoch), trainer, torch.float16)
            yield progress
            if stopping and not last:
                return
    _save_average(run.model_file, trainer, torch.float32)
    result = {
        "steps": trainer.step,
        "loss": run.metrics()[-1]["loss"],
        "sha256": state_digests(trainer),
    }
    write_text(run.result_file, json.dumps(result, indent=2) + "\n")


def state_digests(trainer: Trainer) -> dict[str, str]:
    """SHA-256 of weights, average and optimizer: equal for equal trainings."""
    groups = trainer.groups()
    moments = {f"{key}/{name}": t for key in ("exp_avg", "exp_avg_sq") for name, t in groups[key].items()}
    return {"weights": digest(groups["network"]), "ema": digest(groups["ema"]), "optimizer": digest(moments)}


def _save_average(path: Path, trainer: Trainer, dtype: torch.dtype) -> None:
    facts = {
        "recipe": trainer.recipe.model_dump(mode="json"),
        "step": trainer.step,
        "epoch": trainer.step / trainer.steps_per_epoch,
        "data": {
            "name": trainer.data.name,
            "sha256": trainer.data.fingerprint,
            "pictures": len(trainer.data),
            "pixel_range": trainer.data.pixel_range,
        },
        "environment": environment(),
    }
    save_weights(path, trainer.config, trainer.ema, facts, dtype)
