"""Linear maps L of a noise estimate. Filters that sum to the identity split a picture into components, for hybrids."""

from sfumato.core.filters.base import Filter, Residual, Series
from sfumato.core.filters.blurs import HighPass, LowPass, MotionBlur, gaussian
from sfumato.core.filters.factors import (
    FACTORS,
    Factors,
    colour,
    frequency,
    motion,
    parse_factors,
    regions,
    scale,
    sum_to_identity,
    triple,
)
from sfumato.core.filters.pixelwise import Colour, Grey, Mask, Scale

__all__ = [
    "FACTORS",
    "Colour",
    "Factors",
    "Filter",
    "Grey",
    "HighPass",
    "LowPass",
    "Mask",
    "MotionBlur",
    "Residual",
    "Scale",
    "Series",
    "colour",
    "frequency",
    "gaussian",
    "motion",
    "parse_factors",
    "regions",
    "scale",
    "sum_to_identity",
    "triple",
]
