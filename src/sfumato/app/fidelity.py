"""What an edit keeps and what it gains, by where it began: the trade of SDEdit (Meng et al. 2022, section 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import torch

from sfumato.app.jobs import Edit
from sfumato.app.run import Result
from sfumato.app.search import candidates
from sfumato.errors import UsageError
from sfumato.evaluation.judges import judge_of
from sfumato.evaluation.metrics import psnr


@dataclass(frozen=True)
class Kept:
    """How edits from one start came out, means over their seeds."""

    start: int
    t: float
    """The time that the picture was noised to."""
    psnr: float
    """To the picture that was edited, in decibels: the higher, the more was kept."""
    wanted: float | None
    """How probable a judge finds the prompt: the higher, the more was changed as asked. None where none can read it."""

    def to_dict(self) -> dict[str, Any]:
        """Plain data, fit for JSON."""
        return {"start": self.start, "t": self.t, "psnr": self.psnr, "wanted": self.wanted}


def fidelity(results: Sequence[Result]) -> list[Kept]:
    """A row for each start of the edits among some results of their first stage, in the order of the starts."""
    edits: dict[int, list[Result]] = {}
    for result in results:
        if isinstance(result.job, Edit) and len(result.models) == 1:
            edits.setdefault(result.job.begin, []).append(result)
    return [_row(edits[start]) for start in sorted(edits)]


def table(rows: Sequence[Kept]) -> list[str]:
    """The rows as lines to print; none when there is but one start."""
    if len(rows) < 2:
        return []
    read = any(row.wanted is not None for row in rows)
    lines = ["start      t  kept (PSNR)" + ("  read as wanted" if read else "")]
    for row in rows:
        wanted = f"  {row.wanted:14.0%}" if row.wanted is not None else ""
        lines.append(f"{row.start:5d}  {row.t:5.4g}  {row.psnr:8.1f} dB{wanted}")
    return lines


def _row(results: Sequence[Result]) -> Kept:
    job = results[0].job
    assert isinstance(job, Edit)
    level = job.begin_level(results[0].model)
    before = torch.stack([job.image.tensor()] * len(results))
    after = torch.stack([result.picture for result in results])
    looks = job.looks()
    wanted = None
    if looks:
        try:
            judge = judge_of("auto", results[0].model.picture_shape, [look.prompt for look in looks])
            wanted = fmean(candidate.weakest for candidate in candidates(results, looks, judge))
        except UsageError:  # nobody can read it
            wanted = None
    assert level is not None
    return Kept(job.begin, level.t, float(psnr(after, before).mean()), wanted)
