"""The tour: everything that sfumato does, on one page with figures, animations and numbers."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import torch

from sfumato.app.job import Loader
from sfumato.app.tour import (
    rows_a,
    rows_ask,
    rows_b,
    rows_edit,
    rows_illusions,
    rows_more,
    rows_paint,
    rows_trained,
)
from sfumato.app.tour.family import family, training_of
from sfumato.app.tour.front import front
from sfumato.app.tour.inputs import clean_pictures, read_photo
from sfumato.app.tour.logs import Training
from sfumato.app.tour.page import Section, build
from sfumato.app.tour.sizes import FULL, QUICK, TINY, USUAL, TourSize
from sfumato.app.tour.subject import Subject, subject_of
from sfumato.app.tour.workshop import Workshop
from sfumato.backends.model import Model
from sfumato.backends.registry import dtype_name
from sfumato.errors import UsageError
from sfumato.files import write_text

__all__ = [
    "FULL",
    "QUICK",
    "TINY",
    "USUAL",
    "Subject",
    "TourResult",
    "TourSize",
    "clean_pictures",
    "read_photo",
    "run_tour",
    "subject_of",
]


class Chapter(NamedTuple):
    """A part of the page."""

    name: str
    make: Callable[[Workshop], list[Section]]
    """Looks at the subject, and gives no section where it has nothing to show of it."""
    scratch: bool = False
    """Whether it is about how a model is made, not about what can be done with one."""


CHAPTERS = (
    Chapter("steps (A0)", rows_ask.steps),
    Chapter("denoising (A1.1–A1.4)", rows_a.denoising),
    Chapter("sampling (A1.5)", rows_a.sampling),
    Chapter("guidance (A1.6)", rows_ask.guidance),
    Chapter("image to image (A1.7)", rows_edit.image_to_image),
    Chapter("drawings (A1.7.1)", rows_edit.drawings),
    Chapter("inpainting (A1.7.2)", rows_paint.inpainting),
    Chapter("with a prompt (A1.7.3)", rows_edit.prompted),
    Chapter("anagrams (A1.8)", rows_illusions.anagrams),
    Chapter("hybrids (A1.9)", rows_illusions.hybrids),
    Chapter("a design (A2)", rows_ask.design),
    Chapter("a denoiser (B1)", rows_b.denoiser, scratch=True),
    Chapter("diffusion models (B2)", rows_trained.diffusion, scratch=True),
    Chapter("in motion (B3)", rows_trained.motion, scratch=True),
    Chapter("several readings (C1)", rows_illusions.several),
    Chapter("rearranged (C2)", rows_illusions.rearranged),
    Chapter("regions (C3)", rows_more.regions),
    Chapter("wider than the model (C4)", rows_more.wide),
    Chapter("other factors (C5)", rows_more.factored),
    Chapter("a search (C6)", rows_more.search),
)


@dataclass(frozen=True)
class TourResult:
    """What a tour left behind."""

    report: Path
    """The page."""
    numbers: dict[str, Any]
    """What is in `numbers.json` beside it."""


def _silent(what: str, done: int, total: int) -> None:
    del what, done, total


def run_tour(
    folder: Path,
    subject: Subject,
    load: Loader,
    *,
    scratch: Subject | None = None,
    seed: int = 0,
    on_progress: Callable[[str, int, int], None] = _silent,
    size: TourSize = USUAL,
) -> TourResult:
    """Make `report.html`, `numbers.json`, `pictures` and `inputs` in a folder.

    The page is written last and stands for itself: it needs neither the other files nor a network.

    Args:
        folder: Where everything goes; made if it is not there.
        subject: The model that is played with, and what it can be asked for: parts A and C.
        load: A model by name and dtype: the subjects', their later stages and their families are asked for.
        scratch: Of what the training is shown, part B; by default of the same.
        seed: Of the first picture of every row.
        on_progress: Is told what is being done, how many chapters are finished, and how many there are.
        size: How much is made.

    Raises UsageError for a model of which there is nothing to be shown.
    """
    started = time.monotonic()
    playing = Workshop(folder, load, subject, size, seed, dtype_name(subject.model.dtype))
    training = playing
    if scratch is not None:
        training = Workshop(folder, load, scratch, size, seed, dtype_name(scratch.model.dtype))
    workshops = list(dict.fromkeys((playing, training)))
    for w in workshops:
        if w.subject.iterates:  # a text encoder is loaded once for all prompts
            w.model.prepare([prompt for prompt in w.subject.prompts.all if _asked(w.subject, prompt)])
    sections: list[Section] = []
    seconds: dict[str, float] = {}
    for k, chapter in enumerate(CHAPTERS):
        on_progress(chapter.name, k, len(CHAPTERS))
        begun = time.monotonic()
        sections += chapter.make(training if chapter.scratch else playing)
        seconds[chapter.name] = round(time.monotonic() - begun, 2)
    if not sections:
        raise UsageError(f"there is nothing to be shown of model {subject.name}")
    took = time.monotonic() - started
    numbers = {
        "environment": _environment(),
        "models": {name: about for w in workshops for name, about in _models(w).items()},
        "subjects": [_subject(w) for w in workshops],
        "seed": seed,
        "seconds": {"total": round(took, 2), **seconds},
        "rows": {section.id: section.numbers for section in sections},
    }
    write_text(folder / "numbers.json", json.dumps(numbers, ensure_ascii=False, indent=1))
    report = folder / "report.html"
    write_text(report, build(front(workshops, sections, numbers, took), sections))
    on_progress("done", len(CHAPTERS), len(CHAPTERS))
    return TourResult(report, numbers)


def _asked(subject: Subject, prompt: str | None) -> bool:
    try:
        subject.model.check(prompt)
    except UsageError:
        return False
    return True


def _environment() -> dict[str, Any]:
    return {
        "sfumato": version("sfumato"),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "threads": torch.get_num_threads(),
    }


def _models(w: Workshop) -> dict[str, Any]:
    found = {name: _about(model, known) for name, model, known in family(w)}
    return {w.subject.name: _about(w.model, training_of(w.subject.name, w.model)), **found}


def _about(model: Model, known: Training | None) -> dict[str, Any]:
    about = {"sha256": model.sha256, "device": str(model.device)}
    keys = ("steps", "epochs", "epochs_of_recipe", "finished")
    return about if known is None else about | {key: known.about[key] for key in keys}


def _subject(w: Workshop) -> dict[str, Any]:
    s = w.subject
    return {
        "model": s.name,
        "judge": _judge(w),
        "data": {"name": s.data.name, "pictures": len(s.data)},
        "photo": None if s.own is None else s.own.name,
        "prompts": [prompt for prompt in s.prompts.all if prompt is not None],
        "notes": _notes(s),
    }


def _judge(w: Workshop) -> dict[str, Any] | None:
    """What is known of who reads; None where nobody does."""
    named = w.subject.prompts.each or w.subject.data.classes
    judge = w.reader(named).judge
    return None if judge is None else dict(getattr(getattr(judge, "judge", judge), "facts", {}))


def _notes(subject: Subject) -> list[str]:
    """What a user should know of the model, and the words of prompts that it has never seen."""
    asked = [prompt for prompt in subject.prompts.all if prompt is not None and _asked(subject, prompt)]
    unknown = dict.fromkeys(word for prompt in asked for word in subject.model.check(prompt))
    told = [f"The model {note}." if not note.endswith(".") else note for note in subject.model.notes]
    if unknown:
        told.append(f"The model has never seen {', '.join(map(repr, unknown))}: it leaves that out of the prompts.")
    return told
