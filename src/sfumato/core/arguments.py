"""How views and factors are written: a name, then values, then settings, as in `circle:180:r=0.375`.

The signature of what makes it says what may follow the name: parameters in order are values, keyword-only ones are
settings `key=value`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import Field, fields
from inspect import Parameter, signature
from typing import Any, TypeVar, get_type_hints

T = TypeVar("T")


def build(name: str, make: Callable[..., T], arguments: str) -> T:
    """What `make` makes of the text behind `name:`, such as `180:r=0.375`.

    Parameters may be int, int | None, float, tuple[float, ...] (numbers with commas between them) or str. Raises
    ValueError, saying how it is written, for text that does not fit them.
    """
    parameters = signature(make).parameters
    hints = get_type_hints(make)
    places = [parameter.name for parameter in parameters.values() if parameter.kind is not Parameter.KEYWORD_ONLY]
    given: dict[str, Any] = {}
    for part in arguments.split(":") if arguments else ():
        key, is_setting, text = part.partition("=")
        if not is_setting:
            key, text = next((place for place in places if place not in given), ""), part
        if key not in parameters or key in given or bool(is_setting) == (key in places):
            how = f"is written {_form(name, parameters)}; {part!r} does not fit"
            raise ValueError(f"{name} {how if parameters else f'takes no argument, not {part!r}'}")
        given[key] = _value(f"{name}: {key}", text, hints[key])
    for key, parameter in parameters.items():
        if key not in given and parameter.default is Parameter.empty:
            raise ValueError(f"{name} wants its {key}; it is written {_form(name, parameters)}")
    return make(**given)


def spell(name: str, value: Any) -> str:
    """The text that `build` makes a dataclass of again, all its settings said."""
    return ":".join([name, *(_said(field, getattr(value, field.name)) for field in fields(value))])


def _number(value: float) -> str:
    """A number in the fewest digits that read back as it; without a `+`, which is what chains are made with."""
    return repr(value + 0.0).removesuffix(".0").replace("+", "")  # + 0.0 makes an integer a float and −0 0


def _said(field: Field[Any], value: Any) -> str:
    values = value if isinstance(value, tuple) else (value,)
    text = ",".join(_number(each) if isinstance(each, float) else str(each) for each in values)
    return f"{field.name}={text}" if field.kw_only else text


def _form(name: str, parameters: Mapping[str, Parameter]) -> str:
    for key, parameter in parameters.items():
        part = f":{key}=…" if parameter.kind is Parameter.KEYWORD_ONLY else f":{key}"
        name += part if parameter.default is Parameter.empty else f"[{part}]"
    return name


def _value(what: str, text: str, hint: Any) -> Any:
    if hint is str:
        return text
    try:
        if hint in {int, int | None}:
            return int(text)
        numbers = tuple(float(part) for part in (text.split(",") if hint == tuple[float, ...] else (text,)))
    except ValueError:
        kind = "a whole number" if hint in {int, int | None} else "a number"
        raise ValueError(f"{what} must be {kind}, not {text!r}") from None
    if not all(map(math.isfinite, numbers)):
        raise ValueError(f"{what} must be finite, not {text!r}")
    return numbers if hint == tuple[float, ...] else numbers[0]
