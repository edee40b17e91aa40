"""Data sets at another size, or with another number of channels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor
from torch.nn import functional

from sfumato.errors import UsageError
from sfumato.training.data import ImageData


def check_form(size: int, channels: int) -> None:
    """Raise UsageError for numbers that make no picture."""
    if size < 1:
        raise UsageError(f"pictures cannot be {size} pixels wide; give a size of at least 1")
    if channels not in (1, 3):
        raise UsageError(f"a picture has 1 channel (grey) or 3 (colour), not {channels}")


def fitted(
    data: ImageData, size: int | None = None, channels: int | None = None, background: int | None = None
) -> ImageData:
    """A data set of square pictures in another form.

    Args:
        data: The pictures as they are published.
        size: Height and width wanted; None for those they have. Pictures on a background that are to be larger by an
            eighth of that at most (28 → 32) are put in the middle of a larger one, so that every pixel stays as it is;
            all others are resized (Lanczos).
        channels: 3 repeats grey; 1 is the luma of ITU-R BT.601; None leaves them.
        background: The level around the pictures, 0 … 255; None if they have no such thing.

    Raises:
        UsageError: a size below 1, or channels other than 1 and 3.
    """
    own_channels, own, _ = data.shape
    check_form(own if size is None else size, own_channels if channels is None else channels)
    images = data.images
    if channels == 1 and own_channels == 3:
        images = _grey(images)
    if size is not None and size != own:
        border = background is not None and own < size and 7 * size <= 8 * own
        images = _bordered(images, size, background) if border and background is not None else _resized(images, size)
    if channels == 3 and own_channels == 1:
        images = images.expand(-1, 3, -1, -1).contiguous()
    return data if images is data.images else replace(data, images=images)


def _grey(images: UInt8[Tensor, "n 3 h w"]) -> UInt8[Tensor, "n 1 h w"]:
    """The luma, rounded as Pillow does, so that a data set and the same pictures in a folder are equal."""
    red, green, blue = images.int().unbind(1)
    return ((19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16).to(torch.uint8)[:, None]


def _bordered(images: UInt8[Tensor, "n c h w"], size: int, level: int) -> UInt8[Tensor, "n c size size"]:
    more = size - images.shape[-1]
    before, after = more // 2, more - more // 2
    return functional.pad(images, (before, after, before, after), value=level)


def _resized(images: UInt8[Tensor, "n c h w"], size: int) -> UInt8[Tensor, "n c size size"]:
    out = torch.empty(*images.shape[:2], size, size, dtype=torch.uint8)
    for k, picture in enumerate(images.permute(0, 2, 3, 1).numpy()):
        image = Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture)
        small = np.array(image.resize((size, size), Image.Resampling.LANCZOS))
        out[k] = torch.from_numpy(small.reshape(size, size, -1)).permute(2, 0, 1)
    return out
