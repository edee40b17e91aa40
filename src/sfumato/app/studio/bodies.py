"""Bodies of requests: JSON that is finite, plain and of the shape that is asked for."""

from __future__ import annotations

import math
import re
from typing import Any, TypeVar

import pydantic_core
from pydantic import BaseModel, ConfigDict, ValidationError

from sfumato.errors import UsageError

STRICT = ConfigDict(extra="forbid", frozen=True, strict=True)
"""Of the models of all that a page sends."""
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_Request = TypeVar("_Request", bound=BaseModel)


class NotJSON(UsageError):
    """A body that cannot be read at all."""


def parse_body(body: bytes, kind: type[_Request]) -> _Request:
    """A request from its JSON. Raises UsageError for the first thing that is wrong with it."""
    try:
        data = pydantic_core.from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise NotJSON(f"the request is not JSON: {error}") from error
    _check_plain(data)
    return parse_request(data, kind)


def parse_request(data: Any, kind: type[_Request]) -> _Request:
    """A request from plain data. Raises UsageError for the first thing that is wrong with it."""
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part)[:60] for part in first["loc"]) or "the request"
        message = "no such field" if first["type"] == "extra_forbidden" else first["msg"].removeprefix("Input ")
        raise UsageError(f"{where}: {message}") from error


def _check_plain(data: Any) -> None:
    """Raise UsageError for numbers and letters that JSON can hold and nothing here means."""
    waiting = [data]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += [*value, *value.values()]
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, float) and not math.isfinite(value):
            raise UsageError("a number in the request is too large")
        elif isinstance(value, str) and _CONTROL.search(value):
            raise UsageError("a text in the request has a control character in it")
