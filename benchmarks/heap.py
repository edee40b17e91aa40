"""What it gains to keep freed memory: our side of some rows, with the allocator as it comes and told to keep.

python -m benchmarks.heap [ROW…] [--rounds N] [--page FILE]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace

from benchmarks.__main__ import number
from benchmarks.apart import in_process
from benchmarks.page import add_option, emit
from benchmarks.paired import compare
from benchmarks.rows import ROWS
from sfumato.app.heap import keep_freed_memory

MEANT = ("train-class", "train-denoiser", "step")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the rows asked for and print or write the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.heap", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", default=MEANT, help=f"{', '.join(MEANT)} by default")
    parser.add_argument("--rounds", type=int, default=5, help="calls of each side")
    add_option(parser, "heap")
    given = parser.parse_args(arguments)
    if unknown := set(given.rows) - set(ROWS):
        parser.error(f"unknown row {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}")
    lines = ["| what | as it comes | kept | times faster (quartiles) |", "|---|---|---|---|"]
    for name in given.rows:
        with in_process(name, "ours") as plain, in_process(name, "ours", keep_freed_memory) as ours:
            outcome = compare(replace(plain, ours=ours.ours), given.rounds)
        case, (before, after) = outcome.case, outcome.rates
        lines.append(
            f"| {case.name} | {number(before)} {case.unit}/s | {number(after)} {case.unit}/s "
            f"| **{outcome.ratio:.2f}** ({outcome.low:.2f}–{outcome.high:.2f}) |"
        )
    rows = "" if given.rows == MEANT else "".join(f" {name}" for name in given.rows)
    emit(given.page, "heap", f"benchmarks.heap{rows} --rounds {given.rounds}", "\n".join(lines))


if __name__ == "__main__":
    main()
