"""Other sizes and channels: digits keep every pixel, and a data set is what the same pictures in a folder are."""

import numpy as np
import pytest
import torch
from fake_sets import fake_idx, fake_svhn, write
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sfumato.errors import UsageError
from sfumato.training.data import ImageData
from sfumato.training.datasets import load_data
from sfumato.training.datasets.sizes import fitted


def pictures(channels: int, size: int, n: int = 3) -> ImageData:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (n, channels, size, size), generator=generator, dtype=torch.uint8)
    return ImageData("some", images, torch.arange(n), tuple("abc")[:n])


GREY, COLOUR = pictures(1, 28), pictures(3, 32)


@pytest.mark.parametrize("size", [29, 30, 32])
def test_digits_keep_every_pixel_in_a_larger_picture(size):
    images = fitted(GREY, size, background=7).images
    assert images.shape == (3, 1, size, size)
    start = (size - 28) // 2
    inside = images[..., start : start + 28, start : start + 28]
    assert torch.equal(inside, GREY.images)
    assert (images == 7).sum() - (inside == 7).sum() == 3 * (size**2 - 28**2)


@given(st.sampled_from([GREY, COLOUR]), st.integers(1, 80), st.sampled_from([1, 3]))
def test_every_size_and_number_of_channels(data, size, channels):
    out = fitted(data, size, channels)
    assert out.shape == (channels, size, size)
    assert out.images.dtype == torch.uint8
    assert torch.equal(out.labels, data.labels)
    assert (out.name, out.classes) == (data.name, data.classes)


@pytest.mark.parametrize("data", [GREY, COLOUR])
def test_nothing_is_copied_that_fits(data):
    assert fitted(data) is data
    assert fitted(data, data.shape[-1], data.shape[0], background=0) is data


def test_a_level_picture_stays_level():
    level = ImageData("level", torch.full((1, 3, 32, 32), 99, dtype=torch.uint8), torch.zeros(1, dtype=torch.int64))
    for size in (28, 48, 64):
        assert (fitted(level, size, 1).images == 99).all()


def test_grey_becomes_equal_colours():
    images = fitted(GREY, channels=3).images
    assert all(torch.equal(images[:, c], GREY.images[:, 0]) for c in range(3))
    assert torch.equal(fitted(fitted(GREY, channels=3), channels=1).images, GREY.images)


@pytest.mark.parametrize("size", [28, 32, 64])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_data_set_is_what_a_folder_with_its_pictures_is(tmp_path, size, channels):
    for k, image in enumerate(COLOUR.images.permute(0, 2, 3, 1).numpy()):
        Image.fromarray(image).save(tmp_path / f"{k}.png")
    folder = load_data(str(tmp_path), size=size, channels=channels)
    assert torch.equal(folder.images, fitted(COLOUR, size, channels).images)


@pytest.mark.parametrize(("size", "channels"), [(0, None), (-4, 1), (None, 2), (32, 4)])
def test_numbers_that_make_no_picture(size, channels):
    with pytest.raises(UsageError):
        fitted(GREY, size, channels)


def test_sets_by_name_at_another_size(known, offline, tmp_path):
    (digits, files), (houses, more) = fake_idx(), fake_svhn()
    known(digits)
    known(houses)
    mnist, svhn = write(tmp_path / "mnist", files), write(tmp_path / "svhn", more)
    own = load_data("mnist", folder=mnist).images
    padded = load_data("mnist", folder=mnist, size=32)
    assert torch.equal(padded.images[:, :, 2:-2, 2:-2], own)
    assert padded.images.sum() == own.sum()  # black around
    assert load_data(str(mnist), size=64, channels=3).shape == (3, 64, 64)
    # What was cut from a photograph has no background: it is resized.
    small, large = (load_data("svhn", folder=svhn, size=size).images for size in (32, 36))
    assert large.shape == (12, 3, 36, 36)
    expected = Image.fromarray(small[0].permute(1, 2, 0).numpy()).resize((36, 36), Image.Resampling.LANCZOS)
    assert np.array_equal(large[0].permute(1, 2, 0).numpy(), np.asarray(expected))
