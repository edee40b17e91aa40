"""Data sets by name: downloaded ones, digits drawn on this machine, or a folder of pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch

from sfumato.core.noise import stream
from sfumato.errors import UsageError
from sfumato.training.data import ImageData
from sfumato.training.datasets.cifar10 import load_cifar10
from sfumato.training.datasets.folder import Skipped, load_folder
from sfumato.training.datasets.mnist import load_idx, load_mnist
from sfumato.training.datasets.sizes import fitted
from sfumato.training.datasets.sources import SOURCES, Source
from sfumato.training.datasets.stored import source_in
from sfumato.training.datasets.svhn import load_svhn
from sfumato.training.datasets.typeset import load_typeset

NAMES = (*SOURCES, "typeset")
"""Data sets that need no folder."""

SPLITS = {"train", "test", "val", "valid", "validation"}
"""Names of folders that are parts of a data set rather than classes."""

__all__ = ["NAMES", "Skipped", "load_data", "load_folder", "load_mnist", "load_typeset", "summary"]

_LOADERS = {"svhn": load_svhn, "cifar10": load_cifar10}
"""How to load what is not in MNIST's format."""


def _silent(_: str) -> None:
    pass


def load_data(
    name: str,
    split: Literal["train", "test"] = "train",
    folder: Path | None = None,
    *,
    size: int | None = None,
    channels: int | None = None,
    warn: Callable[[str], None] = _silent,
    skipped: list[Skipped] | None = None,
) -> ImageData:
    """The data set that `--data` names.

    Args:
        name: One of `NAMES`, or a folder: of the files of a downloadable set, of pictures, or of sub-folders of
            pictures. Which set the files in a folder are of is told by their content.
        split: Of a folder of pictures that has sub-folders `train` and `test`, the one of them; a folder without
            them has only `train`. Pictures of `test` come in a random order, always the same one.
        folder: Where the files of a downloadable set are, if not where they are looked for; nothing is downloaded
            then.
        size: Height and width of the pictures. By default as published (28 or 32), and 28 for a folder of pictures.
            Digits and clothing are put in a larger picture up to 32; others are resized (Lanczos).
        channels: 1 or 3. By default as published, and 1 for a folder of pictures.
        warn: Is told in one line about files that were left out, and about each download.
        skipped: What was left out of a folder of pictures is added to this list, with the reasons.

    Raises:
        UsageError: an unknown name, a folder that is not one of those, or an option that does not fit.
        SfumatoError: files with another content than they should have, or that cannot be downloaded.
    """
    if folder is not None and name not in SOURCES:
        raise UsageError(f"a folder beside the data {name!r} has no meaning; name the folder itself as the data")
    if name in SOURCES:
        return _published(SOURCES[name], split, folder, size, channels, warn)
    if name == "typeset":
        return fitted(load_typeset(split=split), size, channels, background=0)
    path = Path(name).expanduser()
    if not name or not path.is_dir():  # an empty name would be the folder one is in
        what = "is a file, not a folder" if path.is_file() else "is no data set and no folder"
        raise UsageError(f"{name!r} {what}; choose {', '.join(NAMES)} or a folder of pictures")
    source = source_in(path, split)
    if source is not None:
        return _published(source, split, path, size, channels, warn)
    data, left_out = load_folder(
        _of_split(path, split), 28 if size is None else size, 1 if channels is None else channels
    )
    if left_out:
        warn(summary(left_out))
        if skipped is not None:
            skipped += left_out
    if split == "test":
        # A measure takes as many as it wants from the beginning, where there would be one class after the other.
        order = torch.randperm(len(data), generator=stream(0, "test"))
        data = replace(data, images=data.images[order], labels=data.labels[order])
    return data


def _published(
    source: Source,
    split: Literal["train", "test"],
    folder: Path | None,
    size: int | None,
    channels: int | None,
    warn: Callable[[str], None],
) -> ImageData:
    data = _LOADERS.get(source.name, load_idx)(source, split, folder, tell=warn)
    return fitted(data, size, channels, source.background)


def _of_split(path: Path, split: Literal["train", "test"]) -> Path:
    """The sub-folder of a split. Without this, `train` and `test` would be taken for two classes."""
    if (path / "train").is_dir():
        others = {entry.name for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith(".")}
        if "test" not in others and (unknown := others - SPLITS):
            raise UsageError(
                f"{path} has a sub-folder train beside {', '.join(sorted(unknown)[:3])}; if it is a class, give it "
                "another name, and if the others are none, put them elsewhere"
            )
        if not (path / split).is_dir():
            raise UsageError(f"{path} has a sub-folder train but none for {split}")
        return path / split
    if split == "test":
        raise UsageError(f"{path} has no test pictures; put them in a sub-folder test, the others in train")
    return path


def summary(skipped: list[Skipped], shown: int = 3) -> str:
    """What was left out of a folder, in one line."""
    listed = "; ".join(f"{Path(item.told).name}: {item.reason}" for item in skipped[:shown])
    more = f"; and {len(skipped) - shown} more" if len(skipped) > shown else ""
    return f"left out {len(skipped)} of the folder's entries ({listed}{more})"
