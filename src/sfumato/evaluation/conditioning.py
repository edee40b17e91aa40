"""How much a model hears of what it is asked for, level by level: its guess with the right caption, with none, and with
that of another picture.

Where there is little noise a picture tells what it is, and no caption can add to that. Where there is nothing but noise
the caption is all there is: there, in the first steps, a text decides what a picture will be of.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sfumato.core.estimates import Condition, Denoiser
from sfumato.core.levels import Level, x0_from_eps
from sfumato.core.noise import stream
from sfumato.core.pixels import from_unit, to_unit
from sfumato.core.schedules import Discrete, Schedule
from sfumato.errors import UsageError
from sfumato.evaluation.samples import markdown_table

RATIOS = (0.02, 0.04, 0.08, 0.16, 0.32)
"""alpha / sigma of the levels that are measured."""


@dataclass(frozen=True)
class ConditioningRow:
    """One noise level: mean squared errors of x̂₀, pixels in [0, 1]."""

    level: Level
    own: float
    """With the picture's own caption."""
    none: float
    """With nothing asked for."""
    other: float
    """With the caption of another picture."""

    @property
    def heard(self) -> float:
        """How much smaller the error is with the own caption than with another one, as a share; 0 of a deaf model."""
        return 1 - self.own / self.other

    def to_dict(self) -> dict[str, Any]:
        """Plain data, fit for JSON."""
        return {**asdict(self), "heard": self.heard}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ConditioningRow:
        """The inverse of `to_dict`."""
        return cls(Level(**data["level"]), data["own"], data["none"], data["other"])


def conditioning_table(
    model: Denoiser,
    clean: Float[Tensor, "b c h w"],
    captions: Sequence[str],
    ratios: Sequence[float] = RATIOS,
    *,
    seed: int = 0,
    row_limit: int = 64,
) -> list[ConditioningRow]:
    """The errors of one-step estimates of noised pictures (A1.3) at levels of these alpha / sigma, the noisiest first.

    Args:
        model: One that can be asked for nothing.
        clean: Pictures in [0, 1] of the model's shape.
        captions: What each shows. The other caption of a picture is that of the one half the list away, so neighbours
            may be alike.
        ratios: Of the levels; the nearest ones of the model's schedule are taken.
        seed: Picture k is noised with seed + k, the same at every level.
        row_limit: Rows that go through the model at once.

    Raises:
        UsageError: fewer than two pictures, not a caption for each, or pictures of another shape.
    """
    count = len(clean)
    if count < 2 or len(captions) != count:
        raise UsageError(
            f"captions are compared on at least two pictures, one for each; not {len(captions)} on {count}"
        )
    if tuple(clean.shape[1:]) != model.shape:
        raise UsageError(f"the model makes pictures of {model.shape}, not of {tuple(clean.shape[1:])}")
    x0 = from_unit(clean, model)
    noise = torch.stack([torch.randn(model.shape, generator=stream(seed + k, "caption")) for k in range(count)])
    half = count // 2
    asked: dict[str, list[Condition]] = {
        "own": [*captions],
        "none": [None] * count,
        "other": [*captions[half:], *captions[:half]],
    }
    rows = []
    for level in sorted({_nearest(model.schedule, ratio) for ratio in ratios}, key=lambda at: at.snr):
        x = level.alpha * x0 + level.sigma * noise.to(x0)
        errors = {}
        for name, conditions in asked.items():
            total = 0.0
            for k in range(0, count, row_limit):
                part = slice(k, k + row_limit)
                eps = model(x[part], conditions[part], level).eps
                guess = to_unit(x0_from_eps(x[part], eps, level), model)
                total += float((guess - clean[part].to(guess)).double().square().sum())
            errors[name] = total / clean.numel()
        rows.append(ConditioningRow(level, **errors))
    return rows


def conditioning_markdown(rows: Sequence[ConditioningRow]) -> str:
    """The rows as a Markdown table."""
    head = ("t", "alpha / sigma", "own caption", "nothing", "another's", "heard")
    body = [
        (
            f"{row.level.t:g}",
            f"{row.level.alpha / row.level.sigma:.3f}",
            *(f"{error:.4f}" for error in (row.own, row.none, row.other)),
            f"{row.heard:.1%}",
        )
        for row in rows
    ]
    return markdown_table(head, body)


def _nearest(schedule: Schedule, ratio: float) -> Level:
    """The level of a schedule whose alpha / sigma is nearest, by its logarithm."""
    times = range(len(schedule)) if isinstance(schedule, Discrete) else (k / 1000 for k in range(1, 1000))
    levels = [level for t in times if (level := schedule.level(t)).sigma > 0 and level.alpha > 0]
    return min(levels, key=lambda level: abs(math.log(level.alpha / level.sigma / ratio)))
