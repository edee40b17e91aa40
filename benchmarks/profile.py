"""Where the time of a row goes:  python -m benchmarks.profile ROW [--top N]

What ours spends in each operation of torch, of one call after one to warm up, and how near the call as a whole comes to
the fastest convolution of the machine. A large share of anything but convolutions is what is left to win.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.machine import peak
from benchmarks.page import add_option, emit
from benchmarks.paired import timed
from benchmarks.rows import ROWS
from sfumato.evaluation.samples import markdown_table


def main(arguments: Sequence[str] | None = None) -> None:
    """Profile a row and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("row", choices=ROWS)
    parser.add_argument("--top", type=int, default=12, help="operations to show")
    add_option(parser, "profile of ROW")
    given = parser.parse_args(arguments)
    case = ROWS[given.row]()
    case.ours()
    seconds = timed(case.ours)
    with profile(activities=[ProfilerActivity.CPU], with_flops=True) as seen:
        case.ours()
    events = sorted(seen.key_averages(), key=lambda event: -event.self_cpu_time_total)
    total = sum(event.self_cpu_time_total for event in events)
    rows = []
    for event in events[: given.top]:
        rows.append((event.key, f"{event.self_cpu_time_total / total:.1%}", str(event.count)))
    done, most = sum(event.flops for event in events) / seconds / 1e9, peak(torch.bfloat16) / 1e9
    told = f"{case.name}: {seconds:.3f} s a call, {done:.0f} GFLOP/s of {most:.0f} in bfloat16."
    table = markdown_table(("operation", "of the time", "calls"), rows)
    emit(given.page, f"profile of {given.row}", f"benchmarks.profile {given.row}", f"{told}\n\n{table}")


if __name__ == "__main__":
    main()
