"""The UNet of the course "Fun with Diffusion Models" (UC Berkeley CS180/280A, project 5, part B).

Conv is 3×3, batch normalisation, GELU; DownConv the same with stride 2; UpConv a transposed 4×4 of stride 2. Two
scales down to a quarter of the size, an average over what is left, and back up with skip connections. Conditions enter
after the bottleneck: u ← c₁·u + t₁ at the unflattened vector and v ← c₂·v + t₂ after the first UpBlock.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from sfumato.errors import UsageError, one_of
from sfumato.models.network import Encoded, NamedAxis, Network, NetworkConfig, Seen

LANES = 16
"""Channels of a convolution's output that a processor computes together (a register of AVX-512)."""


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


class PictureGELU(nn.GELU):
    """GELU of pictures, in the order in which their numbers lie in memory.

    On a processor torch hands GELU to oneDNN, which takes half the time in bfloat16, if the numbers lie in the
    order of the axes. Those of pictures with channels last do when their channels are the last axis.
    """

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """GELU of each number."""
        return _in_memory_order(F.gelu, x)


def _in_memory_order(function: Callable[..., Tensor], *pictures: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """A function of each number, of pictures whose channels are seen as the last axis where they lie last."""
    if all(x.is_contiguous(memory_format=torch.channels_last) for x in pictures):
        return function(*(x.permute(0, 2, 3, 1) for x in pictures)).permute(0, 3, 1, 2)
    return function(*pictures)


def normalised_gelu(x: Float[Tensor, "b c h w"], norm: nn.BatchNorm2d) -> Float[Tensor, "b c h w"]:
    """GELU of a batch normalisation in training, that keeps x for the way back and not what lies between.

    That is a third less of what a training holds in memory, for one more pass over x on the way back.
    """
    assert norm.num_batches_tracked is not None
    norm.num_batches_tracked.add_(1)
    out: Tensor = _NormalisedGELU.apply(x, norm.weight, norm.bias, norm)  # type: ignore[no-untyped-call]
    return out


class _NormalisedGELU(torch.autograd.Function):
    """By the operations that `nn.BatchNorm2d` and `nn.GELU` come to, forwards and backwards."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, norm: nn.BatchNorm2d) -> Tensor:
        assert norm.momentum is not None
        normalised, mean, rstd = torch.native_batch_norm(
            x, weight, bias, norm.running_mean, norm.running_var, True, norm.momentum, norm.eps
        )
        ctx.save_for_backward(x, weight, bias, mean, rstd)
        ctx.eps = norm.eps
        return _in_memory_order(F.gelu, normalised)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        x, weight, bias, mean, rstd = ctx.saved_tensors
        # The statistics of the batch stand where those of all batches stand in evaluation: the same numbers again.
        variance = rstd**-2 - ctx.eps
        normalised, *_ = torch.native_batch_norm(x, weight, bias, mean, variance, False, 0.0, ctx.eps)
        back = _in_memory_order(torch.ops.aten.gelu_backward, gradients[0], normalised)
        del normalised
        d_x, d_weight, d_bias = torch.ops.aten.native_batch_norm_backward(
            back, x, weight, None, None, mean, rstd, True, ctx.eps, [True, True, True]
        )
        return d_x, d_weight, d_bias, None


class Unit(nn.Sequential):
    """A convolution, batch normalisation, GELU.

    A convolution of channels side by side is the sum of the convolutions of each. So what a skip connection adds can be
    computed apart from the rest: once for a picture, however much is asked about it.
    """

    def __init__(self, convolution: nn.Conv2d | nn.ConvTranspose2d) -> None:
        super().__init__(convolution, nn.BatchNorm2d(convolution.out_channels), PictureGELU())

    @property
    def convolution(self) -> nn.Conv2d | nn.ConvTranspose2d:
        """The first of the three."""
        first = self[0]
        assert isinstance(first, nn.Conv2d | nn.ConvTranspose2d)
        return first

    def skipped(self, skip: Float[Tensor, "b s h w"]) -> Float[Tensor, "b o h2 w2"]:
        """What the last channels of the input, those of a skip connection, add to the convolution."""
        inputs = self.convolution.in_channels
        return self._convolve(skip, slice(inputs - skip.shape[1], inputs), None)

    def forward(
        self, x: Float[Tensor, "b i h w"], skipped: Float[Tensor, "b o h2 w2"] | None = None
    ) -> Float[Tensor, "b o h2 w2"]:
        """x, or x and what a skip connection adds, through all three."""
        norm, bias = self[1], self.convolution.bias
        # The normalisation of a batch takes away every constant: a bias before it has the gradient 0, and to sum that
        # up takes as long as the gradient of the weights.
        if bias is not None and isinstance(norm, nn.modules.batchnorm._BatchNorm) and norm.training:
            bias = bias.detach()
        h = self._convolve(x, slice(0, x.shape[1]), bias)
        if skipped is not None:
            h.add_(skipped)
        # A normalisation that spans several processes, or is folded, goes its own way.
        if type(norm) is nn.BatchNorm2d and norm.training and h.device.type == "cpu":
            return normalised_gelu(h, norm)
        out: Tensor = self[2](norm(h))
        return out

    def _convolve(self, x: Tensor, inputs: slice, bias: Tensor | None) -> Tensor:
        """The convolution of some of its inputs."""
        conv = self.convolution
        if isinstance(conv, nn.ConvTranspose2d):
            assert not isinstance(conv.padding, str)
            return F.conv_transpose2d(x, conv.weight[inputs], bias, conv.stride, conv.padding)
        return F.conv2d(x, conv.weight[:, inputs], bias, conv.stride, conv.padding)

    def fold(self) -> None:
        """Put the normalisation, as it is in evaluation, into the convolution: the same function, made for sampling."""
        norm = self[1]
        assert isinstance(norm, nn.BatchNorm2d)
        transposed = isinstance(self.convolution, nn.ConvTranspose2d)
        self[0], self[1] = fuse_conv_bn_eval(self.convolution, norm, transposed), nn.Identity()


class Conv(Unit):
    """3×3 convolution, batch normalisation, GELU; `stride` 2 makes it the course's DownConv."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__(nn.Conv2d(inputs, outputs, 3, stride, 1))


class UpConv(Unit):
    """4×4 transposed convolution of stride 2, batch normalisation, GELU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(nn.ConvTranspose2d(inputs, outputs, 4, 2, 1))


class Unflatten(Unit):
    """Transposed convolution from one pixel to `size`×`size`, batch normalisation, GELU."""

    def __init__(self, width: int, size: int) -> None:
        super().__init__(nn.ConvTranspose2d(width, width, size))

    def _convolve(self, x: Tensor, inputs: slice, bias: Tensor | None) -> Tensor:
        """Of one pixel a transposed convolution is a linear layer in disguise, and computed as one."""
        weight = self.convolution.weight[inputs]
        _, outputs, height, width = weight.shape
        # Channels last in memory, the layout of everything around it.
        matrix = weight.permute(2, 3, 1, 0).flatten(0, 2)
        image = F.linear(x.flatten(1), matrix, None if bias is None else bias.repeat(height * width))
        return image.view(-1, height, width, outputs).permute(0, 3, 1, 2)


class Flatten(nn.Sequential):
    """Average over the whole `size`×`size` map, GELU."""

    def __init__(self, size: int) -> None:
        super().__init__(nn.AvgPool2d(size), nn.GELU())


class Block(nn.Sequential):
    """Units and blocks one after the other, of which the first may take a skip connection beside its input."""

    def skipped(self, skip: Float[Tensor, "b s h w"]) -> Float[Tensor, "b o h2 w2"]:
        """What the skip connection adds, as `forward` wants it."""
        first = self[0]
        assert isinstance(first, Unit)
        return first.skipped(skip)

    def forward(
        self, x: Float[Tensor, "b i h w"], skipped: Float[Tensor, "b o h2 w2"] | None = None
    ) -> Float[Tensor, "b o2 h2 w2"]:
        """x, or x and what the skip connection adds, through all of them."""
        first, *others = self
        out: Tensor = first(x, skipped)
        for other in others:
            out = other(out)
        return out


class ConvBlock(Block):
    """Two Convs."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(Conv(inputs, outputs), Conv(outputs, outputs))


class DownBlock(nn.Sequential):
    """A DownConv and a ConvBlock: half the size."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(Conv(inputs, outputs, stride=2), ConvBlock(outputs, outputs))


class UpBlock(Block):
    """An UpConv and a ConvBlock: twice the size."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(UpConv(inputs, outputs), ConvBlock(outputs, outputs))


def in_blocks(convolution: nn.Conv2d) -> nn.Module:
    """The same convolution of stride 1, that computes k×k neighbouring pixels of its output as channels of one.

    Processors compute 16 channels of an output together, and as long for fewer. A larger kernel, k² times at its k²
    places among zeros, in steps of k pixels: for one channel k is 4, and it takes a third of the time.
    """
    outputs, inputs, height, width = convolution.weight.shape
    side = math.isqrt(LANES // outputs) if outputs <= LANES else 1
    k = 1 << (side.bit_length() - 1)
    if k == 1:
        return convolution
    kernel = (height + k - 1, width + k - 1)
    bias = convolution.bias is not None
    assert not isinstance(convolution.padding, str)
    made = nn.Conv2d(inputs, outputs * k * k, kernel, k, convolution.padding[0], bias=bias, device="meta")
    weight = convolution.weight.new_zeros(outputs, k, k, inputs, *kernel)
    for row, column in itertools.product(range(k), range(k)):
        weight[:, row, column, :, row : row + height, column : column + width] = convolution.weight.detach()
    made.weight = nn.Parameter(weight.flatten(0, 2))
    if convolution.bias is not None:
        made.bias = nn.Parameter(convolution.bias.detach().repeat_interleave(k * k))
    return nn.Sequential(made, nn.PixelShuffle(k))


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

    def named_axes(self) -> dict[str, NamedAxis]:
        """The classes."""
        classes = self.config.classes
        return {f"class{k}.0.weight": (1, classes) for k in (1, 2)} if classes else {}

    def see(self, x: Float[Tensor, "b c h w"], time: Float[Tensor, "b 1"] | None = None) -> Seen:
        """The way down and the unflattened vector; what the skips add on the way up; t₁ and t₂."""
        full = self.init(x)
        half = self.down1(full)
        quarter = self.down2(half)
        u = self.unflatten(self.flatten(quarter))
        skips = (self.up1.skipped(quarter), self.up2.skipped(half), self.out.skipped(full))
        if time is None:
            return (u, *skips)
        time = time.to(x.dtype)
        return (u, *skips, self.time1(time), self.time2(time))

    def answer(self, seen: Seen, condition: Encoded) -> Float[Tensor, "b c h w"]:
        """The way up: the module's equations."""
        u, quarter, half, full, *times = seen
        factors = condition or (None, None)
        t1, t2 = times or (None, None)
        v = self.up1(_conditioned(u, factors[0], t1), quarter)
        w = self.up2(_conditioned(v, factors[1], t2), half)
        out: Tensor = self.final(self.out(w, full))
        return out

    def ready(self, dtype: torch.dtype) -> CourseUNet:
        """With normalisations inside the convolutions before them and the last one in blocks: the same function."""
        copied = copy.deepcopy(self).eval()
        for module in copied.modules():
            if isinstance(module, Unit):
                module.fold()
        copied.final = in_blocks(copied.final)  # type: ignore[assignment]
        return copied.to(dtype)


def _conditioned(x: Tensor, factor: Tensor | None, term: Tensor | None) -> Tensor:
    """c · x + t, as far as there is a class and a time."""
    if factor is None:
        return x if term is None else x + term
    return x * factor if term is None else torch.addcmul(term, x, factor)
