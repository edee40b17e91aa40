"""The files of data sets: found on this machine and read, or downloaded when they were asked for and are not there."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from sfumato.errors import SfumatoError, UsageError
from sfumato.training.datasets.downloads import Progress, cache_folder, fetch, silent
from sfumato.training.datasets.sources import SOURCES, Download, Part, Source, Split
from sfumato.training.datasets.unpack import NotTheFile, read_loose, unpack

Tell = Callable[[str], None]


def is_here(source: Source) -> bool:
    """Whether all its files lie where they are looked for, by their names: what is in them is not read."""
    roots = _roots(source, None)
    return all(any(_ways(root, source, file, file.parts) for root in roots) for file in source.files)


def read_parts(
    source: Source, split: Split, folder: Path | None = None, *, download: bool = True, tell: Tell = silent
) -> list[bytes]:
    """The files of a split, unpacked and checked, in the order of `source.splits`.

    Looks in `folder`, or else in $SFUMATO_DATA (first in a folder there with the name of the data set) and then in the
    user's cache, where `download` puts what is missing; `tell` is told in a line when that begins.

    Raises:
        UsageError: they are not there, and not to be downloaded.
        SfumatoError: what is there is damaged, or the files of another data set; or they cannot be downloaded.
    """
    names = source.splits[split]
    contents: dict[str, bytes] = {}
    for file in source.files:
        parts = [part for part in file.parts if part.name in names]
        if parts:
            found = _found(source, file, parts, _roots(source, folder))
            if found is None:
                if folder is not None or not download:
                    raise UsageError(f"no {file.name} (packed or unpacked) in {folder or cache_folder(source)}")
                tell(f"downloading {source.title}'s {file.name} ({file.size / 1e6:.1f} MB) to {cache_folder(source)}")
                found = unpack(fetch(source, file), source, file, parts)
            contents.update(zip((part.name for part in parts), found, strict=True))
    return [contents[name] for name in names]


def source_in(folder: Path, split: Split) -> Source | None:
    """The data set whose files lie in a folder; None if it has no file that is called as one of them.

    Raises UsageError when some of its files are missing or there are several sets, and SfumatoError when the files
    have another content.
    """
    named = [s for s in SOURCES.values() if any(_ways(folder, s, file, [p]) for file in s.files for p in file.parts)]
    if len(named) < 2:
        return named[0] if named else None
    # The sets in MNIST's format have files of the same names.
    fitting: list[Source] = []
    missing: UsageError | None = None
    for source in named:
        try:
            _last_part(source, split, folder)
            fitting.append(source)
        except NotTheFile:
            continue
        except UsageError as error:
            missing = missing or error
    titles = ", ".join(source.title for source in fitting or named)
    if len(fitting) > 1:
        raise UsageError(f"{folder} has the files of {titles}; give it as SFUMATO_DATA, and --data {fitting[0].name}")
    if not fitting:
        raise missing or SfumatoError(
            f"the files in {folder} are of none of {titles} (the MD5 of their content differs)"
        )
    return fitting[0]


def pull(source: Source, progress: Progress = silent) -> list[Path]:
    """Bring all files into the cache that are not in it, whole and right; those that were downloaded.

    Raises SfumatoError when a file cannot be had.
    """
    fetched = []
    for file in source.files:
        try:
            there = _found(source, file, file.parts, [cache_folder(source)]) is not None
        except SfumatoError:
            there = False
        if not there:
            fetched.append(fetch(source, file, progress))
    return fetched


def _roots(source: Source, folder: Path | None) -> list[Path]:
    if folder is not None:
        return [folder]
    named = os.environ.get("SFUMATO_DATA")
    shared = [Path(named).expanduser() / source.name, Path(named).expanduser()] if named else []
    return [*shared, cache_folder(source)]


def _found(source: Source, file: Download, parts: Sequence[Part], roots: Sequence[Path]) -> list[bytes] | None:
    """The parts from the first place that has the right ones. Raises NotTheFile when there are only wrong ones."""
    wrong: NotTheFile | None = None
    for way in [way for root in roots for way in _ways(root, source, file, parts)]:
        try:
            return way()
        except NotTheFile as error:
            wrong = wrong or error
    if wrong is not None:
        raise wrong
    return None


def _ways(root: Path, source: Source, file: Download, parts: Sequence[Part]) -> list[Callable[[], list[bytes]]]:
    """How parts can be had from a folder: unpacked in it (or in the archive's folder there), or packed."""

    def loose(paths: list[Path]) -> list[bytes]:
        return [read_loose(path, source, part) for path, part in zip(paths, parts, strict=True)]

    places = [[folder / part.name for part in parts] for folder in dict.fromkeys((root, root / file.folder))]
    ways: list[Callable[[], list[bytes]]] = [
        partial(loose, paths) for paths in places if all(path.is_file() for path in paths)
    ]
    packed = root / file.name
    return [*ways, partial(unpack, packed, source, file, parts)] if packed.is_file() else ways


def _last_part(source: Source, split: Split, folder: Path) -> None:
    """Read the last file of a split: of MNIST's format the labels, which are small."""
    name = source.splits[split][-1]
    file = next(file for file in source.files if any(part.name == name for part in file.parts))
    if _found(source, file, [part for part in file.parts if part.name == name], [folder]) is None:
        raise UsageError(f"no {file.name} (packed or unpacked) in {folder}")
