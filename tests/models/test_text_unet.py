import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch.nn import functional as F

from sfumato.backends.network import NetworkDenoiser
from sfumato.core.predictions import Prediction
from sfumato.core.schedules import linear
from sfumato.errors import UsageError
from sfumato.models.nested_unet import NestedUNet, NestedUNetConfig
from sfumato.models.network import Encoded
from sfumato.models.text import Vocabulary, words
from sfumato.models.text_unet import TextNetwork, TextUNetConfig
from sfumato.models.weights import load_weights, save_weights

WORDS = ("a", "blue", "house", "lion", "of", "rocket", "ship")
SMALL = TextUNetConfig(WORDS, size=16, widths=(32, 64), attention=0, own_attention=1, text_width=32, length=5)
BARS = linear(1000).alphas_cumprod
NESTED = NestedUNetConfig(replace(SMALL, size=8), 16, BARS)
both = pytest.mark.parametrize("config", [SMALL, NESTED], ids=["alone", "nested"])


def learned(config: TextUNetConfig | NestedUNetConfig) -> TextNetwork:
    """A network whose residuals are no longer the zeros that it begins with."""
    torch.manual_seed(0)
    network = config.build().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.abs().sum() == 0:
                parameter.normal_(std=0.05)
    return network


@pytest.fixture(scope="module", params=[SMALL, NESTED], ids=["alone", "nested"])
def network(request) -> TextNetwork:
    """One of each architecture."""
    return learned(request.param)


def encode(network: TextNetwork, *prompts: str | None) -> Encoded:
    return network.encode(network.read(prompts))


def test_words_are_runs_of_letters_and_digits_without_accents():
    assert words("A 3D-render of the man’s Piñata, “ok”!") == ["a", "3d", "render", "of", "the", "mans", "pinata", "ok"]


def test_a_vocabulary_knows_regular_plurals_and_tells_what_it_does_not_know():
    vocabulary = Vocabulary.of(["A rocket ship", "two houses", "a baby", "boxes"])
    assert vocabulary.words == ("a", "baby", "boxes", "houses", "rocket", "ship", "two")
    for known in ("rockets", "house", "babies", "box", "Ship"):
        assert vocabulary.unknown(known) == ()
    assert vocabulary.unknown("a hipster and a barista, a hipster") == ("hipster", "and", "barista")
    assert vocabulary.near("rokcet") == ("rocket",)


def test_prompts_are_read_as_tokens_and_nothing_as_zeros():
    vocabulary = Vocabulary(WORDS)
    read = vocabulary.read(["a lion", None, "", "the lions of a blue house ship"], 4)
    assert read.tolist() == [[1, 4, 0, 0], [0] * 4, [0] * 4, [4, 5, 1, 2]]


def test_an_untrained_network_says_nothing_whatever_the_picture():
    network = SMALL.build()
    assert network(torch.randn(2, 3, 16, 16), torch.rand(2, 1), encode(network, "lion", None)).abs().max() == 0


def test_a_row_does_not_depend_on_its_neighbours(network):
    x, t = torch.randn(4, 3, 16, 16), torch.rand(4, 1)
    prompts = ("a lion", None, "blue house", "a blue rocket ship of")
    together = network(x, t, encode(network, *prompts))
    for k, prompt in enumerate(prompts):
        alone = network(x[k : k + 1], t[k : k + 1], encode(network, prompt))
        assert (together[k : k + 1] - alone).abs().max() <= 1e-5


def test_what_is_seen_in_a_picture_serves_all_its_prompts(network):
    x, t, of = torch.randn(2, 3, 16, 16), torch.rand(2, 1), torch.tensor([0, 0, 1])
    prompts = encode(network, "a lion", None, "blue house")
    assert (network(x, t, prompts, of) - network(x[of], t[of], prompts)).abs().max() <= 1e-5


def test_ready_in_half_precision_it_is_nearly_the_same(network):
    x, t = torch.randn(2, 3, 16, 16), torch.rand(2, 1)
    ready = network.ready(torch.bfloat16)
    assert {parameter.dtype for parameter in ready.parameters()} == {torch.bfloat16}
    half = ready(x.bfloat16(), t, encode(ready, "a lion", None)).float()
    whole = network(x, t, encode(network, "a lion", None))
    assert (half - whole).abs().mean() < 0.02 * whole.abs().mean()


def test_in_half_precision_each_time_is_told_from_its_neighbours(network):
    schedule = linear(1000)
    model = NetworkDenoiser("tiny", network, schedule, Prediction.V, torch.bfloat16)
    x = torch.randn(1, 3, 16, 16)
    outputs = [model._output(x, ["a lion"], schedule.level(t)) for t in range(900, 910)]
    assert all((one - next_).abs().max() > 0 for one, next_ in pairwise(outputs))


def test_sampling_computes_the_function_that_training_does(network):
    x, t, prompts = torch.randn(3, 3, 16, 16), torch.rand(3, 1), ("a lion", None, "a blue rocket ship of")
    trained = network(x, t, encode(network, *prompts))
    with torch.no_grad():
        sampled = network(x, t, encode(network, *prompts))
    assert (trained - sampled).abs().max() <= 1e-5


def test_padding_says_nothing(network):
    tokens = network.read(["a lion"])
    x, t = torch.randn(1, 3, 16, 16), torch.rand(1, 1)
    full, cut = (network(x, t, network.encode(part)) for part in (tokens, tokens[:, :2]))
    assert (full - cut).abs().max() <= 1e-5


def test_prompt_words_and_their_order_and_time_matter(network):
    x, t = torch.randn(1, 3, 16, 16), torch.full((1, 1), 0.5)
    outputs = [network(x, t, encode(network, p)) for p in (None, "lion", "house", "blue house", "house blue")]
    outputs.append(network(x, t + 0.1, encode(network, None)))
    for i, one in enumerate(outputs):
        for other in outputs[:i]:
            assert (one - other).abs().max() > 1e-4


def test_unknown_words_are_told_and_a_prompt_of_them_alone_is_refused(network):
    assert network.check("a lion", "tiny") == ()
    assert network.check("a hipster lion", "tiny") == ("hipster",)
    with pytest.raises(UsageError, match="model tiny knows no word of 'rocet shop'; near it are rocket"):
        network.check("rocet shop", "tiny")


@both
def test_every_parameter_learns(config):
    torch.manual_seed(0)
    network = config.build()
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    tokens = network.read(["a lion", "blue house of a ship"])
    for _ in range(4):  # layer after layer leaves the zeros
        optimizer.zero_grad()
        output = network(torch.randn(2, 3, 16, 16), torch.rand(2, 1), network.encode(tokens))
        (output - torch.randn(output.shape)).square().mean().backward()
        optimizer.step()
    still = [name for name, p in network.named_parameters() if p.grad is None or p.grad.abs().max() == 0]
    assert still == []


def test_conditions_must_be_given(network):
    with pytest.raises(ValueError, match="a time and a condition"):
        network(torch.zeros(1, 3, 16, 16))


@pytest.mark.parametrize(
    "changes", [{"widths": ()}, {"widths": (32, 40)}, {"size": 18}, {"text_width": 20}, {"length": 0}, {"blocks": 0}]
)
def test_impossible_configurations_are_refused(changes):
    with pytest.raises(ValueError, match=r"multiples of 32|at least 1|cannot be halved"):
        TextUNetConfig(**{**SMALL.to_dict(), **changes})


@pytest.mark.parametrize("config", [SMALL, replace(SMALL, blocks=2), NESTED], ids=["one", "two", "nested"])
def test_weights_read_back(tmp_path, config):
    network = config.build().eval()
    save_weights(tmp_path / "w.safetensors", config, network.state_dict(), {"step": 3})
    again = load_weights(tmp_path / "w.safetensors").network
    assert again.config == config
    x, t = torch.randn(1, 3, 16, 16), torch.rand(1, 1)
    assert torch.equal(again(x, t, encode(again, "a lion")), network(x, t, encode(network, "a lion")))


def test_the_network_of_the_recipe_fits_into_the_package():
    network = TextUNetConfig(tuple(f"w{k}" for k in range(2000))).build()
    assert sum(p.numel() for p in network.parameters()) < 20e6


def test_weights_in_shards_are_the_weights(tmp_path):
    network = SMALL.build().eval()
    files = save_weights(tmp_path / "w.safetensors", SMALL, network.state_dict(), {"step": 3}, shard_bytes=100_000)
    assert len(files) > 2
    assert [file.name for file in files] == [f"w-{k}-of-{len(files)}.safetensors" for k in range(1, len(files) + 1)]
    again = load_weights(files[0])
    assert again.files == files
    for name, tensor in network.state_dict().items():
        assert torch.equal(again.network.state_dict()[name], tensor)
    with pytest.raises(UsageError, match="is a part of a network; give the first one"):
        load_weights(files[1])
    files[1].unlink()
    with pytest.raises(UsageError, match="no such file"):
        load_weights(files[0])


def test_a_network_goes_on_from_another_one_for_larger_pictures_and_other_words():
    torch.manual_seed(0)
    small = SMALL.build()
    large = TextUNetConfig(**{**SMALL.to_dict(), "size": 32, "words": ("ape", *WORDS[1:], "zebra")}).build()
    before = large.text.embed.weight.clone()
    large.adopt(small)
    state = large.state_dict()
    assert all(torch.equal(state[key], value) for key, value in small.state_dict().items() if "embed" not in key)
    # Row 0 stands for the start of a text, row k + 1 for word k.
    assert torch.equal(large.text.embed.weight[: len(WORDS) + 1][2:], small.text.embed.weight[2:])
    assert torch.equal(large.text.embed.weight[0], small.text.embed.weight[0])
    for new in (1, -1):
        assert torch.equal(large.text.embed.weight[new], before[new])


@pytest.mark.parametrize("inner", [SMALL, replace(SMALL, patch=1, widths=(32,)), replace(SMALL, size=20, patch=5)])
@pytest.mark.parametrize("t", [0, 500, 999])
def test_a_level_around_a_network_changes_nothing_of_what_it_says_of_small_pictures(inner, t):
    small = learned(inner)
    large = NestedUNetConfig(replace(inner, words=("ape", *WORDS)), 32, BARS).build().eval()
    assert isinstance(large, NestedUNet)
    large.adopt(small)
    level, time, prompts = linear(1000).level(t), torch.full((2, 1), t / 1000), ("a lion", None)
    x = torch.randn(2, 3, 2 * inner.size, 2 * inner.size)
    v = large(x, time, encode(large, *prompts))
    # The means of four pixels have half the noise: brought to variance 1 they are a small picture at another level.
    norm = math.hypot(level.alpha, level.sigma / 2)
    means = F.avg_pool2d(x, 2) / norm
    v_small = small(means, time, encode(small, *prompts))
    x0 = level.alpha * x - level.sigma * v
    x0_small = level.alpha / norm * means - level.sigma / 2 / norm * v_small
    assert (F.avg_pool2d(x0, 2) - x0_small).abs().max() <= 1e-5


@pytest.mark.parametrize("t", [0, 200, 500, 800, 999])
def test_what_is_known_of_fine_detail_without_a_network_is_its_best_linear_estimate(t):
    torch.manual_seed(0)
    network, level = NESTED.build(), linear(1000).level(t)
    fine = torch.randn(64, 3, 16, 16)
    fine -= F.interpolate(F.avg_pool2d(fine, 2), scale_factor=2.0)
    x0 = fine * NESTED.detail / fine.square().mean().sqrt()
    noise = torch.randn_like(x0)
    noise -= F.interpolate(F.avg_pool2d(noise, 2), scale_factor=2.0)
    noise /= noise.square().mean().sqrt()
    x, v = level.alpha * x0 + level.sigma * noise, level.alpha * noise - level.sigma * x0
    with torch.no_grad():
        said = network(x, torch.full((64, 1), t / 1000), encode(network, *[None] * 64))
    best = (x * v).sum() / x.square().sum() * x
    assert (said - best).square().mean() <= 1e-3 * (v - best).square().mean().clamp_min(1e-2)
    # What is left to be learned is of one size at all levels, once it is divided by the factor of the outer level.
    *_, factor, _ = network.see(x, torch.full((64, 1), t / 1000))
    assert ((v - said) / factor).square().mean() == pytest.approx(1, abs=0.05)


def test_a_nested_network_goes_on_from_a_nested_one_but_is_no_beginning_for_one_alone():
    one, other = learned(NESTED), NESTED.build()
    other.adopt(one)
    assert all(torch.equal(value, other.state_dict()[key]) for key, value in one.state_dict().items())
    with pytest.raises(ValueError, match="other layers"):
        SMALL.build().adopt(one)


@pytest.mark.parametrize(
    ("inner", "width", "reason"),
    [(SMALL, 24, "multiple of 16"), (SMALL, 0, "multiple"), (replace(SMALL, guide=3), 16, "not nested")],
)
def test_impossible_levels_are_refused(inner, width, reason):
    with pytest.raises(ValueError, match=reason):
        NestedUNetConfig(inner, width, BARS)


@pytest.mark.parametrize("changes", [{"alphas_cumprod": ()}, {"alphas_cumprod": (0.5, 1.0)}, {"detail": 0.0}])
def test_impossible_preconditionings_are_refused(changes):
    with pytest.raises(ValueError, match=r"alphas_cumprod of a schedule|must be above 0"):
        replace(NESTED, **changes)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"widths": (32, 32)}, "is"), ({"blocks": 2}, "other layers"), ({"text_width": 64}, "text.position is")],
)
def test_a_network_of_other_layers_is_no_beginning(changes, reason):
    other = TextUNetConfig(**{**SMALL.to_dict(), **changes}).build()
    network = SMALL.build()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(ValueError, match=reason):
        network.adopt(other)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
