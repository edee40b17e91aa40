"""A training in a run directory: log, checkpoints, the averaged weights after epochs, the result."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from sfumato.errors import UsageError
from sfumato.files import clear_leftovers, write_text, writing
from sfumato.models.weights import save_weights
from sfumato.training.checkpoint import Checkpoint, check_finite, digest, latest_checkpoint, save_checkpoint, tidy
from sfumato.training.directory import RunDirectory, environment
from sfumato.training.trainer import Progress, Trainer


def train(
    run: RunDirectory,
    trainer: Trainer,
    *,
    stop: Callable[[], bool] = lambda: False,
    warn: Callable[[str], None] = lambda _: None,
) -> Iterator[Progress]:
    """Train in a run directory, continuing from its newest valid checkpoint if it has one.

    A checkpoint is written every `checkpoint_every` steps, after every epoch whose weights are kept, and when `stop`
    returns True; the generator then ends early. The log is cut back to the checkpoint, so it reads as if nothing had
    happened. The step of that checkpoint is yielded once more, for the crash may have hit what was made of it.

    `warn` is told in one line of every damaged checkpoint. Raises UsageError when another process trains here, and
    SfumatoError when a file cannot be written or the state is no longer finite; the last checkpoint stays as it is.
    """
    recipe, processes = trainer.recipe, trainer.processes
    if not processes.first:
        yield from _accompany(trainer, stop)
        return
    with run.locked():
        checkpoint = _restore(run, trainer, warn)
        trainer.synchronise()
        with _Log(run, checkpoint) as log:
            if checkpoint is not None and "progress" in checkpoint.facts:
                yield Progress(**checkpoint.facts["progress"])
            for progress in trainer.run():
                last = progress.step == trainer.total_steps
                log.add(progress, complete=last or progress.step % recipe.log_every == 0)
                kept = last or (progress.epoch_ends and recipe.keeps(progress.epoch))
                stopping = processes.any(stop(), trainer.device)
                saved = kept or stopping or progress.step % recipe.checkpoint_every == 0
                if saved:
                    log.sync()
                    _save(run, trainer, log, progress, kept)
                if saved and not stopping:  # tidying reads every checkpoint, and who is to stop is in a hurry
                    tidy(run.checkpoints, recipe.keep_checkpoints, recipe.keep_best, warn)
                yield progress
                # Alone it may also stop for what was asked while it saved; others would not know.
                if saved and not last and (stopping or (processes.count == 1 and stop())):
                    return
            save_average(run.model_file, trainer, torch.float32)
            result = {"steps": trainer.step, "loss": log.rows[-1]["loss"], "sha256": state_digests(trainer)}
            write_text(run.result_file, json.dumps(result, indent=2) + "\n")


def _accompany(trainer: Trainer, stop: Callable[[], bool]) -> Iterator[Progress]:
    """The part of a process that is not the first: its rows of every step, and no files."""
    trainer.synchronise()
    for progress in trainer.run():
        stopping = trainer.processes.any(stop(), trainer.device)
        yield progress
        if stopping:
            return


def _restore(run: RunDirectory, trainer: Trainer, warn: Callable[[str], None]) -> Checkpoint | None:
    """Clear up after a crash and go to the newest checkpoint that is whole, or to the beginning."""
    clear_leftovers(run.path)
    tidy(run.checkpoints, trainer.recipe.keep_checkpoints, trainer.recipe.keep_best, warn)
    checkpoint = latest_checkpoint(run.checkpoints)
    if checkpoint is not None:
        if checkpoint.facts["data"] != trainer.data.fingerprint:
            raise UsageError(
                f"the data are not those that {run.path} was trained on; put them back, or begin another run "
                f"with --init {run.path}"
            )
        trainer.restore(checkpoint)
    else:
        trainer.begin()
    return checkpoint


def _save(run: RunDirectory, trainer: Trainer, log: _Log, progress: Progress, kept: bool) -> None:
    """Write a checkpoint and, where they are kept, the averaged weights."""
    groups = trainer.groups()
    check_finite(progress.step, groups)
    if kept:  # first, for a step that has a checkpoint is never done again
        save_average(run.epoch_file(progress.epoch), trainer, torch.float16)
    facts = {
        "data": trainer.data.fingerprint,
        "pending": log.pending,
        "progress": asdict(progress),
        "loss": log.mean(trainer.steps_per_epoch),
        "recipe": trainer.recipe.model_dump(mode="json"),
    }
    save_checkpoint(run.checkpoints, progress.step, groups, facts)


class _Log:
    """The log while a training writes it: its rows, and the losses that no row tells of yet."""

    def __init__(self, run: RunDirectory, checkpoint: Checkpoint | None) -> None:
        self.step = 0 if checkpoint is None else checkpoint.step
        self.pending: list[float] = [] if checkpoint is None else list(checkpoint.facts["pending"])
        self.rows = [row for row in run.metrics() if row["step"] <= self.step]
        self._path = run.metrics_file

    def add(self, progress: Progress, complete: bool) -> None:
        """Take a step in, and write a row when it is `complete`."""
        self.step = progress.step
        self.pending.append(progress.loss)
        if not complete:
            return
        loss = round(sum(self.pending) / len(self.pending), 7)
        row = {"step": progress.step, "epoch": progress.epoch, "loss": loss, "lr": progress.lr}
        self.rows.append(row)
        self.pending.clear()
        with writing(self._path):
            self._file.write(json.dumps(row) + "\n")

    def mean(self, steps: int) -> float | None:
        """The mean loss of the rows of the last `steps` steps; None before so many, or without a row."""
        losses = [row["loss"] for row in self.rows if row["step"] > self.step - steps]
        return sum(losses) / len(losses) if losses and self.step >= steps else None

    def sync(self) -> None:
        """Let the rows survive a power cut."""
        with writing(self._path):
            self._file.flush()
            os.fsync(self._file.fileno())

    def __enter__(self) -> _Log:
        write_text(self._path, "".join(json.dumps(row) + "\n" for row in self.rows))
        with writing(self._path):
            self._file = self._path.open("a", encoding="utf-8", buffering=1)
        return self

    def __exit__(self, *_: object) -> None:
        with writing(self._path):
            self._file.close()


def state_digests(trainer: Trainer) -> dict[str, str]:
    """SHA-256 of weights, average and optimizer: equal for equal trainings."""
    groups = trainer.groups()
    moments = {f"{key}/{name}": t for key in ("exp_avg", "exp_avg_sq") for name, t in groups[key].items()}
    return {"weights": digest(groups["network"]), "ema": digest(groups["ema"]), "optimizer": digest(moments)}


def save_average(path: Path, trainer: Trainer, dtype: torch.dtype, shard_bytes: int | None = None) -> tuple[Path, ...]:
    """Write a trainer's averaged weights, and where they came from; the files, which are several with `shard_bytes`."""
    return save_weights(path, trainer.config, trainer.ema, facts_of(trainer), dtype, shard_bytes)


def facts_of(trainer: Trainer) -> dict[str, Any]:
    """Recipe, progress, data and environment of a training, as plain data."""
    return {
        "recipe": trainer.recipe.model_dump(mode="json"),
        "step": trainer.step,
        "epoch": trainer.step / trainer.steps_per_epoch,
        "data": {
            "name": trainer.data.name,
            "sha256": trainer.data.fingerprint,
            "pictures": len(trainer.data),
            "pixel_range": trainer.data.pixel_range,
            **trainer.data.facts,
        },
        "environment": environment(),
    }
