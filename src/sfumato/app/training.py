"""A training as a person follows it: its data, a progress bar, and what it leaves in its run directory to look at."""

from __future__ import annotations

import json
import math
import os
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

import torch

from sfumato.app.live import TensorBoard, Watcher, watch
from sfumato.app.output import save_image
from sfumato.app.run_pictures import animations, draw_loss, model_of, sample_sheet
from sfumato.app.run_report import run_report
from sfumato.backends.network import NetworkDenoiser
from sfumato.backends.registry import weights_file
from sfumato.errors import UsageError
from sfumato.files import sha256, write_bytes, write_text
from sfumato.models.weights import load_weights
from sfumato.training.datasets import NAMES, Skipped
from sfumato.training.directory import RunDirectory
from sfumato.training.distributed import join
from sfumato.training.recipe import Recipe
from sfumato.training.run import train
from sfumato.training.trainer import Progress, Trainer

Warn = Callable[[str], None]
SHORT, ENOUGH = 100, 1000
"""Steps after which there is nothing to be seen yet, and after which there mostly is."""


def begin(folder: Path, recipe: Recipe, device: str, warn: Warn) -> tuple[Trainer, RunDirectory]:
    """A new run. Raises UsageError before anything is written when the data or the recipe cannot be meant.

    Under torchrun every process gets a trainer of its own, and the first one the run.
    """
    run, where = RunDirectory(folder), _device(device)
    processes = join(where)
    if processes.first:
        run.check_new()
    if recipe.data and recipe.data not in NAMES and (data := Path(recipe.data).expanduser()).is_dir():
        # A run may be resumed from elsewhere.
        recipe = recipe.with_changes({"data": str(data.resolve())})
    if recipe.init:
        weights = load_weights(weights_file(recipe.init))
        first, *_ = weights.files
        recipe = recipe.with_changes({"init": str(first.resolve()), "init_sha256": sha256(*weights.files)})
    skipped: list[Skipped] = []
    trainer = Trainer(recipe, recipe.load("train", warn if processes.first else _nobody, skipped), where, processes)
    if processes.first:
        trainer.begin()  # better refused now than when the run is there
        _check_length(trainer, warn)
        run.create(recipe)
        if skipped:
            rows = [{"file": item.told, "reason": item.reason} for item in skipped]
            write_text(run.skipped_file, json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
    return trainer, run


def resume_run(folder: Path, device: str, warn: Warn) -> tuple[Trainer, RunDirectory]:
    """The run that is there, its trainer not yet at the checkpoint."""
    run, where = RunDirectory(folder), _device(device)
    recipe, processes = run.recipe(), join(where)
    if processes.first:
        with run.locked():
            pass  # better told now than after the data are read
    data = recipe.load("train", warn if processes.first else _nobody)
    return Trainer(recipe, data, where, processes), run


def _nobody(_: str) -> None:
    """Whom all but the first process tell."""


def follow(
    run: RunDirectory,
    trainer: Trainer,
    *,
    stop: Callable[[], bool],
    quiet: bool = False,
    tensorboard: bool = False,
    warn: Warn = lambda _: None,
    watchers: Sequence[Watcher] = (),
) -> bool:
    """Train to the end or until `stop`, showing progress, and leave samples, curves and a report in the run.

    `watchers` are told as well as those that `quiet` and `tensorboard` speak of. Says whether all is done: not when it
    was stopped, even while it made the last samples.
    """
    done = False
    if not trainer.processes.first:
        deque(train(run, trainer, stop=stop), maxlen=0)
        return trainer.step == trainer.total_steps
    with ExitStack() as stack:
        told = [*watchers]
        if tensorboard:
            told.append(stack.enter_context(TensorBoard(run.path / "tensorboard")))
        if (person := stack.enter_context(watch(trainer, quiet=quiet))) is not None:
            told.append(person)
        for progress in train(run, trainer, stop=stop, warn=warn):
            for watcher in told:
                watcher.step(progress)
            if progress.epoch_ends:
                with suppress(_Stopped):
                    _look(run, trainer, progress, stop, told)
                    done = progress.step == trainer.total_steps
    write_text(run.path / "report.html", run_report(run))  # with the result, which is there by now
    return done


def _check_length(trainer: Trainer, warn: Warn) -> None:
    """Say so when nothing will be seen of what was learned; not to people who said how many steps they want.

    Raises UsageError when these are more than the epochs have.
    """
    steps, count, each = trainer.total_steps, len(trainer.data), trainer.steps_per_epoch
    wanted, epochs = trainer.recipe.steps, trainer.recipe.epochs
    if wanted is not None and wanted > steps:
        raise UsageError(
            f"steps={wanted} is more than the {steps} of epochs={epochs}, for {count} pictures; "
            f"say epochs={math.ceil(wanted / each)} as well"
        )
    if steps < SHORT and wanted is None:
        warn(
            f"steps an epoch, for {count} pictures: {each}; {steps} in all are too few to learn from: "
            f"{math.ceil(ENOUGH / each)} epochs would be about {ENOUGH:,}"
        )


def _look(
    run: RunDirectory, trainer: Trainer, progress: Progress, stop: Callable[[], bool], watchers: Sequence[Watcher]
) -> None:
    """Leave what there is to see after an epoch: samples, at the end animations, the loss curve, the report.

    What is there already is not sampled again: a resumed training comes by the epoch of its checkpoint once more.
    """
    recipe, last = trainer.recipe, progress.step == trainer.total_steps
    shown = progress.epoch in recipe.sample_epochs if recipe.sample_epochs else recipe.keeps(progress.epoch)
    samples, moving = run.sample_file(progress.epoch), run.path / "animations"
    if (shown or last) and not samples.exists():
        save_image(sample_sheet(_model(trainer, stop), recipe, trainer.data), samples)
        for watcher in watchers:
            watcher.samples(progress, samples)
    if last and not moving.exists():
        for name, content in animations(_model(trainer, stop), recipe, trainer.data).items():
            write_bytes(moving / f"{name}.gif", content)
    draw_loss(run.path / "loss.png", run.metrics(), f"recipe {recipe.name} on {Path(recipe.data).name}")
    write_text(run.path / "report.html", run_report(run))


class _Stopped(Exception):
    """Whoever is asked to stop does not sample to the end first."""


def _model(trainer: Trainer, stop: Callable[[], bool]) -> NetworkDenoiser:
    """The denoiser of a trainer's averaged weights, whose network raises _Stopped once `stop` returns True."""

    def check(*_: object) -> None:
        if stop():
            raise _Stopped

    model = model_of(trainer)
    model.network.register_forward_pre_hook(check)
    return model


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and "LOCAL_RANK" in os.environ:  # torchrun: each process of a machine its own card
        name = f"cuda:{os.environ['LOCAL_RANK']}"
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"device {name!r} is not there ({str(error).splitlines()[0]}); try cpu") from error
