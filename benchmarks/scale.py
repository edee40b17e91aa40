"""How time grows, each with its fitted curve:  python -m benchmarks.scale [CURVE…] [--device cpu] [--page FILE]

rows: pictures of one forward. steps: those of the loop. size: pixels of a side. shards: processes that part a batch of
pictures. processes: those that part a training. The last two share this machine's processor, so that they cannot gain
more than it has cores; on several machines or GPUs each has its own.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.page import add_option, emit
from benchmarks.paired import timed
from sfumato.app.heap import keep_freed_memory
from sfumato.app.jobs import Generate
from sfumato.app.run import run
from sfumato.backends.network import NetworkDenoiser
from sfumato.backends.registry import load
from sfumato.evaluation.samples import markdown_table
from sfumato.models.text_unet import TextUNet, TextUNetConfig
from sfumato.training.recipe import load_recipe

ROUNDS = 5
PICTURES = 400
"""Of the batch that shards part."""
TRAINED = 10, 60
"""Steps of a short and of a longer training: their difference knows nothing of the start."""


@dataclass(frozen=True)
class Curve:
    """Seconds over something, and what they follow."""

    of: str
    """What is counted, as the head of a column."""
    points: tuple[tuple[float, float], ...]
    """(how many, seconds)."""
    per: Callable[[float, float], str]
    """What a point means to a user: a rate."""
    rate: str
    """The head of its column."""
    power: bool = False
    """Whether it is a power c·nᵖ rather than a line a + b·n."""

    def fitted(self) -> tuple[Callable[[float], float], str]:
        """The curve of the least relative errors, and in words."""
        n, seconds = np.array(self.points).T
        if self.power:
            slope, offset = np.polyfit(np.log(n), np.log(seconds), 1)
            return lambda at: float(np.exp(offset) * at**slope), f"{np.exp(offset):.3g} s · n^{slope:.2f}"
        # Relative errors: a row of the least squares is divided by what was measured.
        (a, b), *_ = np.linalg.lstsq(np.stack([1 / seconds, n / seconds], 1), np.ones(len(n)))
        return lambda at: float(a + b * at), f"{a * 1e3:.3g} ms + {b * 1e3:.3g} ms · n"

    def table(self) -> str:
        """As Markdown, with how far the fit is off at its worst."""
        if len(self.points) < 3:  # through two points there is always a curve
            rows = [(f"{n:g}", f"{s:.3g} s", self.per(n, s)) for n, s in self.points]
            return markdown_table((self.of, "measured", self.rate), rows)
        fit, words = self.fitted()
        fitted = [(f"{n:g}", f"{s:.3g} s", f"{fit(n):.3g} s", self.per(n, s)) for n, s in self.points]
        worst = math.ceil(100 * max(abs(fit(n) / s - 1) for n, s in self.points) - 1e-6)
        return (
            f"{markdown_table((self.of, 'measured', 'fitted', self.rate), fitted)}\n\n"
            f"n {self.of}: {words}; nowhere off by more than {worst} %."
        )


def middle(call: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Seconds of a call: the median of some after one to warm up."""
    call()
    return statistics.median(timed(call) for _ in range(rounds))


def rows(device: str) -> Curve:
    """One forward of the digits, of so many rows."""
    model = load("digits", device, "bfloat16")
    level, points = model.schedule.level(150), []

    def ask(x: torch.Tensor) -> None:
        model(x, ["3"] * len(x), level).eps.cpu()  # which waits for the device

    with torch.no_grad():
        for count in (1, 2, 4, 8, 16, 32, 64, 128, 256):
            points.append((count, middle(partial(ask, torch.randn(count, 1, 28, 28, device=device)))))
    return Curve("rows of a forward", tuple(points), lambda n, s: f"{n / s:,.0f}", "rows/s")


def steps(device: str) -> Curve:
    """Eight guided digits with so many steps."""
    model, points = load("digits", device, "bfloat16"), []
    for count in (5, 10, 20, 40, 80, 160):
        settings: dict[str, Any] = {"model": "digits", "steps": count, "guidance": 2.0, "dtype": "bfloat16"}
        jobs = [Generate(prompt=str(k), seed=k, **settings) for k in range(8)]
        points.append((count, middle(partial(run, jobs, lambda _, __: model))))
    return Curve("steps", tuple(points), lambda _, s: f"{8 / s:.3g}", "pictures/s")


def size(device: str) -> Curve:
    """A forward of two rows of a text network (random weights) at so many pixels."""
    torch.manual_seed(0)
    network = TextUNet(TextUNetConfig(tuple(f"word{k}" for k in range(2000)))).eval()
    recipe, points = load_recipe("text"), []
    model = NetworkDenoiser("text", network.to(device), recipe.make_schedule(), recipe.prediction, torch.bfloat16)
    level, asked = model.schedule.level(500), [None, "word1 word2"]
    with torch.no_grad():
        for side in (32, 48, 64, 96, 128):
            x = torch.randn(2, 3, side, side, device=device)
            points.append((side, middle(lambda x=x: model(x, asked, level).eps.cpu())))  # type: ignore[misc]
    return Curve(
        "pixels of a side", tuple(points), lambda n, s: f"{2 * n * n / s / 1e6:.3g}", "megapixels/s", power=True
    )


def shards(device: str) -> Curve:
    """A list of digits, made by so many processes that part the threads of this machine; their start is counted."""
    counts = [count for count in (1, 2, 4, 8) if count <= cores()]
    return Curve(
        "shards",
        tuple((count, statistics.median(_batch(count, device) for _ in range(3))) for count in counts),
        lambda _, s: f"{PICTURES / s:.3g}",
        "pictures/s",
        power=True,
    )


def _batch(count: int, device: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        jobs = Path(folder) / "jobs.txt"
        jobs.write_text("\n".join("0123456789") + "\n", encoding="utf-8")
        words = [
            *command(),
            "batch",
            str(jobs),
            "--seeds",
            f"0-{PICTURES // 10 - 1}",
            "--out",
            str(Path(folder) / "out"),
        ]
        words += ["--steps", "10", "--dtype", "bfloat16", "--device", device, "--quiet"]
        begun = time.perf_counter()
        together([[*words, "--shard", f"{k + 1}/{count}"] for k in range(count)], cores() // count)
        return time.perf_counter() - begun


def processes(device: str) -> Curve:
    """A step of the recipe `class`, 64 pictures, by so many processes that part the threads of this machine."""
    counts = [count for count in (1, 2, 4, 8) if count <= cores()]
    points = []
    for count in counts:
        short, long = (statistics.median(_training(count, steps, device) for _ in range(3)) for steps in TRAINED)
        points.append((float(count), (long - short) / (TRAINED[1] - TRAINED[0])))
    return Curve("processes", tuple(points), lambda _, s: f"{64 / s:.3g}", "pictures/s", power=True)


def _training(count: int, steps: int, device: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
        words += ["-m", "sfumato", "train", "class", "--data", "typeset", "--out", str(Path(folder) / "run")]
        words += ["--set", f"steps={steps}", "--set", "checkpoint_every=1000000", "--device", device, "--quiet"]
        begun = time.perf_counter()
        together([words], cores() // count)
        return time.perf_counter() - begun


def cores() -> int:
    """Threads that torch has here."""
    return torch.get_num_threads()


def command() -> list[str]:
    """Our program, in a process of its own."""
    return [sys.executable, "-m", "sfumato"]


def together(lines: Sequence[Sequence[str]], threads: int) -> None:
    """Run programs at the same time, each with so many threads; an error of any is one here."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    begun = [
        subprocess.Popen(line, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        for line in lines
    ]
    for process in begun:
        _, said = process.communicate()
        if process.returncode:
            raise SystemExit(f"{' '.join(map(str, process.args))}:\n{said}")  # type: ignore[arg-type]


CURVES: dict[str, Callable[[str], Curve]] = {
    "rows": rows,
    "steps": steps,
    "size": size,
    "shards": shards,
    "processes": processes,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the curves asked for, all by default, and print or write the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("curves", nargs="*", metavar="CURVE", help=f"of {', '.join(CURVES)}; all by default")
    parser.add_argument("--device", default="cpu")
    add_option(parser, "scale")
    given = parser.parse_args(arguments)
    if unknown := set(given.curves) - set(CURVES):
        parser.error(f"unknown curve {', '.join(sorted(unknown))}; there are {', '.join(CURVES)}")
    keep_freed_memory()  # as the program does
    parts = []
    for name in given.curves or CURVES:
        make = CURVES[name]
        parts += [f"**{name}**: {(make.__doc__ or '').strip()}", make(given.device).table()]
        print("\n\n".join(parts[-2:]), file=sys.stderr)
    words = "".join(f" {name}" for name in given.curves)
    emit(given.page, "scale", f"benchmarks.scale{words} --device {given.device}", "\n\n".join(parts))


if __name__ == "__main__":
    main()
