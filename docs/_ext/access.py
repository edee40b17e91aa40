"""What the theme leaves out for those who use a keyboard or listen: what scrolls is reached, headings have levels."""

from __future__ import annotations

import re
from typing import Any

from sphinx.application import Sphinx

AFTER_FURO = 900
_PARAMETERS = re.compile(r'<dl>\s*((?:<dd><em class="sig-param">.*?</dd>\s*)+)</dl>', re.DOTALL)
"""Of a signature over several lines: Sphinx makes a list of definitions of it that defines nothing."""


def completed(app: Sphinx, page: str, template: str, context: dict[str, Any], tree: object) -> None:
    """The markup of a page, in place."""
    del app, page, template, tree
    body = context.get("body", "")
    body = body.replace("<pre>", '<pre tabindex="0">')
    body = _PARAMETERS.sub(_lines, body)
    scrolls = '<div tabindex="0" role="group" aria-label="table" class="table-wrapper'
    context["body"] = body.replace('<div class="table-wrapper', scrolls)
    if "furo_navigation_tree" in context:
        navigation = context["furo_navigation_tree"]
        context["furo_navigation_tree"] = navigation.replace('role="heading"', 'role="heading" aria-level="2"')


def _lines(found: re.Match[str]) -> str:
    lines = found[1].replace("<dd>", "<div>").replace("</dd>", "</div>")
    return f'<div class="parameters">{lines}</div>'


def setup(app: Sphinx) -> dict[str, Any]:
    """Listen to the pages being written."""
    app.connect("html-page-context", completed, priority=AFTER_FURO)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
