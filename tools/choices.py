"""Measure what docs/choices.md says of samplers, guidance, starts and hybrids, and write it there:

    python tools/choices.py --data FOLDER_OF_MNIST [-n 1000] [--only samplers guidance illusions edits hybrids]
    python tools/choices.py --data FOLDER_OF_MNIST [-n 1000] --only flow --model digits/flow

Each part of the page between `<!-- measured: NAME -->` and `<!-- end -->` is replaced, and its chart in docs/images.
With 100 pictures of each kind it takes some ten minutes of one idle core, with 1000 ten times as long.
"""

from __future__ import annotations

import argparse
import datetime
import platform
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from jaxtyping import Float, Int
from parts import put
from torch import Tensor

import sfumato as sf
from sfumato.app.report.chart import Series, chart
from sfumato.backends.model import Model
from sfumato.core.estimates import Node, guided
from sfumato.core.loop import Canvas, FromImage, sample
from sfumato.core.loops import Loop
from sfumato.core.pixels import from_unit
from sfumato.core.ramps import spell_weight
from sfumato.core.samplers import SAMPLERS
from sfumato.core.schedules import Flow, strided
from sfumato.evaluation.illusions import anagram_table, hybrid_table, ordered_pairs
from sfumato.evaluation.judge import Judge, load_judge
from sfumato.evaluation.metrics import frechet_distance, gaussian_statistics, psnr
from sfumato.evaluation.samples import Sampling, markdown_table, sample_classes
from sfumato.training.data import ImageData
from sfumato.training.datasets import load_data

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "choices.md"
IMAGES = ROOT / "docs" / "images"
DIGITS = "digits"
"""What is measured where nothing else is named."""
STEPS = (5, 10, 20, 40)
SCALES = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0)
STARTS = (1, 3, 5, 7, 10, 15, 20, 25, 30)
READINGS = (2.0, 3.0, 5.0, 7.0)
"""Guidance of illusions."""
SIGMAS = (1.0, 1.5, 2.0, 3.0)
COURSE = 34
"""Levels that the starts of an edit count in."""
STYLE = """<style>
svg {
  font: 12px system-ui, sans-serif;
  --s0: #8a5a2b; --s1: #2a6f97; --s2: #5f5b54; --s3: #7a4988; --soft: #5d5952; --line: #d9d4c9;
}
@media (prefers-color-scheme: dark) {
  svg { --s0: #d9a679; --s1: #7fb7d9; --s2: #b5afa3; --s3: #c79ad4; --soft: #b5afa3; --line: #4a463f; }
}
text { fill: var(--soft); } .grid { stroke: var(--line); } .line { fill: none; stroke-width: 2.2; }
.s0 { stroke: var(--s0); } .s1 { stroke: var(--s1); } .s2 { stroke: var(--s2); } .s3 { stroke: var(--s3); }
text.key { stroke: none; }
text.s0, .dot.s0 { fill: var(--s0); } text.s1, .dot.s1 { fill: var(--s1); }
text.s2, .dot.s2 { fill: var(--s2); } text.s3, .dot.s3 { fill: var(--s3); }
</style>"""
"""Colours of a chart that is seen by itself; in the documentation it has the page's."""


@dataclass(frozen=True, eq=False)
class Bench:
    """What everything is measured on."""

    model: Model
    judge: Judge
    digits: ImageData
    n: int

    @property
    def how(self) -> Sampling:
        """The model's own way, in batches."""
        return Sampling(self.model.defaults.steps, self.model.defaults.guidance, batch=50)

    def samples(self, how: Sampling) -> tuple[Float[Tensor, "n c h w"], float, float]:
        """n digits, the classes in turn; the share that is read as asked, and their Fréchet distance to real ones."""
        pictures, names = sample_classes(self.model, self.model.classes, self.n, how)
        wanted = torch.tensor([self.judge.classes.index(name) for name in names])
        right = float((self.judge.classify(pictures) == wanted).double().mean())
        return pictures, right, self.distance(pictures)

    @cached_property
    def real(self) -> tuple[Int[Tensor, " n"], Int[Tensor, " m"]]:
        """The numbers of n test digits, as many of each class, and of the others."""
        each = [torch.nonzero(self.digits.labels == k).flatten() for k in range(len(self.digits.classes))]
        taken = torch.cat([numbers[: self.n // len(each)] for numbers in each])
        others = torch.ones(len(self.digits), dtype=torch.bool)
        others[taken] = False
        return taken, torch.nonzero(others).flatten()

    @cached_property
    def theirs(self) -> tuple[Float[Tensor, " f"], Float[Tensor, "f f"]]:
        """Mean and covariance of the others in the judge's features."""
        return gaussian_statistics(self.judge.features(self.digits.pixels(self.real[1])))

    def distance(self, pictures: Float[Tensor, "n c h w"]) -> float:
        """The Fréchet distance in the judge's features to test digits."""
        return frechet_distance(*gaussian_statistics(self.judge.features(pictures)), *self.theirs)

    @property
    def floor(self) -> float:
        """That of n other test digits."""
        return self.distance(self.digits.pixels(self.real[0]))


def samplers(bench: Bench) -> str:
    """Every sampler at several counts of steps."""
    return walked(bench, [name for name in SAMPLERS if name != "euler"], "samplers")


def flow(bench: Bench) -> str:
    """The same of a model of flow matching."""
    if not isinstance(bench.model.schedule, Flow):
        raise SystemExit(f"{bench.model.name} is no model of flow matching; take digits/flow")
    return walked(bench, ["euler", "heun"], "flow")


def walked(bench: Bench, names: Sequence[str], part: str) -> str:
    """Samplers at several counts of steps, as a table and a chart."""
    cells, series = [], []
    for colour, name in enumerate(names):
        found = [bench.samples(replace(bench.how, steps=steps, loop=Loop(name)))[1:] for steps in STEPS]
        cells.append((name, *(f"{right:.1%} ({distance:.2f})" for right, distance in found)))
        # Heun asks the model twice in every step but the last.
        asked = [2 * steps - 1 if name == "heun" else steps for steps in STEPS]
        points = tuple((float(k), distance) for k, (_, distance) in zip(asked, found, strict=True))
        series.append(Series(name, points, colour=colour))
        print(cells[-1], flush=True)
    draw(series, part, "evaluations of the network a picture", "Fréchet distance", log_x=True, log_y=True)
    table = markdown_table(("sampler", *(f"{steps} steps" for steps in STEPS)), cells)
    return (
        f"{table}\n\n"
        f"Share of {bench.n} samples that are read as asked for, γ = {spell_weight(bench.how.guidance)}, and in "
        "brackets their Fréchet distance to real digits in the judge's features; of "
        f"{bench.n} real ones it is {bench.floor:.2f}.\n\n"
        f"![Fréchet distance against evaluations of the network, a line for each sampler](images/choices-{part}.svg)"
    )


def guidance(bench: Bench) -> str:
    """More and more guidance."""
    rows, points = [], []
    for scale in SCALES:
        pictures, right, distance = bench.samples(replace(bench.how, guidance=scale))
        rows.append(
            (f"{scale:g}", f"{right:.1%}", f"{variety(pictures, len(bench.model.classes)):.3f}", f"{distance:.1f}")
        )
        points.append((scale, distance))
    draw([Series("", tuple(points))], "guidance", "guidance γ", "Fréchet distance")
    table = markdown_table(("γ", "read as asked", "variety", "Fréchet distance"), rows)
    return (
        f"{table}\n\n"
        f"{bench.n} samples each, {bench.how.steps} steps. Variety: standard deviation of a pixel over pictures "
        f"of one digit. Fréchet distance in the judge's features; of {bench.n} real digits it is {bench.floor:.1f}.\n\n"
        "![Fréchet distance against guidance](images/choices-guidance.svg)"
    )


def illusions(bench: Bench) -> str:
    """All ordered pairs of digits in one picture, the readings under more and more guidance."""
    pairs, seeds = ordered_pairs(bench.model.classes), range(max(1, bench.n // 100))
    rows = []
    for scale in READINGS:
        how = replace(bench.how, guidance=scale)
        turned = anagram_table(bench.model, pairs, bench.judge, how, seeds=seeds)
        sigma = bench.model.defaults.hybrid_sigma
        parted = hybrid_table(bench.model, pairs, bench.judge, how, sigma=sigma, seeds=seeds)
        rows.append((f"{scale:g}", *(f"{100 * table.both / table.count:.0f}%" for table in (turned, parted))))
        print(rows[-1], flush=True)
    table = markdown_table(("γ", "anagrams upside down", "hybrids"), rows)
    return (
        f"{table}\n\nThe share of which both readings are read as wanted: all 100 ordered pairs, "
        f"{len(pairs) * len(seeds)} pictures each, {bench.how.steps} steps."
    )


def edits(bench: Bench) -> str:
    """Test digits asked to become the next digit, and asked for nothing, from every start."""
    pictures = bench.digits.pixels(torch.arange(bench.n))
    own = bench.digits.labels[: bench.n]
    names = bench.model.classes
    asked = [names[(int(label) + 1) % len(names)] for label in own]
    wanted = torch.tensor([bench.judge.classes.index(name) for name in asked])
    rows, turned, kept = [], [], []
    for start in STARTS:
        free = edited(bench, pictures, [guided(None, scale=1)] * bench.n, start)
        led = edited(bench, pictures, [guided(name, scale=bench.how.guidance) for name in asked], start)
        same, new, still = (
            float((bench.judge.classify(x) == y).double().mean()) for x, y in ((free, own), (led, wanted), (led, own))
        )
        decibels = float(psnr(led, pictures).mean())
        t = strided(bench.model.schedule, COURSE)[start].t
        rows.append((f"{start}", f"{t:g}", f"{same:.0%}", f"{new:.0%}", f"{still:.0%}", f"{decibels:.1f} dB"))
        turned.append((float(start), new))
        kept.append((float(start), still))
    series = [Series("read as asked for", tuple(turned)), Series("read as it was", tuple(kept), colour=1)]
    draw(series, "edits", "start", "share of the pictures")
    head = (
        "start",
        "t",
        "unasked: as it was",
        "asked: as asked for",
        "asked: as it was",
        "asked: PSNR to the original",
    )
    return (
        f"{markdown_table(head, rows)}\n\n"
        f"{bench.n} test digits from every start of {COURSE} levels: with nothing asked for, and asked to become "
        f"the next digit at γ = {spell_weight(bench.how.guidance)}. Shares by what the judge reads.\n\n"
        "![Shares read as asked for and as it was, against the start](images/choices-edits.svg)"
    )


def edited(
    bench: Bench, pictures: Float[Tensor, "n c h w"], trees: Sequence[Node], start: int
) -> Float[Tensor, "n c h w"]:
    """Each picture from the start, with its own estimate and seed."""
    path = strided(bench.model.schedule, COURSE, last_step=False)
    begun = from_unit(pictures, bench.model)
    canvases = [
        Canvas(tree, k, FromImage(x, path[start])) for k, (tree, x) in enumerate(zip(trees, begun, strict=True))
    ]
    batches = [canvases[k : k + bench.how.batch] for k in range(0, len(canvases), bench.how.batch)]
    return bench.model.pictures(torch.cat([sample(bench.model, batch, path, row_limit=128) for batch in batches]))


def hybrids(bench: Bench) -> str:
    """All pairs of two digits, parted by several Gaussians."""
    names = bench.model.classes
    pairs = [(a, b) for a in names for b in names if a != b]
    how = replace(bench.how, guidance=bench.model.defaults.guidance_of(illusion=True))
    rows = []
    for sigma in SIGMAS:
        table = hybrid_table(bench.model, pairs, bench.judge, how, sigma=sigma, seeds=range(max(1, bench.n // 100)))
        far, near = table.each
        rows.append((f"{sigma:g}", *(f"{count / table.count:.0%}" for count in (far, near, table.both))))
    count = len(pairs) * max(1, bench.n // 100)
    shown = markdown_table(("σ in pixels", "from afar", "from near", "both"), rows)
    return (
        f"{shown}\n\n{count} hybrids of two different digits for each σ, γ = {spell_weight(how.guidance)}, read "
        "blurred by it and as they are."
    )


def variety(pictures: Float[Tensor, "n c h w"], classes: int) -> float:
    """The mean standard deviation of a pixel over the pictures of a class; the classes are in turn."""
    groups = [pictures[k::classes] for k in range(classes)]
    return sum(float(group.std(0, correction=0).mean()) for group in groups) / classes


def draw(series: Sequence[Series], name: str, x: str, y: str, *, log_x: bool = False, log_y: bool = False) -> None:
    """A chart as a file of its own, its lines named in it."""
    found = re.search(
        r'<svg viewBox="([^"]*)"[^>]*>(.*)</svg>', chart(series, x, y, y, log_x=log_x, log_y=log_y), re.DOTALL
    )
    assert found is not None
    named = [line for line in series if line.name]
    keys = "".join(
        f'<text class="key s{line.colour}" x="{58 + 140 * k}" y="-8">{line.name}</text>' for k, line in enumerate(named)
    )
    _, _, width, height = found[1].split()
    top = 24 if named else 0  # room for the names
    box = f"0 {-top} {width} {int(height) + top}"
    head = f'<svg class="small" xmlns="http://www.w3.org/2000/svg" viewBox="{box}">'
    (IMAGES / f"choices-{name}.svg").write_text(f"{head}\n{STYLE}\n{found[2]}{keys}</svg>\n", encoding="utf-8")


PARTS: dict[str, Callable[[Bench], str]] = {
    "samplers": samplers,
    "flow": flow,
    "guidance": guidance,
    "illusions": illusions,
    "edits": edits,
    "hybrids": hybrids,
}


def main() -> None:
    """Measure the parts and put them into the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="folder with MNIST's idx files")
    parser.add_argument("-n", type=int, default=100, help="pictures of each kind")
    parser.add_argument("--model", default=DIGITS, help="what is measured; for flow a model of that kind")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=[name for name in PARTS if name != "flow"])
    given = parser.parse_args()
    bench = Bench(sf.load(given.model, dtype="bfloat16"), load_judge(), load_data(given.data, "test"), given.n)
    for name in given.only:
        began = time.perf_counter()
        found = PARTS[name](bench)
        seconds = time.perf_counter() - began
        machine = f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}"
        model = "" if given.model == DIGITS else f" --model {given.model}"
        command = f"python tools/choices.py --data MNIST -n {given.n} --only {name}{model}"
        source = (
            f"(`{command}`, {datetime.date.today()}, model `{(bench.model.sha256 or '')[:10]}` in bfloat16, {machine}.)"
        )
        put(PAGE, name, f"{found}\n\n{source}")
        print(f"{name}: {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
