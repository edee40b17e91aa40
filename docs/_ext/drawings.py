"""Drawings become part of the page, so that they take its colours, light or dark.

A drawing is an image `NAME.svg` with an alternative text. Seen by itself (in a repository's browser, say) it has the
colours of its own <style>; here that is left out, and `_static/sfumato.css` gives it the page's.
"""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

_STYLE = re.compile(r"<style>.*?</style>", re.DOTALL)
_HEAD = re.compile(r"<svg ([^>]*)>")


def inline(app: Sphinx, tree: nodes.document, page: str) -> None:
    """Put each SVG of a page in the place of its image."""
    if app.builder.format != "html":
        return
    for image in list(tree.findall(nodes.image)):
        if not image["uri"].endswith(".svg"):
            continue
        path = Path(app.srcdir) / image["uri"]
        if not image.get("alt"):
            raise ExtensionError(f"{page}: the drawing {image['uri']} has no alternative text")
        image.replace_self(nodes.raw("", drawing(path.read_text(encoding="utf-8"), image["alt"]), format="html"))


def drawing(svg: str, alt: str) -> str:
    """The markup of a drawing for a page, from that of the file."""
    head = rf'<svg \1 role="img" aria-label="{html.escape(alt)}">'
    body = _HEAD.sub(head, _STYLE.sub("", svg), count=1)
    return f'<div class="drawing" role="group" aria-label="drawing" tabindex="0">{body}</div>'


def setup(app: Sphinx) -> dict[str, Any]:
    """Before the images are collected and copied there are none of these any more."""
    app.connect("doctree-resolved", inline)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
