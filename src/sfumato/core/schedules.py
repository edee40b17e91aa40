"""Noise schedules: which levels there are, and which of them a run visits."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Protocol, runtime_checkable

import torch

from sfumato.core.levels import CLEAN, Level, LevelBatch, draw_levels


@runtime_checkable
class Schedule(Protocol):
    """What a model was trained on: a range of times, and the level at each."""

    def level(self, t: float) -> Level:
        """The level at time t. Raises ValueError outside the schedule."""
        ...

    def timesteps(self, steps: int) -> tuple[float, ...]:
        """The times of a run of `steps` levels, noisiest first."""
        ...

    def time(self, t: torch.Tensor) -> torch.Tensor:
        """Times as a network reads them, in [0, 1]."""
        ...

    def draw(self, n: int, generator: torch.Generator) -> LevelBatch:
        """n random levels for training."""
        ...


@dataclass(frozen=True)
class Discrete:
    """A variance-preserving schedule of T times 0 … T−1 given by `alphas_cumprod` (ᾱ), decreasing, in (0, 1]."""

    alphas_cumprod: tuple[float, ...]

    def __post_init__(self) -> None:
        bar = self.alphas_cumprod
        if not bar or not all(0 < a <= 1 for a in bar) or any(b > a for a, b in itertools.pairwise(bar)):
            raise ValueError("alphas_cumprod must be a non-empty, non-increasing sequence in (0, 1]")

    def __len__(self) -> int:
        return len(self.alphas_cumprod)

    @cached_property
    def levels(self) -> tuple[Level, ...]:
        """All T levels, t = 0 first."""
        return tuple(Level(float(t), math.sqrt(bar), math.sqrt(1 - bar)) for t, bar in enumerate(self.alphas_cumprod))

    def level(self, t: float) -> Level:
        """The level at integer time t, 0 ≤ t < T."""
        if t != int(t) or not 0 <= t < len(self):
            raise ValueError(f"timestep {t:g} is not one of 0 … {len(self) - 1}")
        return self.levels[int(t)]

    def timesteps(self, steps: int) -> tuple[float, ...]:
        """`steps` times from near T down to 0, `strided`: the list of the course; `steps` = T gives every time."""
        return spaced(len(self), steps, "strided")

    def time(self, t: torch.Tensor) -> torch.Tensor:
        """t/T."""
        return t / len(self)

    def draw(self, n: int, generator: torch.Generator) -> LevelBatch:
        """n times, uniform over 0 … T−1."""
        return draw_levels(self.levels, n, generator)


def linear(steps: int = 1000, beta_start: float = 1e-4, beta_end: float = 0.02) -> Discrete:
    """β from `beta_start` to `beta_end` in equal steps (Ho et al. 2020, section 4)."""
    betas = torch.linspace(beta_start, beta_end, steps, dtype=torch.float64)
    return Discrete(tuple(torch.cumprod(1 - betas, 0).tolist()))


def cosine(steps: int = 1000, offset: float = 0.008, max_beta: float = 0.999) -> Discrete:
    """The cosine schedule (Nichol & Dhariwal 2021, eq. 17), with β clipped to `max_beta`."""

    def bar(u: float) -> float:
        return math.cos((u + offset) / (1 + offset) * math.pi / 2) ** 2

    product, out = 1.0, []
    for i in range(steps):
        product *= 1 - min(1 - bar((i + 1) / steps) / bar(i / steps), max_beta)
        out.append(product)
    return Discrete(tuple(out))


def shifted_cosine(
    steps: int = 1000, shift: float = 1.0, limit: float = 10.0, clean_shift: float | None = None
) -> Discrete:
    """The cosine schedule in log SNR, −2 log tan(πu/2) − 2 log `shift`, cut to ±`limit` before the shift.

    (Hoogeboom et al. 2023, "simple diffusion", section 3.1; their shift is size/64 for pictures of more than 64 px.) A
    shift above 1 noises more: pictures whose pixels say much the same need it. But then few levels are left for what is
    fine: with a `clean_shift`, at most `shift`, the shift goes from that at the clean end to `shift` at the noisy one
    in equal factors (their interpolated schedule). The limit keeps alpha and sigma away from 0, where ε says nothing of
    x₀ and x₀ nothing of ε.

    Raises ValueError for a clean shift above the shift.
    """
    if clean_shift is None:
        clean_shift = shift
    if not 0 < clean_shift <= shift:
        raise ValueError(f"the clean shift must be above 0 and at most the shift {shift:g}, not {clean_shift:g}")
    ends = math.log(clean_shift), math.log(shift)
    first, last = (2 / math.pi * math.atan(math.exp(side * limit / 2)) for side in (-1, 1))

    def bar(u: float) -> float:
        log_snr = -2 * math.log(math.tan(math.pi / 2 * (first + u * (last - first))))
        log_snr -= 2 * (ends[0] + u * (ends[1] - ends[0]))
        return 1 / (1 + math.exp(-log_snr))

    return Discrete(tuple(bar(i / max(1, steps - 1)) for i in range(steps)))


@dataclass(frozen=True)
class Flow:
    """Rectified flow (Lipman et al. 2023; Liu et al. 2023): alpha = 1 − t, sigma = t, t in [0, 1], noise at t = 1.

    Pure noise (alpha = 0) says nothing of x₀ in the language of ε, so the noisiest level is `t_max`, a hair below.
    """

    t_max: float = 0.999

    def level(self, t: float) -> Level:
        """The level at time t in [0, t_max]."""
        if not 0 <= t <= self.t_max:
            raise ValueError(f"flow time {t:g} is not between 0 and {self.t_max:g}")
        return Level(t, 1 - t, t)

    def timesteps(self, steps: int) -> tuple[float, ...]:
        """t_max · steps/steps, …, t_max · 1/steps: evenly spaced, 0 (clean) left out."""
        if steps < 1:
            raise ValueError(f"steps must be at least 1, not {steps}")
        return tuple(self.t_max * (i / steps) for i in range(steps, 0, -1))  # so rounded, none exceeds t_max

    def time(self, t: torch.Tensor) -> torch.Tensor:
        """t itself."""
        return t

    def draw(self, n: int, generator: torch.Generator) -> LevelBatch:
        """n times, uniform over [0, 1)."""
        t = torch.rand(n, generator=generator)
        return LevelBatch(t, 1 - t, t)


@dataclass(frozen=True)
class Additive:
    """z = signal·x + σ·ε at the given standard deviations: what a one-step denoiser is trained on.

    The time of a level is σ itself. A hair of signal with σ = 1 is the lesson of pure noise: with none at all ε would
    say nothing of x₀.
    """

    sigmas: tuple[float, ...] = (0.5,)
    signal: float = 1.0
    """alpha of every level."""

    def __post_init__(self) -> None:
        if not self.sigmas or min(self.sigmas) <= 0:
            raise ValueError("sigmas must be a non-empty sequence of positive numbers")
        if self.signal <= 0:
            raise ValueError(f"signal must be positive, not {self.signal:g}")

    def level(self, t: float) -> Level:
        """The level of standard deviation t ≥ 0, trained on or not."""
        if t < 0:
            raise ValueError(f"a standard deviation cannot be negative: {t:g}")
        return Level(t, self.signal, t)

    def timesteps(self, steps: int) -> tuple[float, ...]:
        """The largest σ: a one-step denoiser takes one step."""
        if steps != 1:
            raise ValueError(f"a one-step denoiser takes 1 step, not {steps}")
        return (max(self.sigmas),)

    def time(self, t: torch.Tensor) -> torch.Tensor:
        """σ itself."""
        return t

    def draw(self, n: int, generator: torch.Generator) -> LevelBatch:
        """n of the sigmas, uniformly."""
        return draw_levels(tuple(self.level(s) for s in self.sigmas), n, generator)


KINDS = ("linear", "cosine", "shifted-cosine", "flow", "additive")
"""The schedules that `make_schedule` knows."""


def make_schedule(
    kind: str,
    *,
    timesteps: int = 1000,
    beta_start: float = 1e-4,
    beta_end: float = 0.02,
    sigmas: Sequence[float] = (0.5,),
    signal: float = 1.0,
    shift: float = 1.0,
    clean_shift: float | None = None,
) -> Schedule:
    """A schedule from the plain numbers of a recipe: `kind` is one of `KINDS` (ValueError else)."""
    match kind:
        case "linear":
            return linear(timesteps, beta_start, beta_end)
        case "cosine":
            return cosine(timesteps)
        case "shifted-cosine":
            return shifted_cosine(timesteps, shift, clean_shift=clean_shift)
        case "flow":
            return Flow()
        case "additive":
            return Additive(tuple(sigmas), signal)
    raise ValueError(f"unknown schedule {kind!r}; choose one of {', '.join(KINDS)}")


Path = tuple[Level, ...]
"""The levels a run visits, in order. It falls; where it rises again, the run re-noises (RePaint)."""

Spacing = Literal["strided", "leading", "trailing", "linspace"]
"""Which of T times a run of fewer steps visits: `strided` as in the course, the others as diffusers calls them."""


def spaced(total: int, steps: int, spacing: Spacing) -> tuple[float, ...]:
    """`steps` of the times 0 … `total` − 1, noisiest first (Lin et al. 2024, "Common diffusion noise schedules",
    table 2).

    Of 1000 times 34 are 990, 960, …, 0 when `strided`, whose stride ⌊999/33⌋ lets both ends be visited nearly; 957,
    928, …, 0 when `leading`, with the stride ⌊1000/34⌋; 999, 970, …, 28 when `trailing`; 999, 969, …, 0 when
    `linspace`. Raises ValueError when there are fewer times than steps.
    """
    if not 1 <= steps <= total:
        raise ValueError(f"steps must be between 1 and {total}, not {steps}")
    match spacing:
        case "strided" if steps == 1:
            times = [total - 1]
        case "strided":
            times = [(total - 1) // (steps - 1) * i for i in range(steps)]
        case "leading":
            times = [total // steps * i for i in range(steps)]
        case "trailing":
            stride = (total - total / steps) - total  # as numpy.arange has it, so that halves are rounded alike
            times = [round(total + stride * i) - 1 for i in reversed(range(steps))]
        case "linspace":
            stride = (total - 1) / max(1, steps - 1)
            times = [round(stride * i) for i in range(steps)]
    return tuple(float(t) for t in reversed(times))


def strided(schedule: Schedule, steps: int, *, last_step: bool = True, spacing: Spacing = "strided") -> Path:
    """`steps` levels of the schedule, noisiest first, and with `last_step` a CLEAN one: `steps` updates.

    Without it the run stops at the last strided level, as the loop of the course does (33 updates for 34 levels).
    `spacing` says which levels of a discrete schedule; the others have one way.
    """
    times = spaced(len(schedule), steps, spacing) if isinstance(schedule, Discrete) else schedule.timesteps(steps)
    path = tuple(schedule.level(t) for t in times)
    return (*path, CLEAN) if last_step else path


def with_jumps(path: Path, *, jump: int, resample: int) -> Path:
    """RePaint's schedule (Lugmayr et al. 2022, appendix B): after every `jump` steps down, go `jump` up and down again.

    Each stretch is walked `resample` times in all; `resample` = 1 is the path itself.
    """
    if jump < 1 or resample < 1:
        raise ValueError(f"jump and resample must be at least 1, not {jump} and {resample}")
    out: list[Level] = [path[0]]
    for i in range(0, len(path) - 1, jump):
        down = path[i : i + jump + 1]
        # The way back up is one leap: q(x_t | x_s) of the whole stretch has a closed form.
        for _ in range(resample - 1):
            out += [*down[1:], down[0]] if down[-1].sigma > 0 else []
        out += down[1:]
    return tuple(out)
