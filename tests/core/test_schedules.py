import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sfumato.core.levels import CLEAN, Level, diffuse, eps_from_x0, rediffuse, transition_sigma, x0_from_eps
from sfumato.core.predictions import Prediction
from sfumato.core.schedules import Additive, Discrete, Flow, cosine, linear, shifted_cosine, spaced, strided, with_jumps


def test_timesteps_are_those_of_the_course():
    assert linear(1000).timesteps(34) == tuple(float(t) for t in range(990, -1, -30))


def test_start_10_is_690():
    assert linear(1000).timesteps(34)[10] == 690


@given(st.integers(1, 400), st.data())
def test_any_count_of_timesteps_falls_strictly_to_zero(total, data):
    count = data.draw(st.integers(1, total))
    times = linear(total).timesteps(count)
    assert len(times) == count
    assert all(a > b for a, b in itertools.pairwise(times))
    assert count == 1 or times[-1] == 0
    assert times[0] < total


@pytest.mark.parametrize("steps", [0, -1, 301])
def test_impossible_counts_are_refused(steps):
    with pytest.raises(ValueError, match="steps must be between 1 and 300"):
        linear(300).timesteps(steps)


def test_levels_preserve_variance():
    for schedule in (linear(300), cosine(300)):
        for level in schedule.levels:
            assert level.alpha**2 + level.sigma**2 == pytest.approx(1, abs=1e-12)


def test_linear_is_the_product_of_its_betas():
    bar = linear(300).alphas_cumprod
    assert bar[0] == pytest.approx(1 - 1e-4, abs=1e-15)
    assert 1 - bar[-1] / bar[-2] == pytest.approx(0.02, abs=1e-12)
    assert 1 - bar[150] / bar[149] == pytest.approx(1e-4 + 150 / 299 * (0.02 - 1e-4), abs=1e-12)


@pytest.mark.parametrize("bar", [(), (0.5, 0.6), (0.0,), (1.1,)])
def test_impossible_alphas_are_refused(bar):
    with pytest.raises(ValueError, match="alphas_cumprod"):
        Discrete(bar)


def test_schedules_equal_diffusers():
    diffusers = pytest.importorskip("diffusers")
    ours = torch.tensor(linear(1000).alphas_cumprod, dtype=torch.float64)
    theirs = diffusers.DDPMScheduler(1000, 1e-4, 0.02, "linear").alphas_cumprod.double()
    assert (ours - theirs).abs().max() < 1e-6
    ours = torch.tensor(cosine(1000).alphas_cumprod, dtype=torch.float64)
    theirs = diffusers.DDPMScheduler(1000, beta_schedule="squaredcos_cap_v2").alphas_cumprod.double()
    assert (ours - theirs).abs().max() < 1e-6


@pytest.mark.parametrize(
    ("spacing", "counts"),
    [
        ("leading", range(1, 1001)),
        ("trailing", range(1, 1001)),
        ("linspace", range(1, 1001)),
    ],
)
def test_spacings_are_those_of_diffusers(spacing, counts):
    diffusers = pytest.importorskip("diffusers")
    scheduler = diffusers.DDPMScheduler(1000, timestep_spacing=spacing)
    for count in counts:
        scheduler.set_timesteps(count)
        # Of some counts, such as 61, its trailing times are one more than asked for: a last one of −1.
        expected = [t for t in scheduler.timesteps.tolist() if t >= 0]
        assert list(spaced(1000, count, spacing)) == expected, count


@pytest.mark.parametrize(
    ("spacing", "times"),
    [
        ("strided", (990, 960, 930, 60, 30, 0)),
        ("leading", (957, 928, 899, 58, 29, 0)),
        ("trailing", (999, 970, 940, 87, 58, 28)),
        ("linspace", (999, 969, 938, 61, 30, 0)),
    ],
)
def test_thirty_four_times(spacing, times):
    got = spaced(1000, 34, spacing)
    assert len(got) == 34
    assert (*got[:3], *got[-3:]) == times
    assert got == tuple(level.t for level in strided(linear(1000), 34, spacing=spacing)[:-1])


@pytest.mark.parametrize("spacing", ["strided", "leading", "trailing", "linspace"])
@given(st.integers(1, 300), st.data())
def test_any_spacing_falls_strictly(spacing, total, data):
    count = data.draw(st.integers(1, total))
    times = spaced(total, count, spacing)
    assert len(times) == count
    assert all(a > b for a, b in itertools.pairwise(times))
    assert 0 <= times[-1] <= times[0] < total
    assert spaced(total, total, spacing) == tuple(float(t) for t in reversed(range(total)))
    for wrong in (0, total + 1):
        with pytest.raises(ValueError, match=f"steps must be between 1 and {total}"):
            spaced(total, wrong, spacing)


def test_only_a_discrete_schedule_is_spaced():
    assert strided(Flow(), 5, spacing="leading") == strided(Flow(), 5)


def test_a_path_ends_clean_or_as_the_course_does():
    path = strided(linear(1000), 34)
    assert path[-1] == CLEAN
    assert len(path) - 1 == 34
    course = strided(linear(1000), 34, last_step=False)
    assert course[-1].t == 0
    assert len(course) - 1 == 33


@given(st.integers(1, 12), st.integers(1, 5), st.integers(1, 4))
def test_jumps_visit_each_stretch_as_often_as_asked(steps, jump, resample):
    path = strided(linear(300), steps)
    jumped = with_jumps(path, jump=jump, resample=resample)
    assert jumped[0] == path[0]
    assert jumped[-1] == path[-1]
    assert set(jumped) == set(path)
    ups = sum(b.snr < a.snr for a, b in itertools.pairwise(jumped))
    stretches_with_noise = sum(path[min(i + jump, len(path) - 1)].sigma > 0 for i in range(0, len(path) - 1, jump))
    assert ups == (resample - 1) * stretches_with_noise


def test_one_resample_is_the_path_itself():
    path = strided(linear(300), 10)
    assert with_jumps(path, jump=3, resample=1) == path


def test_flow_and_additive_levels():
    assert Flow().level(0.25) == Level(0.25, 0.75, 0.25)
    assert Additive((0.5,)).level(0.8) == Level(0.8, 1.0, 0.8)
    assert len(Flow().timesteps(7)) == 7
    with pytest.raises(ValueError, match="1 step"):
        Additive((0.5,)).timesteps(2)


@pytest.mark.parametrize("t_max", [0.999, 0.99, 1 - 1e-7])
def test_a_flow_is_walked_from_its_noisiest_level_in_any_count_of_steps(t_max):
    flow = Flow(t_max)
    for steps in range(1, 1001):
        path = strided(flow, steps)
        assert path[0] == flow.level(t_max)
        assert all(noisier.t > cleaner.t for noisier, cleaner in itertools.pairwise(path))


def test_diffusing_twice_is_diffusing_once():
    """q(x_t | x_s) q(x_s | x_0) = q(x_t | x_0): means and variances agree."""
    schedule = linear(300)
    s, t = schedule.level(40), schedule.level(200)
    x0 = torch.full((1, 1, 1, 1), 2.0, dtype=torch.float64)
    zero = torch.zeros_like(x0)
    assert rediffuse(diffuse(x0, s, zero), s, t, zero).item() == pytest.approx(diffuse(x0, t, zero).item(), abs=1e-12)
    variance = (t.alpha / s.alpha * s.sigma) ** 2 + transition_sigma(s, t) ** 2
    assert variance == pytest.approx(t.sigma**2, abs=1e-12)
    with pytest.raises(ValueError, match="less noise"):
        rediffuse(x0, t, s, zero)


@pytest.mark.parametrize("prediction", list(Prediction))
@given(st.floats(0.05, 1.0), st.floats(0.05, 1.5))
def test_a_prediction_says_the_noise(prediction, alpha, sigma):
    """`eps` inverts `target` on x = alpha x0 + sigma eps."""
    generator = torch.Generator().manual_seed(0)
    x0, eps = torch.randn(2, 3, 1, 4, 4, generator=generator, dtype=torch.float64).unbind(0)
    x = alpha * x0 + sigma * eps
    output = prediction.target(x0, eps, alpha, sigma)
    assert (prediction.eps(output, x, alpha, sigma) - eps).abs().max() < 1e-10


def test_x0_and_eps_imply_each_other():
    level = linear(300).level(120)
    generator = torch.Generator().manual_seed(0)
    x0, eps = torch.randn(2, 3, 1, 4, 4, generator=generator, dtype=torch.float64).unbind(0)
    x = diffuse(x0, level, eps)
    assert (x0_from_eps(x, eps, level) - x0).abs().max() < 1e-12
    assert (eps_from_x0(x, x0, level) - eps).abs().max() < 1e-12
    assert math.isinf(CLEAN.snr)


@pytest.mark.parametrize("prediction", list(Prediction))
@given(st.floats(0.05, 1.0), st.one_of(st.just(0.0), st.floats(0.05, 1.5)))
def test_a_prediction_says_the_picture(prediction, alpha, sigma):
    """`x0` inverts `target` on x = alpha x0 + sigma eps, without noise too."""
    generator = torch.Generator().manual_seed(0)
    x0, eps = torch.randn(2, 3, 1, 4, 4, generator=generator, dtype=torch.float64).unbind(0)
    x = alpha * x0 + sigma * eps
    output = prediction.target(x0, eps, alpha, sigma)
    assert (prediction.x0(output, x, alpha, sigma) - x0).abs().max() < 1e-10


def _ratios(schedule):
    return [level.sigma / level.alpha for level in schedule.levels]


def test_a_shift_multiplies_sigma_over_alpha():
    plain, shifted = _ratios(shifted_cosine(200)), _ratios(shifted_cosine(200, 8.0))
    assert shifted == pytest.approx([8 * ratio for ratio in plain], rel=1e-9)


def test_a_clean_shift_goes_over_into_the_other_in_equal_factors():
    plain, both = _ratios(shifted_cosine(200)), _ratios(shifted_cosine(200, 8.0, clean_shift=0.5))
    factors = [mixed / ratio for mixed, ratio in zip(both, plain, strict=True)]
    assert factors == pytest.approx([0.5 * 16 ** (k / 199) for k in range(200)], rel=1e-9)
    assert _ratios(shifted_cosine(200, 8.0, clean_shift=8.0)) == _ratios(shifted_cosine(200, 8.0))


@pytest.mark.parametrize("clean", [0.0, -1.0, 8.1, float("nan")])
def test_a_clean_shift_that_would_turn_the_schedule_round_is_refused(clean):
    with pytest.raises(ValueError, match="clean shift"):
        shifted_cosine(200, 8.0, clean_shift=clean)
