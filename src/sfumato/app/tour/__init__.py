"""The tour: everything that sfumato does, on the bundled digits, as one page with figures, animations and numbers."""

from __future__ import annotations

import functools
import json
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from sfumato.app.job import Loader
from sfumato.app.tour import rows_a, rows_b, rows_edit, rows_illusions
from sfumato.app.tour.logs import training
from sfumato.app.tour.page import Front, KeyNumber, Section, build
from sfumato.app.tour.workshop import DENOISER, FULL, MODEL, TIME_MODEL, TINY, TourSize, Workshop
from sfumato.backends.model import Model
from sfumato.evaluation.judge import Judge, load_judge
from sfumato.files import write_text
from sfumato.training.data import ImageData
from sfumato.training.datasets.typeset import load_typeset

__all__ = ["FULL", "TINY", "TourResult", "TourSize", "run_tour"]

CHAPTERS: tuple[tuple[str, Callable[[Workshop], list[Section]]], ...] = (
    ("denoising (A1.1–A1.4)", rows_a.denoising),
    ("sampling (A1.5)", rows_a.sampling),
    ("guidance (A1.6)", rows_a.guidance),
    ("image to image (A1.7)", rows_edit.image_to_image),
    ("drawings (A1.7.1)", rows_edit.drawings),
    ("inpainting (A1.7.2)", rows_edit.inpainting),
    ("with a prompt (A1.7.3)", rows_edit.prompted),
    ("anagrams (A1.8)", rows_illusions.anagrams),
    ("hybrids (A1.9)", rows_illusions.hybrids),
    ("a denoiser (B1)", rows_b.denoiser),
    ("diffusion models (B2)", rows_b.diffusion),
    ("in motion (B3)", rows_b.motion),
)
TYPESET = 1000
"""Drawn digits to choose from where MNIST is not at hand."""


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
    *,
    data: ImageData | None,
    model_loader: Loader,
    seed: int = 0,
    on_progress: Callable[[str, int, int], None] = _silent,
    size: TourSize = FULL,
    judge: Judge | None = None,
) -> TourResult:
    """Make `report.html`, `numbers.json`, `pictures` and `inputs` in a folder.

    The page is written last and stands for itself: it needs neither the other files nor a network.

    Args:
        folder: Where everything goes; made if it is not there.
        data: Test digits, the inputs of part A and what is measured against; None draws typeset ones.
        model_loader: A model by name and dtype: `digits`, `digits/time` and `digits/denoiser` are asked for.
        seed: Of the first picture of every row.
        on_progress: Is told what is being done, how many chapters are finished, and how many there are.
        size: How much is made.
        judge: Who reads the digits, by default the packaged one.
    """
    started = time.monotonic()
    digits = load_typeset(TYPESET, split="test") if data is None else data
    w = Workshop(folder, functools.cache(model_loader), judge or load_judge(), digits, size, seed)
    sections: list[Section] = []
    seconds: dict[str, float] = {}
    for k, (name, chapter) in enumerate(CHAPTERS):
        on_progress(name, k, len(CHAPTERS))
        begun = time.monotonic()
        sections += chapter(w)
        seconds[name] = round(time.monotonic() - begun, 2)
    took = time.monotonic() - started
    numbers = {
        "environment": _environment(),
        "models": {name: _about_model(w.load(name, "float32")) for name in (MODEL, TIME_MODEL, DENOISER)},
        "judge": w.judge.facts,
        "data": {"name": digits.name, "pictures": len(digits)},
        "seed": seed,
        "seconds": {"total": round(took, 2), **seconds},
        "rows": {section.id: section.numbers for section in sections},
    }
    write_text(folder / "numbers.json", json.dumps(numbers, ensure_ascii=False, indent=1))
    report = folder / "report.html"
    write_text(report, build(_front(w, numbers, took), sections))
    on_progress("done", len(CHAPTERS), len(CHAPTERS))
    return TourResult(report, numbers)


def _environment() -> dict[str, Any]:
    return {
        "sfumato": version("sfumato"),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "threads": torch.get_num_threads(),
    }


def _about_model(model: Model) -> dict[str, Any]:
    known = training(model.name)
    about = {"sha256": model.sha256, "device": str(model.device)}
    keys = ("steps", "epochs", "epochs_of_recipe", "finished")
    # The log in the package is that of the packaged weights and of no others.
    if known is None or known.about["sha256"] != model.sha256:
        return about
    return about | {key: known.about[key] for key in keys}


def _front(w: Workshop, numbers: dict[str, Any], took: float) -> Front:
    rows, environment = numbers["rows"], numbers["environment"]
    scales = rows["A1.6"]
    scale = max(scales, key=lambda name: scales[name]["accuracy"])
    at = rows["B1.3"]["0.5"]
    anagrams, hybrids = rows["A1.8"], rows["A1.9"]
    key_numbers = (
        KeyNumber(
            f"{scales[scale]['accuracy']:.0%}",
            f"of {scales[scale]['samples']} samples are read as the digit asked for (γ = {scale}, "
            f"{scales[scale]['steps']} steps)",
            "A1.6",
        ),
        KeyNumber(
            f"{at['one_step']['psnr']:.1f} dB",
            f"PSNR of the denoiser at σ = 0.5; the best blur has {at['blur']['psnr']:.1f}, "
            f"the noisy picture {at['noisy']['psnr']:.1f}",
            "B1.3",
        ),
        KeyNumber(
            f"{anagrams['both_ways']} of {anagrams['attempts']}", "anagrams are read as wanted both ways", "A1.8"
        ),
        KeyNumber(
            f"{hybrids['both_ways']} of {hybrids['attempts']}", "hybrids are read as wanted from near and afar", "A1.9"
        ),
        KeyNumber(
            str(rows["A1.7.2"]["kept_pixels_changed"] or "none"), "of the pixels outside a mask were changed", "A1.7.2"
        ),
        KeyNumber(f"{took:.0f} s", f"for the whole tour, on {w.model.device.type}", "made-with"),
    )
    total = w.times(1000)[0]
    notes = [
        f"The course counts time to 1000; these models count to T = {total}. Its t = 250, 500, 690 and 750 are "
        f"therefore {', '.join(map(str, w.times(250, 500, 690, 750)))} here, the same fractions of T, and its list of "
        "34 times from 990 down to 0 is "
        f"{', '.join(f'{t:g}' for t in w.model.schedule.timesteps(w.size.course_steps)[:2])} … 0.",
        f"The digits that go in are {_data(w.data)}. Sentences about results are composed from what was measured; "
        "“read” means by the judge, a classifier that is no part of the models.",
    ]
    for name in (MODEL, TIME_MODEL, DENOISER):
        known = training(name)
        if known and not known.about["finished"]:
            notes.append(f"The model {name} stands {known.progress}.")
    facts = [
        (f"model {name}", f"SHA-256 {about['sha256'] or 'unknown'}{_trained(about)}")
        for name, about in numbers["models"].items()
    ]
    accuracy = w.judge.facts.get("test_accuracy")
    facts += [
        ("judge", f"reads {accuracy:.2%} of MNIST's test digits rightly" if accuracy else "of unknown accuracy"),
        ("digits", f"{w.data.name}, {len(w.data):,} pictures"),
        ("versions", f"sfumato {environment['sfumato']}, torch {environment['torch']}, Python {environment['python']}"),
        ("machine", f"{environment['system']}, {environment['threads']} threads, {w.model.device}"),
        ("seed", str(w.seed)),
    ]
    return Front(key_numbers, tuple(facts), tuple(notes))


def _data(data: ImageData) -> str:
    if data.name == "mnist-test":
        return "from the test set of MNIST, which the models have not seen"
    if data.name.startswith("typeset"):
        return "typeset, drawn on this machine from fonts, because MNIST was not at hand"
    return f"from {data.name}"


def _trained(about: dict[str, Any]) -> str:
    if "epochs" not in about:
        return ""
    return f", trained for {about['epochs']:.3g} of {about['epochs_of_recipe']} epochs"
