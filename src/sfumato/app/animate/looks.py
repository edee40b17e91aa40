"""Scenes in which only the way of looking changes: a hybrid from near and from afar, in colour and in grey, …."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from PIL import Image, ImageFilter

from sfumato.app.animate.scene import Scene, ground
from sfumato.app.output import enlarge
from sfumato.core.filters import LowPass
from sfumato.errors import UsageError
from sfumato.images import to_image, to_tensor

if TYPE_CHECKING:
    from sfumato.app.jobs import Hybrid

FARTHEST = 16
"""How many times as far away one ends who steps back."""


def scene_of_hybrid(picture: Image.Image, job: Hybrid, size: int = 512, first: int | None = None) -> Scene:
    """What is to be seen of a hybrid, as it is first; of a reference too, whose component it keeps.

    `first` is the side of what the first stage of a cascade made, in whose pixels a job counts.

    Raises UsageError where all ways to look at it are one.
    """
    parts = job.parts if job.reference is None else (job.reference.title, *job.parts)
    ratio = picture.width / first if first else 1.0
    whole = job.model_copy(update={"parts": parts, "reference": None, "enlarged": ratio})
    looks = whole.looks()[::-1]
    captions = [f"{look.prompt}, {look.name}" for look in looks]
    inner = [part for each in whole.filters for part in getattr(each, "filters", (each,))]
    sigmas = sorted({part.sigma for part in inner if isinstance(part, LowPass)})
    if sigmas:
        return SteppingBack(picture, [0.0, *sigmas], captions, size)
    x = to_tensor(picture, None, len(picture.getbands()))[None]
    return Fading([to_image(look.at(x)[0]) for look in looks], captions, size)


class SteppingBack(Scene):
    """A picture from near to afar: at the left as small as it is seen then, at the right what is seen of it.

    `sigmas` are the blurs, in pixels of the picture, at each stop; the first is 0. The eye's own blur stays the same,
    so that on the picture grows with the distance, up to the largest at the farthest.
    """

    def __init__(self, picture: Image.Image, sigmas: Sequence[float], captions: Sequence[str], size: int = 512) -> None:
        self.picture = _fitted(picture, size)
        self.captions = tuple(captions)
        self.sigma = max(sigmas) * self.picture.width / picture.width
        self.distances = [1 + (FARTHEST - 1) * sigma / max(sigmas) for sigma in sigmas]
        self.margin = max(self.picture.size) // 12

    def still(self, stop: int) -> Image.Image:
        """The picture from where one stands."""
        return self._from(self.distances[stop])

    def moving(self, stop: int, s: float) -> Image.Image:
        """The picture from in between; to the eye its size changes evenly."""
        here, there = self.distances[stop], self.distances[(stop + 1) % len(self.distances)]
        return self._from(here * (there / here) ** s)

    def _from(self, distance: float) -> Image.Image:
        (width, height), margin = self.picture.size, self.margin
        stage = ground(self.picture.mode, (2 * width + 3 * margin, height + 2 * margin))
        # An even difference keeps the small picture in the middle.
        w, h = (max(1, side - 2 * round(side * (1 - 1 / distance) / 2)) for side in (width, height))
        small = self.picture.resize((w, h), Image.Resampling.BOX)
        stage.paste(small, (margin + (width - w) // 2, margin + (height - h) // 2))
        blur = self.sigma * (distance - 1) / (FARTHEST - 1)
        stage.paste(self.picture.filter(ImageFilter.GaussianBlur(blur)), (2 * margin + width, margin))
        return stage


class Fading(Scene):
    """Pictures of one size and mode that fade into each other, such as one without and with its colours."""

    def __init__(self, pictures: Sequence[Image.Image], captions: Sequence[str], size: int = 512) -> None:
        if all(picture.tobytes() == pictures[0].tobytes() for picture in pictures):
            raise UsageError("there is one way to see it: nothing to show in steps")
        self.captions = tuple(captions)
        self.stills = []
        for picture in pictures:
            fitted = _fitted(picture, size)
            margin = max(fitted.size) // 16
            stage = ground(fitted.mode, (fitted.width + 2 * margin, fitted.height + 2 * margin))
            stage.paste(fitted, (margin, margin))
            self.stills.append(stage)

    def still(self, stop: int) -> Image.Image:
        """One of the pictures."""
        return self.stills[stop]

    def moving(self, stop: int, s: float) -> Image.Image:
        """Some of one and some of the next."""
        return Image.blend(self.stills[stop], self.stills[(stop + 1) % len(self.stills)], s)


def _fitted(picture: Image.Image, size: int) -> Image.Image:
    """Enlarged, or made smaller, by a whole number to at most `size` pixels a side."""
    widest = max(picture.size)
    return enlarge(picture, size // widest).reduce(math.ceil(widest / size))
