"""What the worker does with an order: pictures as the command line makes them, or a training."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch.nn.modules.module import register_module_forward_pre_hook

from sfumato.app.command import command_line
from sfumato.app.defaults import MODEL
from sfumato.app.jobs import parse_job
from sfumato.app.output import parameters, save_image, save_result
from sfumato.app.run import Result, finished, make_batches, notes, total_steps
from sfumato.app.studio.records import Began, Kept, Made, Noted, Order, Reading, Said
from sfumato.app.studio.shelf import Shelf
from sfumato.app.studio.watching import Cancelled, Lessons, Steps
from sfumato.app.training import begin, follow, resume_run
from sfumato.errors import SfumatoError, UsageError
from sfumato.evaluation.judges import judge_of
from sfumato.evaluation.samples import Classifier
from sfumato.training.directory import RunDirectory
from sfumato.training.recipe import parse

__all__ = ["Cancelled", "Desk"]

FIRST = (MODEL, "float32")
"""The model that is loaded before anybody asks."""

_log = logging.getLogger("sfumato.studio.worker")

Say = Callable[[Said], None]


class Desk:
    """Where orders are carried out, one after the other."""

    def __init__(self, device: str = "auto") -> None:
        self._device = device
        self._shelf = Shelf(device)
        self._judges: dict[tuple[tuple[int, int, int], tuple[str, ...]], Classifier | None] = {}

    def warm_up(self) -> str:
        """Load what is asked for most; returns what it computes on, in a few words."""
        try:
            device = self._shelf.loader([])(*FIRST).device
        except SfumatoError as error:  # whoever asks for it is told then
            _log.warning("%s", error)
            return self._device
        return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)

    def forget(self) -> None:
        """Let go of all that is loaded."""
        self._shelf.forget()
        self._judges.clear()

    def carry_out(self, order: Order, say: Say, cancelled: Callable[[], bool]) -> None:
        """Do all of an order.

        Args:
            order: What is to be done.
            say: Is told how far it is and what came out.
            cancelled: Whether it has been given up.

        Raises Cancelled when it has, and SfumatoError for what cannot be done.
        """
        if order.training is None:
            self.pictures(order, say, cancelled)
        else:
            self.training(order, say, cancelled)

    def pictures(self, order: Order, say: Say, cancelled: Callable[[], bool]) -> None:
        """Make the pictures of jobs, in the same batches and files as the command line."""
        jobs = [parse_job(job) for job in order.jobs]
        load = self._shelf.loader(jobs)
        batches = make_batches(jobs, load)
        say(Began(order.run, total_steps(batches, load), tuple(notes(batches, load))))
        steps = Steps(order, say, cancelled, max(batch.total for batch in batches))
        with _giving_up(cancelled):
            for result in finished(jobs, load, steps):
                self._deliver(result, order, say)
        kept = steps.reel.strip() if steps.reel else None
        if kept is not None:
            image, strip = kept
            save_image(image, order.folder / "frames" / f"{order.run}.png")
            say(Kept(order.run, strip))

    def training(self, order: Order, say: Say, cancelled: Callable[[], bool]) -> None:
        """Train, or go on with a training that is there; one that is given up leaves a checkpoint."""
        assert order.training is not None
        self.forget()  # a training wants the memory
        folder = order.folder / "runs" / order.training
        told: list[str] = []
        if RunDirectory(folder).recipe_file.exists():
            trainer, run = resume_run(folder, self._device, told.append)
        elif order.recipe is None:
            raise UsageError(f"the training {order.training} is no longer there")
        else:
            trainer, run = begin(folder, parse(order.recipe, "the recipe"), self._device, told.append)
        say(Began(order.run, trainer.total_steps, tuple(told)))
        lessons = Lessons(order, run, trainer, say)
        warn = lambda line: say(Noted(order.run, line))  # noqa: E731
        follow(run, trainer, stop=cancelled, quiet=True, warn=warn, watchers=[lessons])
        if trainer.step < trainer.total_steps:
            raise Cancelled

    def _deliver(self, result: Result, order: Order, say: Say) -> None:
        """Write a picture, and tell of it."""
        job, (_, height, width) = result.job, result.picture.shape
        if not bool(result.picture.isfinite().all()):
            say(Noted(order.run, f"the sampling of seed {job.seed} diverged: it has left values that are no numbers"))
        readings = self._readings(result)
        path: Path = save_result(result, order.folder / "pictures")
        facts = (job.kind, job.title, command_line(job), parameters(job), width, height)
        say(Made(order.run, path.name, job.model_dump(mode="json"), *facts, readings))

    def _readings(self, result: Result) -> tuple[Reading, ...]:
        """What a judge reads in a picture in each way of looking at it; nothing where there is no judge of such."""
        looks, picture = result.job.looks(), result.picture[None]
        judge = self._judge(result.models[-1].picture_shape, [look.prompt for look in looks])
        if judge is None or not bool(picture.isfinite().all()):
            return ()
        readings = []
        for look in looks:
            row = judge.probabilities(look.at(picture)).cpu()[0]
            wanted, read = judge.classes.index(look.prompt), int(row.argmax())
            readings.append(Reading(look.name, look.prompt, judge.classes[read], float(row[wanted]), read == wanted))
        return tuple(readings)

    def _judge(self, shape: tuple[int, int, int], prompts: Sequence[str]) -> Classifier | None:
        key = (shape, tuple(dict.fromkeys(prompts)))
        if key not in self._judges:
            if len(self._judges) > 100:
                self._judges.clear()
            try:
                self._judges[key] = judge_of("auto", shape, prompts) if prompts else None
            except UsageError:  # none reads such pictures, or such prompts
                self._judges[key] = None
        return self._judges[key]


@contextmanager
def _giving_up(cancelled: Callable[[], bool]) -> Iterator[None]:
    """Inside it no layer of any network computes any more once `cancelled` returns True: Cancelled is raised.

    A forward of a large network takes minutes on a processor. The hook is that of all modules: hooks of single ones
    would have some take another way, with other roundings.
    """

    def check(*_: object) -> None:
        if cancelled():
            raise Cancelled

    handle = register_module_forward_pre_hook(check)
    try:
        yield
    finally:
        handle.remove()
