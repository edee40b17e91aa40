"""The directive `{settings} MODULE:CLASS`: the fields of a recipe or a job, each with its default and its meaning.

With `without:` fields of another class are left out, as said there.
"""

from __future__ import annotations

import enum
import inspect
import types
from importlib import import_module
from typing import Any, Literal, Union, get_args, get_origin

from docutils import nodes
from docutils.parsers.rst import directives
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.docutils import SphinxDirective


def load(name: str) -> type[BaseModel]:
    """The class of this name."""
    module, attribute = name.split(":")
    kind = getattr(import_module(module), attribute)
    assert issubclass(kind, BaseModel)
    return kind


def meaning(kind: type[BaseModel], field: str) -> str:
    """The text below a field in the source, in its class or the one that it is from."""
    for owner in kind.__mro__:
        if field in inspect.get_annotations(owner):
            found = ModuleAnalyzer.for_module(owner.__module__).find_attr_docs().get((owner.__name__, field))
            if found:
                return " ".join(" ".join(found).split())
    return ""


def written(annotation: Any) -> str:
    """A type as a person would write it."""
    origin, inside = get_origin(annotation), get_args(annotation)
    if hasattr(annotation, "__metadata__"):
        return written(inside[0])
    if origin in {Literal, Union, types.UnionType}:
        return " | ".join(str(part) if origin is Literal else written(part) for part in inside)
    if origin is tuple:
        return f"[{', '.join('…' if part is Ellipsis else written(part) for part in inside)}]"
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return " | ".join(str(member.value) for member in annotation)
    plain = {str: "text", int: "whole number", float: "number", bool: "true | false", type(None): "nothing"}
    return plain.get(annotation, getattr(annotation, "__name__", str(annotation)))


def default(field: FieldInfo) -> str:
    """What it is where nothing is said; empty where something must be."""
    if field.is_required():
        return ""
    value = field.get_default(call_default_factory=True)
    if isinstance(value, enum.Enum):
        value = value.value
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    return "nothing" if value is None else str(value)


class Settings(SphinxDirective):
    """A list of fields."""

    required_arguments = 1
    option_spec = {"without": directives.unchanged}  # noqa: RUF012 (as docutils has it)

    def run(self) -> list[nodes.Node]:
        """The list; terms are `name = default`, of this type."""
        self.env.note_reread()  # the class may have changed, and the page has not
        kind = load(self.arguments[0])
        hidden = set(load(self.options["without"]).model_fields) if "without" in self.options else set()
        entries = nodes.definition_list(classes=["options"])
        for name, field in kind.model_fields.items():
            if name not in hidden:
                entries += self._entry(kind, name, field)
        return [entries]

    def _entry(self, kind: type[BaseModel], name: str, field: FieldInfo) -> nodes.definition_list_item:
        value = default(field)
        term = nodes.term("", "", nodes.literal("", f"{name} = {value}" if value else name))
        body = nodes.definition("", nodes.paragraph("", "", nodes.emphasis("", written(field.annotation))))
        text = meaning(kind, name)
        if text:
            body[0] += nodes.Text(". ")
            inline, _ = self.parse_inline(text)
            body[0] += inline
        return nodes.definition_list_item("", term, body)


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the directive."""
    app.add_directive("settings", Settings)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
