import io
import sys

import pytest
import torch
from PIL import Image
from rich.console import Console

from sfumato.app.live import Lines, TensorBoard, Terminal, sparkline, watch
from sfumato.training.data import ImageData
from sfumato.training.recipe import load_recipe
from sfumato.training.trainer import Progress, Trainer


@pytest.fixture
def trainer() -> Trainer:
    data = ImageData("grey", torch.zeros(40, 1, 28, 28, dtype=torch.uint8), torch.arange(40) % 2, ("a", "b"))
    return Trainer(load_recipe("class").with_changes({"width": 4, "epochs": 2, "batch_size": 4}), data)


@pytest.fixture
def sheet(tmp_path):
    path = tmp_path / "sheet.png"
    Image.new("L", (302 * 4, 122 * 4), 90).save(path)
    return path


def test_a_curve_in_a_line_of_text():
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert sparkline([7, 0]) == "█▁"
    assert sparkline([2, 2]) == "▁▁"
    assert sparkline([]) == ""


def test_a_terminal_shows_progress_curve_and_samples(trainer, sheet):
    out = io.StringIO()
    with Terminal(trainer, Console(file=out, force_terminal=True, width=100)) as terminal:
        for step in range(1, 21):
            terminal.step(Progress(step, 1 + step // 11, step % 10 == 0, 1 / step, 1e-3))
        terminal.samples(Progress(10, 1, True, 0.1, 1e-3), sheet)
    shown = out.getvalue()
    for words in ("epoch 2/2", "20/20", "loss 0.", "samples after epoch 1", "▀"):
        assert words in shown


def test_a_file_gets_a_line_an_epoch_and_nobody_nothing(trainer, sheet, capsys):
    with watch(trainer, quiet=False) as watcher:
        assert isinstance(watcher, Lines)
        for step in range(1, 21):
            watcher.step(Progress(step, 1 + (step - 1) // 10, step % 10 == 0, 0.5, 1e-3))
        watcher.samples(Progress(10, 1, True, 0.1, 1e-3), sheet)
    lines = ["epoch 1/2: step 10, loss 0.5000", "epoch 2/2: step 20, loss 0.5000"]
    assert capsys.readouterr().err.splitlines() == lines
    with watch(trainer, quiet=True) as watcher:
        assert watcher is None


def test_a_missing_tensorboard_is_told_before_there_is_a_run(monkeypatch, sfumato, tmp_path):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    done = sfumato("train", "class", "--data", "typeset", "--out", tmp_path / "run", "--tensorboard")
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert "pip install 'sfumato[tensorboard]'" in done.err
    assert not (tmp_path / "run").exists()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_reads_what_is_written(tmp_path, sheet):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    with TensorBoard(tmp_path / "tensorboard") as watcher:
        for step in range(1, 4):
            watcher.step(Progress(step, 1, False, 1 / step, 1e-3))
        watcher.samples(Progress(3, 1, True, 0.1, 1e-3), sheet)
    events = accumulator.EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [event.value for event in events.Scalars("loss")] == pytest.approx([1, 1 / 2, 1 / 3])
    assert [event.step for event in events.Images("samples")] == [3]
