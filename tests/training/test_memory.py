"""What a training holds in memory, from its start to its report."""

import os
import subprocess
import sys

import pytest

MIB = 2**20


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("recipe", "steps", "limit"),
    [
        pytest.param("class", 12, 700, id="64 channels, batch 64"),
        pytest.param("denoiser", 3, 2252, id="128, batch 256"),
    ],
)
def test_a_training_on_60000_digits_fits(tmp_path, recipe, steps, limit):
    """Resident at most, in MiB, with what torch itself takes."""
    numbers = [f"steps={steps}", f"checkpoint_every={steps - 1}", "sample_steps=2"]
    settings = [part for number in numbers for part in ("--set", number)]
    command = [sys.executable, "-m", "sfumato", "train", recipe, "--out", str(tmp_path / "run"), "--quiet", *settings]
    process = subprocess.Popen([*command, "--data", "typeset"], env={**os.environ, "OMP_NUM_THREADS": "2"})
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    assert (tmp_path / "run" / "report.html").exists()
    peak = usage.ru_maxrss * (1024 if sys.platform == "linux" else 1) / MIB
    print(f"{recipe}: {peak:.0f} MiB")
    assert peak <= limit
