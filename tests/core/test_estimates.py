from dataclasses import dataclass, field

import pytest
import torch

from sfumato.backends.oracle import GaussianMixture
from sfumato.core.estimates import (
    Clipped,
    DynamicallyThresholded,
    Estimate,
    Filtered,
    Guided,
    Predict,
    Sum,
    Viewed,
    anagram,
    guided,
    hybrid,
)
from sfumato.core.filters import HighPass, LowPass
from sfumato.core.levels import diffuse, x0_from_eps
from sfumato.core.plan import Plan
from sfumato.core.schedules import linear
from sfumato.core.views import IDENTITY, Flip, Negate, Rotate, parse_view


@dataclass
class Recorder:
    """Passes questions on to an oracle and remembers how they came."""

    oracle: GaussianMixture
    calls: list[int] = field(default_factory=list)
    seen: list[int] = field(default_factory=list)
    of: list[list[int]] = field(default_factory=list)
    asked: list[list[str | None]] = field(default_factory=list)

    def __getattr__(self, name):
        return getattr(self.oracle, name)

    def __call__(self, x, conditions, level, of=None):
        self.calls.append(len(conditions))
        self.seen.append(len(x))
        self.of.append(list(of))
        self.asked.append(list(conditions))
        return self.oracle(x, conditions, level, of)


@pytest.fixture
def oracle():
    means = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    return GaussianMixture(means, std=0.3, names=("a", "b", "c"), schedule=linear(300))


@pytest.fixture
def level():
    return linear(300).level(150)


def canvases(n: int = 2) -> torch.Tensor:
    return torch.randn(n, 1, 8, 8, generator=torch.Generator().manual_seed(6), dtype=torch.float64)


def ask(oracle, tree, level, x):
    return Plan([tree] * len(x)).estimate(oracle, x, level).eps


def test_guided_anagram_of_two_images_is_8_rows_in_1_forward(oracle, level):
    model = Recorder(oracle)
    tree = anagram([guided("a", scale=7), guided("b", scale=7)], [IDENTITY, Rotate(180)])
    plan = Plan([tree, tree])
    plan.estimate(model, canvases(), level)
    assert plan.rows == 8
    assert model.calls == [8]


def test_guided_hybrid_of_two_images_is_6_rows_in_1_forward(oracle, level):
    model = Recorder(oracle)
    tree = hybrid(guided("a", scale=7), guided("b", scale=7), sigma=1)
    plan = Plan([tree, tree])
    plan.estimate(model, canvases(), level)
    assert plan.rows == 6
    assert model.calls == [6]


def test_a_canvas_is_seen_once_whatever_is_asked_about_it(oracle, level):
    """Two images through two views are four canvases; guidance asks two things of each."""
    model = Recorder(oracle)
    tree = anagram([guided("a", scale=7), guided("b", scale=7)], [IDENTITY, Rotate(180)])
    Plan([tree, tree]).estimate(model, canvases(), level)
    assert model.seen == [4]
    assert model.of == [[0, 0, 1, 1, 2, 2, 3, 3]]


def test_equal_queries_are_asked_once(oracle, level):
    model = Recorder(oracle)
    tree = Sum(
        ((0.5, guided("a", scale=3)), (0.5, guided("a", scale=9, negative="b")), (1.0, Viewed(IDENTITY, Predict("a"))))
    )
    Plan([tree]).estimate(model, canvases(1), level)
    assert sorted(map(str, model.asked[0])) == ["None", "a", "b"]


def test_a_row_limit_splits_the_forward_and_changes_nothing(oracle, level):
    model = Recorder(oracle)
    tree = anagram([guided("a", scale=7), guided("b", scale=7)], [IDENTITY, Flip()])
    x = canvases(3)
    whole = Plan([tree] * 3).estimate(oracle, x, level).eps
    parts = Plan([tree] * 3).estimate(model, x, level, row_limit=5).eps
    assert model.calls == [5, 5, 2]
    assert torch.equal(whole, parts)


def test_images_with_different_trees_share_a_forward(oracle, level):
    model = Recorder(oracle)
    trees = [guided("a", scale=2), anagram([Predict("b"), Predict("c")], [IDENTITY, Flip()]), guided("a", scale=2)]
    x = canvases(3)
    together = Plan(trees).estimate(model, x, level).eps
    assert len(model.calls) == 1
    for k, tree in enumerate(trees):
        alone = Plan([tree]).estimate(oracle, x[k : k + 1], level).eps
        assert (together[k : k + 1] - alone).abs().max() < 1e-12


def test_the_formula(oracle, level):
    """ε̂ = Σ L_i A_i⁻¹ ε(A_i x, c_i), written out."""
    x = canvases()

    def eps(x, name):
        return oracle(x, [name] * len(x), level).eps

    def cfg(x, name):
        return eps(x, None) + 7 * (eps(x, name) - eps(x, None))

    tree = anagram([guided("a", scale=7), guided("b", scale=7)], [IDENTITY, Flip()])
    expected = (cfg(x, "a") + cfg(x.flip(-2), "b").flip(-2)) / 2
    assert (ask(oracle, tree, level, x) - expected).abs().max() < 1e-12

    tree = hybrid(guided("a", scale=7), guided("b", scale=7), sigma=1.5)
    expected = LowPass(1.5)(cfg(x, "a")) + HighPass(1.5)(cfg(x, "b"))
    assert (ask(oracle, tree, level, x) - expected).abs().max() < 1e-12

    tree = guided("a", scale=3, negative="c")
    assert (ask(oracle, tree, level, x) - (eps(x, "c") + 3 * (eps(x, "a") - eps(x, "c")))).abs().max() < 1e-12


def test_trees_nest(oracle, level):
    """An anagram of hybrids, seen through a chain of views."""
    x = canvases()
    inner = hybrid(Predict("a"), Predict("b"), sigma=1.0)
    tree = Viewed(parse_view("rotate:90+negate"), anagram([inner, Predict("c")], [IDENTITY, Rotate(90)]))
    seen = -torch.rot90(x, 1, (-2, -1))
    first = LowPass(1.0)(oracle(seen, ["a"] * 2, level).eps) + HighPass(1.0)(oracle(seen, ["b"] * 2, level).eps)
    turned = torch.rot90(seen, 1, (-2, -1))
    second = torch.rot90(oracle(turned, ["c"] * 2, level).eps, -1, (-2, -1))
    expected = -torch.rot90((first + second) / 2, -1, (-2, -1))
    assert (ask(oracle, tree, level, x) - expected).abs().max() < 1e-12


def test_guidance_one_and_zero_ask_one_question():
    assert guided("a", scale=1) == Predict("a")
    assert guided("a", scale=0) == Predict(None)
    assert guided(None, scale=5) == Predict(None)
    assert isinstance(guided("a", scale=2), Guided)


def test_equal_trees_are_equal_values():
    a = anagram([guided("a", scale=7), guided("b", scale=7)], [IDENTITY, Flip()])
    b = anagram([guided("a", scale=7), guided("b", scale=7)], [parse_view("identity"), parse_view("flip")])
    assert Plan([a, a]).rows == 8
    assert hash(hybrid(a, a, sigma=1)) == hash(hybrid(a, a, sigma=1))
    assert len({query.view for query in a.queries()} | {query.view for query in b.queries()}) == 2


def test_an_anagram_wants_a_view_for_each_prompt():
    with pytest.raises(ValueError, match="one view for each prompt, not 1 for 2"):
        anagram([Predict("a"), Predict("b")], [IDENTITY])


def test_clipping_bounds_x0_and_leaves_what_is_inside(oracle, level):
    x = canvases() * 3
    tree = Clipped(Predict("a"), -0.5, 0.5)
    plain, clipped = ask(oracle, Predict("a"), level, x), ask(oracle, tree, level, x)
    x0 = x0_from_eps(x, clipped, level)
    assert x0.abs().max() <= 0.5 + 1e-12
    assert (x0 - x0_from_eps(x, plain, level).clamp(-0.5, 0.5)).abs().max() < 1e-12


def test_dynamic_thresholding_equals_diffusers(level):
    diffusers = pytest.importorskip("diffusers")
    scheduler = diffusers.DDPMScheduler(thresholding=True, dynamic_thresholding_ratio=0.95, sample_max_value=1.5)
    generator = torch.Generator().manual_seed(3)
    # One image inside the range, one a little and one far outside.
    x0 = torch.randn(3, 3, 8, 8, generator=generator) * torch.tensor([0.3, 0.6, 4.0])[:, None, None, None]
    noise = torch.randn(x0.shape, generator=generator)
    x = diffuse(x0, level, noise)

    tree = DynamicallyThresholded(Predict())
    answers = {query: Estimate(noise) for query in tree.queries()}
    ours = x0_from_eps(x, tree.combine(x, level, answers).eps, level)
    theirs = scheduler._threshold_sample(x0.clone())
    assert (ours - theirs).abs().max() < 1e-4
    assert (ours[0] - x0[0]).abs().max() > 1e-3 or x0[0].abs().max() <= 1


class WithVariance(GaussianMixture):
    """Says where in the picture it is: a variance that is a ramp."""

    def __call__(self, x, conditions, level, of=None):
        x = x if of is None else x[list(of)]
        ramp = torch.linspace(0, 1, x[0].numel(), dtype=x.dtype).view(x[0].shape).expand(x.shape)
        scale = torch.tensor([0.5 if c is None else 1.0 for c in conditions], dtype=x.dtype)
        return Estimate(torch.zeros_like(x), ramp * scale[:, None, None, None])


def test_variance_is_the_conditional_branch_and_travels_through_views_unsigned(level):
    x = canvases(1)
    ramp = torch.linspace(0, 1, 64, dtype=torch.float64).view(1, 1, 8, 8)
    estimate = Plan([Viewed(parse_view("flip+negate"), guided("a", scale=7))]).estimate(
        WithVariance(canvases(1)), x, level
    )
    assert torch.equal(estimate.variance, ramp.flip(-2))
    mean = Plan([anagram([Predict("a"), Predict("b")], [IDENTITY, Negate()])]).estimate(
        WithVariance(canvases(1)), x, level
    )
    assert (mean.variance - ramp).abs().max() < 1e-12
    band = Plan([Filtered(LowPass(1.0), Predict("a"))]).estimate(WithVariance(canvases(1)), x, level)
    assert torch.equal(band.variance, ramp)
