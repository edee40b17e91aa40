"""What a view is, and chains of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from sfumato.core.arguments import spell


class View(ABC):
    """A linear map A of pictures with A⁻¹ = Aᵀ, as a frozen, hashable value that knows no size.

    Subclasses are dataclasses: positional fields are the values of their text form, keyword-only ones its settings.
    """

    name: ClassVar[str]
    """What its text form begins with."""

    @abstractmethod
    def __call__(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
        """A x: what one sees through the view. Raises ValueError for a canvas that it does not fit."""

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

    @property
    def flaw(self) -> str:
        """Why it cannot make an anagram; empty where it can."""
        return ""

    @property
    def sound(self) -> bool:
        """Whether it can make an anagram. `sfumato.core.views.check` measures it."""
        return not self.flaw

    def __str__(self) -> str:
        """What `parse_view` reads, all its settings said."""
        return spell(self.name, self)


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

    @property
    def flaw(self) -> str:
        """That of the first flawed part."""
        return next((view.flaw for view in self.views if view.flaw), "")

    def __str__(self) -> str:
        return "+".join(map(str, self.views)) or "identity"


def chain(*views: View) -> Chain:
    """The views one after the other, chains in them laid open."""
    return Chain(tuple(part for view in views for part in view.parts))


IDENTITY = Chain()
