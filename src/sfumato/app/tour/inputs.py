"""What goes into a tour: clean pictures that the model may know, drawings that the tour brings along, a photo."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sfumato.app.pictures import read_picture
from sfumato.app.tour.drawings import DRAWINGS
from sfumato.app.tour.prompts import DIGITS
from sfumato.backends.model import Model
from sfumato.errors import UsageError
from sfumato.training.data import ImageData

OWN = "drawings"
"""The name of the data where there are no others than the tour's own drawings."""


@dataclass(frozen=True, eq=False)
class Input:
    """A picture that goes in."""

    name: str
    """Of its file, without the suffix."""
    picture: Float[Tensor, "c h w"]
    """Values in [0, 1]."""
    what: str
    """What it is, in words: the digit 2."""
    label: str | None = None
    """What is to be read in it; None where nobody says."""
    prompt: str | None = None
    """What it is asked to become where a row asks."""


def drawings_for(shape: tuple[int, int, int], prompts: Sequence[str]) -> tuple[Input, ...]:
    """Three drawings, each with what it is asked to become, if anything: one of the prompts."""
    if set(prompts) == set(DIGITS):
        chosen: list[tuple[str, str | None]] = [("three", "3"), ("smiley", "8"), ("house", "6")]
    else:
        names = ("house", "smiley", "rocket")
        chosen = [(name, prompts[k % len(prompts)] if prompts else None) for k, name in enumerate(names)]
    return tuple(
        Input(f"drawn-{name}", DRAWINGS[name].picture(shape), f"the drawn {name}", None, prompt)
        for name, prompt in chosen
    )


def own_pictures(shape: tuple[int, int, int]) -> ImageData:
    """The tour's drawings as the clean pictures to measure with, each also mirrored."""
    drawn = torch.stack([DRAWINGS[name].picture(shape) for name in ("house", "rocket", "smiley")])
    pictures = (255 * torch.cat([drawn, drawn.flip(-1)])).round().to(torch.uint8)
    return ImageData(OWN, pictures, torch.zeros(len(pictures), dtype=torch.int64))


def read_photo(path: Path, shape: tuple[int, int, int]) -> Input:
    """The user's own picture, fitted to the model. Raises UsageError for anything but a picture."""
    return Input("photo", read_picture(path, shape).tensor(), "your picture")


def clean_pictures(model: Model, named: str | None, warn: Callable[[str], None]) -> ImageData:
    """Pictures as the model knows them, held back from its training where they can be, at its size.

    That is what `named` says; else the test pictures of what the model says it was trained on, as far as they are on
    this machine: nothing is downloaded. Digits are drawn where MNIST is not at hand; of other things the tour has its
    own drawings. Raises UsageError for `named` data that cannot be had.
    """
    if named is not None:
        return _named(model, named, warn)
    recipe: dict[str, Any] = (model.facts or {}).get("recipe", {})
    known = str(recipe.get("data") or ("mnist" if model.shape == (1, 28, 28) else ""))
    if _at_hand(known):
        try:
            return _named(model, known, warn)
        except UsageError:  # a folder without test pictures
            pass
    digits = known in {"mnist", "typeset"} or set(model.classes) == set(DIGITS)
    return _named(model, "typeset", warn).take(1000) if digits else own_pictures(model.shape)


def _named(model: Model, name: str, warn: Callable[[str], None]) -> ImageData:
    from sfumato.training.datasets import load_data

    channels, size, _ = model.shape
    if model.reads_text:
        return _captioned(Path(name), size)
    return load_data(name, "test", size=size, channels=channels, warn=warn)


def _captioned(folder: Path, size: int) -> ImageData:
    """The held-out pictures of a captioned folder, on white, without their captions."""
    from sfumato.training.datasets.captioned import load_captioned

    data, _ = load_captioned(folder, size, "test")
    count = min(len(data), 1000)
    pictures = (data.plain(torch.arange(count), torch.device("cpu")) + 1) * 127.5
    levels = pictures.round().clamp(0, 255).to(torch.uint8)
    return ImageData(data.name, levels, torch.zeros(count, dtype=torch.int64))


def _at_hand(name: str) -> bool:
    """Whether data are on this machine."""
    from sfumato.training.datasets.sources import SOURCES
    from sfumato.training.datasets.stored import is_here

    if name in SOURCES:
        return is_here(SOURCES[name])
    return name != "" and Path(name).is_dir()
