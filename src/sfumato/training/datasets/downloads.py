"""Files of data sets from their mirrors into the user's cache."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from platformdirs import user_cache_path

from sfumato.errors import SfumatoError
from sfumato.training.datasets.sources import Download, Source
from sfumato.training.datasets.unpack import NotTheFile, unpack

Progress = Callable[[str, int, int], None]
"""Is told which file is being downloaded, how many bytes of it are there, and how many it has."""

_TIMEOUT = 30  # seconds without a byte
_CHUNK = 2**16


def silent(*_: object) -> None:
    """Tell nobody."""


def cache_folder(source: Source) -> Path:
    """Where its downloads are kept."""
    return user_cache_path("sfumato") / source.name


def fetch(source: Source, file: Download, progress: Progress = silent) -> Path:
    """Download one file into the cache, from the first mirror that has it; it is put there when it is checked.

    Raises SfumatoError when no mirror has it.
    """
    folder = cache_folder(source)
    reasons = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            for k, mirror in enumerate(source.mirrors):
                try:
                    path = _retrieve(mirror, file, Path(scratch) / str(k), progress)
                    unpack(path, source, file, file.parts)
                except Exception as error:  # pooch passes on whatever its transport raises
                    reasons.append(f"{urlsplit(mirror).hostname}: {_reason(error)}")
                else:
                    return path.replace(folder / file.name)
    except OSError as error:
        raise SfumatoError(f"cannot write to the cache {folder}: {error.strerror}") from error
    raise SfumatoError(
        f"cannot download {source.title} ({'; '.join(reasons)}); give its files with --data FOLDER or SFUMATO_DATA, "
        f"or train on --data typeset, which needs no download"
    )


def _retrieve(mirror: str, file: Download, folder: Path, progress: Progress) -> Path:
    import pooch

    downloader = pooch.HTTPDownloader(progressbar=_Meter(file, progress), chunk_size=_CHUNK, timeout=_TIMEOUT)
    with _quiet_pooch():
        return Path(pooch.retrieve(mirror + file.name, None, fname=file.name, path=folder, downloader=downloader))


@contextmanager
def _quiet_pooch() -> Iterator[None]:
    """Without pooch's lines on stderr: who calls says what is downloaded, and the content is checked here."""
    import pooch

    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel("WARNING")
    try:
        yield
    finally:
        logger.setLevel(level)


class _Meter:
    """What pooch takes for a progress bar."""

    def __init__(self, file: Download, progress: Progress) -> None:
        self.total = 0
        self._file, self._progress, self._done = file, progress, 0
        # Pooch counts whole chunks, and a server may unpack what it sends.
        self._most = max(file.size, sum(part.size for part in file.parts)) + 2**20

    def update(self, n: int) -> None:
        self._done += n
        if self._done > self._most:  # a server that never ends would fill the disk
            raise SfumatoError(f"more than the {self._file.size:,} bytes of {self._file.name}")
        total = self.total or self._file.size
        self._progress(self._file.name, min(self._done, total), total)

    def reset(self) -> None:
        self._done = 0

    def close(self) -> None:
        pass


def _reason(error: Exception) -> str:
    response = getattr(error, "response", None)
    if response is not None:
        return f"HTTP {response.status_code}"
    if isinstance(error, NotTheFile):
        return "another content"
    if isinstance(error, SfumatoError):
        return "a damaged file"
    kind = type(error).__name__
    said = {"ConnectionError": "no connection", "ConnectTimeout": "no answer", "ReadTimeout": "no answer"}.get(
        kind, kind
    )
    return (error.strerror if isinstance(error, OSError) else None) or said
