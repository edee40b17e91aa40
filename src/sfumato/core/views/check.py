"""Whether a view can make an anagram, measured before any compute is spent.

Three things are asked of a view A (Geng et al. 2024, "Visual anagrams", section 3.3): that it is linear, so that of
alpha·x₀ + sigma·ε it shows alpha·A x₀ + sigma·A ε; that white noise seen through it is white noise, A Aᵀ = 1; and that
there is a way back for the answer, A⁻¹.
"""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sfumato.core.views.base import View

_TOLERANCE = 1e-9
"""What is 0 in float64."""
_MOST = 1024
"""Rows of a matrix whose singular values take less than a second."""


@dataclass(frozen=True)
class Report:
    """What was measured of a view; errors are relative, 0 is exact."""

    view: str
    shape: tuple[int, int, int]
    linearity_error: float
    """‖A(a x + b y) − a A x − b A y‖."""
    inverse_error: float
    """‖A⁻¹ A x − x‖."""
    orthogonality_error: float
    """‖A Aᵀ − 1‖ of the matrix, or ‖A Aᵀ y − y‖ of a few pictures, whichever is more."""
    condition: float | None
    """The matrix's largest singular value over its smallest; None where no canvas small enough for one fits."""
    noise_std: tuple[float, ...]
    """Of white noise of standard deviation 1 seen through it, for each channel."""
    noise_correlation: float
    """Between its neighbours, side by side or above each other, whichever is more."""
    sound: bool
    """Whether it is linear, keeps white noise white and can be undone."""
    verdict: str
    """What the numbers mean, in a sentence."""


def check(view: View, shape: tuple[int, int, int] = (3, 16, 16)) -> Report:
    """Measure a view on canvases of this shape, in float64. Raises ValueError where it does not fit them.

    Its matrix is that of this canvas or, where that is too large, of the largest small square that the view fits.
    """
    pictures = _noise(8, shape).requires_grad_()
    seen = view(pictures)
    # The gradient of ⟨A x, y⟩ is Aᵀ y, whatever the view says that its inverse is.
    others = _noise(8, tuple(seen.shape[1:]))
    (transposed,) = torch.autograd.grad(seen, pictures, others)
    orthogonality, condition = _error(view(transposed), others), None

    pictures, seen = pictures.detach(), seen.detach()
    x, y = pictures[:1], pictures[1:2]
    linearity = _error(view(0.7 * x - 1.3 * y), 0.7 * seen[:1] - 1.3 * seen[1:2])
    inverse = _error(view.inverse(seen), pictures)
    matrix = _matrix(view, shape)
    if matrix is not None:
        values = torch.linalg.svdvals(matrix)
        orthogonality = max(orthogonality, float((values**2 - 1).abs().max()))
        # No further than float64 can tell.
        condition = float(values[0] / values[-1].clamp(min=torch.finfo(values.dtype).eps * values[0]))
    std, correlation = _through(view, shape)
    errors = (linearity, inverse, orthogonality)
    return Report(
        str(view),
        shape,
        *errors,
        condition,
        std,
        correlation,
        sound=max(errors) <= _TOLERANCE,
        verdict=_verdict(*errors, std, correlation),
    )


def _matrix(view: View, shape: tuple[int, int, int]) -> Float[Tensor, "n m"] | None:
    """A, as what it makes of each pixel alone."""
    channels = shape[0]
    small = [(channels, side, side) for side in range(math.isqrt(_MOST // channels), 0, -1)]
    for size in [shape] if math.prod(shape) <= _MOST else small:
        pixels = torch.eye(math.prod(size), dtype=torch.float64).view(-1, *size)
        with contextlib.suppress(ValueError):  # it does not fit this one
            return view(pixels).flatten(1).T
    return None


def _through(view: View, shape: tuple[int, int, int]) -> tuple[tuple[float, ...], float]:
    """Standard deviation and correlation of neighbours of white noise seen through the view, over a million pixels."""
    seen = view(_noise(max(1, 2**20 // math.prod(shape)), shape))
    power = seen.square().mean()
    beside, above = (seen[..., 1:] * seen[..., :-1]), (seen[..., 1:, :] * seen[..., :-1, :])
    correlations = [float(products.sum() / max(1, products.numel()) / power) for products in (beside, above)]
    return tuple(seen.square().mean((0, 2, 3)).sqrt().tolist()), max(correlations, key=abs)


def _verdict(linearity: float, inverse: float, orthogonality: float, std: tuple[float, ...], correlation: float) -> str:
    lost = f"the answer does not come back (A⁻¹ A x is off by {inverse:.0%})"
    if linearity > _TOLERANCE:
        return "it is not linear, so what it shows of a noised picture is no noised picture"
    if orthogonality > _TOLERANCE:
        deviations = std if max(std) - min(std) > 0.02 else (sum(std) / len(std),)
        noise = f"standard deviation {', '.join(f'{each:.2f}' for each in deviations)}"
        if abs(correlation) > 0.01:
            noise += f" and neighbours that correlate by {correlation:.2f}"
        also = f"; and {lost}" if inverse > _TOLERANCE else ""
        return f"white noise seen through it has {noise}, which the model was not trained on{also}"
    if inverse > _TOLERANCE:
        return lost
    way_back = "the way back is exact, bit for bit" if inverse == 0 else "there is a way back"
    return f"it is linear, white noise stays white, and {way_back}"


def _noise(n: int, shape: tuple[int, ...]) -> Float[Tensor, "n c h w"]:
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def _error(found: Tensor, wanted: Tensor) -> float:
    return float((found - wanted).norm() / wanted.norm())
