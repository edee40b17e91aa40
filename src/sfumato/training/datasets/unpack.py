"""What is in a file of a data set: unpacked in memory and checked. Nothing that an archive names is written."""

from __future__ import annotations

import gzip
import hashlib
import tarfile
import zlib
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from sfumato.errors import SfumatoError
from sfumato.training.datasets.sources import Download, Part, Source, source_of


class NotTheFile(SfumatoError):
    """A file that has the name of one of a data set and another content."""


def read_loose(path: Path, source: Source, part: Part) -> bytes:
    """A part that lies unpacked. Raises NotTheFile for another content and SfumatoError when it cannot be read."""
    content = _bytes_of(path)
    _check(path, source, part, content)
    return content


def unpack(path: Path, source: Source, file: Download, parts: Sequence[Part]) -> list[bytes]:
    """Some parts of a file as it is published.

    A part of gzip is accepted as it is, too, for there are servers that unpack while they send. Raises NotTheFile for
    another content and SfumatoError for a damaged file, or for one that unpacks to more than it should.
    """
    packed = _bytes_of(path)
    published = _md5(packed) == file.md5
    try:
        if file.name.endswith(".tar.gz"):
            contents = _from_tar(path, packed, file, parts)
        elif packed.startswith(b"\x1f\x8b"):
            contents = [_gunzip(packed, part.size) for part in parts]
        else:
            contents = [packed]
    except (OSError, EOFError, zlib.error) as error:
        raise SfumatoError(f"cannot read {path}: {error}") from error
    except tarfile.TarError as error:
        raise SfumatoError(f"cannot read {path}: it is damaged, or no tar archive") from error
    if not published:
        for part, content in zip(parts, contents, strict=True):
            _check(path, source, part, content)
    return contents


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SfumatoError(f"cannot read {path}: {error.strerror}") from error


def _gunzip(packed: bytes, size: int) -> bytes:
    """What gzip packed, but hardly more than is wanted of it: a few kilobytes can unpack to gigabytes."""
    with gzip.GzipFile(fileobj=BytesIO(packed)) as file:
        return file.read(size + 1)


def _from_tar(path: Path, packed: bytes, file: Download, parts: Sequence[Part]) -> list[bytes]:
    """The members that are wanted, by their full names; whatever else an archive holds is not looked at."""
    wanted = {f"{file.folder}/{part.name}": part for part in parts}
    found: dict[str, bytes] = {}
    with tarfile.open(fileobj=BytesIO(packed), mode="r:*") as archive:
        for member in archive:
            part = wanted.get(member.name)
            if part is None:
                continue
            content = archive.extractfile(member) if member.isreg() and member.size == part.size else None
            if content is None:
                raise SfumatoError(f"cannot read {path}: {member.name} in it is no file of {part.size:,} bytes")
            found[part.name] = content.read()
            if len(found) == len(wanted):
                break
    missing = [part.name for part in parts if part.name not in found]
    if missing:
        raise SfumatoError(f"cannot read {path}: there is no {file.folder}/{missing[0]} in it")
    return [found[part.name] for part in parts]


def _check(path: Path, source: Source, part: Part, content: bytes) -> None:
    md5 = _md5(content)
    if md5 == part.md5:
        return
    other = source_of(md5)
    if other is None or other is source:
        raise NotTheFile(
            f"{path} does not hold {source.title}'s {part.name} (the MD5 of its content differs); remove it"
        )
    raise NotTheFile(
        f"{path} is {other.title}'s, not {source.title}'s; ask for --data {other.name}, "
        f"or put {source.title}'s files in a folder {source.name} of their own"
    )


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
