from dataclasses import replace

import pytest
import torch

from sfumato.core.schedules import linear
from sfumato.models.refining_unet import RefiningUNetConfig
from sfumato.models.text_unet import TextUNetConfig
from sfumato.models.weights import load_weights, save_weights

WORDS = ("a", "lion", "rocket")
INNER = TextUNetConfig(WORDS, size=8, widths=(32, 64), text_width=32, length=5, guide=3)
CONFIG = RefiningUNetConfig(INNER, linear(1000).alphas_cumprod)


@pytest.fixture(scope="module")
def learned():
    """A network whose residuals are no longer the zeros that it begins with."""
    torch.manual_seed(0)
    network = CONFIG.build().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.abs().sum() == 0:
                parameter.normal_(std=0.05)
    return network


def asked(network, *prompts):
    return network.encode(network.read(prompts))


@pytest.mark.parametrize("t", [0, 200, 500, 800, 999])
def test_without_a_network_the_picture_is_the_best_estimate_from_the_guide(t):
    torch.manual_seed(0)
    network, level, tau = CONFIG.build(), linear(1000).level(t), CONFIG.detail
    guide, noise = torch.rand(64, 3, 8, 8) * 2 - 1, torch.randn(64, 3, 8, 8)
    x0 = guide + tau * torch.randn(64, 3, 8, 8)
    x, v = level.alpha * x0 + level.sigma * noise, level.alpha * noise - level.sigma * x0
    time = torch.full((64, 1), t / 1000)
    with torch.no_grad():
        said = network(torch.cat([x, guide], 1), time, asked(network, *[None] * 64))
    # Of Gaussian detail the posterior mean is linear: with precisions 1/τ² of the guide and α²/σ² of the canvas.
    share = level.alpha * tau**2 / ((level.alpha * tau) ** 2 + level.sigma**2)
    best = guide + share * (x - level.alpha * guide)
    assert (level.alpha * x - level.sigma * said - best).abs().max() <= 1e-5
    # What is left to be learned is of one size at all levels, once it is divided by what the answer weighs.
    *_, gain = network.see(torch.cat([x, guide], 1), time)
    assert ((v - said) / gain).square().mean() == pytest.approx(1, abs=0.05)


def test_rows_of_one_canvas_are_answered_as_if_alone(learned):
    torch.manual_seed(1)
    x, time = torch.randn(2, 6, 8, 8), torch.tensor([[0.2], [0.9]])
    together = learned(x, time, asked(learned, "a lion", None, "rocket"), torch.tensor([0, 0, 1]))
    for k, (of, prompt) in enumerate([(0, "a lion"), (0, None), (1, "rocket")]):
        alone = learned(x[of : of + 1], time[of : of + 1], asked(learned, prompt))
        assert (together[k] - alone[0]).abs().max() <= 1e-5


def test_a_file_gives_the_same_network_back(learned, tmp_path):
    save_weights(tmp_path / "stage.safetensors", CONFIG, learned.state_dict(), {})
    read = load_weights(tmp_path / "stage.safetensors").network
    assert read.config == CONFIG
    assert read.config.guide == 3
    assert all(torch.equal(value, read.state_dict()[key]) for key, value in learned.state_dict().items())


def test_words_that_both_know_are_taken_over(learned):
    other = replace(CONFIG, inner=replace(INNER, words=("ape", *WORDS))).build()
    other.adopt(learned)
    assert torch.equal(other.inner.text.embed.weight[2:], learned.inner.text.embed.weight[1:])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"alphas_cumprod": ()}, "alphas_cumprod of a schedule"),
        ({"alphas_cumprod": (0.5, 1.0)}, "alphas_cumprod of a schedule"),
        ({"detail": 0.0}, "must be above 0"),
        ({"inner": replace(INNER, guide=0)}, "the channels of its pictures"),
    ],
)
def test_impossible_numbers_are_refused(changes, reason):
    with pytest.raises(ValueError, match=reason):
        replace(CONFIG, **changes)
