"""Several processes do the steps of one."""

import itertools
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from torch import multiprocessing, nn

from sfumato.errors import UsageError
from sfumato.training.checkpoint import latest_checkpoint
from sfumato.training.data import ImageData
from sfumato.training.directory import RunDirectory
from sfumato.training.distributed import ALONE, Processes, SharedBatchNorm2d, join, leave, over_the_whole_batch
from sfumato.training.recipe import load_recipe
from sfumato.training.trainer import Trainer


def data() -> ImageData:
    generator = torch.Generator().manual_seed(0)
    images = torch.zeros(40, 1, 28, 28, dtype=torch.uint8)
    for k in range(40):
        at = int(torch.randint(4, 20, (), generator=generator))
        images[k, 0, at : at + 4] = 255
        if k % 2:
            images[k, 0] = images[k, 0].T.clone()
    return ImageData("stripes", images, torch.arange(40) % 2, ("lying", "standing"))


def trainer(processes: Processes, steps: int) -> Trainer:
    # A batch of 7 of 40: neither the batch nor the last one of an epoch parts evenly.
    numbers = {"width": 4, "batch_size": 7, "epochs": 100, "steps": steps, "precision": "float32", "clip": 1.0}
    return Trainer(load_recipe("class").with_changes(numbers), data(), processes=processes)


def in_process(rank: int, count: int, port: int, steps: int, results) -> None:
    import os

    torch.set_num_threads(1)
    os.environ.update(
        MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), RANK=str(rank), WORLD_SIZE=str(count), LOCAL_RANK=str(rank)
    )
    one = trainer(join(torch.device("cpu")), steps)
    one.synchronise()
    losses = [progress.loss for progress in one.run()]
    leave()
    results.put((rank, losses, {name: tensor.numpy() for name, tensor in one.groups()["ema"].items()}))


def run_in(count: int, port: int, steps: int, target=in_process) -> list[tuple]:
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    workers = [context.Process(target=target, args=(k, count, port, steps, results)) for k in range(count)]
    for worker in workers:
        worker.start()
    out = sorted((results.get(timeout=120) for _ in workers), key=lambda result: result[0])
    for worker in workers:
        worker.join(30)
        assert worker.exitcode == 0
    return out


def free_port() -> int:
    import socket

    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


@pytest.mark.parametrize(
    "steps", [pytest.param(40, marks=pytest.mark.thorough), pytest.param(200, marks=pytest.mark.slow)]
)
def test_two_processes_take_the_steps_of_one(steps):
    one = trainer(ALONE, steps)
    alone = [progress.loss for progress in one.run()]
    (_, first, average), (_, second, other) = run_in(2, free_port(), steps)
    assert first == second
    assert max(abs(a - b) for a, b in zip(alone, first, strict=True)) <= 1e-4
    # Weights may differ more: the biases before a batch normalisation move by rounding errors alone.
    for name, tensor in average.items():
        assert (tensor == other[name]).all()


def test_a_batch_that_cannot_be_parted_is_refused_before_the_first_step():
    """The last one of an epoch, too: 40 pictures leave one of batches of 13."""
    for batch, rows in ((13, 1), (2, 2)):
        few = load_recipe("class").with_changes({"width": 4, "batch_size": batch})
        with pytest.raises(UsageError, match=f"a batch of {rows} cannot be parted among 3 processes"):
            Trainer(few, data(), processes=Processes(0, 3))


def unlike(rank: int, count: int, port: int, steps: int, results) -> None:
    """A process that was given other pictures than the first."""
    import os

    torch.set_num_threads(1)
    os.environ.update(
        MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), RANK=str(rank), WORLD_SIZE=str(count), LOCAL_RANK=str(rank)
    )
    one = trainer(join(torch.device("cpu")), steps)
    one.data.images[3, 0, 5, 5] += rank
    try:
        one.synchronise()
    except UsageError as error:
        results.put((rank, str(error)))
    leave()


@pytest.mark.thorough
def test_processes_with_other_pictures_are_told_apart():
    told = run_in(2, free_port(), 1, unlike)
    assert [rank for rank, _ in told] == [0, 1]
    assert all("not given the same pictures and numbers" in line for _, line in told)


def test_rows_are_parted_without_rest_or_overlap():
    for rows, count in ((64, 2), (7, 3), (5, 5)):
        parts = [list(range(rows))[Processes(rank, count).part(rows)] for rank in range(count)]
        assert list(itertools.chain(*parts)) == list(range(rows))
        assert max(map(len, parts)) - min(map(len, parts)) <= 1
    with pytest.raises(UsageError, match="a batch of 2 cannot be parted among 3 processes; change batch_size"):
        Processes(0, 3).part(2)


def test_batch_normalisation_shares_weights_and_statistics_and_reads_old_states():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sequential(nn.BatchNorm2d(4)))
    before = {name: tensor.data_ptr() for name, tensor in network.state_dict().items()}
    over_the_whole_batch(network)
    assert isinstance(network[1][0], SharedBatchNorm2d)
    assert {name: tensor.data_ptr() for name, tensor in network.state_dict().items()} == before
    plain = nn.BatchNorm2d(4)
    plain.load_state_dict(network[1][0].state_dict())
    x = torch.randn(2, 4, 5, 5)
    assert torch.equal(network[1][0].eval()(x), plain.eval()(x))


def test_without_torchrun_a_training_is_alone(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert join(torch.device("cpu")) == ALONE
    assert ALONE.any(True, torch.device("cpu")) is True
    assert ALONE.any(False, torch.device("cpu")) is False


def torchrun(folder, *settings: str) -> list[str]:
    """The command line of a training of two processes in a folder."""
    numbers = ("width=4", "batch_size=16", "log_every=1", "precision=float32", "sample_steps=2", *settings)
    words = [word for number in numbers for word in ("--set", number)]
    run = ["--nnodes", "1", "--nproc-per-node", "2", "--master-port", str(free_port())]
    command = [sys.executable, "-m", "torch.distributed.run", *run, "-m", "sfumato"]
    return [*command, "train", "class", "--data", "typeset", "--device", "cpu", "--out", str(folder), *words]


@pytest.mark.slow
def test_a_process_that_is_killed_ends_the_other_with_one_line_and_a_checkpoint(tmp_path):
    """The whole way of a user: torchrun, kill -9 of one process, resume in one process alone."""
    folder = tmp_path / "run"
    with subprocess.Popen(
        torchrun(folder, "epochs=100", "checkpoint_every=20"), stderr=subprocess.PIPE, text=True
    ) as running:
        waited = 0.0
        while not list(folder.glob("checkpoints/step-*40.safetensors")) and waited < 120:
            time.sleep(0.2)
            waited += 0.2
        children = subprocess.run(
            ["pgrep", "-P", str(running.pid)], capture_output=True, text=True, check=True
        ).stdout.split()
        os.kill(int(children[-1]), signal.SIGKILL)
        _, said = running.communicate(timeout=120)
    assert running.returncode == 1
    ours = [line for line in said.splitlines() if line.startswith("error: ")]
    assert ours == ["error: another process of this training has ended; go on from the last checkpoint"]
    run = RunDirectory(folder)
    checkpoint = latest_checkpoint(run.checkpoints)
    assert checkpoint is not None
    assert checkpoint.step >= 40
