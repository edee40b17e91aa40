"""Layers laid out for sampling are the functions that they were made of."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from sfumato.models import onednn
from sfumato.models.onednn import LaidOut, LaidOutConvolution, LaidOutLinear, can_lay_out, lay_out
from sfumato.models.text_unet import TextUNetConfig

EXACT = {torch.float32: 1e-5, torch.bfloat16: 0.04}


@pytest.fixture(autouse=True)
def inference():
    torch.manual_seed(0)
    if not onednn._works(torch.float32):
        pytest.skip("this processor, or this torch, has no layers to lay out")
    with torch.no_grad():
        yield


@pytest.mark.parametrize("dtype", EXACT)
@pytest.mark.parametrize(
    "plain",
    [
        nn.Conv2d(6, 16, 3, padding=1),
        nn.Conv2d(6, 16, 3, stride=2, padding=1),
        nn.Conv2d(6, 16, 1, bias=False),
        nn.Conv2d(6, 16, 3, padding=2, dilation=2, groups=2),
    ],
)
def test_a_convolution_of_one_shape_after_another(plain, dtype):
    plain = plain.to(dtype)
    made = LaidOutConvolution(plain)
    for batch, size in ((2, 8), (1, 20), (2, 8)):
        x = torch.randn(batch, 6, size, size).to(dtype, memory_format=torch.channels_last)
        assert (made(x) - plain(x)).abs().max() <= EXACT[dtype]
        assert made(x).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("dtype", EXACT)
def test_a_linear_layer_of_rows_and_of_lists_of_rows(dtype):
    plain = nn.Linear(12, 20).to(dtype)
    made = LaidOutLinear(plain)
    for shape in ((12,), (5, 12), (2, 3, 12)):
        x = torch.randn(shape).to(dtype)
        assert (made(x) - plain(x)).abs().max() <= EXACT[dtype]


def test_layers_of_other_kinds_are_left_alone():
    class Own(nn.Linear):
        """Somebody's."""

    network = nn.Sequential(
        nn.ConvTranspose2d(4, 4, 3),
        nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"),
        nn.Conv2d(4, 4, 3, padding="same"),
        Own(4, 4),
        nn.Linear(4, 4),
    )
    before = [type(layer) for layer in network]
    lay_out(network)
    assert [type(layer) for layer in network] == [*before[:-1], LaidOutLinear]


def test_a_network_elsewhere_or_in_other_arithmetic_is_left_alone():
    assert can_lay_out(nn.Linear(2, 2))
    assert not can_lay_out(nn.Linear(2, 2, device="meta"))
    assert not can_lay_out(nn.Linear(2, 2).half())


class Other:
    """torch's operations, of which some do something else."""

    def __init__(self, **changed):
        self.changed = changed

    def __getattr__(self, name):
        return self.changed.get(name) or getattr(torch.ops.mkldnn, name)


def failing(*args):
    raise RuntimeError("not on this processor")


def forgetful(x, weight, bias, *rest):
    return torch.ops.mkldnn._linear_pointwise(x, weight, None, *rest)


@pytest.mark.parametrize(
    "operations",
    [SimpleNamespace(), Other(_convolution_pointwise=failing), Other(_linear_pointwise=forgetful)],
    ids=["missing", "failing", "wrong"],
)
def test_where_the_operations_do_not_do_it_a_network_is_as_it_was(monkeypatch, operations):
    network = TextUNetConfig(("lion",), 16, widths=(32, 64), text_width=32, text_layers=1).build().eval()
    network.requires_grad_(False)
    for parameter in network.parameters():
        parameter.normal_(std=0.1)
    x, t, prompt = torch.randn(2, 3, 16, 16), torch.rand(2, 1), network.encode(network.read(["lion", None]))
    expected = network(x, t, prompt)

    def layers(ready):
        return [module for module in ready.modules() if isinstance(module, LaidOut)]

    ready = network.ready(torch.float32)
    assert len(layers(ready)) == len([m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)])
    assert (ready(x, t, ready.encode(ready.read(["lion", None]))) - expected).abs().max() < 1e-3
    monkeypatch.setattr(onednn, "OPERATIONS", operations)
    onednn._works.cache_clear()
    try:
        plain = network.ready(torch.float32)
        assert not layers(plain)
        assert torch.equal(plain(x, t, prompt), expected)
    finally:
        onednn._works.cache_clear()
