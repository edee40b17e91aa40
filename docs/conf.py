"""How the documentation is built:  sphinx-build -W -n -b html docs docs/_build/html

Nothing is asked of the network: neither by the build (no intersphinx) nor by the pages (no fonts, no scripts of others,
formulas as MathML).
"""

from __future__ import annotations

import sys
from importlib.metadata import version as installed
from pathlib import Path

sys.path.append(str(Path(__file__).parent))

project = "sfumato"
author = "the sfumato authors"
project_copyright = "the sfumato authors"
version = release = installed("sfumato")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    # Ours, in _ext:
    "_ext.access",
    "_ext.mathml",
    "_ext.drawings",
    "_ext.docstrings",
    "_ext.commands",
    "_ext.notebook",
    "_ext.settings",
]
exclude_patterns = ["_build", "adr/0000-template.md"]
source_suffix = {".md": "markdown"}
language = "en"

myst_enable_extensions = ["dollarmath", "attrs_block"]
myst_heading_anchors = 3
myst_dmath_allow_labels = False

# Every name in a signature must lead somewhere, or stand here because it is not ours.
nitpicky = True
nitpick_ignore_regex = [
    ("py:.*", r"(abc|collections|contextlib|enum|functools|jaxtyping|pathlib|PIL|pydantic|torch|typing)\..*"),
    ("py:.*", r"(Tensor|Float|Image\.Image|Path|AnyJob|TypeAliasForwardRef)"),
]

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_preserve_defaults = True
autodoc_type_aliases = {"AnyJob": "AnyJob"}
python_maximum_signature_line_length = 88
add_module_names = False

html_theme = "furo"
html_title = "sfumato"
html_static_path = ["_static"]
html_css_files = ["sfumato.css"]
html_favicon = "_static/favicon.svg"
html_math_renderer = "mathml"
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_theme_options = {
    "top_of_page_buttons": [],
    # The colours of the report (src/sfumato/app/report/style.css).
    "light_css_variables": {
        "color-background-primary": "#fbfaf7",
        "color-background-secondary": "#f5f2ea",
        "color-background-border": "#e3dfd6",
        "color-foreground-primary": "#23211d",
        "color-foreground-secondary": "#5d5952",
        "color-foreground-muted": "#6b675f",
        "color-foreground-border": "#8b867c",
        "color-brand-primary": "#7d4f23",
        "color-brand-content": "#7d4f23",
        "color-brand-visited": "#7d4f23",
        "color-code-background": "#f5f2eb",
        "color-inline-code-background": "#f5f2eb",
        "color-highlight-on-target": "#f5e9d8",
        "color-api-background": "#f5f2ea",
        "color-api-background-hover": "#f1eee7",
        "color-sidebar-background": "#f5f2ea",
        "color-sidebar-search-background": "#fbfaf7",
    },
    "dark_css_variables": {
        "color-background-primary": "#171614",
        "color-background-secondary": "#1f1d1a",
        "color-background-border": "#34312c",
        "color-foreground-primary": "#e9e5dc",
        "color-foreground-secondary": "#b5afa3",
        "color-foreground-muted": "#a19b8f",
        "color-foreground-border": "#6b675f",
        "color-brand-primary": "#d9a679",
        "color-brand-content": "#d9a679",
        "color-brand-visited": "#d9a679",
        "color-code-background": "#24221e",
        "color-inline-code-background": "#24221e",
        "color-highlight-on-target": "#3a2f22",
        "color-api-background": "#1f1d1a",
        "color-api-background-hover": "#24221e",
        "color-sidebar-background": "#1f1d1a",
        "color-sidebar-search-background": "#171614",
    },
}
