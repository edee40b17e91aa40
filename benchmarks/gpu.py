"""The table for a GPU:  python -m benchmarks.gpu [ROW…] [--rounds N] [--peer FOLDER] [--page FILE]

Rows if-STAGE-BATCH: a first stage of IF of full size, with random weights, against diffusers' pipeline. Row anagram:
against the public code of Visual Anagrams, whose repository lies in the folder --peer. Rows training and digits: what
the bundled digits take, in seconds. On a machine without a GPU the same can be rehearsed with `--device cpu
--channels 64 --steps 2 --pictures 64 --training-steps 9`.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tools.memory import UNETS

from benchmarks.__main__ import HEAD, row
from benchmarks.large import Large
from benchmarks.machine import peak
from benchmarks.page import add_option, emit
from benchmarks.paired import Case, compare, timed
from benchmarks.plain import forward_flops
from benchmarks.rows import plain_digits
from sfumato.backends.registry import load
from sfumato.evaluation.samples import Sampling, markdown_table, sample_classes
from sfumato.training.datasets import load_data
from sfumato.training.recipe import load_recipe
from sfumato.training.trainer import Trainer

STAGES = {name.rpartition("-")[2].lower(): name for name in UNETS}
BATCHES = 1, 8
ANAGRAMS = 8
ROWS = [*(f"if-{stage}-{batch}" for stage in STAGES for batch in BATCHES), "anagram"]
ALONE = ["training", "digits"]
"""Rows without another side."""


@dataclass(frozen=True)
class Bench:
    """What is asked for."""

    device: str
    dtype: torch.dtype
    steps: int
    rounds: int
    folder: Path
    """Where the files of weights go."""
    peer: Path | None
    data: str
    pictures: int
    channels: int | None
    training_steps: int | None

    def large(self, stage: str) -> Large:
        """A first stage, on the disk."""
        name = STAGES[stage]
        channels = self.channels or UNETS[name]
        made = Large(name, channels, self.folder / f"{name}-{channels}", self.device, self.dtype, self.steps)
        made.write()
        return made

    def case(self, name: str) -> Case:
        """A row with two sides."""
        if name == "anagram":
            if self.peer is None:
                raise SystemExit("row anagram needs --peer: a clone of https://github.com/dangeng/visual_anagrams")
            return self.large("m").anagram(ANAGRAMS, self.peer)
        _, stage, batch = name.split("-")
        return self.large(stage).generate(int(batch))

    def memory(self, call: Callable[[], object]) -> str:
        """The most that a call holds on a GPU beside what is held before it, the weights of both sides."""
        if not self.device.startswith("cuda"):
            return "not on a GPU"
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        call()
        return f"{(torch.cuda.max_memory_allocated() - before) / 1e9:.2f} GB"

    def training(self) -> tuple[str, float, float]:
        """Twenty epochs of the recipe `class`: what it is, seconds, and operations."""
        recipe, data = load_recipe("class"), load_data(self.data)
        trainer = Trainer(recipe, data, self.device)
        rest, some = trainer.run(), 20
        for _ in itertools.islice(rest, some):
            pass
        left = trainer.total_steps - some if self.training_steps is None else self.training_steps
        seconds = timed(lambda: list(itertools.islice(rest, left)))
        operations = left * recipe.batch_size * 3 * self._guided_step() / 2
        return f"training, recipe `class`, {left:,} steps of {recipe.batch_size}", seconds, operations

    def digits(self) -> tuple[str, float, float]:
        """Guided digits, 20 steps: what it is, seconds, and operations."""
        model = load("digits", self.device, "bfloat16")
        how = Sampling(20, 2.0, batch=min(self.pictures, 2000))
        sample_classes(model, model.classes, how.batch, how, seed=0)
        seconds = timed(lambda: sample_classes(model, model.classes, self.pictures, how, seed=0))
        return f"{self.pictures:,} guided digits, 20 steps", seconds, 20 * self.pictures * self._guided_step()

    def _guided_step(self) -> float:
        """Operations of the plain way for a guided step of one digit."""
        plain = plain_digits(load("digits", "cpu", "float32"))
        return 2 * forward_flops(plain, torch.zeros(1, 1, 28, 28), torch.zeros(1, 1), torch.zeros(1, 10))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the rows asked for, all by default, and print or write the tables."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    known = [*ROWS, *ALONE]
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(known)}; all by default")
    parser.add_argument("--rounds", type=int, default=5, help="calls of each side")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--dtype", default="float16", choices=("float16", "bfloat16", "float32"))
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--peer", type=Path, help="a clone of Visual Anagrams, for the row anagram")
    parser.add_argument("--data", default="mnist", help="what the row training learns from")
    parser.add_argument("--pictures", type=int, default=10_000, help="of the row digits")
    parser.add_argument("--channels", type=int, help="of all stages, for a rehearsal")
    parser.add_argument("--training-steps", type=int, help="of the row training; by default twenty epochs")
    add_option(parser, "gpu")
    given = parser.parse_args(arguments)
    if unknown := set(given.rows) - set(known):
        parser.error(f"unknown row {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    if given.device.startswith("cuda") and not torch.cuda.is_available():
        parser.error(
            "there is no GPU here; rehearse with: --device cpu --channels 64 --steps 2 --pictures 64 --training-steps 9"
        )
    if given.page and not given.device.startswith("cuda"):
        parser.error("a rehearsal is nothing for a page; leave --page out")
    if given.rounds < 3:
        parser.error("quartiles want at least 3 rounds")
    wanted = given.rows or [name for name in known if name != "anagram" or given.peer]
    peaks = {"bfloat16": peak(torch.bfloat16, given.device)}
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(
            given.device,
            getattr(torch, given.dtype),
            given.steps,
            given.rounds,
            Path(folder),
            given.peer,
            given.data,
            given.pictures,
            given.channels,
            given.training_steps,
        )
        text = tables(bench, wanted, peaks)
    # What was not left as it is by default, so that the command makes this table and no other.
    usual = vars(parser.parse_args([]))
    other = {key: value for key, value in vars(given).items() if value != usual[key] and key not in ("rows", "page")}
    words = "".join(f" {name}" for name in given.rows) + "".join(
        f" --{key.replace('_', '-')} {value}" for key, value in other.items()
    )
    name = torch.cuda.get_device_name() if given.device.startswith("cuda") else "no GPU"
    emit(given.page, "gpu", f"benchmarks.gpu{words}", f"{name}. {text}")


def tables(bench: Bench, wanted: Sequence[str], peaks: dict[str, float]) -> str:
    """Both tables."""
    lines = [f"Fastest 3×3 convolution in bfloat16: {peaks['bfloat16'] / 1e12:.3g} TFLOP/s.", "", *HEAD]
    held = []
    for name in (name for name in wanted if name in ROWS):
        case = bench.case(name)
        lines.append(row(compare(case, bench.rounds), peaks))
        held.append((name, bench.memory(case.plain), bench.memory(case.ours)))
        print(lines[-1], file=sys.stderr)
    lines += ["", markdown_table(("memory beside the weights", "plain way", "sfumato"), held)] if held else []
    rows = []
    for name in (name for name in wanted if name in ALONE):
        what, seconds, operations = getattr(bench, name)()
        rate = operations / seconds
        rows.append((what, f"{seconds:.3g} s", f"{rate / 1e12:.3g} TFLOP/s", f"{rate / peaks['bfloat16']:.0%}"))
        print(rows[-1], file=sys.stderr)
    lines += ["", markdown_table(("what", "seconds", "rate", "of the peak"), rows)] if rows else []
    return "\n".join(lines)


if __name__ == "__main__":
    main()
