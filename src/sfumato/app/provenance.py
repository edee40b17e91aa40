"""What a picture carries of how it came to be, and reading it back."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

from PIL import Image

from sfumato.errors import UsageError, short
from sfumato.images import FORMATS, read_image

KEY = "sfumato"
"""The PNG text chunk that holds the job."""
SCHEMA = 3
"""Of what is written; earlier ones are read too."""


def read_provenance(path: Path) -> dict[str, Any]:
    """What `save_result` wrote into a PNG. Raises UsageError when the file is no picture of ours."""
    read_image(path)  # the guarded reader has the first word on what is a picture
    with warnings.catch_warnings(action="ignore"), Image.open(path, formats=FORMATS) as image:  # of odd EXIF data
        text = image.info.get(KEY)
    if not isinstance(text, str):
        raise UsageError(f"{path} carries no sfumato job; it was made, or saved again, by another program")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"the job in {path} is damaged: {error}") from error
    if not isinstance(data, dict) or "job" not in data:
        raise UsageError(f"the job in {path} is damaged: it has no field 'job'")
    if data.get("schema") == 1:  # it knew one stage
        data = {**data, "schema": 2, "models": [data.get("model")]}
        data.pop("model", None)
    if data.get("schema") == 2:  # what it did not know has the defaults that it had then
        data = {**data, "schema": SCHEMA}
    if data.get("schema") != SCHEMA:
        raise UsageError(f"{path} has a job of schema {short(data.get('schema'))}; this sfumato reads schema {SCHEMA}")
    return data


def made_by(path: Path) -> dict[str, Any] | None:
    """The job and the models that made a picture of ours, which an edit of it keeps; None for any other picture."""
    try:
        facts = read_provenance(path)
    except UsageError:
        return None
    return {key: facts[key] for key in ("job", "models") if key in facts}


def without_pixels(job: Any) -> Any:
    """A job with its pictures named, not spelled out, and under each name what that picture was made by."""
    if isinstance(job, list):
        return [without_pixels(part) for part in job]
    if not isinstance(job, dict):
        return job
    if "png" in job:
        source = job.get("made_by")
        return job.get("name") if source is None else {"name": job.get("name"), "made_by": without_pixels(source)}
    return {key: without_pixels(value) for key, value in job.items()}
