"""Laws of sampling for a judge, and of what it says."""

import json
from dataclasses import dataclass

import pytest
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st

from sfumato.backends.oracle import GaussianMixture
from sfumato.core.estimates import Predict, guided
from sfumato.core.loops import Loop
from sfumato.core.pixels import from_unit, to_unit
from sfumato.core.schedules import linear
from sfumato.errors import UsageError
from sfumato.evaluation.samples import (
    JudgedSamples,
    RecognisedSamples,
    Sampling,
    judged,
    markdown_table,
    recognised,
    sample_classes,
    sample_trees,
    wilson_interval,
)

NAMES = ("a", "b", "c")


@dataclass(frozen=True, eq=False)
class Nearest:
    """A judge that knows the means."""

    means: torch.Tensor
    classes: tuple[str, ...] = NAMES

    def probabilities(self, x):
        distance = (x[:, None] - self.means[None]).square().mean((2, 3, 4))
        return torch.softmax(-100 * distance, 1)


def means():
    return torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(1)) * 0.6 + 0.2


def oracle(pixel_range=(0.0, 1.0)):
    low, high = pixel_range
    return GaussianMixture(low + (high - low) * means(), 0.02, NAMES, linear(100), pixel_range)


@pytest.mark.parametrize("pixel_range", [(0.0, 1.0), (-1.0, 1.0)])
def test_an_exact_model_makes_what_it_is_asked_for(pixel_range):
    seen = []
    pictures, names = sample_classes(
        oracle(pixel_range),
        NAMES,
        7,
        Sampling(steps=8, batch=3),
        on_step=lambda done, total: seen.append((done, total)),
    )
    assert names == ("a", "b", "c", "a", "b", "c", "a")
    assert pictures.min() >= 0
    assert pictures.max() <= 1
    result = judged(pictures, names, Nearest(means()))
    assert result.accuracy == 1
    assert result.per_class == {"a": 1, "b": 1, "c": 1}
    assert seen == [(k, 24) for k in range(1, 25)]


def test_picture_k_has_seed_plus_k_whatever_the_batch():
    def make(n, seed=4, **how):
        return sample_classes(oracle(), NAMES, n, Sampling(steps=6, **how), seed=seed)[0]

    whole = make(6)
    assert torch.allclose(make(6, batch=1), whole, atol=1e-5)
    assert torch.allclose(make(6, batch=4, row_limit=2), whole, atol=1e-5)
    # "a" is asked for by pictures 0 and 3: the second with seed 4 + 3.
    assert torch.allclose(make(1, seed=7)[0], whole[3], atol=1e-5)
    assert not torch.allclose(whole[0], whole[3], atol=1e-3)


def test_settings_reach_the_loop():
    trees = [guided("a", scale=2.0), Predict()]
    ancestral = sample_trees(oracle(), trees, [0, 1], Sampling(steps=5))
    assert not torch.equal(ancestral, sample_trees(oracle(), trees, [0, 1], Sampling(steps=5, loop=Loop("ddim"))))
    assert not torch.equal(
        ancestral, sample_trees(oracle(), trees, [0, 1], Sampling(steps=5, loop=Loop(last_step=False)))
    )


def test_ranges_are_undone():
    x = means()
    assert torch.allclose(to_unit(from_unit(x, oracle((-1.0, 1.0))), oracle((-1.0, 1.0))), x, atol=1e-6)


@given(st.lists(st.tuples(st.sampled_from(range(3)), st.sampled_from(range(3))), min_size=1, max_size=20))
def test_counts_add_up(pairs):
    asked, made = zip(*pairs, strict=True)
    result = judged(means()[list(made)], [NAMES[k] for k in asked], Nearest(means()))
    assert result.count == len(pairs)
    assert result.correct == sum(a == m for a, m in pairs)
    assert all(result.confusion[a][m] == pairs.count((a, m)) for a in range(3) for m in range(3))
    assert result.interval[0] <= result.accuracy <= result.interval[1]
    assert set(result.per_class) == {NAMES[k] for k in asked}
    assert JudgedSamples.from_dict(json.loads(json.dumps(result.to_dict()))) == result
    sure = recognised(means()[list(made)], Nearest(means()))
    assert sure.histogram == tuple(made.count(k) for k in range(3))
    assert sure.recognised == sure.count == len(pairs)
    assert RecognisedSamples.from_dict(json.loads(json.dumps(sure.to_dict()))) == sure


def test_grey_is_not_recognised():
    sure = recognised(means().mean(0, keepdim=True), Nearest(means()))
    assert (sure.count, sure.recognised) == (1, 0)


@given(st.integers(1, 500), st.data())
def test_wilson_is_scipys(trials, data):
    successes = data.draw(st.integers(0, trials))
    theirs = scipy.stats.binomtest(successes, trials).proportion_ci(0.95, "wilson")
    assert wilson_interval(successes, trials) == pytest.approx((theirs.low, theirs.high), abs=1e-6)


def test_tables_read_well():
    result = judged(means(), ["a", "b", "b"], Nearest(means()))
    text = result.to_markdown()
    assert text.startswith("2 of 3 samples (66.7 %, 95 % interval ")
    assert "| b            |   · |   1 |   1 |   50% |" in text
    assert "1 of 1 samples (100.0 %" in recognised(means()[:1], Nearest(means())).to_markdown()
    assert markdown_table(("x", "y"), []) == "| x   |   y |\n| --- | --: |"


def test_what_cannot_be_sampled_or_judged_is_refused():
    judge = Nearest(means())
    for call in (
        lambda: sample_classes(oracle(), (), 3, Sampling(steps=5)),
        lambda: sample_classes(oracle(), NAMES, 0, Sampling(steps=5)),
        lambda: sample_classes(oracle(), NAMES, 3, Sampling(steps=101)),
        lambda: sample_classes(oracle(), ("z",), 3, Sampling(steps=5)),
        lambda: sample_trees(oracle(), [Predict()], [0, 1], Sampling(steps=5)),
        lambda: Sampling(steps=5, batch=0),
        lambda: judged(means(), ["a"], judge),
        lambda: judged(means()[:0], [], judge),
        lambda: judged(means(), ["a", "b", "z"], judge),
        lambda: recognised(means()[:0], judge),
        lambda: wilson_interval(0, 0),
        lambda: wilson_interval(3, 2),
    ):
        with pytest.raises(UsageError):
            call()
