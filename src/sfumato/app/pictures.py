"""Pictures inside jobs: small, 8-bit, carried as data, so that a job needs no file to be run again."""

from __future__ import annotations

import base64
import hashlib
import io
from pathlib import Path
from typing import Any

from jaxtyping import Float
from PIL import Image
from pydantic import BaseModel, ConfigDict, field_validator
from torch import Tensor

from sfumato.app.provenance import made_by
from sfumato.errors import UsageError
from sfumato.images import read_image, to_image, to_tensor


class Picture(BaseModel):
    """A picture at the model's size, as the PNG that it is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    """The name of the file that it came from."""
    png: str
    """The PNG's bytes in base64."""
    made_by: dict[str, Any] | None = None
    """The job and models that made it, where it was made so: an edit of an edit keeps the whole chain."""

    @field_validator("png")
    @classmethod
    def _is_png(cls, value: str) -> str:
        _decode(value)
        return value

    def tensor(self) -> Float[Tensor, "c h w"]:
        """Values in [0, 1]."""
        image = _decode(self.png)
        return to_tensor(image, None, 1 if image.mode == "L" else 3)

    @property
    def title(self) -> str:
        """The name without its suffix."""
        return Path(self.name).stem

    @property
    def sha256(self) -> str:
        """Of the PNG's bytes."""
        return hashlib.sha256(base64.b64decode(self.png)).hexdigest()

    @classmethod
    def of(cls, x: Float[Tensor, "c h w"], name: str) -> Picture:
        """From values in [0, 1], rounded to 8 bits."""
        buffer = io.BytesIO()
        to_image(x).save(buffer, "PNG", optimize=False)
        return cls(name=name, png=base64.b64encode(buffer.getvalue()).decode())


def read_picture(path: Path, shape: tuple[int, int, int], *, invert: bool = False) -> Picture:
    """A picture file, fitted to a model's (channels, height, width), a negative of it with `invert`.

    What is transparent becomes black, on either. Raises UsageError for anything but a picture.
    """
    channels, height, width = shape
    x = to_tensor(read_image(path), (height, width), channels, background=1.0 if invert else 0.0)
    return Picture.of(1 - x if invert else x, path.name).model_copy(update={"made_by": made_by(path)})


def read_mask(path: Path, image: Path, shape: tuple[int, int, int]) -> Picture:
    """A mask for an image: white where the picture is made anew, black where it is kept.

    Raises UsageError when the two files differ in size: nobody could say which pixel belongs to which.
    """
    mask, original = read_image(path), read_image(image)
    if mask.size != original.size:
        sizes = [f"{width}×{height}" for width, height in (mask.size, original.size)]
        raise UsageError(f"the mask {path} is {sizes[0]} and the image {image} {sizes[1]}; make them the same size")
    _, height, width = shape
    return Picture.of(to_tensor(mask, (height, width), 1), path.name)


def _decode(png: str) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(base64.b64decode(png, validate=True)), formats=("PNG",))
        image.load()
    except (ValueError, OSError, SyntaxError) as error:
        raise ValueError("not a PNG in base64") from error
    if image.mode not in {"L", "RGB"}:
        raise ValueError(f"a picture in a job is grey or RGB, not {image.mode}")
    return image
