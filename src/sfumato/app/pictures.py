"""Pictures inside jobs: small, 8-bit, carried as data, so that a job needs no file to be run again."""

from __future__ import annotations

import base64
import hashlib
import io
import math
import struct
from pathlib import Path
from typing import Any

from jaxtyping import Float
from PIL import Image
from pydantic import BaseModel, ConfigDict, field_validator
from torch import Tensor

from sfumato.app.provenance import made_by
from sfumato.errors import UsageError
from sfumato.images import read_image, to_image, to_tensor

MOST_PIXELS = 16_000_000
"""Of a picture in a job."""


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

    @field_validator("made_by")
    @classmethod
    def _numbers_as_browsers_write_them(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        # A job that has been through a page is the same job: JavaScript knows no difference between 2.0 and 2.
        try:
            return None if value is None else _plain(value)
        except RecursionError as error:
            raise ValueError("nested too deeply") from error

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
    """A picture file, fitted as `fit_picture` does. Raises UsageError for anything but a picture."""
    return fit_picture(read_image(path), path.name, shape, invert=invert, source=made_by(path))


def read_mask(path: Path, image: Path, shape: tuple[int, int, int]) -> Picture:
    """A mask for an image: white where the picture is made anew, black where it is kept.

    Raises UsageError when the two files differ in size: nobody could say which pixel belongs to which.
    """
    mask = read_image(path)
    check_same_size(mask.size, read_image(image).size, f"the mask {path}", f"the image {image}")
    return fit_mask(mask, path.name, shape)


def fit_picture(
    image: Image.Image,
    name: str,
    shape: tuple[int, int, int],
    *,
    invert: bool = False,
    source: dict[str, Any] | None = None,
) -> Picture:
    """A picture fitted to a model's (channels, height, width), a negative of it with `invert`.

    What is transparent becomes black, on either. `source` is what it was made by.
    """
    channels, height, width = shape
    x = to_tensor(image, (height, width), channels, background=1.0 if invert else 0.0)
    return Picture.of(1 - x if invert else x, name).model_copy(update={"made_by": _plain(source)})


def fit_mask(mask: Image.Image, name: str, shape: tuple[int, int, int], *, invert: bool = False) -> Picture:
    """A mask fitted to a model's (channels, height, width), black and white exchanged with `invert`."""
    _, height, width = shape
    x = to_tensor(mask, (height, width), 1)
    return Picture.of(1 - x if invert else x, name)


def check_same_size(mask: tuple[int, int], image: tuple[int, int], its: str, of: str) -> None:
    """Raise UsageError, in these names, when a mask and its image differ in width or height."""
    if mask != image:
        sizes = [f"{width}×{height}" for width, height in (mask, image)]
        raise UsageError(f"{its} is {sizes[0]} and {of} {sizes[1]}; make them the same size")


def _plain(value: Any) -> Any:
    """Data with whole numbers as such."""
    match value:
        case dict():
            return {key: _plain(each) for key, each in value.items()}
        case list() | tuple():
            return [_plain(each) for each in value]
        case float() if value.is_integer():
            return int(value)
        case _:
            return value


def _decode(png: str) -> Image.Image:
    try:
        data = base64.b64decode(png, validate=True)
        # A few bytes may hold a great many pixels: their header is asked before Pillow is, which warns or refuses.
        few = math.prod(struct.unpack(">II", data[16:24])) <= MOST_PIXELS
        image = Image.open(io.BytesIO(data), formats=("PNG",)) if few else None
        if image is not None and math.prod(image.size) <= MOST_PIXELS:
            image.load()
        else:
            few = False
    except (ValueError, OSError, SyntaxError, struct.error, Image.DecompressionBombError) as error:
        raise ValueError("not a PNG in base64") from error
    if image is None or not few:
        raise ValueError(f"a picture in a job has at most {MOST_PIXELS / 1e6:g} million pixels")
    if image.mode not in {"L", "RGB"}:
        raise ValueError(f"a picture in a job is grey or RGB, not {image.mode}")
    return image
