import json
from typing import get_args

import pytest
import torch

from sfumato.core.predictions import Prediction
from sfumato.core.samplers import SAMPLERS
from sfumato.core.schedules import KINDS, Additive, linear
from sfumato.errors import SfumatoError, UsageError
from sfumato.files import sha256
from sfumato.models.weights import load_weights
from sfumato.training.ahead import ahead
from sfumato.training.data import ImageData, epoch_order
from sfumato.training.directory import RunDirectory
from sfumato.training.objective import Objective, Weighting
from sfumato.training.recipe import Recipe, load_recipe, packaged_recipes, parse_settings
from sfumato.training.run import state_digests, train
from sfumato.training.trainer import Trainer

SMALL = {"width": 4, "batch_size": 8, "epochs": 2, "checkpoint_every": 3, "log_every": 2}


def stripes(n: int = 40) -> ImageData:
    """Two classes of pictures: lying and standing stripes."""
    generator = torch.Generator().manual_seed(0)
    images = torch.zeros(n, 1, 28, 28, dtype=torch.uint8)
    labels = torch.arange(n) % 2
    for k in range(n):
        at = int(torch.randint(4, 20, (), generator=generator))
        images[k, 0, at : at + 4] = 255
        if labels[k]:
            images[k, 0] = images[k, 0].T.clone()
    return ImageData("stripes", images, labels, ("lying", "standing"))


def recipe(name: str = "class", **changes):
    return load_recipe(name).with_changes({**SMALL, **changes})


def test_the_packaged_recipes_have_the_numbers_of_the_course():
    assert packaged_recipes() == ["class", "denoiser", "flow", "pure-noise", "text", "time", "upsample"]
    denoiser, time_, class_ = (load_recipe(name) for name in ("denoiser", "time", "class"))
    assert (denoiser.epochs, denoiser.batch_size, denoiser.width, denoiser.sigmas) == (5, 256, 128, (0.5,))
    assert (denoiser.lr, denoiser.prediction, denoiser.lr_at(4, 0)) == (1e-4, Prediction.X0, 1e-4)
    for r in (time_, class_):
        assert (r.epochs, r.batch_size, r.width, r.timesteps) == (20, 64, 64, 300)
        assert (r.beta_start, r.beta_end, r.lr) == (1e-4, 0.02, 1e-3)
        assert r.lr_at(1, 0) == pytest.approx(1e-3 * 0.1 ** (1 / 20))
    assert class_.condition_dropout == 0.1
    assert class_.class_conditioned
    assert not time_.class_conditioned


def test_objective_is_that_of_the_write_ups():
    x0 = torch.rand(64, 1, 28, 28)
    example = Objective(Additive((0.5,)), Prediction.X0).example(
        x0, torch.zeros(64, 1), torch.Generator().manual_seed(0)
    )
    assert torch.equal(example.target, x0)
    assert (example.x - x0).std().item() == pytest.approx(0.5, rel=0.02)

    schedule = linear(300)
    classes = torch.eye(2)[torch.arange(64) % 2]
    example = Objective(schedule, Prediction.EPS, 0.1).example(x0, classes, torch.Generator().manual_seed(0))
    index = (example.time[:, 0] * 300).round().long()
    alpha = torch.tensor([schedule.levels[i].alpha for i in index])[:, None, None, None]
    sigma = torch.tensor([schedule.levels[i].sigma for i in index])[:, None, None, None]
    assert (alpha * x0 + sigma * example.target - example.x).abs().max() < 1e-5
    assert index.min() >= 0
    assert index.max() < 300


def test_one_class_in_ten_is_hidden():
    n = 4000
    x0, classes = torch.zeros(n, 1, 4, 4), torch.eye(2)[torch.arange(n) % 2]
    example = Objective(linear(300), Prediction.EPS, 0.1).example(x0, classes, torch.Generator().manual_seed(1))
    hidden = (example.conditions.sum(1) == 0).float().mean().item()
    assert hidden == pytest.approx(0.1, abs=0.02)
    shown = example.conditions.sum(1) == 1
    assert torch.equal(example.conditions[shown], classes[shown])


@pytest.mark.parametrize("prediction", list(Prediction))
def test_weights_mean_the_same_whatever_is_predicted(prediction):
    """min(snr, γ) and min(snr + 1, γ) are weights of x₀'s error, of which an error of the output is a multiple."""
    schedule, generator = linear(300), torch.Generator().manual_seed(0)
    for t in (0, 20, 150, 299):
        level = schedule.level(t)
        snr = torch.tensor([level.snr])
        x = torch.randn(1, 1, 4, 4, generator=generator)
        one, other = (torch.randn(1, 1, 4, 4, generator=generator) for _ in range(2))
        ratio = prediction.x0(one, x, level.alpha, level.sigma) - prediction.x0(other, x, level.alpha, level.sigma)
        per_x0 = ((one - other).square().sum() / ratio.square().sum()).item()
        for weighting, wanted in ((Weighting.MIN_SNR, min(level.snr, 5)), (Weighting.CAPPED_V, min(level.snr + 1, 5))):
            weight = weighting.weight(snr, 5.0, prediction).item()
            # The flow of a variance-preserving level is its ε and x₀ scaled: alpha + sigma is not 1 there.
            assert weight * per_x0 == pytest.approx(wanted, rel=1e-4)
    assert Weighting.UNIFORM.weight(snr, 5.0, prediction) is None


def test_every_epoch_visits_every_picture_once_in_another_order():
    orders = [epoch_order(100, 0, epoch) for epoch in range(3)]
    for order in orders:
        assert torch.equal(order.sort().values, torch.arange(100))
    assert not torch.equal(orders[0], orders[1])


@pytest.mark.parametrize("name", ["denoiser", "time", "class", "flow", "pure-noise"])
def test_each_recipe_learns(name, tmp_path):
    trainer = Trainer(recipe(name, epochs=12, lr=3e-3, precision="float32"), stripes())
    losses = [progress.loss for progress in trainer.run()]
    assert sum(losses[-5:]) < 0.6 * sum(losses[:5])


def test_a_stopped_training_goes_on_bit_for_bit(tmp_path):
    whole, parts = RunDirectory(tmp_path / "whole"), RunDirectory(tmp_path / "parts")
    r = recipe()
    for run in (whole, parts):
        run.create(r)
    straight = Trainer(r, stripes())
    list(train(whole, straight))
    for limit in (1, 4, 2, 100):
        trainer = Trainer(r, stripes())
        count = iter(range(limit))
        for _ in train(parts, trainer, stop=lambda count=count: next(count, None) is None):
            pass
    assert trainer.step == straight.step == trainer.total_steps
    assert state_digests(trainer) == state_digests(straight)
    assert json.loads(parts.result_file.read_text()) == json.loads(whole.result_file.read_text())
    assert parts.metrics_file.read_text() == whole.metrics_file.read_text()
    assert parts.model_file.read_bytes() == whole.model_file.read_bytes()


def test_other_data_are_refused_on_resume(tmp_path):
    run = RunDirectory(tmp_path / "run")
    run.create(recipe())
    for progress in train(run, Trainer(recipe(), stripes())):
        if progress.step == 4:
            break
    with pytest.raises(UsageError, match="not those that"):
        list(train(run, Trainer(recipe(), stripes(48))))


def test_a_training_begins_with_the_weights_of_another_one(tmp_path):
    first = RunDirectory(tmp_path / "first")
    first.create(recipe())
    list(train(first, Trainer(recipe(), stripes())))
    learned = load_weights(first.model_file)
    changes = {"init": str(first.model_file), "init_sha256": sha256(*learned.files), "epochs": 1}
    begun = Trainer(recipe(**changes), stripes())
    begun.begin()
    for state in (begun.network.state_dict(), begun.ema):
        assert all(torch.equal(state[key], value) for key, value in learned.network.state_dict().items())
    second = RunDirectory(tmp_path / "second")
    second.create(recipe(**changes))
    (one, *_) = train(second, Trainer(recipe(**changes), stripes()))
    assert one.loss < next(iter(Trainer(recipe(), stripes()).run())).loss
    # Once there is a checkpoint, the file that it began with is not needed any more; before, it must be the same.
    first.model_file.write_bytes(b"something else")
    list(train(second, Trainer(recipe(**changes), stripes())))
    with pytest.raises(SfumatoError):
        Trainer(recipe(**changes), stripes()).begin()


def test_weights_that_do_not_fit_are_no_beginning(tmp_path):
    run = RunDirectory(tmp_path / "run")
    run.create(recipe())
    list(train(run, Trainer(recipe(), stripes())))
    wider = Trainer(recipe(width=8, init=str(run.model_file)), stripes())
    with pytest.raises(UsageError, match="is no beginning for recipe class: its "):
        wider.begin()
    changed = Trainer(recipe(init=str(run.model_file), init_sha256="0" * 64), stripes())
    with pytest.raises(UsageError, match="has changed since"):
        changed.begin()


def test_a_loss_that_is_no_number_ends_the_training(tmp_path):
    run = RunDirectory(tmp_path / "run")
    r = recipe(lr=1e30, precision="float32")
    run.create(r)
    with pytest.raises(SfumatoError, match=r"the loss of step \d+ is (nan|inf)"):
        list(train(run, Trainer(r, stripes())))
    assert not run.model_file.exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epoch": 3}, "has no key 'epoch'; did you mean 'epochs'\\? its keys are"),
        ({"epochs": 0}, "epochs: Input should be greater than or equal to 1"),
        ({"lr": -1}, "lr: Input should be greater than 0"),
        ({"batch_size": "many"}, "batch_size: Input should be a valid integer"),
        ({"prediction": "w"}, "prediction: Input should be"),
        ({"sigmas": [-1]}, "sigmas"),
        ({"seed": 2**70}, "seed: Input should be less than"),
        ({"size": 4}, "size: Input should be greater than or equal to 8"),
    ],
)
def test_a_bad_number_of_a_recipe_is_named(changes, message):
    with pytest.raises(UsageError, match=message):
        load_recipe("class").with_changes(changes)


def test_recipes_from_files(tmp_path):
    mine = tmp_path / "mine.toml"
    mine.write_text('summary = "mine"\nepochs = 1\n')
    assert load_recipe(str(mine)).name == "mine"
    mine.write_text("summary = ")
    with pytest.raises(UsageError, match="cannot read recipe"):
        load_recipe(str(mine))
    with pytest.raises(UsageError, match="no such recipe"):
        load_recipe(str(tmp_path / "other.toml"))
    with pytest.raises(UsageError, match="unknown recipe 'clas'; choose one of class, denoiser, flow"):
        load_recipe("clas")


def test_settings_are_read_as_json_or_text():
    assert parse_settings(["epochs=5", "sigmas=[0.3, 0.5]", "precision=float32"]) == {
        "epochs": 5,
        "sigmas": [0.3, 0.5],
        "precision": "float32",
    }
    with pytest.raises(UsageError, match="key=value"):
        parse_settings(["epochs"])


def test_classes_are_needed_where_they_are_asked_for():
    data = stripes()
    with pytest.raises(UsageError, match="needs classes"):
        Trainer(recipe("class"), ImageData("plain", data.images, data.labels))


def test_a_run_does_not_overwrite_another(tmp_path):
    run = RunDirectory(tmp_path)
    run.create(recipe())
    with pytest.raises(UsageError, match="holds a run already"):
        run.create(recipe())
    with pytest.raises(UsageError, match="no run in"):
        RunDirectory(tmp_path / "other").recipe()


@pytest.mark.parametrize("depth", [0, 1, 3, 50])
def test_working_ahead_changes_neither_order_nor_errors(depth):
    assert list(ahead(lambda k: k * k, range(20), depth)) == [k * k for k in range(20)]
    results = ahead(lambda k: 1 / (3 - k), range(20), depth)
    assert [next(results) for _ in range(3)] == [1 / 3, 1 / 2, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)
    unfinished = ahead(lambda k: k, range(20), depth)
    assert next(unfinished) == 0
    unfinished.close()


def test_a_recipe_can_name_every_sampler_and_schedule_that_there_is():
    for field, known in (("sampler", SAMPLERS), ("schedule", KINDS)):
        assert set(get_args(Recipe.model_fields[field].annotation)) == set(known)


def test_guidance_of_the_samples_may_fall():
    recipe = load_recipe("class").with_changes(parse_settings(["guidance=4..1"]))
    assert recipe.guidance == (4.0, 1.0)
    assert load_recipe("class").with_changes({"guidance": [4, 1]}).guidance == (4.0, 1.0)
    with pytest.raises(UsageError, match="guidance: should be a finite number, or two such as"):
        load_recipe("class").with_changes(parse_settings(["guidance=much"]))
