"""The checker says what a view does from what it does, not from what it claims."""

from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch

from sfumato.core.crops import Crop
from sfumato.core.views import VIEWS, View, parse_view
from sfumato.core.views.check import check

SOUND = [kind.example for name, kind in VIEWS.items() if kind.sound and name not in {"file", "signed", "pixel-permute"}]


@pytest.mark.parametrize("text", [*SOUND, "rotate:90+negate+jigsaw", "signed:2:2:RmA"])
def test_views_of_anagrams_are_sound(text):
    report = check(parse_view(text))
    assert report.sound
    assert report.linearity_error == report.inverse_error == report.orthogonality_error == 0
    assert report.condition == pytest.approx(1)
    assert report.noise_std == pytest.approx((1, 1, 1), abs=0.01)
    assert abs(report.noise_correlation) < 0.01
    assert report.verdict == "it is linear, white noise stays white, and the way back is exact, bit for bit"


@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 256, 256), (3, 64, 192)])
def test_canvases_too_large_for_a_matrix_are_measured(shape):
    """On the largest small square that the view fits, and by a few pictures of the shape itself."""
    report = check(parse_view("hinge:3+permute:8"), shape)
    assert report.sound
    assert report.condition == pytest.approx(1)
    alone = check(parse_view("permute:64"), shape)
    assert alone.sound
    assert alone.condition is None


def test_a_turn_between_pixels_weakens_noise_and_forgets():
    report = check(parse_view("circle:135", unsound=True))
    assert not report.sound
    assert report.linearity_error < 1e-12
    assert report.inverse_error > 0.3
    assert report.condition > 1e9
    assert report.noise_std == pytest.approx((0.87, 0.87, 0.87), abs=0.02)
    assert "white noise seen through it has standard deviation 0.87 and neighbours that correlate" in report.verdict
    assert "the answer does not come back (A⁻¹ A x is off by 42%)" in report.verdict


@pytest.mark.parametrize("sigma", [0.3, 2.0])
def test_a_blur_darkens_noise_and_forgets(sigma):
    """σ of what is left is ‖kernel‖, about 1/(2σ√π) of a wide Gaussian in two dimensions."""
    report = check(parse_view(f"blur:{sigma}", unsound=True), (1, 64, 64))
    assert not report.sound
    assert report.inverse_error > 0.01
    if sigma == 2:
        assert report.noise_std[0] == pytest.approx(1 / (4 * torch.pi**0.5), rel=0.1)
        assert report.noise_correlation > 0.9


def test_a_white_balance_is_undone_but_scales_noise():
    report = check(parse_view("white-balance:1.5,1,0.5", unsound=True))
    assert not report.sound
    assert report.inverse_error < 1e-12
    assert report.condition == pytest.approx(3)
    assert report.orthogonality_error == pytest.approx(1.25)
    assert report.noise_std == pytest.approx((1.5, 1, 0.5), abs=0.01)
    assert report.verdict == (
        "white noise seen through it has standard deviation 1.50, 1.00, 0.50, which the model was not trained on"
    )


def test_a_crop_keeps_noise_white_and_forgets():
    report = check(Crop(0, 0, 8, 8, 16, 16))
    assert not report.sound
    assert report.orthogonality_error < 1e-12
    assert report.verdict == "the answer does not come back (A⁻¹ A x is off by 86%)"


@dataclass(frozen=True)
class Made(View):
    """A view that claims to be sound."""

    name: ClassVar[str] = "made"
    what: str

    def __call__(self, x):
        match self.what:
            case "absolute":
                return x.abs()
            case "shifted":
                return x + 1
            case "double":  # but where the canvas is small enough for a matrix
                return 2 * x if x.shape[-1] > 20 else x
            case "tied":  # noise as strong as before, but no longer white
                left, right = x.chunk(2, -1)
                return torch.cat([left, 0.6 * right + 0.8 * left], -1)
            case _:
                return x @ rotation(x.shape[-1])

    def inverse(self, y):
        match self.what:
            case "double":
                return y / 2 if y.shape[-1] > 20 else y
            case "tied":
                left, right = y.chunk(2, -1)
                return torch.cat([left, (right - 0.8 * left) / 0.6], -1)
            case "mixed":
                return y @ rotation(y.shape[-1]).T
            case _:
                return y


def rotation(size: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.linalg.qr(torch.randn(size, size, generator=generator, dtype=torch.float64))[0]


@pytest.mark.parametrize(
    ("what", "verdict"),
    [
        ("absolute", "it is not linear"),
        ("shifted", "it is not linear"),
        ("double", "white noise seen through it has standard deviation 2.00"),
        ("tied", "white noise seen through it has standard deviation 1.00, which"),
        ("mixed", "it is linear, white noise stays white, and there is a way back"),
    ],
)
def test_what_a_view_claims_is_not_believed(what, verdict):
    report = check(Made(what), (3, 40, 40))
    assert report.verdict.startswith(verdict)
    assert report.sound == (what == "mixed")


def test_a_canvas_that_does_not_fit_is_told():
    with pytest.raises(ValueError, match="permute:7:seed=0 cannot cut 16 pixels"):
        check(parse_view("permute:7"))
