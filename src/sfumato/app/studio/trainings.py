"""What the page sends to train a model: recipes with changes, and data sets of uploads."""

from __future__ import annotations

import re
import shutil
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, Field

from sfumato.app.studio.bodies import STRICT
from sfumato.app.studio.bounds import MOST_PICTURES, check_recipe
from sfumato.app.studio.fitting import UploadId
from sfumato.app.studio.models import RUN
from sfumato.app.studio.records import ENDED, Dataset, NewRun, Run
from sfumato.app.studio.store import Store
from sfumato.errors import UsageError, one_of
from sfumato.files import sync_folder, writing

if TYPE_CHECKING:
    from sfumato.training.recipe import Recipe

SET = "set:"
"""What the name of a data set of this studio begins with."""
_FIXED = ("name", "summary", "data", "network", "init", "init_sha256")
"""What a request does not change in a recipe: `init` would be a path."""
_NAME = re.compile(r"[\w][\w .()-]{0,39}")
"""Of data sets and labels: they become names of folders."""
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?|train|test", re.IGNORECASE)
"""Names that a system, or the reader of folders, takes for something else."""


class TrainingRequest(BaseModel):
    """A model to be trained."""

    model_config = STRICT

    recipe: str
    data: str
    """A name of `hello`'s data."""
    settings: dict[str, Any] = {}
    """Changes to the numbers of the recipe."""


class Labelled(BaseModel):
    """A picture of a data set."""

    model_config = STRICT

    upload: UploadId
    label: str | None = None


class DatasetRequest(BaseModel):
    """Uploads that become a data set."""

    model_config = STRICT

    name: str
    pictures: Annotated[list[Labelled], Field(min_length=1, max_length=MOST_PICTURES)]


class Taken(UsageError):
    """There is something of that name, or at that work, already."""


@dataclass(frozen=True)
class Trainings:
    """Makes trainings and data sets of requests."""

    store: Store
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Held while a name is sought and until what it names is queued."""

    def training(self, request: TrainingRequest) -> NewRun:
        """What is queued for a request; hold the lock. Raises UsageError for what cannot be trained."""
        from sfumato.training.recipe import load_recipe

        if request.recipe not in recipes():
            raise one_of("recipe", request.recipe, tuple(recipes()))
        fixed = [name for name in request.settings if name in _FIXED]
        if fixed:
            raise UsageError(f"the {fixed[0]} of a recipe cannot be set")
        check_recipe(request.settings)
        data, title = self._data(request.data)
        recipe = load_recipe(request.recipe).with_changes({**request.settings, "data": data})
        self._check(recipe, request.data)
        return self._queued(recipe, f"{recipe.name} on {title}", self._free(recipe.name))

    def again(self, run: Run) -> NewRun:
        """A training once more: one that is done from the beginning, any other from its last checkpoint.

        Hold the lock. Raises UsageError when its data are gone, and Taken while it is being trained.
        """
        from sfumato.training.recipe import parse

        recipe, name = parse(run.order["recipe"], "the recipe"), str(run.order["training"])
        if run.state != "done":
            if any(other.order.get("training") == name for other in self._waiting()):
                raise Taken("this training is being done already")
        else:
            name = self._free(recipe.name)
        folder = Path(recipe.data)
        if folder.is_absolute() and not folder.is_dir():
            raise UsageError("the pictures that it was trained on are not there any more")
        return self._queued(recipe, run.title, name)

    def described(self) -> list[dict[str, str]]:
        """The data that one can train on here, without any download."""
        from sfumato.training.datasets.sources import SOURCES
        from sfumato.training.datasets.stored import is_here

        rows = [{"name": s.name, "about": _about(s.summary, s.shape)} for s in SOURCES.values() if is_here(s)]
        rows.append({"name": "typeset", "about": "70,000 digits drawn on this machine from several fonts, 28×28, grey"})
        for each in self.store.datasets():
            labels = f", {len(each.labels)} labels" if each.labels else ""
            rows.append({"name": f"{SET}{each.id}", "about": f"{each.name}: {each.count} pictures{labels}"})
        return rows

    # Data sets.

    def dataset(self, request: DatasetRequest) -> Dataset:
        """Make a folder of uploads, one of each label in it. Raises UsageError, or Taken for a name that is taken."""
        name = _checked(request.name.strip(), "the name")
        given = [each.label for each in request.pictures]
        labels = [None if label is None else _checked(label.strip(), "the label") for label in given]
        named = list(dict.fromkeys(label for label in labels if label is not None))
        if named and None in labels:
            raise UsageError("some pictures have a label and others none; give one to all of them, or to none")
        if len({label.casefold() for label in named}) < len(named):
            raise UsageError("two labels differ in capital letters alone; a folder of each could be the same")
        known = dict.fromkeys(each.upload for each in request.pictures)
        for upload in known:
            if self.store.upload(upload) is None:
                raise UsageError("a picture is not there any more; bring it again")
        with self.lock:
            if any(each.name.casefold() == name.casefold() for each in self.store.datasets()):
                raise Taken(f"there is a data set {name!r} already; choose another name")
            pairs = list(zip((each.upload for each in request.pictures), labels, strict=True))
            self._write(name, pairs)
            return self.store.add_dataset(name, len(pairs), named)

    def _write(self, name: str, pictures: Sequence[tuple[str, str | None]]) -> None:
        """The folder of a data set, whole or not at all."""
        home = self.store.folder / "datasets"
        with writing(home / name):
            made = Path(tempfile.mkdtemp(dir=home, prefix=".new-"))
            try:
                for k, (upload, label) in enumerate(pictures):
                    folder = made / label if label is not None else made
                    folder.mkdir(exist_ok=True)
                    _link(self.store.folder / "uploads" / f"{upload}.png", folder / f"{k:05d}.png")
                shutil.rmtree(home / name, ignore_errors=True)  # of a server that ended before it had the row
                made.chmod(0o755)
                made.rename(home / name)
            except BaseException:
                shutil.rmtree(made, ignore_errors=True)
                raise
        sync_folder(home)

    def _data(self, name: str) -> tuple[str, str]:
        """What a recipe calls the data that a request names, and what a person does."""
        from sfumato.training.datasets.sources import SOURCES
        from sfumato.training.datasets.stored import is_here

        if name.startswith(SET):
            found = self._set(name)
            return str(self.store.folder / "datasets" / found.name), found.name
        if name in SOURCES and not is_here(SOURCES[name]):
            raise UsageError(f"{name} is not on this machine; get it with: sfumato data pull {name}")
        known = [row["name"] for row in self.described()]
        if name not in known:
            raise one_of("data", name, known)
        return name, name

    def _set(self, name: str) -> Dataset:
        number = name.removeprefix(SET)
        plain = number.isascii() and number.isdecimal() and len(number) < 18
        found = self.store.dataset(int(number)) if plain else None
        if found is None:
            raise UsageError(f"there is no data set {name!r}")
        return found

    def _check(self, recipe: Recipe, data: str) -> None:
        """Whether the network fits the data, as far as that can be said before they are read."""
        from sfumato.training.datasets.sources import SOURCES

        shape, classes = (1, 28, 28), tuple("0123456789")
        if data.startswith(SET):
            classes = self._set(data).labels
        elif data in SOURCES:
            shape, classes = SOURCES[data].shape, SOURCES[data].classes
        size, channels = (getattr(recipe, name, None) for name in ("size", "channels"))
        recipe.network_config((channels or shape[0], size or shape[1], size or shape[2]), classes)

    # Names.

    def _free(self, recipe: str) -> str:
        """A name that no folder has and nothing that waits."""
        taken = {path.name for path in (self.store.folder / "runs").iterdir()}
        taken |= {str(run.order.get("training")) for run in self._waiting()}
        return next(name for k in range(1, len(taken) + 2) if (name := f"{recipe}-{k}") not in taken)

    def _waiting(self) -> list[Run]:
        return [run for run in (*self.store.queue(), *self.store.runs("running", -1)) if run.state not in ENDED]

    def _queued(self, recipe: Recipe, title: str, name: str) -> NewRun:
        order = {"recipe": recipe.model_dump(mode="json"), "training": name}
        return NewRun("training", title[:300], f"{RUN}{name}", order)


def recipes() -> list[str]:
    """The recipes that a page can train: those whose data are pictures, with classes or without."""
    from sfumato.training.recipe import CourseRecipe, load_recipe, packaged_recipes

    return [name for name in packaged_recipes() if isinstance(load_recipe(name), CourseRecipe)]


def described_recipes() -> list[dict[str, Any]]:
    """The recipes with what can be set in them, and its usual values."""
    from sfumato.training.recipe import load_recipe

    rows = []
    for name in recipes():
        recipe = load_recipe(name)
        settings: Mapping[str, Any] = recipe.model_dump(mode="json")
        usual = {key: value for key, value in settings.items() if key not in _FIXED}
        rows.append({"name": name, "summary": recipe.summary, "settings": usual})
    return rows


def _checked(name: str, what: str) -> str:
    """A name that any system can have a folder of. Raises UsageError."""
    if not _NAME.fullmatch(name) or name.endswith((".", " ")) or _RESERVED.fullmatch(name):
        allowed = "letters, digits, spaces and - . ( ), at most 40"
        raise UsageError(f"{what} {name[:60]!r} cannot be used: {allowed}, please")
    return name


def _link(source: Path, target: Path) -> None:
    """The same file under another name; a copy where the disk knows no such thing."""
    try:
        target.hardlink_to(source)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copyfile(source, target)


def _about(summary: str, shape: tuple[int, int, int]) -> str:
    channels, size, _ = shape
    return f"{summary}, {size}×{size}, {'grey' if channels == 1 else 'colour'}"
