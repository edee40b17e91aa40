import pytest
import torch

from sfumato.core.cascade import LowResolution
from sfumato.core.noise import stream
from sfumato.core.predictions import Prediction
from sfumato.core.schedules import shifted_cosine
from sfumato.training.objective import Objective


def test_a_guide_without_noise_is_the_smaller_picture_brought_to_size():
    ramp = torch.linspace(-1, 1, 32).expand(1, 3, 32, 32)
    guide = LowResolution(16, most_noise=0.0).draw(ramp, stream(0, "x"))
    assert guide.shape == ramp.shape
    assert (guide - ramp)[..., 2:-2].abs().max() < 1e-5  # a ramp is what bilinear interpolation is exact for


def test_guides_follow_from_their_generator_and_have_the_noise_that_they_say():
    low_res, flat = LowResolution(64, noise=0.1), torch.zeros(3, 64, 64)
    one, again, other = (low_res.of(flat, stream(seed, "guide"), 64) for seed in (0, 0, 1))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert one.std().item() == pytest.approx(0.1, rel=0.02)
    with pytest.raises(ValueError, match="must be 64×64, not \\(32, 32\\)"):
        low_res.of(torch.zeros(3, 32, 32), stream(0), 64)


def test_training_shows_the_guide_after_the_noised_picture_and_wants_the_picture():
    objective = Objective(shifted_cosine(100), Prediction.X0, low_res=LowResolution(8, most_noise=0.0))
    x0 = torch.randn(4, 3, 16, 16)
    example = objective.example(x0, torch.zeros(4, 2), stream(0, "step"))
    assert example.x.shape == (4, 6, 16, 16)
    assert torch.equal(example.target, x0)
    assert torch.equal(example.x[:, 3:], LowResolution(8, most_noise=0.0).draw(x0, stream(1)))
