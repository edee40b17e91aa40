"""Train judges, and check them. That of digits: `python -m sfumato.evaluation.train_judge --data FOLDER --out FILE`.

What a judge is to read is generated, not scanned, so it is trained on pictures that are also turned, moved, bent,
blurred and noisy; and on a few pictures of nothing, for which it is to answer "any class equally".
"""

from __future__ import annotations

import argparse
import importlib.metadata
import math
import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from sfumato.core.noise import stream
from sfumato.errors import SfumatoError, UsageError
from sfumato.evaluation.judge import Judge, load_judge, read_judge, save_judge
from sfumato.evaluation.metrics import accuracy, confusion
from sfumato.models.judge import LEAST, JudgeNet
from sfumato.training.data import ImageData, epoch_order
from sfumato.training.datasets.mnist import load_mnist

STEPS = 800
"""Of a judge's training, at least."""


@dataclass(frozen=True)
class JudgeRecipe:
    """The numbers of a judge's training."""

    epochs: int = 10
    batch_size: int = 256
    lr: float = 6e-3
    """The peak: a linear warm-up over the first tenth of the steps, then half a cosine down to zero."""
    weight_decay: float = 0.02
    label_smoothing: float = 0.03
    ema: float = 0.995
    """Decay per step of the moving average of weights, which is what is kept."""
    nothing: float = 0.06
    """Pictures of nothing, as a share of a batch, in addition to its pictures of something."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 2:
            raise UsageError(
                f"a judge wants at least 1 epoch and batches of 2, not {self.epochs} and {self.batch_size}"
            )

    @classmethod
    def of(cls, count: int, seed: int = 0) -> JudgeRecipe:
        """For so many pictures: where they are few, smaller batches and more epochs, so that there are enough steps."""
        batch = min(cls.batch_size, max(8, count // 8))
        return cls(epochs=max(cls.epochs, math.ceil(STEPS / max(1, count // batch))), batch_size=batch, seed=seed)

    def lr_at(self, progress: float) -> float:
        """The learning rate when this share of all steps, in [0, 1], is done."""
        warm = 0.1
        if progress < warm:
            return self.lr * (0.1 + 0.9 * progress / warm)
        return self.lr * 0.5 * (1 + math.cos(math.pi * (progress - warm) / (1 - warm)))


@dataclass(frozen=True)
class Epoch:
    """One epoch done, counted from 1: its mean loss and the seconds since the start."""

    number: int
    loss: float
    seconds: float

    def told(self, recipe: JudgeRecipe) -> str:
        """In a line."""
        return f"epoch {self.number}/{recipe.epochs}  loss {self.loss:.4f}  {self.seconds:.0f} s"


class JudgeTrainer:
    """A judge in training. What step k draws follows from the recipe's seed and k alone."""

    def __init__(self, recipe: JudgeRecipe, data: ImageData) -> None:
        channels, size, width = data.shape
        if size != width or size % 4 or size < LEAST:
            raise UsageError(
                f"a judge reads square pictures of a size of at least {LEAST} that 4 divides, not {width}×{size}"
            )
        if len(data.classes) < 2:
            raise UsageError(f"{data.name} has no classes to tell apart; put its pictures into one folder for each")
        self.recipe = recipe
        self.data = data
        self._network = partial(JudgeNet, len(data.classes), channels=channels, size=size)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(stream(recipe.seed, "judge").initial_seed())
            # Dropout would draw from the global generator; augmentation regularises enough.
            network = self._network(dropout=0.0)
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.ema: dict[str, Tensor] = {k: v.clone() for k, v in self.network.state_dict().items()}
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), recipe.lr, weight_decay=recipe.weight_decay, fused=True
        )

    def run(self) -> Iterator[Epoch]:
        """Train to the end, one epoch at a time."""
        started = time.monotonic()
        recipe = self.recipe
        batches = len(self.data) // recipe.batch_size or 1
        self.network.train()
        for epoch in range(recipe.epochs):
            order = epoch_order(len(self.data), recipe.seed, epoch)
            total = 0.0
            for batch in range(batches):
                step = epoch * batches + batch
                index = order[batch * recipe.batch_size :][: recipe.batch_size]
                total += self._train_step(step, index, recipe.lr_at(step / (recipe.epochs * batches)))
            if not math.isfinite(total):
                raise SfumatoError(f"the loss of epoch {epoch + 1} is {total}; try a smaller lr (it is {recipe.lr:g})")
            yield Epoch(epoch + 1, total / batches, time.monotonic() - started)

    def judge(self) -> Judge:
        """The judge so far: the averaged weights."""
        network = self._network()
        network.load_state_dict(self.ema)
        return Judge(network, self.data.classes)

    def _train_step(self, step: int, index: Tensor, lr: float) -> float:
        generator = stream(self.recipe.seed, "judge", step)
        clean = self.data.pixels(index)
        pictures = torch.cat([augment(clean, generator), nothing(clean, self.recipe.nothing, generator)])
        classes = len(self.data.classes)
        smooth = self.recipe.label_smoothing
        target = torch.full((len(pictures), classes), 1 / classes)
        target[: len(index)] = functional.one_hot(self.data.labels[index], classes) * (1 - smooth) + smooth / classes
        with torch.autocast("cpu", torch.bfloat16):
            logits = self.network(pictures.to(memory_format=torch.channels_last))
        loss = functional.cross_entropy(logits.float(), target)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self._average(step)
        return loss.item()

    @torch.no_grad()
    def _average(self, step: int) -> None:
        # A warm-up, so that the first average is not the random start.
        decay = min(self.recipe.ema, (1 + step) / (10 + step))
        for name, value in self.network.state_dict().items():
            if value.is_floating_point():
                self.ema[name].lerp_(value, 1 - decay)
            else:
                self.ema[name].copy_(value)


def augment(x: Float[Tensor, "b c s s"], generator: torch.Generator) -> Float[Tensor, "b c s s"]:
    """Pictures in [0, 1], each turned, moved, bent, blurred, made bolder or fainter, and noisy by its own amounts.

    Up to ±12°, ±10 % in size, ±2 of 28 pixels, an elastic field of up to about a pixel (after Simard, Steinkraus, Platt
    2003, but coarse random numbers interpolated instead of fine ones smoothed). A fifth keep their geometry.
    """
    rows, channels, size, _ = x.shape

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(rows, 1, 1, 1, generator=generator)

    moved = (uniform(0, 1) < 0.8).float()
    angle = moved * uniform(-1, 1) * math.radians(12)
    scale = 1 + moved * uniform(-0.1, 0.1)
    shift = moved * 2 / 14 * torch.cat([uniform(-1, 1), uniform(-1, 1)], dim=3)
    cosine, sine = torch.cos(angle) / scale, torch.sin(angle) / scale
    matrix = torch.cat([torch.cat([cosine, -sine], dim=3), torch.cat([sine, cosine], dim=3)], dim=2)
    affine = torch.cat([matrix[:, 0], shift.reshape(rows, 2, 1)], dim=2)
    grid = functional.affine_grid(affine, list(x.shape), align_corners=False)
    # In units of the grid, where 28 pixels are 2.
    bend = torch.randn(rows, 2, 6, 6, generator=generator) * moved * uniform(0, 1.2) / 14
    field = functional.interpolate(bend, size=(size, size), mode="bicubic", align_corners=False)
    # What comes into the picture is what lies at its edge: of a digit black, of a photograph anything.
    x = functional.grid_sample(x, grid + field.permute(0, 2, 3, 1), padding_mode="border", align_corners=False)

    kernel = torch.tensor([0.25, 0.5, 0.25])
    blur = torch.outer(kernel, kernel).expand(channels, 1, 3, 3)
    blurred = functional.conv2d(x, blur, padding=1, groups=channels)
    x = torch.lerp(x, blurred, uniform(-1, 1).clamp_min(0))
    x = x.clamp(0, 1) ** torch.exp(uniform(-0.4, 0.4)) * uniform(0.8, 1.2)
    x = x + uniform(-0.15, 0.1).clamp_min(0) * torch.randn(x.shape, generator=generator)
    return x.clamp(0, 1)


def nothing(x: Float[Tensor, "b c s s"], share: float, generator: torch.Generator) -> Float[Tensor, "n c s s"]:
    """share·b pictures in [0, 1] of nothing: flat grey with noise, smooth blobs, and pictures cut up and shuffled.

    Outlier exposure (Hendrycks, Mazeika, Dietterich 2019): trained towards equal probabilities on such pictures, a
    classifier is less sure of others that it has never seen.
    """
    _, channels, size, _ = x.shape
    rows = round(share * len(x))
    rest = rows - rows // 3 - rows // 3

    def uniform(count: int, low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, 1, 1, 1, generator=generator)

    count = rows // 3
    noise = torch.randn(count, *x.shape[1:], generator=generator) * uniform(count, 0, 1) + uniform(count, 0, 1)
    coarse = torch.randn(count, channels, 7, 7, generator=generator)
    cells = functional.interpolate(coarse, size=(size, size), mode="bicubic")
    blobs = cells * uniform(count, 0.2, 2) + uniform(count, -0.5, 0.5)
    # 16 tiles, in another order in every picture.
    side = size // 4
    tiles = functional.unfold(x[:rest], side, stride=side)
    order = torch.rand(rest, 1, 16, generator=generator).argsort(dim=2).expand_as(tiles)
    shuffled = functional.fold(tiles.gather(2, order), (size, size), side, stride=side)
    return torch.cat([noise, blobs, shuffled]).clamp(0, 1)


def train_judge(
    recipe: JudgeRecipe, train: ImageData, test: ImageData, on_epoch: Callable[[Epoch], None] = lambda _: None
) -> Judge:
    """Train, and measure what a file of 16-bit floats will hold. Of 60,000 digits minutes on a CPU.

    Raises UsageError for data that a judge cannot be trained on, SfumatoError for a loss that is no number.
    """
    trainer = JudgeTrainer(recipe, train)
    seconds = 0.0
    for epoch in trainer.run():
        seconds = epoch.seconds
        on_epoch(epoch)
    judge = trainer.judge()
    exact = _test_accuracy(judge, test)
    # The facts are about the file, so they are measured on its rounded weights.
    judge.network.half().float()
    facts = {
        "recipe": asdict(recipe),
        "augmentation": "affine, elastic, blur, gamma, gain, noise; pictures of nothing towards equal probabilities",
        "data": {"name": train.name, "n": len(train), "fingerprint": train.fingerprint},
        "test": {"name": test.name, "n": len(test), "fingerprint": test.fingerprint},
        "test_accuracy": _test_accuracy(judge, test),
        "test_accuracy_float32": exact,
        "seconds": round(seconds),
        "versions": {
            "sfumato": importlib.metadata.version("sfumato"),
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
    }
    return Judge(judge.network, judge.classes, facts)


def report(judge: Judge, test: ImageData, pairs: int = 8) -> str:
    """What a judge is worth, as text: its accuracy, what it confuses most, and how sure it is of pictures of noise."""
    x = test.pixels(torch.arange(len(test)))
    probabilities = judge.probabilities(x)
    table = confusion(probabilities.argmax(dim=1), test.labels, len(test.classes))
    right = int(table.trace())
    lines = [
        f"accuracy {right / len(test):.2%} ({len(test) - right} wrong of {len(test)})",
        f"mean largest probability: {_sureness(probabilities):.3f} on these pictures",
    ]
    generator = stream(0, "judge", "noise")
    uniform, gaussian = (draw(2000, *test.shape, generator=generator) for draw in (torch.rand, torch.randn))
    for name, noise in {"uniform noise": uniform, "Gaussian noise N(0, 1), clipped": gaussian}.items():
        lines.append(f"mean largest probability: {_sureness(judge.probabilities(noise)):.3f} on {name}")
    wrong = table - torch.diag(table.diagonal())
    most = wrong.flatten().sort(descending=True, stable=True)
    for count, place in zip(most.values[:pairs].tolist(), most.indices[:pairs].tolist(), strict=True):
        expected, predicted = divmod(place, len(test.classes))
        if count:
            lines.append(f"{test.classes[expected]} taken for {test.classes[predicted]}: {count}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m sfumato.evaluation.train_judge", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with MNIST's four idx files")
    parser.add_argument("--out", type=Path, help="file to write the trained judge to")
    parser.add_argument("--check", action="store_true", help="measure a judge instead of training one")
    parser.add_argument("--judge", type=Path, help="with --check: the judge's file; the packaged one by default")
    parser.add_argument("--epochs", type=int, default=JudgeRecipe.epochs)
    parser.add_argument("--seed", type=int, default=JudgeRecipe.seed)
    options = parser.parse_args(arguments)
    try:
        test = load_mnist("test", options.data)
        if options.check:
            judge = read_judge(options.judge) if options.judge else load_judge()
        elif options.out is None:
            raise UsageError("give --out FILE to train a judge, or --check to measure one")
        else:
            recipe = JudgeRecipe(epochs=options.epochs, seed=options.seed)
            train = load_mnist("train", options.data)
            save_judge(options.out, train_judge(recipe, train, test, lambda e: print(e.told(recipe), flush=True)))
            judge = read_judge(options.out)
            print(f"float32 before rounding: {judge.facts['test_accuracy_float32']:.2%}")
        print(report(judge, test))
    except SfumatoError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _test_accuracy(judge: Judge, test: ImageData) -> float:
    return accuracy(judge, test.pixels(torch.arange(len(test))), test.labels)


def _sureness(probabilities: Float[Tensor, "b k"]) -> float:
    return probabilities.amax(dim=1).mean().item()


if __name__ == "__main__":
    sys.exit(main())
