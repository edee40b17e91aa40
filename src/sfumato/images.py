"""Pictures in and out: the one guarded reader of picture files, and the way between pictures and tensors."""

from __future__ import annotations

import math
import stat
import warnings
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError
from torch import Tensor

from sfumato.errors import UsageError

FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
"""What Pillow may take a file for: its rarer decoders are neither needed nor as well tried on hostile files."""
MAX_PIXELS = 64_000_000
"""More pixels than that are not decoded unless asked for."""
_UPRIGHT = ("L", "LA", "RGB", "RGBA")


class ImageError(UsageError):
    """A file that cannot be read as a picture."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"cannot read the picture {path}: {reason}")
        self.path = path
        self.reason = reason
        """What is wrong, without the name of the file."""


def is_image(path: Path) -> bool:
    """Whether the first bytes of a file are those of a format that `read_image` reads; False if it cannot be opened."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            head = file.read(12)
    except (OSError, ValueError):
        return False
    return head.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a")) or (
        head[:4] == b"RIFF" and head[8:] == b"WEBP"
    )


def read_image(path: Path, *, max_pixels: int = MAX_PIXELS, at_least: int | None = None) -> Image.Image:
    """The picture in a PNG, JPEG, WebP or GIF file (its first frame), upright, in mode L, LA, RGB or RGBA.

    The format is that of the content, whatever the name says. EXIF orientation is applied, 16-bit samples are scaled
    to 8 bits, palettes and CMYK become RGB, a transparent colour becomes an alpha channel.

    Args:
        path: The file.
        max_pixels: A larger picture is refused from its header, before any of it is decoded.
        at_least: Both sides of a JPEG may be read at a fraction (1/2, 1/4, 1/8) of their length that is still this
            long, which is several times faster for thumbnails of photographs.

    Raises:
        ImageError: a UsageError in one line, when the file is missing, not a picture, damaged or too large.
    """
    _check_file(path)
    try:
        # A warning is a line on someone's terminal and no answer: Pillow's warning of large pictures becomes an
        # error; the others (odd EXIF data, say) concern pictures that can be shown.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as image:
                width, height = image.size
                if width * height > max_pixels:
                    raise ImageError(path, f"{width}×{height} pixels are more than {max_pixels / 1e6:g} million")
                if at_least is not None:
                    image.draft(None, (at_least, at_least))
                depth = _sample_bits(image)
                image.load()
                return _eight_bit(_turned(image), depth)
    except ImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(path, f"it has more than {max_pixels / 1e6:g} million pixels") from error
    except UnidentifiedImageError as error:
        what = "the file is damaged" if is_image(path) else "not a PNG, JPEG, WebP or GIF picture"
        raise ImageError(path, what) from error
    except PermissionError as error:
        raise ImageError(path, "no permission to read it") from error
    except Exception as error:  # decoders raise OSError, SyntaxError, ValueError, struct.error, zlib.error, …
        detail = " ".join(str(error).split()) or type(error).__name__
        raise ImageError(path, f"the file is damaged or cut off ({detail})") from error


def to_tensor(
    image: Image.Image, size: tuple[int, int] | None = None, channels: int = 3, background: float = 0.0
) -> Float[Tensor, "c h w"]:
    """A picture in [0, 1], float32, as red, green and blue or as grey (luma of ITU-R BT.601).

    Args:
        image: In mode L, LA, RGB or RGBA (what `read_image` gives); other modes are converted by Pillow.
        size: Height and width; the largest centred part of that aspect is resized (Lanczos). None keeps the size.
        channels: 1 or 3.
        background: The grey in [0, 1] under transparent pixels.
    """
    if channels not in (1, 3):
        raise UsageError(f"a picture has 1 channel (grey) or 3 (colour), not {channels}")
    if size is not None and min(size) < 1:
        raise UsageError(f"a picture of {size[0]}×{size[1]} pixels has no pixels; both sides must be at least 1")
    flat = _flat(image, "L" if channels == 1 else "RGB", background)
    if size is not None:
        flat = _cropped(flat, *size)
    pixels = torch.from_numpy(np.array(flat, dtype=np.uint8)).reshape(flat.height, flat.width, channels)
    return pixels.permute(2, 0, 1).float() / 255


def to_image(x: Float[Tensor, "c h w"]) -> Image.Image:
    """The picture of a tensor in [0, 1], one channel (mode L) or three (RGB).

    Values outside are clamped, the nearest of the 256 levels is taken, NaN becomes black.
    """
    if x.shape[0] not in (1, 3):
        raise UsageError(f"a picture has 1 channel (grey) or 3 (colour), not {x.shape[0]}")
    levels = (x.detach().cpu().float().nan_to_num(nan=0.0).clamp(0, 1) * 255).round().to(torch.uint8)
    array = levels.permute(1, 2, 0).contiguous().numpy()
    return Image.fromarray(array[:, :, 0] if x.shape[0] == 1 else array)


def _check_file(path: Path) -> None:
    try:
        status = path.stat()
    except FileNotFoundError as error:
        raise ImageError(path, "there is no such file") from error
    except PermissionError as error:
        raise ImageError(path, "no permission to read it") from error
    except (OSError, ValueError) as error:  # a part of the path is a file, a name too long or with a NUL
        raise ImageError(path, "there is no such file") from error
    if stat.S_ISDIR(status.st_mode):
        raise ImageError(path, "it is a folder, not a file")
    if not stat.S_ISREG(status.st_mode):  # to open a pipe would wait for ever
        raise ImageError(path, "it is not a regular file")
    if status.st_size == 0:
        raise ImageError(path, "the file is empty")


def _sample_bits(image: Image.Image) -> int:
    """Bits of a sample in the file of a picture that is open and not yet loaded (Pillow drops this when it loads)."""
    raw = image.tile[0].args if isinstance(image, ImageFile.ImageFile) and image.tile else None
    if not isinstance(raw, str):
        return 8
    return 16 if ";16" in raw else {"L;2": 2, "L;4": 4}.get(raw, 8)


def _turned(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # EXIF data that cannot be read say nothing about how to turn the picture
        return image


def _eight_bit(image: Image.Image, depth: int) -> Image.Image:
    """The picture in one of the modes of `_UPRIGHT`."""
    key = image.info.get("transparency")
    if image.mode in ("1", "L", "I;16"):
        return _grey(image, depth, key)
    if image.mode == "RGB" and isinstance(key, tuple) and depth == 16:
        image.info["transparency"] = tuple(sample >> 8 for sample in key)  # Pillow keeps the high bytes of samples
    if (image.mode in ("P", "RGB") and key is not None) or image.mode in ("PA", "RGBa"):
        return image.convert("RGBA")
    return image if image.mode in _UPRIGHT else image.convert("RGB")


def _grey(image: Image.Image, depth: int, key: object) -> Image.Image:
    """Grey of any depth as L, or as LA where the file names a transparent level."""
    samples = np.array(image.convert("L") if image.mode == "1" else image)
    grey = Image.fromarray(samples if depth < 16 else np.round(samples / 257).astype(np.uint8))
    if not isinstance(key, int):
        return grey
    # The key is given in samples of the file; those of 2 and 4 bits are spread over 0 … 255 when they are read.
    level = key * 255 // (2**depth - 1) if depth in (2, 4) else key
    return Image.merge("LA", (grey, Image.fromarray(np.where(samples == level, 0, 255).astype(np.uint8))))


def _flat(image: Image.Image, mode: str, background: float) -> Image.Image:
    """The picture in `mode` (L or RGB), composited on grey where it has alpha."""
    if image.mode not in ("LA", "RGBA"):
        return image.convert(mode)
    level = round(255 * min(max(background, 0.0), 1.0))
    canvas = Image.new(mode, image.size, level if mode == "L" else (level, level, level))
    canvas.paste(image.convert(mode), mask=image.getchannel("A"))
    return canvas


def _cropped(image: Image.Image, height: int, width: int) -> Image.Image:
    """The largest centred part of this aspect, resized."""
    scale = min(image.width / width, image.height / height)
    # (Rounding must not put the part a hair outside of the picture.)
    left, top = max((image.width - scale * width) / 2, 0), max((image.height - scale * height) / 2, 0)
    right, bottom = image.width - left, image.height - top
    # The filter looks across the borders of a box, so what is cut off must be gone before.
    x, y = math.floor(left), math.floor(top)
    part = image.crop((x, y, math.ceil(right), math.ceil(bottom)))
    box = (left - x, top - y, right - x, bottom - y)
    return part.resize((width, height), Image.Resampling.LANCZOS, box=box, reducing_gap=3.0)
