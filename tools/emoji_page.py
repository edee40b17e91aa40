"""Measure the bundled model of words, make its pictures, and write both into docs/emoji.md:

    python tools/emoji_page.py --data FOLDER --photos FOLDER [--model emoji] [--only sheet anagrams …]

FOLDER of --data is that of its training, made by tools/emoji.py; that of --photos has the pictures to edit. Each part
of the page between `<!-- measured: NAME -->` and `<!-- end -->` is replaced.
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
import time
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from parts import put
from PIL import Image, ImageDraw
from torch import Tensor

import sfumato as sf
from sfumato.app.defaults import COURSE_STEPS, completed, small_level
from sfumato.app.job import Stage
from sfumato.app.jobs import AnyJob, Edit, Generate, Inpaint, Upscale
from sfumato.app.output import save_image, sheet
from sfumato.app.pictures import Picture, fit_mask, read_picture
from sfumato.app.run import run
from sfumato.backends.model import Model
from sfumato.core.ramps import read_weight, spell_weight
from sfumato.core.views import parse_view
from sfumato.evaluation.matcher import load_matcher
from sfumato.evaluation.metrics import psnr, ssim
from sfumato.evaluation.samples import markdown_table
from sfumato.training.captions import caption
from sfumato.training.datasets.captioned import CaptionedData, load_captioned

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "emoji.md"
IMAGES = ROOT / "docs" / "images" / "emoji"
PROMPTS = ROOT / "tools" / "emoji_prompts.toml"
VIEWS = ("flip", "rotate:180", "rotate:90", "negate")
STARTS = (1, 3, 5, 7, 10, 20)
EDITS = {
    "sketch_house_tree.png": "an oil painting of a house",
    "sketch_smile.png": "a grinning face",
    "sketch_bird.png": "a parrot",
    "rocket.jpg": "a rocket ship",
    "flower.jpg": "a sunflower",
    "coffee.jpg": "a 3D render of a hot beverage",
}
FACE = ("astronaut.jpg", (0.32, 0.08, 0.58, 0.40), ("a panda", "a robot", "a lion"))
"""A photo, the box of its face (left, top, right, bottom as parts of the sides), and what is to be there."""
SHEET = 16


@dataclass(frozen=True)
class Bench:
    """What everything is made with."""

    name: str
    data: Path
    photos: Path

    @cached_property
    def model(self) -> Model:
        """The model, in the arithmetic that is fast on a processor."""
        return sf.load(self.name, dtype="bfloat16")

    def load(self, name: str, dtype: str = "bfloat16") -> Model:
        """The models of jobs."""
        assert name in (self.name, self.model.defaults.larger)
        assert dtype == "bfloat16"
        return self.model if name == self.name else self.later

    @cached_property
    def later(self) -> Model:
        """What makes its pictures larger."""
        return sf.load(self.model.defaults.larger or "", dtype="bfloat16")

    def make(self, jobs: Sequence[AnyJob]) -> Float[Tensor, "n c h w"]:
        """The pictures of jobs."""
        return torch.stack([result.picture for result in run(jobs, self.load)])

    def job(self, kind: type[Any], *, steps: int | None = None, **given: Any) -> Any:
        """A job with the model's defaults."""
        return kind(**completed({"model": self.name, **given}, self.model, steps=steps))

    @cached_property
    def seen(self) -> CaptionedData:
        """What it was trained on."""
        return load_captioned(self.data, self.model.shape[-1])[0]

    def evaluated(self, words: str) -> tuple[str, dict[str, Any]]:
        """What `sfumato evaluate` says of the model: as text for the page, and as data."""
        line = f"sfumato evaluate {self.name} {words} --dtype bfloat16"
        arguments = shlex.split(line.replace("DATA", str(self.data)))[1:]
        done = subprocess.run(
            [sys.executable, "-m", "sfumato", *arguments, "--json"], capture_output=True, text=True, check=True
        )
        return f"`{line}`", json.loads(done.stdout)


def drawn(bench: Bench) -> str:
    """64 prompts, seed 0, and a word on each."""
    asked = tomllib.loads(PROMPTS.read_text(encoding="utf-8"))
    looked = bool(asked["looked_at"]) and (bench.model.sha256 or "").startswith(asked["looked_at"])
    rows = asked["prompts"]
    made = bench.make([bench.job(Generate, prompt=row["text"]) for row in rows])
    parts = []
    for first in range(0, len(rows), SHEET):
        part, name = rows[first : first + SHEET], f"sheet-{first // SHEET}.png"
        save_image(sheet(made[first : first + SHEET], columns=8, zoom=2), IMAGES / name)
        said = [
            (
                str(first + k + 1),
                row["text"],
                row["seen"] if looked else "not looked at yet",
                unknown(bench, row["text"]),
            )
            for k, row in enumerate(part)
        ]
        listed = "; ".join(row["text"] for row in part)
        parts.append(f"![{listed}](images/emoji/{name})")
        parts.append(markdown_table(("", "prompt", "what came", "words it does not know"), said))
    return "\n\n".join(parts)


def unknown(bench: Bench, prompt: str) -> str:
    """The words of a prompt that the model has never seen."""
    return ", ".join(bench.model.check(prompt))


def retrieval(bench: Bench) -> str:
    """Whether the judge finds what was asked for, trained and held out."""
    from sfumato.app.evaluate_text import format_text

    out = []
    for words in ("-n 300", "-n 1 --data DATA"):
        line, found = bench.evaluated(words)
        kept = ("held_out", "conditioning") if "--data" in words else ("retrieval",)
        out += [line, *format_text({key: found[key] for key in kept})]
    return "\n\n".join(out)


def choices(bench: Bench) -> str:
    """Judged samples over guidance and steps."""
    line, found = bench.evaluated("-n 150 --sweep guidance=1,2,4,7,2..1,4..1,6..1,9..1 --sweep steps=5,10,15,25,40")
    out = [line]
    for sweep in found["sweeps"]:
        setting = sweep["setting"]
        rows = [
            (spell_weight(read_weight(row[setting])), *(f"{row[key]:.1%}" for key in ("top1", "top5")))
            for row in sweep["rows"]
        ]
        out.append(markdown_table((setting, "top-1", "top-5"), rows))
    return "\n\n".join(out)


def speed(bench: Bench) -> str:
    """Seconds for one picture and for sixteen."""
    prompts = [caption(name) for name in ("rocket", "lion", "castle", "duck")]
    jobs = [bench.job(Generate, prompt=prompts[k % 4], seed=k) for k in range(16)]
    bench.make(jobs[:1])
    rows = []
    for count in (1, 16):
        seconds = []
        for _ in range(5):
            began = time.perf_counter()
            bench.make(jobs[:count])
            seconds.append(time.perf_counter() - began)
        middle = sorted(seconds)[2]
        rows.append((str(count), f"{middle:.2f} s", f"{middle / count:.2f} s"))
    how = bench.model.defaults
    table = markdown_table(("pictures at once", "seconds", "a picture"), rows)
    return f"{table}\n\nMedians of five, {how.steps} steps, γ = {spell_weight(how.guidance)}, {machine()}."


def anagrams(bench: Bench) -> str:
    """Twenty pairs under four views, the best of sixteen seeds; and the five best of each view as pictures."""
    from sfumato.app.evaluate_text import format_text

    views = " ".join(f"--view {view}" for view in VIEWS)
    line, found = bench.evaluated(f"-n 1 --anagrams --pairs 20 --seeds 16 {views}")
    out, steps = [line], found["settings"]["steps"]
    for view, table in found["anagrams"].items():
        best = sorted(table["pairs"], key=lambda pair: -pair["best_weakest"])[:5]
        trees = [[sf.guided(caption(w), scale=bench.model.defaults.guidance) for w in pair["wanted"]] for pair in best]
        through = [sf.view("identity"), sf.view(view)]
        made = torch.cat(
            [
                sf.sample(bench.model, sf.anagram(tree, through), seeds=[p["best_seed"]], steps=steps)
                for tree, p in zip(trees, best, strict=True)
            ]
        )
        name = f"anagrams-{re.sub(r'[^a-z0-9]+', '-', view)}.png"
        turned = parse_view(view)(made * 2 - 1) / 2 + 0.5
        save_image(sheet(torch.cat([made, turned.clamp(0, 1)]), columns=5, zoom=2), IMAGES / name)
        told = "; ".join(f"{a} / {b} ({p['best_weakest']:.2f})" for p in best for a, b in [p["wanted"]])
        out += [
            *format_text({"anagrams": {view: table}}),
            f"![The best: {told}](images/emoji/{name})",
            f"The five best, upright above, through the view below, and how sure the judge is of the weaker: {told}.",
        ]
    return "\n\n".join(out)


def hybrids(bench: Bench) -> str:
    """Twenty pairs from afar and from near."""
    from sfumato.app.evaluate_text import format_text

    line, found = bench.evaluated("-n 1 --hybrids --pairs 20 --seeds 16")
    table = found["hybrids"]
    best = sorted(table["pairs"], key=lambda pair: -pair["best_weakest"])[:5]
    scale, sigma = bench.model.defaults.guidance, table["sigma"]
    made = torch.cat(
        [
            sf.sample(
                bench.model,
                sf.hybrid(*(sf.guided(caption(w), scale=scale) for w in pair["wanted"]), sigma=sigma),
                seeds=[pair["best_seed"]],
                steps=found["settings"]["steps"],
            )
            for pair in best
        ]
    )
    small = torch.nn.functional.avg_pool2d(made, 4)
    far = torch.full_like(made, 1.0)
    far[..., 24:40, 24:40] = small
    save_image(sheet(torch.cat([made, far]), columns=5, zoom=2), IMAGES / "hybrids.png")
    told = "; ".join(f"{b} near, {a} far ({p['best_weakest']:.2f})" for p in best for a, b in [p["wanted"]])
    return "\n\n".join(
        [
            line,
            *format_text({"hybrids": table}),
            f"![Near and far: {told}](images/emoji/hybrids.png)",
            f"The five best, near above, a quarter as large below: {told}.",
        ]
    )


def edits(bench: Bench) -> str:
    """Photos and sketches from every start, with a prompt."""
    out, shape = [], bench.model.shape
    for file, prompt in EDITS.items():
        image = read_picture(bench.photos / file, shape)
        jobs = [bench.job(Edit, image=image, prompt=prompt, begin=start, steps=COURSE_STEPS) for start in STARTS]
        made = torch.cat([bench.make(jobs), image.tensor()[None]])
        name = f"edit-{Path(file).stem.replace('_', '-')}.png"
        save_image(sheet(made, columns=len(STARTS) + 1, zoom=2), IMAGES / name)
        starts, command = ", ".join(map(str, STARTS)), f"sfumato edit {file} --prompt {shlex.quote(prompt)}"
        out.append(f"![{file}, towards “{prompt}”, from starts {starts}, and as it was](images/emoji/{name})")
        out.append(f"`{command}`: starts {starts} of {COURSE_STEPS}, and {file}.")
    return "\n\n".join(out)


def inpainting(bench: Bench) -> str:
    """A masked face, made anew."""
    file, box, prompts = FACE
    shape = bench.model.shape
    image = read_picture(bench.photos / file, shape)
    side = shape[-1]
    mask = Image.new("L", (side, side))
    left, top, right, bottom = (round(part * side) for part in box)
    ImageDraw.Draw(mask).ellipse((left, top, right, bottom), fill=255)
    given = fit_mask(mask, "face", shape)
    jobs = [bench.job(Inpaint, image=image, mask=given, prompt=p, seed=k) for p in prompts for k in range(2)]
    made = bench.make(jobs)
    whole, hole = image.tensor(), given.tensor()
    outside = (hole == 0).expand_as(whole)
    grey = torch.cat([whole[None], made]).mul(255).round()  # as a PNG has them
    changed = int((grey[1:] != grey[0])[:, outside].sum())
    save_image(sheet(torch.cat([whole[None], made]), columns=len(made) + 1, zoom=2), IMAGES / "inpainting.png")
    asked = ", ".join(f"“{prompt}”" for prompt in prompts)
    return (
        f"![{file}, and its face made anew: {asked}](images/emoji/inpainting.png)\n\n"
        f"{file} and its face made anew, two seeds each: {asked}. In the PNGs {changed} "
        f"of {outside.sum() * len(made):,} values outside the mask changed."
    )


def nearest(bench: Bench) -> str:
    """Fifty samples beside the training picture that is nearest: by the judge's vectors, and by their pixels."""
    judge, seen = load_matcher(), bench.seen
    names = list(dict.fromkeys(record.names[0] for record in seen.records))
    chosen = [names[k * len(names) // 50] for k in range(50)]
    made = bench.make([bench.job(Generate, prompt=caption(name), seed=1000 + k) for k, name in enumerate(chosen)])
    known = seen.plain(torch.arange(len(seen)), torch.device("cpu")) / 2 + 0.5
    held, _ = load_captioned(bench.data, bench.model.shape[-1], "test")
    apart = held.plain(torch.arange(len(held)), torch.device("cpu")) / 2 + 0.5
    vectors = judge.picture_vectors(known)

    def closest(x: Float[Tensor, "n c h w"]) -> tuple[Tensor, Tensor]:
        """Of each the nearest training picture by the judge, and the root mean square difference to the nearest one."""
        by_judge = (judge.picture_vectors(x) @ vectors.T).argmax(1)
        pixels = torch.cdist(x.flatten(1), known.flatten(1)).min(1).values / x[0].numel() ** 0.5
        return by_judge, pixels

    place, distance = closest(made)
    _, real = closest(apart)
    pairs = torch.stack([made, known[place]], 1).flatten(0, 1)
    save_image(sheet(pairs, columns=20, zoom=1), IMAGES / "nearest.png")
    quantiles = torch.tensor([0.1, 0.5, 0.9])
    rows = [
        (what, *(f"{value:.3f}" for value in torch.quantile(found, quantiles).tolist()))
        for what, found in (("50 samples", distance), (f"{len(real)} pictures that were held out", real))
    ]
    table = markdown_table(("distance to the nearest training picture", "10 %", "median", "90 %"), rows)
    return (
        "![Samples, each with the training picture beside it that the judge finds most alike](images/emoji/nearest.png)"
        "\n\nFifty samples, each with the training picture to its right that the judge finds most alike. Root mean "
        f"square differences of pixels in [0, 1] to the nearest of {len(seen)} training pictures on white:\n\n{table}"
    )


def larger(bench: Bench) -> str:
    """Held-out pictures made small and larger again, by interpolation and by the later stage; samples made larger."""
    later, how = bench.later, bench.later.defaults
    side = later.shape[-1]
    held, _ = load_captioned(bench.data, side, "test", fine=1)
    real = held.plain(torch.arange(len(held)), torch.device("cpu")) / 2 + 0.5
    small = torch.nn.functional.adaptive_avg_pool2d(real, bench.model.shape[-1])
    jobs = [
        Upscale(
            **completed(
                {
                    "model": later.name,
                    "image": Picture.of(x, "held-out.png"),
                    "prompt": caption(record.names[0], record.styles[0]),
                    "noise_level": small_level(later),
                },
                later,
            )
        )
        for x, record in zip(small, held.records, strict=True)
    ]
    by_us = bench.make(jobs)
    ways = {
        kind: torch.nn.functional.interpolate(small, size=(side, side), mode=kind).clamp(0, 1)
        for kind in ("bilinear", "bicubic")
    } | {f"`{later.name}`, {how.steps} steps": by_us}

    def fine(x: Float[Tensor, "n c h w"]) -> Float[Tensor, ""]:
        """The energy of what pictures half as large cannot hold."""
        half = torch.nn.functional.adaptive_avg_pool2d(x, bench.model.shape[-1])
        return (x - half.repeat_interleave(2, -1).repeat_interleave(2, -2)).square().mean()

    rows = [
        (way, f"{float(psnr(x, real).mean()):.2f}", f"{float(ssim(x, real).mean()):.3f}", f"{fine(x) / fine(real):.0%}")
        for way, x in ways.items()
    ]
    shown = [k * len(real) // 8 for k in range(8)]
    near = torch.nn.functional.interpolate(small, size=(side, side), mode="nearest")
    pictures = torch.cat([near[shown], ways["bilinear"][shown], by_us[shown], real[shown]])
    save_image(sheet(pictures, columns=len(shown), zoom=1), IMAGES / "larger.png")
    asked = tomllib.loads(PROMPTS.read_text(encoding="utf-8"))["larger"]
    made = [bench.job(Generate, prompt=prompt, larger=[Stage(model=later.name).resolved(later)]) for prompt in asked]
    save_image(sheet(bench.make(made), columns=len(asked), zoom=1), IMAGES / "larger-samples.png")
    table = markdown_table(("way", "PSNR in dB", "SSIM", "fine detail"), rows)
    listed = "; ".join(asked)
    return (
        f"{len(real)} held-out pictures of {side} pixels, made half as large by means over 2×2 pixels and larger "
        "again. Fine detail: the energy of what the smaller picture cannot hold, against that of the pictures "
        f"themselves.\n\n{table}"
        "\n\n![Small, bilinear, made larger, and the picture itself](images/emoji/larger.png)\n\n"
        f"From above: small, bilinear, by `{later.name}`, the picture itself.\n\n"
        f"![{listed}](images/emoji/larger-samples.png)\n\n"
        f"`sfumato generate PROMPT --upscale {side}`, seed 0: {listed}."
    )


PARTS: dict[str, Callable[[Bench], str]] = {
    "sheet": drawn,
    "retrieval": retrieval,
    "choices": choices,
    "speed": speed,
    "anagrams": anagrams,
    "hybrids": hybrids,
    "edits": edits,
    "inpainting": inpainting,
    "nearest": nearest,
    "larger": larger,
}


def machine() -> str:
    """What it was measured on."""
    return f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}"


def main() -> None:
    """Make the parts that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the training's pictures")
    parser.add_argument("--photos", type=Path, required=True, help="folder of the photos and sketches")
    parser.add_argument("--model", default="emoji")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    given = parser.parse_args()
    bench = Bench(given.model, given.data, given.photos)
    IMAGES.mkdir(parents=True, exist_ok=True)
    for name in given.only:
        began = time.perf_counter()
        found = PARTS[name](bench)
        source = (
            f"(`python tools/emoji_page.py --data FOLDER --photos FOLDER --only {name}`, {datetime.date.today()}, "
            f"model `{(bench.model.sha256 or '')[:10]}`, {machine()}.)"
        )
        put(PAGE, name, f"{found}\n\n{source}")
        print(f"{name}: {time.perf_counter() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
