"""Canvases larger than the model, of any aspect: the model sees them crop by crop."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from sfumato.core.estimates import Filtered, Node, Sum, Viewed
from sfumato.core.filters import Mask
from sfumato.core.views import View


@dataclass(frozen=True)
class Crop(View):
    """The part of a canvas that a model sees: `height` × `width` pixels whose corner is at (top, left).

    Its rows are orthonormal, so noise stays white (A Aᵀ = 1), but it forgets what is outside: Aᵀ A is not 1. So it is
    no view of an anagram, and makes an estimate only in a sum of crops whose weights sum to 1 at every pixel, such as
    `panorama`.
    """

    name: ClassVar[str] = "crop"

    top: int
    left: int
    height: int
    width: int
    canvas_height: int
    canvas_width: int

    def __post_init__(self) -> None:
        down = 0 <= self.top < self.top + self.height <= self.canvas_height
        if not down or not 0 <= self.left < self.left + self.width <= self.canvas_width:
            raise ValueError(f"{self} is not inside its canvas")

    @property
    def flaw(self) -> str:
        """Why it cannot make an anagram."""
        return "forgets what is outside it; it works in a sum of crops whose weights sum to 1, such as a panorama"

    def __call__(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
        """A x: the crop. Raises ValueError for a canvas of another size."""
        if x.shape[-2:] != (self.canvas_height, self.canvas_width):
            raise ValueError(f"{self} is one of another canvas than {x.shape[-2]}×{x.shape[-1]}")
        return x[..., self.top : self.top + self.height, self.left : self.left + self.width]

    def inverse(self, y: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
        """Aᵀ y: the crop in its place, 0 around it."""
        right = self.canvas_width - self.left - self.width
        below = self.canvas_height - self.top - self.height
        return F.pad(y, (self.left, right, self.top, below))


def panorama(node: Node, *, canvas: tuple[int, int], model: tuple[int, int], overlap: float = 0.5) -> Node:
    """Σ Mᵢ Aᵢᵀ ε(Aᵢ x) over crops Aᵢ of the model's size, with weights Mᵢ that sum to 1 at every pixel.

    (Bar-Tal et al. 2023, "MultiDiffusion", their panoramas, there with equal weights.)

    `canvas` and `model` are (height, width), `overlap` the least share of a crop that the next one repeats. The
    weights fall smoothly to the borders of crops, so that no seams are seen; without overlap the crops are
    independent. Where several canvases of the same tree are sampled together, the same crops run in one forward.

    Raises ValueError for a canvas smaller than the model, and an overlap that is not at least 0 and below 1.
    """
    if not 0 <= overlap < 1:
        raise ValueError(f"crops overlap by at least 0 and less than 1 of their size, not {overlap:g}")
    if canvas[0] < model[0] or canvas[1] < model[1]:
        raise ValueError(
            f"a canvas of {canvas[0]}×{canvas[1]} pixels is smaller than the model's {model[0]}×{model[1]}"
        )
    rows, columns = (list(_spread(*sizes, overlap)) for sizes in zip(canvas, model, strict=True))
    terms: list[tuple[float, Node]] = []
    for top, down in rows:
        for left, across in columns:
            # Weighted inside the crop, which is the same and takes no more memory than the crop.
            weighted = Filtered(Mask(torch.outer(down, across)[None]), node)
            terms.append((1.0, Viewed(Crop(top, left, *model, *canvas), weighted)))
    return Sum(tuple(terms))


def _spread(whole: int, part: int, overlap: float) -> Iterator[tuple[int, Float[Tensor, " part"]]]:
    """Where parts begin that cover the whole evenly, and for each its weights: over all parts they sum to 1."""
    steps = math.ceil((whole - part) / max(1, round(part * (1 - overlap))))
    begins = [round(k * (whole - part) / max(1, steps)) for k in range(steps + 1)]
    hill = torch.sin(math.pi * (torch.arange(part, dtype=torch.float64) + 0.5) / part) ** 2
    total = torch.zeros(whole, dtype=torch.float64)
    for begin in begins:
        total[begin : begin + part] += hill
    for begin in begins:
        yield begin, hill / total[begin : begin + part]
