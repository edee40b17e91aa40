"""Laws of reading illusions, on an exact model of pictures that are what they are made to be."""

import json
from dataclasses import dataclass

import pytest
import torch

from sfumato.backends.oracle import GaussianMixture
from sfumato.core.schedules import linear
from sfumato.core.views import IDENTITY, Flip, Negate, Rotate, parse_view
from sfumato.errors import UsageError
from sfumato.evaluation.illusions import (
    IllusionTable,
    anagram_table,
    from_afar,
    hybrid_table,
    ordered_pairs,
    seen,
)
from sfumato.evaluation.samples import Sampling

NAMES = ("down", "up", "disc")
"""A triangle-like ramp, the same on its head, and something that a half turn leaves alone."""
HOW = Sampling(steps=10)


def means():
    ramp = torch.linspace(0.1, 0.9, 8)[:, None].expand(8, 8)
    y = torch.linspace(-1, 1, 8)
    disc = 0.1 + 0.8 * (y[:, None] ** 2 + y**2 < 0.8).float()
    return torch.stack([ramp, ramp.flip(0), disc])[:, None].contiguous()


@dataclass(frozen=True, eq=False)
class Nearest:
    """A judge that knows the means."""

    means: torch.Tensor
    classes: tuple[str, ...] = NAMES

    def probabilities(self, x):
        distance = (x[:, None] - self.means[None]).square().mean((2, 3, 4))
        return torch.softmax(-100 * distance, 1)


def oracle():
    return GaussianMixture(2 * means() - 1, 0.05, NAMES, linear(100), (-1.0, 1.0))


def judge():
    return Nearest(means())


def by_pair(table):
    return {score.wanted: score for score in table.scores}


def test_seeing_is_moving_pixels_and_negating_is_a_negative():
    x = means()
    assert torch.allclose(seen(x, Rotate(90)), torch.rot90(x, 1, (-2, -1)), atol=1e-6)
    assert torch.allclose(seen(x, Negate()), 1 - x, atol=1e-6)
    assert torch.allclose(seen(x, parse_view("flip+negate")), 1 - x.flip(-2), atol=1e-6)
    assert torch.allclose(seen(x, IDENTITY), x, atol=1e-6)


def test_from_afar_uses_the_whole_range_and_forgets_details():
    x = means()
    far = from_afar(x, 1.0)
    assert far.amin((1, 2, 3)).tolist() == pytest.approx([0] * 3, abs=1e-6)
    assert far.amax((1, 2, 3)).tolist() == pytest.approx([1] * 3, abs=1e-6)
    # Contrast is what it takes away.
    assert torch.allclose(from_afar(0.25 + x / 2, 1.0), far, atol=1e-5)
    even = torch.full((1, 1, 8, 8), 0.3)
    assert torch.equal(from_afar(even, 1.0), torch.zeros_like(even))
    checks = (torch.arange(8)[:, None] + torch.arange(8)) % 2
    assert torch.allclose(from_afar(x + 0.1 * (checks - 0.5), 2.0), from_afar(x, 2.0), atol=0.02)


def test_anagrams_that_exist_succeed_and_others_do_not():
    table = anagram_table(oracle(), ordered_pairs(NAMES), judge(), HOW, seeds=(0, 1, 2))
    scores = by_pair(table)
    assert len(scores) == 9
    for pair in [("disc", "disc"), ("down", "up"), ("up", "down")]:
        assert scores[pair].both == scores[pair].count == 3
        assert scores[pair].each == (3, 3)
        assert scores[pair].weakest > 0.9
    # What is read as "up" both ways would have to be its own opposite.
    assert scores["up", "up"].both == 0
    assert table.count == 27
    assert table.both == sum(score.both for score in table.scores)
    for score in table.scores:
        assert score.both <= min(score.each) <= score.count
        assert sum(score.each) - score.both <= score.count
        assert score.best_seed in (0, 1, 2)
        assert score.weakest <= score.best_weakest
    assert {score.wanted for score in table.best(3)} == {("disc", "disc"), ("down", "up"), ("up", "down")}


def test_other_views_other_anagrams():
    views = (IDENTITY, Flip())
    table = anagram_table(oracle(), [("down", "up")], judge(), HOW, views=views, seeds=(5,))
    assert table.readings == ("identity", "flip")
    assert table.both == 1
    same = anagram_table(oracle(), [("down", "down")], judge(), HOW, views=(IDENTITY, IDENTITY))
    assert same.both == 1


def test_hybrids_of_a_thing_with_itself_succeed():
    table = hybrid_table(oracle(), [(name, name) for name in NAMES], judge(), HOW, sigma=1.0, seeds=(0, 1))
    assert table.readings == ("from afar", "from near")
    assert table.both == table.count == 6


def test_a_blur_of_everything_or_of_nothing_decides_a_hybrid():
    """A filter that takes all of one picture makes that picture."""
    (coarse,) = hybrid_table(oracle(), [("up", "down")], judge(), HOW, sigma=0.05).scores
    assert coarse.each == (1, 0)  # the low pass lets everything through: near is "up" too


def test_chunks_change_nothing():
    def make(**how):
        return anagram_table(oracle(), ordered_pairs(NAMES), judge(), Sampling(steps=6, **how), seeds=(3, 4))

    whole, parts = make(), make(batch=5, row_limit=3)
    for one, other in zip(whole.scores, parts.scores, strict=True):
        assert (one.both, one.each, one.best_seed) == (other.both, other.each, other.best_seed)
        assert one.weakest == pytest.approx(other.weakest, abs=1e-4)


def test_pairs_and_seeds_are_independent():
    everything = by_pair(anagram_table(oracle(), ordered_pairs(NAMES), judge(), HOW, seeds=(0, 1)))
    (alone,) = anagram_table(oracle(), [("disc", "up")], judge(), HOW, seeds=(0, 1)).scores
    assert everything["disc", "up"].weakest == pytest.approx(alone.weakest, abs=1e-4)
    seeds = [anagram_table(oracle(), [("disc", "up")], judge(), HOW, seeds=(s,)).scores[0] for s in (0, 1)]
    assert alone.weakest == pytest.approx((seeds[0].weakest + seeds[1].weakest) / 2, abs=1e-4)
    assert alone.best_weakest == pytest.approx(max(s.weakest for s in seeds), abs=1e-4)


def test_progress_ends_at_the_total():
    seen_steps = []
    anagram_table(
        oracle(), ordered_pairs(NAMES), judge(), Sampling(steps=4, batch=4), on_step=lambda *s: seen_steps.append(s)
    )
    assert seen_steps == [(k, 12) for k in range(1, 13)]


def test_tables_survive_json_and_read_well():
    table = anagram_table(oracle(), ordered_pairs(NAMES), judge(), HOW, seeds=(0, 1))
    assert IllusionTable.from_dict(json.loads(json.dumps(table.to_dict(), allow_nan=False))) == table
    text = table.to_markdown(shown=2)
    assert "of 18 samples" in text
    assert "identity \\ rotate:180" in text
    assert "2/2" in text
    assert sum(line.startswith("|") for line in text.splitlines()) == (2 + 3) + (2 + 2)
    # A table of some pairs leaves the others blank.
    assert "|      |" in anagram_table(oracle(), [("up", "down"), ("disc", "up")], judge(), HOW).to_markdown()


def test_what_cannot_be_judged_is_refused_before_sampling():
    def stop(done, total):
        raise AssertionError("sampled")

    for pairs, seeds in [([], (0,)), ([("up", "down")], ()), ([("up", "left")], (0,))]:
        with pytest.raises(UsageError):
            anagram_table(oracle(), pairs, judge(), HOW, seeds=seeds, on_step=stop)
    with pytest.raises(UsageError, match="positive"):
        hybrid_table(oracle(), [("up", "down")], judge(), HOW, sigma=0)
