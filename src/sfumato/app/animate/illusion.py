"""What is animated or printed: a picture, and the views that it is to be read through."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from sfumato.errors import UsageError
from sfumato.images import read_image, to_image, to_tensor

if TYPE_CHECKING:
    from sfumato.app.jobs import AnyJob
    from sfumato.core.views import View


MOST_PIXELS = 2**22
"""Of a picture with a job, which cannot be made smaller: its views are about these very pixels."""


@dataclass(frozen=True, eq=False)
class Illusion:
    """A picture, L or RGB, with the job that made it or the views that somebody wants to see it through."""

    path: Path
    picture: Image.Image
    job: AnyJob | None
    readings: tuple[tuple[str, View], ...]
    """What it shows, in words, through each view; none for a picture that is no anagram."""
    note: str
    """The job and how it was run, as JSON; empty without one."""
    first: int | None = None
    """The side of what the first stage of a cascade made, where the picture says so."""


def read_illusion(path: Path, views: Sequence[str] = (), largest: int | None = None) -> Illusion:
    """The illusion in a PNG that sfumato made, or any picture as it is and through `views`.

    A picture that is given views is made smaller where it is larger than `largest` pixels.

    Raises UsageError for what is no picture, has no job where no views are given, or for views that are none.
    """
    from sfumato.app.jobs import Anagram, parse_job
    from sfumato.app.provenance import read_provenance
    from sfumato.core.views import parse_view

    image = read_image(path)
    picture = to_image(to_tensor(image, None, 1 if image.mode in ("L", "LA") else 3))
    if views:
        try:
            seen = [(view, parse_view(view)) for view in views]
        except ValueError as error:
            raise UsageError(str(error)) from error
        if largest is not None:
            picture.thumbnail((largest, largest), Image.Resampling.LANCZOS)
        return Illusion(path, picture, None, (("as it is", parse_view("identity")), *seen), "")
    try:
        facts = read_provenance(path)
    except UsageError as error:
        raise UsageError(f"{error}; say what to show of it with --view") from error
    job = parse_job(facts["job"])
    if picture.width * picture.height > MOST_PIXELS:
        raise UsageError(
            f"{path} has {picture.width}×{picture.height} pixels; more than 4 million are too many to move"
        )
    readings = job.readings if isinstance(job, Anagram) else ()
    return Illusion(
        path,
        picture,
        job,
        tuple((reading.prompt, parse_view(reading.view)) for reading in readings),
        json.dumps({"sfumato": facts}, ensure_ascii=False),
        next((size for size in facts.get("sizes", ()) if isinstance(size, int) and size > 0), None),
    )
