"""Views and factors nest: what a composed estimate makes of pictures that it knows is Σ Lᵢ Aᵢ⁻¹ μᵢ, exactly."""

import pytest
import torch

from sfumato.backends.oracle import GaussianMixture
from sfumato.core.constraints import Inpaint, Match
from sfumato.core.crops import panorama
from sfumato.core.estimates import Predict, Viewed, anagram, factorized, hybrid
from sfumato.core.filters import Grey, LowPass, colour, motion, parse_factors, regions, triple
from sfumato.core.fit import check_fit
from sfumato.core.levels import x0_from_eps
from sfumato.core.loop import Canvas, sample
from sfumato.core.plan import Plan
from sfumato.core.schedules import linear, strided
from sfumato.core.views import parse_view

SIZE = 64
NAMES = ("a", "b", "c", "d")
VIEWS = ["flip", "rotate:90+negate", "jigsaw", "circle:90", "permute:8:seed=3", "hinge", "skew", "roll:dx=0.1"]
A, B, C, D = map(Predict, NAMES)


def random(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture(scope="module")
def means() -> dict[str, torch.Tensor]:
    return dict(zip(NAMES, random(5, 4, 3, SIZE, SIZE), strict=True))


@pytest.fixture(scope="module")
def points(means) -> GaussianMixture:
    """A model of four pictures, each a point: asked for one, it sees that picture in any noise."""
    return GaussianMixture(torch.stack(list(means.values())), std=0.0, names=NAMES, schedule=linear(300))


@pytest.fixture
def made(points):
    """The picture that an estimate implies at some canvas, and with it the one that a run ends at."""

    def make(tree, size=(SIZE, SIZE)) -> torch.Tensor:
        level, x = points.schedule.level(150), random(6, 1, 3, *size)
        implied = x0_from_eps(x, Plan([tree]).estimate(points, x, level).eps, level)[0]
        single = GaussianMixture(points.means.float(), std=0.0, names=NAMES, schedule=points.schedule)
        run = sample(single, [Canvas(tree, 1, shape=(3, *size))], strided(single.schedule, 3))
        assert (run[0] - implied).abs().max() < 1e-3, "whatever the canvas is, it is the same picture"
        return implied

    return make


def back(text: str, picture: torch.Tensor) -> torch.Tensor:
    return parse_view(text).inverse(picture[None])[0]


def through(each, picture: torch.Tensor) -> torch.Tensor:
    return each(picture[None])[0]


def close(found: torch.Tensor, expected: torch.Tensor) -> bool:
    return bool((found - expected).abs().max() < 1e-9)


@pytest.mark.parametrize("view", VIEWS)
def test_an_anagram_shows_its_readings_through_its_views(made, means, view):
    """Where one picture is both readings it is found: μ_b = A μ_a."""
    picture = means["a"]
    seen = parse_view(view)(picture[None])[0]
    oracle = GaussianMixture(torch.stack([picture, seen]), names=("a", "b"), schedule=linear(300))
    tree = anagram([A, B], [parse_view("identity"), parse_view(view)])
    x, level = random(7, 1, 3, SIZE, SIZE), oracle.schedule.level(150)
    implied = x0_from_eps(x, Plan([tree]).estimate(oracle, x, level).eps, level)
    assert close(implied[0], picture)
    assert close(made(tree), (picture + back(view, means["b"])) / 2)


@pytest.mark.parametrize("views", [VIEWS[:3], VIEWS[3:6], VIEWS[:4], VIEWS[4:]])
def test_three_and_four_views(made, means, views):
    tree = anagram([A, B, C, D][: len(views)], [parse_view(view) for view in views])
    expected = sum(back(view, means[name]) for view, name in zip(views, NAMES, strict=False)) / len(views)
    assert close(made(tree), expected)


def test_an_anagram_inside_a_region(made, means):
    """Inside the mask an anagram, outside another picture."""
    mask = torch.zeros(1, SIZE, SIZE, dtype=torch.float64)
    mask[:, 16:48, 16:48] = 1
    turned = anagram([A, B], [parse_view("identity"), parse_view("circle")])
    found = made(factorized([turned, C], regions([mask, 1 - mask])))
    inside = (means["a"] + back("circle", means["b"])) / 2
    assert close(found, mask * inside + (1 - mask) * means["c"])


def test_an_anagram_inside_a_mask_of_a_picture(points, means):
    """Made anew where the mask is white; elsewhere the picture, bit for bit."""
    single = GaussianMixture(points.means.float(), std=0.0, names=NAMES, schedule=points.schedule)
    mask = torch.zeros(1, SIZE, SIZE)
    mask[:, 16:48, 16:48] = 1
    photo = means["d"].float()
    tree = anagram([A, B], [parse_view("identity"), parse_view("circle")])
    out = sample(single, [Canvas(tree, 3, constraint=Inpaint(photo, mask))], strided(single.schedule, 5))[0]
    inside, whole = mask.expand(3, -1, -1) == 1, (means["a"] + back("circle", means["b"])) / 2
    assert torch.equal(out[~inside], photo[~inside])
    assert (out[inside] - whole.float()[inside]).abs().max() < 1e-3


def test_a_hybrid_of_anagrams(made, means):
    views = [parse_view("identity"), parse_view("jigsaw")]
    low, high = parse_factors("frequency:2:kernel=33")
    found = made(hybrid(anagram([A, B], views), anagram([C, D], views), sigma=2, kernel=33))
    far = (means["a"] + back("jigsaw", means["b"])) / 2
    near = (means["c"] + back("jigsaw", means["d"])) / 2
    assert close(found, through(low, far) + through(high, near))


def test_an_anagram_of_hybrids(made, means):
    found = made(anagram([hybrid(A, B, sigma=2), C], [parse_view("identity"), parse_view("rotate:180")]))
    both = through(LowPass(2.0), means["a"]) + means["b"] - through(LowPass(2.0), means["b"])
    assert close(found, (both + back("rotate:180", means["c"])) / 2)


@pytest.mark.parametrize("filters", [triple(), triple(kernel=25)])
def test_a_triple_hybrid(made, means, filters):
    expected = sum(through(each, means[name]) for each, name in zip(filters, NAMES, strict=False))
    assert close(made(factorized([A, B, C], filters)), expected)


@pytest.mark.parametrize("filters", [colour(), motion()])
def test_colour_and_motion_hybrids(made, means, filters):
    """The component that a filter lets through is that of its own picture."""
    found = made(factorized([A, B], filters))
    expected = through(filters[0], means["a"]) + through(filters[1], means["b"])
    assert close(found, expected)


def test_a_colour_hybrid_is_one_picture_in_grey_and_another_in_its_colours(made, means):
    found = made(factorized([A, B], colour()))
    assert close(through(Grey(), found), through(Grey(), means["a"]))


def test_factors_inside_factors(made, means):
    """The low frequencies by colour, the high ones by region."""
    mask = torch.rand(1, SIZE, SIZE, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    low, high = parse_factors("frequency")
    tree = factorized([factorized([A, B], colour()), factorized([C, D], regions([mask, 1 - mask]))], (low, high))
    grey, rest = colour()
    colours = through(grey, means["a"]) + through(rest, means["b"])
    parts = mask * means["c"] + (1 - mask) * means["d"]
    assert close(made(tree), through(low, colours) + through(high, parts))


def test_a_panorama_of_anagrams(made, means):
    """Crops that do not overlap, each an anagram; the whole seen upside down as well."""
    views = [parse_view("identity"), parse_view("hinge")]
    one = (means["a"] + back("hinge", means["b"])) / 2
    tree = panorama(anagram([A, B], views), canvas=(64, 192), model=(64, 64), overlap=0)
    assert close(made(tree, (64, 192)), torch.cat([one] * 3, -1))
    turned = Viewed(parse_view("rotate:180"), tree)
    assert close(made(turned, (64, 192)), torch.cat([back("rotate:180", one)] * 3, -1))
    tall = Viewed(parse_view("rotate:90"), tree)
    assert close(made(tall, (192, 64)), torch.cat([back("rotate:90", one)] * 3, -2))


def test_regions_of_a_panorama(made, means):
    """A region prompt on a canvas of 64 by 192: the sky above, the sea below, crop by crop."""
    mask = torch.zeros(1, 64, 192, dtype=torch.float64)
    mask[:, :20] = 1
    above, below = (panorama(node, canvas=(64, 192), model=(64, 64), overlap=0) for node in (A, B))
    found = made(factorized([above, below], regions([mask, 1 - mask])), (64, 192))
    assert close(found, mask * torch.cat([means["a"]] * 3, -1) + (1 - mask) * torch.cat([means["b"]] * 3, -1))


@pytest.mark.parametrize("each", [LowPass(2.0), Grey()])
def test_the_component_of_a_reference_is_kept(points, means, each):
    """An inverse problem: the rest of the picture is the model's, whose own component gives way."""
    single = GaussianMixture(points.means.float(), std=0.0, names=NAMES, schedule=points.schedule)
    reference = means["d"].float()
    canvas = Canvas(A, 3, constraint=Match(each, reference))
    out = sample(single, [canvas], strided(single.schedule, 5))[0]
    expected = means["a"].float() - through(each, means["a"].float()) + through(each, reference)
    assert (out - expected).abs().max() < 1e-3


def test_a_learned_variance_is_that_of_the_region():
    from sfumato.core.estimates import Estimate

    class WithVariance(GaussianMixture):
        def __call__(self, x, conditions, level, of=None):
            x = x if of is None else x[list(of)]
            known = torch.tensor([0.2 if c == "a" else 0.6 for c in conditions], dtype=x.dtype)
            return Estimate(torch.zeros_like(x), known[:, None, None, None].expand(x.shape))

    mask = torch.rand(1, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    model, x, level = WithVariance(random(0, 2, 1, 8, 8), names=("a", "b")), random(1, 1, 1, 8, 8), linear(300).level(9)
    seen = Viewed(parse_view("flip"), factorized([A, B], regions([mask, 1 - mask])))
    found = Plan([seen]).estimate(model, x, level).variance[0]
    assert (found - (0.2 * mask + 0.6 * (1 - mask)).flip(-2)).abs().max() < 1e-12
    # Weights without regions: both alike.
    assert (Plan([hybrid(A, B, sigma=1)]).estimate(model, x, level).variance - 0.4).abs().max() < 1e-12
    weighted = factorized([A, B], parse_factors("scale:1.5,-0.5"))
    assert (Plan([weighted]).estimate(model, x, level).variance - 0.3).abs().max() < 1e-12


def test_what_fits_is_known_before_anything_is_computed():
    wide = panorama(anagram([A, B], [parse_view("identity"), parse_view("jigsaw")]), canvas=(64, 192), model=(64, 64))
    check_fit(wide, (3, 64, 192), (3, 64, 64))
    check_fit(Viewed(parse_view("rotate:90"), wide), (3, 192, 64), (3, 64, 64))
    mask = torch.ones(1, 64, 64)
    check_fit(factorized([A, B], regions([mask, 1 - mask])), (3, 64, 64), (3, 64, 64))
    for tree, canvas, message in [
        (Viewed(parse_view("permute:5"), A), (3, 64, 64), "permute:5:seed=0 cannot cut 64 pixels into 5 patches"),
        (factorized([A, B], regions([mask, 1 - mask])), (3, 28, 28), "a mask of 64×64 pixels does not fit"),
        (wide, (3, 64, 191), "is one of another canvas than 64×191"),
        (A, (3, 64, 192), "the model would be shown 3×64×192 values of the canvas, not its own 3×64×64"),
    ]:
        with pytest.raises(ValueError, match=message):
            check_fit(tree, canvas, (3, 28, 28) if canvas == (3, 28, 28) else (3, 64, 64))
