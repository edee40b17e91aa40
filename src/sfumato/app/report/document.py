"""The frame of a page, and tables."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

from sfumato.app.report.figures import Html, text
from sfumato.app.report.interactive import script_for


def document(title: str, body: str) -> str:
    """A whole page, light or dark as its reader likes it; with the viewer's script where a figure of it wants one."""
    style = (files("sfumato.app.report") / "style.css").read_text(encoding="utf-8")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{text(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n{body}{script_for(body)}</body>\n</html>\n"
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]], caption: str) -> Html:
    """A table; the first cell of each row names it."""
    top = "".join(f'<th scope="col">{text(cell)}</th>' for cell in head)
    body = "".join(
        f'<tr><th scope="row">{text(row[0])}</th>{"".join(f"<td>{text(cell)}</td>" for cell in row[1:])}</tr>'
        for row in rows
    )
    return Html(
        f'<div class="scroll" tabindex="0" role="group" aria-label="Table"><table><caption>{text(caption)}</caption>'
        f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def definitions(pairs: Sequence[tuple[str, object]]) -> Html:
    """Names, and what is said of each."""
    return Html(f"<dl>{''.join(f'<dt>{text(name)}</dt><dd>{text(value)}</dd>' for name, value in pairs)}</dl>")
