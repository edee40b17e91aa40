"""Files that are either whole or not there: written under a temporary name, synced, then renamed. And locks."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from sfumato.errors import SfumatoError, UsageError

try:
    import fcntl
except ImportError:  # not a Unix
    fcntl = None  # type: ignore[assignment]

_ADVICE = {
    errno.ENOSPC: "; make room on that disk",
    errno.EDQUOT: "; make room in your share of that disk",
    errno.EROFS: "; choose a folder that can be written to",
    errno.EACCES: "; choose a folder that you may write to",
}

_PART = ".*.????????.part"
"""What `atomic` calls its temporary files."""


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Tell what keeps the block from writing `path`, such as a full disk, in one line: a SfumatoError."""
    try:
        yield
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, "")
        raise SfumatoError(f"cannot write {path}: {error.strerror or error}{advice}") from error


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for writing that appears at `path` when the block ends, and not at all when the block fails.

    Raises SfumatoError when the system does not let it be written.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        fd, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        temporary = Path(name)
        try:
            with os.fdopen(fd, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            umask = os.umask(0)
            os.umask(umask)
            temporary.chmod(0o666 & ~umask)
            temporary.replace(path)
        except BaseException:
            # A disk that refuses this too has had its say already.
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
    sync_folder(path.parent)


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path`, whole or not at all."""
    with atomic(path) as file:
        file.write(data)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 `text` to `path`, whole or not at all."""
    write_bytes(path, text.encode())


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a power cut, where the system can."""
    with contextlib.suppress(OSError, AttributeError):
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def numbered(folder: Path, pattern: str) -> list[Path]:
    """The files of a folder that fit a pattern, in the order of the number that their names end with; no others."""
    return sorted((file for file in folder.glob(pattern) if file.stem.rpartition("-")[2].isdecimal()), key=number_of)


def number_of(file: Path) -> int:
    """The number that a file's name ends with, before what comes after the dot: 12 of `epoch-012.png`."""
    return int(file.stem.rpartition("-")[2])


def clear_leftovers(folder: Path) -> None:
    """Remove what writers that were killed left in a folder and the folders in it. Nobody may be writing there."""
    for pattern in (_PART, f"*/{_PART}"):
        for part in folder.glob(pattern):
            with writing(part):
                part.unlink(missing_ok=True)


@contextlib.contextmanager
def locked(path: Path, otherwise: str) -> Iterator[None]:
    """Hold the lock file `path`; the system lets it go when the process ends, however it ends.

    Raises UsageError with the line `otherwise` when another process holds it. Where the system or the disk knows no
    locks there is none.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab")
    with file:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise UsageError(otherwise) from error
            except OSError:
                pass
        yield


def sha256(*paths: Path) -> str:
    """The SHA-256 of a file, or of several one after the other, in hexadecimal."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            for block in iter(lambda: file.read(1 << 20), b""):
                digest.update(block)
    return digest.hexdigest()
