"""Samplers: how a canvas goes from one noise level to a cleaner one. State goes in and comes out."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from sfumato.core.estimates import Estimate
from sfumato.core.levels import Level, transition_sigma, x0_from_eps

Predictor = Callable[[Tensor, Level], Estimate]
"""The estimate for canvases (b, c, h, w) at a level."""
Variance = Literal["posterior", "forward", "learned"]
"""How much noise ddpm's step adds."""
Draw = Callable[[], Tensor]
"""Fresh standard normal noise, one picture (c, h, w) for each canvas."""


@dataclass(frozen=True)
class Memory:
    """What a multistep sampler keeps of its last step: x̂₀ and its level. Rows that have no last step are NaN."""

    x0: Float[Tensor, "b c h w"]
    level: Level


@dataclass(frozen=True)
class Situation:
    """All that a step may use: canvases x at `level`, their estimate, and where to go."""

    x: Float[Tensor, "b c h w"]
    level: Level
    to: Level
    estimate: Estimate
    predict: Predictor
    draw: Draw
    memory: Memory | None = None

    @property
    def x0(self) -> Float[Tensor, "b c h w"]:
        """The estimate of the clean picture."""
        known = self.estimate.x0
        return x0_from_eps(self.x, self.estimate.eps, self.level) if known is None else known


Stepped = tuple[Float[Tensor, "b c h w"], Memory | None]


@runtime_checkable
class Sampler(Protocol):
    """One step of a solver."""

    def step(self, now: Situation) -> Stepped:
        """Canvases at `now.to`, and the memory for the next step."""
        ...


@dataclass(frozen=True)
class DDPM:
    """Ancestral sampling (Ho et al. 2020, eq. 6–7; strided as in the course, A1.4):

    x_t′ = √ᾱ_t′·β/(1−ᾱ_t)·x̂₀ + √α·(1−ᾱ_t′)/(1−ᾱ_t)·x_t + v, with α = ᾱ_t/ᾱ_t′ and β = 1 − α.

    Written for any (alpha, sigma). The variance of the noise v is the `posterior`'s, β·(1−ᾱ_t′)/(1−ᾱ_t), or the
    `forward` step's β, or `learned`: between the two in the logarithm, as far as the model says. No noise into a clean
    level, where the formula is x̂₀.
    """

    variance: Variance = "posterior"

    def step(self, now: Situation) -> Stepped:
        """One ancestral step."""
        scale = now.level.alpha / now.to.alpha
        beta = transition_sigma(now.to, now.level) ** 2
        total = now.level.sigma**2
        mean = (now.to.alpha * beta / total) * now.x0 + (scale * now.to.sigma**2 / total) * now.x
        if now.to.sigma == 0:
            return mean, None
        posterior = beta * now.to.sigma**2 / total
        return mean + self._sigma(now, posterior, beta) * now.draw(), None

    def _sigma(self, now: Situation, posterior: float, beta: float) -> float | Tensor:
        match self.variance:
            case "posterior":
                return math.sqrt(posterior)
            case "forward":
                return math.sqrt(beta)
            case "learned":
                share = now.estimate.variance
                if share is None:
                    raise ValueError("this model has not learned a variance; choose posterior or forward")
                return torch.exp(0.5 * (share * math.log(beta) + (1 - share) * math.log(posterior)))


@dataclass(frozen=True)
class DDIM:
    """DDIM (Song et al. 2021, eq. 12): deterministic at `eta` 0, ancestral at 1."""

    eta: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.eta <= 1:
            raise ValueError(f"eta must be between 0 and 1, not {self.eta:g}")

    def step(self, now: Situation) -> Stepped:
        """One DDIM step."""
        sigma = self.eta * transition_sigma(now.to, now.level) * now.to.sigma / now.level.sigma
        direction = math.sqrt(max(now.to.sigma**2 - sigma**2, 0.0))
        x = now.to.alpha * now.x0 + direction * now.estimate.eps
        return (x + sigma * now.draw() if sigma > 0 else x), None


@dataclass(frozen=True)
class Heun:
    """Heun's method on dx = x̂₀ dα + ε̂ dσ, the probability flow of any levels (alpha, sigma).

    Each step takes the mean of the estimates at its two ends. Along the straight levels of a flow that is Heun's method
    in t; with alpha = 1 it is that of Karras et al. 2022 (algorithm 1, no churn). Second order; two evaluations a step,
    one in the step to a clean level.
    """

    def step(self, now: Situation) -> Stepped:
        """One predictor-corrector step."""
        x0, eps = now.x0, now.estimate.eps
        euler = now.to.alpha * x0 + now.to.sigma * eps
        if now.to.sigma == 0:
            return euler, None
        there = replace(now, x=euler, level=now.to, estimate=now.predict(euler, now.to))
        dx0, deps = there.x0 - x0, there.estimate.eps - eps
        return euler + ((now.to.alpha - now.level.alpha) * dx0 + (now.to.sigma - now.level.sigma) * deps) / 2, None


@dataclass(frozen=True)
class DPMpp2M:
    """DPM-Solver++(2M) (Lu et al. 2022, algorithm 2): second order from one evaluation a step and the memory of one.

    The first step of an image, and the one into a clean level, are of first order.
    """

    def step(self, now: Situation) -> Stepped:
        """One multistep step."""
        x0 = now.x0
        memory = Memory(x0, now.level)
        if now.to.sigma == 0:
            return now.to.alpha * x0, memory
        h = _log_snr(now.to) - _log_snr(now.level)
        d = x0
        if now.memory is not None:
            r = (_log_snr(now.level) - _log_snr(now.memory.level)) / h
            extrapolated = x0 + (x0 - now.memory.x0) / (2 * r)
            d = torch.where(now.memory.x0.isnan(), x0, extrapolated)
        x = (now.to.sigma / now.level.sigma) * now.x - now.to.alpha * math.expm1(-h) * d
        return x, memory


def _log_snr(level: Level) -> float:
    return math.log(level.alpha / level.sigma)


SAMPLERS: dict[str, Sampler] = {
    "ddpm": DDPM(),
    "ddim": DDIM(),
    "euler": DDIM(),  # along the straight levels of a flow the deterministic step is Euler's, dx = (ε − x₀) dt
    "heun": Heun(),
    "dpmpp-2m": DPMpp2M(),
}
"""The samplers by name, with their default settings."""


def known_sampler(name: str) -> str:
    """The name of one of `SAMPLERS`. Raises ValueError for any other."""
    if name not in SAMPLERS:
        raise ValueError(f"unknown sampler {name!r}; choose one of {', '.join(SAMPLERS)}")
    return name
