"""Drawn digits are the same for the same seed; a name finds its data, in the form that a recipe asks for."""

from pathlib import Path

import pytest
import torch
from fake_sets import fake_cifar10, write
from PIL import Image

from sfumato.errors import SfumatoError, UsageError
from sfumato.training.data import ImageData
from sfumato.training.datasets import Skipped, load_data, load_typeset
from sfumato.training.datasets.typeset import SIZES
from sfumato.training.recipe import load_recipe


def centres(data: ImageData) -> torch.Tensor:
    """The centre of mass of each picture, x and y from the middle in pixels."""
    ink = data.images.double()[:, 0]
    axis = torch.arange(28) - 13.5
    mass = ink.sum((1, 2))
    return torch.stack([(ink.sum(1) * axis).sum(1) / mass, (ink.sum(2) * axis).sum(1) / mass], 1)


# Typeset


@pytest.fixture(scope="module")
def typeset() -> ImageData:
    return load_typeset(400)


def test_typeset_has_the_shape_of_mnist(typeset):
    assert typeset.shape == (1, 28, 28)
    assert typeset.images.dtype == torch.uint8
    assert typeset.classes == tuple("0123456789")
    assert typeset.name == "typeset"
    assert len(typeset) == 400


def test_the_seed_is_the_data(typeset):
    again = load_typeset(400)
    assert again.fingerprint == typeset.fingerprint
    assert load_typeset(400, seed=1).fingerprint != typeset.fingerprint


def test_the_first_pictures_do_not_depend_on_the_number(typeset):
    longer = load_typeset(1100)
    assert torch.equal(longer.images[:400], typeset.images)
    assert torch.equal(longer.labels[:400], typeset.labels)
    assert not torch.equal(longer.images[1000:1100], typeset.images[:100])


def test_the_splits_differ(typeset):
    test = load_typeset(400, "test")
    assert test.name == "typeset-test"
    # No picture of one is in the other.
    distances = torch.cdist(typeset.images.flatten(1).float(), test.images.flatten(1).float())
    assert distances.min() > 100


def test_every_class_is_there_equally_often():
    assert load_typeset(1000).labels.bincount().tolist() == [100] * 10


def test_digits_are_centred_by_mass_and_fit_the_box(typeset):
    assert centres(typeset).abs().max() < 0.6
    seen = typeset.images[:, 0] > 25
    height, width = seen.any(2).sum(1), seen.any(1).sum(1)
    longer = torch.maximum(height, width)
    assert 18 <= longer.double().mean() <= 20
    assert longer.max() <= 24
    assert longer.min() >= 14
    border = torch.cat(
        [typeset.images[..., 0, :], typeset.images[..., -1, :], typeset.images[..., 0], typeset.images[..., -1]]
    )
    assert border.max() == 0


def test_digits_are_white_strokes_on_black(typeset):
    bright = typeset.images.flatten(1).amax(1)
    assert bright.min() > 200
    assert 0.09 < typeset.images.double().mean() / 255 < 0.16  # MNIST: 0.13
    assert (typeset.images == 0).double().mean() > 0.7


def test_classes_can_be_told_apart(typeset):
    """By the nearest of 1,000 other digits: far better than chance, which a wrong glyph or label would not be."""
    known = load_typeset(1000, "test")
    nearest = torch.cdist(typeset.images.flatten(1).float(), known.images.flatten(1).float()).argmin(1)
    right = known.labels[nearest] == typeset.labels
    assert right.double().mean() > 0.75
    assert all(right[typeset.labels == digit].double().mean() > 0.4 for digit in range(10))


@pytest.mark.parametrize("n", [0, -1])
def test_typeset_of_nothing(n):
    with pytest.raises(UsageError, match="at least 1"):
        load_typeset(n)


# By name


def save(path: Path, size: tuple[int, int] = (8, 8), colour: tuple[int, int, int] = (200, 100, 0)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


def test_typeset_by_name(monkeypatch):
    assert SIZES == {"train": 60_000, "test": 10_000}
    monkeypatch.setitem(SIZES, "test", 300)
    data = load_data("typeset", "test")
    assert len(data) == 300
    assert torch.equal(data.images[:50], load_typeset(50, "test").images)
    larger = load_data("typeset", "test", size=32, channels=3)
    assert larger.shape == (3, 32, 32)
    assert torch.equal(larger.images[:, 1:2, 2:-2, 2:-2], data.images)


def test_a_folder_by_name_warns_in_one_line(tmp_path):
    save(tmp_path / "a.png")
    for i in range(5):
        (tmp_path / f"t{i}.txt").write_text("x")
    said: list[str] = []
    skipped: list[Skipped] = []
    data = load_data(str(tmp_path), size=10, channels=3, warn=said.append, skipped=skipped)
    assert data.shape == (3, 10, 10)
    assert len(said) == 1
    assert "left out 5" in said[0]
    assert "t0.txt" in said[0]
    assert "2 more" in said[0]
    assert "\n" not in said[0]
    assert [item.path.name for item in skipped] == [f"t{i}.txt" for i in range(5)]


def test_train_and_test_are_splits_and_no_classes(tmp_path):
    save(tmp_path / "train" / "cat" / "a.png")
    save(tmp_path / "train" / "dog" / "a.png")
    save(tmp_path / "test" / "dog" / "a.png")
    assert load_data(str(tmp_path)).classes == ("cat", "dog")
    assert len(load_data(str(tmp_path), "test")) == 1


def test_a_folder_without_a_test_split(tmp_path):
    save(tmp_path / "a.png")
    with pytest.raises(UsageError, match="test"):
        load_data(str(tmp_path), "test")


@pytest.mark.parametrize("name", ["imagenet", "", "a\0b"])
def test_an_unknown_name_lists_the_known_ones(name):
    with pytest.raises(UsageError, match=r"mnist, fashion-mnist, kmnist, svhn, cifar10, typeset or a folder"):
        load_data(name)


def test_a_folder_beside_a_name_that_needs_none(tmp_path):
    with pytest.raises(UsageError, match="no meaning"):
        load_data("typeset", folder=tmp_path)


# By a recipe


def silent(_: str) -> None:
    pass


def test_a_recipe_asks_for_size_and_channels(tmp_path):
    for label in ("cat", "dog"):
        save(tmp_path / label / "a.png", (70, 90))
    recipe = load_recipe("class").with_changes({"data": str(tmp_path)})
    assert recipe.load("train", silent).shape == (1, 28, 28)
    colour = recipe.with_changes({"size": 64, "channels": 3})
    data = colour.load("train", silent)
    assert data.shape == (3, 64, 64)
    assert data.images[0, :, 30, 30].tolist() == [200, 100, 0]
    config = colour.network_config(data.shape, data.names)
    assert config.shape == (3, 64, 64)
    network = config.build()
    assert network(torch.rand(2, 3, 64, 64), torch.rand(2, 1), network.encode(torch.eye(2))).shape == (2, 3, 64, 64)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": 30}, "size: Input should be a multiple of 4"),
        ({"size": 0}, "size: Input should be greater than or equal to 8"),
        ({"size": "big"}, "size: "),
        ({"channels": 2}, "channels: "),
    ],
)
def test_a_recipe_refuses_what_makes_no_network(changes, message):
    with pytest.raises(UsageError, match=message) as caught:
        load_recipe("class").with_changes(changes)
    assert "\n" not in str(caught.value)


def test_data_of_their_own_size_must_fit_the_network():
    with pytest.raises(UsageError, match="multiple of 4"):
        load_recipe("class").network_config((1, 30, 30), ("a", "b"))


def test_what_a_set_is_published_as_is_what_a_recipe_gets(offline, known, tmp_path, monkeypatch):
    source, files = fake_cifar10()[:2]
    known(source)
    monkeypatch.setenv("SFUMATO_DATA", str(write(tmp_path, files)))
    recipe = load_recipe("class").with_changes({"data": "cifar10"})
    assert recipe.load("train", silent).shape == (3, 32, 32)
    assert recipe.with_changes({"channels": 1, "size": 28}).load("test", silent).shape == (1, 28, 28)
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(b"x")
    with pytest.raises(SfumatoError, match="cannot read"):
        recipe.load("train", silent)
