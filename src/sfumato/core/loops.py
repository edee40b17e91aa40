"""How a path is laid through the noise levels and walked: what the loop of the course and that of diffusers differ in.

The update is one formula for both (`DDPM`); what differs is which levels are visited, whether x̂₀ is thresholded, and
whether a last step goes to x₀.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from sfumato.core.estimates import Clipped, DynamicallyThresholded, Node
from sfumato.core.samplers import DDIM, DDPM, SAMPLERS, Sampler, Variance, known_sampler
from sfumato.core.schedules import Path, Schedule, Spacing, strided

Threshold = Literal["none", "static", "dynamic"]

LOOPS = ("own", "course", "diffusers")
"""The names that `Loop.named` knows."""


@dataclass(frozen=True)
class Loop:
    """How a run walks."""

    sampler: str = "ddpm"
    """A key of `SAMPLERS`."""
    eta: float = 0.0
    """Of ddim: 0 deterministic, 1 ancestral."""
    variance: Variance = "posterior"
    """Of ddpm's noise."""
    spacing: Spacing = "strided"
    """Which levels of a discrete schedule are visited."""
    threshold: Threshold = "none"
    """What is done to x̂₀ outside the pixel range."""
    quantile: float = 0.95
    """Of dynamic thresholding."""
    largest: float = 1.5
    """Of dynamic thresholding: it divides by no more than this."""
    last_step: bool = True
    """Whether a last step goes from the cleanest level to x₀."""

    def named(self, name: str) -> Loop:
        """A loop by name, where this one is a model's own: `own` is this.

        `course` is the loop of the course (A1.4): strided levels, x̂₀ as it is, noise at every step and none at the
        end, for it stops at t = 0. `diffusers` is what its pipelines do with the model's scheduler: `leading` levels
        unless that says otherwise, its thresholding, and a last step to x₀. Raises ValueError for another name.
        """
        match name:
            case "own":
                return self
            case "course":
                return replace(self, sampler="ddpm", spacing="strided", threshold="none", last_step=False)
            case "diffusers":
                spacing = "leading" if self.spacing == "strided" else self.spacing
                return replace(self, spacing=spacing, last_step=True)
        raise ValueError(f"unknown loop {name!r}; choose one of {', '.join(LOOPS)}")

    def path(self, schedule: Schedule, steps: int) -> Path:
        """The levels of a run of `steps` steps. Raises ValueError when the schedule has no such run."""
        return strided(schedule, steps, last_step=self.last_step, spacing=self.spacing)

    def solver(self) -> Sampler:
        """The sampler with its settings. Raises ValueError for an unknown one."""
        match self.sampler:
            case "ddpm":
                return DDPM(self.variance)
            case "ddim":
                return DDIM(self.eta)
            case name:
                return SAMPLERS[known_sampler(name)]

    def thresholded(self, estimate: Node, pixel_range: tuple[float, float]) -> Node:
        """The estimate with its x̂₀ brought into the pixel range, in this loop's way."""
        match self.threshold:
            case "static":
                return Clipped(estimate, *pixel_range)
            case "dynamic":
                return DynamicallyThresholded(estimate, *pixel_range, self.quantile, self.largest)
            case _:
                return estimate
