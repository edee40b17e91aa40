"""The report of a run is made of its files alone, and leaves out what is not there."""

import hashlib
import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from sfumato.app.run_report import epoch_losses, run_report
from sfumato.training.datasets import load_typeset
from sfumato.training.directory import RunDirectory
from sfumato.training.recipe import load_recipe

SMALL = ("width=4", "batch_size=10", "epochs=2", "sample_steps=3", "log_every=1", "steps=6", "precision=float32")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Forty digits in class folders."""
    folder = tmp_path_factory.mktemp("data") / "digits"
    data = load_typeset(40)
    for k, (image, label) in enumerate(zip(data.images, data.labels, strict=True)):
        (folder / data.classes[label]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[0].numpy()).save(folder / data.classes[label] / f"{k}.png")
    (folder / "3" / "broken.png").write_bytes(b"no picture")
    return folder


def train(sfumato, folder, data, recipe, *more) -> RunDirectory:
    settings = [word for setting in (*SMALL, *more) for word in ("--set", setting)]
    done = sfumato("train", recipe, "--data", data, "--out", folder, *settings, "--quiet")
    assert done.code == 0, done.err
    return RunDirectory(folder)


def test_a_report_shows_loss_samples_animations_and_every_number(sfumato, tmp_path, pictures):
    run = train(sfumato, tmp_path / "run", pictures, "class")
    page = (run.path / "report.html").read_text(encoding="utf-8")
    assert page == run_report(run)
    assert "Finished after 6 steps" in page
    for words in ("Samples after epoch 1.", "Pictures come out of noise.", "condition is all zero", "step by step"):
        assert words in page
    for key in load_recipe("class").model_dump():
        assert key in {"name", "summary"} or f">{key}<" in page
    assert "sfumato train class --data" in page
    assert "One file of the data was left out." in page
    assert "broken.png" in page
    assert "http" not in page.replace("http://www.w3.org", "")
    result = json.loads(run.result_file.read_text())
    assert result["sha256"]["weights"] in page


def test_a_one_step_denoiser_shows_rows_and_no_animation(sfumato, tmp_path, pictures):
    run = train(sfumato, tmp_path / "run", pictures, "pure-noise")
    page = run_report(run)
    assert "Samples after epoch 1." in page
    assert "Animations" not in page


def test_a_run_that_has_only_begun_has_a_report(tmp_path):
    run = RunDirectory(tmp_path / "run")
    run.create(load_recipe("time"))
    page = run_report(run)
    assert "It has only begun." in page
    assert "Samples" not in page


def test_the_loss_of_an_epoch_is_the_mean_of_its_log():
    rows = [{"epoch": 1, "loss": 3.0}, {"epoch": 1, "loss": 1.0}, {"epoch": 2, "loss": 0.5}]
    assert epoch_losses(rows) == ((1.0, 2.0), (2.0, 0.5))


def test_flow_is_sampled_by_euler_by_default(sfumato, tmp_path, pictures):
    own = load_recipe("flow").sample_steps
    run = train(sfumato, tmp_path / "run", pictures, "flow", f"sample_steps={own}")
    done = sfumato("generate", "3", "--model", run.path, "--steps", "2", "-o", tmp_path / "out", "--json")
    assert json.loads(done.out)["pictures"][0]["job"]["sampler"] == "euler"
    assert torch.isfinite(torch.tensor(json.loads(run.result_file.read_text())["loss"]))


def test_a_training_that_began_with_a_model_says_so(sfumato, tmp_path, tiny_model):
    for name in "37":
        (tmp_path / "pictures" / name).mkdir(parents=True)
        Image.new("L", (28, 28), 20 * int(name)).save(tmp_path / "pictures" / name / "a.png")
    settings = [word for number in ("width=4", "steps=1", "sample_steps=2") for word in ("--set", number)]
    words = ("train", "class", "--data", tmp_path / "pictures", "--init", tiny_model, *settings)
    done = sfumato(*words, "-o", tmp_path / "run", "--quiet")
    assert done.code == 0, done.err
    recipe = json.loads((tmp_path / "run" / "recipe.json").read_text(encoding="utf-8"))
    assert recipe["init"] == tiny_model
    assert recipe["init_sha256"] == hashlib.sha256(Path(tiny_model).read_bytes()).hexdigest()
    assert f"--init {tiny_model} --set " in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    refused = sfumato("train", "--resume", "--init", tiny_model, "-o", tmp_path / "run")
    assert "leave --set, --data, --init and --like out" in refused.err
