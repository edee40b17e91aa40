"""The recipe `text`: from a folder of captioned pictures to a network, and from small pictures to larger ones."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sfumato.core.cascade import LowResolution
from sfumato.errors import UsageError
from sfumato.models.nested_unet import NestedUNetConfig
from sfumato.models.refining_unet import RefiningUNetConfig
from sfumato.models.text_unet import TextUNetConfig
from sfumato.models.weights import load_weights
from sfumato.training.directory import RunDirectory
from sfumato.training.recipe import Recipe, load_recipe
from sfumato.training.run import train
from sfumato.training.trainer import Trainer

SMALL = {
    "size": 8,
    "widths": [32],
    "text_width": 32,
    "text_layers": 1,
    "batch_size": 4,
    "epochs": 2,
    "warmup": 0,
    "sample_steps": 2,
    "precision": "float32",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("captioned") / "zoo"
    path.mkdir()
    lines = []
    for k, name in enumerate(("lion", "owl", "pig") * 4):
        pixels = np.random.default_rng(k).integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path / f"{k}.png")
        lines.append(json.dumps({"file_name": f"{k}.png", "text": name, "style": "doodle", "concept": name}))
    (path / "metadata.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return path


def text_recipe(folder: Path, **changes: object) -> Recipe:
    return load_recipe("text").with_changes({"data": str(folder), **SMALL, **changes})


def test_an_outer_level_goes_around_a_network_for_half_the_size(folder):
    names, shape = ("lion", "owl"), (3, 16, 16)
    plain = text_recipe(folder).network_config((3, 8, 8), names)
    assert isinstance(plain, TextUNetConfig)
    nested = text_recipe(folder, size=16, outer=32).network_config(shape, names)
    assert nested == NestedUNetConfig(plain, 32, load_recipe("text").make_schedule().alphas_cumprod)
    assert nested.shape == shape


def test_a_later_stage_refines_the_smaller_picture(folder):
    names, shape = ("lion", "owl"), (3, 8, 8)
    plain = text_recipe(folder).network_config(shape, names)
    assert isinstance(plain, TextUNetConfig)
    recipe = text_recipe(folder, low_res=4, low_res_noise=0.05)
    bars = load_recipe("text").make_schedule().alphas_cumprod
    assert recipe.network_config(shape, names) == RefiningUNetConfig(replace(plain, guide=3), bars)
    assert recipe.low_resolution() == LowResolution(4, t=0.05)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"size": 9, "outer": 32}, "with an outer level the size must be even, not 9"),
        ({"size": 16, "outer": 20}, "the width of the outer level must be a multiple of 16"),
        ({"size": 16, "outer": 32, "low_res": 8}, "is not nested"),
        ({"size": 16, "outer": 32, "prediction": "eps"}, "the prediction must be v"),
        ({"size": 16, "low_res": 8, "prediction": "eps"}, "the prediction must be v"),
        ({"size": 16, "outer": 32, "schedule": "flow"}, "the schedule one of discrete times"),
    ],
)
def test_impossible_outer_levels_are_refused_in_one_line(folder, changes, said):
    asked = text_recipe(folder, **changes)
    with pytest.raises(UsageError, match=f"^recipe text: .*{said}"):
        asked.network_config((3, asked.size, asked.size), ("lion",))


def test_a_training_on_larger_pictures_goes_on_from_one_on_small_ones(folder, tmp_path):
    small = RunDirectory(tmp_path / "small")
    small.create(text_recipe(folder))
    list(train(small, Trainer(small.recipe(), small.recipe().load("train", print))))
    whole = RunDirectory(tmp_path / "whole")
    whole.create(text_recipe(folder, size=16, outer=32, init=str(small.model_file)))
    trainer = Trainer(whole.recipe(), whole.recipe().load("train", print))
    trainer.begin()
    begun, learned = trainer.network.state_dict(), load_weights(small.model_file).network.state_dict()
    assert all(torch.equal(begun[f"inner.{name}"], value) for name, value in learned.items())
    *_, last = train(whole, trainer)
    assert last.step == 6
    assert whole.model_file.is_file()
