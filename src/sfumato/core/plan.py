"""Asking the model: the queries of many images as one batched forward a step."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from sfumato.core.estimates import Condition, Denoiser, Estimate, Node, Query
from sfumato.core.levels import Level, x0_from_eps
from sfumato.core.views import Chain


class Plan:
    """The questions of a batch of images, one tree an image, as rows of one forward.

    Images with equal trees are combined together, and all that is asked about one canvas stands together, so that the
    model sees it once.
    """

    def __init__(self, trees: Sequence[Node]) -> None:
        images: dict[Node, list[int]] = {}
        for image, tree in enumerate(trees):
            images.setdefault(tree, []).append(image)
        self._views: list[tuple[Chain, list[int]]] = []
        """The canvases of the forward: each view, and the images that are seen through it."""
        self._conditions: list[Condition] = []
        self._of: list[int] = []
        """For each row what is asked, and the canvas that it is about."""
        self._groups: list[tuple[Node, list[int], dict[Query, slice]]] = []
        """Each tree, its images, and the rows that answer its questions."""
        canvases = 0
        for tree, members in images.items():
            places: dict[Query, slice] = {}
            for view, asked in _by_view(tree.queries()).items():
                first, count = len(self._of), len(members) * len(asked)
                for k, condition in enumerate(asked):
                    places[Query(view, condition)] = slice(first + k, first + count, len(asked))
                self._views.append((view, members))
                self._conditions += asked * len(members)
                self._of += [canvas for canvas in range(canvases, canvases + len(members)) for _ in asked]
                canvases += len(members)
            self._groups.append((tree, members, places))

    @property
    def rows(self) -> int:
        """Rows of the batched forward."""
        return len(self._of)

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
        answers = self._ask(
            denoiser, torch.cat([view(whole[images]) for view, images in self._views]), level, row_limit
        )

        eps, variance, x0 = torch.empty_like(x), None, None
        for tree, images, places in self._groups:
            combined = tree.combine(x[images], level, {query: _rows(answers, at) for query, at in places.items()})
            eps[images] = combined.eps
            if combined.variance is not None:
                variance = torch.zeros_like(x) if variance is None else variance
                variance[images] = combined.variance
            if combined.x0 is not None:
                x0 = x0_from_eps(x, eps, level) if x0 is None else x0
                x0[images] = combined.x0
            elif x0 is not None:
                x0[images] = x0_from_eps(x[images], combined.eps, level)
        return Estimate(eps, variance, x0)

    def _ask(
        self, denoiser: Denoiser, canvases: Float[Tensor, "v c h w"], level: Level, row_limit: int | None
    ) -> Estimate:
        """The answers, a row for each question."""
        limit = row_limit or self.rows
        parts = []
        for start in range(0, self.rows, limit):
            of = self._of[start : start + limit]
            seen = canvases[of[0] : of[-1] + 1]
            parts.append(denoiser(seen, self._conditions[start : start + limit], level, [at - of[0] for at in of]))
        variances = [part.variance for part in parts if part.variance is not None]
        return Estimate(torch.cat([part.eps for part in parts]), torch.cat(variances) if variances else None)


def _by_view(queries: Sequence[Query]) -> dict[Chain, list[Condition]]:
    """What is asked through each view."""
    seen: dict[Chain, list[Condition]] = {}
    for query in queries:
        seen.setdefault(query.view, []).append(query.condition)
    return seen


def _rows(estimate: Estimate, rows: slice) -> Estimate:
    return Estimate(estimate.eps[rows], None if estimate.variance is None else estimate.variance[rows])
