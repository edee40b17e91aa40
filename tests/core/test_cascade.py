import pytest
import torch

from sfumato.core.cascade import Guide, LowResolution, draw_guides
from sfumato.core.noise import stream
from sfumato.core.predictions import Prediction
from sfumato.core.schedules import cosine, shifted_cosine
from sfumato.training.objective import Objective


def test_a_guide_without_noise_is_the_smaller_picture_brought_to_size():
    ramp = torch.linspace(-1, 1, 32).expand(1, 3, 32, 32)
    guide = draw_guides(LowResolution(16, t=0.0), ramp, stream(0, "x"))
    assert guide.shape == ramp.shape
    assert (guide - ramp)[..., 2:-2].abs().max() < 1e-5  # a ramp is what bilinear interpolation is exact for


def test_aligned_corners_keep_the_outermost_pixels():
    small = torch.randn(3, 4, 4)
    guide = Guide(small, LowResolution(4, t=0.0, align_corners=True)).noised(torch.zeros(3, 7, 7))
    assert (guide[:, ::2, ::2] - small).abs().max() < 1e-6


def test_a_guide_is_at_its_level_of_its_schedule():
    small, noise = torch.randn(3, 8, 8), torch.randn(3, 8, 8)
    schedule = cosine()
    guide = Guide(small, LowResolution(8, schedule, t=250.0)).noised(noise)
    bar = schedule.alphas_cumprod[250]
    assert (guide - (bar**0.5 * small + (1 - bar) ** 0.5 * noise)).abs().max() < 1e-6


def test_training_noises_guides_by_up_to_twice_as_much_as_sampling():
    flat = torch.zeros(2000, 1, 8, 8)
    spread = draw_guides(LowResolution(8, t=0.1), flat, stream(0)).std(dim=(1, 2, 3))
    assert spread.mean().item() == pytest.approx(0.1, rel=0.05)
    assert 0.17 < spread.max() < 0.26
    assert spread.min() < 0.01


def test_training_shows_the_guide_after_the_noised_picture_and_wants_the_picture():
    objective = Objective(shifted_cosine(100), Prediction.X0, low_res=LowResolution(8, t=0.0))
    x0 = torch.randn(4, 3, 16, 16)
    example = objective.example(x0, torch.zeros(4, 2), stream(0, "step"))
    assert example.x.shape == (4, 6, 16, 16)
    assert torch.equal(example.target, x0)
    assert torch.equal(example.x[:, 3:], draw_guides(LowResolution(8, t=0.0), x0, stream(1)))
