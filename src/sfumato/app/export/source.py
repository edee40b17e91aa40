"""The model that is exported: what is known of it, without what only concerns the machine it was trained on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any

from sfumato.backends.network import NetworkDenoiser
from sfumato.backends.registry import bundled_models, load
from sfumato.errors import UsageError
from sfumato.models.weights import undivided

LICENCES = "LICENSES.txt"
"""The licences of the pictures: they travel with what was made of them."""


@dataclass(frozen=True)
class Source:
    """A model with what an export tells of it."""

    model: NetworkDenoiser
    title: str
    """A name for people."""
    bundled: bool
    """Whether it comes with sfumato."""
    folder: Path
    """Where its weights lie."""
    facts: dict[str, Any]
    """Those of its file, without paths of the machine that it was trained on."""
    licences: bytes | None
    """The licences of the pictures, where they came with them."""

    @property
    def recipe(self) -> dict[str, Any]:
        """The numbers of its training."""
        recipe: dict[str, Any] = self.facts["recipe"]
        return recipe

    @property
    def data(self) -> dict[str, Any]:
        """What is known of the pictures it was trained on; empty where nothing is."""
        data = self.facts.get("data")
        return data if isinstance(data, dict) else {}


def read_source(name: str) -> Source:
    """The model of that name, on the CPU in float32. Raises UsageError or SfumatoError as `registry.load` does."""
    model, known = load(name), bundled_models()
    if not isinstance(model, NetworkDenoiser):
        raise UsageError(f"{name} is a model of diffusers already; what is exported is a network that sfumato trained")
    path = known[name].path if name in known else Path(name)
    facts = model.facts or {}
    is_folder = path.is_dir()
    stem = undivided(path).stem
    title = name if name in known else path.resolve().name if is_folder else stem
    return Source(
        model=model,
        title=" ".join(title.split()),
        bundled=name in known,
        folder=path if is_folder else path.parent,
        facts=_without_paths(facts),
        licences=_licences(path, stem, str(facts.get("recipe", {}).get("data", ""))),
    )


def file_stem(name: str) -> str:
    """The name of a model as part of the name of a folder."""
    path = Path(name)
    if path.is_dir():
        name = path.resolve().name
    elif path.suffix == ".safetensors":
        name = undivided(path).stem
    return re.sub(r"[^\w.]+", "-", name).strip("-.") or "model"


def _without_paths(facts: dict[str, Any]) -> dict[str, Any]:
    """The facts with data and first weights named, not told: where they lay on one machine means nothing on another."""
    recipe = facts.get("recipe", {})
    named = {key: PureWindowsPath(recipe[key]).name for key in ("data", "init") if isinstance(recipe.get(key), str)}
    return {**facts, "recipe": {**recipe, **named}} if named else facts


def _licences(path: Path, stem: str, data: str) -> bytes | None:
    """The licences that lie with the weights, or with the pictures of a run of this machine."""
    places = [path / LICENCES] if path.is_dir() else [path.with_name(f"{stem}-{LICENCES}")]
    if stem == "model":  # as an export and a run call it, in a folder of its own
        places.append(path.with_name(LICENCES))
    if data and Path(data).is_absolute():
        places.append(Path(data) / LICENCES)
    return next((place.read_bytes() for place in places if place.is_file()), None)
