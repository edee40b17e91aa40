"""Filters: what they do, that factors sum to the picture, and estimates and constraints made of them."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from sfumato.core.constraints import Match
from sfumato.core.estimates import Filtered, Predict, Sum, factorized, hybrid
from sfumato.core.filters import (
    FACTORS,
    Colour,
    Grey,
    HighPass,
    LowPass,
    Mask,
    MotionBlur,
    Residual,
    Scale,
    Series,
    colour,
    frequency,
    motion,
    parse_factors,
    regions,
    scale,
    sum_to_identity,
    triple,
)
from sfumato.core.levels import CLEAN, Level, diffuse

SIZES = [(28, 28), (64, 64), (256, 256), (9, 17)]


def pictures(seed: int, height: int = 16, width: int = 16) -> torch.Tensor:
    return torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def soft_masks(seed: int, count: int, height: int = 16, width: int = 16) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return list(torch.randn(count, 1, height, width, generator=generator, dtype=torch.float64).softmax(0))


# Factors sum to the picture


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "text", [*FACTORS, "frequency:1.5,3,9", "triple:1,2:kernel=25", "motion:5:angle=30", "scale:7.5,-6.5"]
)
def test_factors_sum_to_the_picture(text, size):
    x = pictures(2, *size)[:1]
    filters = parse_factors(text)
    assert (sum(each(x) for each in filters) - x).abs().max() < 1e-12
    assert sum_to_identity(filters)
    assert sum_to_identity([each.enlarged(2.5) for each in filters])


@given(st.lists(st.floats(0.2, 6.0), min_size=1, max_size=4, unique=True), st.sampled_from(SIZES[:2]))
def test_bands_sum_to_the_picture(sigmas, size):
    x = pictures(2, *size)
    bands = frequency(tuple(sorted(sigmas)))
    assert len(bands) == len(sigmas) + 1
    assert (sum(band(x) for band in bands) - x).abs().max() < 1e-12


@pytest.mark.parametrize("size", SIZES)
def test_regions_sum_to_the_picture(size):
    x = pictures(2, *size)
    filters = regions(soft_masks(0, 3, *size))
    assert (sum(each(x) for each in filters) - x).abs().max() < 1e-12
    large = pictures(2, 4 * size[0], 4 * size[1])
    assert (sum(each.enlarged(4)(large) for each in filters) - large).abs().max() < 1e-12


@pytest.mark.parametrize("text", ["frequency", "triple", "colour", "motion", "scale"])
def test_filters_are_linear(text):
    x, y = pictures(3), pictures(4)
    for each in (*parse_factors(text), *regions(soft_masks(0, 2))):
        assert (each(0.3 * x - 2 * y) - 0.3 * each(x) + 2 * each(y)).abs().max() < 1e-12


# Each filter is what it says


def test_low_pass_is_a_gaussian_blur():
    ndimage = pytest.importorskip("scipy.ndimage")
    x = pictures(3, 64, 64)
    blurred = LowPass(2.0, kernel=33)(x)
    expected = ndimage.gaussian_filter(x.numpy(), 2.0, axes=(2, 3), mode="mirror", radius=16)
    assert (blurred - torch.from_numpy(expected)).abs().max() < 1e-12
    assert torch.equal(LowPass(2.0)(x), blurred), "the course's kernel of 33 is the default for sigma 2"


def test_low_pass_keeps_a_constant():
    x = torch.full((1, 1, 28, 28), 0.7, dtype=torch.float64)
    assert (LowPass(3.0)(x) - x).abs().max() < 1e-12


def test_three_bands_are_those_of_two_gaussians():
    """G₂G₁ x, G₁ x − G₂G₁ x and x − G₁ x."""
    x = pictures(5, 64, 64)
    once = LowPass(1.0, 25)(x)
    twice = LowPass(2.0, 25)(once)
    low, middle, high = (band(x) for band in triple(kernel=25))
    assert torch.equal(low, twice)
    assert (middle - (once - twice)).abs().max() < 1e-12
    assert torch.equal(high, x - once)
    assert triple() == frequency((1.0, 2.0))
    assert frequency() == (LowPass(2.0), HighPass(2.0))


@pytest.mark.parametrize("size", [28, 64, 256])
def test_grey_is_the_mean_of_the_channels(size):
    x = pictures(6, size, size)[:1]
    mean = (x[:, 0] + x[:, 1] + x[:, 2]) / 3
    for channel in range(3):
        assert (Grey()(x)[:, channel] - mean).abs().max() < 1e-12
        assert (Colour()(x)[:, channel] - (x[:, channel] - mean)).abs().max() < 1e-12
    assert torch.equal(Grey()(x[:, :1]), x[:, :1]), "a picture of one channel is grey"


def reflected(k: int, size: int) -> int:
    k = abs(k)
    return k if k < size else 2 * (size - 1) - k


@pytest.mark.parametrize("size", [28, 64, 256])
def test_motion_blur_is_the_mean_along_the_diagonal(size):
    """Inside it is a convolution with the identity matrix over 7, as in public code; at the borders it reflects."""
    x = pictures(7, size, size)[:1, :1]
    blurred = MotionBlur()(x)
    kernel = torch.eye(7, dtype=torch.float64)[None, None] / 7
    assert (blurred[..., 3:-3, 3:-3] - F.conv2d(x, kernel)).abs().max() < 1e-12
    rows = x[0, 0].tolist()
    for r, c in [(0, 0), (0, size - 1), (size - 1, 2), (1, size // 2), (size - 2, size - 3)]:
        mean = sum(rows[reflected(r + k, size)][reflected(c + k, size)] for k in range(-3, 4)) / 7
        assert blurred[0, 0, r, c].item() == pytest.approx(mean, abs=1e-12)


def test_motion_blur_goes_along_its_angle():
    """As it spreads a single white pixel."""
    x = torch.zeros(1, 1, 9, 9, dtype=torch.float64)
    x[..., 4, 4] = 1
    lines = {
        0: {(4, c) for c in range(2, 7)},
        90: {(r, 4) for r in range(2, 7)},
        45: {(8 - k, k) for k in range(2, 7)},
        -45: {(k, k) for k in range(2, 7)},
        180: {(4, c) for c in range(2, 7)},
        26.565: {(5, 2), (4, 3), (4, 4), (4, 5), (3, 6)},
    }
    for angle, line in lines.items():
        assert {tuple(at) for at in MotionBlur(5, angle)(x)[0, 0].nonzero().tolist()} == line, angle


def test_small_pictures_are_blurred_as_far_as_they_reach():
    x = pictures(8, 3, 5)
    assert MotionBlur(21)(x).shape == x.shape
    assert torch.equal(MotionBlur(1)(x), x)


def test_a_mask_is_a_value():
    mask = soft_masks(1, 2)[0]
    kept = mask.clone()
    a, b = Mask(mask), Mask(kept)
    assert a == b
    assert hash(a) == hash(b)
    assert len({a, b, Mask(kept.float().double()), Mask(1 - kept)}) == 3
    assert a != Scale(0.5)
    mask[:] = 0
    assert torch.equal(a(torch.ones(1, 1, 16, 16, dtype=torch.float64))[0], kept), "it does not change with the tensor"
    assert a.size == (16, 16)
    assert Series((Grey(), a)).size == Residual(a).size == (16, 16)
    assert Grey().size is None


def test_enlarged_filters_do_the_same_on_larger_pictures():
    assert LowPass(2.0, 33).enlarged(4) == LowPass(8.0, 133)
    assert HighPass(2.0).enlarged(4) == HighPass(8.0)
    assert LowPass(1.0, 25).enlarged(4) == LowPass(4.0, 101)
    assert MotionBlur(7).enlarged(4) == MotionBlur(29)
    assert Residual(MotionBlur(7)).enlarged(1) == Residual(MotionBlur(7))
    assert Grey().enlarged(4) == Grey()
    mask = torch.zeros(1, 4, 4)
    mask[..., 2:] = 1
    wide = Mask(mask).enlarged(4).mask
    assert wide.shape == (1, 16, 16)
    assert wide[0, 0].tolist() == [0.0] * 6 + [0.125, 0.375, 0.625, 0.875] + [1.0] * 6


@pytest.mark.parametrize(("sigma", "kernel"), [(0.0, None), (-1.0, None), (float("nan"), None), (1.0, 4), (1.0, -1)])
def test_impossible_filters_are_refused(sigma, kernel):
    with pytest.raises(ValueError, match=r"sigma|odd"):
        LowPass(sigma, kernel)


def test_impossible_masks_are_refused():
    with pytest.raises(ValueError, match="values of a mask must be between 0 and 1"):
        Mask(torch.full((1, 2, 2), 1.01))
    with pytest.raises(ValueError, match="values of a mask must be between 0 and 1"):
        Mask(torch.full((1, 2, 2), float("nan")))
    with pytest.raises(ValueError, match="a mask of 2×2 pixels does not fit a canvas of 16×16"):
        Mask(torch.ones(1, 2, 2))(pictures(0))
    with pytest.raises(ValueError, match="masks must sum to 1 at every pixel"):
        regions([torch.ones(1, 4, 4), torch.ones(1, 4, 4) / 256])
    with pytest.raises(ValueError, match="a mask of 5×4 pixels does not fit"):
        regions([torch.ones(1, 4, 4), torch.zeros(1, 5, 4)])


# Strings


@pytest.mark.parametrize(
    ("text", "filters"),
    [
        ("frequency", frequency()),
        ("frequency:1.5", (LowPass(1.5), HighPass(1.5))),
        ("frequency:2:kernel=33", (LowPass(2.0, 33), HighPass(2.0, 33))),
        ("triple", frequency((1.0, 2.0))),
        (" triple:2,4:kernel=25", frequency((2.0, 4.0), kernel=25)),
        ("colour", colour()),
        ("motion", motion(7, angle=-45)),
        ("motion:9:angle=0", (MotionBlur(9, 0.0), Residual(MotionBlur(9, 0.0)))),
        ("scale:2,-1", (Scale(2.0), Scale(-1.0))),
    ],
)
def test_factors_from_strings(text, filters):
    assert parse_factors(text) == filters


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("depth", "unknown factors 'depth'; choose one of frequency, triple, colour, motion, scale"),
        ("", "unknown factors ''"),
        ("colour:3", "colour takes no argument, not '3'"),
        ("frequency:2:width=3", r"frequency is written frequency\[:sigmas\]\[:kernel=…\]; 'width=3' does not fit"),
        ("frequency:a", "frequency: sigmas must be a number, not 'a'"),
        ("frequency:2:kernel=x", "frequency: kernel must be a whole number, not 'x'"),
        ("frequency:2,1", "the sigmas of bands must grow, not be 2, 1"),
        ("frequency:1,1", "the sigmas of bands must grow"),
        ("frequency:-1", "the blur's sigma must be positive"),
        ("triple:2", "three bands are parted by 2 sigmas, not 1"),
        ("motion:4", "the kernel's width must be odd and positive, not 4"),
        ("scale:0.5,0.6", "weights must sum to 1, not to 1.1"),
    ],
)
def test_bad_factors_are_named(text, message):
    with pytest.raises(ValueError, match=message):
        parse_factors(text)


# Estimates and constraints made of filters


def test_a_factorized_estimate_is_a_sum_of_filtered_ones():
    a, b = Predict("a"), Predict("b")
    assert factorized((a, b), colour()) == Sum(((1.0, Filtered(Grey(), a)), (1.0, Filtered(Colour(), b))))
    assert hybrid(a, b, sigma=2, kernel=33) == factorized((a, b), frequency((2,), kernel=33))
    masks = soft_masks(0, 2)
    assert hash(factorized((a, b), regions(masks))) == hash(factorized((a, b), regions([m.clone() for m in masks])))


@pytest.mark.parametrize(
    ("nodes", "filters", "message"),
    [
        (2, triple(), "one filter for each prompt, not 3 for 2"),
        (0, (), "one filter for each prompt, not 0 for 0"),
        (2, (LowPass(1), HighPass(2)), "the filters do not sum to the identity"),
        (1, (Grey(),), "the filters do not sum to the identity"),
        (2, (Scale(0.5), Mask(torch.ones(1, 4, 4))), "the filters do not sum to the identity"),
    ],
)
def test_components_that_make_no_picture_are_refused(nodes, filters, message):
    with pytest.raises(ValueError, match=message):
        factorized([Predict("a")] * nodes, filters)


@pytest.mark.parametrize("each", [LowPass(2.0), Grey(), MotionBlur(), Mask(soft_masks(0, 2)[0])])
def test_match_exchanges_one_component(each):
    x, reference, noise = pictures(1)[0], pictures(2)[0], pictures(3)[0]
    level = Level(10, 0.8, 0.6)

    def component(picture):
        return each(picture[None])[0]

    noised = Match(each, reference).apply(x, level, lambda: noise)
    expected = x - component(x) + component(diffuse(reference, level, noise))
    assert (noised - expected).abs().max() < 1e-12
    clean = Match(each, reference).apply(x, CLEAN, lambda: pytest.fail("a clean level draws no noise"))
    assert (clean - (x - component(x)) - component(reference)).abs().max() < 1e-12


def test_match_is_exact_at_the_clean_level():
    """Of a filter that is a projection the component is the reference's, of a hard mask bit for bit."""
    x, reference = pictures(1)[0], pictures(2)[0]
    grey = Match(Grey(), reference).apply(x, CLEAN, lambda: pytest.fail("no noise"))
    assert (Grey()(grey[None]) - Grey()(reference[None])).abs().max() < 1e-12
    assert (Colour()(grey[None]) - Colour()(x[None])).abs().max() < 1e-12
    mask = torch.zeros(1, 16, 16)
    mask[:, 4:9] = 1
    kept = Match(Mask(mask), reference).apply(x, CLEAN, lambda: pytest.fail("no noise"))
    inside = mask.expand(3, -1, -1) == 1
    assert torch.equal(kept[inside], reference[inside])
    assert torch.equal(kept[~inside], x[~inside])


def test_scale_weighs():
    x = pictures(9)
    for weight, factor in itertools.product((0.5, -2.0), (1, 3)):
        assert torch.equal(Scale(weight)(factor * x), weight * (factor * x))
    assert scale((0.25,) * 4) == (Scale(0.25),) * 4
