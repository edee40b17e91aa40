"""A page shows a notebook: `{notebook} FILE` becomes its cells, with what they put out when it was last run.

The block is replaced in the page's source, so that the headings of the notebook are those of the page. Its own title is
left out, for the page has one.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

_BLOCK = re.compile(r"^```\{notebook\} (\S+)\n```$", re.MULTILINE)


def replaced(app: Sphinx, page: str, source: list[str]) -> None:
    """The source of a page with the notebooks in it."""
    folder = Path(app.srcdir, page).parent

    def cells(found: re.Match[str]) -> str:
        path = (folder / found[1]).resolve()
        app.env.note_dependency(path, docname=page)
        return "\n\n".join(map(written, json.loads(path.read_text(encoding="utf-8"))["cells"]))

    source[0] = _BLOCK.sub(cells, source[0])


def written(cell: dict[str, Any]) -> str:
    """A cell in Markdown."""
    text = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        return re.sub(r"\A# .*\n*", "", text)
    shown = [f"```python\n{text}\n```"]
    for output in cell["outputs"]:
        data = output.get("data", {})
        if "image/png" in data:
            alt = cell["metadata"].get("alt")
            if not alt:
                raise ExtensionError(
                    f"a cell that shows a picture says in its metadata what that is, as `alt`:\n{text}"
                )
            shown.append(f"![{alt}](data:image/png;base64,{''.join(data['image/png'])})")
        else:
            lines = "".join(output["text"] if output["output_type"] == "stream" else data["text/plain"])
            shown.append(f"```text\n{lines.rstrip()}\n```")
    return "\n\n".join(shown)


def setup(app: Sphinx) -> dict[str, Any]:
    """Listen to the pages being read."""
    app.connect("source-read", replaced)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
