"""MNIST and the sets in its format: Fashion-MNIST (Xiao et al. 2017) and KMNIST (Clanuwat et al. 2018).

Each is four idx files, of pictures and labels for training and testing: a magic number that says how many dimensions
the array has, their sizes, and its bytes.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import torch

from sfumato.errors import SfumatoError
from sfumato.training.data import ImageData
from sfumato.training.datasets.downloads import silent
from sfumato.training.datasets.sources import MNIST, Source, Split
from sfumato.training.datasets.stored import Tell, read_parts

_UNSIGNED_BYTES = 8


def load_mnist(split: Split = "train", folder: Path | None = None, *, download: bool = True) -> ImageData:
    """60,000 (train) or 10,000 (test) digits of 28×28.

    Looks for the idx files (plain or .gz) in `folder`, or else in $SFUMATO_DATA (first in a folder `mnist` there) and
    in the user's cache, where `download` puts them. Raises UsageError when they are not there and SfumatoError when
    their content is not MNIST's.
    """
    return load_idx(MNIST, split, folder, download=download)


def load_idx(
    source: Source,
    split: Split = "train",
    folder: Path | None = None,
    *,
    download: bool = True,
    tell: Tell = silent,
) -> ImageData:
    """A set in MNIST's format, as `load_mnist` loads MNIST; `tell` is told in a line of each download."""
    pixels, labels = read_parts(source, split, folder, download=download, tell=tell)
    return ImageData(
        name=source.name if split == "train" else f"{source.name}-{split}",
        images=torch.from_numpy(parse_idx(pixels, dimensions=3).copy())[:, None],
        labels=torch.from_numpy(parse_idx(labels, dimensions=1).astype(np.int64)),
        classes=source.classes,
    )


def parse_idx(content: bytes, dimensions: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """The array of an idx file, 0 … 255, which cannot be written to.

    Raises SfumatoError for a magic number other than that of unsigned bytes in so many dimensions, and for more or
    fewer bytes than the header promises.
    """
    start = 4 + 4 * dimensions
    if len(content) < start or content[:4] != bytes((0, 0, _UNSIGNED_BYTES, dimensions)):
        raise SfumatoError(f"no idx file of bytes in {dimensions} dimensions: it begins with 0x{content[:4].hex()}")
    shape = struct.unpack(f">{dimensions}I", content[4:start])
    if len(content) - start != np.prod(shape, dtype=object):
        raise SfumatoError(f"an idx file of {'×'.join(map(str, shape))} bytes has {len(content) - start:,}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
