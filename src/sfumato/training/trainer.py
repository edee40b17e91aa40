"""The training loop: a generator of steps. Progress, samples, stopping and checkpoints are its consumers' business."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from sfumato.core.noise import stream
from sfumato.errors import SfumatoError, UsageError
from sfumato.files import sha256
from sfumato.models.network import Network
from sfumato.models.weights import load_weights
from sfumato.training.adam import Adam
from sfumato.training.ahead import ahead
from sfumato.training.checkpoint import Checkpoint, Groups
from sfumato.training.data import TrainingData, epoch_order
from sfumato.training.distributed import ALONE, Processes, over_the_whole_batch, together
from sfumato.training.objective import Example
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

    def __init__(
        self,
        recipe: Recipe,
        data: TrainingData,
        device: torch.device | str = "cpu",
        processes: Processes = ALONE,
    ) -> None:
        self.recipe = recipe
        self.processes = processes
        self.data = data
        self.device = torch.device(device)
        self.config = recipe.network_config(data.shape, data.names)
        self.objective = recipe.objective()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            network = self.config.build()
        if processes.count > 1:
            over_the_whole_batch(network)
            for rows in (min(recipe.batch_size, len(data)), len(data) % recipe.batch_size or recipe.batch_size):
                processes.part(rows)  # better refused now than at the end of an epoch
        # Channels last is the layout that CPU and GPU convolutions are fastest in.
        self.network = network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.ema: dict[str, Tensor] = {k: v.clone() for k, v in self.network.state_dict().items()}
        self.optimizer = Adam(dict(self.network.named_parameters()))
        self.step = 0
        self._order: tuple[int, Tensor] | None = None

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch; the last one may be smaller."""
        return math.ceil(len(self.data) / self.recipe.batch_size)

    @property
    def total_steps(self) -> int:
        """Steps of the whole training."""
        whole = self.recipe.epochs * self.steps_per_epoch
        return min(whole, self.recipe.steps) if self.recipe.steps else whole

    def begin(self) -> None:
        """Take the weights that the recipe begins with, where it names a file of some.

        Raises UsageError for a file that is not there or has changed since, or is of another network.
        """
        if not self.recipe.init:
            return
        path = Path(self.recipe.init)
        weights = load_weights(path)
        if self.recipe.init_sha256 not in (None, sha256(*weights.files)):
            raise UsageError(f"{path} has changed since this training was begun with it; begin anew")
        try:
            self.network.adopt(weights.network)
        except ValueError as error:
            raise UsageError(f"{path} is no beginning for recipe {self.recipe.name}: {error}") from error
        for name, value in self.network.state_dict().items():
            self.ema[name].copy_(value)

    def run(self) -> Iterator[Progress]:
        """Train to the end, one step at a time. Raises SfumatoError when the loss is no longer a number."""
        # A GPU computes while the processor draws; on a processor both would want the same cores.
        depth = 0 if self.device.type == "cpu" else 2
        for example in ahead(self._example, range(self.step, self.total_steps), depth):
            epoch = self.step // self.steps_per_epoch
            lr = self.recipe.lr_at(epoch, self.step)
            loss = self._train_step(example, lr)
            self.step += 1
            if not math.isfinite(loss):
                raise SfumatoError(f"the loss of step {self.step} is {loss}; try a smaller lr (it is {lr:g})")
            ends = self.step % self.steps_per_epoch == 0 or self.step == self.total_steps
            yield Progress(self.step, epoch + 1, ends, loss, lr)

    def _example(self, step: int) -> Example:
        """What the network is shown in a step: it follows from the recipe, the data and the step alone."""
        epoch, batch = divmod(step, self.steps_per_epoch)
        if self._order is None or self._order[0] != epoch:
            self._order = epoch, epoch_order(len(self.data), self.recipe.seed, epoch)
        start = batch * self.recipe.batch_size
        index = self._order[1][start : start + self.recipe.batch_size]
        generator = stream(self.recipe.seed, "step", step)
        drawn = self.data.batch(index, generator, self.device)
        example = self.objective.example(drawn.pictures, drawn.conditions, generator)
        return example if self.processes.count == 1 else example.rows(self.processes.part(len(index)))

    def _train_step(self, example: Example, lr: float) -> float:
        self.network.train()
        with together():
            with torch.autocast(
                self.device.type, torch.bfloat16, enabled=self.recipe.precision == "bfloat16", cache_enabled=True
            ):
                output = self.network(
                    example.x.contiguous(memory_format=torch.channels_last),
                    example.time if self.config.timed else None,
                    self.network.encode(example.conditions),
                )
            loss = example.loss(output.float()) * example.share
            loss.backward()  # type: ignore[no-untyped-call]
            loss = loss.detach()
            self.processes.add([*(p.grad for p in self.network.parameters() if p.grad is not None), loss])
        if self.recipe.clip is not None:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip)
        self.optimizer.step(lr)
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
        moments = {"exp_avg": self.optimizer.exp_avg, "exp_avg_sq": self.optimizer.exp_avg_sq}
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
        self.optimizer.restart(checkpoint.step)
        self.step = checkpoint.step

    def synchronise(self) -> None:
        """Go to the state of the first process, in all of them.

        Raises UsageError, in all of them, where they were not given the same data and recipe.
        """
        mine = torch.tensor(self._digest(), device=self.device)
        theirs = mine.clone()
        self.processes.spread([theirs])
        if self.processes.any(bool(mine != theirs), self.device):
            raise UsageError(
                "the processes of this training were not given the same pictures and numbers; compare the data and the "
                "command on every machine"
            )
        step = torch.tensor(self.step, device=self.device)
        self.processes.spread([step, *(tensor for group in self.groups().values() for tensor in group.values())])
        self.step = int(step)
        self.optimizer.restart(self.step)

    def _digest(self) -> int:
        """A number of the data and the recipe, wherever their files are."""
        recipe = self.recipe.model_dump_json(exclude={"data", "init"})
        digest = hashlib.sha256(f"{self.data.fingerprint} {recipe}".encode()).digest()
        return int.from_bytes(digest[:7], "big")

    def average_network(self) -> Network:
        """A copy of the network with the averaged weights, in evaluation mode, for sampling."""
        network = self.config.build()
        network.load_state_dict(self.ema)
        placed: Network = network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return placed.eval()
