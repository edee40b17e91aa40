"""Docstrings are plain text with `code` and, where long, sections `Args:`; this makes reStructuredText of them.

Without it |A| would be a substitution, a*b an emphasis, and `code` a quotation in italics.
"""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel
from sphinx.application import Sphinx

_CODE = re.compile(r"`+([^`]+)`+")
_SPECIAL = re.compile(r"([*|\\]|(?<=\w)_(?!\w))")
_SECTIONS = {"Args:": "param", "Returns:": "returns", "Raises:": "raises"}
_ENTRY = re.compile(r"(\w+): (.*)")
_INDENT = 4


def converted(text: str) -> str:
    """A docstring as reStructuredText."""
    return "\n".join(_fields(_escaped(text).split("\n")))


def _escaped(text: str) -> str:
    """`code` may go over the end of a line, so the whole is taken at once."""
    out, end = [], 0
    for found in _CODE.finditer(text):
        # Between `code` and a sign such as ± must be a space that is not seen.
        before, after = text[: found.start()][-1:].strip() and "\\ ", text[found.end() :][:1].strip() and "\\ "
        out += [_SPECIAL.sub(r"\\\1", text[end : found.start()]), f"{before}``{found[1]}``{after}"]
        end = found.end()
    return "".join([*out, _SPECIAL.sub(r"\\\1", text[end:])])


def _fields(lines: list[str]) -> list[str]:
    """The sections as fields, `:param name: what it is`."""
    out: list[str] = []
    section, opened = "", False
    for line in lines:
        if line in _SECTIONS:
            section, opened = _SECTIONS[line], False
        elif not section or (line and not line.startswith(" ")):
            section = ""
            out.append(line)
        else:
            inner = line[_INDENT:]
            entry = _ENTRY.match(inner) if section != "returns" else None
            if entry is not None:
                out.append(f":{section} {entry[1]}: {entry[2]}")
            elif section == "returns" and inner and not opened:
                out.append(f":returns: {inner}")
            else:
                out.append(f"    {inner}" if inner else "")
            opened = opened or bool(inner)
    return out


def process(app: Sphinx, what: str, name: str, obj: object, options: Any, lines: list[str]) -> None:
    """One docstring, in place."""
    del app, what, name, obj, options
    lines[:] = converted("\n".join(lines)).split("\n")


def signature(
    app: Sphinx, what: str, name: str, obj: object, options: Any, given: str | None, returned: str | None
) -> tuple[str, None] | None:
    """None for recipes and jobs, whose dozens of fields the directive `{settings}` tells."""
    del app, name, options, given, returned
    return ("", None) if what == "class" and isinstance(obj, type) and issubclass(obj, BaseModel) else None


def setup(app: Sphinx) -> dict[str, Any]:
    """Listen to autodoc."""
    app.connect("autodoc-process-docstring", process)
    app.connect("autodoc-process-signature", signature)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
