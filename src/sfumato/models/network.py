"""What every network of ours is to the rest of the program, and how it is built from plain data."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn

from sfumato.models.onednn import can_lay_out, lay_out

Encoded = tuple[Tensor, ...]
"""A network's own reading of some conditions: tensors whose first axis is the condition. Empty where it has none."""
Seen = tuple[Tensor, ...]
"""What a network sees in some pictures, whatever it is asked of them: tensors whose first axis is the picture."""
NamedAxis = tuple[int, tuple[str, ...]]
"""An axis of a parameter, and what each of its places stands for."""


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
    def see(self, x: Float[Tensor, "b i h w"], time: Float[Tensor, "b 1"] | None = None) -> Seen:
        """All that the network computes from pictures and their times alone, once for all conditions.

        After the pictures' channels come those of their guides where there are any. `time` in [0, 1] is given exactly
        when the network is timed (ValueError else).
        """

    @abstractmethod
    def answer(self, seen: Seen, condition: Encoded) -> Float[Tensor, "r o h w"]:
        """The output from what was seen in the picture and encoded of the condition of each row."""

    def forward(
        self,
        x: Float[Tensor, "b i h w"],
        time: Float[Tensor, "b 1"] | None = None,
        condition: Encoded = (),
        of: Int[Tensor, " r"] | None = None,
    ) -> Float[Tensor, "r o h w"]:
        """The output for each condition: of picture `of[k]` of x for the k-th, by default of its own.

        Raises ValueError when time or condition are not what this network takes.
        """
        if (time is not None) != self.config.timed or bool(condition) != self.config.conditioned:
            takes = {"time": self.config.timed, "condition": self.config.conditioned}
            wanted = " and ".join(f"{'a' if yes else 'no'} {what}" for what, yes in takes.items())
            raise ValueError(f"a {self.config.kind} with {wanted} was called otherwise")
        seen = self.see(x, time)
        return self.answer(seen if of is None else tuple(_gathered(part, of) for part in seen), condition)

    def named_axes(self) -> dict[str, NamedAxis]:
        """The parameters with an axis whose places stand for names, such as classes."""
        return {}

    @torch.no_grad()
    def adopt(self, other: Network) -> None:
        """Take the weights of another network of this architecture, to go on from what it has learned.

        It may have been for other names: those that both know are taken, the others stay as they are. It may also have
        been for pictures of another size, where the weights of the architecture do not depend on that. Raises
        ValueError for a network whose weights do not fit.
        """
        mine, theirs = self.state_dict(), other.state_dict()
        axes, known = self.named_axes(), other.named_axes()
        if mine.keys() != theirs.keys() or axes.keys() != known.keys():
            raise ValueError("it has other layers")
        for key, axis in axes.items():
            theirs[key] = _by_name(mine[key], theirs[key], axis, known[key])
        for key, own in mine.items():
            if theirs[key].shape != own.shape:
                raise ValueError(f"its {key} is {tuple(theirs[key].shape)}, not {tuple(own.shape)}")
        self.load_state_dict(theirs)

    def ready(self, dtype: torch.dtype) -> Network:
        """A copy for sampling alone, with its weights in `dtype`, as fast as the architecture can be made."""
        copied = copy.deepcopy(self).eval().requires_grad_(False).to(dtype)
        if can_lay_out(copied):
            lay_out(copied)
        return copied


def _gathered(part: Shaped[Tensor, "b ..."], of: Int[Tensor, " r"]) -> Shaped[Tensor, "r ..."]:
    """`part[of]`, a third of its time: whole rows are copied as they lie in memory, with channels last too."""
    if part.ndim == 4 and part.is_contiguous(memory_format=torch.channels_last):
        return part.permute(0, 2, 3, 1).index_select(0, of).permute(0, 3, 1, 2)
    return part.index_select(0, of)


def _by_name(own: Tensor, other: Tensor, axis: NamedAxis, known: NamedAxis) -> Tensor:
    """A parameter with the places of the names that another one has too taken from there."""
    dim, names = axis
    places = {name: k for k, name in enumerate(known[1])}
    out = own.clone()
    if out.select(dim, 0).shape != other.select(dim, 0).shape:
        return other
    for k, name in enumerate(names):
        if name in places:
            out.select(dim, k).copy_(other.select(dim, places[name]))
    return out
