"""A judge of one's own classes: trained on the pictures of a run, and taken where that run is measured."""

import json

import pytest
import torch
from PIL import Image, ImageDraw

from sfumato.app.judging import HELD_OUT, judge_file, parted
from sfumato.errors import UsageError
from sfumato.evaluation.judge import read_judge
from sfumato.training.data import ImageData


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Twenty bright bars and twenty dark rings, 24×24 in colour."""
    folder = tmp_path_factory.mktemp("pictures")
    for k in range(20):
        for name in ("bar", "ring"):
            picture = Image.new("RGB", (24, 24), (20, 3 * k, 40))
            pen = ImageDraw.Draw(picture)
            if name == "ring":
                pen.ellipse((4, 4, 19, 19), outline=(200, 90, 10 * k), width=3)
            else:
                pen.line((3, 12, 20, 12), fill=(250, 250, 200), width=5)
            (folder / name).mkdir(exist_ok=True)
            picture.save(folder / name / f"{k}.png")
    return folder


@pytest.fixture
def run(pictures, tmp_path, sfumato):
    """A run of a step on them."""
    numbers = ("width=4", "size=24", "channels=3", "steps=1", "batch_size=8", "sample_steps=2", "timesteps=10")
    settings = [word for number in numbers for word in ("--set", number)]
    done = sfumato("train", "class", "--data", pictures, "--out", tmp_path / "run", "--quiet", *settings)
    assert done.code == 0, done.err
    return tmp_path / "run"


def test_evaluate_takes_the_judge_of_a_run(run, sfumato):
    without = json.loads(sfumato("evaluate", run, "-n", 4, "--steps", 2, "--json").out)
    assert "samples" not in without
    assert "sfumato judge" in without["notes"][0]

    done = sfumato("judge", run, "--epochs", 30)
    assert done.code == 0, done.err
    assert f"every {HELD_OUT}th picture" in done.err
    assert len([line for line in done.err.splitlines() if line.startswith("epoch")]) == 10
    judge = read_judge(judge_file(run))
    assert (judge.shape, judge.classes) == ((3, 24, 24), ("bar", "ring"))
    assert judge.facts["test"]["n"] == 4
    assert judge.facts["test_accuracy"] == 1

    result = json.loads(sfumato("evaluate", run, "-n", 4, "--steps", 2, "--json").out)
    assert result["samples"]["classes"] == ["bar", "ring"]
    assert sum(map(sum, result["samples"]["confusion"])) == 4
    found = sfumato("generate", "bar", "--model", run, "--best-of", 2, "--judge", judge_file(run), "--steps", 2)
    assert found.code == 0, found.err


def test_the_same_seed_trains_the_same_judge(run, sfumato):
    states = []
    for _ in range(2):
        assert sfumato("judge", run, "--epochs", 2, "--seed", 3, "--quiet").code == 0
        states.append(read_judge(judge_file(run)).network.state_dict())
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    assert read_judge(judge_file(run)).facts["recipe"]["seed"] == 3


def test_what_a_judge_cannot_be_made_of_is_told_in_a_line(run, tmp_path, sfumato, pictures):
    (tmp_path / "loose").mkdir()
    for k in range(3):
        Image.new("L", (30, 30), k).save(tmp_path / "loose" / f"{k}.png")
    loose = ("train", "time", "--data", tmp_path / "loose", "--out", tmp_path / "plain", "--quiet")
    small = ("--set", "width=4", "--set", "steps=1", "--set", "sample_steps=2", "--set", "timesteps=10")
    assert sfumato(*loose, *small).code == 0
    for words, what in (
        (("judge", tmp_path), "no run in"),
        (("judge", tmp_path / "plain"), "no class of 10 pictures"),
        (("evaluate", "digits", "--judge", tmp_path / "none.safetensors"), "no such file"),
        (("evaluate", "digits", "-n", 1, "--judge", run / "model.safetensors"), "holds no judge"),
    ):
        done = sfumato(*words)
        assert done.code == 2
        assert done.err.count("\n") == 1
        assert what in done.err


def test_a_judge_reads_only_its_own_pictures(run, sfumato):
    assert sfumato("judge", run, "--epochs", 1, "--quiet").code == 0
    for words in (
        ("evaluate", "digits", "-n", 1, "--judge", judge_file(run)),
        ("evaluate", "emoji", "-n", 1, "--judge", judge_file(run)),
        ("generate", "3", "--model", "digits", "--best-of", 2, "--judge", judge_file(run)),
    ):
        done = sfumato(*words)
        assert done.code == 2
        assert "judge" in done.err
        assert done.err.count("\n") == 1


def test_every_tenth_of_each_class_is_kept():
    labels = torch.tensor([0, 1] * 25 + [0] * 7)
    images = torch.arange(len(labels), dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 16, 16).contiguous()
    data = ImageData("numbered", images, labels, ("a", "b"))
    train, test = parted(data)
    assert test.labels.tolist() == [0, 1, 0, 1, 0]
    assert sorted([*train.images[:, 0, 0, 0].tolist(), *test.images[:, 0, 0, 0].tolist()]) == list(range(len(labels)))
    with pytest.raises(UsageError, match="no class of 10 pictures"):
        parted(ImageData("few", images[:9], labels[:9], ("a", "b")))
