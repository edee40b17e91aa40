"""The loop: images, each with its own estimate, seed, start and constraint, walk down a path of noise levels together.

It is a generator of steps. Progress bars, previews, animations and cancelling are consumers of it.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from sfumato.core.cascade import Guide
from sfumato.core.constraints import Constraint
from sfumato.core.estimates import Denoiser, Estimate, Node
from sfumato.core.levels import CLEAN, Level, diffuse, rediffuse
from sfumato.core.noise import ImageNoise
from sfumato.core.plan import Plan
from sfumato.core.samplers import DDPM, Memory, Sampler, Situation
from sfumato.core.schedules import Path


@dataclass(frozen=True, eq=False)
class FromImage:
    """Start from a picture noised to a level of the path (SDEdit, Meng et al. 2022)."""

    image: Float[Tensor, "c h w"]
    level: Level


@dataclass(frozen=True, eq=False)
class Canvas:
    """One image to be made. It comes out the same whatever other images share its run."""

    estimate: Node
    seed: int
    start: FromImage | None = None
    """Where it begins; None is pure noise at the first level of the path."""
    constraint: Constraint | None = None
    guide: Guide | None = None
    """What a cascade's model sees beside the canvas; its noise is drawn after that of the start."""
    shape: tuple[int, int, int] | None = None
    """Channels, height and width; None is the model's own. The canvases of a run share one."""


@dataclass(frozen=True)
class Step:
    """The state after a step; `index` 0 is the start."""

    index: int
    total: int
    level: Level
    """The level that x is at."""
    x: Float[Tensor, "b c h w"]
    """The canvases; one that has not begun yet is the picture it will begin from."""
    x0: Float[Tensor, "b c h w"] | None = field(repr=False, default=None)
    """The estimate of the clean pictures that the step was taken with; None at the start and where a jump went up."""


def steps(
    denoiser: Denoiser,
    canvases: Sequence[Canvas],
    path: Path,
    sampler: Sampler | None = None,
    *,
    row_limit: int | None = None,
) -> Iterator[Step]:
    """Walk the canvases along the path, from the first level that one of them starts at, yielding every step.

    A path of one level is the start alone. At most `row_limit` rows go through the model at once. Raises ValueError
    for an empty path, no canvas, a start that the path does not visit, guides that only some canvases have
    or that are for another shape than the model's, or canvases of different shapes.
    """
    _check(canvases, path)
    shape = _shape(canvases, denoiser)
    path = path[min(path.index(_start_level(canvas, path)) for canvas in canvases) :]
    sampler = sampler or DDPM()
    noise = ImageNoise([canvas.seed for canvas in canvases], shape, denoiser.device)
    x = torch.stack([_begin(canvas, shape, denoiser.device) for canvas in canvases])
    total = len(path) - 1
    rows: list[int] = []
    plan = Plan([])
    memory: Memory | None = None
    guides: dict[int, Tensor] = {}

    # Both are about the images that have begun, whichever those are when they are called.
    def predict(canvas: Tensor, at: Level) -> Estimate:
        guide = torch.stack([guides[k] for k in rows]) if guides else None
        return plan.estimate(denoiser, canvas, at, row_limit, guide)

    def draw() -> Tensor:
        return noise.draw(rows)

    for index, level in enumerate(path):
        joining = [k for k, c in enumerate(canvases) if k not in rows and _start_level(c, path) == level]
        for k in joining:
            x[k] = _start(canvases[k], level, noise.draw([k])[0])
            if (guide := canvases[k].guide) is not None:
                guides[k] = guide.noised(noise.draw([k], len(guide.small))[0])
        if joining:
            memory = _make_room(memory, rows, joining)
            rows = sorted([*rows, *joining])
            plan = Plan([canvases[k].estimate for k in rows])
        if index == 0:
            yield Step(0, total, level, x.clone())
        if index == total:
            return
        to = path[index + 1]

        x0 = None
        if to.snr < level.snr:  # a jump up: RePaint's resampling
            x[rows] = rediffuse(x[rows], level, to, draw())
            memory = None
        else:
            now = Situation(x[rows], level, to, predict(x[rows], level), predict, draw, memory)
            x[rows], memory = sampler.step(now)
            x0 = x.clone()
            x0[rows] = now.x0
        # What leaves the loop is a picture, so the last constraint is the clean one whatever the last level is.
        target = CLEAN if index + 1 == total else to
        for k in rows:
            constraint = canvases[k].constraint
            if constraint is not None:
                x[k] = constraint.apply(x[k], target, lambda k=k: noise.draw([k])[0])  # type: ignore[misc]
        yield Step(index + 1, total, to, x.clone(), x0)


def sample(
    denoiser: Denoiser,
    canvases: Sequence[Canvas],
    path: Path,
    sampler: Sampler | None = None,
    *,
    row_limit: int | None = None,
) -> Float[Tensor, "b c h w"]:
    """The finished canvases: the last of `steps`."""
    (last,) = deque(steps(denoiser, canvases, path, sampler, row_limit=row_limit), maxlen=1)
    return last.x


def _check(canvases: Sequence[Canvas], path: Path) -> None:
    if not path:
        raise ValueError("a path needs at least one level")
    if not canvases:
        raise ValueError("there is no canvas to sample")
    for canvas in canvases:
        if canvas.start is not None and canvas.start.level not in path:
            raise ValueError(f"the path does not visit {canvas.start.level}, where a canvas starts")
    if len({canvas.guide is None for canvas in canvases}) > 1:
        raise ValueError("some canvases have a guide and some have none")
    if any(canvas.guide is not None and canvas.shape is not None for canvas in canvases):
        raise ValueError("a guide is for canvases of the model's own shape")


def _shape(canvases: Sequence[Canvas], denoiser: Denoiser) -> tuple[int, int, int]:
    """What the canvases and the pictures that they start from share. Raises ValueError when they do not."""
    shapes: set[tuple[int, ...]] = {canvas.shape or denoiser.shape for canvas in canvases}
    shapes |= {tuple(canvas.start.image.shape) for canvas in canvases if canvas.start is not None}
    if len(shapes) > 1:
        raise ValueError(f"the canvases of a run share one shape; these have {', '.join(map(str, sorted(shapes)))}")
    ((channels, height, width),) = shapes
    return channels, height, width


def _begin(canvas: Canvas, shape: tuple[int, int, int], device: torch.device) -> Float[Tensor, "c h w"]:
    return torch.zeros(shape, device=device) if canvas.start is None else canvas.start.image.to(device)


def _start_level(canvas: Canvas, path: Path) -> Level:
    return path[0] if canvas.start is None else canvas.start.level


def _start(canvas: Canvas, level: Level, noise: Float[Tensor, "c h w"]) -> Float[Tensor, "c h w"]:
    if canvas.start is not None:
        return diffuse(canvas.start.image.to(noise), level, noise)
    # The standard deviation of noised pictures of unit variance: exactly 1 under a variance-preserving schedule.
    return math.hypot(level.alpha, level.sigma) * noise


def _make_room(memory: Memory | None, rows: Sequence[int], joining: Sequence[int]) -> Memory | None:
    """The memory with rows for images that join, which have none."""
    if memory is None:
        return None
    merged = sorted([*rows, *joining])
    x0 = memory.x0.new_full((len(merged), *memory.x0.shape[1:]), float("nan"))
    x0[[merged.index(k) for k in rows]] = memory.x0
    return Memory(x0, memory.level)
