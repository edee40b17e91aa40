import pytest
import torch

import sfumato as sf
from sfumato.errors import UsageError


@pytest.fixture
def model(tiny_model):
    return sf.load(tiny_model)


def test_all_that_is_named_is_there():
    for name in sf.__all__:
        assert callable(getattr(sf, name))
    assert set(dir(sf)) == set(sf.__all__)
    with pytest.raises(AttributeError, match="no attribute 'paint'"):
        _ = sf.paint


def test_sample_is_the_end_of_trace(model):
    tree = sf.guided("3", scale=2)
    steps = list(sf.trace(model, tree, seeds=[4, 5], steps=4))
    pictures = sf.sample(model, tree, seeds=[4, 5], steps=4)
    assert pictures.shape == (2, 1, 28, 28)
    assert torch.equal(pictures, steps[-1].x.clamp(0, 1))
    assert pictures.min() >= 0
    assert pictures.max() <= 1


def test_an_edit_and_an_inpainting(model):
    image, mask = torch.rand(1, 28, 28), torch.zeros(1, 28, 28)
    mask[:, 10:20] = 1
    edited = sf.sample(model, sf.guided("3", scale=2), steps=6, image=image, start=4)
    assert (edited[0] - image).abs().max() > 0
    painted = sf.sample(model, sf.guided("3", scale=2), steps=6, image=image, mask=mask)
    assert torch.equal(painted[0][:, :10], image[:, :10])


def test_requests_that_cannot_be_meant(model):
    tree = sf.guided("3", scale=2)
    for options, message in [
        ({"sampler": "eler"}, "unknown sampler"),
        ({"steps": 301}, "between 1 and 300"),
        ({"image": torch.zeros(1, 28, 28), "start": 50}, "start 50 is not one of 0"),
        ({"mask": torch.zeros(1, 28, 28)}, "a mask needs the image"),
    ]:
        with pytest.raises(UsageError, match=message):
            sf.sample(model, tree, **options)
    with pytest.raises(UsageError, match="unknown class"):
        sf.sample(model, sf.guided("x", scale=2))


def test_the_docstring_of_the_package_runs():
    import doctest

    failed, tried = doctest.testmod(sf)
    assert (failed, tried > 0) == (0, True)
