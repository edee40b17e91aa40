"""SVHN (Netzer et al. 2011), its digits cropped to 32×32, from the two MATLAB files that it is published as."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from sfumato.errors import SfumatoError
from sfumato.training.data import ImageData
from sfumato.training.datasets.downloads import silent
from sfumato.training.datasets.matlab import read_arrays
from sfumato.training.datasets.sources import SVHN, Source, Split
from sfumato.training.datasets.stored import Tell, read_parts


def load_svhn(
    source: Source = SVHN,
    split: Split = "train",
    folder: Path | None = None,
    *,
    download: bool = True,
    tell: Tell = silent,
) -> ImageData:
    """73,257 (train) or 26,032 (test) digits in colour of 32×32.

    Looks for `train_32x32.mat` or `test_32x32.mat` in `folder`, or else in $SFUMATO_DATA (first in a folder `svhn`
    there) and in the user's cache, where `download` puts it; `tell` is told of that in a line. Raises UsageError when
    it is not there and SfumatoError when it has another content.
    """
    (content,) = read_parts(source, split, folder, download=download, tell=tell)
    images, labels = parse_digits(content)
    return ImageData(source.name if split == "train" else f"{source.name}-{split}", images, labels, source.classes)


def parse_digits(content: bytes) -> tuple[UInt8[Tensor, "n 3 32 32"], Int[Tensor, " n"]]:
    """Pictures and labels (0 … 9) of one of the files. Raises SfumatoError for a file that is not built as those."""
    arrays = read_arrays(content)
    if not {"X", "y"} <= set(arrays):
        raise SfumatoError(f"SVHN's files have the arrays X and y, this one has {', '.join(arrays) or 'none'}")
    pixels, labels = arrays["X"], arrays["y"].reshape(-1)
    if pixels.dtype != np.uint8 or pixels.shape != (32, 32, 3, len(labels)):
        raise SfumatoError(f"SVHN's X is 32×32×3 bytes for each label, not {'×'.join(map(str, pixels.shape))}")
    if not np.isin(labels, np.arange(1, 11)).all():
        raise SfumatoError("SVHN's labels are 1 to 10, and some are others")
    # MATLAB counts from 1, so the digit 0 has the label 10.
    images = torch.from_numpy(np.ascontiguousarray(pixels.transpose(3, 2, 0, 1)))
    return images, torch.from_numpy(labels.astype(np.int64) % 10)
