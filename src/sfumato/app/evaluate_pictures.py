"""The measures of models of digits and other plain pictures: what the judge reads, and how well noise is taken away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sfumato.backends.model import Model
from sfumato.backends.network import NetworkDenoiser
from sfumato.core.estimates import Predict
from sfumato.core.schedules import Discrete
from sfumato.core.views import IDENTITY, parse_view
from sfumato.errors import UsageError
from sfumato.evaluation.denoising import DenoisingRow, denoising_table, one_step_table
from sfumato.evaluation.illusions import anagram_table, hybrid_table, ordered_pairs
from sfumato.evaluation.judge import Judge, load_judge
from sfumato.evaluation.metrics import frechet_distance, gaussian_statistics
from sfumato.evaluation.samples import Progress, Sampling, judged, recognised, sample_classes, sample_trees
from sfumato.training.data import ImageData

SIGMAS = (0.0, 0.2, 0.4, 0.5, 0.6, 0.8, 1.0)
"""The noise levels of B1.3."""
TIMES = (0.25, 0.5, 0.75)
"""Where a diffusion model is measured, in shares of its schedule: 250, 500 and 750 of 1000, as in A1.3."""
DIGITS = ("mnist", "typeset")
"""Data sets that the bundled judge reads."""
REFERENCE = 10_000
"""Real pictures, at most, that samples are compared with."""


@dataclass(frozen=True, eq=False)
class PictureMeasures:
    """A model with what it is measured on; each method is one measure, as plain data."""

    model: Model
    data: ImageData | None
    how: Sampling
    count: int
    """Samples to judge, and pictures to denoise."""
    seed: int
    seeds_per_pair: int
    progress: Callable[[str], Progress]
    reader: Judge | None = None
    """Who reads; None is the bundled judge of digits, if the model's are such."""

    @property
    def judge(self) -> Judge | None:
        """The judge that can read the model's pictures and knows its classes."""
        if self.reader is None and not (self.model.classes or self._learned_digits()):
            return None
        judge = load_judge() if self.reader is None else self.reader
        return judge if judge.reads(self.model.shape, self.model.classes) else None

    def _learned_digits(self) -> bool:
        """Whether the model's weights say that they were trained on digits; without classes nothing else does."""
        facts = self.model.facts if isinstance(self.model, NetworkDenoiser) else None
        return ((facts or {}).get("data") or {}).get("name") in DIGITS

    def one_step_denoiser(self) -> dict[str, Any]:
        """B1.3."""
        data = self._pictures()
        rows = denoising_table(self.model, data, SIGMAS, self.seed)
        return self._denoising(rows, len(data))

    def diffusion_denoiser(self) -> dict[str, Any]:
        """A1.2 to A1.4 in numbers."""
        data = self._pictures()
        schedule = self.model.schedule
        # A flow's times are shares of it already.
        scale = len(schedule) if isinstance(schedule, Discrete) else 1
        times = [float(round(scale * t)) if scale > 1 else t for t in TIMES]
        rows, tell = [], self.progress("denoising")
        for done, t in enumerate(times):
            rows += one_step_table(self.model, data, [t], self.how, seed=self.seed)
            tell(done + 1, len(times))
        return self._denoising(rows, len(data))

    def samples(self, judge: Judge) -> dict[str, Any]:
        """What the judge reads, and how far the samples are from real pictures."""
        model, tell = self.model, self.progress("samples")
        if model.classes:
            pictures, names = sample_classes(model, model.classes, self.count, self.how, seed=self.seed, on_step=tell)
            out: dict[str, Any] = {"samples": judged(pictures, names, judge).to_dict()}
        else:
            seeds = range(self.seed, self.seed + self.count)
            pictures = sample_trees(model, [Predict()] * self.count, seeds, self.how, tell)
            out = {"samples": recognised(pictures, judge).to_dict()}
        return out | self._frechet(pictures, judge)

    def anagrams(self, judge: Judge, views: Sequence[str]) -> dict[str, Any]:
        """Every pair of classes, upright and through each view."""
        pairs, tables = ordered_pairs(self.model.classes), {}
        for view in dict.fromkeys(map(parse_view, views)):
            tell, seen = self.progress(f"anagrams under {view}"), (IDENTITY, view)
            table = anagram_table(self.model, pairs, judge, self.how, views=seen, seeds=self._pair_seeds, on_step=tell)
            tables[str(view)] = table.to_dict()
        return {"anagrams": tables}

    def hybrids(self, judge: Judge) -> dict[str, Any]:
        """Every pair of classes, far and near."""
        pairs, tell = ordered_pairs(self.model.classes), self.progress("hybrids")
        # For digits of 28 px 2 px are measured: with strokes of 3 px the course's proportion, 0.9 px, leaves next to
        # nothing to the near reading.
        sigma = self.model.defaults.hybrid_sigma
        table = hybrid_table(self.model, pairs, judge, self.how, sigma=sigma, seeds=self._pair_seeds, on_step=tell)
        return {"hybrids": {"sigma": sigma, **table.to_dict()}}

    @property
    def _pair_seeds(self) -> range:
        return range(self.seed, self.seed + self.seeds_per_pair)

    def _frechet(self, pictures: Float[Tensor, "b c h w"], judge: Judge) -> dict[str, Any]:
        """The distance of samples to real pictures, and the floor: that of as many other real pictures."""
        if self.data is None or self.data.shape != self.model.shape or min(len(self.data) - 2, len(pictures)) < 2:
            return {}
        kept = min(len(pictures), len(self.data) // 2)
        real = self.data.pixels(torch.arange(min(len(self.data), REFERENCE + kept)))
        ours, twins, reference = (gaussian_statistics(judge.features(x)) for x in (pictures, real[:kept], real[kept:]))
        return {
            "frechet": {
                "distance": frechet_distance(*ours, *reference),
                "floor": frechet_distance(*twins, *reference),
                "samples": len(pictures),
                "floor_pictures": kept,
                "pictures": len(real) - kept,
                "data": self.data.name,
            }
        }

    def _pictures(self) -> Float[Tensor, "b c h w"]:
        if self.data is None:
            raise UsageError(f"measuring {self.model.name} takes clean pictures; give it data")
        return self.data.pixels(torch.arange(min(self.count, len(self.data))))

    def _denoising(self, rows: list[DenoisingRow], pictures: int) -> dict[str, Any]:
        name = self.data.name if self.data else ""
        return {"denoising": {"data": name, "pictures": pictures, "rows": [row.to_dict() for row in rows]}}
