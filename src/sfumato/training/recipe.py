"""Recipes: all the numbers of a training as data. The packaged ones are the .toml files in `recipes/`."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sfumato.core.predictions import Prediction
from sfumato.core.schedules import Schedule, make_schedule
from sfumato.errors import UsageError, one_of
from sfumato.models.course_unet import CourseUNetConfig

Positive = Annotated[int, Field(ge=1)]


class Recipe(BaseModel):
    """One training, completely: with the same data and machine, the same recipe gives the same weights."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    summary: str
    data: str = "mnist"
    """A packaged data set, or a folder."""
    seed: int = 0

    width: Positive = 64
    """D of the course UNet."""
    time_conditioned: bool = True
    class_conditioned: bool = False

    prediction: Prediction = Prediction.EPS
    schedule: Literal["linear", "cosine", "flow", "additive"] = "linear"
    timesteps: Positive = 300
    """T of a discrete schedule."""
    beta_start: Annotated[float, Field(gt=0, lt=1)] = 1e-4
    beta_end: Annotated[float, Field(gt=0, lt=1)] = 0.02
    sigmas: tuple[Annotated[float, Field(gt=0)], ...] = (0.5,)
    """Standard deviations of the additive schedule."""
    condition_dropout: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Share of the training pictures whose class is hidden, so that the network learns the unconditional estimate."""

    epochs: Positive = 20
    steps: Positive | None = None
    """Stop after so many steps, whatever `epochs` says."""
    batch_size: Positive = 64
    lr: Annotated[float, Field(gt=0)] = 1e-3
    lr_decay: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Factor on the learning rate over the whole training, in equal factors an epoch."""
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.999
    """Decay a step of the exponential moving average of the weights."""
    precision: Literal["float32", "bfloat16"] = "bfloat16"
    """Arithmetic of the forward and backward pass; weights, optimizer and average are float32."""

    log_every: Positive = 10
    """Steps averaged into one line of the log."""
    checkpoint_every: Positive = 500
    """Steps between checkpoints."""
    keep_checkpoints: Positive = 2
    """How many of the newest checkpoints are kept."""
    sample_epochs: tuple[Positive, ...] = ()
    """Epochs after which sample pictures are made (besides the last); empty: every epoch."""
    sample_steps: Positive = 50
    """Steps of those samples; fewer where the schedule has fewer."""
    guidance: float = 2.0
    """Guidance γ of those samples, for class-conditioned networks."""

    def make_schedule(self) -> Schedule:
        """The noise schedule that the recipe names."""
        return make_schedule(
            self.schedule,
            timesteps=self.timesteps,
            beta_start=self.beta_start,
            beta_end=self.beta_end,
            sigmas=self.sigmas,
        )

    def network_config(self, channels: int, size: int, classes: Sequence[str]) -> CourseUNetConfig:
        """The network for pictures of this form. Raises UsageError when classes are asked for and the data has none."""
        if self.class_conditioned and not classes:
            raise UsageError(f"recipe {self.name} needs classes; put the pictures into one folder for each class")
        try:
            return CourseUNetConfig(
                width=self.width,
                channels=channels,
                size=size,
                time=self.time_conditioned,
                classes=tuple(classes) if self.class_conditioned else (),
            )
        except ValueError as error:
            raise UsageError(f"recipe {self.name}: {error}") from error

    def lr_at(self, epoch: int) -> float:
        """The learning rate of an epoch, counted from 0."""
        return self.lr * float(self.lr_decay ** (epoch / self.epochs))

    def with_changes(self, changes: Mapping[str, Any]) -> Recipe:
        """The recipe with some numbers replaced. Raises UsageError for an unknown key or a value out of range."""
        return parse({**self.model_dump(), **changes}, f"recipe {self.name}")


def parse(data: Mapping[str, Any], where: str) -> Recipe:
    """A recipe from plain data, or a UsageError that names the key that is wrong."""
    try:
        return Recipe.model_validate(dict(data))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            raise UsageError(f"{where} has no key {key!r}; its keys are {', '.join(Recipe.model_fields)}") from error
        raise UsageError(f"{where}: {key}: {first['msg']} (given {first['input']!r})") from error


def packaged_recipes() -> list[str]:
    """Names of the recipes that come with sfumato."""
    folder = files("sfumato.training") / "recipes"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load_recipe(name: str) -> Recipe:
    """A packaged recipe by name, or one from a .toml or .json file."""
    if name in packaged_recipes():
        text = (files("sfumato.training") / "recipes" / f"{name}.toml").read_text(encoding="utf-8")
        return parse({"name": name, **tomllib.loads(text)}, f"recipe {name}")
    path = Path(name)
    if path.suffix not in {".toml", ".json"}:
        raise one_of("recipe", name, packaged_recipes())
    try:
        text = path.read_text(encoding="utf-8")
        data = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except FileNotFoundError as error:
        raise UsageError(f"no such recipe: {path}") from error
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read recipe {path}: {error}") from error
    if not isinstance(data, dict):
        raise UsageError(f"cannot read recipe {path}: it holds no table of keys and values")
    return parse({"name": path.stem, **data}, f"recipe {path}")


def parse_settings(settings: Sequence[str]) -> dict[str, Any]:
    """`["epochs=5", "sigmas=[0.3, 0.5]"]` as plain data; values are read as JSON where they are, as text otherwise."""
    out: dict[str, Any] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not key:
            raise UsageError(f"--set wants key=value, not {setting!r}")
        try:
            out[key.strip()] = json.loads(value)
        except json.JSONDecodeError:
            out[key.strip()] = value
    return out
