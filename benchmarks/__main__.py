"""Make the tables:  python -m benchmarks [ROW…] [--rounds N] [--page FILE]"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from collections.abc import Sequence

import torch

from benchmarks.apart import apart
from benchmarks.machine import peak
from benchmarks.page import add_option, emit
from benchmarks.paired import Outcome, compare, timed
from benchmarks.rows import ROWS, starts

HEAD = (
    "| what | plain way | sfumato | times faster (quartiles) | of the peak |",
    "|---|---|---|---|---|",
)


def row(outcome: Outcome, peaks: dict[str, float]) -> str:
    """A line of the table. The last column: operations that the plain way needs, done by ours, against the peak."""
    case, (plain, ours) = outcome.case, outcome.rates
    share = f"{case.flops * ours / peaks['bfloat16']:.0%}" if case.flops else ""
    name = f"{case.name}{f'; {case.note}' if case.note else ''}"
    return (
        f"| {name} | {number(plain)} {case.unit}/s | {number(ours)} {case.unit}/s "
        f"| **{outcome.ratio:.2f}** ({outcome.low:.2f}–{outcome.high:.2f}) | {share} |"
    )


def number(value: float) -> str:
    """Three digits."""
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def start_rows(rounds: int) -> list[str]:
    """A line for each command, with the median and the quickest of some starts."""
    lines = ["| command | median | quickest |", "|---|---|---|"]
    for name, call in starts().items():
        call()
        seconds = sorted(timed(call) for _ in range(rounds))
        lines.append(f"| {name} | {statistics.median(seconds):.2f} s | {seconds[0]:.2f} s |")
    return lines


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the rows asked for, all by default, and print or write the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join([*ROWS, 'start'])}; all by default")
    parser.add_argument("--rounds", type=int, default=5, help="calls of each side")
    add_option(parser, "processor")
    options = parser.parse_args(arguments)
    if unknown := set(options.rows) - {*ROWS, "start"}:
        parser.error(f"unknown row {', '.join(sorted(unknown))}; there are {', '.join([*ROWS, 'start'])}")
    if options.rounds < 3:
        parser.error("quartiles want at least 3 rounds")
    wanted = options.rows or [*ROWS, "start"]
    peaks = {str(dtype).removeprefix("torch."): peak(dtype) for dtype in (torch.float32, torch.bfloat16)}
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    lines = [
        "Fastest 3×3 convolution: "
        + ", ".join(f"{value / 1e9:.0f} GFLOP/s in {name}" for name, value in peaks.items())
        + f". Load of the machine when it began: {load:.1f}.",
        "",
        *HEAD,
    ]
    for name in wanted:
        if name in ROWS:
            with apart(name) as case:
                outcome = compare(case, options.rounds, lambda _: print(".", end="", file=sys.stderr, flush=True))
            lines.append(row(outcome, peaks))
            print(f" {lines[-1]}", file=sys.stderr)
    if "start" in wanted:
        lines += ["", *start_rows(options.rounds)]
    rows = "".join(f" {name}" for name in options.rows)
    emit(options.page, "processor", f"benchmarks{rows} --rounds {options.rounds}", "\n".join(lines))


if __name__ == "__main__":
    main()
