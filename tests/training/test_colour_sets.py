"""CIFAR-10 and SVHN: pictures, labels and their order; archives that are not as they should be."""

import io
import tarfile

import numpy as np
import pytest
import torch
from fake_sets import fake_cifar10, fake_svhn, mat, md5, records, tar_gz, write
from scipy.io import loadmat

from sfumato.errors import SfumatoError, UsageError
from sfumato.training.datasets import load_data
from sfumato.training.datasets.cifar10 import parse_records
from sfumato.training.datasets.sources import SOURCES, source_of
from sfumato.training.datasets.svhn import parse_digits

# CIFAR-10


@pytest.fixture
def cifar10(known, offline, tmp_path):
    """A small CIFAR-10: the folder with its archive, and what is in that."""
    source, files, batches = fake_cifar10()
    known(source)
    return write(tmp_path / "files", files), batches


def test_the_batches_are_read_in_order(cifar10):
    folder, batches = cifar10
    data = load_data("cifar10", folder=folder)
    assert data.name == "cifar10"
    assert data.shape == (3, 32, 32)
    assert data.labels.tolist() == list(range(10))
    assert data.classes[:3] == ("airplane", "automobile", "bird")
    assert data.classes[9] == "truck"
    # Red, green, blue, each row by row.
    second = np.frombuffer(batches["data_batch_1.bin"], np.uint8)[3073 + 1 :].reshape(3, 32, 32)
    assert np.array_equal(data.images[1].numpy(), second)
    test = load_data("cifar10", "test", folder)
    assert test.name == "cifar10-test"
    assert test.labels.tolist() == [0, 1]


@pytest.mark.parametrize("inner", ["", "cifar-10-batches-bin"])
def test_unpacked_batches_are_read_too(cifar10, tmp_path, inner):
    packed, batches = cifar10
    loose = tmp_path / "loose"
    write(loose / inner, batches)
    data = load_data("cifar10", folder=loose)
    assert data.fingerprint == load_data("cifar10", folder=packed).fingerprint
    if not inner:
        assert load_data(str(loose)).fingerprint == data.fingerprint
    assert load_data(str(packed)).fingerprint == data.fingerprint


def test_the_pickled_version_is_not_read(cifar10, tmp_path):
    folder = write(tmp_path / "python", {"cifar-10-python.tar.gz": b"x"})
    write(folder / "cifar-10-batches-py", {"data_batch_1": b"x"})
    with pytest.raises(UsageError, match=r"no cifar-10-binary\.tar\.gz"):
        load_data("cifar10", folder=folder)


def archive(*members: tarfile.TarInfo, content: bytes = b"") -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as file:
        for member in members:
            file.addfile(member, io.BytesIO(content[: member.size]))
    return packed.getvalue()


def member(name: str, **about) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    for key, value in about.items():
        setattr(info, key, value)
    return info


TEST_BATCH = "cifar-10-batches-bin/test_batch.bin"


@pytest.mark.parametrize(
    ("packed", "message"),
    [
        (archive(member("../../test_batch.bin", size=6146), content=bytes(6146)), "there is no cifar"),
        (archive(member("/elsewhere/test_batch.bin", size=6146), content=bytes(6146)), "there is no cifar"),
        (archive(member(TEST_BATCH, type=tarfile.SYMTYPE, linkname="/etc/passwd")), "no file of 6,146 bytes"),
        (archive(member(TEST_BATCH, type=tarfile.LNKTYPE, linkname="../x")), "no file of 6,146 bytes"),
        (archive(member(TEST_BATCH, type=tarfile.DIRTYPE)), "no file of 6,146 bytes"),
        (archive(member(TEST_BATCH, size=9_000_000), content=bytes(9_000_000)), "no file of 6,146 bytes"),
        (archive(member(TEST_BATCH, size=3073), content=bytes(3073)), "no file of 6,146 bytes"),
        (archive(), "there is no cifar-10-batches-bin/test_batch.bin"),
        (tar_gz({TEST_BATCH: records([3, 4], seed=9)}), "MD5"),
        (b"", "damaged, or no tar archive"),
        (b"no archive" * 100, "damaged, or no tar archive"),
    ],
    ids=[
        "above",
        "elsewhere",
        "link",
        "hard link",
        "folder",
        "large",
        "small",
        "nothing",
        "changed",
        "empty",
        "no archive",
    ],
)
def test_archives_that_are_not_as_they_should_be(cifar10, tmp_path, packed, message):
    folder, _ = cifar10
    write(folder, {"cifar-10-binary.tar.gz": packed})
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(SfumatoError, match=message) as caught:
        load_data("cifar10", "test", folder)
    assert "\n" not in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == before  # nothing is unpacked to the disk


def test_an_archive_that_is_cut_off(cifar10):
    folder, _ = cifar10
    path = folder / "cifar-10-binary.tar.gz"
    whole = path.read_bytes()
    for length in range(0, len(whole), 997):
        path.write_bytes(whole[:length])
        with pytest.raises(SfumatoError, match=r"cannot read .*cifar-10-binary") as caught:
            load_data("cifar10", "test", folder)
        assert "\n" not in str(caught.value)


def test_a_missing_batch_is_noticed(cifar10, tmp_path):
    _, batches = cifar10
    folder = write(tmp_path / "loose", {name: content for name, content in batches.items() if "3" not in name})
    with pytest.raises(UsageError, match=r"no cifar-10-binary\.tar\.gz \(packed or unpacked\)"):
        load_data("cifar10", folder=folder)
    assert len(load_data("cifar10", "test", folder)) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "records"), (records([1], 0)[:-1], "records"), (records([1, 10], 0), "label 10")],
)
def test_bytes_that_are_no_records(content, message):
    with pytest.raises(SfumatoError, match=message):
        parse_records(content)


# SVHN


@pytest.fixture
def svhn(known, offline, tmp_path):
    source, files = fake_svhn()
    known(source)
    return write(tmp_path / "files", files)


def test_digits_are_those_of_the_file(svhn):
    data = load_data("svhn", folder=svhn)
    assert data.name == "svhn"
    assert data.images.dtype == torch.uint8
    assert data.shape == (3, 32, 32)
    assert data.classes == tuple("0123456789")
    assert data.labels.tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2]  # the file says 10 for the digit 0
    stored = loadmat(svhn / "train_32x32.mat")["X"]
    assert np.array_equal(data.images.numpy(), stored.transpose(3, 2, 0, 1))
    assert load_data(str(svhn), "test").name == "svhn-test"


def test_a_file_of_the_other_split_is_refused(svhn):
    (svhn / "train_32x32.mat").replace(svhn / "test_32x32.mat")
    with pytest.raises(SfumatoError, match=r"does not hold SVHN's test_32x32\.mat"):
        load_data("svhn", "test", svhn)
    with pytest.raises(UsageError, match=r"no train_32x32\.mat"):
        load_data("svhn", folder=svhn)


PIXELS, LABELS = np.zeros((32, 32, 3, 2), np.uint8), np.array([[1], [10]], np.uint8)


def test_labels_of_another_kind_of_number():
    assert parse_digits(mat(X=PIXELS, y=LABELS.astype(float)))[1].tolist() == [1, 0]


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ({"X": PIXELS}, "arrays X and y, this one has X"),
        ({"X": PIXELS[..., :1], "y": LABELS}, "X is 32×32×3 bytes"),
        ({"X": PIXELS[:28], "y": LABELS}, "X is 32×32×3 bytes"),
        ({"X": PIXELS.astype(float), "y": LABELS}, "X is 32×32×3 bytes"),
        ({"X": PIXELS, "y": LABELS + 1}, "labels are 1 to 10"),
        ({"X": PIXELS, "y": LABELS * 1.5}, "labels are 1 to 10"),
    ],
)
def test_a_file_that_is_not_built_as_svhns(made, message):
    with pytest.raises(SfumatoError, match=message):
        parse_digits(mat(**made))


# The list of sets


def test_the_list_is_complete_and_its_checksums_are_different():
    sums = []
    for name, source in SOURCES.items():
        assert source.name == name
        assert len(source.classes) == len(set(source.classes)) == 10
        assert all(mirror.endswith("/") for mirror in source.mirrors)
        parts = [part.name for file in source.files for part in file.parts]
        assert sorted(parts) == sorted([*source.splits["train"], *source.splits["test"]])
        sums += [value for file in source.files for value in {file.md5, *(part.md5 for part in file.parts)}]
        for value in sums[-2:]:
            assert source_of(value) is source
    assert len(set(sums)) == len(sums)
    assert all(len(value) == 32 and set(value) <= set("0123456789abcdef") for value in sums)
    assert source_of(md5(b"something else")) is None
