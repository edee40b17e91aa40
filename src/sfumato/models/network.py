"""What every network of ours is to the rest of the program, and how it is built from plain data."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from jaxtyping import Float, Shaped
from torch import Tensor, nn

Encoded = tuple[Tensor, ...]
"""A network's own reading of some conditions: tensors whose first axis is the condition. Empty where it has none."""


@dataclass(frozen=True)
class NetworkConfig(ABC):
    """What a network is built from: all that a file of weights must say besides the weights."""

    kind: ClassVar[str]
    """The name of the architecture in files."""

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of its pictures."""

    @property
    @abstractmethod
    def timed(self) -> bool:
        """Whether the network is told the noise level."""

    @property
    @abstractmethod
    def conditioned(self) -> bool:
        """Whether the network can be asked for something."""

    @abstractmethod
    def build(self) -> Network:
        """The network, with random weights."""

    def to_dict(self) -> dict[str, Any]:
        """As plain data, for a file."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> NetworkConfig:
        """From plain data. Raises TypeError for an unknown or missing key, ValueError for an impossible number."""
        return cls(**{key: tuple(value) if isinstance(value, list) else value for key, value in data.items()})


class Network(nn.Module, ABC):
    """A network: pictures, the time of their noise level, and encoded conditions to its output."""

    config: NetworkConfig
    classes: tuple[str, ...] = ()
    """The names it can be asked for, where these are a list."""

    @abstractmethod
    def check(self, condition: str, model: str) -> tuple[str, ...]:
        """The words of a condition that the network has never seen; none of a class name.

        Raises UsageError, in the name of `model`, for a condition of which it knows nothing at all.
        """

    @abstractmethod
    def read(self, conditions: Sequence[str | None]) -> Shaped[Tensor, "b k"]:
        """Conditions as rows of numbers, the way training data give them; a row of zeros is nothing."""

    @abstractmethod
    def encode(self, conditions: Shaped[Tensor, "b k"]) -> Encoded:
        """All that the network computes from conditions alone, once for all levels of a run."""

    @abstractmethod
    def forward(
        self, x: Float[Tensor, "b i h w"], time: Float[Tensor, "b 1"] | None = None, condition: Encoded = ()
    ) -> Float[Tensor, "b o h w"]:
        """The output for pictures x, the channels of their guides after their own where there are any.

        `time` in [0, 1] is given exactly when the network is timed (ValueError else).
        """
