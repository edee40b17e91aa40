"""What there is to see of a training: sheets of samples, animations of the denoising, the loss curve."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from sfumato.app.output import gif_bytes, sheet, zoom_for
from sfumato.app.report.figures import frames
from sfumato.backends.network import NetworkDenoiser
from sfumato.core.cascade import Guide
from sfumato.core.estimates import guided
from sfumato.core.filters import LowPass
from sfumato.core.levels import CLEAN
from sfumato.core.loop import Canvas, FromImage, sample
from sfumato.core.loop import steps as walk
from sfumato.core.noise import stream
from sfumato.core.pixels import to_unit
from sfumato.core.ramps import PlainWeight
from sfumato.core.samplers import SAMPLERS
from sfumato.core.schedules import Additive, strided
from sfumato.files import write_bytes
from sfumato.training.data import TrainingData
from sfumato.training.recipe import Recipe
from sfumato.training.trainer import Trainer

SAMPLES = 40
"""Pictures in a sheet of samples; four of each class where there are ten."""
MOVING = 20
"""Pictures in an animation."""
FRAMES = 40
"""Frames of an animation, about."""


def model_of(trainer: Trainer) -> NetworkDenoiser:
    """The denoiser of a trainer's averaged weights."""
    return NetworkDenoiser(
        trainer.recipe.name,
        trainer.average_network(),
        trainer.objective.schedule,
        trainer.recipe.prediction,
        pixel_range=trainer.data.pixel_range,
        low_res=trainer.objective.low_res,
    )


def sample_sheet(model: NetworkDenoiser, recipe: Recipe, data: TrainingData, zoom: int | None = None) -> Image.Image:
    """Samples with the recipe's steps and guidance; of a one-step denoiser clean, noisy and denoised rows of `data`."""
    if isinstance(model.schedule, Additive):
        return sheet(denoised_rows(model, data, max(model.schedule.sigmas)), columns=10, zoom=zoom)
    steps = min(recipe.sample_steps, model.most_steps)
    if model.low_res is not None:
        return sheet(enlarged_rows(model, data, steps, recipe.guidance), columns=10, zoom=zoom)
    prompts = data.prompts(SAMPLES) if model.conditioned else [None] * SAMPLES
    trees = [guided(prompt, scale=recipe.guidance) for prompt in prompts]
    canvases = [Canvas(tree, seed) for seed, tree in enumerate(trees)]
    pictures = sample(model, canvases, strided(model.schedule, steps), SAMPLERS[recipe.sampler], row_limit=64)
    return sheet(to_unit(pictures, model), columns=10, zoom=zoom)


def enlarged_rows(
    model: NetworkDenoiser, data: TrainingData, steps: int, guidance: PlainWeight, n: int = 10
) -> Float[Tensor, "m c h w"]:
    """Rows of n small pictures with each pixel a square, the same made larger by the model, and the true large ones."""
    assert model.low_res is not None
    size = model.shape[-1]
    clean = data.batch(torch.arange(min(n, len(data))), stream(0, "rows"), model.device).pictures
    small = F.adaptive_avg_pool2d(clean, model.low_res.size)
    guides = [Guide(picture, model.low_res) for picture in small]
    canvases = [Canvas(guided(None, scale=guidance), seed, guide=guide) for seed, guide in enumerate(guides)]
    larger = sample(model, canvases, strided(model.schedule, steps))
    return to_unit(torch.cat([F.interpolate(small, size=(size, size)), larger, clean]), model)


def denoised_rows(model: NetworkDenoiser, data: TrainingData, sigma: float, n: int = 10) -> Float[Tensor, "m c h w"]:
    """Rows of n clean pictures, the same with noise, and denoised in one step."""
    clean = data.batch(torch.arange(min(n, len(data))), stream(0, "rows"), model.device).pictures
    level = model.schedule.level(sigma)
    canvases = [Canvas(guided(None, scale=1), seed, FromImage(picture, level)) for seed, picture in enumerate(clean)]
    noisy = sample(model, canvases, (level,))
    return torch.cat([clean, noisy.clamp(0, 1), sample(model, canvases, (level, CLEAN)).clamp(0, 1)])


def animations(model: NetworkDenoiser, recipe: Recipe, data: TrainingData) -> dict[str, bytes]:
    """GIFs of pictures coming out of noise (B3), by name; none of a model that takes one step or makes larger.

    `denoising` shows what is asked for in a sheet of samples; where the model can be asked for something, `nothing`
    the same seeds with the condition all zero.
    """
    if isinstance(model.schedule, Additive) or model.low_res is not None:
        return {}
    prompts = data.prompts(MOVING) if model.conditioned else [None] * MOVING
    out = {"denoising": _animation(model, recipe, prompts)}
    if model.conditioned:
        out["nothing"] = _animation(model, recipe, [None] * MOVING)
    return out


def _animation(model: NetworkDenoiser, recipe: Recipe, prompts: Sequence[str | None]) -> bytes:
    canvases = [Canvas(guided(prompt, scale=recipe.guidance), seed) for seed, prompt in enumerate(prompts)]
    path = strided(model.schedule, min(recipe.sample_steps, model.most_steps))
    every = max(1, len(path) // FRAMES)
    grids = [
        to_unit(step.x, model)
        for step in walk(model, canvases, path, SAMPLERS[recipe.sampler], row_limit=64)
        if step.index % every == 0 or step.index == step.total
    ]
    return gif_bytes(frames(grids, 10, max(1, zoom_for(model.shape[-1]) // 2)))


def draw_loss(path: Path, rows: Sequence[Mapping[str, Any]], title: str) -> None:
    """The loss curve of a log as a PNG, each logged mean and a smoothed line; nothing without matplotlib."""
    try:
        import matplotlib
    except ImportError:
        return
    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    if len(rows) < 2:
        return
    steps, losses = [row["step"] for row in rows], [row["loss"] for row in rows]
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(steps, losses, linewidth=0.6, alpha=0.4, color="tab:blue")
    smooth = max(1.0, len(losses) / 100)
    line = LowPass(smooth)(torch.tensor(losses)[None, None, None].expand(1, 1, 2, -1))[0, 0, 0]
    axes.plot(steps, line.tolist(), color="tab:blue")
    axes.set(xlabel="step", ylabel="loss", yscale="log", title=title)
    axes.grid(alpha=0.3)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    write_bytes(path, buffer.getvalue())
