import itertools
import math

import pytest
import torch

from sfumato.backends.oracle import GaussianMixture
from sfumato.core.cascade import Guide, LowResolution
from sfumato.core.constraints import Inpaint
from sfumato.core.estimates import Clipped, Estimate, Guided, Predict, anagram, guided
from sfumato.core.levels import CLEAN, Level, diffuse, x0_from_eps
from sfumato.core.loop import Canvas, FromImage, sample, steps
from sfumato.core.noise import image_generator, stream
from sfumato.core.samplers import DDIM, DDPM, SAMPLERS, DPMpp2M, Heun, Situation
from sfumato.core.schedules import Flow, linear, strided, with_jumps
from sfumato.core.views import IDENTITY, Rotate, parse_view

SHAPE = (1, 6, 6)


def no_second(x, level):
    return pytest.fail("one estimate a step is enough")


def random(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture
def mixture():
    return GaussianMixture(random(5, 3, *SHAPE).float(), std=0.3, names=("a", "b", "c"), schedule=linear(300))


@pytest.fixture
def gaussian():
    """One Gaussian in float64: its probability flow has a closed form."""
    return GaussianMixture(random(1, 1, *SHAPE), std=0.5, schedule=linear(1000))


class Guided2x(GaussianMixture):
    """The later stage of a cascade whose answer is that the picture is its guide: ε = (x − alpha · guide)/sigma."""

    def __call__(self, x, conditions, level, of=None):
        x = x if of is None else x[list(of)]
        canvas, guide = x.chunk(2, dim=1)
        return Estimate((canvas - level.alpha * guide) / level.sigma)


@pytest.mark.parametrize("view", ["identity", "rotate:90", "flip+negate", "rotate:270+mirror+negate"])
def test_a_guide_is_seen_through_the_view_as_the_canvas_is(mixture, view):
    """So a view of a later stage changes nothing of what its guide says."""
    model = Guided2x(mixture.means, std=0.3, schedule=mixture.schedule)
    guide, plain = random(8, *SHAPE).float(), LowResolution(SHAPE[-1], t=0.0)
    tree = anagram([Predict(), Predict()], [IDENTITY, parse_view(view)])
    canvases = [Canvas(tree, 3, guide=Guide(guide, plain)), Canvas(Predict(), 4, guide=Guide(-guide, plain))]
    out = sample(model, canvases, strided(model.schedule, 10), row_limit=2)
    assert (out[0] - guide).abs().max() < 1e-4
    assert (out[1] + guide).abs().max() < 1e-4


def test_the_noise_of_a_guide_is_the_second_that_an_image_draws(mixture):
    """As in diffusers' pipelines, so that cascades can be compared draw by draw."""
    model = Guided2x(mixture.means, std=0.3, schedule=mixture.schedule)
    picture, low_res = random(8, *SHAPE).float(), LowResolution(SHAPE[-1], t=0.5)
    canvases = [Canvas(Predict(), seed, guide=Guide(picture, low_res)) for seed in (6, 7)]
    out = sample(model, canvases, strided(model.schedule, 10))
    for seed, made in zip((6, 7), out, strict=True):
        generator = torch.Generator().manual_seed(seed)
        _, noise = torch.randn(SHAPE, generator=generator), torch.randn(SHAPE, generator=generator)
        assert (made - picture - 0.5 * noise).abs().max() < 1e-4


def test_a_run_has_guides_or_none(mixture):
    guide = Guide(torch.zeros(SHAPE), LowResolution(SHAPE[-1]))
    canvases = [Canvas(Predict(), 0, guide=guide), Canvas(Predict(), 1)]
    with pytest.raises(ValueError, match="some canvases have a guide and some have none"):
        sample(mixture, canvases, strided(mixture.schedule, 5))


def solve(gaussian, sampler, path, x):
    memory = None
    for level, to in itertools.pairwise(path):

        def predict(canvas, at):
            return gaussian(canvas, [None] * len(canvas), at)

        now = Situation(x, level, to, predict(x, level), predict, lambda: pytest.fail("an ODE draws no noise"), memory)
        x, memory = sampler.step(now)
    return x


@pytest.mark.parametrize(("sampler", "order"), [(DDIM(), 1), (Heun(), 2), (DPMpp2M(), 2)])
@pytest.mark.parametrize("schedule", ["linear", "flow"])
def test_order_of_convergence(gaussian, sampler, order, schedule):
    """Halving the steps' size divides the error of the probability flow by 2^order."""

    def level(u: float) -> Level:
        """A smooth path in the logarithm of the signal-to-noise ratio, from u = 0 (noisy) to 1."""
        ratio = math.exp(2.0 - 4.0 * u)  # sigma/alpha
        alpha = 1 / (1 + ratio) if schedule == "flow" else 1 / math.hypot(1, ratio)
        return Level(u, alpha, alpha * ratio)

    x = random(2, 2, *SHAPE)
    exact = gaussian.flow(x, level(0), level(1))
    errors = []
    for n in (32, 64, 128, 256):
        path = tuple(level(i / n) for i in range(n + 1))
        errors.append((solve(gaussian, sampler, path, x) - exact).abs().max().item())
    orders = [math.log2(a / b) for a, b in itertools.pairwise(errors)]
    assert orders[-1] == pytest.approx(order, abs=0.1), orders
    assert errors[-1] < 1e-2


@pytest.mark.parametrize(
    ("level", "slope"),
    [
        pytest.param(lambda u: Level(u, 1 - u, u), lambda x0, eps: eps - x0, id="a flow, in t"),
        pytest.param(lambda u: Level(u, 1.0, u), lambda x0, eps: eps, id="Karras et al. 2022, in sigma"),
    ],
)
def test_heun_is_the_textbook_method_along_straight_levels(gaussian, level, slope):
    """x + h(f(x, u) + f(x + h·f(x, u), u + h))/2, to 1e-12, from a step that begins in almost pure noise on."""

    def f(x, u):
        eps = gaussian(x, [None] * len(x), level(u)).eps
        return slope(x0_from_eps(x, eps, level(u)), eps)

    x = expected = random(6, 2, *SHAPE)
    times = (0.999, 0.8, 0.3, 0.1)
    for u, to in itertools.pairwise(times):
        slopes = f(expected, u), f(expected + (to - u) * f(expected, u), to)
        expected = expected + (to - u) * (slopes[0] + slopes[1]) / 2
    got = solve(gaussian, Heun(), [level(u) for u in times], x)
    assert (got - expected).abs().max() < 1e-12 * expected.abs().max()


@pytest.mark.parametrize("variance", ["posterior", "forward"])
def test_ddpm_step_is_the_closed_form(gaussian, variance):
    """Mean and variance of A1.4's update in ᾱ, α, β, to 1e-9 in float64."""
    schedule = linear(1000)
    x = random(3, 2, *SHAPE)
    noise = random(4, 2, *SHAPE)
    for t, t2 in ((990, 960), (690, 660), (30, 0), (1, 0)):
        bar, bar2 = schedule.alphas_cumprod[t], schedule.alphas_cumprod[t2]
        alpha = bar / bar2
        beta = 1 - alpha
        level, to = schedule.level(t), schedule.level(t2)
        estimate = gaussian(x, [None] * 2, level)
        x0 = (x - math.sqrt(1 - bar) * estimate.eps) / math.sqrt(bar)
        mean = math.sqrt(bar2) * beta / (1 - bar) * x0 + math.sqrt(alpha) * (1 - bar2) / (1 - bar) * x
        sigma = math.sqrt(beta * (1 - bar2) / (1 - bar)) if variance == "posterior" else math.sqrt(beta)
        for scale in (0, 1):
            got, _ = DDPM(variance).step(Situation(x, level, to, estimate, no_second, lambda s=scale: s * noise))
            assert (got - (mean + scale * sigma * noise)).abs().max() < 1e-9


def test_ddpm_marginals_are_those_of_the_forward_process():
    """For a single Gaussian the chain of means and variances, propagated exactly, ends at N(mu, s²).

    E and Var of x_t′ follow from those of x_t in closed form, since every step is affine in x.
    """
    mu, s = 0.7, 0.5
    schedule = linear(1000)
    oracle = GaussianMixture(torch.full((1, 1, 1, 1), mu, dtype=torch.float64), std=s, schedule=schedule)
    path = strided(schedule, 1000)
    start = path[0]
    mean, variance = start.alpha * mu, (start.alpha * s) ** 2 + start.sigma**2

    def step(x, level, to, noise):
        estimate = oracle(x, [None], level)
        return DDPM().step(Situation(x, level, to, estimate, no_second, lambda: torch.full_like(x, noise)))[0].item()

    for level, to in itertools.pairwise(path):
        at = torch.zeros(1, 1, 1, 1, dtype=torch.float64)
        offset = step(at, level, to, 0)
        slope = step(at + 1, level, to, 0) - offset
        sigma = step(at, level, to, 1) - offset
        mean, variance = slope * mean + offset, slope**2 * variance + sigma**2
    assert mean == pytest.approx(mu, abs=1e-9)
    assert variance == pytest.approx(s**2, rel=0.02)  # the strided posterior variance is exact only for a point


def test_ddim_at_eta_one_is_ddpm(gaussian):
    x, noise = random(3, 2, *SHAPE), random(4, 2, *SHAPE)
    level, to = linear(1000).level(600), linear(1000).level(480)
    now = Situation(x, level, to, gaussian(x, [None] * 2, level), no_second, lambda: noise)
    assert (DDIM(1.0).step(now)[0] - DDPM().step(now)[0]).abs().max() < 1e-12


def test_learned_variance_lies_between_posterior_and_forward(gaussian):
    x, noise = random(3, 1, *SHAPE), torch.ones(1, *SHAPE, dtype=torch.float64)
    level, to = linear(1000).level(600), linear(1000).level(480)
    eps = gaussian(x, [None], level).eps

    def step(variance, share=None):
        estimate = Estimate(eps, None if share is None else torch.full_like(x, share))
        return DDPM(variance).step(Situation(x, level, to, estimate, no_second, lambda: noise))[0]

    assert (step("learned", 0.0) - step("posterior")).abs().max() < 1e-12
    assert (step("learned", 1.0) - step("forward")).abs().max() < 1e-12
    assert (step("learned", 0.5) < step("forward")).all()
    with pytest.raises(ValueError, match="has not learned a variance"):
        step("learned")


@pytest.mark.parametrize("name", list(SAMPLERS))
def test_samplers_find_the_data(mixture, name):
    """Samples of three points with a small spread end near one of them; asked for one, near that one."""
    points = GaussianMixture(mixture.means, std=0.02, names=mixture.names, schedule=linear(300))
    x = sample(points, [Canvas(Predict("b"), seed) for seed in range(4)], strided(points.schedule, 60), SAMPLERS[name])
    assert (x - points.means[1]).abs().max() < 0.15
    x = sample(points, [Canvas(Predict(), seed) for seed in range(8)], strided(points.schedule, 60), SAMPLERS[name])
    distance = (x[:, None] - points.means[None]).abs().amax((2, 3, 4)).amin(1)
    assert (distance < 0.15).all()


def test_flow_path_samples(mixture):
    points = GaussianMixture(mixture.means, std=0.02, names=mixture.names, schedule=Flow())
    for name, count in itertools.product(("ddim", "heun", "dpmpp-2m"), (5, 40)):
        x = sample(points, [Canvas(Predict("c"), 0)], strided(Flow(), count), SAMPLERS[name])
        assert (x - points.means[2]).abs().max() < 0.15, (name, count)


@pytest.mark.parametrize("name", list(SAMPLERS))
def test_an_image_is_the_same_whatever_its_neighbours(mixture, name):
    path = with_jumps(strided(mixture.schedule, 12), jump=4, resample=2)
    picture, mask = torch.rand(SHAPE), (torch.rand(1, 6, 6) > 0.5).float()
    images = [
        Canvas(guided("a", scale=3), 11),
        Canvas(anagram([Predict("a"), Predict("b")], [IDENTITY, Rotate(180)]), 12),
        Canvas(Clipped(Predict(), -1, 1), 13, FromImage(picture, path[3])),
        Canvas(Predict("c"), 14, FromImage(picture, path[1]), Inpaint(picture, mask)),
        Canvas(guided("a", scale=3), 11),
    ]
    together = sample(mixture, images, path, SAMPLERS[name])
    assert torch.equal(together[0], together[4])
    for k, image in enumerate(images):
        alone = sample(mixture, [image], path, SAMPLERS[name])[0]
        assert (together[k] - alone).abs().max() <= 1e-5
    backwards = sample(mixture, images[::-1], path, SAMPLERS[name], row_limit=3)
    assert (backwards.flip(0) - together).abs().max() <= 1e-5


def test_noise_is_drawn_as_documented(mixture):
    """First the initial noise, then one draw a step that adds noise, from torch.Generator().manual_seed(seed)."""
    path = strided(mixture.schedule, 5)
    generator = torch.Generator().manual_seed(42)
    x = torch.randn(SHAPE, generator=generator)[None]
    for level, to in itertools.pairwise(path):
        bar, bar2 = level.alpha**2, to.alpha**2
        alpha = bar / bar2
        beta = 1 - alpha
        eps = mixture(x, ["a"], level).eps
        x0 = (x - level.sigma * eps) / level.alpha
        x = math.sqrt(bar2) * beta / (1 - bar) * x0 + math.sqrt(alpha) * (1 - bar2) / (1 - bar) * x
        if to.sigma > 0:
            x = x + math.sqrt(beta * (1 - bar2) / (1 - bar)) * torch.randn(SHAPE, generator=generator)
    assert (sample(mixture, [Canvas(Predict("a"), 42)], path) - x).abs().max() < 1e-5


def test_inpainting_keeps_every_other_pixel_exactly(mixture):
    picture = torch.rand(SHAPE)
    mask = torch.zeros(1, 6, 6)
    mask[:, 2:4, 1:5] = 1
    for path in (
        strided(mixture.schedule, 10),
        strided(mixture.schedule, 10, last_step=False),
        with_jumps(strided(mixture.schedule, 10), jump=2, resample=3),
    ):
        canvas = Canvas(guided("a", scale=4), 3, constraint=Inpaint(picture, mask))
        x = sample(mixture, [canvas], path)[0]
        assert torch.equal(x[mask.expand(SHAPE) == 0], picture[mask.expand(SHAPE) == 0])
        assert not torch.equal(x[mask.expand(SHAPE) == 1], picture[mask.expand(SHAPE) == 1])


def test_inpainting_follows_the_forward_process_outside_the_mask(mixture):
    """On the way the kept area is the original noised to the level: x = alpha·original + sigma·noise."""
    picture, mask = torch.rand(SHAPE), torch.zeros(1, 6, 6)
    path = strided(mixture.schedule, 6)
    canvas = Canvas(Predict("a"), 7, constraint=Inpaint(picture, mask))
    generator = torch.Generator().manual_seed(7)
    torch.randn(SHAPE, generator=generator)  # the initial noise
    for step in list(steps(mixture, [canvas], path))[1:-1]:
        torch.randn(SHAPE, generator=generator)  # the sampler's
        noise = torch.randn(SHAPE, generator=generator)  # the constraint's
        assert torch.equal(step.x[0], diffuse(picture, step.level, noise))


def test_soft_masks_blend(mixture):
    picture, half = torch.rand(SHAPE), torch.full((1, 6, 6), 0.5)
    constraint = Inpaint(picture, half)
    x = torch.rand(SHAPE)
    assert (constraint.apply(x, CLEAN, lambda: pytest.fail("no noise")) - (x + picture) / 2).abs().max() < 1e-6


def test_a_start_from_a_clean_end_changes_little(mixture):
    """SDEdit: the later the start, the closer to the picture."""
    picture = mixture.means[0]
    path = strided(mixture.schedule, 20)
    canvases = [Canvas(Predict(), 5, FromImage(picture, path[i])) for i in (1, 10, 19)]
    distance = (sample(mixture, canvases, path) - picture).abs().mean((1, 2, 3))
    assert distance[2] < 0.02
    assert distance[2] < distance[1]


def test_steps_tell_the_whole_story(mixture):
    path = strided(mixture.schedule, 8)
    picture = torch.rand(SHAPE)
    told = list(steps(mixture, [Canvas(Predict("a"), 1), Canvas(Predict("a"), 2, FromImage(picture, path[4]))], path))
    assert [step.index for step in told] == list(range(9))
    assert told[0].level == path[0]
    assert told[-1].level == CLEAN
    assert told[0].x0 is None
    assert torch.equal(told[0].x[0], torch.randn(SHAPE, generator=image_generator(1)))
    assert torch.equal(told[3].x[1], picture), "not begun yet"
    assert not torch.equal(told[5].x[1], picture)
    assert torch.equal(told[-1].x[0], told[-1].x0[0]), "the last step is the estimate itself"


@pytest.mark.parametrize(
    ("canvases", "path", "message"),
    [
        ([Canvas(Predict(), 0)], (), "at least one level"),
        ([], strided(linear(300), 5), "no canvas"),
        (
            [Canvas(Predict(), 0, FromImage(torch.zeros(SHAPE), Level(1, 1, 0.1)))],
            strided(linear(300), 5),
            "does not visit",
        ),
    ],
)
def test_impossible_runs_are_refused(mixture, canvases, path, message):
    with pytest.raises(ValueError, match=message):
        sample(mixture, canvases, path)


def test_streams_are_independent_of_each_other():
    a, b, c = (torch.randn(4, generator=stream(*names)) for names in ((0, "step", 1), (0, "step", 1), (0, "step", 2)))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    assert not torch.equal(torch.randn(4, generator=stream(1, "step", 1)), a)


def test_equal_trees_need_equal_scales():
    assert Guided(Predict("a"), Predict(), 2) != Guided(Predict("a"), Predict(), 3)


def test_along_the_straight_levels_of_a_flow_ddim_is_eulers_method(mixture):
    """dx/dt = ε − x₀ from t to t′, for the velocity that the model's ε and x̂₀ make."""
    flow = Flow()
    x = random(6, 2, *SHAPE).float()
    for t, t2 in ((0.999, 0.9), (0.5, 0.25), (0.02, 0.0)):
        level, to = flow.level(t), flow.level(t2)
        now = Situation(x, level, to, mixture(x, [None] * 2, level), no_second, lambda: pytest.fail("no noise"))
        stepped, _ = SAMPLERS["euler"].step(now)
        euler = x + (t2 - t) * (now.estimate.eps - now.x0)
        assert (stepped - euler).abs().max() < 1e-4 * max(1.0, now.x0.abs().max().item())
