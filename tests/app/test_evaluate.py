import json
from dataclasses import replace

import pytest
import torch

import sfumato as sf
from sfumato.app.evaluate import Wanted, evaluate_model, format_evaluation
from sfumato.app.sweep import Sweep
from sfumato.backends.registry import load
from sfumato.core.estimates import guided
from sfumato.core.loops import Loop
from sfumato.errors import UsageError
from sfumato.evaluation.samples import sample_classes
from sfumato.training.data import ImageData
from sfumato.training.datasets import load_typeset


@pytest.fixture(scope="module")
def data():
    images = torch.randint(0, 256, (12, 1, 28, 28), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    return ImageData("noise", images, torch.zeros(12, dtype=torch.long), tuple("0123456789"))


def test_a_class_model(tiny_model, data):
    told = []
    result = evaluate_model(
        load(tiny_model),
        data,
        Wanted(count=4, steps=2, seeds_per_pair=1, anagrams=True, hybrids=True),
        lambda *line: told.append(line),
    )
    assert json.loads(json.dumps(result)) == result
    assert {"samples", "denoising", "anagrams", "hybrids"} <= set(result)
    assert told
    text = format_evaluation(result)
    assert "6" in text
    assert "None" not in text


def test_the_bundled_denoiser_beats_a_blur(data):
    """On noisy stripes, not noise: pictures with structure."""
    images = torch.zeros(12, 1, 28, 28, dtype=torch.uint8)
    for k in range(12):
        images[k, 0, 6:22, 6 + k : 9 + k] = 255
    stripes = ImageData("stripes", images, torch.zeros(12, dtype=torch.long), ())
    result = evaluate_model(load("digits/denoiser"), stripes, Wanted(count=12))
    row = next(row for row in result["denoising"]["rows"] if row["t"] == 0.5)
    assert row["one_step"]["psnr"] > row["blur"]["psnr"] > row["noisy"]["psnr"]


def test_what_cannot_be_measured_is_told(data):
    with pytest.raises(UsageError, match="denoises in one step"):
        evaluate_model(load("digits/denoiser"), data, Wanted(anagrams=True))
    with pytest.raises(UsageError, match="cannot be judged"):
        evaluate_model(load("digits/time"), data, Wanted(anagrams=True, count=1))
    with pytest.raises(UsageError, match="between 1 and 300"):
        evaluate_model(load("digits"), None, Wanted(steps=500))


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("--anagrams", "--view", "nonsense"), "nonsense"),
        (("--sweep", "guidance=1", "--sweep", "steps=2,2000"), "between 1 and 300"),
    ],
)
def test_what_cannot_be_meant_is_told_before_anything_is_measured(tiny_model, sfumato, words, what):
    done = sfumato("evaluate", tiny_model, "-n", 4, "--steps", 2, *words)
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert what in done.err


def test_a_model_without_classes_is_read_as_digits_only_if_it_learned_them():
    model = load("digits/time")
    assert "samples" in evaluate_model(model, None, Wanted(count=2, steps=2))
    other = replace(model, facts={**model.facts, "data": {**model.facts["data"], "name": "squares"}})
    result = evaluate_model(other, None, Wanted(count=2, steps=2))
    assert "samples" not in result
    assert "samples are not judged" in result["notes"][0]
    with pytest.raises(UsageError, match="cannot be judged"):
        evaluate_model(other, None, Wanted(count=2, steps=2, sweeps=(Sweep("steps", (1, 2)),)))


def test_sweeps_judge_samples_at_each_value(tiny_model, sfumato, tmp_path):
    done = sfumato(
        "evaluate", tiny_model, "-n", "10", "--steps", "2", "--sweep", "guidance=0,2,2..1", "--sweep", "steps=1,2,3",
        "--sweep", "sampler=ddpm,heun", "--quiet", "-o", tmp_path / "eval",
    )  # fmt: skip
    assert done.code == 0, done.err
    result = json.loads((tmp_path / "eval" / "evaluation.json").read_text())
    guidance, steps, sampler = result["sweeps"]
    assert [row["guidance"] for row in guidance["rows"]] == [0, 2, [2, 1]]
    assert [row["steps"] for row in steps["rows"]] == [1, 2, 3]
    # The point that is the setting itself is what was measured without a sweep.
    assert [row["sampler"] for row in sampler["rows"]] == ["ddpm", "heun"]
    same = (guidance["rows"][1], steps["rows"][1], sampler["rows"][0])
    assert {row["right"] for row in same} == {result["samples"]["accuracy"]}
    page = (tmp_path / "eval" / "sweeps.html").read_text()
    assert "Samples at several values of steps.<" in page
    assert "Samples at several values of sampler.<" in page
    written = (tmp_path / "eval" / "evaluation.md").read_text()
    assert "| guidance |" in written
    assert "| 2..1 " in written


def test_samples_are_those_that_generate_makes(tiny_model):
    """By the model's own loop, in all that belongs to it, or by the sampler that is asked for."""
    model = load(tiny_model)
    own = Loop("ddim", eta=0.5, spacing="leading", threshold="static", last_step=True)
    model = replace(model, defaults=replace(model.defaults, loop=own))
    for sampler in (None, "dpmpp-2m"):
        how = Wanted(steps=3, sampler=sampler).sampling(model)
        made, _ = sample_classes(model, model.classes, 2, how)
        for seed, name in enumerate(model.classes[:2]):
            tree = guided(name, scale=model.defaults.guidance)
            torch.testing.assert_close(made[seed], sf.sample(model, tree, seeds=[seed], steps=3, sampler=sampler)[0])


def test_illusions_are_guided_as_anagram_and_hybrid_guide_them(sfumato):
    """The bundled digits read them under more guidance than single pictures; what is asked for goes before."""
    few = ("-n", "1", "--anagrams", "--hybrids", "--seeds", "1", "--steps", "1", "--json")
    told = {}
    for name, words in {"own": (), "five": ("--guidance", "5"), "two": ("--guidance", "2")}.items():
        done = sfumato("evaluate", "digits", *few, *words)
        assert done.code == 0, done.err
        told[name] = json.loads(done.out)
    assert told["own"]["settings"]["guidance"] == 2
    assert told["own"]["settings"]["illusion_guidance"] == 5
    assert "illusion guidance 5" in format_evaluation(told["own"])
    for kind in ("anagrams", "hybrids"):
        assert told["own"][kind] == told["five"][kind] != told["two"][kind]


def test_the_sampler_is_chosen_and_told(tiny_model, sfumato):
    done = sfumato("evaluate", tiny_model, "-n", "2", "--steps", "2", "--sampler", "heun")
    assert done.code == 0, done.err
    assert "sampler heun, steps 2" in done.out
    done = sfumato("evaluate", tiny_model, "-n", "2", "--sampler", "plms")
    assert (done.code, len(done.err.splitlines())) == (2, 1)
    assert "unknown sampler 'plms'" in done.err
    done = sfumato("evaluate", "digits/denoiser", "-n", "2", "--sampler", "heun")
    assert (done.code, len(done.err.splitlines())) == (2, 1)


def test_the_floor_of_the_frechet_distance_is_that_of_real_pictures(tiny_model):
    found = evaluate_model(load(tiny_model), load_typeset(400, "test"), Wanted(count=60, steps=2))["frechet"]
    assert (found["samples"], found["floor_pictures"], found["pictures"]) == (60, 60, 340)
    assert found["floor"] < found["distance"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("gamma=1,2", "setting of a sweep"),
        ("steps=1.5", "whole numbers"),
        ("guidance=a", "numbers with commas"),
        ("steps=2..1", "whole numbers"),
        ("steps=0", "whole numbers"),
        ("sampler=ddpm,plms", "unknown sampler 'plms'; choose one of ddpm"),
    ],
)
def test_impossible_sweeps_are_one_line(sfumato, words, said):
    done = sfumato("evaluate", "digits", "--sweep", words)
    assert done.code == 2
    assert said in done.err
    assert len(done.err.splitlines()) == 1
