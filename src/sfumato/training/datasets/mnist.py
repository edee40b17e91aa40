"""MNIST from its four idx files: found on this machine, or downloaded; checked by the content they unpack to."""

from __future__ import annotations

import gzip
import hashlib
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from platformdirs import user_cache_path

from sfumato.errors import SfumatoError, UsageError
from sfumato.training.data import ImageData

Split = Literal["train", "test"]
URL = "https://storage.googleapis.com/cvdf-datasets/mnist/"


@dataclass(frozen=True)
class IdxFile:
    """One file of MNIST: its name, and the MD5 of what it unpacks to.

    The packed bytes differ between mirrors, the content does not, so the content is what is checked.
    """

    name: str
    md5: str


FILES: dict[Split, tuple[IdxFile, IdxFile]] = {
    "train": (
        IdxFile("train-images-idx3-ubyte", "6bbc9ace898e44ae57da46a324031adb"),
        IdxFile("train-labels-idx1-ubyte", "a25bea736e30d166cdddb491f175f624"),
    ),
    "test": (
        IdxFile("t10k-images-idx3-ubyte", "2646ac647ad5339dbf082846283269ea"),
        IdxFile("t10k-labels-idx1-ubyte", "27ae3e4e09519cfbb04c329615203637"),
    ),
}


def load_mnist(split: Split = "train", folder: Path | None = None, *, download: bool = True) -> ImageData:
    """60,000 (train) or 10,000 (test) digits of 28×28.

    Looks for the idx files (plain or .gz) in `folder` or in $SFUMATO_DATA (also in a folder `mnist` there), else in the
    user's cache, where `download` puts them. Raises UsageError when they are not there and SfumatoError when their
    content is not MNIST's.
    """
    pixels, labels = (_content(file, folder, download) for file in FILES[split])
    images = _parse_idx(pixels, dimensions=3)
    return ImageData(
        name="mnist" if split == "train" else f"mnist-{split}",
        images=torch.from_numpy(images.copy())[:, None],
        labels=torch.from_numpy(_parse_idx(labels, dimensions=1).astype(np.int64)),
        classes=tuple("0123456789"),
    )


def cache_folder() -> Path:
    """Where downloads are kept."""
    return user_cache_path("sfumato") / "mnist"


def _content(file: IdxFile, folder: Path | None, download: bool) -> bytes:
    path = _find(file, folder)
    if path is None:
        if folder is not None or not download:
            raise UsageError(f"no {file.name}[.gz] in {folder or cache_folder()}")
        path = _download(file)
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError) as error:
        raise SfumatoError(f"cannot read {path}: {error}") from error
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != file.md5:
        raise SfumatoError(f"{path} does not hold MNIST's {file.name} (the MD5 of its content differs); remove it")
    return content


def _find(file: IdxFile, folder: Path | None) -> Path | None:
    named = os.environ.get("SFUMATO_DATA")
    roots = [folder] if folder is not None else [Path(named), Path(named) / "mnist"] if named else []
    roots += [] if folder is not None else [cache_folder()]
    candidates = (root / (file.name + suffix) for root in roots for suffix in ("", ".gz"))
    return next((path for path in candidates if path.is_file()), None)


def _download(file: IdxFile) -> Path:
    import pooch

    name = f"{file.name}.gz"
    try:
        return Path(pooch.retrieve(f"{URL}{name}", known_hash=None, fname=name, path=cache_folder()))
    except Exception as error:  # pooch passes on whatever its transport raises
        raise SfumatoError(
            f"cannot download MNIST ({type(error).__name__}); give its four idx files with --data FOLDER or "
            f"SFUMATO_DATA, or train on --data typeset, which needs no download"
        ) from error


def _parse_idx(content: bytes, dimensions: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    shape = struct.unpack(f">{dimensions}I", content[4 : 4 + 4 * dimensions])
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)
