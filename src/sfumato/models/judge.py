"""A small convolutional classifier of small pictures: the network inside an evaluation's judge."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

LEAST = 16
"""Pixels of a side that a judge needs."""


class JudgeConv(nn.Sequential):
    """3×3 convolution without bias, batch normalisation, ReLU."""

    def __init__(self, inputs: int, outputs: int, padding: int = 1) -> None:
        # Batch normalisation has a bias of its own.
        convolution = nn.Conv2d(inputs, outputs, 3, padding=padding, bias=False)
        super().__init__(convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


class JudgeNet(nn.Module):
    """Six convolutions at 28, 14, 7 and 5 px, a vector of `features` numbers, and a linear layer of `classes` logits.

    Of pictures with more than 40 pixels there is one more before them for each time that the size has to be halved.
    The last map is averaged only in part (5×5 → 2×2 overlapping quarters), so that the vector knows where a stroke is:
    it tells a 6 from a 9. 132 thousand parameters with the defaults.

    Raises ValueError for a size under 16, of which nothing would be left.
    """

    def __init__(
        self, classes: int = 10, features: int = 96, dropout: float = 0.1, *, channels: int = 1, size: int = 28
    ) -> None:
        super().__init__()
        if size < LEAST:
            raise ValueError(f"a judge reads pictures of {LEAST} pixels and more, not of {size}")
        self.shape = (channels, size, size)
        first: list[nn.Module] = [JudgeConv(channels, 16), nn.MaxPool2d(2)]
        while size > 40:
            first += [JudgeConv(16, 16), nn.MaxPool2d(2)]
            size //= 2
        self.maps = nn.Sequential(
            *first,
            JudgeConv(16, 32),
            JudgeConv(32, 32),
            nn.MaxPool2d(2),
            JudgeConv(32, 64),
            JudgeConv(64, 64),
            JudgeConv(64, 64, padding=0),
            nn.AdaptiveAvgPool2d(2),
        )
        self.vector = nn.Sequential(nn.Flatten(), nn.Linear(4 * 64, features), nn.ReLU(inplace=True))
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(features, classes)

    def features(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b f"]:
        """The vector before the last layer, not negative, of pictures in [0, 1]: what a Fréchet distance compares."""
        vector: Tensor = self.vector(self.maps(x))
        return vector

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """The logits of the classes, of pictures in [0, 1]."""
        logits: Tensor = self.head(self.dropout(self.features(x)))
        return logits
