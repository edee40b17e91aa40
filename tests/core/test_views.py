"""Views: their strings and their laws. What each of them does is in test_views_defined."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sfumato.core.views import IDENTITY, VIEWS, Flip, Mirror, Negate, Rotate, chain, parse_view
from sfumato.core.views.jigsaw import Jigsaw
from sfumato.core.views.rearranged import Circle, Hinge, Permute, Roll, Skew

SIMPLE = ["identity", "flip", "mirror", "rotate:90", "rotate:180", "rotate:270", "negate"]
CHAINS = ["+".join(pair) for pair in itertools.product(SIMPLE, SIMPLE)]
MORE = ["roll", "skew", "permute:4:seed=3", "circle", "circle:90:r=0.4", "hinge", "jigsaw"]

seeds = st.integers(0, 2**63 - 1)
anywhere = st.one_of(
    st.sampled_from([Flip(), Mirror(), Negate(), Rotate(90), Rotate(180), Rotate(270)]),
    st.builds(Roll, dx=st.floats(-1e6, 1e6), dy=st.floats(-3, 3)),
    st.builds(Skew, st.floats(-9, 9) | st.floats(-1e6, 1e6)),
    st.builds(Permute, st.sampled_from([1, 2, 4, 8]), seed=seeds),
    st.builds(Circle, st.sampled_from([90, 180, 270]), r=st.floats(0.01, 0.5)),
    st.builds(Hinge, st.integers(1, 16)),
)
"""Views that fit a canvas of 16 × 24 pixels."""
on_squares = st.one_of(anywhere, st.builds(Jigsaw, seed=seeds))


def pictures(seed: int, height: int = 16, width: int = 16) -> torch.Tensor:
    return torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def assert_orthogonal(view, x):
    """⟨Ax, y⟩ = ⟨x, A⁻¹y⟩ and A⁻¹Ax = x bit for bit, every value kept but for its sign: so white noise stays white."""
    seen = view(x)
    y = torch.randn(seen.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert torch.equal(view.inverse(seen), x)
    assert torch.equal(view(view.inverse(y)), y)
    assert (seen * y).sum().item() == pytest.approx((x * view.inverse(y)).sum().item(), abs=1e-9)
    assert torch.equal(seen.abs().flatten(2).sort().values, x.abs().flatten(2).sort().values)
    assert torch.equal(view.inverse_magnitude(seen).abs(), x.abs())
    assert torch.equal(view.inverse_magnitude(seen.abs()), x.abs())


@pytest.mark.parametrize("text", [*SIMPLE, *CHAINS, "rotate:90+negate+flip+mirror"])
def test_a_view_is_orthogonal(text):
    assert_orthogonal(parse_view(text), pictures(0, 6, 8))


@given(st.lists(anywhere, max_size=3))
def test_views_and_chains_of_them_are_orthogonal(views):
    assert_orthogonal(chain(*views), pictures(0, 16, 24))


@given(st.lists(on_squares, max_size=3))
def test_views_of_a_square_are_orthogonal(views):
    assert_orthogonal(chain(*views), pictures(0))


@pytest.mark.parametrize("size", [28, 64, 256])
@pytest.mark.parametrize("text", MORE)
def test_views_are_orthogonal_at_every_size(text, size):
    assert_orthogonal(parse_view(text), pictures(0, size, size)[:1])


@given(st.lists(on_squares, max_size=3))
def test_the_string_of_a_view_reads_back(views):
    view = chain(*views)
    assert parse_view(str(view)) == view
    assert hash(parse_view(str(view))) == hash(view)
    assert str(parse_view(str(view))) == str(view)


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("identity", "identity"),
        ("identity+flip+identity", "flip"),
        (" rotate:90 + negate ", "rotate:90+negate"),
        ("roll", "roll:dx=0.25:dy=0"),
        ("roll:dy=-0.5:dx=1e-7", "roll:dx=1e-07:dy=-0.5"),
        ("roll:dx=1e6", "roll:dx=1000000:dy=0"),
        ("roll:dx=-0", "roll:dx=0:dy=0"),
        ("skew", "skew:1.5"),
        ("skew:2.0", "skew:2"),
        ("permute", "permute:8:seed=0"),
        ("permute:seed=3", "permute:8:seed=3"),
        ("pixel-permute", "permute:64:seed=0"),
        ("pixel-permute:28:seed=2", "permute:28:seed=2"),
        ("circle", "circle:180:r=0.375"),
        ("circle:90:r=.5", "circle:90:r=0.5"),
        ("hinge", "hinge:3"),
        ("jigsaw", "jigsaw:seed=4522"),
    ],
)
def test_what_is_left_out_is_said(text, whole):
    assert str(parse_view(text)) == whole
    assert parse_view(whole) == parse_view(text)


def test_identity_vanishes_in_a_chain():
    assert chain(IDENTITY, Rotate(90), IDENTITY) == chain(Rotate(90))
    assert parse_view("identity+identity") == IDENTITY


def test_every_example_reads():
    for name, kind in VIEWS.items():
        if name != "file":
            assert parse_view(kind.example, unsound=True).sound == kind.sound
        assert kind.summary.endswith(".")
        assert len(kind.summary) <= 100


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("turn", "unknown view 'turn'; choose one of identity, flip, .*, or a chain such as flip[+]negate"),
        ("", "unknown view ''"),
        ("flip+", "unknown view ''"),
        ("flip:3", "flip takes no argument, not '3'"),
        ("rotate", "rotate wants its degrees; it is written rotate:degrees"),
        ("rotate:45", "rotate:45 would mix pixels; choose one of 90, 180, 270"),
        ("rotate:-90", "rotate:-90 is not offered; choose one of 90, 180, 270"),
        ("rotate:x", "rotate: degrees must be a whole number, not 'x'"),
        ("circle:360", "circle:360 is not offered; choose one of 90, 180, 270"),
        ("circle:180:r=0.6", "the radius is a fraction of the size, above 0 and at most 0.5"),
        ("circle:r=0", "the radius is a fraction"),
        ("permute:8:sed=3", r"permute is written permute\[:n\]\[:seed=…\]; 'sed=3' does not fit"),
        ("permute:8:3", "'3' does not fit"),
        ("permute:n=8", "'n=8' does not fit"),
        ("permute:seed=1:seed=2", "'seed=2' does not fit"),
        ("permute:8.5", "permute: n must be a whole number, not '8.5'"),
        ("permute:0", "there is at least 1 patch a side, not 0"),
        ("permute:seed=-1", "a seed is a whole number from 0"),
        ("jigsaw:seed=9223372036854775808", "a seed is a whole number from 0"),
        ("hinge:0", "there is at least 1 tile a side, not 0"),
        ("skew:steep", "skew: slope must be a number, not 'steep'"),
        ("roll:dx=nan", "roll: dx must be finite, not 'nan'"),
        ("roll:0.5", "'0.5' does not fit"),
    ],
)
def test_a_bad_view_is_named(text, message):
    with pytest.raises(ValueError, match=message) as caught:
        parse_view(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "size", "message"),
    [
        (
            "permute:8",
            (28, 28),
            "permute:8:seed=0 cannot cut 28 pixels into 8 patches; choose one of 1, 2, 4, 7, 14, 28",
        ),
        ("permute:8", (64, 60), "cannot cut 60 pixels"),
        ("jigsaw", (30, 30), "needs a square canvas whose side 4 divides, not 30×30"),
        ("jigsaw", (28, 32), "not 28×32"),
        ("circle:90", (28, 29), "circle:90:r=0.375 needs sides that are both even or both odd, not 28×29"),
        ("hinge:29", (28, 40), "hinge:29 cannot cut 28 pixels into 29 tiles"),
    ],
)
def test_a_canvas_that_does_not_fit_is_named(text, size, message):
    with pytest.raises(ValueError, match=message):
        parse_view(text)(pictures(0, *size))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("circle:135", "circle:135:r=0.375 mixes pixels"),
        ("blur:2", "blur:2 does not keep white noise white"),
        ("white-balance", "white-balance:1.5 scales white noise"),
        ("flip+blur:3+negate", "blur:3 does not"),
    ],
)
def test_views_that_cannot_work_are_refused_with_the_reason(text, reason):
    with pytest.raises(ValueError, match=f"{reason}.*sfumato views check .* shows it"):
        parse_view(text)
    view = parse_view(text, unsound=True)
    assert not view.sound
    assert view.flaw
    assert parse_view(str(view), unsound=True) == view


def test_what_the_views_that_cannot_work_do():
    x = pictures(3)
    with pytest.raises(ValueError, match="has 2 gains for 3 channels"):
        parse_view("white-balance:1.5,2", unsound=True)(x)
    with pytest.raises(ValueError, match="a gain of 0 leaves nothing to see"):
        parse_view("white-balance:0", unsound=True)
    balance = parse_view("white-balance:1.5,1,0.5", unsound=True)
    assert torch.equal(balance(x)[:, 2], x[:, 2] / 2)
    assert (balance.inverse(balance(x)) - x).abs().max() < 1e-12
    smooth, exact = parse_view("circle:89", unsound=True), parse_view("circle:90")
    assert torch.equal(smooth(x)[..., 0, :], x[..., 0, :]), "outside the disc nothing changes"
    small = torch.nn.functional.interpolate(x, (64, 64), mode="bicubic")
    assert (smooth(small) - exact(small)).std() < 0.2 * small.std(), "almost a quarter turn is like one"
