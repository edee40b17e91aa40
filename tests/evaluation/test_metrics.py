"""Laws of the picture metrics, and their agreement with SciPy."""

import math

import numpy as np
import pytest
import scipy.linalg
import scipy.ndimage
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.errors import UsageError
from sfumato.evaluation.metrics import confusion, frechet_distance, gaussian_statistics, psnr, ssim


def pictures(seed: int, *shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def covariance(seed: int, size: int, rank: int | None = None) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    root = torch.randn(size, rank or size, generator=generator, dtype=torch.float64)
    return root @ root.T


@given(seed=st.integers(0, 99), offset=st.floats(0.01, 1), data_range=st.sampled_from([1.0, 2.0, 255.0]))
def test_psnr_of_a_constant_offset(seed, offset, data_range):
    x = pictures(seed, 2, 3, 5, 4).double()
    expected = 20 * math.log10(data_range / offset)
    assert psnr(x, x + offset, data_range).tolist() == pytest.approx([expected] * 2, abs=1e-9)


def test_psnr_of_equal_pictures_is_infinite():
    x = pictures(0, 3, 1, 8, 8)
    assert psnr(x, x).tolist() == [math.inf] * 3


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_symmetric_and_per_image(metric):
    a, b = pictures(1, 4, 3, 16, 20), pictures(2, 4, 3, 16, 20)
    together = metric(a, b)
    assert together.shape == (4,)
    assert together.dtype == torch.float64
    assert torch.allclose(metric(b, a), together, rtol=0, atol=1e-12)
    for k in range(4):
        assert metric(a[k : k + 1], b[k : k + 1]).item() == pytest.approx(together[k].item(), abs=1e-12)


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_the_range_is_a_unit(metric):
    a, b = pictures(1, 2, 1, 16, 16).double(), pictures(2, 2, 1, 16, 16).double()
    assert torch.allclose(metric(255 * a, 255 * b, 255.0), metric(a, b), rtol=0, atol=1e-10)


@settings(max_examples=20)
@given(seed=st.integers(0, 99), noise=st.floats(0.001, 1))
def test_ssim_is_one_only_for_the_picture_itself(seed, noise):
    x = pictures(seed, 1, 2, 14, 13)
    assert ssim(x, x).item() == pytest.approx(1, abs=1e-12)
    assert ssim(x, x + noise * pictures(seed + 1, 1, 2, 14, 13)).item() < 1


def test_ssim_of_constant_pictures_is_the_luminance_term():
    a, b = torch.full((1, 1, 12, 12), 0.25), torch.full((1, 1, 12, 12), 0.75)
    expected = (2 * 0.25 * 0.75 + 1e-4) / (0.25**2 + 0.75**2 + 1e-4)
    assert ssim(a, b).item() == pytest.approx(expected, abs=1e-9)


def reference_ssim(a: np.ndarray, b: np.ndarray, data_range: float) -> float:
    """What scikit-image computes with gaussian_weights=True, sigma=1.5, use_sample_covariance=False."""

    def mean(x):
        return scipy.ndimage.gaussian_filter(x, 1.5, truncate=3.5)

    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    ux, uy = mean(a), mean(b)
    vx, vy, vxy = mean(a * a) - ux * ux, mean(b * b) - uy * uy, mean(a * b) - ux * uy
    s = ((2 * ux * uy + c1) * (2 * vxy + c2)) / ((ux**2 + uy**2 + c1) * (vx + vy + c2))
    return float(s[5:-5, 5:-5].mean())


@pytest.mark.parametrize("data_range", [1.0, 255.0])
@pytest.mark.parametrize("size", [(11, 11), (28, 28), (17, 40)])
def test_ssim_equals_a_plain_implementation(size, data_range):
    a = data_range * pictures(3, 2, 3, *size).double()
    b = (0.7 * a + 0.3 * data_range * pictures(4, 2, 3, *size)).double()
    expected = [
        np.mean([reference_ssim(a[k, c].numpy(), b[k, c].numpy(), data_range) for c in range(3)]) for k in range(2)
    ]
    assert ssim(a, b, data_range).tolist() == pytest.approx(expected, abs=1e-12)


def test_ssim_wants_a_whole_window():
    with pytest.raises(UsageError, match="at least 11×11 pixels, not 30×10"):
        ssim(torch.zeros(1, 1, 10, 30), torch.zeros(1, 1, 10, 30))


@pytest.mark.parametrize("data_range", [0.0, -1.0, math.nan])
def test_the_range_is_positive(data_range):
    with pytest.raises(UsageError, match="positive"):
        psnr(torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 2, 2), data_range)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=40))
def test_confusion_counts_every_pair(pairs):
    expected = torch.tensor([e for e, _ in pairs], dtype=torch.int64)
    predicted = torch.tensor([p for _, p in pairs], dtype=torch.int64)
    table = confusion(predicted, expected, 5)
    assert table.shape == (5, 5)
    for e in range(5):
        for p in range(5):
            assert table[e, p].item() == pairs.count((e, p))


@pytest.mark.parametrize("bad", [-1, 3])
def test_confusion_refuses_another_class(bad):
    with pytest.raises(UsageError, match="0 … 2"):
        confusion(torch.tensor([0, bad]), torch.tensor([0, 1]), 3)


@given(seed=st.integers(0, 99))
def test_frechet_of_commuting_covariances(seed):
    generator = torch.Generator().manual_seed(seed)
    basis = torch.linalg.qr(torch.randn(6, 6, generator=generator, dtype=torch.float64)).Q
    v1, v2 = torch.rand(2, 6, generator=generator, dtype=torch.float64)
    m1, m2 = torch.randn(2, 6, generator=generator, dtype=torch.float64)
    expected = (m1 - m2).square().sum() + (v1.sqrt() - v2.sqrt()).square().sum()
    distance = frechet_distance(m1, basis * v1 @ basis.T, m2, basis * v2 @ basis.T)
    assert distance == pytest.approx(expected.item(), abs=1e-10)


@pytest.mark.parametrize("size", [1, 3, 20])
def test_frechet_equals_scipy(size):
    c1, c2 = covariance(1, size), covariance(2, size)
    m1, m2 = torch.zeros(size, dtype=torch.float64), torch.ones(size, dtype=torch.float64)
    root = scipy.linalg.sqrtm((c1 @ c2).numpy()).real
    expected = size + (c1 + c2).trace().item() - 2 * np.trace(root)
    assert frechet_distance(m1, c1, m2, c2) == pytest.approx(expected, rel=1e-9)


def test_frechet_is_a_distance():
    m1, m2 = torch.randn(2, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    c1, c2 = covariance(1, 8), covariance(2, 8, rank=3)  # singular, as with few pictures
    assert frechet_distance(m1, c1, m1, c1) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(m1, c2, m1, c2) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(m1, c1, m2, c2) == pytest.approx(frechet_distance(m2, c2, m1, c1), abs=1e-6)


def test_frechet_refuses_what_is_not_finite():
    m, c = torch.zeros(2), torch.eye(2)
    with pytest.raises(UsageError, match="finite"):
        frechet_distance(m, c, m, c * math.nan)


def test_gaussian_statistics_are_numpys():
    features = pictures(5, 50, 4)
    mean, cov = gaussian_statistics(features)
    assert np.allclose(mean, features.double().numpy().mean(axis=0), rtol=0, atol=1e-12)
    assert np.allclose(cov, np.cov(features.double().numpy(), rowvar=False), rtol=0, atol=1e-12)
    with pytest.raises(UsageError, match="at least 2"):
        gaussian_statistics(features[:1])
