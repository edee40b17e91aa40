"""A judge of one's own classes: trained on the pictures of a run, to read what the run's model makes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from sfumato.errors import UsageError
from sfumato.evaluation.judge import Judge
from sfumato.evaluation.train_judge import Epoch, JudgeRecipe, report, train_judge
from sfumato.training.data import ImageData
from sfumato.training.directory import RunDirectory

HELD_OUT = 10
"""Of so many pictures of a class one is kept to measure with, where there are no test pictures."""


LINES = 10
"""On the way, at most one more."""


def judge_file(run: Path) -> Path:
    """Where the judge of a run is."""
    return run / "judge.safetensors"


def train_judge_of(run: Path, epochs: int | None, seed: int, say: Callable[[str], None]) -> tuple[Judge, str]:
    """A judge of the classes that a run was trained on, and in words what it is worth; `say` gets a line now and then.

    It is measured with the test pictures of the run's data; where there are none, every tenth of each class is kept
    from the training for that.

    Raises UsageError for a folder that is no run, for data that cannot be had and for data without classes.
    """
    recipe = RunDirectory(run).recipe()
    data = recipe.load("train", say)
    if not isinstance(data, ImageData):
        raise UsageError(f"{run} was trained on captions, not on classes; sfumato evaluate reads what it makes itself")
    try:
        test = recipe.load("test", say)
        assert isinstance(test, ImageData)
    except UsageError as error:
        data, test = parted(data)
        say(f"measured with every {HELD_OUT}th picture of a class, which the training does not see: {error}")
    if test.classes != data.classes:
        raise UsageError(f"the test pictures of {run} are of other classes than those that it was trained on")
    wanted = JudgeRecipe.of(len(data), seed)
    wanted = wanted if epochs is None else replace(wanted, epochs=epochs)
    every = math.ceil(wanted.epochs / LINES)

    def tell(epoch: Epoch) -> None:
        if epoch.number % every == 0 or epoch.number == wanted.epochs:
            say(epoch.told(wanted))

    judge = train_judge(wanted, data, test, tell)
    return judge, report(judge, test)


def parted(data: ImageData) -> tuple[ImageData, ImageData]:
    """The pictures without every tenth of each class, and these. Of fewer than ten there is none."""
    kept = torch.zeros(len(data), dtype=torch.bool)
    for label in range(len(data.classes)):
        kept[(data.labels == label).nonzero()[HELD_OUT - 1 :: HELD_OUT]] = True
    if not bool(kept.any()):
        raise UsageError(f"{data.name} has no class of {HELD_OUT} pictures; a judge wants more to learn from")
    first, second = (replace(data, images=data.images[rows], labels=data.labels[rows]) for rows in (~kept, kept))
    return first, second
