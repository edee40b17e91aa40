"""What the page is told of the studio before it shows anything: models, views, factors, recipes, data and limits."""

from __future__ import annotations

from importlib.metadata import version
from inspect import getdoc
from typing import Any

from sfumato.app.studio.bounds import MOST_COUNT, MOST_WAITING
from sfumato.app.studio.guard import MOST_UPLOAD
from sfumato.app.studio.models import Models
from sfumato.app.studio.trainings import Trainings, described_recipes


def hello(models: Models, trainings: Trainings, device: str | None) -> dict[str, Any]:
    """All of it; `device` is where the worker computes, None while that is unknown."""
    from typing import get_args

    from sfumato.core.samplers import SAMPLERS
    from sfumato.core.schedules import Spacing

    rows = models.described()
    return {
        "version": version("sfumato"),
        "device": device or "starting",
        "folder": str(trainings.store.folder),
        "models": rows,
        "views": _views(),
        "factors": _factors(),
        "samplers": list(SAMPLERS),
        "spacings": list(get_args(Spacing)),
        "recipes": described_recipes(),
        "data": trainings.described(),
        "limits": {
            "upload": MOST_UPLOAD,
            "count": MOST_COUNT,
            "steps": max((row["most_steps"] for row in rows), default=1),
            "queue": MOST_WAITING,
        },
    }


def _views() -> list[dict[str, str]]:
    """Those that an anagram can be made of, each with usual numbers; not those that are a file or a table."""
    from sfumato.core.views import VIEWS

    kinds = {name: kind for name, kind in VIEWS.items() if kind.sound and name not in {"file", "signed"}}
    return [{"text": kind.example, "about": _plain(kind.summary)} for kind in kinds.values()]


def _factors() -> list[dict[str, Any]]:
    """How a hybrid can be parted, each with usual numbers, and how many prompts it wants."""
    from sfumato.core.filters import FACTORS, parse_factors

    return [
        {"text": name, "about": _plain(getdoc(make) or ""), "parts": len(parse_factors(name))}
        for name, make in FACTORS.items()
    ]


def _plain(docstring: str) -> str:
    """Its first line, for people: without the marks of code."""
    return docstring.partition("\n")[0].replace("`", "")
