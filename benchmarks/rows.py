"""The rows of the table for processors: what is compared, and how each side does it."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.paired import Case
from benchmarks.plain import (
    Digits,
    PlainUNet,
    ancestral,
    denoiser_training,
    forward_flops,
    guided,
    training,
)
from sfumato.app.job import Loader
from sfumato.app.jobs import Generate
from sfumato.app.run import run
from sfumato.backends.model import Model
from sfumato.backends.network import NetworkDenoiser
from sfumato.backends.registry import load
from sfumato.core.estimates import guided as guided_tree
from sfumato.core.plan import Plan
from sfumato.models.course_unet import CourseUNet, CourseUNetConfig
from sfumato.models.network import Network
from sfumato.models.text_unet import TextUNet, TextUNetConfig
from sfumato.training.data import ImageData
from sfumato.training.datasets.typeset import load_typeset
from sfumato.training.recipe import load_recipe
from sfumato.training.trainer import Trainer

SEED = 0
DIGITS = tuple("0123456789")
GUIDED = 40
"""Pictures of the rows about sampling: four of each digit."""


@dataclass(frozen=True)
class Way:
    """How digits are made."""

    sampler: str
    steps: int
    guidance: float = 2.0
    dtype: str = "bfloat16"

    def __str__(self) -> str:
        return f"{self.steps} steps of {self.sampler}, γ = {self.guidance:g}, {self.dtype}"


FEW = Way("dpmpp-2m", 8, 2.5)
"""Few steps; `benchmarks.quality` says how good their pictures are."""


def _data(count: int = 2048) -> ImageData:
    return load_typeset(count)


def _next(steps: Iterator[object], count: int) -> Callable[[], None]:
    def call() -> None:
        for _ in range(count):
            next(steps)

    return call


def train_class() -> Case:
    """A step of the class recipe: D = 64, batch 64."""
    torch.manual_seed(SEED)
    data = _data()
    recipe = load_recipe("class").with_changes({"epochs": 10_000})
    plain = PlainUNet(CourseUNet(CourseUNetConfig(width=64, classes=DIGITS)))
    betas = torch.linspace(1e-4, 0.02, 300)
    theirs = training(plain, Digits(data.images, data.labels), 64, (1 - betas).cumprod(0), recipe.lr)
    ours = Trainer(recipe, data).run()
    flops = 3 * forward_flops(plain.eval(), torch.zeros(1, 1, 28, 28), torch.zeros(1, 1), torch.zeros(1, 10))
    plain.train()
    return Case(
        "training, D = 64, batch 64", _next(theirs, 3), _next(ours, 3), 3 * 64, "pictures", flops, "`train class`"
    )


def train_denoiser() -> Case:
    """A step of the denoiser recipe: D = 128, batch 256."""
    torch.manual_seed(SEED)
    data = _data()
    recipe = load_recipe("denoiser").with_changes({"epochs": 10_000})
    plain = PlainUNet(CourseUNet(CourseUNetConfig(width=128, time=False)))
    theirs = denoiser_training(plain, Digits(data.images, data.labels), 256, 0.5, recipe.lr)
    ours = Trainer(recipe, data).run()
    flops = 3 * forward_flops(plain.eval(), torch.zeros(1, 1, 28, 28))
    plain.train()
    return Case(
        "training, D = 128, batch 256", _next(theirs, 1), _next(ours, 1), 256, "pictures", flops, "`train denoiser`"
    )


def plain_digits(model: Model) -> PlainUNet:
    """The weights of a model of digits, driven in the plain way."""
    assert isinstance(model, NetworkDenoiser)
    network = CourseUNet(model.network.config)  # type: ignore[arg-type]
    network.load_state_dict(model.network.state_dict())
    return PlainUNet(network).eval()


def guided_step(dtype: str = "bfloat16") -> Case:
    """A guided step of the digits: 40 pictures."""
    ours, reference = load("digits", "cpu", dtype), load("digits", "cpu", "float32")
    plain = plain_digits(reference)
    x = torch.randn(GUIDED, 1, 28, 28, generator=torch.Generator().manual_seed(SEED))
    labels = torch.arange(GUIDED) % 10
    level = ours.schedule.level(150)
    plan = Plan([guided_tree(str(int(label)), scale=2.0) for label in labels])
    time, condition = torch.full((GUIDED, 1), 0.5), F.one_hot(labels, 10).float()
    flops = 2 * forward_flops(plain, x[:1], time[:1], condition[:1])
    return Case(
        f"a guided step of 40 digits ({dtype})",
        lambda: [guided(plain, x, time, condition, 2.0) for _ in range(2)],
        lambda: [plan.estimate(ours, x, level, ours.row_limit()) for _ in range(2)],
        2,
        "steps",
        GUIDED * flops,
        "guidance: two answers for each picture",
    )


def forty_digits() -> Case:
    """40 guided digits, from noise to the end."""
    reference = load("digits", "cpu", "float32")
    plain = plain_digits(reference)
    labels = torch.arange(GUIDED) % 10
    alphas = torch.tensor([reference.schedule.level(t).alpha ** 2 for t in range(300)])
    jobs = [Generate(model="digits", prompt=str(int(label)), seed=k, **asdict(FEW)) for k, label in enumerate(labels)]
    models = {FEW.dtype: load("digits", "cpu", FEW.dtype)}
    loader: Loader = lambda _, dtype: models[dtype]  # noqa: E731
    return Case(
        f"40 guided digits: 300 ancestral steps, γ = 2, float32, against {FEW}",
        lambda: ancestral(plain, labels, alphas, 2.0),
        lambda: run(jobs, loader),
        GUIDED,
        "pictures",
        0,
        "how good they are: `benchmarks.quality`",
    )


def _text_network() -> TextUNet:
    """With random weights: speed knows no quality."""
    torch.manual_seed(SEED)
    return TextUNet(TextUNetConfig(tuple(sorted({f"word{k}" for k in range(2000)})))).eval()


def layouts() -> Case:
    """What a text network is asked in a guided step of one picture, by torch's layers and by laid-out ones."""
    network = _text_network()
    with torch.no_grad():
        plain = copy.deepcopy(network).to(torch.bfloat16, memory_format=torch.channels_last)  # type: ignore[call-overload]
        condition = plain.encode(plain.read([None, "word1 word2 word3"]))
    x = torch.randn(2, 3, 64, 64).to(torch.bfloat16, memory_format=torch.channels_last)
    time = torch.full((2, 1), 0.5)
    flops = 2 * forward_flops(network, x[:1].float(), time[:1], network.encode(network.read(["word1"])))

    def calls(asked: Network) -> Callable[[], None]:
        @torch.no_grad()
        def call() -> None:
            for _ in range(5):
                asked(x, time, condition)

        return call

    ours = network.ready(torch.bfloat16).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Case(
        "the network of a guided step, a text picture",
        calls(plain),
        calls(ours),
        5,
        "steps",
        flops,
        "plain: the same network in bfloat16, with layers of torch",
    )


def text_picture() -> Case:
    """One picture of 64 pixels with 25 guided steps of a text network."""
    network = _text_network()
    recipe = load_recipe("text")
    schedule = recipe.make_schedule()
    model = NetworkDenoiser("text", network, schedule, recipe.prediction, torch.bfloat16, pixel_range=(-1.0, 1.0))
    job = Generate(model="text", prompt="word1 word2 word3", seed=SEED, steps=25, guidance=4.0)
    from diffusers import DDPMScheduler

    scheduler: Any = DDPMScheduler(1000, prediction_type="v_prediction", clip_sample=False)

    @torch.no_grad()
    def theirs() -> Tensor:
        scheduler.set_timesteps(25)
        x = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(SEED))
        condition = network.encode(network.read([None, job.prompt]))
        for t in scheduler.timesteps:
            empty, asked = network(torch.cat([x, x]), torch.full((2, 1), float(t) / 1000), condition).chunk(2)
            x = scheduler.step(empty + 4.0 * (asked - empty), t, x).prev_sample
        return x

    flops = 50 * forward_flops(
        network, torch.zeros(1, 3, 64, 64), torch.zeros(1, 1), network.encode(network.read([job.prompt]))
    )
    return Case(
        "a text picture, 64 px, 25 guided steps",
        theirs,
        partial(run, [job], lambda _, __: model),
        1,
        "pictures",
        flops,
        "plain: a loop with the DDPMScheduler of diffusers around the same network",
    )


ROWS: dict[str, Callable[[], Case]] = {
    "train-class": train_class,
    "train-denoiser": train_denoiser,
    "step": guided_step,
    "step-float32": partial(guided_step, "float32"),
    "digits": forty_digits,
    "text": text_picture,
    "layouts": layouts,
}
"""Cases by name; each is made when it is run."""


def starts() -> dict[str, Callable[[], None]]:
    """Commands in new processes, by what they are."""
    command = [sys.executable, "-m", "sfumato"]
    # As on a user's machine, where Python keeps the modules that it has compiled.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

    def call(*arguments: str) -> Callable[[], None]:
        def start() -> None:
            with tempfile.TemporaryDirectory() as folder:
                out = ["--out", str(Path(folder) / "out")] if arguments[0] == "generate" else []
                subprocess.run([*command, *arguments, *out], env=environment, check=True, stdout=subprocess.DEVNULL)

        return start

    return {
        "`sfumato --help`": call("--help"),
        "`sfumato generate 0 … 9` from a cold process": call("generate", *DIGITS, "--quiet"),
    }
