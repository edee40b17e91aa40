"""The plain way: what one writes after the equations, in float32, without a thought of speed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torch.utils.flop_counter import FlopCounterMode

from sfumato.models.course_unet import CourseUNet


class PlainUNet(nn.Module):
    """The course UNet as its drawing has it, on the modules of one of ours: skip connections are concatenated."""

    def __init__(self, network: CourseUNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor, time: Tensor | None = None, condition: Tensor | None = None) -> Tensor:
        """The output; `condition` is one-hot, zeros for none."""
        n: Any = self.network
        full = n.init(x)
        half = n.down1(full)
        quarter = n.down2(half)
        convolution, norm, nonlinearity = n.unflatten
        flat = n.flatten(quarter)
        u = nonlinearity(norm(F.conv_transpose2d(flat, convolution.weight, convolution.bias, convolution.stride)))
        if condition is not None:
            u = u * n.class1(condition)
        if time is not None:
            u = u + n.time1(time)
        v = n.up1(torch.cat([u, quarter], 1))
        if condition is not None:
            v = v * n.class2(condition)
        if time is not None:
            v = v + n.time2(time)
        w = n.up2(torch.cat([v, half], 1))
        return n.final(n.out(torch.cat([w, full], 1)))


class Digits(Dataset[tuple[Tensor, int]]):
    """Pictures and labels, one at a time."""

    def __init__(self, pictures: Tensor, labels: Tensor) -> None:
        self.pictures, self.labels = pictures, labels

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.pictures[index].float() / 255, int(self.labels[index])


def training(network: PlainUNet, data: Digits, batch: int, alphas_cumprod: Tensor, lr: float) -> Iterator[float]:
    """Losses of the steps of a class-conditioned training, without an end (spec B2.4)."""
    optimizer = torch.optim.Adam(network.parameters(), lr)
    while True:
        for x0, label in DataLoader(data, batch, shuffle=True, drop_last=True):
            condition = F.one_hot(label, 10).float() * (torch.rand(len(x0), 1) >= 0.1)
            t = torch.randint(len(alphas_cumprod), (len(x0),))
            ab, noise = alphas_cumprod[t][:, None, None, None], torch.randn_like(x0)
            output = network(ab.sqrt() * x0 + (1 - ab).sqrt() * noise, t[:, None] / len(alphas_cumprod), condition)
            loss = F.mse_loss(output, noise)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            yield loss.item()


def denoiser_training(network: PlainUNet, data: Digits, batch: int, sigma: float, lr: float) -> Iterator[float]:
    """Losses of the steps of a one-step denoiser, without an end (spec B1.2)."""
    optimizer = torch.optim.Adam(network.parameters(), lr)
    while True:
        for x0, _ in DataLoader(data, batch, shuffle=True, drop_last=True):
            loss = F.mse_loss(network(x0 + sigma * torch.randn_like(x0)), x0)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            yield loss.item()


@torch.no_grad()
def guided(network: Callable[..., Tensor], x: Tensor, time: Tensor, condition: Tensor, scale: float) -> Tensor:
    """ε_u + γ(ε_c − ε_u) by two forwards (spec A1.6)."""
    eps = network(x, time, torch.zeros_like(condition))
    return eps + scale * (network(x, time, condition) - eps)


@torch.no_grad()
def ancestral(network: PlainUNet, labels: Tensor, alphas_cumprod: Tensor, scale: float) -> Tensor:
    """Pictures by all T steps of the ancestral chain (Ho et al. 2020, algorithm 2), where the labels are."""
    total = len(alphas_cumprod)
    at = labels.device
    x, condition = torch.randn(len(labels), 1, 28, 28, device=at), F.one_hot(labels, 10).float()
    for t in reversed(range(total)):
        ab = alphas_cumprod[t]
        before = alphas_cumprod[t - 1] if t else torch.tensor(1.0)
        alpha = ab / before
        eps = guided(network, x, torch.full((len(x), 1), t / total, device=at), condition, scale)
        x = (x - (1 - alpha) / (1 - ab).sqrt() * eps) / alpha.sqrt()
        if t:
            x = x + ((1 - before) / (1 - ab) * (1 - alpha)).sqrt() * torch.randn_like(x)
    return x


def forward_flops(network: nn.Module, *inputs: Any) -> float:
    """Floating-point operations of a forward of one row."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(*inputs)
    return float(counter.get_total_flops())
