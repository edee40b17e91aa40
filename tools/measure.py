"""Measure the bundled digits and write docs/digits.md:  python tools/measure.py --data FOLDER_OF_MNIST

Half an hour on two cores; `--only hybrids` measures that part anew and leaves the others as they are. What the
networks were after some epochs is measured from the run directory of their training, where `--run` says it is.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs/digits.md"
FAST = "--dtype bfloat16"
FIVE = ("rotate:180", "rotate:90", "flip", "mirror", "circle:180")
HARD = (("2", "4"), ("1", "8"), ("3", "5"), ("0", "7"), ("4", "8"))
"""Pairs that seldom succeed upside down."""
SEARCH = ("The best of 64 seeds, hard pairs upside down", "anagram 2 4 --best-of 64 --json")


@dataclass(frozen=True)
class Learning:
    """What is measured of a recipe's training."""

    title: str
    command: str
    epochs: tuple[int, ...]
    """Those of which the run has the weights."""
    end: int
    """The last one, which the recipe ends with."""
    bundled: str | None = None
    """What that is where it comes with the package; a run of its own has it too."""

    def models(self, run: Path) -> dict[int, str]:
        """What is measured, by epoch."""
        kept = {epoch: str(run / f"epochs/epoch-{epoch:03d}.safetensors") for epoch in self.epochs}
        return {**kept, self.end: self.bundled or str(run)}


LEARNINGS = {
    "class": Learning(
        "As it learns",
        f"evaluate runs/class/epochs/epoch-001.safetensors -n 1000 --data mnist {FAST}",
        (1, 5),
        20,
        "digits",
    ),
    "flow": Learning(
        "As a flow learns",
        f"evaluate runs/flow/epochs/epoch-001.safetensors -n 1000 --steps 20 --data mnist {FAST}",
        (1, 5),
        10,
    ),
}
"""By recipe."""
SECTIONS = [
    ("Samples: 20 strided ancestral steps, γ = 2 (the defaults)", f"evaluate digits -n 1000 {FAST}"),
    ("Samples: the whole chain of 300 steps, γ = 2", f"evaluate digits -n 1000 --steps 300 {FAST}"),
    ("Samples: 20 steps, γ = 5 as in the write-ups", f"evaluate digits -n 1000 --guidance 5 {FAST}"),
    ("Anagrams under a turn by 180°, every ordered pair", f"evaluate digits -n 100 --anagrams --seeds 10 {FAST}"),
    (
        "Anagrams through five views, every ordered pair",
        f"evaluate digits -n 100 --anagrams --seeds 2 {' '.join(f'--view {view}' for view in FIVE)} {FAST}",
    ),
    ("Hybrids, every ordered pair", f"evaluate digits -n 100 --hybrids --seeds 5 {FAST}"),
    ("Samples of the unconditional model", f"evaluate digits/time -n 500 {FAST}"),
    ("The one-step denoiser, trained at σ = 0.5 only", "evaluate digits/denoiser -n 1000 --data mnist"),
    ("The diffusion model as a denoiser", f"evaluate digits/time -n 200 --data mnist {FAST}"),
]


def machine() -> str:
    """Where it is measured."""
    return f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}"


def trained() -> list[str]:
    """What is known of each bundled network."""
    rows = ["| network | recipe | epochs | steps | SHA-256 |", "|---|---|---:|---:|---|"]
    for name in ("class", "time", "denoiser", "flow"):
        about = json.loads((ROOT / f"src/sfumato/bundled/digits-{name}.json").read_text())
        epochs = f"{about['epochs']:.4g} of {about['epochs_of_recipe']}"
        rows.append(f"| digits-{name} | `{name}` | {epochs} | {about['steps']} | `{about['sha256'][:16]}…` |")
    return rows


def searched() -> str:
    """What the best of 64 seeds is beside the first one, for hard pairs."""
    title, command = SEARCH
    lines = [
        f"## {title}",
        "",
        f"`sfumato {command}` and so on: the probability of the weakest reading.",
        "",
        "| pair | first seed | median | best | read as wanted |",
        "|---|---:|---:|---:|---:|",
    ]
    for pair in HARD:
        with tempfile.TemporaryDirectory() as folder:
            words = ["anagram", *pair, "--best-of", "64", "--json", "-o", folder, *shlex.split(FAST)]
            done = subprocess.run([sys.executable, "-m", "sfumato", *words], capture_output=True, text=True, check=True)
        (found,) = json.loads(done.stdout)["searches"]
        values = (found["weakest"]["0"], found["quantiles"]["0.5"], found["quantiles"]["1"])
        shown = " | ".join(f"{value:.2f}" for value in values)
        lines.append(f"| {' / '.join(pair)} | {shown} | {found['right']} of {found['tried']} |")
    return "\n".join(lines) + "\n"


def learning(recipe: str, run: Path, data: Path) -> str:
    """How good the pictures are after some epochs of a training."""
    asked = LEARNINGS[recipe]
    bundled = f" (after {asked.end} the bundled `{asked.bundled}`)" if asked.bundled else ""
    lines = [
        f"## {asked.title}",
        "",
        f"`sfumato {asked.command}` and so on, the weights of the",
        f"recipe `{recipe}` after epochs of its training{bundled}: how many of 1,000 digits are",
        "read as asked for; their Fréchet distance to test digits in the features of the judge, and that of as many",
        "test digits to the others; and how near the network comes to 1,000 test digits in one step from three times t",
        "(PSNR in dB).",
        f"Measured on {datetime.date.today()} ({machine()}).",
        "",
    ]
    rows = []
    for epoch, model in asked.models(run).items():
        words = [
            str(data) if part == "mnist" else part for part in ("evaluate", model, *shlex.split(asked.command)[2:])
        ]
        command = [sys.executable, "-m", "sfumato", *words, "--json"]
        found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        levels = {f"t = {row['t']:g}": f"{row['one_step']['psnr']:.2f}" for row in found["denoising"]["rows"]}
        far = found["frechet"]
        share = f"{found['samples']['accuracy']:.1%}"
        rows.append((f"{epoch}", share, f"{far['distance']:.2f}", f"{far['floor']:.2f}", *levels.values()))
        print(rows[-1], flush=True)
    head = ("epoch", "read as asked for", "Fréchet distance", "of real digits", *levels)
    lines += [f"| {' | '.join(row)} |" for row in (head, ["---:"] * len(head), *rows)]
    return "\n".join(lines) + "\n"


def measured(title: str, command: str, data: Path) -> str:
    """A part of the page: what a command prints."""
    arguments = [str(data) if part == "mnist" else part for part in shlex.split(command)]
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "sfumato", *arguments], capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - began
    print(f"{title}: {seconds:.0f} s", flush=True)
    return f"## {title}\n\n`sfumato {command}` ({seconds:.0f} s)\n\n{done.stdout.strip()}\n"


def main() -> None:
    """Run every command, or those asked for, and keep what they print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with MNIST's four idx files")
    parser.add_argument(
        "--run", type=Path, help=f"run directory of a training by recipe {' or '.join(LEARNINGS)}, with its epochs"
    )
    parser.add_argument("--only", nargs="+", metavar="WORD", help="parts whose command has one of these words")
    options = parser.parse_args()
    there = f"Measured on {datetime.date.today()} ({machine()})"
    if options.only:  # the other parts are as old as they are
        there = PAGE.read_text().partition(" by `python tools/measure.py")[0].rpartition("\n")[2]
    head = [
        "# What the bundled digits can do",
        "",
        f"{there} by `python tools/measure.py --data MNIST`,",
        "which wrote this page; each part by the command above it. How far the judge is to be trusted:",
        "`python -m sfumato.evaluation.train_judge --check --data MNIST`.",
        "",
        *trained(),
        "",
    ]
    parts = ["\n".join(head)]
    kept = {part.partition("\n")[0]: f"## {part}" for part in f"\n{PAGE.read_text()}".split("\n## ")[1:]}
    sections: list[tuple[str, str, Callable[[], str]]] = [
        *((title, command, partial(measured, title, command, options.data)) for title, command in SECTIONS),
        (*SEARCH, searched),
    ]
    if options.run:
        recipe = json.loads((options.run / "recipe.json").read_text())["name"]
        asked = LEARNINGS[recipe]
        sections.append((asked.title, asked.command, partial(learning, recipe, options.run, options.data)))
    made = {}
    for title, command, make in sections:
        if not options.only or set(options.only) & set(re.findall(r"\w[\w-]*", command)):
            made[title] = make()
    titles = [title for title, _ in (*SECTIONS, SEARCH)] + [asked.title for asked in LEARNINGS.values()]
    parts += [(kept | made)[title].rstrip() + "\n" for title in titles if title in made or title in kept]
    PAGE.write_text("\n".join(parts))


if __name__ == "__main__":
    main()
