"""CIFAR-10 (Krizhevsky 2009) from its binary version: records of a label and 32×32 pixels, channel by channel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from sfumato.errors import SfumatoError
from sfumato.training.data import ImageData
from sfumato.training.datasets.downloads import silent
from sfumato.training.datasets.sources import CIFAR10, Source, Split
from sfumato.training.datasets.stored import Tell, read_parts


def load_cifar10(
    source: Source = CIFAR10,
    split: Split = "train",
    folder: Path | None = None,
    *,
    download: bool = True,
    tell: Tell = silent,
) -> ImageData:
    """50,000 (train) or 10,000 (test) colour pictures of 32×32, in the order of the batches.

    Looks for `cifar-10-binary.tar.gz`, or for what is in it, in `folder`, or else in $SFUMATO_DATA (first in a folder
    `cifar10` there) and in the user's cache, where `download` puts it; `tell` is told of that in a line. The version
    for Python is a pickle and is not read. Raises UsageError when it is not there and SfumatoError when it is damaged.
    """
    batches = [parse_records(content) for content in read_parts(source, split, folder, download=download, tell=tell)]
    images, labels = zip(*batches, strict=True)
    name = source.name if split == "train" else f"{source.name}-{split}"
    return ImageData(name, torch.cat(images), torch.cat(labels), source.classes)


def parse_records(content: bytes) -> tuple[UInt8[Tensor, "n 3 32 32"], Int[Tensor, " n"]]:
    """Pictures and labels (0 … 9) of a batch. Raises SfumatoError for bytes that are no whole records."""
    if not content or len(content) % 3073:
        raise SfumatoError(f"{len(content):,} bytes are no whole number of CIFAR-10's records of 3,073")
    records = np.frombuffer(content, np.uint8).reshape(-1, 3073)
    if records[:, 0].max() > 9:
        raise SfumatoError(f"a record of CIFAR-10 has the label {records[:, 0].max()}, not one of 0 to 9")
    labels = torch.from_numpy(records[:, 0].astype(np.int64))
    return torch.from_numpy(records[:, 1:].copy()).view(-1, 3, 32, 32), labels
