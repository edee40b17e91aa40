"""One training in several processes, each with its rows of every batch: the same steps as in one process.

Every process draws the whole batch, takes its rows, and adds its gradients to those of the others, so the recipe's
`batch_size` is that of all of them together. Batch normalisation is over the whole batch too. What differs from one
process is the order in which numbers are added.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor, nn

from sfumato.errors import SfumatoError, UsageError

PATIENCE = timedelta(minutes=10)
"""How long a process waits for another, such as for one that writes samples."""


@dataclass(frozen=True)
class Processes:
    """The processes of a training, and which of them this one is."""

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the one that writes files and speaks."""
        return self.rank == 0

    def part(self, rows: int) -> slice:
        """This process's rows of a batch. Raises UsageError for a batch with fewer rows than processes."""
        if rows < self.count:
            raise UsageError(f"a batch of {rows} cannot be parted among {self.count} processes; change batch_size")
        return slice(rows * self.rank // self.count, rows * (self.rank + 1) // self.count)

    @torch.no_grad()
    def add(self, tensors: Iterable[Tensor]) -> None:
        """Replace each tensor by its sum over all processes."""
        if self.count == 1:
            return
        tensors = list(tensors)
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        with together():
            dist.all_reduce(flat)
        for tensor, total in zip(tensors, torch.split(flat, [t.numel() for t in tensors]), strict=True):
            tensor.copy_(total.view_as(tensor))

    @torch.no_grad()
    def spread(self, tensors: Iterable[Tensor]) -> None:
        """Replace each tensor by that of the first process."""
        if self.count == 1:
            return
        for tensor in tensors:
            flat = tensor.reshape(-1).contiguous().clone()
            with together():
                dist.broadcast(flat, 0)
            tensor.copy_(flat.view_as(tensor))

    def any(self, flag: bool, device: torch.device) -> bool:
        """Whether the flag is up in any process."""
        if self.count == 1:
            return flag
        raised = torch.tensor(float(flag), device=device)
        self.add([raised])
        return bool(raised > 0)


ALONE = Processes()


def join(device: torch.device) -> Processes:
    """The processes that torchrun started, joined; `ALONE` where it did not.

    Talks by NCCL between GPUs and by gloo otherwise. Raises SfumatoError when the others cannot be reached.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return ALONE
    if not dist.is_initialized():
        with together():
            dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    return Processes(dist.get_rank(), dist.get_world_size())


def leave() -> None:
    """Part from the others, where there are any, when all is done."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()


def over_the_whole_batch(network: nn.Module) -> None:
    """Let the batch normalisations of a network count the rows of all processes, in place."""
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm2d) and not isinstance(child, SharedBatchNorm2d):
                setattr(parent, name, SharedBatchNorm2d.like(child))


class SharedBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation (Ioffe & Szegedy 2015) whose batch is that of all processes. On any device."""

    @classmethod
    def like(cls, norm: nn.BatchNorm2d) -> SharedBatchNorm2d:
        """With the weights and statistics of another, the very same tensors."""
        shared = cls(norm.num_features, norm.eps, norm.momentum)
        shared.weight, shared.bias = norm.weight, norm.bias
        shared.running_mean, shared.running_var = norm.running_mean, norm.running_var
        shared.num_batches_tracked = norm.num_batches_tracked
        return shared

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """x with mean 0 and variance 1 over the rows and pixels of all processes, scaled and shifted."""
        if not self.training:
            return super().forward(x)
        with torch.autocast(x.device.type, enabled=False), together():
            values = x.float()
            count = values.new_tensor(float(values.numel() / values.shape[1]))
            sums = _sum(torch.cat([values.sum((0, 2, 3)), count[None]]))
            total, count = sums[:-1], sums[-1]
            mean = (total / count)[:, None, None]
            centred = values - mean
            variance = _sum(centred.square().sum((0, 2, 3))) / count
            self._track(mean[:, 0, 0], variance * count / (count - 1))
            scale = (self.weight * (variance + self.eps).rsqrt())[:, None, None]
            out: Tensor = (centred * scale + self.bias[:, None, None]).to(x.dtype)
        return out

    @torch.no_grad()
    def _track(self, mean: Float[Tensor, " c"], variance: Float[Tensor, " c"]) -> None:
        assert self.running_mean is not None and self.running_var is not None and self.momentum is not None  # noqa: PT018
        assert self.num_batches_tracked is not None
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)
        self.num_batches_tracked.add_(1)


class _Sum(torch.autograd.Function):
    """The sum over all processes. Each process's x is in every sum, so gradients are summed as well."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        del ctx
        total = x.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        del ctx
        total = gradients[0].clone()
        dist.all_reduce(total)
        return total


def _sum(x: Tensor) -> Tensor:
    return cast(Tensor, _Sum.apply(x))  # type: ignore[no-untyped-call]


_BROKEN = ("gloo", "NCCL", "onnection", "Socket")
"""What the messages of PyTorch say when the way to another process is broken: they have no type of their own."""


@contextmanager
def together() -> Iterator[None]:
    """Say in one line that another process is gone."""
    try:
        yield
    except (RuntimeError, ValueError) as error:
        if not isinstance(error, dist.DistError) and not any(word in str(error) for word in _BROKEN):
            raise
        raise SfumatoError("another process of this training has ended; go on from the last checkpoint") from error
