"""How well a model cleans noised pictures, beside the noisy picture itself and the best Gaussian blur of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from sfumato.core.estimates import Condition, Denoiser, Predict
from sfumato.core.filters import LowPass
from sfumato.core.levels import Level, diffuse, x0_from_eps
from sfumato.core.loop import Canvas, FromImage, sample
from sfumato.core.noise import ImageNoise
from sfumato.core.pixels import from_unit, to_unit
from sfumato.core.schedules import Path
from sfumato.errors import UsageError
from sfumato.evaluation.metrics import psnr, ssim
from sfumato.evaluation.samples import Sampling, markdown_table

BLURS = (0.0, 0.4, 0.5, 0.6, 0.7, 0.85, 1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0)
"""Standard deviations in pixels that the blur is chosen from; 0 is no blur."""


@runtime_checkable
class PredictsX0(Protocol):
    """A model that says the clean picture itself, and so has an answer where there is no noise to speak of."""

    def x0(
        self, x: Float[Tensor, "b c h w"], conditions: Sequence[Condition], level: Level
    ) -> Float[Tensor, "b c h w"]:
        """The clean picture in each row."""
        ...


@dataclass(frozen=True)
class Quality:
    """How close pictures come to the clean ones: means over the pictures."""

    psnr: float
    """In decibels; infinite when all are equal."""
    ssim: float
    """At most 1."""

    def to_dict(self) -> dict[str, float | None]:
        """Plain data, fit for JSON: an infinite PSNR is None."""
        return {"psnr": self.psnr if math.isfinite(self.psnr) else None, "ssim": self.ssim}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Quality:
        """The inverse of `to_dict`."""
        return cls(math.inf if data["psnr"] is None else data["psnr"], data["ssim"])


@dataclass(frozen=True)
class DenoisingRow:
    """The measures at one level."""

    level: Level
    noisy: Quality
    """Of the noised picture as it is seen."""
    blur: Quality
    """Of the blur that is best at this level for these pictures by PSNR."""
    blur_sigma: float
    """Its standard deviation in pixels; 0 is no blur."""
    blur_gain: float
    """What the noised picture was multiplied by before: 1, or 1/alpha where that is better."""
    one_step: Quality
    """Of the model's x̂₀."""
    iterative: Quality | None = None
    """Of the sampler's result from this level on."""

    def to_dict(self) -> dict[str, Any]:
        """Plain data, fit for JSON."""
        return {
            "t": self.level.t,
            "alpha": self.level.alpha,
            "sigma": self.level.sigma,
            "noisy": self.noisy.to_dict(),
            "blur": {**self.blur.to_dict(), "sigma": self.blur_sigma, "gain": self.blur_gain},
            "one_step": self.one_step.to_dict(),
            "iterative": None if self.iterative is None else self.iterative.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> DenoisingRow:
        """The inverse of `to_dict`."""
        blur, last = data["blur"], data["iterative"]
        return cls(
            Level(data["t"], data["alpha"], data["sigma"]),
            Quality.from_dict(data["noisy"]),
            Quality.from_dict(blur),
            blur["sigma"],
            blur["gain"],
            Quality.from_dict(data["one_step"]),
            None if last is None else Quality.from_dict(last),
        )


def denoising_table(
    model: Denoiser, clean: Float[Tensor, "b c h w"], sigmas: Sequence[float], seed: int = 0, row_limit: int = 128
) -> list[DenoisingRow]:
    """A one-step denoiser on z = x + σ·ε, seen in training or not (B1.3): one row for each σ ≥ 0.

    `clean` are pictures x in [0, 1]; σ is in units of the model's pixel range. The noise of picture k is that of the
    generator of seed + k, the same at every σ. At σ = 0 there is nothing to remove, but a network may still do harm.
    Raises UsageError for no pictures, pictures of another shape than the model's, or a model that is not trained on
    additive noise.
    """
    levels = [_level(model, sigma) for sigma in sigmas]
    if any((level.alpha, level.sigma) != (1, sigma) for level, sigma in zip(levels, sigmas, strict=True)):
        raise UsageError("this model knows no noise that is simply added; measure it at times of its schedule instead")
    bench = _Bench(model, clean, seed, [None] * len(clean), row_limit)
    return [bench.row(level) for level in levels]


def one_step_table(
    model: Denoiser,
    clean: Float[Tensor, "b c h w"],
    ts: Sequence[float],
    how: Sampling,
    *,
    seed: int = 0,
    conditions: Sequence[Condition] | None = None,
) -> list[DenoisingRow]:
    """A diffusion model on x_t (A1.1–A1.4): noisy, blurred, cleaned in one step, and iteratively, for each time t.

    `clean` are pictures in [0, 1]; picture k is noised, and sampled, with seed + k, under `conditions`[k] (by default
    none; guidance is not applied). The iterative way goes from t down the path of `how`. Raises UsageError for a time
    that the schedule does not have, and as `denoising_table` does.
    """
    path = how.path(model)
    bench = _Bench(model, clean, seed, [None] * len(clean) if conditions is None else conditions, how.row_limit)
    rows = []
    for level in [_level(model, t) for t in ts]:
        rows.append(bench.row(level, how, (level, *(at for at in path if at.snr > level.snr))))
    return rows


def denoising_markdown(rows: Sequence[DenoisingRow]) -> str:
    """The rows as a Markdown table of PSNR (dB) / SSIM. Levels are named by σ where noise is added, else by t."""
    additive = all(row.level.alpha == 1 for row in rows)
    iterative = any(row.iterative is not None for row in rows)
    head = ["σ" if additive else "t", "noisy", "best blur", "its px", "one step", *(["iterative"] if iterative else [])]
    body = []
    for row in rows:
        cells = [f"{row.level.sigma if additive else row.level.t:g}", _cell(row.noisy), _cell(row.blur)]
        cells += [f"{row.blur_sigma:g}", _cell(row.one_step)]
        body.append(cells + ([_cell(row.iterative)] if iterative else []))
    return markdown_table(head, body)


@dataclass(frozen=True, eq=False)
class _Bench:
    """The pictures on which all ways are compared."""

    model: Denoiser
    clean: Float[Tensor, "b c h w"]
    seed: int
    conditions: Sequence[Condition]
    row_limit: int

    def __post_init__(self) -> None:
        if len(self.clean) == 0:
            raise UsageError("there are no pictures to denoise")
        if tuple(self.clean.shape[1:]) != self.model.shape:
            raise UsageError(f"the pictures are {tuple(self.clean.shape[1:])}, the model wants {self.model.shape}")
        if len(self.conditions) != len(self.clean):
            raise UsageError(f"there are {len(self.conditions)} conditions for {len(self.clean)} pictures")

    def row(self, level: Level, how: Sampling | None = None, path: Path = ()) -> DenoisingRow:
        """Every way at one level; the iterative one where there is a path."""
        x0 = from_unit(self.clean, self.model)
        seeds = range(self.seed, self.seed + len(x0))
        noise = ImageNoise(seeds, self.model.shape, self.model.device).draw(range(len(x0)))
        x = diffuse(x0, level, noise)
        blur, blur_sigma, gain = self._best_blur(x, level)
        one_step = self._quality(self._one_step(x, level))
        last = None if how is None else self._quality(self._iterative(x0, seeds, level, how, path))
        return DenoisingRow(level, self._quality(x), blur, blur_sigma, gain, one_step, last)

    def _quality(self, x: Float[Tensor, "b c h w"]) -> Quality:
        pictures = to_unit(x, self.model)
        return Quality(psnr(pictures, self.clean).mean().item(), ssim(pictures, self.clean).mean().item())

    def _best_blur(self, x: Float[Tensor, "b c h w"], level: Level) -> tuple[Quality, float, float]:
        # A variance-preserving level dims the picture. To undo that makes the noise stronger, so neither is always
        # better; an opponent that may choose is a fair one.
        ways = [(sigma, gain) for sigma in BLURS for gain in dict.fromkeys((1.0, 1 / level.alpha))]

        def blurred(way: tuple[float, float]) -> Tensor:
            sigma, gain = way
            return gain * (LowPass(sigma)(x) if sigma > 0 else x)

        best = max(ways, key=lambda way: psnr(to_unit(blurred(way), self.model), self.clean).mean().item())
        return self._quality(blurred(best)), *best

    @torch.no_grad()
    def _one_step(self, x: Float[Tensor, "b c h w"], level: Level) -> Float[Tensor, "b c h w"]:
        parts = []
        for start in range(0, len(x), self.row_limit):
            rows, conditions = x[start : start + self.row_limit], self.conditions[start : start + self.row_limit]
            if isinstance(self.model, PredictsX0):
                parts.append(self.model.x0(rows, conditions, level))
            elif level.sigma == 0:
                # x is alpha · x₀, whatever the noise is thought to be.
                parts.append(rows / level.alpha)
            else:
                parts.append(x0_from_eps(rows, self.model(rows, conditions, level).eps, level))
        return torch.cat(parts)

    def _iterative(
        self, x0: Float[Tensor, "b c h w"], seeds: Sequence[int], level: Level, how: Sampling, path: Path
    ) -> Float[Tensor, "b c h w"]:
        canvases = [
            Canvas(how.loop.thresholded(Predict(condition), self.model.pixel_range), seed, FromImage(picture, level))
            for picture, seed, condition in zip(x0, seeds, self.conditions, strict=True)
        ]
        parts = [canvases[start : start + how.batch] for start in range(0, len(canvases), how.batch)]
        sampler = how.loop.solver()
        return torch.cat([sample(self.model, part, path, sampler, row_limit=how.row_limit) for part in parts])


def _level(model: Denoiser, t: float) -> Level:
    try:
        return model.schedule.level(t)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _cell(quality: Quality | None) -> str:
    if quality is None:
        return "–"
    return f"{'∞' if math.isinf(quality.psnr) else f'{quality.psnr:.1f}'} / {quality.ssim:.2f}"
