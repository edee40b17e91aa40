"""`sfumato tour` on the command line."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from PIL import Image

from sfumato.app import tour as module
from sfumato.app.tour import TINY


@pytest.fixture
def tiny(monkeypatch):
    """All sizes are the smallest one; which was asked for is noted."""
    asked = []
    plain = module.run_tour

    def run(*arguments, size, **options):
        asked.append(size)
        return plain(*arguments, size=TINY, **options)

    monkeypatch.setattr(module, "run_tour", run)
    return asked


def test_the_command_makes_the_page(sfumato, tmp_path, tiny, tiny_model, drawing):
    done = sfumato(
        "tour",
        "-o",
        tmp_path / "out",
        "--model",
        tiny_model,
        "--data",
        "typeset",
        "--quick",
        "--photo",
        drawing,
        "--json",
    )
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert told["numbers"]["subjects"][0]["photo"] == "photo"
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "The photo is your own picture: its middle, made grey, at the 28 × 28 pixels" in page
    assert tiny == [module.QUICK]
    assert (tmp_path / "out" / "inputs" / "photo.png").is_file()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--quick", "--full"], "give one of them"),
        (["--photo", "none.png"], "there is no such file"),
        (["--photo", "."], "it is a folder"),
        (["--model", "nobody"], "unknown model 'nobody'"),
        (["--data", "nowhere", "--model", "digits"], "is no data set and no folder"),
        (["--device", "abacus"], "device 'abacus' is not there"),
    ],
)
def test_a_bad_request_is_one_line_and_leaves_nothing(sfumato, tmp_path, words, line):
    done = sfumato("tour", "-o", tmp_path / "out", *words)
    assert done.code == 2
    assert line in done.err
    assert done.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_one_line(sfumato, tmp_path):
    (tmp_path / "file").write_text("here")
    done = sfumato("tour", "-o", tmp_path / "file")
    assert done.code == 2
    assert done.err == f"error: {tmp_path / 'file'} is a file; give a folder with --out\n"


def test_a_picture_that_is_none_is_one_line(sfumato, tmp_path):
    path = tmp_path / "cut.png"
    Image.new("L", (28, 28)).save(path)
    path.write_bytes(path.read_bytes()[:40])
    done = sfumato("tour", "-o", tmp_path / "out", "--photo", path)
    assert done.code == 2
    assert done.err.startswith(f"error: cannot read the picture {path}: ")


@pytest.mark.thorough
def test_ctrl_c_leaves_no_half_page(tmp_path, tiny_model):
    out = tmp_path / "out"
    command = [sys.executable, "-m", "sfumato", "tour", "-o", str(out), "--model", tiny_model, "--data", "typeset"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        lines = [process.stderr.readline(), process.stderr.readline()]
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert "steps (A0)" in lines[0]
    assert process.returncode == 130
    assert "Traceback" not in rest
    assert "nothing is half done" in rest
    left = [path.name for path in out.rglob("*") if path.is_file()]
    assert "report.html" not in left
    assert not [name for name in left if name.endswith(".part")]


@pytest.mark.slow
def test_the_quick_tour_of_the_bundled_digits(sfumato, tmp_path):
    done = sfumato("tour", "-o", tmp_path, "--quick", "--quiet", "--model", "digits")
    assert done.code == 0, done.err
    rows = json.loads((tmp_path / "numbers.json").read_text(encoding="utf-8"))["rows"]
    assert len(rows) == 26
    assert rows["A0"]["40"]["accuracy"] > 0.8
    assert rows["A1.7.2"]["kept_pixels_changed"] == 0
    assert rows["A1.8"]["all_ways"] > 0
    assert rows["B1.3"]["0.5"]["one_step"]["psnr"] > rows["B1.3"]["0.5"]["blur"]["psnr"]
    for pair in rows["C6"].values():
        assert pair["best"] >= pair["first"]
    assert (tmp_path / "report.html").stat().st_size < 12 * 2**20
