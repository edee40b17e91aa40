"""What the routes read in a request, and what they answer to errors: one line each."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sfumato.app.studio.bodies import NotJSON
from sfumato.app.studio.trainings import Taken
from sfumato.errors import SfumatoError, UsageError

_T = TypeVar("_T")
_log = logging.getLogger("sfumato.studio")

NOTHING = "there is nothing of this name"
"""What is said of whatever is not there."""


def found(value: _T | None) -> _T:
    """What is there; a 404 where nothing is."""
    if value is None:
        raise HTTPException(404, NOTHING)
    return value


def number(request: Request, name: str = "id") -> int:
    """A number in the path; what is none names nothing."""
    text = request.path_params[name]
    if not (text.isascii() and text.isdecimal() and len(text) < 18):
        raise HTTPException(404, NOTHING)
    return int(text)


def whole(text: str, name: str) -> int:
    """A number of a query. Raises UsageError for anything else."""
    if not (text.isascii() and text.isdecimal() and len(text) < 18):
        raise UsageError(f"{name}: a whole number, please")
    return int(text)


def limit(request: Request, usual: int) -> int:
    """How many rows are asked for. Raises UsageError for what is no number."""
    given = request.query_params.get("limit")
    return usual if given is None else min(500, max(1, whole(given, "limit")))


def file_name(given: str) -> str:
    """What a user's file is called: no folders, nothing that a terminal would obey, and not without end."""
    last = given.replace("\\", "/").rpartition("/")[2]
    plain = "".join(c for c in last if c.isprintable()).strip(" .")
    return plain[-100:] or "picture"


def _line(status: int) -> Callable[[Request, Exception], Response]:
    def handler(_: Request, error: Exception) -> Response:
        return JSONResponse({"error": " ".join(str(error).split())}, status)

    return handler


def _refusal(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    usual = {404: NOTHING, 405: "that cannot be done here"}
    line = usual.get(error.status_code) if error.detail in {"Not Found", "Method Not Allowed"} else error.detail
    return JSONResponse({"error": line}, error.status_code, headers=error.headers)


def _failure(_: Request, error: Exception) -> Response:
    _log.error("%s", error)
    return JSONResponse({"error": " ".join(str(error).split())}, 503)


HANDLERS: dict[Any, Any] = {
    HTTPException: _refusal,
    NotJSON: _line(400),
    Taken: _line(409),
    UsageError: _line(422),
    SfumatoError: _failure,
}
"""What is answered to errors: one line each."""
