"""Data sets by name: MNIST, digits drawn on this machine, or a folder of pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from sfumato.errors import UsageError
from sfumato.training.data import ImageData
from sfumato.training.datasets.folder import Skipped, load_folder
from sfumato.training.datasets.mnist import FILES, load_mnist
from sfumato.training.datasets.typeset import load_typeset

NAMES = ("mnist", "typeset")
"""Data sets that need no folder."""

__all__ = ["NAMES", "Skipped", "load_data", "load_folder", "load_mnist", "load_typeset", "summary"]


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
) -> ImageData:
    """The data set that `--data` names.

    Args:
        name: `mnist`, `typeset`, or a folder: of MNIST's idx files, of pictures, or of sub-folders of pictures.
        split: Of a folder of pictures that has sub-folders `train` and `test`, the one of them; a folder without
            them has only `train`.
        folder: Where MNIST's files are, if not where they are looked for (only with `mnist`).
        size: Sides of the pictures of a folder, by default 28; the digits are always 28×28.
        channels: Of the pictures of a folder, 1 (the default) or 3; the digits always have 1.
        warn: Is told in one line about files that were left out.

    Raises:
        UsageError: an unknown name, a folder that is not one of those, or an option that does not fit.
    """
    if folder is not None and name != "mnist":
        raise UsageError(f"a folder beside the data {name!r} has no meaning; name the folder itself as the data")
    if name == "mnist":
        _only_digits(name, size, channels)
        return load_mnist(split, folder)
    if name == "typeset":
        _only_digits(name, size, channels)
        return load_typeset(split=split)
    path = Path(name).expanduser()
    if not name or not path.is_dir():  # an empty name would be the folder one is in
        what = "is a file, not a folder" if path.is_file() else "is no data set and no folder"
        raise UsageError(f"{name!r} {what}; choose mnist, typeset or a folder of pictures")
    if _has_idx_files(path):
        _only_digits(name, size, channels)
        return load_mnist(split, path)
    data, skipped = load_folder(
        _of_split(path, split), 28 if size is None else size, 1 if channels is None else channels
    )
    if skipped:
        warn(summary(skipped))
    return data


def _only_digits(name: str, size: int | None, channels: int | None) -> None:
    if size not in (None, 28) or channels not in (None, 1):
        raise UsageError(f"the pictures of {name} are 28×28 with 1 channel; leave out size and channels")


def _has_idx_files(path: Path) -> bool:
    names = [file.name for pair in FILES.values() for file in pair]
    return any((path / (name + suffix)).is_file() for name in names for suffix in ("", ".gz"))


def _of_split(path: Path, split: Literal["train", "test"]) -> Path:
    """The sub-folder of a split. Without this, `train` and `test` would be taken for two classes."""
    if (path / "train").is_dir():
        if not (path / split).is_dir():
            raise UsageError(f"{path} has a sub-folder train but none for {split}")
        return path / split
    if split == "test":
        raise UsageError(f"{path} has no test pictures; put them in a sub-folder test, the others in train")
    return path


def summary(skipped: list[Skipped], shown: int = 3) -> str:
    """What was left out of a folder, in one line."""
    listed = "; ".join(f"{item.path.name}: {item.reason}" for item in skipped[:shown])
    more = f"; and {len(skipped) - shown} more" if len(skipped) > shown else ""
    return f"left out {len(skipped)} of the folder's entries ({listed}{more})"
