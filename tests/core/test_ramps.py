"""Weights that change on the way."""

import json

import pytest
import torch

from sfumato.backends.oracle import GaussianMixture
from sfumato.core.estimates import Guided, Predict, Sum, guided
from sfumato.core.levels import CLEAN, Level
from sfumato.core.loop import Canvas, sample
from sfumato.core.plan import Plan
from sfumato.core.ramps import Ramp, make_weight, read_weight, spell_weight, weight_at
from sfumato.core.schedules import Flow, linear, strided


@pytest.fixture
def oracle():
    means = torch.randn(2, 1, 4, 4, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    return GaussianMixture(means, std=0.3, names=("a", "b"), schedule=linear(300))


def test_a_ramp_is_straight_in_the_share_of_noise():
    ramp = Ramp(noisy=8.0, clean=2.0)
    assert ramp.at(CLEAN) == 2
    assert ramp.at(Level(0, 0.0, 1.0)) == 8
    for t in (0.0, 0.25, 0.9):
        assert ramp.at(Flow().level(t)) == pytest.approx(2 + 6 * t), "of a flow the share is its time"
    weights = [ramp.at(level) for level in strided(linear(1000), 20)]
    assert weights == sorted(weights, reverse=True)
    assert weights[0] > 7.9


def test_a_float_stays_as_it_is():
    assert weight_at(0.3, CLEAN) == 0.3


@pytest.mark.parametrize("plain", [2.0, 0.0, -1.5, (4.0, 1.0), (0.25, 8.0), (-1.0, 1e-3)])
def test_a_weight_as_data_is_read_back_as_it_was_written(plain):
    assert read_weight(spell_weight(plain)) == plain
    assert read_weight(json.loads(json.dumps(plain))) == plain
    assert read_weight(plain) == plain


def test_equal_ends_are_no_ramp():
    assert make_weight((3.0, 3.0)) == 3.0
    assert make_weight((4.0, 1.0)) == Ramp(4.0, 1.0)
    assert guided("a", scale=(4.0, 1.0)) == guided("a", scale=Ramp(4.0, 1.0))
    assert guided("a", scale=(1.0, 1.0)) == Predict("a")


TEXTS = ["", "a", "2..", "..1", "1..2..3", "2,1", "nan", "inf", "2..inf"]
DATA = [[], [1], [1, 2, 3], [[1], 2], [True, 1], True, None, 10**400, float("nan"), (1, float("inf")), {"noisy": 1}]


@pytest.mark.parametrize("value", [*TEXTS, *DATA], ids=lambda value: str(value)[:20])
def test_what_is_no_weight_is_told(value):
    with pytest.raises(ValueError, match=r"should be a finite number, or two such as 2\.\.0\.5"):
        read_weight(value)


@pytest.mark.parametrize("t", [0, 100, 299])
def test_guidance_and_weights_follow_a_ramp(oracle, t):
    level = oracle.schedule.level(t)
    x = torch.randn(2, 1, 4, 4, generator=torch.Generator().manual_seed(6), dtype=torch.float64)

    def ask(tree):
        return Plan([tree] * 2).estimate(oracle, x, level).eps

    ramp = Ramp(7.0, 1.0)
    assert (ask(guided("a", scale=ramp)) - ask(guided("a", scale=ramp.at(level)))).abs().max() < 1e-12
    falling, rising = Ramp(1.0, 0.0), Ramp(0.0, 1.0)
    mean = ask(Sum(((falling, Predict("a")), (rising, Predict("b")))))
    share = falling.at(level)
    assert (mean - share * ask(Predict("a")) - (1 - share) * ask(Predict("b"))).abs().max() < 1e-12


def test_equal_trees_stay_equal(oracle):
    a, b = guided("a", scale=Ramp(7, 1)), guided("a", scale=Ramp(7.0, 1.0))
    assert a == b
    assert hash(a) == hash(b)
    assert a != guided("a", scale=Ramp(7.0, 2.0))
    assert isinstance(a, Guided)
    assert Plan([a, b]).rows == 4
    single = GaussianMixture(oracle.means.float(), std=0.3, names=oracle.names, schedule=oracle.schedule)
    out = sample(single, [Canvas(a, 1), Canvas(b, 1)], strided(single.schedule, 5))
    assert torch.equal(out[0], out[1])
