"""What a tour needs of a model: what it can be asked for, what goes in, and who reads what comes out."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from sfumato.app.tour.inputs import OWN, Input, drawings_for
from sfumato.app.tour.prompts import DIGITS, Prompts, knows_nothing, prompts_of
from sfumato.app.tour.wishes import telling
from sfumato.backends.model import Model
from sfumato.backends.registry import bundled_models
from sfumato.core.ramps import PlainWeight
from sfumato.core.schedules import Discrete
from sfumato.errors import UsageError
from sfumato.evaluation.judges import Among, judge_of
from sfumato.evaluation.matcher import Matcher
from sfumato.evaluation.samples import Classifier
from sfumato.training.data import ImageData

Judges = Callable[[tuple[str, ...]], Classifier | None]
"""Who reads pictures that were asked for by some prompts; None where nobody can."""


@dataclass(frozen=True, eq=False)
class Subject:
    """What a tour is about."""

    model: Model
    name: str
    """Of the model, as its loader knows it."""
    prompts: Prompts
    data: ImageData
    """Clean pictures to work on and to measure with, without classes where nobody says what they show."""
    drawings: tuple[Input, ...]
    own: Input | None
    """The user's own picture."""
    judges: Judges
    family: tuple[str, ...] = ()
    """The models whose training part B shows: this one, and those that come with it."""

    @property
    def title(self) -> str:
        """The name of the model for people: of a run or a file its own, not where it lies."""
        path = Path(self.name)
        return path.resolve().stem if path.exists() else self.name

    @property
    def noun(self) -> str:
        """What its pictures are called."""
        return "digit" if set(self.data.classes) == set(DIGITS) else "picture"

    @property
    def iterates(self) -> bool:
        """Whether it can make a picture of noise, step by step."""
        return self.model.most_steps > 1

    @property
    def guidance(self) -> PlainWeight:
        """The model's own, if any."""
        return self.model.defaults.guidance if self.guided else 1.0

    @property
    def guided(self) -> bool:
        """Whether it can be guided: it must know nothing, which guidance leads away from, too."""
        return self.model.conditioned and knows_nothing(self.model)

    @property
    def photo(self) -> Input:
        """What plays the photo: the user's own picture, or a clean one."""
        return self.own or self.picture("2")

    def picture(self, label: str) -> Input:
        """A clean picture of this class; of another one, or the first one, where there is no such class."""
        if not self.data.classes:
            return Input("picture", self.data.pixels(torch.tensor([0]))[0], "the picture")
        found = label if label in self.data.classes else self.data.classes[0]
        row = self._rows_of(found)[:1]
        what = f"the {self.noun} {found}" if self.noun == "digit" else f"a picture of {found}"
        return Input(_file(f"{self.noun}-{found}"), self.data.pixels(row)[0], what, found)

    def pictures(self, n: int) -> list[Input]:
        """n clean pictures, of as many classes as there are, and none that `picture` gives."""
        if not self.data.classes:
            rows = range(min(n, len(self.data)))
            return [Input(f"picture-{k}", self.data.pixels(torch.tensor([k]))[0], f"picture {k + 1}") for k in rows]
        names = [name for name in self.data.classes if len(self._rows_of(name)) > 1]
        chosen = names[:: max(1, len(names) // n)][:n]
        return [
            Input(_file(f"photo-{name}"), self.data.pixels(self._rows_of(name)[1:2])[0], name, name) for name in chosen
        ]

    def clean(self, n: int) -> list[Input]:
        """The first n clean pictures."""
        count = min(n, len(self.data))
        labels = [self.data.classes[int(k)] for k in self.data.labels[:count]] if self.data.classes else [None] * count
        pictures = self.data.pixels(torch.arange(count))
        return [Input(f"test-{k}", x, "", label) for k, (x, label) in enumerate(zip(pictures, labels, strict=True))]

    def times(self, *thousandths: int) -> list[float]:
        """Times of the course, of 1000, as the same fractions of the model's own."""
        schedule = self.model.schedule
        if isinstance(schedule, Discrete):
            return [float(round(t * len(schedule) / 1000)) for t in thousandths]
        return [t / 1000 for t in thousandths]

    def _rows_of(self, label: str) -> torch.Tensor:
        return (self.data.labels == self.data.classes.index(label)).nonzero()[:, 0]


def subject_of(model: Model, name: str, data: ImageData, own: Input | None = None) -> Subject:
    """A model as the subject of a tour.

    Raises UsageError for one that makes no pictures by itself: a later stage of a cascade.
    """
    if model.low_res is not None:
        raise UsageError(f"model {name} makes other pictures larger; take a tour of the model that makes those")
    prompts = prompts_of(model)
    drawings = drawings_for(model.shape, prompts.each)
    return Subject(model, name, prompts, data, drawings, own, judges_for(model), family_of(name))


def judges_for(model: Model) -> Judges:
    """The bundled judges, as far as they read this model's pictures and know the prompts."""

    @functools.cache
    def judge(prompts: tuple[str, ...]) -> Classifier | None:
        if not prompts:
            return None
        try:
            found = judge_of("auto", model.picture_shape, prompts)
        except UsageError:
            return None
        return found if _knows(found, prompts) else None

    return judge


def family_of(name: str) -> tuple[str, ...]:
    """The models with a training to show: those that come with sfumato under this name, or a run of one's own."""
    found = tuple(known for known in bundled_models() if known == name or known.startswith(f"{name}/"))
    return found or ((name,) if (Path(name) / "recipe.json").is_file() else ())


def told_of(data: ImageData) -> str:
    """Where clean pictures are from, in words."""
    if data.name == "mnist-test":
        return "from the test set of MNIST, which the models have not seen"
    if data.name.startswith("typeset"):
        return "typeset, drawn on this machine from fonts, because MNIST was not at hand"
    return "drawn by the tour itself" if data.name == OWN else f"from {data.name}"


def _file(name: str) -> str:
    """The name of a file that is called after a class, whatever that is called."""
    return re.sub(r"[^\w.]+", "-", name).strip("-.")


def _knows(judge: Classifier, prompts: Sequence[str]) -> bool:
    """Whether a judge of texts has seen a telling word of each; a classifier has said so already."""
    matcher = judge.judge if isinstance(judge, Among) else None
    if not isinstance(matcher, Matcher):
        return True
    return all(telling(prompt) - set(matcher.unknown(prompt)) for prompt in prompts)
