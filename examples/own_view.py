"""A view of your own, as a value: the lower half mirrored. It is measured before it is used."""

from dataclasses import dataclass
from typing import ClassVar

import torch

import sfumato as sf
from sfumato.core.views import IDENTITY, View
from sfumato.core.views.check import check


@dataclass(frozen=True)
class Twist(View):
    """Left and right exchanged in the lower half. It is its own inverse."""

    name: ClassVar[str] = "twist"

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """What one sees through it."""
        upper, lower = x.chunk(2, dim=-2)
        return torch.cat([upper, lower.flip(-1)], dim=-2)

    def inverse(self, y: torch.Tensor) -> torch.Tensor:
        """The way back."""
        return self(y)


report = check(Twist(), (1, 28, 28))
print(report.verdict)
assert report.sound

model = sf.load("digits")
tree = sf.anagram([sf.guided("3", scale=5), sf.guided("2", scale=5)], [IDENTITY, Twist()])
pictures = sf.sample(model, tree, seeds=range(6))
sf.sheet(torch.cat([pictures, Twist()(pictures)]), columns=6).save("twisted.png")
