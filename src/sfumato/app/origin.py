"""Where a job begins and what it keeps: a picture noised to a level (SDEdit), a mask (inpainting), or both."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from sfumato.app.job import Count, Job, to_model
from sfumato.app.pictures import Picture
from sfumato.backends.model import Model
from sfumato.core.constraints import Constraint
from sfumato.core.constraints import Inpaint as InpaintConstraint
from sfumato.core.levels import Level
from sfumato.core.loop import FromImage
from sfumato.core.schedules import Path, with_jumps
from sfumato.errors import UsageError

MOST_LEVELS = 100_000
"""Of a path with its jumps: days of work even for a small model."""


class FromPicture(Job):
    """A job that may begin from a picture, keep part of it, or both; whatever its estimate is."""

    image: Picture | None = None
    begin: Annotated[int, Field(ge=0)] | None = None
    """i_start, the entry of the schedule that the picture is noised to: at 0 hardly anything of it is left; None is to
    begin from noise."""
    mask: Picture | None = None
    """White where the picture is made anew, black where it is kept; grey blends."""
    resample: Count = 1
    """RePaint: how often each stretch is walked."""
    jump: Count = 10
    """RePaint: steps in a stretch."""

    @model_validator(mode="after")
    def _picture_has_a_use(self) -> FromPicture:
        used = self.begin is not None or self.mask is not None
        if used and self.image is None:
            raise ValueError("a start or a mask needs the image that it is about")
        if self.image is not None and not used:
            raise ValueError("an image needs a start, a mask, or both")
        if self.resample > 1 and self.mask is None:
            raise ValueError("resampling is for what a mask keeps: give a mask")
        return self

    def path(self, model: Model) -> Path:
        """The path, with RePaint's jumps."""
        path = super().path(model)
        if self.resample * len(path) > MOST_LEVELS:
            raise UsageError(f"{self.steps} steps resampled {self.resample} times are more than {MOST_LEVELS:,}")
        return with_jumps(path, jump=self.jump, resample=self.resample)

    def begin_level(self, model: Model) -> Level | None:
        """The level that `begin` means."""
        if self.begin is None:
            return None
        path = super().path(model)
        last = len(path) - 2
        if self.begin > last:
            raise UsageError(f"start {self.begin} is past the end: with {self.steps} steps it is 0 … {last}")
        return path[self.begin]

    def start(self, model: Model) -> FromImage | None:
        """The picture at its level."""
        level = self.begin_level(model)
        return None if level is None or self.image is None else FromImage(to_model(self.image, model), level)

    def constraint(self, model: Model) -> Constraint | None:
        """The kept area."""
        if self.mask is None or self.image is None:
            return None
        return InpaintConstraint(to_model(self.image, model), self.mask.tensor().to(model.device))

    @property
    def origin_title(self) -> str:
        """Where it comes from, in a few words to follow those of what is made; empty for noise."""
        if self.image is None:
            return ""
        inside = f" inside a mask of {self.image.title}" if self.mask is not None else f" from {self.image.title}"
        return inside + ("" if self.begin is None else f" at start {self.begin}")
