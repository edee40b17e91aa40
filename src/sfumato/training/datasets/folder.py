"""A folder of pictures as training data, with the names of its sub-folders as classes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import UInt8
from torch import Tensor

from sfumato.errors import UsageError
from sfumato.images import ImageError, is_image, read_image, to_tensor
from sfumato.training.data import ImageData
from sfumato.training.datasets.sizes import check_form


@dataclass(frozen=True)
class Skipped:
    """A file or folder that was left out, and why."""

    path: Path
    reason: str

    @property
    def told(self) -> str:
        """The path in letters that can be written: names on a disk need not be of any encoding."""
        return os.fsencode(self.path).decode("utf-8", "backslashreplace")


def load_folder(path: Path, size: int = 28, channels: int = 1) -> tuple[ImageData, list[Skipped]]:
    """The pictures of a folder, centre-cropped to squares, and what was left out.

    Either the pictures lie in the folder itself and have no classes, or they lie in its sub-folders, whose names, in
    natural order (2 before 10), are the classes. PNG, JPEG, WebP and GIF (first frame) are told by their content;
    other and broken files are left out and reported, hidden files are ignored. Within a folder the order is that of
    the names, so the same folder gives the same data everywhere.

    Args:
        path: The folder.
        size: Height and width of the pictures given back, at least 1.
        channels: 1 (grey) or 3 (colour); transparent parts lie on black.

    Raises:
        UsageError: the folder is missing, has no usable picture, or has pictures both in itself and in sub-folders.
    """
    check_form(size, channels)
    files, folders = _listed(path)
    inside = {folder: _listed(folder) for folder in folders}
    loose = any(is_image(file) for file in files)
    if loose and any(is_image(file) for children, _ in inside.values() for file in children):
        raise UsageError(
            f"{path} has pictures both in itself and in its sub-folders; "
            f"move the loose ones into sub-folders (one a class), or the sub-folders out"
        )
    skipped: list[Skipped] = []
    pictures: list[UInt8[Tensor, "c h w"]] = []
    labels: list[int] = []
    classes: list[str] = []
    for picture in _read(files, size, channels, skipped):
        pictures.append(picture)
        labels.append(0)
    for folder, (children, deeper) in inside.items():
        before = len(pictures)
        for picture in _read(children, size, channels, skipped):
            pictures.append(picture)
            labels.append(len(classes))
        skipped += [Skipped(child, "a folder in a sub-folder is not looked into") for child in deeper]
        if len(pictures) > before:
            classes.append(folder.name)
        else:
            skipped.append(Skipped(folder, "no usable picture in it, so it is no class"))
    if not pictures:
        why = (
            f" ({len(skipped)} left out; the first, {Path(skipped[0].told).name}: {skipped[0].reason})"
            if skipped
            else ""
        )
        raise UsageError(f"no PNG, JPEG, WebP or GIF picture in {path}{why}")
    data = ImageData(path.resolve().name, torch.stack(pictures), torch.tensor(labels), tuple(classes))
    return data, skipped


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """A key that sorts names as people count: `cat2` before `cat10`."""
    # A split at the digits alternates text and number, so numbers meet numbers; the name itself settles ties (1, 01).
    parts = re.split(r"([0-9]+)", name.casefold())
    key = [(1, int(part), "") if i % 2 else (0, 0, part) for i, part in enumerate(parts)]
    return (*key, (0, 0, name))


def _listed(folder: Path) -> tuple[list[Path], list[Path]]:
    """The files and the folders in a folder, without the hidden ones, in natural order."""
    try:
        entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    except FileNotFoundError as error:
        raise UsageError(f"there is no folder {folder}") from error
    except NotADirectoryError as error:
        raise UsageError(f"{folder} is a file; give the folder it is in") from error
    except OSError as error:
        raise UsageError(f"cannot look into the folder {folder}: {error.strerror}") from error
    entries.sort(key=lambda entry: natural(entry.name))
    return [e for e in entries if not e.is_dir()], [e for e in entries if e.is_dir()]


def _read(files: list[Path], size: int, channels: int, skipped: list[Skipped]) -> Iterator[UInt8[Tensor, "c h w"]]:
    for file in files:
        try:
            # Twice the size wanted keeps the fineness of the Lanczos filter.
            picture = to_tensor(read_image(file, at_least=2 * size), (size, size), channels)
        except ImageError as error:
            skipped.append(Skipped(file, error.reason))
        else:
            yield (picture * 255).round().to(torch.uint8)
