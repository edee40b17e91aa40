"""The page: sections, the summary on top and the table of contents, as one HTML file that asks for nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sfumato.app.report.document import definitions, document
from sfumato.app.report.figures import Html, text
from sfumato.app.report.formula import formula
from sfumato.app.tour.texts import TEXTS


@dataclass(frozen=True)
class Section:
    """One row of the specification, shown."""

    id: str
    figures: tuple[Html, ...]
    sees: tuple[str, ...]
    """What one sees, paragraph by paragraph, composed from what was measured."""
    commands: tuple[str, ...] = ()
    tables: tuple[Html, ...] = ()
    numbers: dict[str, Any] = field(default_factory=dict)
    """What was measured, as plain data."""


@dataclass(frozen=True)
class KeyNumber:
    """A number of the summary, with the section that it comes from."""

    value: str
    label: str
    section: str


@dataclass(frozen=True)
class Front:
    """What stands before the sections."""

    key_numbers: tuple[KeyNumber, ...]
    facts: tuple[tuple[str, str], ...]
    """Models, data and environment: a name and what is said of it."""
    notes: tuple[str, ...]


_PARTS = {"A": "Playing with a diffusion model", "B": "A diffusion model from scratch"}


def build(front: Front, sections: Sequence[Section]) -> str:
    """The whole page."""
    parts = "".join(_part(letter, [s for s in sections if s.id.startswith(letter)]) for letter in _PARTS)
    body = f"{_header(front)}{_contents(sections)}<main>\n{parts}</main>\n{_footer(front)}"
    return document("sfumato: a tour", body)


def _header(front: Front) -> str:
    cards = "".join(
        f'<a class="card" href="#{text(n.section)}"><b>{text(n.value)}</b><span>{text(n.label)}</span></a>'
        for n in front.key_numbers
    )
    notes = "".join(f"<p>{text(note)}</p>" for note in front.notes)
    return (
        '<header><p class="kicker">sfumato</p><h1>A tour of diffusion, on digits</h1>'
        '<p class="lead">A diffusion model learns to take noise away, and whoever can take noise away can make '
        "pictures: from nothing, from other pictures, or two in one. This page was made in one go on one machine. "
        "Every picture, number and sentence about them below was computed in that run.</p>"
        f'<div class="cards">{cards}</div><div class="notes">{notes}</div></header>\n'
    )


def _contents(sections: Sequence[Section]) -> str:
    lists = []
    for letter, name in _PARTS.items():
        items = "".join(
            f'<li><a href="#{text(s.id)}"><span class="id">{text(s.id)}</span> {text(TEXTS[s.id].title)}</a></li>'
            for s in sections
            if s.id.startswith(letter)
        )
        lists.append(f"<div><h2>{text(letter)} · {text(name)}</h2><ul>{items}</ul></div>")
    return f'<nav aria-label="Contents">{"".join(lists)}</nav>\n'


def _part(letter: str, sections: Sequence[Section]) -> str:
    head = f'<h2 class="part"><span>Part {text(letter)}</span>{text(_PARTS[letter])}</h2>\n'
    return head + "".join(map(_section, sections))


def _section(section: Section) -> str:
    about = TEXTS[section.id]
    sees = "".join(f"<p>{text(paragraph)}</p>" for paragraph in section.sees)
    commands = "".join(f"<pre><code>{text(command)}</code></pre>" for command in section.commands)
    tables = "".join(section.tables)
    made = f'<div class="command"><h4>Make it yourself</h4>{commands}</div>' if commands else ""
    return (
        f'<section id="{text(section.id)}"><h3><span class="id">{text(section.id)}</span>{text(about.title)}</h3>'
        f'<p class="idea">{text(about.idea)}</p>'
        f'<div class="formula">{formula(about.formula)}<p>{text(about.words)}</p></div>'
        f'{"".join(section.figures)}<div class="sees"><h4>What one sees</h4>{sees}</div>{tables}{made}</section>\n'
    )


def _footer(front: Front) -> str:
    return (
        f'<footer><h2 id="made-with">How this page was made</h2>{definitions(front.facts)}'
        "<p>The numbers are in <code>numbers.json</code>, the pictures in <code>pictures</code>, what went in in "
        "<code>inputs</code>, all beside this page. Commands are meant to be run in that folder; they write to "
        "<code>out</code>.</p></footer>\n"
    )
