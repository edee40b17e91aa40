"""Training data: pictures in memory, in a fixed order, and the order in which an epoch visits them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int, Shaped, UInt8
from torch import Tensor
from torch.nn import functional as F

from sfumato.core.noise import stream


@dataclass(frozen=True)
class Batch:
    """What one step of a training sees of its data."""

    pictures: Float[Tensor, "b c h w"]
    """In the pixel range of the data."""
    conditions: Shaped[Tensor, "b k"]
    """Each picture's condition as a network reads it: a one-hot class, or the tokens of a caption. Zero is nothing."""


@runtime_checkable
class TrainingData(Protocol):
    """What a training needs of its data."""

    @property
    def name(self) -> str:
        """Of the data set."""
        ...

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of its pictures."""
        ...

    @property
    def pixel_range(self) -> tuple[float, float]:
        """The values of black and white."""
        ...

    @property
    def fingerprint(self) -> str:
        """SHA-256 over all that a training sees of it: tells a resumed run that its data are the same."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """What its conditions are made of: the classes, or the words of the captions."""
        ...

    def prompts(self, n: int) -> list[str | None]:
        """n conditions worth a look in a sheet of samples; None where there is nothing to ask for."""
        ...

    @property
    def facts(self) -> dict[str, Any]:
        """What a file of weights says of the data it was trained on, beside their name: plain data."""
        ...

    def __len__(self) -> int:
        """Pictures in an epoch."""
        ...

    def batch(self, index: Int[Tensor, " b"], generator: torch.Generator, device: torch.device) -> Batch:
        """The pictures of these numbers on `device`. What is drawn at random (captions, crops) is drawn here."""
        ...


@dataclass(frozen=True)
class ImageData:
    """A data set of equally sized pictures, resident in memory."""

    name: str
    images: UInt8[Tensor, "n c h w"]
    """0 … 255."""
    labels: Int[Tensor, " n"]
    """Index into `classes`; all zero where there are none."""
    classes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return self.images.shape[0]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        _, channels, height, width = self.images.shape
        return channels, height, width

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over shape, pixels and labels: tells a resumed run that its data are the same."""
        digest = hashlib.sha256(repr((tuple(self.images.shape), self.classes)).encode())
        digest.update(self.images.contiguous().numpy().tobytes())
        digest.update(self.labels.contiguous().numpy().tobytes())
        return digest.hexdigest()

    @property
    def names(self) -> tuple[str, ...]:
        """The classes."""
        return self.classes

    @property
    def facts(self) -> dict[str, Any]:
        """Nothing: the network says which classes there are."""
        return {}

    def prompts(self, n: int) -> list[str | None]:
        """The classes in turn."""
        return [self.classes[k % len(self.classes)] if self.classes else None for k in range(n)]

    @property
    def pixel_range(self) -> tuple[float, float]:
        """The networks of the course read [0, 1]."""
        return 0.0, 1.0

    def batch(self, index: Int[Tensor, " b"], generator: torch.Generator, device: torch.device) -> Batch:
        """The pictures as they are, with their classes one-hot."""
        del generator
        one_hot = F.one_hot(self.labels[index], max(1, len(self.classes))).float()
        return Batch(self.pixels(index).to(device), one_hot.to(device))

    def pixels(self, index: Int[Tensor, " b"]) -> Float[Tensor, "b c h w"]:
        """Pictures as the networks of the course read them, in [0, 1]."""
        return self.images[index].float() / 255

    def take(self, n: int) -> ImageData:
        """The first n pictures."""
        return ImageData(self.name, self.images[:n], self.labels[:n], self.classes)


def epoch_order(n: int, seed: int, epoch: int) -> Int[Tensor, " n"]:
    """The order in which epoch `epoch` visits n pictures."""
    return torch.randperm(n, generator=stream(seed, "order", epoch))
