"""The examples run as they stand, offline, in seconds; those that can be asked for less are."""

import runpy
import sys
from pathlib import Path

import pytest
from PIL import Image

FOLDER = Path(__file__).parents[2] / "examples"
MAKES = {
    "anagram": ["anagram.png"],
    "diffusers_folder": ["diffusers.png"],
    "evaluate": [],
    "generate": ["digits.png"],
    "guidance_by_hand": ["guidance.png"],
    "hybrid": ["hybrid.png"],
    "inpaint": ["inpainted.png"],
    "jobs": ["pictures"],
    "own_sampler": ["churned.png"],
    "own_view": ["twisted.png"],
    "train": ["trained.png"],
    "watch_the_loop": ["emerging.gif"],
}
LESS = {"train": ["6"], "evaluate": ["10"]}


def test_every_example_is_here():
    assert {file.stem for file in FOLDER.glob("*.py")} == MAKES.keys()


@pytest.mark.thorough
@pytest.mark.parametrize("name", MAKES)
def test_an_example_runs(name, tmp_path, monkeypatch, capsys):
    if name == "diffusers_folder":
        pytest.importorskip("diffusers", reason="diffusers is not installed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(sys, "argv", [f"{name}.py", *LESS.get(name, [])])
    runpy.run_path(str(FOLDER / f"{name}.py"), run_name="__main__")
    for file in MAKES[name]:
        assert (tmp_path / file).exists()
        if (tmp_path / file).is_file():
            with Image.open(tmp_path / file) as image:
                assert image.getextrema() != (0, 0)
    if name in {"evaluate", "anagram", "own_view", "jobs"}:
        assert capsys.readouterr().out


@pytest.mark.parametrize("name", MAKES)
def test_an_example_is_short_and_says_what_it_is(name):
    text = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    assert text.startswith('"""')
    assert len([line for line in text.splitlines() if line.strip()]) <= 40
