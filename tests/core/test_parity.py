"""The same pictures as diffusers' schedulers make, given the same network, noise and timesteps."""

import itertools

import pytest
import torch

from sfumato.backends.network import NetworkDenoiser
from sfumato.core.predictions import Prediction
from sfumato.core.samplers import DDIM, DDPM, DPMpp2M, Heun, Situation
from sfumato.core.schedules import linear, strided
from sfumato.models.course_unet import CourseUNet, CourseUNetConfig

diffusers = pytest.importorskip("diffusers")
T = 1000


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(3)
    network = CourseUNet(CourseUNetConfig(width=8)).eval()
    return NetworkDenoiser("tiny", network, linear(T), Prediction.EPS)


def ours(model, sampler, path, x, noises):
    draws, memory = iter(noises), None
    for level, to in itertools.pairwise(path):

        def predict(canvas, at):
            return model(canvas, [None] * len(canvas), at)

        now = Situation(x, level, to, predict(x, level), predict, lambda: next(draws), memory)
        x, memory = sampler.step(now)
    return x


def start(seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, 1, 28, 28, generator=generator), [
        torch.randn(2, 1, 28, 28, generator=generator) for _ in range(60)
    ]


class Tape:
    """Hands out prepared noise where diffusers draws."""

    def __init__(self, noises):
        self.noises = iter(noises)

    def __call__(self, shape, **_):
        return next(self.noises)


@pytest.mark.parametrize("steps", [10, 34, 50])
@pytest.mark.parametrize(("variance", "theirs"), [("posterior", "fixed_small"), ("forward", "fixed_large")])
@torch.no_grad()
def test_ddpm(model, monkeypatch, steps, variance, theirs):
    scheduler = diffusers.DDPMScheduler(T, 1e-4, 0.02, "linear", variance_type=theirs, clip_sample=False)
    times = linear(T).timesteps(steps)
    scheduler.set_timesteps(timesteps=[int(t) for t in times])
    x, noises = start()
    monkeypatch.setattr("diffusers.schedulers.scheduling_ddpm.randn_tensor", Tape(noises))
    expected = x
    for t in scheduler.timesteps:
        eps = model(expected, [None] * 2, model.schedule.level(float(t))).eps
        expected = scheduler.step(eps, t, expected).prev_sample
    # At t = 0 diffusers takes the last step to x₀ without noise, as a strided path with its last step does.
    got = ours(model, DDPM(variance), strided(linear(T), steps), x, noises)
    assert (got - expected).abs().max() < 1e-4 * expected.abs().max()


@pytest.mark.parametrize("steps", [10, 50])
@torch.no_grad()
def test_ddim(model, steps):
    scheduler = diffusers.DDIMScheduler(T, 1e-4, 0.02, "linear", clip_sample=False, set_alpha_to_one=True)
    scheduler.set_timesteps(steps)
    path = (*(linear(T).level(float(t)) for t in scheduler.timesteps), strided(linear(T), 2)[-1])
    x, _ = start()
    expected = x
    for t in scheduler.timesteps:
        eps = model(expected, [None] * 2, model.schedule.level(float(t))).eps
        expected = scheduler.step(eps, t, expected).prev_sample
    got = ours(model, DDIM(), path, x, [])
    assert (got - expected).abs().max() < 1e-4 * expected.abs().max()


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # inside diffusers
@torch.no_grad()
def test_dpmpp_2m(model):
    scheduler = diffusers.DPMSolverMultistepScheduler(
        T, 1e-4, 0.02, "linear", solver_order=2, lower_order_final=False, euler_at_final=False
    )
    scheduler.set_timesteps(20)
    path = (*(linear(T).level(float(t)) for t in scheduler.timesteps), strided(linear(T), 2)[-1])
    x, _ = start()
    expected = x
    for t in scheduler.timesteps:
        eps = model(expected, [None] * 2, model.schedule.level(float(t))).eps
        expected = scheduler.step(eps, t, expected).prev_sample
    got = ours(model, DPMpp2M(), path, x, [])
    assert (got - expected).abs().max() < 1e-3 * expected.abs().max()


def test_heun_is_two_evaluations_but_for_the_last(model):
    calls = []

    class Counting:
        def __call__(self, x, level):
            calls.append(level)
            return model(x, [None] * len(x), level)

    x, _ = start()
    counting = Counting()
    with torch.no_grad():
        for level, to in itertools.pairwise(strided(linear(T), 5)):
            now = Situation(x, level, to, counting(x, level), counting, lambda: pytest.fail("no noise"))
            x, _ = Heun().step(now)
    assert len(calls) == 9
