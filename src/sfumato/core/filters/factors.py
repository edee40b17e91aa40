"""Factors: filters that sum to the identity, each of which lets one component of a picture through.

What an estimate is for one component need not be what it is for another: that is a hybrid (Geng et al. 2024,
"Factorized diffusion").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from sfumato.core.arguments import build
from sfumato.core.filters.base import Filter, Residual, Series
from sfumato.core.filters.blurs import HighPass, LowPass, MotionBlur
from sfumato.core.filters.pixelwise import Colour, Grey, Mask, Scale

Factors = tuple[Filter, ...]


def frequency(sigmas: tuple[float, ...] = (2.0,), *, kernel: int | None = None) -> Factors:
    """Bands of frequency, the lowest first, parted by Gaussians of growing `sigmas` pixels: one band more than sigmas.

    For σ₁ and σ₂: G₂G₁ x, G₁ x − G₂G₁ x and x − G₁ x. `kernel` is the Gaussians' width (see `LowPass`). Raises
    ValueError for sigmas that do not grow.
    """
    if list(sigmas) != sorted(set(sigmas)):
        raise ValueError(f"the sigmas of bands must grow, not be {', '.join(f'{sigma:g}' for sigma in sigmas)}")
    bands: Factors = ()
    lower: Factors = ()
    for sigma in sigmas:
        bands = (_series(*lower, HighPass(sigma, kernel)), *bands)
        lower = (*lower, LowPass(sigma, kernel))
    return (_series(*lower), *bands)


def triple(sigmas: tuple[float, ...] = (1.0, 2.0), *, kernel: int | None = None) -> Factors:
    """Low, middle and high frequencies. Raises ValueError unless two sigmas part them."""
    if len(sigmas) != 2:
        raise ValueError(f"three bands are parted by 2 sigmas, not {len(sigmas)}")
    return frequency(sigmas, kernel=kernel)


def colour() -> Factors:
    """Greyness and colour."""
    return Grey(), Colour()


def motion(width: int = 7, *, angle: float = -45.0) -> Factors:
    """What stays under a motion blur, and what it takes away."""
    return MotionBlur(width, angle), Residual(MotionBlur(width, angle))


def scale(weights: tuple[float, ...] = (0.5, 0.5)) -> Factors:
    """Weights: a composition of prompts (Liu et al. 2022), or with negative ones a negation.

    Raises ValueError unless they sum to 1.
    """
    if abs(sum(weights) - 1) > 1e-6:
        raise ValueError(f"weights must sum to 1, not to {sum(weights):g}")
    return tuple(map(Scale, weights))


def regions(masks: Sequence[Float[Tensor, "1 h w"]]) -> Factors:
    """Masks: each region has its own estimate, and soft edges blend them.

    Raises ValueError unless they sum to 1 at every pixel.
    """
    filters = tuple(map(Mask, masks))
    if not sum_to_identity(filters):
        raise ValueError("masks must sum to 1 at every pixel; let the last be 1 minus the others")
    return filters


FACTORS: dict[str, Callable[..., Factors]] = {
    "frequency": frequency,
    "triple": triple,
    "colour": colour,
    "motion": motion,
    "scale": scale,
}
"""All that have a text form, by name."""


def parse_factors(text: str) -> Factors:
    """Factors from their string: `frequency:2`, `triple:1,2:kernel=25`, `colour`, `motion:7:angle=45`, `scale:2,-1`.

    Lengths are in pixels; `Filter.enlarged` takes them to larger canvases. Raises ValueError in one line for what is
    unknown, with the names or the form that are known.
    """
    name, _, arguments = text.strip().partition(":")
    if name not in FACTORS:
        raise ValueError(f"unknown factors {name!r}; choose one of {', '.join(FACTORS)}")
    return build(name, FACTORS[name], arguments)


def sum_to_identity(filters: Sequence[Filter]) -> bool:
    """Whether Σ Lᵢ x = x within rounding, tried on white noise. Raises ValueError for masks of different sizes."""
    size = next((each.size for each in filters if each.size), (16, 16))
    x = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return bool((sum((each(x) for each in filters), -x).abs() <= 1e-5 * x.abs().max()).all())


def _series(*filters: Filter) -> Filter:
    return filters[0] if len(filters) == 1 else Series(filters)
