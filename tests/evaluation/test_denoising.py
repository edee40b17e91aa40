"""Laws of the denoising tables, on exact denoisers."""

import json
import math

import pytest
import torch

from sfumato.backends.network import NetworkDenoiser
from sfumato.backends.oracle import GaussianMixture
from sfumato.core.estimates import Estimate, Predict
from sfumato.core.levels import CLEAN
from sfumato.core.loop import Canvas, FromImage, sample
from sfumato.core.loops import Loop
from sfumato.core.pixels import from_unit, to_unit
from sfumato.core.predictions import Prediction
from sfumato.core.schedules import Additive, Discrete, linear
from sfumato.errors import UsageError
from sfumato.evaluation.denoising import (
    DenoisingRow,
    denoising_markdown,
    denoising_table,
    one_step_table,
)
from sfumato.evaluation.metrics import psnr
from sfumato.evaluation.samples import Sampling
from sfumato.models.course_unet import CourseUNet, CourseUNetConfig

STD = 0.08
SIGMAS = (0.0, 0.2, 0.5, 1.0)


def oracle(schedule=None, pixel_range=(0.0, 1.0)):
    """Pictures N(1/2, 0.08²): white noise around grey, hardly ever outside [0, 1]."""
    low, high = pixel_range
    mean = torch.full((1, 1, 12, 12), (low + high) / 2)
    return GaussianMixture(mean, STD * (high - low), schedule=schedule or Additive((0.5,)), pixel_range=pixel_range)


def pictures(n=6):
    x = 0.5 + STD * torch.randn(n, 1, 12, 12, generator=torch.Generator().manual_seed(7))
    return x.clamp(0, 1)


def network(prediction=Prediction.X0):
    torch.manual_seed(0)
    net = CourseUNet(CourseUNetConfig(width=2, time=False)).eval()
    return NetworkDenoiser("test", net, Additive((0.5,)), prediction)


def test_the_posterior_mean_is_no_worse_than_any_blur():
    for row in denoising_table(oracle(), pictures(), SIGMAS)[1:]:
        assert row.one_step.psnr >= row.blur.psnr
        assert row.blur.psnr >= row.noisy.psnr
        # E|x₀ − E[x₀|z]|² = s²σ²/(s² + σ²)
        expected = -10 * math.log10(STD**2 * row.level.sigma**2 / (STD**2 + row.level.sigma**2))
        assert row.one_step.psnr == pytest.approx(expected, abs=0.5)


def test_nothing_is_perfect():
    """At σ = 0 the picture is itself, and a network that predicts x₀ is still asked."""
    row = denoising_table(oracle(), pictures(), [0.0])[0]
    assert row.noisy.psnr == row.blur.psnr == row.one_step.psnr == math.inf
    assert row.blur_sigma == 0
    assert row.noisy.ssim == pytest.approx(1, abs=1e-12)
    model = network()
    clean = torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    row = denoising_table(model, clean, [0.0])[0]
    with torch.no_grad():
        expected = psnr(model.network(clean).clamp(0, 1), clean).mean().item()
    assert row.one_step.psnr == pytest.approx(expected, abs=1e-4)
    assert row.noisy.psnr == math.inf


def test_more_noise_is_worse():
    rows = denoising_table(oracle(), pictures(), SIGMAS)
    for way in ("noisy", "blur", "one_step"):
        values = [getattr(row, way).psnr for row in rows]
        assert values == sorted(values, reverse=True)


def test_a_picture_keeps_its_noise_whatever_its_neighbours():
    clean = pictures(4)
    (both,) = denoising_table(oracle(), clean, [0.5], seed=3)
    alone = [denoising_table(oracle(), clean[k : k + 1], [0.5], seed=3 + k)[0] for k in range(4)]
    for way in ("noisy", "one_step"):
        mean = sum(getattr(row, way).psnr for row in alone) / 4
        assert getattr(both, way).psnr == pytest.approx(mean, abs=1e-5)


def test_chunks_change_nothing():
    whole, parts = (denoising_table(oracle(), pictures(), SIGMAS, row_limit=n) for n in (100, 4))
    assert whole == parts


@pytest.mark.parametrize("prediction", [Prediction.X0, Prediction.EPS])
def test_a_network_says_x0_as_its_noise_implies(prediction):
    model = network(prediction)
    x = torch.rand(2, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    level = model.schedule.level(0.5)
    with torch.no_grad():
        x0, eps = model.x0(x, [None] * 2, level), model(x, [None] * 2, level).eps
    assert torch.allclose(x - level.sigma * eps, x0, atol=1e-5)


@pytest.mark.parametrize("pixel_range", [(0.0, 1.0), (-1.0, 1.0)])
def test_a_diffusion_model_is_measured_as_the_loop_makes_it(pixel_range):
    model, clean = oracle(linear(300), pixel_range), pictures(4)
    how = Sampling(steps=10, loop=Loop("ddim"), batch=3)
    rows = one_step_table(model, clean, [75, 150], how, seed=5)
    for row in rows:
        level = model.schedule.level(row.level.t)
        canvases = [Canvas(Predict(), 5 + k, FromImage(x, level)) for k, x in enumerate(from_unit(clean, model))]
        once = psnr(to_unit(sample(model, canvases, (level, CLEAN)), model), clean).mean().item()
        seen = psnr(to_unit(sample(model, canvases, (level,)), model), clean).mean().item()
        assert row.one_step.psnr == pytest.approx(once, abs=1e-3)
        assert row.noisy.psnr == pytest.approx(seen, abs=1e-5)
        assert row.one_step.psnr >= row.blur.psnr
        # What is sampled has the texture that the mean has not, which costs error.
        assert row.iterative is not None
        assert row.noisy.psnr < row.iterative.psnr < row.one_step.psnr


def test_conditions_are_passed_on():
    means = torch.tensor([0.2, 0.8])[:, None, None, None].expand(2, 1, 12, 12)
    model = GaussianMixture(means, 0.0, ("dark", "light"), linear(300), (0.0, 1.0))
    clean = means.clone()
    how = Sampling(steps=5)
    (right,) = one_step_table(model, clean, [200], how, conditions=["dark", "light"])
    (wrong,) = one_step_table(model, clean, [200], how, conditions=["light", "dark"])
    assert right.one_step.psnr > 60
    assert right.iterative is not None
    assert right.iterative.psnr > 60
    assert wrong.one_step.psnr == pytest.approx(-20 * math.log10(0.6), abs=1e-3)


def test_rows_survive_json():
    rows = denoising_table(oracle(), pictures(), SIGMAS)
    rows += one_step_table(oracle(linear(300)), pictures(), [10], Sampling(steps=3))
    text = json.dumps([row.to_dict() for row in rows], allow_nan=False)
    assert [DenoisingRow.from_dict(row) for row in json.loads(text)] == rows


def test_the_table_in_markdown():
    lines = denoising_markdown(denoising_table(oracle(), pictures(), (0.0, 0.5))).splitlines()
    assert [cell.strip() for cell in lines[0].strip("|").split("|")] == [
        "σ",
        "noisy",
        "best blur",
        "its px",
        "one step",
    ]
    assert lines[2].count("∞ / 1.00") == 3
    assert len({len(line) for line in lines}) == 1
    diffusion = denoising_markdown(one_step_table(oracle(linear(300)), pictures(), [75], Sampling(steps=5)))
    assert diffusion.startswith("| t ")
    assert "iterative" in diffusion


def test_what_cannot_be_measured_is_refused():
    clean = pictures()
    with pytest.raises(UsageError, match="no pictures"):
        denoising_table(oracle(), clean[:0], [0.5])
    with pytest.raises(UsageError, match="the model wants"):
        denoising_table(oracle(), torch.rand(1, 1, 13, 13), [0.5])
    with pytest.raises(UsageError, match="negative"):
        denoising_table(oracle(), clean, [-0.5])
    with pytest.raises(UsageError, match="simply added"):
        denoising_table(oracle(linear(300)), clean, [1.0])
    with pytest.raises(UsageError, match="not one of 0"):
        one_step_table(oracle(linear(300)), clean, [300], Sampling(steps=5))
    with pytest.raises(UsageError, match="conditions"):
        one_step_table(oracle(linear(300)), clean, [30], Sampling(steps=5), conditions=[None])


def test_a_model_without_noise_is_not_asked_for_it():
    """An ε-predicting model cannot be asked at sigma 0; there its x₀ does not depend on the answer."""

    class Silent(GaussianMixture):
        def __call__(self, x, conditions, level, of=None) -> Estimate:
            raise AssertionError("asked")

    model = Silent(torch.full((1, 1, 12, 12), 0.5), STD, schedule=Discrete((1.0, 0.5)), pixel_range=(0.0, 1.0))
    assert denoising_table(model, pictures(), [0.0])[0].one_step.psnr == math.inf
