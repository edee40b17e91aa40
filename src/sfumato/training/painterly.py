"""Paintings by filter: what makes a picture look like an oil painting, a pencil sketch, a print, a watercolour.

Every treatment is a function of pictures in [0, 1] and of a texture of uniform noise: the grain of the paper, the hairs
of the brush. Nothing else is random, and no row depends on its neighbours.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from sfumato.core.filters import gaussian


@dataclass(frozen=True)
class Treatment:
    """A way to paint a picture again."""

    paint: Callable[[Tensor, Tensor], Tensor]
    keeps_colours: bool
    """False where the result is ink or graphite on paper, whatever the colours were."""

    def __call__(self, x: Float[Tensor, "b 3 h w"], texture: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
        """The pictures, painted.

        Args:
            x: Red, green and blue in [0, 1], at least 4 pixels high and wide.
            texture: Uniform noise in [0, 1), on the same device; the same noise gives the same picture.
        """
        return self.paint(x, texture).clamp(0, 1)


def oil_painting(x: Float[Tensor, "b 3 h w"], texture: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
    """Dabs of paint of one colour each with sharp borders, and the hairs of a brush that follows the forms.

    The dabs are Kuwahara's filter (Kuwahara et al. 1976, Processing of RI-angiocardiographic images) of the picture
    with mottled colours: where the picture is flat, the mottling decides on the dabs. The hairs are noise smeared along
    the edges (line integral convolution; Cabral and Leedom 1993), lit from the left above as a relief.
    """
    paint = _smear(_spread(texture), _strokes(x, texture), reach=4)
    hairs = paint[:, :1]
    # Paint is uneven in its lightness more than in its hue.
    dabs = kuwahara(x + 0.045 * hairs + 0.035 * paint, radius=2)
    relief = hairs - torch.roll(hairs, (1, 1), (2, 3))
    # Colours on a palette are never quite white or black.
    return 0.03 + 0.91 * dabs + 0.045 * relief


def pencil_sketch(x: Float[Tensor, "b 3 h w"], texture: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
    """Soft grey lines on white paper, darker tones hatched.

    The lines are the colour dodge of the grey picture by its blurred negative, as photographers make them.
    """
    grey = _grey(x)
    soft = _blur(grey, 1.6)
    lines = (grey / soft.clamp(min=0.05)).clamp(max=1) ** 1.5
    hatch = _smear(_spread(texture[:, :1]), _diagonal(x), reach=5)
    shade = (1 - soft) * (0.45 + 0.45 * hatch).clamp(0, 1)
    paper = 0.985 + 0.015 * (texture[:, 1:2] - 0.5)
    return (paper - 0.8 * (1 - lines) - 0.6 * shade).expand_as(x)


def lithograph(x: Float[Tensor, "b 3 h w"], texture: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
    """Black crayon on cream paper: tones as grain, contours dark.

    The contours are differences of Gaussians (Winnemöller 2011, XDoG), the grain is a threshold of noise.
    """
    grey = _grey(x)
    contour = ((_blur(grey, 1.6) - _blur(grey, 0.6)) * 9).clamp(0, 1)
    grain = _blur(_spread(texture[:, :1]), 0.45) * 0.3
    tone = 1.15 * (1 - grey) - 0.12
    ink = ((tone - 0.5 + grain) * 1.8 + 0.5).clamp(0, 1) * (tone > 0.02)
    ink = torch.maximum(ink, contour)
    paper = torch.tensor([0.95, 0.92, 0.84], device=x.device, dtype=x.dtype).view(1, 3, 1, 1)
    black = torch.tensor([0.10, 0.09, 0.09], device=x.device, dtype=x.dtype).view(1, 3, 1, 1)
    return paper + ink * (black - paper)


def watercolour(x: Float[Tensor, "b 3 h w"], texture: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
    """Light washes of uneven pigment with darker rims on rough paper (after Bousseau et al. 2006).

    Pigment multiplies the light of the paper, so more of it is a power of the colour.
    """
    flow = _blur(_spread(texture), 2.5) * 6  # of variance 1 or a little less
    wash = _blur(kuwahara(_warp(x, flow[:, :2] * 0.8), radius=2), 0.6)
    rims = (wash - _blur(wash, 1.6)).abs().amax(1, keepdim=True)
    density = 0.85 + 0.22 * flow[:, 2:] + 3.5 * rims
    grain = 0.02 * _blur(_spread(texture[:, :1]), 0.6)
    return (0.14 + 0.85 * wash).clamp(0, 1) ** density.clamp(0.3, 2) * 0.985 + grain * (1.2 - wash)


def pixel_art(x: Float[Tensor, "b 3 h w"], texture: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
    """Squares of 4×4 pixels in few colours: 3 bits a channel, as consoles of 1990 had them."""
    del texture
    height, width = x.shape[-2:]
    squares = F.adaptive_avg_pool2d(x, (height // 4, width // 4))
    return F.interpolate((squares * 7).round() / 7, size=(height, width), mode="nearest")


TREATMENTS: Mapping[str, Treatment] = MappingProxyType(
    {
        "oil painting": Treatment(oil_painting, keeps_colours=True),
        "pencil sketch": Treatment(pencil_sketch, keeps_colours=False),
        "lithograph": Treatment(lithograph, keeps_colours=False),
        "watercolour": Treatment(watercolour, keeps_colours=True),
        "pixel art": Treatment(pixel_art, keeps_colours=True),
    }
)
"""Treatments by what a caption calls them."""


def paint(
    pictures: Float[Tensor, "b 3 h w"], treatments: Sequence[str | None], generator: torch.Generator
) -> Float[Tensor, "b 3 h w"]:
    """Each picture, in [0, 1], with its treatment, or as it is where that is None. Changes `pictures`.

    The textures are drawn on the CPU, one for each picture that is painted.
    """
    rows = [row for row, word in enumerate(treatments) if word is not None]
    texture = torch.rand(len(rows), *pictures.shape[1:], generator=generator)
    for word, treatment in TREATMENTS.items():
        at = [k for k, row in enumerate(rows) if treatments[row] == word]
        if at:
            to = torch.tensor([rows[k] for k in at], device=pictures.device)
            pictures[to] = treatment(pictures[to], texture[at].to(pictures.device))
    return pictures


def kuwahara(x: Float[Tensor, "b c h w"], radius: int) -> Float[Tensor, "b c h w"]:
    """Each pixel takes the mean of that of its four corner windows, (radius + 1)² pixels, whose colours vary least.

    Kuwahara et al. 1976. It smooths areas and keeps, or makes, sharp borders between them.
    """
    side = radius + 1
    padded = F.pad(x, (radius,) * 4, mode="replicate")
    mean = F.avg_pool2d(padded, side, stride=1)
    variance = (F.avg_pool2d(padded.square(), side, stride=1) - mean.square()).sum(1, keepdim=True)
    height, width = x.shape[-2:]
    best, least = mean[..., :height, :width], variance[..., :height, :width]
    for top, left in ((0, radius), (radius, 0), (radius, radius)):
        window = (..., slice(top, top + height), slice(left, left + width))
        best = torch.where(variance[window] < least, mean[window], best)
        least = torch.minimum(variance[window], least)
    return best


def _spread(texture: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """Uniform noise with mean 0 and variance 1."""
    return (texture - 0.5) * math.sqrt(12)


def _grey(x: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 1 h w"]:
    """Luma of ITU-R BT.601."""
    weights = torch.tensor([0.299, 0.587, 0.114], device=x.device, dtype=x.dtype)
    return (x * weights.view(1, 3, 1, 1)).sum(1, keepdim=True)


def _blur(x: Float[Tensor, "b c h w"], sigma: float) -> Float[Tensor, "b c h w"]:
    """Gaussian blur; the picture goes on over its border as it is there."""
    radius = math.ceil(2.5 * sigma)
    weights = gaussian(sigma, radius).to(x)
    flat = F.pad(x.reshape(-1, 1, *x.shape[-2:]), (radius,) * 4, mode="replicate")
    return F.conv2d(F.conv2d(flat, weights.view(1, 1, 1, -1)), weights.view(1, 1, -1, 1)).reshape(x.shape)


def _grid(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "h w 2"]:
    """The middle of each pixel as `grid_sample` counts, x before y."""
    height, width = x.shape[-2:]
    rows = (torch.arange(height, device=x.device, dtype=x.dtype) * 2 + 1) / height - 1
    columns = (torch.arange(width, device=x.device, dtype=x.dtype) * 2 + 1) / width - 1
    return torch.stack(torch.meshgrid(columns, rows, indexing="xy"), -1)


def _warp(x: Float[Tensor, "b c h w"], offset: Float[Tensor, "b 2 h w"]) -> Float[Tensor, "b c h w"]:
    """Each pixel from `offset` pixels (x, y) beside it."""
    scale = torch.tensor([2 / x.shape[-1], 2 / x.shape[-2]], device=x.device, dtype=x.dtype)
    at = _grid(x) + offset.permute(0, 2, 3, 1) * scale
    return F.grid_sample(x, at, padding_mode="border", align_corners=False)


def _smear(x: Float[Tensor, "b c h w"], along: Float[Tensor, "b 2 h w"], reach: int) -> Float[Tensor, "b c h w"]:
    """The mean over `reach` pixels both ways along a direction of unit length, with the variance of one pixel."""
    total = x
    for step in range(1, reach + 1):
        total = total + _warp(x, along * step) + _warp(x, along * -step)
    return total / math.sqrt(2 * reach + 1)


def _strokes(x: Float[Tensor, "b 3 h w"], texture: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 2 h w"]:
    """The direction of the brush at each pixel, of unit length: along the edges, where there are none as noise wills.

    The direction of least change is that of the smoothed structure tensor (Kyprianidis, Kang and Döllner 2009).
    """
    grey = _grey(x)
    padded = F.pad(grey, (1, 1, 1, 1), mode="replicate")
    dx = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2
    dy = (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2
    # Twice the angle of the gradient, so that opposite gradients add up.
    double = _blur(torch.cat([dx * dx - dy * dy, 2 * dx * dy], 1), 2.0) + 0.004 * _blur(_spread(texture[:, 1:]), 4.0)
    angle = torch.atan2(double[:, 1:], double[:, :1]) / 2 + math.pi / 2
    return torch.cat([torch.cos(angle), torch.sin(angle)], 1)


def _diagonal(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b 2 h w"]:
    """The direction of a right hand's hatching everywhere."""
    direction = torch.tensor([math.sqrt(0.5), -math.sqrt(0.5)], device=x.device, dtype=x.dtype)
    return direction.view(1, 2, 1, 1).expand(x.shape[0], 2, *x.shape[-2:])
