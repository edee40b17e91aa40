"""Canvases larger than the model: crops, panoramas, and the loop on canvases of another shape."""

import itertools
from dataclasses import dataclass, field

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sfumato.backends.oracle import GaussianMixture
from sfumato.core.cascade import Guide, LowResolution
from sfumato.core.crops import Crop, panorama
from sfumato.core.estimates import Clipped, Estimate, Filtered, Predict, Viewed, anagram, guided
from sfumato.core.levels import CLEAN, x0_from_eps
from sfumato.core.loop import Canvas, FromImage, sample
from sfumato.core.plan import Plan
from sfumato.core.samplers import DDIM, SAMPLERS
from sfumato.core.schedules import linear, strided
from sfumato.core.views import IDENTITY, Flip, Rotate, chain

CANVAS, MODEL = (64, 192), (64, 64)


def random(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def constant(*shape: int, dtype=torch.float64) -> GaussianMixture:
    """Every pixel N(0.3, 0.5²): its estimate is the same for a canvas as for each of its crops."""
    return GaussianMixture(torch.full((1, *shape), 0.3, dtype=dtype), std=0.5, schedule=linear(300))


@dataclass
class Recorder:
    """Passes questions on to an oracle and remembers how many rows came at once."""

    oracle: GaussianMixture
    calls: list[int] = field(default_factory=list)

    def __getattr__(self, name):
        return getattr(self.oracle, name)

    def __call__(self, x, conditions, level, of=None):
        self.calls.append(len(conditions))
        return self.oracle(x, conditions, level, of)


# Crops


@given(st.data())
def test_the_way_back_of_a_crop_is_its_transpose(data):
    """⟨Ax, y⟩ = ⟨x, Aᵀy⟩ and A Aᵀ = 1; outside the crop the way back is 0."""
    height, width = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9))
    h, w = data.draw(st.integers(1, height)), data.draw(st.integers(1, width))
    top, left = data.draw(st.integers(0, height - h)), data.draw(st.integers(0, width - w))
    crop = Crop(top, left, h, w, height, width)
    x, y = random(0, 2, 3, height, width), random(1, 2, 3, h, w)
    assert torch.equal(crop(x), x[:, :, top : top + h, left : left + w])
    assert torch.equal(crop(crop.inverse(y)), y)
    assert crop.inverse(y).abs().sum().item() == pytest.approx(y.abs().sum().item())
    assert (crop(x) * y).sum().item() == pytest.approx((x * crop.inverse(y)).sum().item(), abs=1e-9)


def test_a_crop_is_no_view_of_an_anagram():
    crop = Crop(0, 0, 8, 8, 16, 16)
    assert not crop.sound
    assert "weights sum to 1" in chain(Flip(), crop).flaw


@pytest.mark.parametrize("numbers", [(-1, 0, 4, 4), (0, 5, 4, 4), (0, 0, 9, 4), (0, 0, 0, 4)])
def test_a_crop_is_inside_its_canvas(numbers):
    with pytest.raises(ValueError, match="is not inside its canvas"):
        Crop(*numbers, 8, 8)


def test_a_crop_of_another_canvas_is_refused():
    with pytest.raises(ValueError, match="crop:0:0:4:4:8:8 is one of another canvas than 9×8"):
        Crop(0, 0, 4, 4, 8, 8)(random(0, 1, 1, 9, 8))


# Panoramas


@given(
    st.integers(4, 12),
    st.integers(4, 12),
    st.integers(0, 30),
    st.integers(0, 30),
    st.floats(0, 1, exclude_max=True),
)
def test_the_weights_of_crops_sum_to_one(h, w, more_h, more_w, overlap):
    canvas = (h + more_h, w + more_w)
    tree = panorama(Predict(), canvas=canvas, model=(h, w), overlap=overlap)
    ones = torch.ones(1, 1, *canvas, dtype=torch.float64)
    weights = [node.share(ones) for _, node in tree.terms]
    assert (torch.stack(weights).sum(0) - 1).abs().max() < 1e-12
    crops = [node.view for _, node in tree.terms]
    assert len(set(crops)) == len(crops)
    for sizes in ({(c.top, c.height) for c in crops}, {(c.left, c.width) for c in crops}):
        begins = sorted(begin for begin, _ in sizes)
        size = next(size for _, size in sizes)
        apart = [b - a for a, b in itertools.pairwise(begins)]
        assert max(apart, default=0) <= max(1, round(size * (1 - overlap)))


@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5, 0.9])
@pytest.mark.parametrize("sampler", ["ddpm", "ddim", "dpmpp-2m"])
def test_a_panorama_has_no_seams(overlap, sampler):
    """Where an estimate does not depend on the crop, it is the same as of a model of the canvas's size."""
    tree = panorama(Predict(), canvas=(12, 40), model=(8, 8), overlap=overlap)
    path = strided(linear(300), 8)
    small, large = constant(1, 8, 8, dtype=torch.float32), constant(1, 12, 40, dtype=torch.float32)
    made = sample(small, [Canvas(tree, 3, shape=(1, 12, 40))], path, SAMPLERS[sampler])
    assert made.shape == (1, 1, 12, 40)
    assert (made - sample(large, [Canvas(Predict(), 3)], path, SAMPLERS[sampler])).abs().max() < 1e-5


def test_a_panorama_of_64_by_192_from_a_model_of_64():
    tree = panorama(Predict(), canvas=CANVAS, model=MODEL)
    assert len(tree.terms) == 5
    x, level = random(2, 2, 3, *CANVAS), linear(300).level(200)
    estimate = Plan([tree] * 2).estimate(constant(3, *MODEL), x, level).eps
    assert (estimate - constant(3, *CANVAS)(x, [None] * 2, level).eps).abs().max() < 1e-12


def test_crops_that_do_not_overlap_are_single_runs():
    """Each third of the canvas is what a run of the model alone makes of it."""
    model = GaussianMixture(random(5, 4, 1, *MODEL), std=0.3, schedule=linear(300))
    tree = panorama(Predict(), canvas=CANVAS, model=MODEL, overlap=0)
    x = random(6, 1, 1, *CANVAS)
    path = strided(model.schedule, 6)
    parts = list(x.split(64, -1))
    for level, to in itertools.pairwise(path):
        estimate = Plan([tree]).estimate(model, x, level).eps
        alone = [model(part, [None], level).eps for part in parts]
        assert (estimate - torch.cat(alone, -1)).abs().max() < 1e-12
        x = to.alpha * x0_from_eps(x, estimate, level) + to.sigma * estimate
        parts = [to.alpha * x0_from_eps(p, e, level) + to.sigma * e for p, e in zip(parts, alone, strict=True)]
    assert (x - torch.cat(parts, -1)).abs().max() < 1e-9


def test_overlapping_crops_agree_where_they_meet():
    """Between two crops that say other things the estimate goes smoothly from one to the other."""
    tree = panorama(Predict(), canvas=(8, 12), model=(8, 8), overlap=0.5)
    left, right = (node.view for _, node in tree.terms)

    class Bright(GaussianMixture):
        def __call__(self, x, conditions, level, of=None):
            x = x if of is None else x[list(of)]
            return Estimate(torch.stack([torch.full_like(x[0], k) for k in range(len(x))]))

    x = random(0, 1, 1, 8, 12)
    row = Plan([tree]).estimate(Bright(random(0, 1, 1, 8, 8)), x, linear(300).level(9)).eps[0, 0, 3].tolist()
    assert (left.left, right.left) == (0, 4)
    assert row[:4] == [0] * 4
    assert row[8:] == [1] * 4
    assert row == sorted(row)
    assert row[4] < 0.05
    assert row[7] > 0.95
    assert row[5] == pytest.approx(1 - row[6])


def test_all_crops_of_all_canvases_run_as_one_forward():
    model = Recorder(GaussianMixture(torch.zeros(2, 1, 8, 8), std=0.5, names=("a", "b"), schedule=linear(300)))
    tree = panorama(guided("a", scale=3), canvas=(8, 20), model=(8, 8))
    plan = Plan([tree] * 2)
    plan.estimate(model, torch.randn(2, 1, 8, 20), linear(300).level(100))
    assert plan.rows == 4 * 2 * 2
    assert model.calls == [16]


def test_a_canvas_is_the_same_whatever_its_neighbours():
    model = GaussianMixture(random(5, 2, 1, 8, 8).float(), std=0.3, names=("a", "b"), schedule=linear(300))
    trees = [
        panorama(anagram([Predict("a"), Predict("b")], [IDENTITY, Rotate(180)]), canvas=(8, 20), model=(8, 8)),
        Clipped(Viewed(Flip(), panorama(guided("a", scale=2), canvas=(8, 20), model=(8, 8), overlap=0.3)), -1, 1),
    ]
    path = strided(model.schedule, 6)
    canvases = [Canvas(tree, k, shape=(1, 8, 20)) for k, tree in enumerate([*trees, trees[0]])]
    together = sample(model, canvases, path)
    for k, canvas in enumerate(canvases):
        assert (sample(model, [canvas], path, row_limit=3)[0] - together[k]).abs().max() < 1e-5


def test_a_variance_is_that_of_the_crop_it_is_in():
    class WithVariance(GaussianMixture):
        def __call__(self, x, conditions, level, of=None):
            x = x if of is None else x[list(of)]
            return Estimate(torch.zeros_like(x), torch.full_like(x, 0.25))

    tree = panorama(Predict(), canvas=(8, 20), model=(8, 8))
    model = WithVariance(random(0, 1, 1, 8, 8))
    estimate = Plan([tree]).estimate(model, random(1, 1, 1, 8, 20), linear(300).level(9))
    assert (estimate.variance - 0.25).abs().max() < 1e-12


@pytest.mark.parametrize(
    ("canvas", "overlap", "message"),
    [
        ((63, 192), 0.5, "a canvas of 63×192 pixels is smaller than the model's 64×64"),
        ((64, 192), 1.0, "crops overlap by at least 0 and less than 1 of their size, not 1"),
        ((64, 192), -0.1, "crops overlap"),
    ],
)
def test_impossible_panoramas_are_refused(canvas, overlap, message):
    with pytest.raises(ValueError, match=message):
        panorama(Predict(), canvas=canvas, model=MODEL, overlap=overlap)


# The loop


def test_noise_has_the_shape_of_the_canvas():
    model = constant(1, 8, 8, dtype=torch.float32)
    tree = panorama(Predict(), canvas=(8, 20), model=(8, 8))
    generator = torch.Generator().manual_seed(7)
    level = model.schedule.level(299)
    begun = sample(model, [Canvas(tree, 7, shape=(1, 8, 20))], (level,))
    assert torch.equal(begun[0], torch.randn(1, 8, 20, generator=generator))


def test_an_edit_of_a_larger_picture():
    model = constant(1, 8, 8, dtype=torch.float32)
    path = strided(model.schedule, 10)
    picture = torch.rand(1, 8, 20)
    tree = panorama(Predict(), canvas=(8, 20), model=(8, 8))
    canvas = Canvas(tree, 7, FromImage(picture, path[9]), shape=(1, 8, 20))
    assert (sample(model, [canvas], path, DDIM())[0] - picture).abs().max() < 0.1


def test_the_canvases_of_a_run_share_a_shape():
    model, path = constant(1, 8, 8, dtype=torch.float32), (CLEAN,)
    same = Canvas(Predict(), 0, shape=(1, 8, 8))
    assert sample(model, [same, Canvas(Predict(), 1)], path).shape == (2, 1, 8, 8)
    for other in (
        Canvas(Predict(), 0, shape=(1, 8, 20)),
        Canvas(Predict(), 0, FromImage(torch.zeros(1, 8, 20), CLEAN)),
    ):
        with pytest.raises(ValueError, match=r"share one shape; these have \(1, 8, 8\), \(1, 8, 20\)"):
            sample(model, [same, other], path)
    guide = Guide(torch.zeros(1, 8, 8), LowResolution(8))
    with pytest.raises(ValueError, match="a guide is for canvases of the model's own shape"):
        sample(model, [Canvas(Predict(), 0, guide=guide, shape=(1, 8, 20))], path)


def test_weights_are_inside_the_crops():
    """So a panorama of a thousand crops takes the memory of a few."""
    tree = panorama(Predict(), canvas=(8, 80), model=(8, 8))
    filters = {node.node.filter for _, node in tree.terms if isinstance(node.node, Filtered)}
    assert len(filters) == 3, "the first, the last, and one for all between"
    assert {each.size for each in filters} == {(8, 8)}
