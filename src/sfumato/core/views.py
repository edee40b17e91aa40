"""Views: orthogonal maps of the canvas, such as a turn. A picture read through its views is a visual anagram.

A view A must be invertible and keep white noise white (A Aᵀ = 1), or the noise estimate it brings back is not one
(Geng et al. 2024, section 3.3). Every view here is a signed permutation of pixels, so it is exact.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


class View(ABC):
    """A linear map A of pictures with A⁻¹ = Aᵀ. Its string is what `parse_view` reads."""

    @abstractmethod
    def __call__(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
        """A x: what one sees through the view."""

    @abstractmethod
    def inverse(self, y: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
        """A⁻¹ y."""

    def inverse_magnitude(self, y: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
        """|A|⁻¹ y: how a variance travels back, which a change of sign leaves alone."""
        return self.inverse(y)

    @property
    def parts(self) -> tuple[View, ...]:
        """The simple views that this one is a chain of."""
        return (self,)


@dataclass(frozen=True)
class Chain(View):
    """Views one after the other, the first one first. The empty chain is the identity."""

    views: tuple[View, ...] = ()

    def __call__(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
        """A x."""
        for view in self.views:
            x = view(x)
        return x

    def inverse(self, y: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
        """A⁻¹ y."""
        for view in reversed(self.views):
            y = view.inverse(y)
        return y

    def inverse_magnitude(self, y: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
        """|A|⁻¹ y."""
        for view in reversed(self.views):
            y = view.inverse_magnitude(y)
        return y

    @property
    def parts(self) -> tuple[View, ...]:
        """The views of the chain."""
        return self.views

    def __str__(self) -> str:
        return "+".join(map(str, self.views)) or "identity"


def chain(*views: View) -> Chain:
    """The views one after the other, chains in them laid open."""
    return Chain(tuple(part for view in views for part in view.parts))


IDENTITY = Chain()


@dataclass(frozen=True)
class Flip(View):
    """Upside down: rows in reverse order."""

    def __call__(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """A x."""
        return x.flip(-2)

    def inverse(self, y: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """A⁻¹ y = A y."""
        return self(y)

    def __str__(self) -> str:
        return "flip"


@dataclass(frozen=True)
class Mirror(View):
    """Left and right exchanged: columns in reverse order."""

    def __call__(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """A x."""
        return x.flip(-1)

    def inverse(self, y: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """A⁻¹ y = A y."""
        return self(y)

    def __str__(self) -> str:
        return "mirror"


@dataclass(frozen=True)
class Rotate(View):
    """Turned counter-clockwise by 90, 180 or 270 degrees."""

    degrees: int = 180

    def __post_init__(self) -> None:
        if self.degrees not in {90, 180, 270}:
            raise ValueError(f"rotate:{self.degrees} would mix pixels; choose one of 90, 180, 270")

    def __call__(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
        """A x."""
        return torch.rot90(x, self.degrees // 90, (-2, -1))

    def inverse(self, y: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
        """A⁻¹ y."""
        return torch.rot90(y, -self.degrees // 90, (-2, -1))

    def __str__(self) -> str:
        return f"rotate:{self.degrees}"


@dataclass(frozen=True)
class Negate(View):
    """Every value with the opposite sign. White becomes black where the model's pixel range is symmetric about 0."""

    def __call__(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """A x."""
        return -x

    def inverse(self, y: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """A⁻¹ y = A y."""
        return self(y)

    def inverse_magnitude(self, y: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """|A|⁻¹ y = y."""
        return y

    def __str__(self) -> str:
        return "negate"


def _plain(view: View) -> Callable[[str], View]:
    def make(argument: str) -> View:
        if argument:
            raise ValueError(f"view {view} takes no argument, not {argument!r}")
        return view

    return make


def _rotate(argument: str) -> View:
    if not argument.isdecimal():
        raise ValueError(f"rotate wants its degrees, as in rotate:90, not {argument!r}")
    return Rotate(int(argument))


VIEWS: dict[str, Callable[[str], View]] = {
    "identity": _plain(IDENTITY),
    "flip": _plain(Flip()),
    "mirror": _plain(Mirror()),
    "rotate": _rotate,
    "negate": _plain(Negate()),
}
"""Every view by name, as a function of the text after its colon."""


def parse_view(text: str) -> View:
    """A view from its string: a name with its argument, or a chain such as `rotate:90+negate`, first one first.

    Raises ValueError, with the known names, for anything else.
    """
    parts = []
    for part in text.split("+"):
        name, _, argument = part.strip().partition(":")
        if name not in VIEWS:
            raise ValueError(f"unknown view {name!r}; choose one of {', '.join(VIEWS)}, or a chain such as flip+negate")
        parts.append(VIEWS[name](argument))
    return chain(*parts)
