"""Treatments keep pictures pictures, are the same for the same texture, and look like their medium."""

import pytest
import torch

from sfumato.training.painterly import TREATMENTS, kuwahara, paint

GREY = [word for word, treatment in TREATMENTS.items() if not treatment.keeps_colours]


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def disc(inside: tuple[float, ...], outside: tuple[float, ...], size: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    """A disc of one colour on another, and where it is."""
    axis = torch.linspace(-1, 1, size)
    where = axis[:, None] ** 2 + axis[None, :] ** 2 < 0.36
    return torch.where(where, torch.tensor(inside)[:, None, None], torch.tensor(outside)[:, None, None])[None], where


@pytest.mark.parametrize("word", TREATMENTS)
@pytest.mark.parametrize("size", [(64, 64), (22, 31), (4, 4)])
def test_a_picture_stays_a_picture(word, size):
    for x in (noise(2, 3, *size), torch.zeros(2, 3, *size), torch.ones(2, 3, *size)):
        y = TREATMENTS[word](x, noise(2, 3, *size, seed=1))
        assert y.shape == x.shape
        assert y.dtype == x.dtype
        assert y.isfinite().all()
        assert y.min() >= 0
        assert y.max() <= 1


@pytest.mark.parametrize("word", TREATMENTS)
def test_the_texture_is_all_that_is_random(word):
    x, texture = noise(3, 3, 32, 32), noise(3, 3, 32, 32, seed=1)
    first = TREATMENTS[word](x, texture)
    torch.manual_seed(5)
    assert torch.equal(TREATMENTS[word](x, texture), first)
    assert torch.equal(TREATMENTS[word](x, noise(3, 3, 32, 32, seed=2)), first) == (word == "pixel art")


@pytest.mark.parametrize("word", TREATMENTS)
def test_no_row_depends_on_its_neighbours(word):
    x, texture = noise(4, 3, 32, 32), noise(4, 3, 32, 32, seed=1)
    together = TREATMENTS[word](x, texture)
    for row in range(4):
        alone = TREATMENTS[word](x[row : row + 1], texture[row : row + 1])
        assert torch.allclose(alone[0], together[row], atol=1e-4)


@pytest.mark.parametrize("word", TREATMENTS)
def test_the_subject_can_still_be_seen(word):
    x, where = disc((0.2, 0.25, 0.4), (1.0, 1.0, 1.0))
    y = TREATMENTS[word](x, noise(1, 3, 64, 64))[0].mean(0)
    assert y[~where].mean() - y[where].mean() > 0.2


@pytest.mark.parametrize("word", [word for word in TREATMENTS if word not in GREY])
def test_paint_keeps_its_colour(word):
    colour = torch.tensor([0.85, 0.2, 0.2])
    y = TREATMENTS[word](colour[None, :, None, None].expand(1, 3, 64, 64), noise(1, 3, 64, 64))[0]
    mean = y.mean((1, 2))
    assert mean[0] > mean[1] + 0.4
    assert (mean - colour).abs().max() < 0.2


def test_ink_and_graphite_have_no_colour():
    x, _ = disc((0.9, 0.1, 0.1), (0.2, 0.4, 0.9))
    sketch = TREATMENTS["pencil sketch"](x, noise(1, 3, 64, 64))
    assert torch.equal(sketch[:, 0], sketch[:, 2])
    print_ = TREATMENTS["lithograph"](x, noise(1, 3, 64, 64))[0]
    # Between black and cream all channels say the same.
    share = (print_ - print_.amin((1, 2), keepdim=True)) / (print_.amax((1, 2)) - print_.amin((1, 2)))[:, None, None]
    assert torch.allclose(share[0], share[2], atol=1e-4)


def test_white_paper_stays_white():
    white, texture = torch.ones(2, 3, 64, 64), noise(2, 3, 64, 64)
    assert TREATMENTS["pencil sketch"](white, texture).min() > 0.95
    assert TREATMENTS["pixel art"](white, texture).min() == 1
    assert TREATMENTS["watercolour"](white, texture).min() > 0.9
    cream = TREATMENTS["lithograph"](white, texture)
    assert cream.std((2, 3)).max() < 1e-5  # not a speck of ink
    assert cream.min() > 0.8


def test_pixel_art_has_large_pixels_and_few_colours():
    y = TREATMENTS["pixel art"](noise(2, 3, 32, 48), noise(2, 3, 32, 48))
    squares = y.reshape(2, 3, 8, 4, 12, 4)
    assert torch.equal(squares, squares[:, :, :, :1, :, :1].expand_as(squares))
    assert len(y.unique()) <= 8


def test_kuwahara_keeps_edges_and_smooths_areas():
    step = torch.zeros(1, 3, 16, 16)
    step[..., 7:] = 1
    assert torch.allclose(kuwahara(step, 2), step, atol=1e-5)
    x = noise(1, 3, 32, 32)
    assert kuwahara(x, 2).var() < x.var() / 2


def test_paint_leaves_the_others_alone():
    x = noise(4, 3, 32, 32)
    words = (None, "watercolour", None, "oil painting")
    y = paint(x.clone(), words, torch.Generator().manual_seed(7))
    assert torch.equal(y[[0, 2]], x[[0, 2]])
    texture = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(7))
    assert torch.allclose(y[1:2], TREATMENTS["watercolour"](x[1:2], texture[:1]), atol=1e-4)
    assert torch.allclose(y[3:], TREATMENTS["oil painting"](x[3:], texture[1:]), atol=1e-4)
    assert torch.equal(paint(x.clone(), (None,) * 4, torch.Generator()), x)
