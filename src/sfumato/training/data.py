"""Training data: pictures in memory, in a fixed order, and the order in which an epoch visits them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from sfumato.core.noise import stream


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

    def pixels(self, index: Int[Tensor, " b"]) -> Float[Tensor, "b c h w"]:
        """Pictures as the networks of the course read them, in [0, 1]."""
        return self.images[index].float() / 255

    def take(self, n: int) -> ImageData:
        """The first n pictures."""
        return ImageData(self.name, self.images[:n], self.labels[:n], self.classes)


def epoch_order(n: int, seed: int, epoch: int) -> Int[Tensor, " n"]:
    """The order in which epoch `epoch` visits n pictures."""
    return torch.randperm(n, generator=stream(seed, "order", epoch))
