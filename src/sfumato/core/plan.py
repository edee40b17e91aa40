"""Asking the model: the queries of many images as one batched forward a step."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from sfumato.core.estimates import Condition, Denoiser, Estimate, Node, Query
from sfumato.core.levels import Level, x0_from_eps


class Plan:
    """The questions of a batch of images, one tree an image, as rows of one forward.

    Images with equal trees are combined together.
    """

    def __init__(self, trees: Sequence[Node]) -> None:
        groups: dict[Node, list[int]] = {}
        for row, tree in enumerate(trees):
            groups.setdefault(tree, []).append(row)
        self._groups = [(tree, rows, tree.queries()) for tree, rows in groups.items()]

    @property
    def rows(self) -> int:
        """Rows of the batched forward."""
        return sum(len(rows) * len(queries) for _, rows, queries in self._groups)

    @torch.no_grad()
    def estimate(
        self,
        denoiser: Denoiser,
        x: Float[Tensor, "b c h w"],
        level: Level,
        row_limit: int | None = None,
        guide: Float[Tensor, "b g h w"] | None = None,
    ) -> Estimate:
        """The estimate for each image, in one forward, or in several of at most `row_limit` rows.

        The model sees the channels of a `guide` after those of the canvas, through the same view.
        """
        whole = x if guide is None else torch.cat([x, guide], dim=1)
        views = [query.view(whole[rows]) for _, rows, queries in self._groups for query in queries]
        conditions = [q.condition for _, rows, queries in self._groups for q in queries for _ in rows]
        answers = _forward(denoiser, torch.cat(views), conditions, level, row_limit)

        eps, variance, x0 = torch.empty_like(x), None, None
        start = 0
        for tree, rows, queries in self._groups:
            answered: dict[Query, Estimate] = {}
            for query in queries:
                answered[query] = _rows(answers, slice(start, start + len(rows)))
                start += len(rows)
            combined = tree.combine(x[rows], level, answered)
            eps[rows] = combined.eps
            if combined.variance is not None:
                variance = torch.zeros_like(x) if variance is None else variance
                variance[rows] = combined.variance
            if combined.x0 is not None:
                x0 = x0_from_eps(x, eps, level) if x0 is None else x0
                x0[rows] = combined.x0
            elif x0 is not None:
                x0[rows] = x0_from_eps(x[rows], combined.eps, level)
        return Estimate(eps, variance, x0)


def _rows(estimate: Estimate, rows: slice) -> Estimate:
    return Estimate(estimate.eps[rows], None if estimate.variance is None else estimate.variance[rows])


def _forward(
    denoiser: Denoiser,
    x: Float[Tensor, "r c h w"],
    conditions: Sequence[Condition],
    level: Level,
    row_limit: int | None,
) -> Estimate:
    limit = row_limit or len(x)
    parts = [
        denoiser(x[start : start + limit], conditions[start : start + limit], level)
        for start in range(0, len(x), limit)
    ]
    variances = [part.variance for part in parts if part.variance is not None]
    return Estimate(torch.cat([part.eps for part in parts]), torch.cat(variances) if variances else None)
