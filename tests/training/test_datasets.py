"""Data sets are the same for the same seed, have the shape they promise, and say what they left out."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sfumato.errors import SfumatoError, UsageError
from sfumato.training.data import ImageData
from sfumato.training.datasets import load_data, load_folder, load_mnist, load_typeset
from sfumato.training.datasets.folder import natural
from sfumato.training.datasets.typeset import SIZES

MNIST = Path(__file__).parents[3] / "shared" / "data" / "mnist"


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


# Folders


def save(path: Path, level: int = 128, size: tuple[int, int] = (8, 8)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, level).save(path)


def test_loose_pictures_in_natural_order(tmp_path):
    for i in (10, 9, 1, 2):
        save(tmp_path / f"p{i}.png", i)
    data, skipped = load_folder(tmp_path, 6)
    assert data.images[:, 0, 0, 0].tolist() == [1, 2, 9, 10]
    assert data.classes == ()
    assert data.labels.tolist() == [0, 0, 0, 0]
    assert data.labels.dtype == torch.int64
    assert data.shape == (1, 6, 6)
    assert skipped == []
    assert load_folder(tmp_path, 6)[0].fingerprint == data.fingerprint


def test_sub_folders_are_classes(tmp_path):
    for name, level in (("c10", 3), ("c2", 2), ("c1", 1)):
        save(tmp_path / name / "b.png", level)
        save(tmp_path / name / "a.jpg", level)
    data, _ = load_folder(tmp_path, 4, 3)
    assert data.classes == ("c1", "c2", "c10")
    assert data.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert data.shape == (3, 4, 4)


def test_pictures_are_cropped_to_the_middle(tmp_path):
    wide = np.zeros((20, 60), np.uint8)
    wide[:, 20:40] = 255
    Image.fromarray(wide).save(tmp_path / "a.png")
    assert (load_folder(tmp_path, 5)[0].images == 255).all()


def test_what_is_left_out_is_reported(tmp_path):
    save(tmp_path / "a" / "good.png")
    (tmp_path / "a" / "text.png").write_text("no picture")
    (tmp_path / "a" / "empty.jpg").touch()
    (tmp_path / "a" / ".hidden").write_text("ignored")
    (tmp_path / ".DS_Store").write_text("ignored")
    (tmp_path / "README.txt").write_text("about the pictures")
    save(tmp_path / "a" / "deeper" / "x.png")
    (tmp_path / "b").mkdir()
    data, skipped = load_folder(tmp_path)
    assert len(data) == 1
    assert data.classes == ("a",)
    assert {item.path.name for item in skipped} == {"README.txt", "text.png", "empty.jpg", "deeper", "b"}
    assert all(item.reason and str(tmp_path) not in item.reason for item in skipped)


def test_loose_pictures_beside_classes_are_refused(tmp_path):
    save(tmp_path / "a" / "x.png")
    save(tmp_path / "loose.png")
    with pytest.raises(UsageError, match="both"):
        load_folder(tmp_path)


def test_an_empty_sub_folder_does_not_make_classes(tmp_path):
    (tmp_path / "empty").mkdir()
    save(tmp_path / "loose.png")
    assert load_folder(tmp_path)[0].classes == ()


@pytest.mark.parametrize("make", [lambda p: None, lambda p: p.write_text("x"), lambda p: p.mkdir()])
def test_no_folder_or_no_picture(tmp_path, make):
    make(tmp_path / "data")
    with pytest.raises(UsageError) as caught:
        load_folder(tmp_path / "data")
    assert "\n" not in str(caught.value)


def test_only_broken_pictures(tmp_path):
    (tmp_path / "a.png").write_text("x")
    with pytest.raises(UsageError, match=r"1 left out.*a\.png"):
        load_folder(tmp_path)


@pytest.mark.parametrize(("size", "channels"), [(0, 1), (28, 2)])
def test_numbers_that_make_no_picture(tmp_path, size, channels):
    save(tmp_path / "a.png")
    with pytest.raises(UsageError):
        load_folder(tmp_path, size, channels)


def test_natural_order():
    names = ["b", "a10", "a9", "A1", "", "10", "9", "a01", "a1b", "٣"]
    assert sorted(sorted(names), key=natural) == sorted(sorted(names, reverse=True), key=natural)
    assert sorted(["x10y2", "x9", "x10y1"], key=natural) == ["x9", "x10y1", "x10y2"]


# MNIST


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def fake_mnist(folder: Path) -> None:
    rng = np.random.default_rng(0)
    for part in ("train", "t10k"):
        images = gzip.compress(idx(rng.integers(0, 256, (3, 28, 28), dtype=np.uint8)))
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(images)
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(idx(np.arange(3, dtype=np.uint8)))


def test_files_that_are_not_mnists_are_refused(tmp_path):
    fake_mnist(tmp_path)
    for split in ("train", "test"):
        with pytest.raises(SfumatoError, match="MD5"):
            load_mnist(split, tmp_path)


def test_a_damaged_archive_is_refused(tmp_path):
    fake_mnist(tmp_path)
    path = tmp_path / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(SfumatoError, match="cannot read"):
        load_mnist("test", tmp_path)


def test_missing_files_are_named(tmp_path):
    with pytest.raises(UsageError, match="t10k-images-idx3-ubyte"):
        load_mnist("test", tmp_path)


@pytest.mark.skipif(not MNIST.is_dir(), reason="MNIST is not beside the repository")
def test_the_real_test_split():
    data = load_mnist("test", MNIST)
    assert data.images.shape == (10_000, 1, 28, 28)
    assert data.labels[:5].tolist() == [7, 2, 1, 0, 4]
    assert load_data(str(MNIST), "test").fingerprint == data.fingerprint


# By name


def test_typeset_by_name(monkeypatch):
    assert SIZES == {"train": 60_000, "test": 10_000}
    monkeypatch.setitem(SIZES, "test", 300)
    data = load_data("typeset", "test")
    assert len(data) == 300
    assert torch.equal(data.images[:50], load_typeset(50, "test").images)


def test_a_folder_by_name_warns_in_one_line(tmp_path):
    save(tmp_path / "a.png")
    for i in range(5):
        (tmp_path / f"t{i}.txt").write_text("x")
    said: list[str] = []
    data = load_data(str(tmp_path), size=10, channels=3, warn=said.append)
    assert data.shape == (3, 10, 10)
    assert len(said) == 1
    assert "left out 5" in said[0]
    assert "t0.txt" in said[0]
    assert "2 more" in said[0]
    assert "\n" not in said[0]


def test_a_folder_of_idx_files_is_mnist(tmp_path):
    fake_mnist(tmp_path)
    with pytest.raises(SfumatoError, match="MD5"):
        load_data(str(tmp_path))


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
    with pytest.raises(UsageError, match=r"mnist.*typeset.*folder"):
        load_data(name)


@pytest.mark.parametrize("option", [{"size": 32}, {"channels": 3}])
def test_digits_have_one_size(option):
    for name in ("mnist", "typeset"):
        with pytest.raises(UsageError, match="28×28"):
            load_data(name, **option)


def test_a_folder_beside_a_name_that_needs_none(tmp_path):
    with pytest.raises(UsageError, match="no meaning"):
        load_data("typeset", folder=tmp_path)
