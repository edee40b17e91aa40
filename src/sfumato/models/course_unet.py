"""The UNet of the course "Fun with Diffusion Models" (UC Berkeley CS180/280A, project 5, part B).

Conv is 3×3, batch normalisation, GELU; DownConv the same with stride 2; UpConv a transposed 4×4 of stride 2. Two
scales down to a quarter of the size, an average over what is left, and back up with skip connections. Conditions enter
after the bottleneck: u ← c₁·u + t₁ at the unflattened vector and v ← c₂·v + t₂ after the first UpBlock.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn


@dataclass(frozen=True)
class CourseUNetConfig:
    """What a course UNet is built from: all that a file of weights must say besides the weights."""

    width: int = 64
    """D: channels at full size."""
    channels: int = 1
    """Channels of the picture."""
    size: int = 28
    """Height and width of the picture in pixels, divisible by 4."""
    time: bool = True
    """Whether the network is told the noise level."""
    classes: tuple[str, ...] = ()
    """Names of the classes it is told, in order; none when it is not class-conditioned."""

    def __post_init__(self) -> None:
        if self.width < 1 or self.channels < 1 or self.size < 4 or self.size % 4:
            raise ValueError("width and channels must be at least 1 and size a positive multiple of 4")
        if self.classes and not self.time:
            raise ValueError("a class-conditioned course UNet is time-conditioned too")

    def to_dict(self) -> dict[str, Any]:
        """As plain data, for a file."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> CourseUNetConfig:
        """From plain data."""
        return cls(**{**data, "classes": tuple(data.get("classes", ()))})


class Conv(nn.Sequential):
    """3×3 convolution, batch normalisation, GELU; `stride` 2 makes it the course's DownConv."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__(nn.Conv2d(inputs, outputs, 3, stride, 1), nn.BatchNorm2d(outputs), nn.GELU())


class UpConv(nn.Sequential):
    """4×4 transposed convolution of stride 2, batch normalisation, GELU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(nn.ConvTranspose2d(inputs, outputs, 4, 2, 1), nn.BatchNorm2d(outputs), nn.GELU())


class PointTranspose(nn.ConvTranspose2d):
    """A transposed convolution whose input is one pixel: a linear layer in disguise, computed as one."""

    def forward(self, x: Float[Tensor, "b i 1 1"], output_size: list[int] | None = None) -> Float[Tensor, "b o k k"]:
        """x · W + bias, reshaped to the kernel's size."""
        del output_size
        inputs, outputs, height, width = self.weight.shape
        # Channels last in memory, the layout of everything around it.
        weight = self.weight.permute(2, 3, 1, 0).reshape(-1, inputs)
        bias = None if self.bias is None else self.bias.repeat(height * width)
        image = nn.functional.linear(x.flatten(1), weight, bias)
        return image.view(-1, height, width, outputs).permute(0, 3, 1, 2)


class Unflatten(nn.Sequential):
    """Transposed convolution from one pixel to `size`×`size`, batch normalisation, GELU."""

    def __init__(self, width: int, size: int) -> None:
        super().__init__(PointTranspose(width, width, size, size), nn.BatchNorm2d(width), nn.GELU())


class Flatten(nn.Sequential):
    """Average over the whole `size`×`size` map, GELU."""

    def __init__(self, size: int) -> None:
        super().__init__(nn.AvgPool2d(size), nn.GELU())


class ConvBlock(nn.Sequential):
    """Two Convs."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(Conv(inputs, outputs), Conv(outputs, outputs))


class DownBlock(nn.Sequential):
    """A DownConv and a ConvBlock: half the size."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(Conv(inputs, outputs, stride=2), ConvBlock(outputs, outputs))


class UpBlock(nn.Sequential):
    """An UpConv and a ConvBlock: twice the size."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(UpConv(inputs, outputs), ConvBlock(outputs, outputs))


class FCBlock(nn.Sequential):
    """Linear, GELU, Linear; its output is one number a channel."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(
            nn.Linear(inputs, outputs),
            nn.GELU(),
            nn.Linear(outputs, outputs),
            nn.Unflatten(1, (outputs, 1, 1)),
        )


class CourseUNet(nn.Module):
    """The course UNet of width D, conditioned on nothing, on time, or on time and class."""

    def __init__(self, config: CourseUNetConfig) -> None:
        super().__init__()
        self.config = config
        width, bottom = config.width, config.size // 4
        self.init = ConvBlock(config.channels, width)
        self.down1 = DownBlock(width, width)
        self.down2 = DownBlock(width, 2 * width)
        self.flatten = Flatten(bottom)
        self.unflatten = Unflatten(2 * width, bottom)
        self.up1 = UpBlock(4 * width, width)
        self.up2 = UpBlock(2 * width, width)
        self.out = ConvBlock(2 * width, width)
        self.final = nn.Conv2d(width, config.channels, 3, 1, 1)
        if config.time:
            self.time1 = FCBlock(1, 2 * width)
            self.time2 = FCBlock(1, width)
        if config.classes:
            self.class1 = FCBlock(len(config.classes), 2 * width)
            self.class2 = FCBlock(len(config.classes), width)

    def forward(
        self,
        x: Float[Tensor, "b c h w"],
        time: Float[Tensor, "b 1"] | None = None,
        classes: Float[Tensor, "b k"] | None = None,
    ) -> Float[Tensor, "b c h w"]:
        """The network's output for pictures x.

        `time` is the level's time in [0, 1]; `classes` are one-hot rows, all zero for no class. Each must be given
        exactly when the network has the condition (ValueError otherwise).
        """
        if (time is not None) != self.config.time or (classes is not None) != bool(self.config.classes):
            raise ValueError(f"a network with {self.config} was called with other conditions")
        full = self.init(x)
        half = self.down1(full)
        quarter = self.down2(half)
        u = self.unflatten(self.flatten(quarter))
        if classes is not None:
            u = u * self.class1(classes)
        if time is not None:
            u = u + self.time1(time)
        v = self.up1(torch.cat([u, quarter], dim=1))
        if classes is not None:
            v = v * self.class2(classes)
        if time is not None:
            v = v + self.time2(time)
        w = self.up2(torch.cat([v, half], dim=1))
        out: Tensor = self.final(self.out(torch.cat([w, full], dim=1)))
        return out
