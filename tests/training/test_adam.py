"""Our Adam is torch's, without what torch imports for it."""

import subprocess
import sys

import torch
from torch import nn

from sfumato.training.adam import Adam


def networks():
    torch.manual_seed(0)
    one, other = (nn.Sequential(nn.Linear(5, 7), nn.GELU(), nn.Linear(7, 3), nn.Linear(3, 1)) for _ in range(2))
    other.load_state_dict(one.state_dict())
    return one, other


def gradients(network, k):
    """Of the first three layers; the last is not used."""
    x = torch.randn(4, 5, generator=torch.Generator().manual_seed(k))
    network[:3](x).square().sum().backward()


def test_it_steps_as_that_of_torch_does_bit_for_bit():
    ours, theirs = networks()
    adam, reference = Adam(dict(ours.named_parameters())), torch.optim.Adam(theirs.parameters(), fused=True)
    for k, lr in enumerate([1e-2, 1e-2, 3e-3, 1e-3, 1e-4]):
        gradients(ours, k)
        gradients(theirs, k)
        reference.param_groups[0]["lr"] = lr
        adam.step(lr)
        reference.step()
        reference.zero_grad()
        for (name, p), q in zip(ours.named_parameters(), theirs.parameters(), strict=True):
            assert torch.equal(p, q)
            assert p.grad is None
            state = reference.state.get(q, {"exp_avg": torch.zeros_like(q), "exp_avg_sq": torch.zeros_like(q)})
            assert torch.equal(adam.exp_avg[name], state["exp_avg"])
            assert torch.equal(adam.exp_avg_sq[name], state["exp_avg_sq"])


def test_it_goes_on_from_its_averages_and_their_count():
    ours, theirs = networks()
    first, second = Adam(dict(ours.named_parameters())), Adam(dict(theirs.named_parameters()))
    for k in range(4):
        gradients(ours, k)
        first.step(1e-2)
    theirs.load_state_dict(ours.state_dict())
    for name in first.parameters:
        second.exp_avg[name].copy_(first.exp_avg[name])
        second.exp_avg_sq[name].copy_(first.exp_avg_sq[name])
    second.restart(4)
    for network, adam in ((ours, first), (theirs, second)):
        gradients(network, 9)
        adam.step(1e-2)
    assert all(torch.equal(p, q) for p, q in zip(ours.parameters(), theirs.parameters(), strict=True))


def test_it_does_not_import_the_compiler():
    """Which costs 70 MiB and more than a second."""
    program = """
import sys, torch
from sfumato.training.adam import Adam
p = torch.nn.Parameter(torch.ones(3))
adam = Adam({"p": p})
p.grad = torch.ones(3)
adam.step(0.1)
print("torch._dynamo" in sys.modules, round(p[0].item(), 4))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "0.9"]
