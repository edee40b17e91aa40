"""Layers made for sampling on a processor: convolutions and linear layers whose weights are laid out once.

torch convolves by oneDNN, for which it lays out the weights anew in every call: for a picture or two of a wide network
that takes longer than the convolution. oneDNN can keep a layout. torch offers that to its compiler, as operations
`mkldnn::*` of which it promises nothing. So they are tried once: where one is missing or says anything else,
`can_lay_out` is false and networks stay as they are.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from functools import cache
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

OPERATIONS: Any = torch.ops.mkldnn
TOLERANCE = 0.05
"""Of the trial, in numbers of about 1: half precision rounds to 0.008 there."""


class LaidOut(nn.Module, ABC):
    """A layer whose weights are kept as oneDNN wants them for the shape that came last.

    Which layout that is depends on the shape of the input. Laid out for another, a call can take many times as long.
    """

    def __init__(self, plain: nn.Conv2d | nn.Linear) -> None:
        super().__init__()
        self.weight, self.bias = plain.weight, plain.bias
        # A tensor of oneDNN is no buffer: it can't be copied, moved or saved.
        self._kept: tuple[torch.Size, Tensor] | None = None

    @abstractmethod
    def _lay_out(self, shape: torch.Size) -> Tensor:
        """The weight, laid out for an input of a shape."""

    def _weight_for(self, x: Tensor) -> Tensor:
        kept = self._kept
        if kept is None or kept[0] != x.shape:
            self._kept = kept = x.shape, self._lay_out(x.shape)
        return kept[1]


class LaidOutConvolution(LaidOut):
    """A 2-D convolution."""

    def __init__(self, plain: nn.Conv2d) -> None:
        super().__init__(plain)
        self._numbers = list(plain.padding), list(plain.stride), list(plain.dilation), plain.groups

    def _lay_out(self, shape: torch.Size) -> Tensor:
        out: Tensor = OPERATIONS._reorder_convolution_weight(self.weight, *self._numbers, list(shape))
        return out

    def forward(self, x: Float[Tensor, "b i h w"]) -> Float[Tensor, "b o h2 w2"]:
        """The convolution of x."""
        what = x, self._weight_for(x), self.bias, *self._numbers
        out: Tensor = OPERATIONS._convolution_pointwise(*what, "none", [], "")
        return out


class LaidOutLinear(LaidOut):
    """A linear layer."""

    def _lay_out(self, shape: torch.Size) -> Tensor:
        out: Tensor = OPERATIONS._reorder_linear_weight(self.weight, math.prod(shape[:-1]))
        return out

    def forward(self, x: Float[Tensor, "... i"]) -> Float[Tensor, "... o"]:
        """x · Wᵀ + b."""
        out: Tensor = OPERATIONS._linear_pointwise(x, self._weight_for(x), self.bias, "none", [], "")
        return out


def lay_out(network: nn.Module) -> None:
    """Put laid-out layers into a network whose weights will not change again."""
    for name, child in network.named_children():
        if type(child) is nn.Conv2d and child.padding_mode == "zeros" and not isinstance(child.padding, str):
            setattr(network, name, LaidOutConvolution(child))
        elif type(child) is nn.Linear:
            setattr(network, name, LaidOutLinear(child))
        else:
            lay_out(child)


def can_lay_out(network: nn.Module) -> bool:
    """Whether this machine and this torch can do it for a network where it is, in its arithmetic."""
    weight = next(network.parameters())
    return weight.device.type == "cpu" and weight.dtype in (torch.float32, torch.bfloat16) and _works(weight.dtype)


@cache
@torch.no_grad()
def _works(dtype: torch.dtype) -> bool:
    """Whether the operations are there and say what torch's own do."""
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    x = torch.linspace(-1, 1, 2 * 16 * 36, dtype=dtype).view(2, 16, 6, 6).to(memory_format=torch.channels_last)
    convolution, linear = nn.Conv2d(16, 16, 3, padding=1).to(dtype), nn.Linear(6, 16).to(dtype)
    try:
        pairs = [(LaidOutConvolution(convolution)(x), convolution(x)), (LaidOutLinear(linear)(x), linear(x))]
    except (AttributeError, RuntimeError):  # no such operation, or none for these arguments or this processor
        return False
    return all(torch.allclose(one.float(), other.float(), atol=TOLERANCE) for one, other in pairs)
