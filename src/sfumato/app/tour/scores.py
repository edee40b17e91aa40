"""How well each way of denoising does on clean pictures: what the sections A1.1 to A1.4 say in numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from sfumato.app.jobs import Denoise
from sfumato.app.pictures import Picture
from sfumato.app.tour.workshop import Workshop
from sfumato.evaluation.denoising import one_step_table
from sfumato.evaluation.metrics import psnr, ssim
from sfumato.evaluation.samples import Sampling

Method = Literal["noised", "blur", "one-step", "iterative"]
METHODS: tuple[Method, ...] = ("noised", "blur", "one-step", "iterative")


@dataclass(frozen=True)
class Score:
    """How close a method comes to the clean pictures, on average, and how many of them a judge still reads."""

    psnr: float
    ssim: float
    read: int | None = None
    """None where nobody reads, or nobody says what the pictures are."""
    blur: float | None = None
    """Of the blur: the width in pixels that is best at this level, which is the one measured."""


Scores = dict[tuple[Method, float], Score]


def scores_of(w: Workshop, times: list[float]) -> Scores:
    """Every method at every time, over clean pictures, each under its own noise."""
    given = w.subject.clean(w.size.clean)
    clean, labels = torch.stack([one.picture for one in given]), [one.label for one in given]
    reader = w.reader(labels)
    images = [Picture.of(x, one.name) for x, one in zip(clean, given, strict=True)]
    jobs = [
        w.course(Denoise, image=image, t=t, method=m, seed=w.seed + k, **w.plain)
        for m in METHODS
        for t in times
        for k, image in enumerate(images)
    ]
    made = w.make(jobs).reshape(len(METHODS), len(times), *clean.shape)
    # As `evaluate` measures them; of the iterative way it would walk again what has been walked above.
    conditions = [w.plain["prompt"]] * len(clean)
    measured = one_step_table(w.model, clean, times, Sampling(1), seed=w.seed, conditions=conditions)
    out: Scores = {}
    for j, (t, row) in enumerate(zip(times, measured, strict=True)):
        for i, m in enumerate(METHODS):
            read = reader.count(made[i, j], labels) if reader.reads else None
            match m:
                case "iterative":
                    last = made[i, j]
                    out[m, t] = Score(float(psnr(last, clean).mean()), float(ssim(last, clean).mean()), read)
                case "blur":
                    out[m, t] = Score(row.blur.psnr, row.blur.ssim, read, row.blur_sigma)
                case _:
                    quality = row.noisy if m == "noised" else row.one_step
                    out[m, t] = Score(quality.psnr, quality.ssim, read)
    return out
