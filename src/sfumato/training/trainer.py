"""The training loop: a generator of steps. Progress, samples, stopping and checkpoints are its consumers' business."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from sfumato.core.noise import stream
from sfumato.errors import SfumatoError, UsageError
from sfumato.models.course_unet import CourseUNet
from sfumato.training.checkpoint import Checkpoint, Groups
from sfumato.training.data import ImageData, epoch_order
from sfumato.training.objective import Objective
from sfumato.training.recipe import Recipe


@dataclass(frozen=True)
class Progress:
    """One step done. `step` and `epoch` count finished ones from 1; `epoch_ends` with the last step of an epoch."""

    step: int
    epoch: int
    epoch_ends: bool
    loss: float
    lr: float


class Trainer:
    """A network in training: weights, their moving average, Adam's moments and a step count. That is all its state.

    What step k draws follows from the recipe's seed and k alone (`core.noise.stream`), so a trainer put back to a
    checkpoint continues bit for bit.
    """

    def __init__(self, recipe: Recipe, data: ImageData, device: torch.device | str = "cpu") -> None:
        channels, height, width = data.shape
        if height != width:
            raise UsageError(f"the course UNet wants square pictures, not {width}×{height}")
        self.recipe = recipe
        self.data = data
        self.device = torch.device(device)
        self.config = recipe.network_config(channels, height, data.classes)
        self.objective = Objective(recipe.make_schedule(), recipe.prediction, recipe.condition_dropout)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            network = CourseUNet(self.config)
        # Channels last is the layout that CPU and GPU convolutions are fastest in.
        self.network = network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.ema: dict[str, Tensor] = {k: v.clone() for k, v in self.network.state_dict().items()}
        self.optimizer = torch.optim.Adam(self.network.parameters(), recipe.lr, fused=True)
        for parameter in self.network.parameters():
            self.optimizer.state[parameter] = {
                "step": torch.zeros((), device=self.device),
                "exp_avg": torch.zeros_like(parameter),
                "exp_avg_sq": torch.zeros_like(parameter),
            }
        self.step = 0

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch; the last one may be smaller."""
        return math.ceil(len(self.data) / self.recipe.batch_size)

    @property
    def total_steps(self) -> int:
        """Steps of the whole training."""
        whole = self.recipe.epochs * self.steps_per_epoch
        return min(whole, self.recipe.steps) if self.recipe.steps else whole

    def run(self) -> Iterator[Progress]:
        """Train to the end, one step at a time. Raises SfumatoError when the loss is no longer a number."""
        order: Tensor | None = None
        while self.step < self.total_steps:
            epoch, batch = divmod(self.step, self.steps_per_epoch)
            if order is None or batch == 0:
                order = epoch_order(len(self.data), self.recipe.seed, epoch)
            start = batch * self.recipe.batch_size
            lr = self.recipe.lr_at(epoch)
            loss = self._train_step(order[start : start + self.recipe.batch_size], lr)
            self.step += 1
            if not math.isfinite(loss):
                raise SfumatoError(f"the loss of step {self.step} is {loss}; try a smaller lr (it is {lr:g})")
            ends = self.step % self.steps_per_epoch == 0 or self.step == self.total_steps
            yield Progress(self.step, epoch + 1, ends, loss, lr)

    def _train_step(self, index: Tensor, lr: float) -> float:
        generator = stream(self.recipe.seed, "step", self.step)
        example = self.objective.example(self.data.pixels(index), self.data.labels[index], self.config, generator)
        self.network.train()
        with torch.autocast(
            self.device.type, torch.bfloat16, enabled=self.recipe.precision == "bfloat16", cache_enabled=True
        ):
            output = self.network(
                example.x.to(self.device, memory_format=torch.channels_last),
                None if example.time is None else example.time.to(self.device),
                None if example.classes is None else example.classes.to(self.device),
            )
        loss = torch.nn.functional.mse_loss(output.float(), example.target.to(self.device))
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self._average()
        return loss.item()

    @torch.no_grad()
    def _average(self) -> None:
        # A warm-up, so that the first average is not the random start: min(decay, (1+k)/(10+k)).
        decay = min(self.recipe.ema, (1 + self.step) / (10 + self.step))
        state = self.network.state_dict()
        floating = [name for name, value in state.items() if value.is_floating_point()]
        torch._foreach_lerp_([self.ema[n] for n in floating], [state[n] for n in floating], 1 - decay)
        for name in state.keys() - set(floating):
            self.ema[name].copy_(state[name])

    def groups(self) -> Groups:
        """The whole state, by group: what a checkpoint holds."""
        names = {parameter: name for name, parameter in self.network.named_parameters()}
        moments = {
            key: {names[p]: s[key] for p, s in self.optimizer.state.items()} for key in ("exp_avg", "exp_avg_sq")
        }
        return {"network": self.network.state_dict(), "ema": self.ema, **moments}

    @torch.no_grad()
    def restore(self, checkpoint: Checkpoint) -> None:
        """Go back to a checkpoint. Raises UsageError when it belongs to another network."""
        mine = self.groups()
        for group, state in mine.items():
            theirs = checkpoint.groups.get(group, {})
            shapes = {name: tensor.shape for name, tensor in theirs.items()}
            if shapes != {name: tensor.shape for name, tensor in state.items()}:
                raise UsageError(f"the checkpoint of step {checkpoint.step} belongs to another network")
            # Copied into the tensors that are there, so that every memory layout stays as it was.
            for name, tensor in state.items():
                tensor.copy_(theirs[name])
        for slot in self.optimizer.state.values():
            slot["step"].fill_(checkpoint.step)
        self.step = checkpoint.step

    def average_network(self) -> CourseUNet:
        """A copy of the network with the averaged weights, in evaluation mode, for sampling."""
        network = CourseUNet(self.config)
        network.load_state_dict(self.ema)
        return network.to(self.device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload,no-any-return]
