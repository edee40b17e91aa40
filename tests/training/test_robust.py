"""A training survives what may befall it: kills, signals, full disks, damaged files, numbers out of bounds."""

import errno
import io
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from sfumato.app import training
from sfumato.app.cli import main
from sfumato.app.cli.teach import _Interrupt
from sfumato.errors import SfumatoError, UsageError
from sfumato.images import to_image
from sfumato.training.checkpoint import latest_checkpoint, save_checkpoint, tidy
from sfumato.training.data import ImageData
from sfumato.training.directory import RunDirectory
from sfumato.training.recipe import load_recipe
from sfumato.training.run import train
from sfumato.training.trainer import Trainer

SMALL = {"width": 2, "batch_size": 8, "epochs": 3, "checkpoint_every": 3, "log_every": 2, "precision": "float32"}
RECIPE = load_recipe("class").with_changes(SMALL)


def stripes(n: int = 16) -> ImageData:
    """Two classes of pictures: lying and standing stripes."""
    images = torch.zeros(n, 1, 28, 28, dtype=torch.uint8)
    for k in range(n):
        images[k, 0, 4 + k % 20 : 8 + k % 20] = 255
        if k % 2:
            images[k, 0] = images[k, 0].T.clone()
    return ImageData("stripes", images, torch.arange(n) % 2, ("lying", "standing"))


def begun(path: Path) -> tuple[RunDirectory, Trainer]:
    """A run and its trainer, whether it was begun before or not."""
    run = RunDirectory(path)
    if not run.recipe_file.exists():
        run.create(RECIPE)
    return run, Trainer(RECIPE, stripes())


def content(run: RunDirectory) -> dict[str, bytes]:
    """What equal trainings leave equal: log, weights and the SHA-256 of the whole state."""
    files = [run.metrics_file, run.model_file, run.result_file, *sorted((run.path / "epochs").iterdir())]
    return {file.name: file.read_bytes() for file in files}


@pytest.fixture(scope="module")
def quiet(tmp_path_factory):
    """What an uninterrupted training leaves."""
    run, trainer = begun(tmp_path_factory.mktemp("quiet") / "run")
    assert len(list(train(run, trainer))) == 6
    return content(run)


def state(value: float) -> dict:
    return {"network": {"w": torch.full((64,), value), "b": torch.full((7,), value)}}


def save_all(folder: Path, losses: list[float | None]) -> list[Path]:
    return [save_checkpoint(folder, k, state(k), {"loss": loss}) for k, loss in enumerate(losses, start=1)]


def flip(path: Path, at: int, mask: int = 1) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ mask]))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# Checkpoints in a folder


def test_each_of_a_thousand_flipped_bytes_is_noticed(tmp_path):
    _, before, newest = save_all(tmp_path, [None] * 3)
    files = [newest, newest.with_suffix(".sha256")]
    sizes = [file.stat().st_size for file in files]
    generator = random.Random(0)
    for _ in range(1000):
        at, mask = generator.randrange(sum(sizes)), generator.randrange(1, 256)
        file, at = (files[0], at) if at < sizes[0] else (files[1], at - sizes[0])
        flip(file, at, mask)
        assert latest_checkpoint(tmp_path).step == 2, (file, at, mask)
        flip(file, at, mask)
    assert latest_checkpoint(tmp_path).step == 3
    before.write_bytes(before.read_bytes()[:-1])
    newest.with_suffix(".sha256").unlink()
    assert latest_checkpoint(tmp_path).step == 1
    assert latest_checkpoint(tmp_path / "nothing") is None


def test_the_newest_checkpoints_and_the_best_are_kept(tmp_path):
    save_all(tmp_path, [None, 0.5, 0.2, 0.3, 0.4])
    told: list[str] = []
    tidy(tmp_path, 2, True, told.append)
    assert names(tmp_path) == [f"step-0000000{k}.{end}" for k in (3, 4, 5) for end in ("safetensors", "sha256")]
    tidy(tmp_path, 1, False, told.append)
    assert names(tmp_path) == ["step-00000005.safetensors", "step-00000005.sha256"]
    assert told == []


def test_a_damaged_checkpoint_neither_counts_nor_goes(tmp_path):
    paths = save_all(tmp_path, [0.1, 0.2, 0.3, 0.4])
    for path in paths[0], paths[2]:
        flip(path, -1 + path.stat().st_size)
    damaged = paths[2].read_bytes()
    told: list[str] = []
    tidy(tmp_path, 2, True, told.append)
    assert [path.name for path in sorted(tmp_path.glob("*.safetensors"))] == [
        "damaged-1-step-00000001.safetensors",
        "damaged-1-step-00000003.safetensors",
        "step-00000002.safetensors",
        "step-00000004.safetensors",
    ]
    assert (tmp_path / "damaged-1-step-00000003.safetensors").read_bytes() == damaged
    assert [line.split(" is damaged")[0] for line in told] == [str(paths[0]), str(paths[2])]
    assert all(line.endswith("the newest good checkpoint is step-00000004.safetensors") for line in told)


def test_when_all_are_damaged_nothing_is_touched(tmp_path):
    for path in save_all(tmp_path, [None] * 2):
        flip(path, 20)
    before = names(tmp_path)
    for act in (lambda: latest_checkpoint(tmp_path), lambda: tidy(tmp_path, 1, True, pytest.fail)):
        with pytest.raises(SfumatoError, match="all 2 checkpoints are damaged") as caught:
            act()
        assert caught.value.exit_code == 1
    assert names(tmp_path) == before


def test_a_checkpoint_tells_the_mean_logged_loss_of_the_epoch_before_it(tmp_path):
    run, trainer = begun(tmp_path / "run")
    list(train(run, trainer))
    # Two steps an epoch and in a line of the log, so that the last line is the last epoch.
    assert latest_checkpoint(run.checkpoints).facts["loss"] == run.metrics()[-1]["loss"]
    assert run.metrics()[-1]["step"] == 6


# What is told, and what is left, when files cannot be written or read


class Writes:
    """Counts what is asked of the disk from here on, and has something happen before or after one of it.

    `act` is given a function that does half of what is asked, where there are halves.
    """

    def __init__(self, monkeypatch, at=None, act=None, *, forever=False, after=False) -> None:
        self.count, self.at, self.act, self.forever, self.after = 0, at, act, forever, after
        for name in ("mkdir", "fsync", "replace", "rename"):
            monkeypatch.setattr(os, name, self.of(getattr(os, name)))
        plain, counted, real_open = os.open, self.of(os.open), io.open
        monkeypatch.setattr(os, "open", lambda p, f, *a, **k: (counted if f & os.O_CREAT else plain)(p, f, *a, **k))

        def open_(file, mode="r", *arguments, **keywords):
            opened = real_open(file, mode, *arguments, **keywords)
            return File(opened, self) if set(mode) & set("wax") else opened

        monkeypatch.setattr(io, "open", open_)

    def of(self, real, half=lambda: None):
        """The function, counted."""

        def call(*arguments, **keywords):
            self.count += 1
            now = self.count == self.at or (self.forever and self.at is not None and self.count > self.at)
            if now and not self.after:
                self.act(half)
            try:
                return real(*arguments, **keywords)
            finally:
                if now and self.after:
                    self.act(lambda: None)

        return call


class File:
    """A file whose writes are counted."""

    def __init__(self, file, writes: Writes) -> None:
        self._file, self._writes = file, writes

    def write(self, data):
        return self._writes.of(self._file.write, lambda: self._file.write(data[: len(data) // 2]))(data)

    def flush(self):
        self._writes.of(self._file.flush)()

    def __getattr__(self, name):
        return getattr(self._file, name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()


def refuse(number: int):
    def act(half) -> None:
        half()
        raise OSError(number, os.strerror(number))

    return act


def half_written(run: RunDirectory) -> list[Path]:
    alone = [file for file in run.checkpoints.glob("*.sha256") if not file.with_suffix(".safetensors").exists()]
    return [*run.path.rglob("*.part"), *alone]


def count_writes(path: Path) -> int:
    with pytest.MonkeyPatch.context() as patch:
        writes = Writes(patch)
        list(train(*begun(path)))
    return writes.count


def troubled(path: Path, at: int, act, *, stop=lambda: False, **options) -> BaseException | None:
    """Train with trouble at one write; what was raised. The last good checkpoint is there, and nothing half written."""
    saved, error = 0, None
    with pytest.MonkeyPatch.context() as patch:
        Writes(patch, at, act, **options)
        try:
            for progress in train(*begun(path), stop=stop):
                saved = max(saved, progress.step if progress.epoch_ends or progress.step % 3 == 0 else 0)
        except (SfumatoError, KeyboardInterrupt) as caught:
            error = caught
    run = RunDirectory(path)
    checkpoint = latest_checkpoint(run.checkpoints)
    assert (checkpoint.step if checkpoint else 0) >= saved
    if isinstance(error, SfumatoError) and not options.get("forever"):
        assert not half_written(run)
    return error


def sweep(tmp_path, quiet, act, steps: slice, **options) -> list[BaseException | None]:
    errors = []
    for at in range(1, count_writes(tmp_path / "count") + 1)[steps]:
        run = RunDirectory(tmp_path / str(at))
        errors.append(troubled(run.path, at, act, **options))
        list(train(*begun(run.path)))
        assert content(run) == quiet, at
        assert not half_written(run)
    return errors


@pytest.mark.parametrize("part", [pytest.param(slice(3, None, 12)), pytest.param(slice(None), marks=pytest.mark.slow)])
def test_a_disk_that_is_full_at_any_write_costs_nothing_but_time(tmp_path, quiet, part):
    errors = sweep(tmp_path, quiet, refuse(errno.ENOSPC), part)
    assert len(errors) > 5
    # No reason to stop are a folder that is there already and one that cannot be synced.
    for error in filter(None, errors):
        assert isinstance(error, SfumatoError)
        assert error.exit_code == 1
        assert str(error).endswith("No space left on device; make room on that disk")
        assert "\n" not in str(error)
    print(f"{len(errors)} writes failed, {len(list(filter(None, errors)))} of them ended the training")


def test_a_folder_that_becomes_read_only_is_told_in_one_line(tmp_path, quiet):
    errors = sweep(tmp_path, quiet, refuse(errno.EROFS), slice(1, None, 40), forever=True)
    assert all("Read-only file system; choose a folder that can be written to" in str(error) for error in errors)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("part", [pytest.param(slice(5, None, 30)), pytest.param(slice(None), marks=pytest.mark.slow)])
def test_ctrl_c_twice_at_any_write_costs_nothing_but_time(tmp_path, quiet, part, after):
    with _Interrupt() as interrupt:

        def twice(half) -> None:
            half()
            interrupt._asked = False
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

        errors = sweep(tmp_path, quiet, twice, part, after=after)
    assert all(isinstance(error, KeyboardInterrupt) for error in errors)


@pytest.mark.parametrize("part", [pytest.param(slice(5, None, 20)), pytest.param(slice(None), marks=pytest.mark.slow)])
def test_sigterm_twice_at_any_write_saves_and_stops(tmp_path, quiet, part):
    with _Interrupt() as interrupt:

        def twice(half) -> None:
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGTERM)

        for at in range(1, count_writes(tmp_path / "count") + 1)[part]:
            interrupt._asked = False
            run = RunDirectory(tmp_path / str(at))
            assert troubled(run.path, at, twice, stop=interrupt.__call__) is None
            assert interrupt()
            assert latest_checkpoint(run.checkpoints) is not None
            list(train(*begun(run.path)))
            assert content(run) == quiet, at


def test_what_was_killed_while_it_wrote_is_cleared_away(tmp_path, quiet):
    run, trainer = begun(tmp_path / "run")
    steps = train(run, trainer)
    while next(steps).step < 3:
        pass
    steps.close()
    left = [run.path / ".metrics.jsonl.abcd_123.part", run.checkpoints / ".step-00000004.safetensors.abcdefgh.part"]
    left.append(run.checkpoints / "step-00000004.sha256")
    for path in left:
        path.write_bytes(b"half")
    list(train(*begun(run.path)))
    assert not any(path.exists() for path in left[:2])
    assert content(run) == quiet


def test_the_command_line_tells_of_damage_in_one_line(tmp_path, quiet, capsys):
    folder_of(stripes(), tmp_path / "data")
    run = RunDirectory(tmp_path / "run")
    settings = [part for key, value in SMALL.items() for part in ("--set", f"{key}={value}")]
    begin = ["train", "class", "--data", str(tmp_path / "data"), "--out", str(run.path), "--set", "sample_steps=2"]
    resume = ["train", "--resume", "--out", str(run.path)]
    assert exit_code([*begin, *settings]) == 0
    before, (older, newest) = content(run), sorted(run.checkpoints.glob("*.safetensors"))[-2:]
    capsys.readouterr()

    flip(newest, 100)
    run.model_file.unlink()
    assert exit_code(resume) == 0
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "damaged" in line]
    assert line.startswith(f"{newest} is damaged and now named damaged-1-{newest.name}; the newest good checkpoint is")
    assert content(run) == before

    for path in run.checkpoints.glob("step-*.safetensors"):
        flip(path, 100)
    left = names(run.checkpoints)
    assert exit_code(resume) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: all ")
    assert names(run.checkpoints) == left
    assert older.exists()

    with run.locked():
        assert exit_code(resume) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line == f"error: another process trains in {run.path}; stop it or choose another folder"


def exit_code(arguments: list[str]) -> int:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    return end.value.code


# Numbers that are none


def poisoned(run: RunDirectory, trainer: Trainer, step: int, poison) -> None:
    for progress in train(run, trainer):
        if progress.step == step:
            poison()


def test_no_checkpoint_is_written_after_a_loss_that_is_no_number(tmp_path):
    run, trainer = begun(tmp_path / "run")
    weights = next(trainer.network.parameters()).data
    with pytest.raises(SfumatoError, match="the loss of step 5 is nan"):
        poisoned(run, trainer, 4, lambda: weights.fill_(float("nan")))
    checkpoint = latest_checkpoint(run.checkpoints)
    assert checkpoint.step == 4
    assert all(bool(t.isfinite().all()) for group in checkpoint.groups.values() for t in group.values())


def test_no_checkpoint_is_written_of_weights_that_are_no_numbers(tmp_path):
    run, trainer = begun(tmp_path / "run")
    moment = next(iter(trainer.optimizer.exp_avg.values()))
    # The loss of the next step is finite, its update is not.
    with pytest.raises(SfumatoError, match=r"step 6 left network/.* without finite values and is not saved"):
        poisoned(run, trainer, 5, lambda: moment.fill_(float("inf")))
    assert latest_checkpoint(run.checkpoints).step == 4
    assert not run.epoch_file(3).exists()


# One process at a time


def test_a_second_training_in_the_same_folder_is_refused(tmp_path, monkeypatch):
    run, trainer = begun(tmp_path / "run")
    steps = train(run, trainer)
    next(steps)
    with pytest.raises(UsageError, match="another process trains in"):
        next(train(*begun(run.path)))
    monkeypatch.setattr("sfumato.files.fcntl", None)
    with run.locked():
        pass
    monkeypatch.undo()
    steps.close()
    with run.locked():
        pass


# Processes that are killed and asked to stop


def folder_of(data: ImageData, path: Path) -> None:
    for k, (image, label) in enumerate(zip(data.images, data.labels, strict=True)):
        folder = path / data.classes[label]
        folder.mkdir(parents=True, exist_ok=True)
        to_image(image.float() / 255).save(folder / f"{k:03d}.png")


def sfumato(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "sfumato", *arguments, "--quiet"]


def wait_for(process, happened) -> None:
    while process.poll() is None and not happened():
        time.sleep(0.001)


@pytest.mark.parametrize(
    ("kills", "steps"),
    [pytest.param(3, 200, marks=pytest.mark.thorough), pytest.param(50, 500, marks=pytest.mark.slow)],
    ids=["three", "fifty"],
)
def test_kill_9_at_random_moments_changes_nothing(tmp_path, kills, steps):
    """Killed while running or saving, resumed each time: every hash is that of a quiet run."""
    folder_of(stripes(40), tmp_path / "data")
    numbers = ["width=2", "batch_size=1", "epochs=100", f"steps={steps}", "checkpoint_every=3", "sample_epochs=[100]"]
    settings = [part for number in [*numbers, "sample_steps=2", "epoch_every=2"] for part in ("--set", number)]

    def begin(name):
        return sfumato("train", "class", "--data", str(tmp_path / "data"), "--out", str(tmp_path / name), *settings)

    subprocess.run(begin("quiet"), check=True)
    expected = content(RunDirectory(tmp_path / "quiet"))

    run = RunDirectory(tmp_path / "killed")
    moments, command, saving, started = random.Random(), begin("killed"), 0, time.monotonic()
    for kill in range(kills):
        process = subprocess.Popen(command)
        if kill % 3 == 2:  # at any moment of its first seconds
            time.sleep(moments.uniform(0, 4))
        else:  # when it has got somewhere
            before = max((path.name for path in run.checkpoints.glob("step-*.safetensors")), default="")
            wait_for(process, lambda before=before: any(p.name > before for p in run.checkpoints.glob("step-*.safe*")))
            time.sleep(moments.uniform(0, 0.15))
            if kill % 3:  # and in the middle of a write
                wait_for(process, lambda: list(run.checkpoints.glob(".*.part")))
        assert process.poll() is None, f"the training was over before it could be killed {kills} times"
        process.send_signal(signal.SIGKILL)
        process.wait()
        saving += bool(list(run.checkpoints.glob(".*.part")))
        command = sfumato("train", "--resume", "--out", str(run.path))
    left = steps - (latest_checkpoint(run.checkpoints).step)
    subprocess.run(command, check=True)
    assert content(run) == expected
    print(f"{kills} kills, {saving} in the middle of a write, {left} steps left, {time.monotonic() - started:.0f} s")


def test_sigterm_saves_and_says_how_to_go_on(tmp_path):
    folder_of(stripes(), tmp_path / "data")
    run = RunDirectory(tmp_path / "run")
    command = sfumato("train", "time", "--data", str(tmp_path / "data"), "--out", str(run.path), "--set", "width=4")
    process = subprocess.Popen([*command, "--set", "epochs=10000"], stderr=subprocess.PIPE, text=True)
    wait_for(process, lambda: (run.path / "samples").exists())
    with pytest.raises(UsageError, match="another process trains in"), run.locked():
        pass
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGTERM)
    asked = time.monotonic()
    _, told = process.communicate(timeout=60)
    print(f"{time.monotonic() - asked:.1f} s from the signal to the end")
    assert process.returncode == 130, told
    assert f"go on with: sfumato train --resume --out {run.path}" in told
    assert "Traceback" not in told
    assert latest_checkpoint(run.checkpoints) is not None
    with run.locked():
        pass


@pytest.mark.thorough
def test_samples_do_not_keep_a_training_from_stopping(tmp_path, quiet, monkeypatch):
    run, trainer = begun(tmp_path / "run")
    asked: list[int] = []
    real = training.sample_sheet

    def sheet(*arguments):
        asked.append(1)
        return real(*arguments)

    monkeypatch.setattr(training, "sample_sheet", sheet)
    done = training.follow(run, trainer, stop=lambda: bool(asked), quiet=True, warn=pytest.fail)
    assert trainer.step == 2
    assert not run.sample_file(1).exists()
    assert not done
    monkeypatch.undo()
    # What was left out is made up for, and what is there is not made again.
    training.follow(*begun(run.path), stop=lambda: False, quiet=True, warn=pytest.fail)
    assert run.sample_file(1).exists()
    assert content(run) == quiet
    monkeypatch.setattr(training, "sample_sheet", pytest.fail)
    training.follow(*begun(run.path), stop=lambda: False, quiet=True, warn=pytest.fail)
