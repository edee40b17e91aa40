"""The files of the page and of the viewer: a table read at the start, so that no request reaches the disk."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING

from sfumato.errors import SfumatoError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}
"""What is handed out, by suffix."""


@dataclass(frozen=True)
class Page:
    """A file that is handed out."""

    content: bytes
    kind: str
    etag: str

    def response(self, request: Request) -> Response:
        """The file, or that it is still the same."""
        from starlette.responses import Response

        headers = {"etag": self.etag, "cache-control": "no-cache"}
        if self.etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(self.content, media_type=self.kind, headers=headers)


def static() -> Mapping[str, Page]:
    """The files of the page by their path under `/static/`. Raises SfumatoError where they are missing."""
    pages = dict(_pages(files("sfumato.app.studio") / "static", ""))
    if "index.html" not in pages:
        raise SfumatoError("the page of the studio is missing; install it anew: pip install --force-reinstall sfumato")
    return pages


def viewer() -> Mapping[str, Page]:
    """The modules of the viewer by their name under `/viewer/`."""
    return dict(_pages(files("sfumato.app.viewer"), ""))


def _pages(folder: Traversable, prefix: str) -> Iterator[tuple[str, Page]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _pages(entry, f"{prefix}{entry.name}/")
            continue
        _, dot, suffix = entry.name.rpartition(".")
        kind = TYPES.get(f"{dot}{suffix}")
        if kind is not None and not entry.name.startswith("."):
            content = entry.read_bytes()
            yield f"{prefix}{entry.name}", Page(content, kind, f'"{hashlib.sha256(content).hexdigest()[:32]}"')
