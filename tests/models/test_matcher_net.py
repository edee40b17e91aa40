"""Laws of the network that compares pictures with texts."""

import json

import pytest
import torch

from sfumato.models.matcher import MatcherConfig, MatcherNet
from sfumato.models.text import PAD

WORDS = ("a", "blue", "house", "lion", "of", "rocket", "ship")
SMALL = MatcherConfig(WORDS, size=16, widths=(8, 16), blocks=(1, 2), features=12, word_width=8, text_width=16, length=6)


@pytest.fixture(scope="module")
def network() -> MatcherNet:
    """A network whose residuals are no longer what they begin with."""
    torch.manual_seed(0)
    network = MatcherNet(SMALL).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return network


def noise(rows: int) -> torch.Tensor:
    return torch.rand(rows, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def texts(network: MatcherNet, *prompts: str | None) -> torch.Tensor:
    return network.text_vectors(network.read(prompts))


@torch.no_grad()
def test_pictures_and_texts_are_unit_vectors(network):
    pictures = network.picture_vectors(noise(5))
    read = texts(network, "a lion", "a blue rocket ship", "")
    assert (pictures.shape, read.shape) == ((5, 12), (3, 12))
    for vectors in (pictures, read):
        assert torch.allclose(vectors.norm(dim=1), torch.ones(len(vectors)))


@torch.no_grad()
def test_logits_are_cosines_by_the_temperature(network):
    tokens = network.read(["a lion", "a ship"])
    cosines = network.picture_vectors(noise(3)) @ network.text_vectors(tokens).T
    assert torch.allclose(network(noise(3), tokens), network.scale * cosines)
    assert MatcherNet(SMALL).scale.item() == pytest.approx(1 / 0.07)


def test_the_temperature_is_bounded():
    network = MatcherNet(SMALL)
    torch.nn.init.constant_(network.log_scale, 20.0)
    assert network.scale.item() == pytest.approx(100)


@torch.no_grad()
def test_the_order_of_words_does_not_matter(network):
    one, other, different = texts(network, "a house of a blue lion", "blue a of lion house a", "a house of a blue ship")
    assert torch.allclose(one, other, atol=1e-6)
    assert not torch.allclose(one, different, atol=1e-3)


@torch.no_grad()
def test_padding_says_nothing_and_unknown_words_neither(network):
    tokens = network.read(["a lion"])
    longer = torch.cat([tokens[:, :1], torch.full((1, 30), PAD), tokens[:, 1:]], dim=1)
    assert torch.allclose(network.text_vectors(longer), network.text_vectors(tokens), atol=1e-6)
    assert torch.equal(*texts(network, "a lion", "a grumpy lion").split(1))
    empty = texts(network, "", None, "hipster barista")
    assert torch.equal(empty, empty[:1].expand(3, -1))
    assert torch.equal(network.bag(network.read([""])), torch.zeros(1, 8))


@torch.no_grad()
def test_a_row_does_not_depend_on_its_neighbours(network):
    x = noise(9)
    alone = torch.cat([network.picture_vectors(row[None]) for row in x])
    assert torch.allclose(network.picture_vectors(x), alone, atol=1e-6)


def test_nothing_is_learnt_for_padding(network):
    network = MatcherNet(SMALL)
    network(noise(2), network.read(["a lion", "ship"])).square().sum().backward()
    assert network.bag.embed.weight.grad[PAD].abs().sum() == 0
    lion = WORDS.index("lion") + 1
    assert network.bag.embed.weight.grad[lion].abs().sum() > 0


def test_the_bundled_size_is_what_it_says():
    words = tuple(f"word{k}" for k in range(3000))
    network = MatcherNet(MatcherConfig(words))
    parameters = sum(p.numel() for name, p in network.named_parameters() if not name.startswith("bag."))
    assert 1.5e6 < parameters < 1.7e6
    assert sum(t.numel() for t in network.state_dict().values()) * 2 < 5e6  # bytes in 16 bits


def test_a_configuration_comes_back_from_json():
    assert MatcherConfig.from_dict(json.loads(json.dumps(SMALL.to_dict()))) == SMALL
    with pytest.raises(TypeError):
        MatcherConfig.from_dict(SMALL.to_dict() | {"depth": 3})


@pytest.mark.parametrize(
    "numbers",
    [
        {"size": 0},
        {"features": 0},
        {"widths": ()},
        {"size": 18},
        {"blocks": (1,)},
        {"blocks": (-1, 1)},
        {"blocks": (1, 0)},
    ],
)
def test_impossible_numbers(numbers):
    with pytest.raises(ValueError, match=r"^(the numbers of a matcher|a matcher has|a picture of 18)"):
        MatcherConfig(**SMALL.to_dict() | numbers)
