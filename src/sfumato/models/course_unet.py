"""The UNet of the course "Fun with Diffusion Models" (UC Berkeley CS180/280A, project 5, part B).

Conv is 3×3, batch normalisation, GELU; DownConv the same with stride 2; UpConv a transposed 4×4 of stride 2. Two
scales down to a quarter of the size, an average over what is left, and back up with skip connections. Conditions enter
after the bottleneck: u ← c₁·u + t₁ at the unflattened vector and v ← c₂·v + t₂ after the first UpBlock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from sfumato.errors import UsageError, one_of
from sfumato.models.network import Encoded, Network, NetworkConfig


@dataclass(frozen=True)
class CourseUNetConfig(NetworkConfig):
    """What a course UNet is built from."""

    kind: ClassVar[str] = "course-unet"

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

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        return self.channels, self.size, self.size

    @property
    def timed(self) -> bool:
        """Whether `time` is set."""
        return self.time

    @property
    def conditioned(self) -> bool:
        """Whether it has classes."""
        return bool(self.classes)

    def build(self) -> CourseUNet:
        """The network, with random weights."""
        return CourseUNet(self)


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


class CourseUNet(Network):
    """The course UNet of width D, conditioned on nothing, on time, or on time and class."""

    config: CourseUNetConfig

    def __init__(self, config: CourseUNetConfig) -> None:
        super().__init__()
        self.config = config
        self.classes = config.classes
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

    def check(self, condition: str, model: str) -> tuple[str, ...]:
        """Nothing to say of a known class; UsageError for anything else."""
        if not self.config.classes:
            raise UsageError(f"model {model} knows no classes; leave the prompt {condition!r} out")
        if condition not in self.config.classes:
            raise one_of(f"class of {model}", condition, self.config.classes)
        return ()

    def read(self, conditions: Sequence[str | None]) -> Float[Tensor, "b k"]:
        """Class names as one-hot rows. Raises ValueError for an unknown one."""
        out = torch.zeros(len(conditions), len(self.config.classes))
        for row, condition in enumerate(conditions):
            if condition is not None:
                out[row, self.config.classes.index(condition)] = 1
        return out

    def encode(self, conditions: Shaped[Tensor, "b k"]) -> Encoded:
        """c₁ and c₂ of one-hot classes; nothing when the network has none."""
        return (self.class1(conditions), self.class2(conditions)) if self.config.classes else ()

    def forward(
        self, x: Float[Tensor, "b c h w"], time: Float[Tensor, "b 1"] | None = None, condition: Encoded = ()
    ) -> Float[Tensor, "b c h w"]:
        """The network's output for pictures x: the module's equations.

        `time` is the level's time in [0, 1]; `condition` what `encode` made of classes. Each must be given exactly
        when the network has it (ValueError otherwise).
        """
        if (time is not None) != self.config.time or bool(condition) != self.config.conditioned:
            raise ValueError(f"a network with {self.config} was called with other conditions")
        full = self.init(x)
        half = self.down1(full)
        quarter = self.down2(half)
        u = self.unflatten(self.flatten(quarter))
        if condition:
            u = u * condition[0]
        if time is not None:
            u = u + self.time1(time)
        v = self.up1(torch.cat([u, quarter], dim=1))
        if condition:
            v = v * condition[1]
        if time is not None:
            v = v + self.time2(time)
        w = self.up2(torch.cat([v, half], dim=1))
        out: Tensor = self.final(self.out(torch.cat([w, full], dim=1)))
        return out
