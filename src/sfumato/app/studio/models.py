"""The models of a studio: a table of what a request may name, so that no path in a request ever reaches the disk."""

from __future__ import annotations

import functools
import logging
import os.path
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfumato.errors import SfumatoError, one_of
from sfumato.files import numbered

if TYPE_CHECKING:
    from sfumato.backends.model import Model

RUN = "run:"
"""What the name of a training of this studio begins with."""
MOST = 8
"""Models that are kept in memory."""

_log = logging.getLogger("sfumato.studio")


@dataclass(eq=False)
class Models:
    """Those that come with sfumato, those of the hub that are on this machine, and the studio's own trainings.

    Methods may be called from any thread; the first that needs a model waits until torch is imported.
    """

    runs: Path
    """Folder of the studio's trainings."""
    device: str = "auto"
    """Where the worker computes; here models are only asked what they can do, on the processor."""
    _loaded: dict[tuple[str, str], tuple[int, Model]] = field(default_factory=dict, init=False)
    """By name and dtype, with the age of the weights; what was asked for last is last."""
    _rows: dict[tuple[str, int], dict[str, Any] | None] = field(default_factory=dict, init=False)
    """What was found out of each model, by its age; None of one that cannot be used."""
    _lock: threading.RLock = field(default_factory=threading.RLock, init=False)

    def table(self) -> dict[str, str]:
        """What the page calls each model, and what `registry.load` does."""
        return {**{name: name for name in (*self._bundled, *self._hub)}, **self._trained()}

    def find(self, given: object) -> str:
        """What `registry.load` calls a model that a request names; the path of one of our trainings is known as well.

        Raises UsageError for anything else.
        """
        table = self.table()
        if isinstance(given, str):
            if given in table:
                return table[given]
            # Compared as text: what a stranger's job names is not looked for.
            plain = os.path.normpath(given) if given else given
            if plain in table.values():
                return plain
        raise one_of("model", given if isinstance(given, str) else repr(given), tuple(table))

    def called(self, loads_as: str) -> str:
        """What the page calls a model; the text itself where it is none of the studio's."""
        names = {value: key for key, value in self.table().items()}
        return names.get(os.path.normpath(loads_as), loads_as) if loads_as else loads_as

    def load(self, name: str, dtype: str) -> Model:
        """A model of the table, once: what `find` gives is its name. Raises UsageError for any other."""
        from sfumato.backends.registry import load

        name = self.find(name)
        with self._lock:
            age = self._age(name)
            known = self._loaded.pop((name, dtype), None)
            if known is None or known[0] != age:
                known = (age, load(name, "cpu", dtype))
            self._loaded[name, dtype] = known
            while len(self._loaded) > MOST:
                del self._loaded[next(iter(self._loaded))]
            return known[1]

    def dtype(self, name: str) -> str:
        """The arithmetic of a model where a request does not say: what the worker's device is used to."""
        return "float16" if name in self._hub and self._on_gpu else "float32"

    def described(self) -> list[dict[str, Any]]:
        """All that the page needs to know of each model; a damaged one is left out."""
        rows = []
        for name, loads_as in self.table().items():
            key = (loads_as, self._age(loads_as))
            if key not in self._rows:
                try:
                    self._rows[key] = self._row(name, self.load(loads_as, self.dtype(loads_as)))
                except (SfumatoError, OSError, RuntimeError) as error:
                    _log.warning("model %s cannot be used: %s", name, error)
                    self._rows[key] = None
            if (row := self._rows[key]) is not None:
                rows.append(row)
        return rows

    def _age(self, loads_as: str) -> int:
        """Changes when a training has better weights."""
        return 0 if loads_as in self._bundled or loads_as in self._hub else _written(Path(loads_as)) or 0

    def _row(self, name: str, model: Model) -> dict[str, Any]:
        from sfumato.core.schedules import Discrete

        larger = model.defaults.larger
        after = None
        if larger is not None and larger in self.table():
            size = self.load(larger, self.dtype(larger)).after(model).picture_shape[-1]
            after = {"name": larger, "size": size}
        return {
            "name": name,
            "title": self._title(name, model),
            "shape": list(model.picture_shape),
            "conditions": "classes" if model.classes else "words" if model.conditioned else "none",
            "classes": list(model.classes),
            "steps": model.defaults.steps,
            "guidance": model.defaults.guidance,
            "illusion_guidance": model.defaults.guidance_of(illusion=True),
            "most_steps": model.most_steps,
            "times": len(model.schedule) if isinstance(model.schedule, Discrete) else 1,
            "larger": after,
            "low_res": None if model.low_res is None else model.low_res.size,
            "judge": _is_judged(model),
        }

    def _title(self, name: str, model: Model) -> str:
        if name in self._bundled:
            return self._bundled[name]
        if name in self._hub:
            return self._hub[name]
        recipe = (model.facts or {}).get("recipe", {})
        data = os.path.basename(str(recipe.get("data", "")))  # noqa: PTH119  (of a text, not of a file)
        return f"{name.removeprefix(RUN)}, trained here" + (f" on {data}" if data else "")

    @functools.cached_property
    def _bundled(self) -> dict[str, str]:
        from sfumato.backends.registry import bundled_models

        return {name: model.summary for name, model in bundled_models().items()}

    @functools.cached_property
    def _hub(self) -> dict[str, str]:
        from sfumato.backends.hub import hub_models, is_here

        try:
            return {name: model.summary or model.repo for name, model in hub_models().items() if is_here(model)}
        except Exception:  # a broken package of the hub must not keep the bundled models away
            _log.warning("the models of the hub are left out", exc_info=True)
            return {}

    @functools.cached_property
    def _on_gpu(self) -> bool:
        import torch

        return self.device.startswith("cuda") or (self.device == "auto" and torch.cuda.is_available())

    def _trained(self) -> dict[str, str]:
        """The trainings that have weights already, by what lies in the folder; links in it are not followed."""
        try:
            folders = sorted(self.runs.iterdir())
        except OSError:
            return {}
        real = [folder for folder in folders if folder.is_dir() and not folder.is_symlink()]
        return {f"{RUN}{folder.name}": str(folder) for folder in real if _written(folder) is not None}


def _written(run: Path) -> int | None:
    """When the weights of a run were written that its model has; None when it has none yet."""
    final = run / "model.safetensors"
    if final.is_file():
        return final.stat().st_mtime_ns
    epochs = numbered(run / "epochs", "epoch-*.safetensors")
    return epochs[-1].stat().st_mtime_ns if epochs else None


def _is_judged(model: Model) -> bool:
    """Whether a judge reads what the model makes."""
    from sfumato.evaluation.judges import judge_of

    if not model.conditioned:
        return False
    try:
        judge_of("auto", model.picture_shape, model.classes or ("anything",))
    except SfumatoError:
        return False
    return True
