"""Train the judge of text-to-image samples, and check it.

    python -m sfumato.evaluation.train_matcher --data FOLDER --out FILE
    python -m sfumato.evaluation.train_matcher --data FOLDER --check

What the judge is to read is generated: a little blurred, noisy, bent, and of wrong colours. It sees the pictures of the
model's training, but moved more and worsened in these ways, so that it does not lean on exact copies. It begins with
mostly plain pictures and bare names, and is given worse ones and whole captions by and by (Bengio et al. 2009,
Curriculum Learning): without that it learns several times more slowly.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import math
import platform
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from sfumato.core.noise import stream
from sfumato.errors import SfumatoError, UsageError
from sfumato.evaluation.matcher import Matcher, load_matcher, read_matcher, save_matcher
from sfumato.evaluation.matcher_data import CPU, Concepts, seen, unit, worsen
from sfumato.evaluation.retrieval import RetrievalTable, retrieved
from sfumato.models.matcher import MatcherConfig, MatcherNet
from sfumato.training.data import epoch_order
from sfumato.training.datasets import summary
from sfumato.training.datasets.captioned import Augmentation, CaptionedData, load_captioned

STRONGER = Augmentation(turn=12, scale=(0.75, 1.12), shift=0.08)
"""The judge's pictures are moved about twice as much as the model's, and `worsen`ed besides."""
CALM = Augmentation(coloured=0, painted=0)
"""Of the pictures that are shown without being worsened."""
SPLITS: tuple[Literal["train", "test"], ...] = ("train", "test")


@dataclass(frozen=True)
class MatcherRecipe:
    """The numbers of a matcher's training."""

    epochs: int = 60
    batch_size: int = 64
    lr: float = 2e-3
    """The peak: a linear warm-up over the first tenth of the steps, then half a cosine down to zero."""
    weight_decay: float = 0.05
    label_smoothing: float = 0.1
    ema: float = 0.998
    """Decay per step of the moving average of weights, which is what is kept."""
    augmentation: Augmentation = STRONGER
    """How pictures differ from visit to visit before they are worsened."""
    hard: tuple[float, float] = (0.3, 0.9)
    """The share of worsened pictures at first, and when `ramp` of all steps are done; the others are `CALM`."""
    ramp: float = 0.6
    """Until then the share of captions among the texts grows too, from none to a half; the others are names."""
    texts: int = 64
    """Names, and as many captions, drawn for each concept before the start; every step takes one of them at random."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 2 or self.texts < 1:
            raise UsageError(
                f"a judge wants at least 1 epoch, batches of 2 and 1 text, "
                f"not {self.epochs}, {self.batch_size} and {self.texts}"
            )
        if not 0 <= min(self.hard) <= max(self.hard) <= 1 or not 0 < self.ramp <= 1:
            raise UsageError(f"hard {self.hard} and ramp {self.ramp:g} must be shares, and ramp more than 0")

    def lr_at(self, progress: float) -> float:
        """The learning rate when this share of all steps, in [0, 1], is done."""
        warm = 0.1
        if progress < warm:
            return self.lr * (0.1 + 0.9 * progress / warm)
        return self.lr * 0.5 * (1 + math.cos(math.pi * (progress - warm) / (1 - warm)))

    def ramp_at(self, progress: float) -> float:
        """How much of the way to the hardest training is gone, in [0, 1]."""
        return min(1.0, progress / self.ramp)


@dataclass(frozen=True)
class Epoch:
    """One epoch done, counted from 1: its mean loss and the seconds since the start."""

    number: int
    loss: float
    seconds: float


class MatcherTrainer:
    """A matcher in training. What step k draws follows from the recipe's seed and k alone."""

    def __init__(self, recipe: MatcherRecipe, data: CaptionedData, config: MatcherConfig | None = None) -> None:
        self.recipe = recipe
        self.data = replace(data, augmentation=recipe.augmentation)
        self.calm = replace(data, augmentation=CALM)
        self.concepts = Concepts.in_data(data)
        if len(self.concepts.keys) < 2:
            raise UsageError(f"a judge wants at least two concepts, and {data.name} has {len(self.concepts.keys)}")
        self.of = self.concepts.of(data)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(stream(recipe.seed, "matcher").initial_seed())
            self.config = config or MatcherConfig(data.vocabulary.words, size=data.shape[1], length=data.length)
            network = MatcherNet(self.config)
        texts = self.concepts.texts(recipe.texts, stream(recipe.seed, "matcher", "texts"))
        self.tokens = network.read(texts).reshape(len(self.concepts.keys), 2 * recipe.texts, -1)
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.ema: dict[str, Tensor] = {k: v.clone() for k, v in self.network.state_dict().items()}
        self.optimizer = torch.optim.AdamW(_groups(network, recipe.weight_decay), recipe.lr, fused=True)

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
                total += self._train_step(step, index, step / (recipe.epochs * batches))
            if not math.isfinite(total):
                raise SfumatoError(f"the loss of epoch {epoch + 1} is {total}; try a smaller lr (it is {recipe.lr:g})")
            yield Epoch(epoch + 1, total / batches, time.monotonic() - started)

    def matcher(self) -> Matcher:
        """The matcher so far: the averaged weights."""
        network = MatcherNet(self.config)
        network.load_state_dict(self.ema)
        return Matcher(network, self.concepts.names)

    def _train_step(self, step: int, index: Int[Tensor, " b"], progress: float) -> float:
        generator = stream(self.recipe.seed, "matcher", step)
        pictures = self._pictures(index, progress, generator)
        tokens = self._texts(progress, generator)
        with torch.autocast("cpu", torch.bfloat16):
            logits = self.network(pictures.to(memory_format=torch.channels_last), tokens)
        loss = F.cross_entropy(logits, self.of[index], label_smoothing=self.recipe.label_smoothing)
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.lr_at(progress)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self._average(step)
        return loss.item()

    def _pictures(
        self, index: Int[Tensor, " b"], progress: float, generator: torch.Generator
    ) -> Float[Tensor, "b 3 h w"]:
        """As hard as the training is by now, the calm ones first."""
        low, high = self.recipe.hard
        share = low + (high - low) * self.recipe.ramp_at(progress)
        calm, hard = index.tensor_split([round((1 - share) * len(index))])
        parts = [seen(self.calm, calm, generator)] if len(calm) else []
        if len(hard):
            parts.append(worsen(seen(self.data, hard, generator), generator))
        return torch.cat(parts)

    def _texts(self, progress: float, generator: torch.Generator) -> Int[Tensor, "n l"]:
        """The tokens of one text for each concept.

        They are not the pictures' own captions, whose styles would tell which texts are the right ones.
        """
        allowed = self.recipe.texts * (1 + self.recipe.ramp_at(progress))
        chosen = (torch.rand(len(self.tokens), generator=generator) * allowed).long()
        return self.tokens[torch.arange(len(self.tokens)), chosen]

    @torch.no_grad()
    def _average(self, step: int) -> None:
        # A warm-up, so that the first average is not the random start.
        decay = min(self.recipe.ema, (1 + step) / (10 + step))
        for name, value in self.network.state_dict().items():
            if value.is_floating_point():
                self.ema[name].lerp_(value, 1 - decay)
            else:
                self.ema[name].copy_(value)


def measure(matcher: Matcher, train: CaptionedData, test: CaptionedData, seed: int = 0) -> dict[str, RetrievalTable]:
    """What a matcher reads in the pictures as they are, in the same worsened, and in those that were held out.

    Concepts that the matcher does not know are left out. Raises UsageError when it knows none.
    """
    concepts = Concepts.in_data(train)
    names = set(matcher.names)
    known = torch.tensor([name in names for name in concepts.names] + [False])
    generator = stream(seed, "matcher", "measure")

    def table(data: CaptionedData, *, worse: bool = False) -> RetrievalTable:
        of = concepts.of(data)
        rows = known[of].nonzero()[:, 0]  # -1 is the last of them, which is False
        if not len(rows):
            raise UsageError(f"the judge knows nothing that is in {data.name}; give it pictures of what it knows")
        parts = [
            worsen(seen(data, part, generator), generator) if worse else unit(data.plain(part, CPU), data)
            for part in torch.split(rows, 256)
        ]
        asked = [concepts.names[place] for place in of[rows].tolist()]
        styles = [(data.records[row].styles or ("",))[0] for row in rows.tolist()]
        return retrieved(torch.cat(parts), asked, matcher, styles=styles)

    worsened = table(replace(train, augmentation=STRONGER), worse=True)
    return {"training": table(train), "worsened training": worsened, "held out": table(test)}


def train_matcher(recipe: MatcherRecipe, train: CaptionedData, test: CaptionedData) -> Matcher:
    """Train, printing a line an epoch, and measure what a file of 16-bit floats will hold."""
    trainer = MatcherTrainer(recipe, train)
    seconds = 0.0
    for epoch in trainer.run():
        seconds = epoch.seconds
        print(f"epoch {epoch.number}/{recipe.epochs}  loss {epoch.loss:.4f}  {seconds:.0f} s", flush=True)
    matcher = trainer.matcher()
    # The facts are about the file, so they are measured on its rounded weights.
    matcher.network.half().float()
    tables = measure(matcher, train, test)
    facts: dict[str, Any] = {
        "recipe": asdict(recipe),
        "worsened": "bend, blur, saturation, contrast, gains, clouds, noise",
        "data": {"name": train.name, "n": len(train), "concepts": len(matcher.names), "fingerprint": train.fingerprint},
        "test": {"name": test.name, "n": len(test), "fingerprint": test.fingerprint},
        "retrieval": {name: table.summary() | {"confused": table.confused(20)} for name, table in tables.items()},
        "seconds": round(seconds),
        "versions": {
            "sfumato": importlib.metadata.version("sfumato"),
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
    }
    return replace(matcher, facts=facts)


def report(tables: dict[str, RetrievalTable], pairs: int = 20) -> str:
    """What a judge is worth, as text: how often it is right about each kind of pictures, and what it confuses."""
    parts = []
    for name, table in tables.items():
        parts.append(f"{name.upper()} PICTURES: {table.to_markdown()}")
        if confused := table.confused(pairs):
            listed = "; ".join(f"{one} / {other} {count}" for one, other, count in confused)
            parts.append(f"Most often confused: {listed}.")
    return "\n\n".join(parts)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m sfumato.evaluation.train_matcher", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with captioned pictures, some held out")
    parser.add_argument("--out", type=Path, help="file to write the trained judge to")
    parser.add_argument("--check", action="store_true", help="measure a judge instead of training one")
    parser.add_argument("--judge", type=Path, help="with --check: the judge's file; the packaged one by default")
    parser.add_argument("--epochs", type=int, default=MatcherRecipe.epochs)
    parser.add_argument("--seed", type=int, default=MatcherRecipe.seed)
    options = parser.parse_args(arguments)
    try:
        if options.out is None and not options.check:
            raise UsageError("give --out FILE to train a judge, or --check to measure one")
        recipe = MatcherRecipe(epochs=options.epochs, seed=options.seed)
        judge = None
        if options.check:
            judge = read_matcher(options.judge) if options.judge else load_matcher()
        size = judge.network.config.size if judge else MatcherConfig.size
        train, test = (_loaded(options.data, size, split) for split in SPLITS)
        if judge is None:
            save_matcher(options.out, train_matcher(recipe, train, test))
            judge = read_matcher(options.out)
        print(report(measure(judge, train, test)))
    except SfumatoError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _loaded(folder: Path, size: int, split: Literal["train", "test"]) -> CaptionedData:
    data, skipped = load_captioned(folder, size, split)
    if skipped:
        print(summary(skipped), file=sys.stderr)
    return data


def _groups(network: MatcherNet, weight_decay: float) -> list[dict[str, Any]]:
    """What decays are weights; norms, biases, words and the temperature do not."""
    weights = [m.weight for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    chosen = {id(weight) for weight in weights}
    others = [parameter for parameter in network.parameters() if id(parameter) not in chosen]
    return [{"params": weights, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


if __name__ == "__main__":
    sys.exit(main())
