"""How close two pictures, two lists of answers, or two distributions are."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import conv2d

from sfumato.errors import UsageError
from sfumato.evaluation.judge import Judge

SSIM_WINDOW = 11
SSIM_SIGMA = 1.5


def psnr(a: Float[Tensor, "b c h w"], b: Float[Tensor, "b c h w"], data_range: float = 1.0) -> Float[Tensor, " b"]:
    """Peak signal-to-noise ratio of each image, in decibels: 10·log₁₀(range² / mean squared error).

    Computed in float64 on the CPU. `data_range` is the distance between the smallest and the largest possible pixel:
    1 for [0, 1], 2 for [-1, 1]. Equal images have an infinite ratio. Raises UsageError when the shapes differ or
    the range is not positive.
    """
    _check_pair(a, b, data_range)
    error = (_double(a) - _double(b)).square().mean(dim=(1, 2, 3))
    return 10 * torch.log10(data_range**2 / error)


def ssim(a: Float[Tensor, "b c h w"], b: Float[Tensor, "b c h w"], data_range: float = 1.0) -> Float[Tensor, " b"]:
    """Structural similarity of each image, at most 1: Wang et al. 2004, equation 13, averaged over its windows.

    The constants of the paper: a Gaussian window of 11×11 with σ = 1.5 that sums to one, K₁ = 0.01, K₂ = 0.03,
    and weighted moments without Bessel's correction. Only windows that lie wholly inside the image count ("valid":
    5 pixels at every border are no window's centre), so no padding is invented. Channels are compared one by one
    and averaged. Equal to scikit-image's `structural_similarity` with `gaussian_weights=True, sigma=1.5,
    use_sample_covariance=False`. Computed in float64 on the CPU. Raises UsageError when the shapes differ, a side
    is shorter than 11 pixels, or the range is not positive.

    Z. Wang, A. C. Bovik, H. R. Sheikh, E. P. Simoncelli, "Image Quality Assessment: From Error Visibility to
    Structural Similarity", IEEE Transactions on Image Processing 13(4), 2004.
    """
    _check_pair(a, b, data_range)
    rows, channels, height, width = a.shape
    if min(height, width) < SSIM_WINDOW:
        raise UsageError(f"SSIM wants pictures of at least {SSIM_WINDOW}×{SSIM_WINDOW} pixels, not {width}×{height}")
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    x, y = (_double(image).reshape(rows * channels, 1, height, width) for image in (a, b))
    mean_x, mean_y = _window_mean(x), _window_mean(y)
    variance_x = _window_mean(x * x) - mean_x**2
    variance_y = _window_mean(y * y) - mean_y**2
    covariance = _window_mean(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    structure = (2 * covariance + c2) / (variance_x + variance_y + c2)
    return (luminance * structure).reshape(rows, -1).mean(dim=1)


def confusion(predicted: Int[Tensor, " b"], expected: Int[Tensor, " b"], n: int) -> Int[Tensor, "n n"]:
    """How often each class was taken for each: row = expected, column = predicted, both of 0 … n-1.

    Raises UsageError when the lists differ in length or hold another class.
    """
    if predicted.shape != expected.shape:
        raise UsageError(f"{len(predicted)} predicted classes cannot be compared with {len(expected)} expected ones")
    both = torch.stack([expected, predicted]).cpu().long()
    if both.numel() and not 0 <= int(both.min()) <= int(both.max()) < n:
        raise UsageError(f"classes must be 0 … {n - 1}, not {int(both.min())} … {int(both.max())}")
    return torch.bincount(both[0] * n + both[1], minlength=n * n).reshape(n, n)


def accuracy(judge: Judge, x: Float[Tensor, "b c h w"], classes: Int[Tensor, " b"]) -> float:
    """The share of pictures that the judge takes for what they should be, in [0, 1].

    Raises UsageError when there are no pictures or not as many classes.
    """
    if len(x) != len(classes) or len(x) == 0:
        raise UsageError(f"accuracy wants as many classes as pictures, and at least one: {len(classes)} and {len(x)}")
    return (judge.classify(x) == classes.to(x.device)).double().mean().item()


def gaussian_statistics(
    features: Float[Tensor, "b f"],
) -> tuple[Float[Tensor, " f"], Float[Tensor, "f f"]]:
    """Mean and covariance (with Bessel's correction) of feature vectors, in float64 on the CPU.

    Raises UsageError for fewer than two vectors.
    """
    if len(features) < 2:
        raise UsageError(f"a covariance wants at least 2 feature vectors, not {len(features)}")
    vectors = _double(features)
    mean = vectors.mean(dim=0)
    centred = vectors - mean
    return mean, centred.T @ centred / (len(vectors) - 1)


def frechet_distance(
    mean1: Float[Tensor, " f"],
    cov1: Float[Tensor, "f f"],
    mean2: Float[Tensor, " f"],
    cov2: Float[Tensor, "f f"],
) -> float:
    """The squared Fréchet (2-Wasserstein) distance of two Gaussians: |μ₁-μ₂|² + tr(Σ₁ + Σ₂ - 2(Σ₁Σ₂)^½).

    The trace of the root is that of (Σ₁^½ Σ₂ Σ₁^½)^½, which has the same eigenvalues but is symmetric: two
    symmetric eigenproblems in float64, no complex numbers, and singular covariances do no harm. Never negative.
    Covariances must be symmetric and positive semi-definite; rounding below zero is clipped. Raises UsageError when
    the sizes differ or a number is not finite.

    D. C. Dowson, B. V. Landau, "The Fréchet distance between multivariate normal distributions", Journal of
    Multivariate Analysis 12, 1982; used on features by M. Heusel et al., "GANs Trained by a Two Time-Scale Update
    Rule Converge to a Local Nash Equilibrium", 2017.
    """
    size = len(mean1)
    if mean2.shape != (size,) or cov1.shape != (size, size) or cov2.shape != (size, size):
        raise UsageError("a Fréchet distance wants means and covariances of one size")
    m1, c1, m2, c2 = (_double(value) for value in (mean1, cov1, mean2, cov2))
    if not all(bool(value.isfinite().all()) for value in (m1, c1, m2, c2)):
        raise UsageError("a Fréchet distance wants finite means and covariances")
    values, vectors = torch.linalg.eigh(c1)
    root = (vectors * values.clamp_min(0).sqrt()) @ vectors.T
    product = root @ c2 @ root
    trace_of_root = torch.linalg.eigvalsh((product + product.T) / 2).clamp_min(0).sqrt().sum()
    distance = (m1 - m2).square().sum() + c1.trace() + c2.trace() - 2 * trace_of_root
    return max(float(distance), 0.0)


def _window_mean(x: Float[Tensor, "n 1 h w"]) -> Float[Tensor, "n 1 u v"]:
    """The Gaussian-weighted mean of every whole window."""
    offset = torch.arange(SSIM_WINDOW, dtype=torch.float64) - SSIM_WINDOW // 2
    weights = torch.exp(-(offset**2) / (2 * SSIM_SIGMA**2))
    weights /= weights.sum()
    return conv2d(conv2d(x, weights.view(1, 1, 1, -1)), weights.view(1, 1, -1, 1))


def _check_pair(a: Tensor, b: Tensor, data_range: float) -> None:
    if a.shape != b.shape:
        raise UsageError(f"pictures of shapes {tuple(a.shape)} and {tuple(b.shape)} cannot be compared")
    if not data_range > 0:
        raise UsageError(f"data_range must be positive, not {data_range}")


def _double(x: Tensor) -> Tensor:
    # Not every accelerator has float64; the CPU does.
    return x.to("cpu", torch.float64)
