"""Whether what is fast is as good:  python -m benchmarks.quality --data MNIST [-n 2000] [--seeds 3] [--keep FILE]

Guided digits by the plain way, all 300 ancestral steps in float32, and by ours with fewer steps and shorter numbers:
the share that a judge reads as asked for, and the Fréchet distance to test digits in the judge's features. Beside them
the floor: as many test digits against the others. What is found is kept in a file as it comes, so that an hour of the
plain way need not be spent twice.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TypedDict

import torch
from torch import Tensor

from benchmarks.machine import facts
from benchmarks.page import add_option, emit
from benchmarks.plain import ancestral
from benchmarks.rows import FEW, Way, plain_digits
from sfumato.app.heap import keep_freed_memory
from sfumato.backends.registry import load
from sfumato.core.loops import Loop
from sfumato.evaluation.judge import Judge, load_judge
from sfumato.evaluation.metrics import accuracy, frechet_distance, gaussian_statistics
from sfumato.evaluation.samples import Sampling, markdown_table, sample_classes
from sfumato.files import write_text
from sfumato.training.datasets import load_data

FLOOR, PLAIN = "floor", "plain"
GUIDANCE = 2.0
"""Of the plain way."""
WAYS: dict[str, Way] = {
    "ddpm-300": Way("ddpm", 300),
    "ddpm-20-float32": Way("ddpm", 20, dtype="float32"),
    "ddpm-20": Way("ddpm", 20),
    "ddpm-10": Way("ddpm", 10),
    "dpmpp-2m-20": Way("dpmpp-2m", 20),
    "dpmpp-2m-8": Way("dpmpp-2m", 8),
    "few": FEW,
}
"""Ours."""
ROWS = {
    FLOOR: "test digits themselves",
    PLAIN: f"plain: 300 ancestral steps, γ = {GUIDANCE:g}, float32",
    **{name: f"sfumato: {way}" for name, way in WAYS.items()},
}
"""What each is, as the table says it."""
BATCH = 50
"""Pictures that are made together."""


class Cell(TypedDict):
    """What one way came to with one seed."""

    right: float
    """Share that is read as asked for."""
    distance: float
    """Fréchet distance to test digits."""
    seconds: float


@dataclass(frozen=True)
class Quality:
    """What pictures are compared with."""

    data: str
    n: int
    device: str

    @cached_property
    def _digits(self) -> tuple[Tensor, Tensor]:
        digits = load_data(self.data, "test", size=28, channels=1, warn=lambda line: print(line, file=sys.stderr))
        return digits.pixels(torch.arange(len(digits))), digits.labels

    @cached_property
    def _judge(self) -> Judge:
        return load_judge()

    def labels(self) -> Tensor:
        """What is asked for: the digits in turn."""
        return torch.arange(self.n) % 10

    def cell(self, pictures: Tensor, labels: Tensor, seconds: float, against: Tensor | None = None) -> Cell:
        """What the judge says of pictures; `against` are test digits, by default all."""
        real = self._digits[0] if against is None else against
        ours, theirs = (gaussian_statistics(self._judge.features(x)) for x in (pictures, real))
        right = accuracy(self._judge, pictures, labels)
        return {"right": right, "distance": frechet_distance(*ours, *theirs), "seconds": seconds}

    def floor(self, seed: int) -> Cell:
        """n test digits, as many of each, against the others."""
        pictures, labels = self._digits
        order = torch.randperm(len(pictures), generator=torch.Generator().manual_seed(seed))
        each = [order[labels[order] == digit] for digit in range(10)]
        taken = torch.cat([rows[: self.n // 10] for rows in each])
        others = torch.cat([rows[self.n // 10 :] for rows in each])
        return self.cell(pictures[taken], labels[taken], 0.0, pictures[others])

    def plain(self, seed: int) -> Cell:
        """The plain way."""
        model = load("digits", self.device, "float32")
        network, labels = plain_digits(model).to(self.device), self.labels()
        alphas = torch.tensor([model.schedule.level(t).alpha ** 2 for t in range(300)])
        torch.manual_seed(seed)
        begun = time.perf_counter()
        parts = torch.split(labels.to(self.device), BATCH)
        made = torch.cat([ancestral(network, part, alphas, GUIDANCE) for part in parts]).cpu()
        return self.cell(made.clamp(0, 1), labels, time.perf_counter() - begun)

    def ours(self, way: Way, seed: int) -> Cell:
        """The same by the engine."""
        model = load("digits", self.device, way.dtype)
        begun = time.perf_counter()
        how = Sampling(way.steps, way.guidance, Loop(way.sampler), batch=BATCH)
        made, names = sample_classes(model, model.classes, self.n, how, seed=seed * self.n)
        return self.cell(made, torch.tensor([int(name) for name in names]), time.perf_counter() - begun)


def table(cells: dict[str, Cell], seeds: int) -> str:
    """Mean over the seeds, and between which values it lies."""
    rows = []
    for name, what in ROWS.items():
        found = [cells[key] for seed in range(seeds) if (key := f"{name}/{seed}") in cells]
        if found:
            right, distance, seconds = ([cell[key] for cell in found] for key in ("right", "distance", "seconds"))
            rows.append(
                (what, span(right, "{:.2%}"), span(distance, "{:.2f}"), f"{sum(seconds) / len(seconds):,.0f} s")
            )
    return markdown_table(("way", "read as asked for", "Fréchet distance", "seconds"), rows)


def span(values: Sequence[float], form: str) -> str:
    """The mean and, in brackets, the smallest and the largest where there are several."""
    mean, low, high = (form.format(value) for value in (sum(values) / len(values), min(values), max(values)))
    return f"{mean} ({low}–{high})" if len(values) > 1 else mean


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is not measured yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="mnist", help="MNIST: mnist, or a folder of it")
    parser.add_argument("-n", type=int, default=2000, help="digits of each way and seed")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--device", default="cpu", help="where the pictures are made")
    parser.add_argument("--only", nargs="+", choices=list(ROWS), help="by default all")
    parser.add_argument("--keep", type=Path, default=Path("quality.json"), help="where the results are kept")
    add_option(parser, "quality")
    given = parser.parse_args(arguments)
    if given.n < 10 or given.n % 10:
        parser.error("-n wants a multiple of 10: as many of each digit")
    keep_freed_memory()  # as the program does
    quality = Quality(given.data, given.n, given.device)
    ways: dict[str, Callable[[int], Cell]] = {FLOOR: quality.floor, PLAIN: quality.plain}
    ways |= {name: partial(quality.ours, way) for name, way in WAYS.items()}
    about = {"n": given.n, "machine": facts(), "device": given.device, "sha256": load("digits").sha256}
    kept = json.loads(given.keep.read_text(encoding="utf-8")) if given.keep.is_file() else {"about": about, "cells": {}}
    if kept["about"] != about:
        sys.exit(f"{given.keep} was measured otherwise: {kept['about']}; name another file")
    cells: dict[str, Cell] = kept["cells"]
    for seed in range(given.seeds):  # a seed of every way first: then there is something to look at
        for name in given.only or sorted(ROWS, key=lambda name: name == PLAIN):
            if f"{name}/{seed}" not in cells:
                cells[f"{name}/{seed}"] = ways[name](seed)
                write_text(given.keep, json.dumps(kept, indent=1) + "\n")
                print(f"{name}, seed {seed}: {cells[f'{name}/{seed}']}", file=sys.stderr)
    told = f"{given.n} digits of one seed."
    if given.seeds > 1:
        told = f"{given.n} digits a seed, seeds 0 to {given.seeds - 1}; in brackets the least and the most."
    only = "".join(f" {name}" for name in given.only or ())
    command = f"benchmarks.quality -n {given.n} --seeds {given.seeds} --device {given.device}"
    command += f" --only{only}" if only else ""
    emit(given.page, "quality", command, f"{table(cells, given.seeds)}\n\n{told}")


if __name__ == "__main__":
    main()
