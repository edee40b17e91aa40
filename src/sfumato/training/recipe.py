"""Recipes: all the numbers of a training as data. The packaged ones are the .toml files in `recipes/`.

What every training has is a `Recipe`; each architecture adds the numbers of its own network and data.
"""

from __future__ import annotations

import difflib
import json
import tomllib
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from sfumato.core.cascade import LowResolution
from sfumato.core.predictions import Prediction
from sfumato.core.ramps import PlainWeight, read_weight
from sfumato.core.schedules import Discrete, Schedule, make_schedule
from sfumato.errors import UsageError, one_of
from sfumato.models.course_unet import CourseUNetConfig
from sfumato.models.nested_unet import NestedUNetConfig
from sfumato.models.network import NetworkConfig
from sfumato.models.refining_unet import RefiningUNetConfig
from sfumato.models.text_unet import TextUNetConfig
from sfumato.training.data import TrainingData
from sfumato.training.datasets import Skipped, load_data, summary
from sfumato.training.datasets.captioned import load_captioned
from sfumato.training.objective import Objective, Weighting

Positive = Annotated[int, Field(ge=1)]


class Recipe(BaseModel):
    """One training, completely: with the same data and machine, the same recipe gives the same weights."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    summary: str = ""
    data: str = "mnist"
    """A packaged data set, or a folder."""
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] = 0
    init: str = ""
    """The weights to begin with: a bundled model, a run or a file of weights. Empty: random ones."""
    init_sha256: str | None = None
    """Of these weights, written down when a training begins."""

    prediction: Prediction = Prediction.EPS
    schedule: Literal["linear", "cosine", "shifted-cosine", "flow", "additive"] = "linear"
    timesteps: Positive = 300
    """T of a discrete schedule."""
    beta_start: Annotated[float, Field(gt=0, lt=1)] = 1e-4
    beta_end: Annotated[float, Field(gt=0, lt=1)] = 0.02
    sigmas: tuple[Annotated[float, Field(gt=0)], ...] = (0.5,)
    """Standard deviations of the additive schedule."""
    signal: Annotated[float, Field(gt=0)] = 1.0
    """What the additive schedule multiplies the picture with."""
    shift: Annotated[float, Field(gt=0)] = 1.0
    """Of the shifted cosine: alpha/sigma is divided by it."""
    clean_shift: Annotated[float, Field(gt=0)] | None = None
    """That at the clean end, where it is a smaller one."""
    weighting: Weighting = Weighting.UNIFORM
    gamma: Annotated[float, Field(gt=0)] = 5.0
    """Where the weighting is cut off."""
    condition_dropout: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Share of the pictures whose condition is hidden, so that the network learns the unconditional estimate too."""

    epochs: Positive = 20
    steps: Positive | None = None
    """Stop after so many steps, before the epochs are over."""
    batch_size: Positive = 64
    lr: Annotated[float, Field(gt=0)] = 1e-3
    lr_decay: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Factor on the learning rate over the whole training, in equal factors an epoch."""
    warmup: Annotated[int, Field(ge=0)] = 0
    """Steps over which the learning rate rises to `lr`."""
    clip: Annotated[float, Field(gt=0)] | None = None
    """Largest norm of the gradient; longer ones are shortened to it."""
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
    keep_best: bool = True
    """Keep the checkpoint with the lowest mean loss over the epoch before it, too."""
    sample_epochs: tuple[Positive, ...] = ()
    """Epochs after which sample pictures are made (besides the last); empty: each of those whose weights are kept."""
    epoch_every: Positive = 1
    """Epochs between those after which the averaged weights are kept."""
    sampler: Literal["ddpm", "ddim", "euler", "heun", "dpmpp-2m"] = "ddpm"
    """Of those samples."""
    sample_steps: Positive = 50
    """Steps of those samples; fewer where the schedule has fewer."""
    guidance: Annotated[PlainWeight, BeforeValidator(read_weight)] = 2.0
    """Guidance γ of those samples, for conditioned networks; 4..1 goes from 4 at pure noise to 1 at the picture."""

    @model_validator(mode="after")
    def _has_a_schedule(self) -> Recipe:
        self.make_schedule()  # its numbers must go together
        return self

    def make_schedule(self) -> Schedule:
        """The noise schedule that the recipe names."""
        return make_schedule(
            self.schedule,
            timesteps=self.timesteps,
            beta_start=self.beta_start,
            beta_end=self.beta_end,
            sigmas=self.sigmas,
            signal=self.signal,
            shift=self.shift,
            clean_shift=self.clean_shift,
        )

    def objective(self) -> Objective:
        """The loss."""
        return Objective(
            self.make_schedule(),
            self.prediction,
            self.condition_dropout,
            self.weighting,
            self.gamma,
            self.low_resolution(),
        )

    def low_resolution(self) -> LowResolution | None:
        """What the network is guided by, for a later stage of a cascade."""
        return None

    @abstractmethod
    def load(
        self, split: Literal["train", "test"], warn: Callable[[str], None], skipped: list[Skipped] | None = None
    ) -> TrainingData:
        """Its data; `warn` is told in one line what was left out, `skipped` gets each with its reason.

        Raises UsageError when they cannot be had.
        """

    @abstractmethod
    def network_config(self, shape: tuple[int, int, int], names: Sequence[str]) -> NetworkConfig:
        """The network for data of this shape and these names. Raises UsageError when the two do not go together."""

    def lr_at(self, epoch: int, step: int) -> float:
        """The learning rate of a step in an epoch, both counted from 0."""
        rise = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        return self.lr * rise * float(self.lr_decay ** (epoch / self.epochs))

    def keeps(self, epoch: int) -> bool:
        """Whether the weights after this epoch, counted from 1, are kept."""
        return epoch % self.epoch_every == 0 or epoch == self.epochs

    def with_changes(self, changes: Mapping[str, Any]) -> Recipe:
        """The recipe with some numbers replaced. Raises UsageError for an unknown key or a value out of range."""
        return parse({**self.model_dump(), **changes}, f"recipe {self.name}")


class CourseRecipe(Recipe):
    """A training of the course UNet."""

    network: Literal["course-unet"] = "course-unet"
    width: Positive = 64
    """D of the course UNet."""
    time_conditioned: bool = True
    class_conditioned: bool = False
    size: Annotated[int, Field(ge=8, multiple_of=4)] | None = None
    """Height and width of the pictures in pixels; None for those of the data set, and 28 for a folder of pictures."""
    channels: Literal[1, 3] | None = None
    """Grey or colour; None for that of the data set, and grey for a folder of pictures."""

    def load(
        self, split: Literal["train", "test"], warn: Callable[[str], None], skipped: list[Skipped] | None = None
    ) -> TrainingData:
        """Pictures with classes."""
        return load_data(self.data, split, size=self.size, channels=self.channels, warn=warn, skipped=skipped)

    def network_config(self, shape: tuple[int, int, int], names: Sequence[str]) -> CourseUNetConfig:
        """The course UNet for pictures of this shape."""
        channels, height, width = shape
        if height != width:
            raise UsageError(f"the course UNet wants square pictures, not {width}×{height}")
        if self.class_conditioned and not names:
            raise UsageError(f"recipe {self.name} needs classes; put the pictures into one folder for each class")
        try:
            return CourseUNetConfig(
                width=self.width,
                channels=channels,
                size=height,
                time=self.time_conditioned,
                classes=tuple(names) if self.class_conditioned else (),
            )
        except ValueError as error:
            raise UsageError(f"recipe {self.name}: {error}") from error


class TextRecipe(Recipe):
    """A training of the text UNet on captioned pictures."""

    network: Literal["text-unet"]
    size: Positive = 64
    """Height and width of the pictures in pixels."""
    patch: Positive = 2
    widths: tuple[Positive, ...] = (64, 192, 384)
    """Channels of the network at each size."""
    outer: Positive | None = None
    """Channels of a level around a network for pictures of half the size; None for a network without one."""
    blocks: Positive = 1
    """Residual blocks at each size."""
    text_width: Positive = 256
    text_layers: Positive = 2
    length: Positive = 24
    """Words of a caption, at most."""
    fine: Positive = 2
    """Pictures are kept at this multiple of their size, so that turned ones stay sharp."""
    low_res: Positive | None = None
    """Size of the smaller pictures that the network makes larger, for a later stage of a cascade."""
    low_res_noise: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    """Standard deviation of the noise in smaller pictures, [−1, 1], when sampling; in training 0 to twice that."""

    def low_resolution(self) -> LowResolution | None:
        """The smaller pictures, where the network is a later stage."""
        return None if self.low_res is None else LowResolution(self.low_res, t=self.low_res_noise)

    def load(
        self, split: Literal["train", "test"], warn: Callable[[str], None], skipped: list[Skipped] | None = None
    ) -> TrainingData:
        """Captioned pictures."""
        if not self.data:
            raise UsageError(f"recipe {self.name} needs captioned pictures: --data FOLDER, with a metadata.jsonl in it")
        folder = Path(self.data).expanduser()
        data, left_out = load_captioned(folder, self.size, split, length=self.length, fine=self.fine)
        if left_out:
            warn(summary(left_out))
        if skipped is not None:
            skipped += left_out
        return data

    def network_config(self, shape: tuple[int, int, int], names: Sequence[str]) -> NetworkConfig:
        """The text UNet for pictures of this shape and captions of these words."""
        nested = self.outer is not None
        if nested and shape[-1] % 2:
            raise UsageError(f"recipe {self.name}: with an outer level the size must be even, not {shape[-1]}")
        try:
            config = TextUNetConfig(
                words=tuple(names),
                size=shape[-1] // 2 if nested else shape[-1],
                channels=shape[0],
                patch=self.patch,
                widths=self.widths,
                blocks=self.blocks,
                text_width=self.text_width,
                text_layers=self.text_layers,
                length=self.length,
                guide=0 if self.low_res is None else shape[0],
            )
            if self.outer is None and self.low_res is None:
                return config
            schedule = self.make_schedule()
            if not isinstance(schedule, Discrete) or self.prediction is not Prediction.V:
                raise ValueError(
                    "with outer or low_res the prediction must be v and the schedule one of discrete times"
                )
            if self.outer is None:
                return RefiningUNetConfig(config, schedule.alphas_cumprod)
            return NestedUNetConfig(config, self.outer, schedule.alphas_cumprod)
        except ValueError as error:
            raise UsageError(f"recipe {self.name}: {error}") from error


ARCHITECTURES: dict[str, type[Recipe]] = {"course-unet": CourseRecipe, "text-unet": TextRecipe}


def parse(data: Mapping[str, Any], where: str) -> Recipe:
    """A recipe from plain data, or a UsageError that names the key that is wrong."""
    network = data.get("network", "course-unet")
    if network not in ARCHITECTURES:
        raise one_of(f"network in {where}", str(network), tuple(ARCHITECTURES))
    kind = ARCHITECTURES[network]
    try:
        return kind.model_validate(dict(data))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            near = difflib.get_close_matches(key, kind.model_fields, 1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            keys = ", ".join(kind.model_fields)
            raise UsageError(f"{where} has no key {key!r}; {hint}its keys are {keys}") from error
        if not key:  # several of its numbers do not go together
            raise UsageError(f"{where}: {first['ctx']['error']}") from error
        said = first["msg"].removeprefix("Value error, ")
        raise UsageError(f"{where}: {key}: {said} (given {first['input']!r})") from error


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
