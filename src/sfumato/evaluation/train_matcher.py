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
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from sfumato.core.noise import stream
from sfumato.errors import SfumatoError, UsageError
from sfumato.evaluation.matcher import Matcher, load_matcher, read_matcher, save_matcher
from sfumato.evaluation.retrieval import RetrievalTable, retrieved
from sfumato.models.matcher import MatcherConfig, MatcherNet
from sfumato.training.captions import COLOURS, Record, draw_caption
from sfumato.training.data import epoch_order
from sfumato.training.datasets import summary
from sfumato.training.datasets.captioned import Augmentation, CaptionedData, load_captioned
from sfumato.training.painterly import TREATMENTS

STRONGER = Augmentation(turn=12, scale=(0.75, 1.12), shift=0.08)
"""The judge's pictures are moved about twice as much as the model's, and `worsen`ed besides."""
CALM = Augmentation(coloured=0, painted=0)
"""Of the pictures that are shown without being worsened."""
CPU = torch.device("cpu")
SPLITS: tuple[Literal["train", "test"], ...] = ("train", "test")
T = TypeVar("T")


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
class Concepts:
    """What there is to be told apart in a folder's pictures."""

    keys: tuple[str, ...]
    """What the folder calls them."""
    records: tuple[Record, ...]
    """The names of each that no other has, but the main name first in any case; its keywords; the styles of all."""

    @classmethod
    def in_data(cls, data: CaptionedData) -> Concepts:
        """Those that the data have pictures of. Raises UsageError when two of them have the same main name."""
        groups: dict[str, list[Record]] = {}
        for record in data.records:
            groups.setdefault(record.concept, []).append(record)
        styles = tuple(dict.fromkeys(style for record in data.records for style in record.styles))
        merged = [_merged(group, styles) for group in groups.values()]
        double = Counter(record.names[0] for record in merged).most_common(1)[0]
        if double[1] > 1:
            raise UsageError(f"two concepts of {data.name} are called {double[0]!r}; a judge could not tell them apart")
        # A cat's face that is called "cat" as well would teach that a cat is no better a cat.
        shared = Counter(name for record in merged for name in record.names)
        own = (tuple(name for name in record.names[1:] if shared[name] == 1) for record in merged)
        records = tuple(
            replace(record, names=(record.names[0], *names)) for record, names in zip(merged, own, strict=True)
        )
        return cls(tuple(groups), records)

    @property
    def names(self) -> tuple[str, ...]:
        """The main names."""
        return tuple(record.names[0] for record in self.records)

    def of(self, data: CaptionedData) -> Int[Tensor, " n"]:
        """The place of each picture's concept; -1 where it is none of these."""
        places = {key: place for place, key in enumerate(self.keys)}
        return torch.tensor([places.get(record.concept, -1) for record in data.records])

    def texts(self, each: int, generator: torch.Generator) -> list[str]:
        """For each concept in turn so many of its names, then as many captions.

        Style, medium and ground of a caption are any, so they say nothing of the concept.
        """
        mediums = (*TREATMENTS, *[None] * (2 * len(TREATMENTS)))

        def name(record: Record) -> str:
            return _pick(record.names, torch.rand((), generator=generator).item())

        def caption(record: Record) -> str:
            style, medium, ground = torch.rand(3, generator=generator).tolist()
            shown = replace(record, styles=(_pick(record.styles, style),) if record.styles else ())
            return draw_caption(shown, _pick(mediums, medium), _pick((None, *COLOURS), ground), generator)

        return [form(record) for record in self.records for form in (name, caption) for _ in range(each)]


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


def seen(data: CaptionedData, index: Int[Tensor, " b"], generator: torch.Generator) -> Float[Tensor, "b 3 h w"]:
    """The pictures of these numbers as the data's augmentation shows them, in [0, 1]."""
    return _unit(data.batch(index, generator, CPU).pictures, data)


def worsen(x: Float[Tensor, "b 3 h w"], generator: torch.Generator) -> Float[Tensor, "b 3 h w"]:
    """Pictures in [0, 1], each bent, blurred, recoloured, blotched and noisy by its own amounts; a fifth are not.

    Elastic fields of up to some two pixels of 64 (as in `train_judge.augment`), half and quarter resolution
    mixed in, saturation, contrast, gains and lightness off by up to a third, coloured clouds and noise of up to 0.12.
    """
    rows, side = len(x), x.shape[-1]
    some = (torch.rand(rows, 1, 1, 1, generator=generator) < 0.8).float()

    def amount(most: float, often: float = 1.0) -> Tensor:
        return some * most * (1 - torch.rand(rows, 1, 1, 1, generator=generator) / often).clamp_min(0)

    def off_by(most: float, channels: int = 1) -> Tensor:
        return some * most * (2 * torch.rand(rows, channels, 1, 1, generator=generator) - 1)

    def clouds(channels: int, cells: int) -> Tensor:
        coarse = torch.randn(rows, channels, cells, cells, generator=generator)
        return F.interpolate(coarse, size=x.shape[-2:], mode="bicubic", align_corners=False)

    def coarser(factor: int) -> Tensor:
        return F.interpolate(F.avg_pool2d(x, factor), size=x.shape[-2:], mode="bilinear", align_corners=False)

    # In units of the grid, where a side is 2.
    bend = (clouds(2, 6) * amount(2.5 / 64) * 2).permute(0, 2, 3, 1)
    still = F.affine_grid(torch.eye(2, 3).expand(rows, 2, 3), [rows, 1, side, side], align_corners=False)
    x = F.grid_sample(x, still + bend, padding_mode="border", align_corners=False)
    x = torch.lerp(x, coarser(2), amount(1.0, often=0.6))
    x = torch.lerp(x, coarser(4), amount(0.8, often=0.3))
    grey = x.mean(1, keepdim=True)
    x = grey + (x - grey) * (1 + off_by(0.3))
    mean = x.mean((1, 2, 3), keepdim=True)
    x = mean + (x - mean) * torch.exp(off_by(0.3))
    x = x * torch.exp(off_by(0.15, channels=3)) + off_by(0.12)
    x = x + clouds(3, 5) * amount(0.12, often=0.6)
    x = x + torch.randn(x.shape, generator=generator) * amount(0.12, often=0.6)
    return x.clamp(0, 1)


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
            worsen(seen(data, part, generator), generator) if worse else _unit(data.plain(part, CPU), data)
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


def _unit(x: Float[Tensor, "b 3 h w"], data: CaptionedData) -> Float[Tensor, "b 3 h w"]:
    """Pictures in the data's range, brought to [0, 1]."""
    low, high = data.pixel_range
    return (x - low) / (high - low)


def _merged(records: Sequence[Record], styles: tuple[str, ...]) -> Record:
    """All names and keywords of a concept's pictures, in their order."""
    names = dict.fromkeys(name for record in records for name in record.names)
    keywords = dict.fromkeys(word for record in records for word in record.keywords)
    return Record(tuple(names), tuple(keywords), styles, records[0].concept)


def _pick(options: Sequence[T], number: float) -> T:
    """The option at this share, in [0, 1), of all."""
    return options[int(number * len(options))]


def _groups(network: MatcherNet, weight_decay: float) -> list[dict[str, Any]]:
    """What decays are weights; norms, biases, words and the temperature do not."""
    weights = [m.weight for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    chosen = {id(weight) for weight in weights}
    others = [parameter for parameter in network.parameters() if id(parameter) not in chosen]
    return [{"params": weights, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


if __name__ == "__main__":
    sys.exit(main())
