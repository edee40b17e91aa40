"""The run directory: what lies where, and what a result may depend on besides recipe and data."""

from __future__ import annotations

import importlib.metadata
import json
import platform
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sfumato.errors import SfumatoError, UsageError
from sfumato.files import locked, write_text
from sfumato.training.recipe import Recipe, parse


@dataclass(frozen=True)
class RunDirectory:
    """Where a training leaves everything, and all that it needs to go on."""

    path: Path

    @property
    def recipe_file(self) -> Path:
        """The resolved recipe."""
        return self.path / "recipe.json"

    @property
    def skipped_file(self) -> Path:
        """What was left out of the data and why, where something was."""
        return self.path / "skipped.json"

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
        with self.locked():
            self.check_new()
            write_text(self.path / "environment.json", json.dumps(environment(), indent=2) + "\n")
            write_text(self.recipe_file, recipe.model_dump_json(indent=2) + "\n")

    def locked(self) -> AbstractContextManager[None]:
        """Keep other processes from training here. Raises UsageError when one does."""
        return locked(self.path / ".lock", f"another process trains in {self.path}; stop it or choose another folder")

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
