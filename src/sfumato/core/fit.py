"""Whether an estimate fits a canvas and a model, asked before anything is computed."""

from __future__ import annotations

import torch

from sfumato.core.estimates import Estimate, Node
from sfumato.core.levels import Level


def check_fit(node: Node, canvas: tuple[int, int, int], model: tuple[int, int, int]) -> None:
    """Go through an estimate with nothing in it, for a canvas and a model of these channels, heights and widths.

    Raises ValueError where a view, mask or crop does not fit, or the model would be shown something else than its
    pictures.
    """
    x = torch.zeros(1, *canvas)
    answers = {}
    for query in node.queries():
        seen = query.view(x)
        if tuple(seen.shape[1:]) != model:
            shapes = ["×".join(map(str, shape)) for shape in (seen.shape[1:], model)]
            raise ValueError(f"the model would be shown {shapes[0]} values of the canvas, not its own {shapes[1]}")
        answers[query] = Estimate(seen)
    node.combine(x, Level(0.0, 1.0, 1.0), answers)
