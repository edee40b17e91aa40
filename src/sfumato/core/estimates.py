"""Noise estimates as a tree of small values: ε̂(x) = Σ_i L_i A_i⁻¹ ε_θ(A_i x, t, c_i), nested at will.

Ask first, compute once, then combine: a tree is walked down for the questions it has for the model, equal ones once;
all questions of all images run as one batched forward; then the tree is walked up to combine the answers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from sfumato.core.filters import Filter, HighPass, LowPass, sum_to_identity
from sfumato.core.levels import Level, eps_from_x0, x0_from_eps
from sfumato.core.ramps import RampEnds, Weight, make_weight, weight_at
from sfumato.core.schedules import Schedule
from sfumato.core.views import IDENTITY, Chain, View, chain

Condition = str | None
"""What the model is asked for: a prompt or the name of a class; None is nothing (the unconditional estimate)."""


@dataclass(frozen=True)
class Estimate:
    """A model's answer: the noise, and where it learned one the variance of the reverse step.

    `variance` is the weight in [0, 1] between the smallest and the largest sensible log variance
    (Nichol & Dhariwal 2021, eq. 15).
    """

    eps: Float[Tensor, "b c h w"]
    variance: Float[Tensor, "b c h w"] | None = None
    x0: Float[Tensor, "b c h w"] | None = None
    """x̂₀, where it is known better than ε says: next to pure noise ε does not say it to the precision of float32."""


@runtime_checkable
class Denoiser(Protocol):
    """A model as the engine sees it: one function, float32 at its boundary."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of its pictures."""
        ...

    @property
    def pixel_range(self) -> tuple[float, float]:
        """The values of black and white."""
        ...

    @property
    def schedule(self) -> Schedule:
        """The noise levels it knows."""
        ...

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        ...

    def __call__(
        self,
        x: Float[Tensor, "b c h w"],
        conditions: Sequence[Condition],
        level: Level,
        of: Sequence[int] | None = None,
    ) -> Estimate:
        """The noise in canvases x, all at one level: a row for each condition.

        The k-th row is about canvas `of[k]`, by default the k-th: what is asked several times of one canvas shares what
        the model sees in it. x has the channels of `shape`, and after them those of the guide where the model is a
        cascade's later stage.
        """
        ...


@dataclass(frozen=True)
class Query:
    """One question to the model: the noise in the canvas seen through `view`, given `condition`."""

    view: Chain
    condition: Condition

    def through(self, view: View) -> Query:
        """The same question about a canvas that is itself seen through `view`."""
        return Query(chain(view, self.view), self.condition)


Answers = Mapping[Query, Estimate]


class Node(ABC):
    """A noise estimate made of the model's. Frozen and hashable: equal trees are one."""

    @abstractmethod
    def queries(self) -> tuple[Query, ...]:
        """The questions this estimate has for the model, without repeats."""

    @abstractmethod
    def combine(self, x: Float[Tensor, "b c h w"], level: Level, answers: Answers) -> Estimate:
        """The estimate for canvases x, from the answers to its questions."""

    def share(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """How much its variance counts in a sum, pixel by pixel: all the same, unless it is about a region."""
        return torch.ones_like(x)


@dataclass(frozen=True)
class Predict(Node):
    """The model's own estimate under a condition."""

    condition: Condition = None

    def queries(self) -> tuple[Query, ...]:
        """One question."""
        return (Query(IDENTITY, self.condition),)

    def combine(self, x: Float[Tensor, "b c h w"], level: Level, answers: Answers) -> Estimate:
        """Its answer."""
        del x, level
        return answers[Query(IDENTITY, self.condition)]


@dataclass(frozen=True)
class Guided(Node):
    """Classifier-free guidance, ε_u + γ(ε_c − ε_u) (Ho & Salimans 2022, in the course's γ); the variance is ε_c's."""

    conditional: Node
    unconditional: Node
    scale: Weight

    def queries(self) -> tuple[Query, ...]:
        """Those of both branches."""
        return _unique(self.conditional, self.unconditional)

    def combine(self, x: Float[Tensor, "b c h w"], level: Level, answers: Answers) -> Estimate:
        """ε_u + γ(ε_c − ε_u)."""
        c = self.conditional.combine(x, level, answers)
        u = self.unconditional.combine(x, level, answers)
        return Estimate(u.eps + weight_at(self.scale, level) * (c.eps - u.eps), c.variance)


@dataclass(frozen=True)
class Sum(Node):
    """Σ wᵢ εᵢ: means, compositions of prompts, negation. Variances are averaged by the weights' magnitudes.

    A term about a region counts in its region (`Node.share`).
    """

    terms: tuple[tuple[Weight, Node], ...]

    def queries(self) -> tuple[Query, ...]:
        """Those of all terms."""
        return _unique(*(node for _, node in self.terms))

    def combine(self, x: Float[Tensor, "b c h w"], level: Level, answers: Answers) -> Estimate:
        """The weighted sum."""
        parts = [(weight_at(weight, level), node, node.combine(x, level, answers)) for weight, node in self.terms]
        eps = torch.stack([weight * part.eps for weight, _, part in parts]).sum(0)
        known = [(abs(weight) * node.share(x), p.variance) for weight, node, p in parts if p.variance is not None]
        total = sum((share for share, _ in known), torch.zeros_like(x))
        if not total.all():  # none is known, or all weights are 0
            return Estimate(eps)
        return Estimate(eps, torch.stack([share / total * variance for share, variance in known]).sum(0))


@dataclass(frozen=True)
class Viewed(Node):
    """A⁻¹ ε(A x): the estimate of what is seen through a view, brought back."""

    view: View
    node: Node

    def queries(self) -> tuple[Query, ...]:
        """Those of the node, seen through the view."""
        return tuple(query.through(self.view) for query in self.node.queries())

    def combine(self, x: Float[Tensor, "b c h w"], level: Level, answers: Answers) -> Estimate:
        """The node's estimate at A x, brought back."""
        seen = {query: answers[query.through(self.view)] for query in self.node.queries()}
        inner = self.node.combine(self.view(x), level, seen)
        variance = None if inner.variance is None else self.view.inverse_magnitude(inner.variance)
        return Estimate(self.view.inverse(inner.eps), variance)

    def share(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """That of the node, brought back."""
        return self.view.inverse_magnitude(self.node.share(self.view(x)))


@dataclass(frozen=True)
class Filtered(Node):
    """L ε: a band of an estimate."""

    filter: Filter
    node: Node

    def queries(self) -> tuple[Query, ...]:
        """Those of the node."""
        return self.node.queries()

    def combine(self, x: Float[Tensor, "b c h w"], level: Level, answers: Answers) -> Estimate:
        """The filtered estimate; a variance is left as it is."""
        inner = self.node.combine(x, level, answers)
        return Estimate(self.filter(inner.eps), inner.variance)

    def share(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """That of the filter."""
        return self.filter.share(x)


@dataclass(frozen=True)
class Thresholded(Node):
    """An estimate whose x̂₀ is brought into the pixel range [low, high]."""

    node: Node
    low: float = -1.0
    high: float = 1.0

    def queries(self) -> tuple[Query, ...]:
        """Those of the node."""
        return self.node.queries()

    def combine(self, x: Float[Tensor, "b c h w"], level: Level, answers: Answers) -> Estimate:
        """The noise that the thresholded x̂₀ implies."""
        inner = self.node.combine(x, level, answers)
        x0 = self.threshold(x0_from_eps(x, inner.eps, level))
        return Estimate(eps_from_x0(x, x0, level), inner.variance, x0)

    @abstractmethod
    def threshold(self, x0: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The estimate of the clean pictures, inside the range."""


@dataclass(frozen=True)
class Clipped(Thresholded):
    """Static thresholding: x̂₀ clipped to the range."""

    def threshold(self, x0: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Values outside are cut off."""
        return x0.clamp(self.low, self.high)


@dataclass(frozen=True)
class DynamicallyThresholded(Thresholded):
    """Dynamic thresholding (Saharia et al. 2022, section 2.3): x̂₀ clipped to ±s and divided by s, image by image.

    s is the `quantile` of |x̂₀|, no less than 1 and no more than `largest`; x̂₀ is measured in units where the pixel
    range is [−1, 1].
    """

    quantile: float = 0.95
    largest: float = 1.5

    def threshold(self, x0: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Values are scaled down where many are outside."""
        middle, radius = (self.high + self.low) / 2, (self.high - self.low) / 2
        unit = (x0 - middle) / radius
        s = torch.quantile(unit.abs().flatten(1), self.quantile, dim=1).clamp(1, self.largest)[:, None, None, None]
        return middle + radius * (unit.clamp(-s, s) / s)


def _unique(*nodes: Node) -> tuple[Query, ...]:
    return tuple(dict.fromkeys(query for node in nodes for query in node.queries()))


def guided(prompt: Condition, *, scale: Weight | RampEnds, negative: Condition = None) -> Node:
    """The estimate for a prompt under guidance `scale` (γ), away from `negative`.

    γ = 1 is the conditional estimate and asks nothing else; γ = 0 the unconditional (or negative) one. A ramp, or its
    ends, guides by another γ at every level.
    """
    scale = make_weight(scale)
    if scale == 1 or prompt == negative:
        return Predict(prompt)
    if scale == 0:
        return Predict(negative)
    return Guided(Predict(prompt), Predict(negative), scale)


def anagram(nodes: Sequence[Node], views: Sequence[View]) -> Node:
    """The mean of estimates, each of the canvas seen through its view (Geng et al. 2024, eq. 4).

    Raises ValueError when there is not one view for each estimate.
    """
    if len(nodes) != len(views) or not nodes:
        raise ValueError(f"an anagram wants one view for each prompt, not {len(views)} for {len(nodes)}")
    weight = 1 / len(nodes)
    return Sum(tuple((weight, Viewed(view, node)) for node, view in zip(nodes, views, strict=True)))


def factorized(nodes: Sequence[Node], filters: Sequence[Filter]) -> Node:
    """Σ Lᵢ εᵢ: an estimate for each component of a picture (Geng et al. 2024, "Factorized diffusion", section 3.2).

    Raises ValueError when there is not one filter for each estimate, or the filters do not sum to the identity.
    """
    if len(nodes) != len(filters) or not nodes:
        raise ValueError(f"a factorized estimate wants one filter for each prompt, not {len(filters)} for {len(nodes)}")
    if not sum_to_identity(filters):
        raise ValueError("the filters do not sum to the identity, so their components do not make a picture")
    return Sum(tuple((1.0, Filtered(each, node)) for node, each in zip(nodes, filters, strict=True)))


def hybrid(far: Node, near: Node, *, sigma: float, kernel: int | None = None) -> Node:
    """Low frequencies of one estimate, high ones of another (Geng et al. 2024, "Factorized diffusion", section 3.2).

    `sigma` in pixels is the Gaussian's that parts them.
    """
    return factorized((far, near), (LowPass(sigma, kernel), HighPass(sigma, kernel)))
