"""MNIST, Fashion-MNIST and KMNIST: read by content, so that one is never taken for another."""

import gzip
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from fake_sets import fake_idx, idx, write
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sfumato.errors import SfumatoError, UsageError
from sfumato.training.datasets import load_data, load_mnist
from sfumato.training.datasets.mnist import load_idx, parse_idx
from sfumato.training.datasets.sources import SOURCES

MNIST = Path(__file__).parents[3] / "shared" / "data" / "mnist"
SETS = ("mnist", "fashion-mnist", "kmnist")


# The format


@given(arrays(np.uint8, st.tuples(*[st.integers(0, 4)] * 3)))
def test_an_array_comes_back(array):
    assert np.array_equal(parse_idx(idx(array), 3), array)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "begins with 0x"),
        (idx(np.zeros((2, 3, 3), np.uint8))[:7], "dimensions"),
        (b"\x89PNG" + bytes(40), "begins with 0x89504e47"),
        (bytes([0, 0, 13, 3]) + bytes(12), "begins with 0x00000d03"),  # of floats
        (idx(np.zeros(3, np.uint8)), "begins with 0x00000801"),  # labels in the place of pictures
        (idx(np.zeros((2, 3, 3), np.uint8))[:-1], "2×3×3 bytes has 17"),
        (idx(np.zeros((2, 3, 3), np.uint8)) + b"x", "2×3×3 bytes has 19"),
        (bytes([0, 0, 8, 3]) + struct.pack(">3I", 2**32 - 1, 2**32 - 1, 2**32 - 1), "has 0"),
    ],
)
def test_what_is_no_idx_file_is_refused(content, message):
    with pytest.raises(SfumatoError, match=message) as caught:
        parse_idx(content, 3)
    assert "\n" not in str(caught.value)


# The three sets


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("packed", [True, False])
def test_each_set_is_read_from_a_folder(offline, known, tmp_path, name, packed):
    source, files = fake_idx(name)
    known(source)
    if not packed:
        files = {file.removesuffix(".gz"): gzip.decompress(content) for file, content in files.items()}
    folder = write(tmp_path / "files", files)
    data = load_data(name, folder=folder)
    assert data.name == name
    assert data.shape == (1, 28, 28)
    assert data.images.dtype == torch.uint8
    assert data.labels.tolist() == [(k + len(name)) % 10 for k in range(12)]
    assert data.classes == source.classes
    assert load_data(name, "test", folder).name == f"{name}-test"
    assert load_data(str(folder)).fingerprint == data.fingerprint


def test_the_classes_are_named():
    assert SOURCES["mnist"].classes == tuple("0123456789")
    assert SOURCES["fashion-mnist"].classes[0] == "T-shirt/top"
    assert SOURCES["fashion-mnist"].classes[9] == "Ankle boot"
    assert SOURCES["kmnist"].classes == ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")


def test_the_files_of_another_set_are_named(offline, known, tmp_path):
    for name in SETS:
        known(fake_idx(name)[0])
    folder = write(tmp_path / "files", fake_idx("kmnist")[1])
    with pytest.raises(SfumatoError, match=r"is KMNIST's, not MNIST's; ask for --data kmnist") as caught:
        load_data("mnist", folder=folder)
    assert "\n" not in str(caught.value)


def test_a_set_is_found_below_sfumato_data(offline, known, tmp_path, monkeypatch):
    for name in SETS:
        known(fake_idx(name)[0])
    monkeypatch.setenv("SFUMATO_DATA", str(tmp_path))
    write(tmp_path, fake_idx("mnist")[1])
    assert load_data("mnist").name == "mnist"
    with pytest.raises(SfumatoError, match="is MNIST's, not Fashion-MNIST's"):
        load_data("fashion-mnist")
    write(tmp_path / "fashion-mnist", fake_idx("fashion-mnist")[1])
    assert load_data("fashion-mnist").classes[1] == "Trouser"


def test_the_cache_is_looked_into_when_the_shared_folder_has_another_set(offline, known, tmp_path, monkeypatch):
    for name in SETS:
        known(fake_idx(name)[0])
    monkeypatch.setenv("SFUMATO_DATA", str(tmp_path / "shared"))
    write(tmp_path / "shared", fake_idx("mnist")[1])
    write(offline / "kmnist", fake_idx("kmnist")[1])
    assert load_data("kmnist").name == "kmnist"


def test_a_folder_whose_files_are_of_no_known_set(offline, tmp_path):
    folder = write(tmp_path / "files", fake_idx("mnist")[1])
    with pytest.raises(SfumatoError, match=r"none of MNIST, Fashion-MNIST, KMNIST.*MD5"):
        load_data(str(folder))


def test_a_folder_with_two_sets(offline, known, tmp_path):
    from fake_sets import fake_svhn

    (digits, files), (houses, more) = fake_idx("mnist"), fake_svhn()
    known(digits)
    known(houses)
    folder = write(tmp_path / "files", {**files, **more})
    with pytest.raises(UsageError, match="the files of MNIST, SVHN; give it as SFUMATO_DATA"):
        load_data(str(folder))


# Files that are not as they should be


@pytest.fixture
def mnist(known, offline, tmp_path):
    """A small MNIST in a folder."""
    source, files = fake_idx()
    known(source)
    return write(tmp_path / "mnist", files)


def test_files_that_are_not_mnists_are_refused(tmp_path):
    folder = write(tmp_path / "files", fake_idx()[1])
    for split in ("train", "test"):
        with pytest.raises(SfumatoError, match=r"does not hold MNIST's .*MD5"):
            load_mnist(split, folder)


@pytest.mark.parametrize("length", [0, 5, 200])
def test_a_damaged_archive_is_refused(mnist, length):
    path = mnist / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(SfumatoError, match=r"cannot read|MD5") as caught:
        load_data("mnist", "test", mnist)
    assert "t10k-images" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_wrong_bit_is_seen(mnist):
    path = mnist / "train-labels-idx1-ubyte.gz"
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[-1] ^= 1
    path.write_bytes(gzip.compress(bytes(content)))
    with pytest.raises(SfumatoError, match="MD5"):
        load_data("mnist", folder=mnist)


def test_a_few_bytes_that_unpack_to_many_are_not_unpacked(mnist, monkeypatch):
    path = mnist / "train-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(bytes(30_000_000)))
    asked: list[int] = []
    read = gzip.GzipFile.read
    monkeypatch.setattr(gzip.GzipFile, "read", lambda self, size=-1: asked.append(size) or read(self, size))
    with pytest.raises(SfumatoError, match="MD5"):
        load_data("mnist", folder=mnist)
    assert asked == [16 + 12 * 784 + 1]


def test_another_packing_of_the_same_content_is_right(mnist):
    """Mirrors differ in how they pack."""
    path = mnist / "train-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()), compresslevel=1, mtime=7))
    assert len(load_data("mnist", folder=mnist)) == 12


def test_a_file_as_it_is_published_is_right(known, offline, tmp_path):
    """Though the MD5 of its content is not known for certain."""
    source, files = fake_idx()
    unknown = [replace(f, parts=(replace(f.parts[0], md5="?"),)) for f in source.files]
    known(replace(source, files=tuple(unknown)))
    assert len(load_data("mnist", folder=write(tmp_path / "files", files))) == 12


def test_a_wrong_unpacked_file_beside_the_right_packed_one(mnist):
    (mnist / "train-images-idx3-ubyte").write_bytes(b"half of a file")
    assert len(load_data("mnist", folder=mnist)) == 12


def test_missing_files_are_named(mnist, tmp_path):
    (mnist / "t10k-labels-idx1-ubyte.gz").unlink()
    for name, folder in (("mnist", mnist), (str(mnist), None)):
        with pytest.raises(UsageError, match=r"no t10k-labels-idx1-ubyte\.gz"):
            load_data(name, "test", folder)
    with pytest.raises(UsageError, match=r"no t10k-images-idx3-ubyte\.gz"):
        load_mnist("test", tmp_path / "nowhere")
    with pytest.raises(UsageError, match="cache"):
        load_mnist("test", download=False)


def test_a_folder_in_the_place_of_a_file(mnist):
    (mnist / "train-images-idx3-ubyte.gz").unlink()
    (mnist / "train-images-idx3-ubyte").mkdir()
    with pytest.raises(UsageError, match="no train-images"):
        load_data("mnist", folder=mnist)


@pytest.mark.skipif(not MNIST.is_dir(), reason="MNIST is not beside the repository")
def test_the_real_test_split():
    data = load_mnist("test", MNIST)
    assert data.images.shape == (10_000, 1, 28, 28)
    assert data.labels[:5].tolist() == [7, 2, 1, 0, 4]
    assert load_data(str(MNIST), "test").fingerprint == data.fingerprint
    with pytest.raises(SfumatoError, match="is MNIST's, not KMNIST's"):
        load_idx(SOURCES["kmnist"], "test", MNIST)
