"""The page: sections, the summary on top and the table of contents, as one HTML file that asks for nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sfumato.app.report.document import definitions, document
from sfumato.app.report.figures import Html, text
from sfumato.app.report.formula import formula
from sfumato.app.tour.texts import TEXTS, Text


@dataclass(frozen=True)
class Measured:
    """A number that was measured, and what it is of."""

    value: str
    label: str
    telling: bool = True
    """Whether it may stand for its section where the page is summed up."""


@dataclass(frozen=True)
class Section:
    """One row of the tour, shown."""

    id: str
    figures: tuple[Html, ...] = ()
    sees: tuple[str, ...] = ()
    """What one sees, paragraph by paragraph, composed from what was measured."""
    measured: tuple[Measured, ...] = ()
    """The numbers to remember, the first one first of all."""
    commands: tuple[str, ...] = ()
    tables: tuple[Html, ...] = ()
    numbers: dict[str, Any] = field(default_factory=dict)
    """What was measured, as plain data."""
    about: Text | None = None
    """What is said of the row, where that is not what is said of it usually."""

    @property
    def text(self) -> Text:
        """Title, idea and formula."""
        return self.about or TEXTS[self.id]


@dataclass(frozen=True)
class Front:
    """What stands before the sections."""

    title: str
    cards: tuple[tuple[Measured, str], ...]
    """Numbers of the summary, each with the id of the section that it comes from."""
    facts: tuple[tuple[str, str], ...]
    """Models, data and environment: a name and what is said of it."""
    notes: tuple[str, ...]


MOST_COMMANDS = 2
"""Of a section that are seen at once."""
_PARTS = {
    "A": ("Part A", "Playing with a diffusion model"),
    "B": ("Part B", "A diffusion model from scratch"),
    "C": ("And then", "More illusions"),
}


def build(front: Front, sections: Sequence[Section]) -> str:
    """The whole page."""
    parts = {letter: [s for s in sections if s.id.startswith(letter)] for letter in _PARTS}
    body = "".join(_part(letter, part) for letter, part in parts.items() if part)
    contents = "".join(_contents(letter, part) for letter, part in parts.items() if part)
    nav = f'<nav aria-label="Contents">{contents}</nav>\n'
    return document("sfumato: a tour", f"{_header(front)}{nav}<main>\n{body}</main>\n{_footer(front)}")


def _header(front: Front) -> str:
    cards = "".join(
        f'<a class="card" href="#{text(section)}"><b>{text(n.value)}</b><span>{text(n.label)}</span></a>'
        for n, section in front.cards
    )
    notes = "".join(f"<p>{text(note)}</p>" for note in front.notes)
    return (
        f'<header><p class="kicker">sfumato</p><h1>{text(front.title)}</h1>'
        '<p class="lead">A diffusion model learns to take noise away, and whoever can take noise away can make '
        "pictures: from nothing, from other pictures, or two in one. This page was made in one go on one machine. "
        "Every picture, number and sentence about them below was computed in that run.</p>"
        f'<div class="cards">{cards}</div><div class="notes">{notes}</div></header>\n'
    )


def _contents(letter: str, sections: Sequence[Section]) -> str:
    items = "".join(
        f'<li><a href="#{text(s.id)}"><span class="id">{text(s.id)}</span> {text(s.text.title)}</a></li>'
        for s in sections
    )
    kicker, name = _PARTS[letter]
    return f"<div><h2>{text(kicker)} · {text(name)}</h2><ul>{items}</ul></div>"


def _part(letter: str, sections: Sequence[Section]) -> str:
    kicker, name = _PARTS[letter]
    head = f'<h2 class="part"><span>{text(kicker)}</span>{text(name)}</h2>\n'
    return head + "".join(map(_section, sections))


def _section(section: Section) -> str:
    about = section.text
    equations = "".join(map(formula, about.formula.splitlines()))
    sees = "".join(f"<p>{text(paragraph)}</p>" for paragraph in section.sees)
    numbers = "".join(f"<div><dt>{text(n.label)}</dt><dd>{text(n.value)}</dd></div>" for n in section.measured)
    commands = [f"<pre><code>{text(command)}</code></pre>" for command in section.commands]
    parts = [
        f'<section id="{text(section.id)}"><h3><span class="id">{text(section.id)}</span>{text(about.title)}</h3>',
        f'<p class="idea">{text(about.idea)}</p>',
        f'<div class="formula" tabindex="0" role="group" aria-label="The equation">{equations}'
        f"<p>{text(about.words)}</p></div>",
        *section.figures,
        f'<div class="sees"><h4>What one sees</h4>{sees}</div>' if sees else "",
        f'<dl class="measured">{numbers}</dl>' if numbers else "",
        *section.tables,
        f'<div class="command"><h4>Make it yourself</h4>{_folded(commands)}</div>' if commands else "",
        "</section>\n",
    ]
    return "".join(parts)


def _folded(commands: Sequence[str]) -> str:
    """The first ones, and the others where there are many of them to be unfolded."""
    first, rest = commands[:MOST_COMMANDS], commands[MOST_COMMANDS:]
    if len(rest) < 2:
        return "".join(commands)
    return f"{''.join(first)}<details><summary>{len(rest)} more</summary>{''.join(rest)}</details>"


def _footer(front: Front) -> str:
    return (
        f'<footer><h2 id="made-with">How this page was made</h2>{definitions(front.facts)}'
        "<p>The numbers are in <code>numbers.json</code>, the pictures in <code>pictures</code>, what went in in "
        "<code>inputs</code>, all beside this page. Commands are meant to be run in that folder; they write to "
        "<code>out</code>.</p></footer>\n"
    )
