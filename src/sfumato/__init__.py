"""Pixel-space diffusion you can see through.

>>> import sfumato as sf
>>> model = sf.load("digits")
>>> views = [sf.view("identity"), sf.view("rotate:180")]
>>> tree = sf.anagram([sf.guided("6", scale=2), sf.guided("9", scale=2)], views)
>>> sf.sample(model, tree, seeds=range(4), steps=20).shape
torch.Size([4, 1, 28, 28])
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sfumato.app.api import sample, trace
    from sfumato.app.output import sheet
    from sfumato.backends.registry import load
    from sfumato.core.estimates import anagram, guided, hybrid
    from sfumato.core.views import parse_view as view

__all__ = ["anagram", "guided", "hybrid", "load", "sample", "sheet", "trace", "view"]

_HOMES = {
    "anagram": "sfumato.core.estimates:anagram",
    "guided": "sfumato.core.estimates:guided",
    "hybrid": "sfumato.core.estimates:hybrid",
    "load": "sfumato.backends.registry:load",
    "sample": "sfumato.app.api:sample",
    "sheet": "sfumato.app.output:sheet",
    "trace": "sfumato.app.api:trace",
    "view": "sfumato.core.views:parse_view",
}


def __getattr__(name: str) -> Any:
    # Torch takes a second to import: the command line's --help should not wait for it.
    if name not in _HOMES:
        raise AttributeError(f"module 'sfumato' has no attribute {name!r}")
    module, attribute = _HOMES[name].split(":")
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return __all__
