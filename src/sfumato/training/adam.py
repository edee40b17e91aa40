"""Adam, as a state by name and torch's own step."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch.nn import Parameter
from torch.optim.adam import adam


class Adam:
    """Adam with bias correction (Kingma & Ba 2015, algorithm 1; β = 0.9 and 0.999, ε = 1e-8), all parameters at once.

    The step is that of `torch.optim.Adam`, bit for bit. The class itself is not used: to make one imports torch's
    compiler, which costs each training 70 MiB and more than a second.
    """

    def __init__(self, parameters: Mapping[str, Parameter]) -> None:
        self.parameters = dict(parameters)
        self.exp_avg = {name: torch.zeros_like(p) for name, p in self.parameters.items()}
        """The moving average of each gradient."""
        self.exp_avg_sq = {name: torch.zeros_like(p) for name, p in self.parameters.items()}
        """The moving average of its square."""
        self._counts = {name: torch.zeros((), device=p.device) for name, p in self.parameters.items()}

    @torch.no_grad()
    def step(self, lr: float) -> None:
        """Go one step down the gradients, then forget them. A parameter without a gradient stays as it is."""
        moved = {name: p for name, p in self.parameters.items() if p.grad is not None}
        adam(
            list(moved.values()),
            [p.grad for p in moved.values() if p.grad is not None],
            [self.exp_avg[name] for name in moved],
            [self.exp_avg_sq[name] for name in moved],
            [],
            [self._counts[name] for name in moved],
            fused=True,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=lr,
            weight_decay=0.0,
            eps=1e-8,
            maximize=False,
        )
        for p in moved.values():
            p.grad = None

    def restart(self, steps: int) -> None:
        """Say how many steps the averages have seen: the correction of their bias depends on it."""
        for count in self._counts.values():
            count.fill_(steps)
