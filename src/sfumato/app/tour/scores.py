"""How well each way of denoising does on test digits: what the sections A1.1 to A1.4 say in numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sfumato.app.jobs import AnyJob, Denoise
from sfumato.app.pictures import Picture
from sfumato.app.tour.workshop import Workshop
from sfumato.evaluation.denoising import one_step_table
from sfumato.evaluation.samples import Sampling

Method = Literal["noised", "blur", "one-step", "iterative"]
METHODS: tuple[Method, ...] = ("noised", "blur", "one-step", "iterative")


@dataclass(frozen=True)
class Score:
    """How close a method comes to the clean digits, on average, and how many of them the judge still reads."""

    psnr: float
    ssim: float
    read: int
    blur: float | None = None
    """Of the blur: the width in pixels that is best at this level, which is the one measured."""


Scores = dict[tuple[Method, int], Score]


def scores_of(w: Workshop, times: list[int]) -> Scores:
    """Every method at every time: closeness as `evaluation` measures it, and readings of the same pictures."""
    clean, labels = w.clean(w.size.clean)
    images = [Picture.of(x, f"test-{k}.png") for k, x in enumerate(clean)]
    shared = w.shared
    jobs: list[AnyJob] = [
        Denoise(image=image, t=t, method=m, **{**shared, "seed": w.seed + k})
        for m in METHODS
        for t in times
        for k, image in enumerate(images)
    ]
    made = w.make(jobs).reshape(len(METHODS), len(times), *clean.shape)
    measured = one_step_table(w.model, clean, times, Sampling(w.size.course_steps), seed=w.seed)
    out = {}
    for j, (t, row) in enumerate(zip(times, measured, strict=True)):
        assert row.iterative is not None
        for i, (m, quality) in enumerate(zip(METHODS, (row.noisy, row.blur, row.one_step, row.iterative), strict=True)):
            read = w.judged(made[i, j], labels).correct
            out[m, t] = Score(quality.psnr, quality.ssim, read, row.blur_sigma if m == "blur" else None)
    return out
