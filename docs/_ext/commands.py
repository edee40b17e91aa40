"""The directive `{commands}`: every command of the program with its arguments and options, from the program itself.

Options that several commands share as a group are told once, at the end.
"""

from __future__ import annotations

import dataclasses
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import typer
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import sfumato.app.cli  # noqa: F401 (its main hides the module of the same name)
from sfumato.app.cli.common import Sampling
from sfumato.app.cli.making import Searching

SHARED = {"Options of sampling": Sampling, "Options of searching": Searching}
"""Groups of options, from the smaller to the one that holds it too."""


def program() -> Any:
    """The program as Typer makes it: a group of commands."""
    import_module("sfumato.app.cli.main")
    return typer.main.get_command(sys.modules["sfumato.app.cli.main"].app)


def leaves(group: Any, context: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    """Each command that does something: its words, itself, and its context, in the order of the program's help."""
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        inner = context_of(command, name, context)
        if hasattr(command, "list_commands"):
            yield from leaves(command, inner, (*words, name))
        else:
            yield (*words, name), command, inner


def context_of(command: Any, name: str, parent: Any) -> Any:
    """A context in which a command can speak of itself."""
    return command.make_context(name, [], parent=parent, resilient_parsing=True)


def fields(group: type) -> dict[str, str]:
    """The names of a group's options, each with the title of the smallest group that it is in."""
    out: dict[str, str] = {}
    for title, kind in SHARED.items():
        if issubclass(group, kind):
            out |= {field.name: title for field in dataclasses.fields(kind) if field.name not in out}
    return out


def group_of(command: Any) -> type | None:
    """The largest group whose options a command has, all of them."""
    names = {parameter.name for parameter in command.params}
    whole = [kind for kind in SHARED.values() if {field.name for field in dataclasses.fields(kind)} <= names]
    return whole[-1] if whole else None


def records(command: Any, context: Any, names: set[str], kind: str = "") -> list[tuple[str, str]]:
    """How parameters of these names are written, and what they do; arguments or options alone if `kind` says so."""
    found = [p for p in command.get_params(context) if p.name in names and kind in {"", p.param_type_name}]
    return [record for p in found if (record := p.get_help_record(context)) is not None]


class Commands(SphinxDirective):
    """A section for each command, and one for each group of options."""

    def run(self) -> list[nodes.Node]:
        """The sections, in the program's order."""
        self.env.note_reread()  # the program may have changed, and the page has not
        group = program()
        context = group.make_context("sfumato", [], resilient_parsing=True)
        commands = list(leaves(group, context))
        sections = [self._command(words, command, at) for words, command, at in commands]
        for title, kind in SHARED.items():
            of = [(command, at) for _, command, at in commands if (has := group_of(command)) and issubclass(has, kind)]
            names = {name for name, home in fields(kind).items() if home == title}
            section = self._section(title, nodes.Text(title))
            section += self._list(records(*of[0], names))
            sections.append(section)
        return sections

    def _command(self, words: tuple[str, ...], command: Any, context: Any) -> nodes.section:
        title = f"sfumato {' '.join(words)}"
        section = self._section(title, nodes.literal("", title))
        section += self._prose(command.help or "")
        usage = " ".join([title, *command.collect_usage_pieces(context)])
        section += nodes.literal_block(usage, usage, language="text")
        group = group_of(command)
        shared = fields(group) if group else {}
        own = {parameter.name for parameter in command.get_params(context)} - shared.keys()
        for kind in ("argument", "option"):
            if rows := records(command, context, own, kind):
                section += self._list(rows)
        if shared:
            links = " and the ".join(
                f"[{title.lower()}](#{nodes.make_id(title)})" for title in dict.fromkeys(shared.values())
            )
            section += self._prose(f"It takes the {links}, too.")
        return section

    def _section(self, title: str, shown: nodes.Node) -> nodes.section:
        section = nodes.section(ids=[nodes.make_id(title)], names=[title])
        section += nodes.title("", "", shown)
        self.state.document.note_implicit_target(section)
        return section

    def _prose(self, text: str) -> list[nodes.Node]:
        # Markdown: `code` is as in the docstring.
        holder = nodes.container()
        self.state.nested_parse(StringList(text.split("\n"), "commands"), 0, holder)
        return list(holder.children)

    def _list(self, rows: list[tuple[str, str]]) -> nodes.definition_list:
        entries = nodes.definition_list(classes=["options"])
        for written, meant in rows:
            term = nodes.term("", "", nodes.literal("", written))
            paragraph = nodes.paragraph()
            for k, part in enumerate(re.split(r"`([^`]+)`", meant or "—")):
                paragraph += nodes.literal("", part) if k % 2 else nodes.Text(part)
            entries += nodes.definition_list_item("", term, nodes.definition("", paragraph))
        return entries


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the directive."""
    app.add_directive("commands", Commands)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
