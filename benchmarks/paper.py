"""Very many pictures, on paper:  python -m benchmarks.paper [--pictures 1e8] [--gpus 1000] [--page FILE]

What a picture costs in operations is counted, and what it takes on a disk is measured; how fast a GPU is, how often one
fails and what it costs are assumed, and the table says so. A rate that was measured on a GPU belongs in --use.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tools.memory import UNETS, forward, unet
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.page import add_option, emit
from benchmarks.scale import command, together
from sfumato.backends.registry import load
from sfumato.evaluation.samples import markdown_table
from sfumato.models.text_unet import TextUNet, TextUNetConfig

PEAK = 989e12
"""Dense bfloat16 operations a second of an H100 or H200 by its data sheet."""
IF_STEPS = 40
"""Of its first stages by default (`hub_models.toml`)."""
BETWEEN_FAILURES = 54 * 24 * 16384 / 419
"""GPU-hours: 419 unexpected interruptions in 54 days of 16,384 GPUs (Llama 3, arXiv:2407.21783, section 3.3.4)."""


@dataclass(frozen=True)
class Kind:
    """Pictures of a model."""

    name: str
    forward: float
    """Operations of one row."""
    steps: int
    size: int
    """Bytes of a file."""

    @property
    def operations(self) -> float:
        """Of one guided picture."""
        return 2 * self.steps * self.forward


def operations(network: torch.nn.Module, *inputs: object) -> float:
    """Of a forward; on `meta` nothing is computed."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(*inputs)
    return float(counter.get_total_flops())


def kinds() -> list[Kind]:
    """The bundled digits, a text network as the recipe `text` makes it, and the first stages of DeepFloyd IF."""
    digits = load("digits", "cpu")
    with FlopCounterMode(display=False) as counter:
        digits(torch.zeros(1, 1, 28, 28), ["3"], digits.schedule.level(1))
    small, job = file_sizes()
    # A picture of 64 pixels that cannot be compressed, and the job beside it.
    colour = 3 * 64 * 64 + job
    found = [Kind("digits, 20 steps", float(counter.get_total_flops()), 20, small)]
    text = TextUNet(TextUNetConfig(tuple(f"word{k}" for k in range(2000)))).eval()
    words = text.encode(text.read(["word1 word2"]))
    each = operations(text, torch.zeros(1, 3, 64, 64), torch.zeros(1, 1), words)
    found.append(Kind("text network, 64 px, 25 steps", each, 25, colour))
    for name, channels in UNETS.items():
        with torch.device("meta"):
            network = unet(channels)
            with FlopCounterMode(display=False) as counter:
                forward(network, 1)
        found.append(Kind(f"{name}, 64 px, {IF_STEPS} steps", float(counter.get_total_flops()), IF_STEPS, colour))
    return found


def file_sizes() -> tuple[int, int]:
    """Bytes of a digit's file, the mean of fifty, and of what of it is the job."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        together([[*command(), "generate", *"0123456789", "-n", "5", "--out", str(out), "--quiet"]], 2)
        files = list(out.glob("generate-*.png"))
        sizes = [file.stat().st_size for file in files]
        jobs = [len(text) for text in map(_job, files)]
    return sum(sizes) // len(sizes), sum(jobs) // len(jobs)


def _job(file: Path) -> str:
    from PIL import Image

    with Image.open(file) as picture:
        return json.dumps({key: str(value) for key, value in picture.info.items()})


def row(kind: Kind, pictures: float, gpus: int, use: float, price: float) -> tuple[str, ...]:
    """A line of the table."""
    rate = use * PEAK / kind.operations
    hours = pictures / rate / 3600
    return (
        kind.name,
        f"{digits(kind.operations / 1e9)} GFLOP",
        digits(rate * gpus),
        digits(hours),
        duration(hours / gpus),
        digits(hours / BETWEEN_FAILURES),
        f"{digits(hours * price)} $",
        f"{digits(pictures * kind.size / 1e12)} TB",
    )


def digits(value: float) -> str:
    """Two digits that count."""
    rounded = float(f"{value:.1e}")
    return f"{rounded:,.0f}" if rounded >= 10 else f"{rounded:.2g}"


def duration(hours: float) -> str:
    """As a person would say it."""
    for unit, size in (("s", 1 / 3600), ("min", 1 / 60), ("h", 1)):
        if hours < 60 * size or unit == "h":
            return f"{digits(hours / size)} {unit}"
    raise AssertionError


def main(arguments: Sequence[str] | None = None) -> None:
    """Print or write the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.paper", description=__doc__)
    parser.add_argument("--pictures", type=float, default=1e8)
    parser.add_argument("--gpus", type=int, default=1000)
    parser.add_argument("--use", type=float, default=0.3, help="of a GPU's peak, in practice")
    parser.add_argument("--price", type=float, default=2.5, help="dollars for an hour of a GPU")
    add_option(parser, "paper")
    given = parser.parse_args(arguments)
    rows = [row(kind, given.pictures, given.gpus, given.use, given.price) for kind in kinds()]
    head = ("", "operations each", "files a second", "GPU-hours", "time", "failures", "cost", "bytes")
    told = (
        f"{given.pictures:,.0f} guided pictures on {given.gpus:,} GPUs. Counted: operations. Measured: the bytes of "
        "digits. For 64 pixels they are those of a picture that cannot be compressed. Assumed: that of the "
        f"{PEAK / 1e12:.0f} TFLOP/s of a GPU (bfloat16, data sheet) {given.use:.0%} are used, that an hour of it costs "
        f"{given.price:g} $, and that one fails every {digits(BETWEEN_FAILURES)} hours. "
        "A guided step counts as two forwards; text encoders are left out, for a prompt is read once for all pictures."
    )
    words = f"--pictures {given.pictures:g} --gpus {given.gpus} --use {given.use:g} --price {given.price:g}"
    emit(given.page, "paper", f"benchmarks.paper {words}", f"{markdown_table(head, rows)}\n\n{told}")


if __name__ == "__main__":
    main()
