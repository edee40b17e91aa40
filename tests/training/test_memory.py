"""What a training holds in memory, from its start to its report."""

import subprocess
import sys

import pytest

PROGRAM = """
import re, runpy, sys
try:
    runpy.run_module("sfumato", run_name="__main__")
finally:
    with open("/proc/self/status") as file:
        print(re.search("VmHWM: *(.*) kB", file.read().replace(chr(9), ""))[1])
"""
"""A command that says how many KiB it held at most. (What a parent is told of its child counts the parent itself.)"""


@pytest.mark.thorough
@pytest.mark.skipif(sys.platform != "linux", reason="what a process holds at most is told by Linux")
@pytest.mark.parametrize(
    ("recipe", "steps", "limit"),
    [
        pytest.param("class", 12, 700, id="64 channels, batch 64"),
        pytest.param("denoiser", 3, 2252, id="128 channels, batch 256"),
    ],
)
def test_a_training_on_60000_digits_fits(tmp_path, recipe, steps, limit):
    """Resident at most, in MiB, with what torch itself takes."""
    numbers = [f"steps={steps}", f"checkpoint_every={steps - 1}", "sample_steps=2"]
    settings = [part for number in numbers for part in ("--set", number)]
    asked = ["train", recipe, "--data", "typeset", "--out", str(tmp_path / "run"), "--quiet", *settings]
    done = subprocess.run([sys.executable, "-c", PROGRAM, *asked], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "report.html").exists()
    peak = int(done.stdout.split()[-1]) / 1024
    print(f"{recipe}: {peak:.0f} MiB")
    assert 300 < peak <= limit
