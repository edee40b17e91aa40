"""Where the time of a row goes:  python -m benchmarks.profile ROW [--top N]

What ours spends in each operation of torch, of one call after some to warm up; how many floating-point operations it
does, and how many the plain way; and how near its rate comes to the fastest convolution of the machine.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count

from benchmarks.machine import peak
from benchmarks.page import add_option, emit
from benchmarks.paired import timed
from benchmarks.rows import ROWS
from sfumato.app.heap import keep_freed_memory
from sfumato.evaluation.samples import markdown_table

Shape = tuple[int, ...]


def _convolution(x: Shape, weight: Shape, *_: Any, out_shape: Shape) -> int:
    return int(conv_flop_count(list(x), list(weight), list(out_shape)))


def _linear(x: Shape, *_: Any, out_shape: Shape) -> int:
    return 2 * math.prod(out_shape) * x[-1]


LAID_OUT = {
    torch.ops.mkldnn._convolution_pointwise: _convolution,
    torch.ops.mkldnn._linear_pointwise: _linear,
}
"""The operations of `sfumato.models.onednn`, which torch does not count."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Profile a row and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("row", choices=ROWS)
    parser.add_argument("--top", type=int, default=12, help="operations to show")
    add_option(parser, "profile of ROW")
    given = parser.parse_args(arguments)
    keep_freed_memory()  # as the program does
    case = ROWS[given.row]()
    case.ours()
    seconds = timed(case.ours)
    with FlopCounterMode(display=False, custom_mapping=LAID_OUT) as counter:
        case.ours()
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        case.ours()
    events = sorted(seen.key_averages(), key=lambda event: -event.self_cpu_time_total)
    total = sum(event.self_cpu_time_total for event in events)
    shown = events[: given.top]
    rows = [(event.key, f"{event.self_cpu_time_total / total:.1%}", str(event.count)) for event in shown]
    done, most = counter.get_total_flops() / 1e9, peak(torch.bfloat16) / 1e9
    told = f"{case.name}: {seconds:.3f} s a call of {case.count:g} {case.unit}, {done:.1f} GFLOP"
    if case.flops:
        told += f" where the plain way does {case.flops * case.count / 1e9:.1f}"
    told += f": {done / seconds:.0f} GFLOP/s of {most:.0f} in bfloat16."
    table = markdown_table(("operation", "of the time", "calls"), rows)
    emit(given.page, f"profile of {given.row}", f"benchmarks.profile {given.row}", f"{told}\n\n{table}")


if __name__ == "__main__":
    main()
