"""The source of the viewer's elements: as modules for a server, and as one script for a page that stands alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from types import MappingProxyType

ELEMENTS = ("turn", "distance", "steps", "compare")
"""Of each `<sf-…>` the module that defines it."""
ORDER = ("shared", "views", "glide", "readings", "blur", *ELEMENTS)
"""All modules, such that each imports only from those before it."""

_IMPORT = re.compile(r'^import \{([^}]*)\} from "\./(\w+)\.js";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export ((?:async )?(?:function|class|const) (\w+))", re.MULTILINE)


@lru_cache(maxsize=1)
def modules() -> Mapping[str, str]:
    """The text of each module by the name of its file, such as `turn.js`."""
    folder = files("sfumato.app.viewer")
    return MappingProxyType({f"{name}.js": (folder / f"{name}.js").read_text(encoding="utf-8") for name in ORDER})


@lru_cache(maxsize=1)
def bundle() -> str:
    """All of it as the text of one module script, which imports nothing.

    A file that is opened from a disk has no origin, so modules in it cannot import each other. Here each becomes a
    function that is called at once and returns what it exports, and an import takes that apart.
    """
    return "".join(_closed(name, modules()[f"{name}.js"]) for name in ORDER)


def _closed(name: str, source: str) -> str:
    for match in _IMPORT.finditer(source):
        assert match[2] in ORDER[: ORDER.index(name)], f"{name}.js imports {match[2]}.js, which does not come before it"
    exported = ", ".join(match[2] for match in _EXPORT.finditer(source))
    body = _EXPORT.sub(r"\1", _IMPORT.sub(lambda match: f"const {{{match[1]}}} = {match[2]}_js;\n", source))
    return f"const {name}_js = (() => {{\n{body}return {{ {exported} }};\n}})();\n"
