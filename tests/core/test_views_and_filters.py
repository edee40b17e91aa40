import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sfumato.core.filters import HighPass, LowPass
from sfumato.core.views import IDENTITY, Rotate, chain, parse_view

SIMPLE = ["identity", "flip", "mirror", "rotate:90", "rotate:180", "rotate:270", "negate"]
CHAINS = ["+".join(pair) for pair in itertools.product(SIMPLE, SIMPLE)]


def pictures(seed: int, height: int = 6, width: int = 8) -> torch.Tensor:
    return torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("text", [*SIMPLE, *CHAINS, "rotate:90+negate+flip+mirror"])
def test_a_view_is_orthogonal(text):
    """⟨Ax, y⟩ = ⟨x, A⁻¹y⟩ and A⁻¹Ax = x."""
    view = parse_view(text)
    x = pictures(0)
    seen = view(x)
    y = torch.randn(seen.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert torch.equal(view.inverse(seen), x)
    assert torch.equal(view(view.inverse(y)), y)
    assert (seen * y).sum().item() == pytest.approx((x * view.inverse(y)).sum().item(), abs=1e-10)
    assert torch.equal(view.inverse_magnitude(view(x)).abs(), x.abs())
    assert torch.equal(view.inverse_magnitude(seen.abs()), x.abs())


@pytest.mark.parametrize("text", SIMPLE + CHAINS)
def test_the_string_of_a_view_reads_back(text):
    assert parse_view(str(parse_view(text))) == parse_view(text)


def test_what_the_views_do():
    x = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    expected = {
        "identity": [[1, 2], [3, 4]],
        "flip": [[3, 4], [1, 2]],
        "mirror": [[2, 1], [4, 3]],
        "rotate:90": [[2, 4], [1, 3]],
        "rotate:180": [[4, 3], [2, 1]],
        "rotate:270": [[3, 1], [4, 2]],
        "negate": [[-1, -2], [-3, -4]],
        "rotate:90+negate": [[-2, -4], [-1, -3]],
        "flip+rotate:90": [[4, 2], [3, 1]],
    }
    for text, values in expected.items():
        assert parse_view(text)(x)[0, 0].tolist() == values, text


def test_identity_vanishes_in_a_chain():
    assert chain(IDENTITY, Rotate(90), IDENTITY) == chain(Rotate(90))
    assert parse_view("identity+identity") == IDENTITY


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("turn", "unknown view 'turn'; choose one of identity, flip"),
        ("rotate:45", "rotate:45 would mix pixels; choose one of 90, 180, 270"),
        ("rotate", "rotate wants its degrees"),
        ("rotate:-90", "rotate wants its degrees"),
        ("flip:3", "takes no argument"),
        ("", "unknown view ''"),
        ("flip+", "unknown view ''"),
    ],
)
def test_a_bad_view_is_named(text, message):
    with pytest.raises(ValueError, match=message):
        parse_view(text)


@given(st.floats(0.2, 6.0), st.sampled_from([(28, 28), (64, 64), (9, 17)]))
def test_low_and_high_pass_sum_to_the_picture(sigma, size):
    x = pictures(2, *size)
    assert (LowPass(sigma)(x) + HighPass(sigma)(x) - x).abs().max() < 1e-12


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


@pytest.mark.parametrize(("sigma", "kernel"), [(0.0, None), (-1.0, None), (float("nan"), None), (1.0, 4), (1.0, -1)])
def test_impossible_filters_are_refused(sigma, kernel):
    with pytest.raises(ValueError, match=r"sigma|odd"):
        LowPass(sigma, kernel)
