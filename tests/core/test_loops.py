"""Loops as values: what the names mean, and what they make of a schedule, a sampler and an estimate."""

from dataclasses import replace

import pytest
import torch

from sfumato.core.estimates import Clipped, DynamicallyThresholded, Predict
from sfumato.core.levels import CLEAN
from sfumato.core.loops import LOOPS, Loop
from sfumato.core.samplers import DDIM, DDPM, SAMPLERS
from sfumato.core.schedules import linear

DEEPFLOYD = Loop(variance="learned", spacing="leading", threshold="dynamic", largest=1.5)
LOOPS_OF_MODELS = (Loop(), DEEPFLOYD, Loop("ddim", eta=0.5, spacing="trailing", threshold="static"))


@pytest.mark.parametrize("own", LOOPS_OF_MODELS)
def test_names(own):
    course, diffusers = own.named("course"), own.named("diffusers")
    assert own.named("own") is own
    assert course == replace(own, sampler="ddpm", spacing="strided", threshold="none", last_step=False)
    assert diffusers == replace(own, spacing="leading" if own.spacing == "strided" else own.spacing)
    for name in LOOPS:
        assert own.named(name).named(name) == own.named(name)
        assert own.named(name).variance == own.variance
    assert course.named("diffusers").last_step


def test_paths_of_the_names():
    schedule = linear(1000)
    course = DEEPFLOYD.named("course").path(schedule, 34)
    assert [level.t for level in course] == [*range(990, -1, -30)]
    theirs = DEEPFLOYD.named("diffusers").path(schedule, 34)
    assert [level.t for level in theirs[:-1]] == [*range(957, -1, -29)]
    assert theirs[-1] == CLEAN
    assert DEEPFLOYD.path(schedule, 10)[0].t == 900


@pytest.mark.parametrize("name", ["Course", "", "ddpm"])
def test_an_unknown_name_is_refused(name):
    with pytest.raises(ValueError, match=r"unknown loop .*; choose one of own, course, diffusers"):
        Loop().named(name)


@pytest.mark.parametrize("name", ["euler a", "", "DDPM"])
def test_an_unknown_sampler_is_refused(name):
    with pytest.raises(ValueError, match=r"unknown sampler .*; choose one of ddpm, ddim"):
        Loop(name).solver()


@pytest.mark.parametrize("steps", [0, -1, 1001])
def test_impossible_counts_are_refused(steps):
    for name in LOOPS:
        with pytest.raises(ValueError, match="steps must be between 1 and 1000"):
            Loop().named(name).path(linear(1000), steps)


def test_solvers_have_the_loops_settings():
    assert Loop(variance="forward").solver() == DDPM("forward")
    assert Loop("ddim", eta=0.3).solver() == DDIM(0.3)
    assert {name: Loop(name).solver() for name in SAMPLERS} == SAMPLERS


def test_thresholds_have_the_loops_settings():
    node = Predict("a")
    assert Loop().thresholded(node, (0, 1)) is node
    assert Loop(threshold="static").thresholded(node, (0, 1)) == Clipped(node, 0, 1)
    dynamic = replace(DEEPFLOYD, quantile=0.9).thresholded(node, (-1, 1))
    assert dynamic == DynamicallyThresholded(node, -1, 1, 0.9, 1.5)
    x0 = (
        torch.linspace(-3, 3, 101)[None, None, None].expand(2, 1, 1, -1) * torch.tensor([1.0, 0.1])[:, None, None, None]
    )
    large, small = dynamic.threshold(x0)
    assert torch.allclose(large, (x0[0] / 1.5).clamp(-1, 1))
    assert torch.equal(small, x0[1]), "inside the range nothing is done"
