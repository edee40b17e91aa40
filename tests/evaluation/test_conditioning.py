"""How much a model hears: known exactly where the model is exact."""

import pytest
import torch

from sfumato.backends.oracle import GaussianMixture
from sfumato.core.schedules import Flow, linear
from sfumato.errors import UsageError
from sfumato.evaluation.conditioning import ConditioningRow, conditioning_markdown, conditioning_table


def mixture(schedule) -> tuple[GaussianMixture, torch.Tensor, list[str]]:
    """Four pictures that a mixture knows by name."""
    means = torch.rand(4, 1, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1
    names = ("a", "b", "c", "d")
    return GaussianMixture(means, 0.0, names, schedule), (means + 1) / 2, list(names)


@pytest.mark.parametrize("schedule", [linear(1000), Flow()])
def test_an_exact_model_hears_all_there_is_to_hear(schedule):
    model, clean, names = mixture(schedule)
    noisy, *_, clear = conditioning_table(model, clean, names, (0.02, 0.1, 10))
    assert noisy.own == pytest.approx(0, abs=1e-9)
    assert noisy.heard == pytest.approx(1)
    # With no caption the guess is the mean of what there is; with another's it is the other picture.
    others = [*range(2, 4), *range(2)]
    assert noisy.none == pytest.approx(float((clean - clean.mean(0)).square().mean()), rel=0.05)
    assert noisy.other == pytest.approx(float((clean - clean[others]).square().mean()))
    assert clear.none == pytest.approx(0, abs=1e-6)
    assert [row.level.snr for row in (noisy, clear)] == sorted(row.level.snr for row in (noisy, clear))


def test_a_deaf_model_hears_nothing():
    model, clean, names = mixture(linear(1000))
    deaf = GaussianMixture(model.means.mean(0, keepdim=True).repeat(4, 1, 1, 1), 0.5, model.names, model.schedule)
    rows = conditioning_table(deaf, clean, names, (0.02, 0.5))
    assert all(row.heard == 0 and row.own == row.none for row in rows)
    assert [ConditioningRow.from_dict(row.to_dict()) for row in rows] == rows
    table = conditioning_markdown(rows)
    assert table.count("0.0%") == 2
    assert "alpha / sigma" in table


def test_a_row_does_not_depend_on_how_many_go_at_once():
    model, clean, names = mixture(linear(1000))
    one, all_ = (conditioning_table(model, clean, names, (0.05,), row_limit=n) for n in (1, 4))
    assert one[0].none == pytest.approx(all_[0].none, rel=1e-9)


@pytest.mark.parametrize(("count", "captions", "shape"), [(1, 1, (1, 4, 4)), (4, 3, (1, 4, 4)), (4, 4, (1, 5, 5))])
def test_what_cannot_be_compared_is_refused(count, captions, shape):
    model, _, names = mixture(linear(1000))
    with pytest.raises(UsageError):
        conditioning_table(model, torch.zeros(count, *shape), names[:captions])
