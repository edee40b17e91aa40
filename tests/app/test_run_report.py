"""The report of a run is made of its files alone, and leaves out what is not there."""

import hashlib
import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from sfumato.app.run_report import epoch_losses, run_report
from sfumato.app.training import begin
from sfumato.training.datasets import load_typeset
from sfumato.training.directory import RunDirectory
from sfumato.training.recipe import CourseRecipe, load_recipe

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


def test_more_steps_than_the_epochs_have_are_refused(sfumato, tmp_path, pictures):
    done = sfumato("train", "class", "--data", pictures, "--out", tmp_path / "run", "--set", "steps=1000")
    assert done.code == 2
    assert "steps=1000 is more than the 20 of epochs=20, for 40 pictures; say epochs=1000 as well" in done.err
    assert not (tmp_path / "run").exists()


def test_a_data_set_goes_before_a_folder_of_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(CourseRecipe, "load", lambda *_: load_typeset(20))
    for name in ("typeset", "pictures"):
        (tmp_path / name).mkdir()
        _, run = begin(tmp_path / f"run-{name}", load_recipe("class").with_changes({"data": name}), "cpu", print)
        assert run.recipe().data == (name if name == "typeset" else str(tmp_path / name))


def test_samples_are_in_the_order_of_their_epochs(tmp_path):
    run = RunDirectory(tmp_path / "run")
    run.create(load_recipe("time"))
    (tmp_path / "run" / "samples").mkdir()
    Image.new("L", (4, 4)).save(tmp_path / "run" / "samples" / "epoch-mine.png")
    for epoch in (1000, 999, 2):
        Image.new("L", (4, 4)).save(run.sample_file(epoch))
    report = run_report(run)
    places = [report.index(f"Samples after epoch {epoch}.") for epoch in (2, 999, 1000)]
    assert places == sorted(places)


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
