"""Views: orthogonal maps of the canvas, such as a turn. A picture read through its views is a visual anagram.

A view A must be invertible and keep white noise white (A Aᵀ = 1), or the noise estimate it brings back is not one
(Geng et al. 2024, "Visual anagrams", section 3.3). Every sound view here is a signed permutation of pixels, so it is
exact; `core.views.check` measures it.
"""

from sfumato.core.views.base import IDENTITY, Chain, View, chain
from sfumato.core.views.parse import VIEWS, parse_view
from sfumato.core.views.whole import Flip, Mirror, Negate, Rotate

__all__ = ["IDENTITY", "VIEWS", "Chain", "Flip", "Mirror", "Negate", "Rotate", "View", "chain", "parse_view"]
