"""Folders of pictures: every kind of picture, in a fixed order, and what is left out is said."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sfumato.errors import UsageError
from sfumato.images import read_image, to_tensor
from sfumato.training.datasets import Skipped, load_data, load_folder
from sfumato.training.datasets.folder import natural


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


def test_test_pictures_are_mixed_and_always_the_same(tmp_path):
    """Measures take the first of them, which in the order of the folders would be of one class."""
    for split in ("train", "test"):
        for name in ("cat", "dog"):
            (tmp_path / split / name).mkdir(parents=True)
            for k in range(100):
                Image.new("L", (28, 28), 2 * k + (name == "dog")).save(tmp_path / split / name / f"{k}.png")
    train, test = (load_data(str(tmp_path), split) for split in ("train", "test"))
    assert train.labels.tolist() == [0] * 100 + [1] * 100
    assert test.labels.bincount().tolist() == [100, 100]
    assert 10 <= test.labels[:40].sum() <= 30
    assert test.fingerprint == load_data(str(tmp_path), "test").fingerprint
    assert {(int(x), int(y)) for x, y in zip(test.images[:, 0, 0, 0], test.labels, strict=True)} == {
        (int(x), int(y)) for x, y in zip(train.images[:, 0, 0, 0], train.labels, strict=True)
    }


def test_a_class_called_train_does_not_hide_the_others(tmp_path):
    for name in ("car", "plane", "train"):
        (tmp_path / name).mkdir()
        Image.new("L", (28, 28)).save(tmp_path / name / "a.png")
    with pytest.raises(UsageError, match="sub-folder train beside car, plane"):
        load_data(str(tmp_path))


@pytest.mark.skipif(sys.platform != "linux", reason="names that are no text are a matter of Linux")
def test_names_in_no_encoding_can_be_told(tmp_path):
    (tmp_path / "a").mkdir()
    Image.new("L", (28, 28)).save(tmp_path / "a" / "good.png")
    Path(os.fsdecode(os.fsencode(tmp_path / "a") + b"/caf\xe9.png")).write_bytes(b"no picture")
    said, skipped = [], []
    load_data(str(tmp_path), warn=said.append, skipped=skipped)
    for line in (*said, *(item.told for item in skipped)):
        assert "caf\\xe9.png" in line
        line.encode()


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


# Every kind of picture


def painted(mode: str, size: tuple[int, int], seed: int) -> Image.Image:
    """A picture of blotches in any mode."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (5, 5, 3), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)
    if mode == "I;16":
        grey = np.asarray(small.convert("L")).astype(np.uint16) * 257
        return Image.fromarray(grey)
    if mode in ("LA", "RGBA"):
        small.putalpha(Image.linear_gradient("L").resize(size))
        return small.convert(mode)
    return small.quantize(16) if mode == "P" else small.convert(mode)


KINDS = (
    ("png", "1"),
    ("png", "L"),
    ("png", "LA"),
    ("png", "P"),
    ("png", "I;16"),
    ("png", "RGB"),
    ("png", "RGBA"),
    ("jpg", "L"),
    ("jpg", "RGB"),
    ("jpg", "CMYK"),
    ("webp", "RGB"),
    ("webp", "RGBA"),
    ("gif", "P"),
    ("gif", "moving"),
    ("jpg", "turned"),
)
"""Format and mode. "moving" has three frames; "turned" says in EXIF that it lies on its side."""


def save_kind(path: Path, mode: str, size: tuple[int, int], seed: int) -> None:
    if mode == "moving":
        frames = [painted("RGB", size, seed + k).quantize(16) for k in range(3)]
        frames[0].save(path, save_all=True, append_images=frames[1:])
    elif mode == "turned":
        image = painted("RGB", size, seed)
        exif = image.getexif()
        exif[0x0112] = 6
        image.save(path, exif=exif)
    else:
        painted(mode, size, seed).save(path)


@pytest.mark.parametrize(("suffix", "mode"), KINDS)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [28, 64])
def test_every_kind_of_picture(tmp_path, suffix, mode, channels, size):
    save_kind(tmp_path / f"a.{suffix}", mode, (90, 60), seed=1)
    data, skipped = load_folder(tmp_path, size, channels)
    assert skipped == []
    assert data.shape == (channels, size, size)
    expected = to_tensor(read_image(tmp_path / f"a.{suffix}"), (size, size), channels)
    # A JPEG is read smaller than it is, so that a level may differ a little.
    assert (data.images[0] - (expected * 255)).abs().max() <= (40 if suffix == "jpg" else 1)
    assert data.images.float().std() > 5


def test_a_turned_photograph_is_upright(tmp_path):
    image = Image.new("RGB", (60, 60))
    image.paste((255, 255, 255), (0, 0, 60, 30))  # white above; turned to the right, white on the right
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "a.jpg", exif=exif)
    picture = load_folder(tmp_path, 28)[0].images[0, 0]
    assert picture[:, 20:].min() > 240
    assert picture[:, :8].max() < 15


def test_of_a_moving_picture_the_first_frame(tmp_path):
    frames = [Image.new("L", (40, 40), level) for level in (200, 50, 0)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert (load_folder(tmp_path, 28)[0].images == 200).all()


def test_transparent_parts_are_black(tmp_path):
    image = Image.new("RGBA", (40, 40), (255, 255, 255, 0))
    image.paste((255, 255, 255, 255), (0, 0, 40, 20))
    image.save(tmp_path / "a.png")
    picture = load_folder(tmp_path, 28, 3)[0].images[0]
    assert picture[:, :12].min() == 255
    assert picture[:, 16:].max() == 0


BROKEN = {
    "empty.png": b"",
    "text.jpg": b"about the holidays",
    "page.png": b"<html></html>",
    "head.png": b"\x89PNG\r\n\x1a\n",
    "noise.jpg": b"\xff\xd8\xff" + bytes(range(256)),
    "notes.txt": b"not a picture",
}


def test_three_hundred_photographs_with_ten_broken_ones(tmp_path):
    """Of all kinds and of many sizes, in two classes."""
    labels = ("dog", "cat")
    for label in labels:
        (tmp_path / label).mkdir()
    for k in range(290):
        suffix, mode = KINDS[k % len(KINDS)]
        save_kind(tmp_path / labels[k % 2] / f"{k}.{suffix}", mode, (30 + 7 * k % 90, 25 + 11 * k % 120), seed=k)
    broken = [tmp_path / "cat" / name for name in BROKEN]
    for path, content in zip(broken, BROKEN.values(), strict=True):
        path.write_bytes(content)
    for k in range(4):
        whole = (tmp_path / "dog" / f"{32 * k}.png").read_bytes()  # of different modes
        path = tmp_path / "dog" / f"cut{k}.png"
        path.write_bytes(whole[: len(whole) // 2])
        broken.append(path)

    said: list[str] = []
    skipped: list[Skipped] = []
    data = load_data(str(tmp_path), size=64, channels=3, warn=said.append, skipped=skipped)
    assert len(data) == 290
    assert data.shape == (3, 64, 64)
    assert data.classes == ("cat", "dog")
    assert data.labels.bincount().tolist() == [145, 145]
    assert {item.path for item in skipped} == set(broken)
    assert len(said) == 1
    assert "left out 10 of the folder's entries" in said[0]
    assert "\n" not in said[0]
    assert all(item.reason and "\n" not in item.reason for item in skipped)
    assert load_data(str(tmp_path), size=64, channels=3).fingerprint == data.fingerprint
