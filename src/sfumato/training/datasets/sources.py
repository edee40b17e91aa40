"""Data sets that can be downloaded: what they are, where they lie, and the checksums of their files.

Packed files differ between mirrors (a gzip header holds a date), what they unpack to does not. So a file is right when
its own MD5 is the published one, or what is in it has the MD5 known for that. Where the numbers are from:

- MNIST, Fashion-MNIST, KMNIST and SVHN as published: torchvision's `mnist.py` and `svhn.py`, and for Fashion-MNIST the
  table in the README of its makers; CIFAR-10: the table on its page, https://www.cs.toronto.edu/~kriz/cifar.html.
- Unpacked: computed from real files for MNIST, the labels of Fashion-MNIST and the training labels of KMNIST. Not yet
  seen in a real file, but stated by several projects that check them: Fashion-MNIST's pictures and CIFAR-10's batches.
  KMNIST's other three are from the git-annex keys of the Mila institute's copy, made in 2022 from files with the MD5 of
  torchvision (its makers corrected the pictures in February 2019, the labels are as before).

The tests marked `network` download every file and compare both checksums.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Split = Literal["train", "test"]


@dataclass(frozen=True)
class Part:
    """A file with pictures or labels, as it is once unpacked."""

    name: str
    md5: str
    size: int
    """In bytes."""


@dataclass(frozen=True)
class Download:
    """A file as it is published: a part packed by gzip, an archive of several, or a part as it is."""

    name: str
    md5: str
    size: int
    """In bytes."""
    parts: tuple[Part, ...]
    folder: str = ""
    """Where in an archive the parts are."""


@dataclass(frozen=True)
class Source:
    """A data set that can be downloaded."""

    name: str
    """On the command line, and of its folder in the cache."""
    title: str
    summary: str
    terms: str
    """Of use, as its makers state them; empty where they state none."""
    shape: tuple[int, int, int]
    """Channels, height and width of its pictures."""
    background: int | None
    """The level of what is around each picture, 0 … 255; None for parts of photographs."""
    pictures: Mapping[Split, int]
    """How many each split has."""
    classes: tuple[str, ...]
    mirrors: tuple[str, ...]
    """Addresses of folders with the files, the first to be tried first."""
    files: tuple[Download, ...]
    splits: Mapping[Split, tuple[str, ...]]
    """The names of the parts of a split, in order."""

    @property
    def megabytes(self) -> float:
        """The size of the whole download, in units of 10⁶ bytes."""
        return round(sum(file.size for file in self.files) / 1e6, 1)


_DIGITS = tuple("0123456789")
_IDX_SIZES = {
    "train-images-idx3-ubyte": 16 + 60_000 * 784,
    "train-labels-idx1-ubyte": 8 + 60_000,
    "t10k-images-idx3-ubyte": 16 + 10_000 * 784,
    "t10k-labels-idx1-ubyte": 8 + 10_000,
}
_IDX_SPLITS: Mapping[Split, tuple[str, ...]] = {"train": tuple(_IDX_SIZES)[:2], "test": tuple(_IDX_SIZES)[2:]}
_IDX_PICTURES: Mapping[Split, int] = {"train": 60_000, "test": 10_000}


def _idx(*rows: tuple[int, str, str]) -> tuple[Download, ...]:
    """Four idx files: bytes packed, MD5 packed, MD5 unpacked."""
    return tuple(
        Download(f"{name}.gz", packed, size, (Part(name, unpacked, unpacked_size),))
        for (name, unpacked_size), (size, packed, unpacked) in zip(_IDX_SIZES.items(), rows, strict=True)
    )


MNIST = Source(
    name="mnist",
    title="MNIST",
    summary="70,000 written digits",
    terms="",
    shape=(1, 28, 28),
    background=0,
    pictures=_IDX_PICTURES,
    classes=_DIGITS,
    mirrors=(
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
    ),
    files=_idx(
        (9_912_422, "f68b3c2dcbeaaa9fbdd348bbdeb94873", "6bbc9ace898e44ae57da46a324031adb"),
        (28_881, "d53e105ee54ea40749a09fcbcd1e9432", "a25bea736e30d166cdddb491f175f624"),
        (1_648_877, "9fb629c4189551a2d022fa330f9573f3", "2646ac647ad5339dbf082846283269ea"),
        (4_542, "ec29112dd5afa0611ce80d1b7f02629c", "27ae3e4e09519cfbb04c329615203637"),
    ),
    splits=_IDX_SPLITS,
)

FASHION = Source(
    name="fashion-mnist",
    title="Fashion-MNIST",
    summary="70,000 pieces of clothing",
    terms="MIT licence",
    shape=(1, 28, 28),
    background=0,
    pictures=_IDX_PICTURES,
    classes=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    mirrors=(
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ),
    files=_idx(
        (26_421_880, "8d4fb7e6c68d591d4c3dfef9ec88bf0d", "f4a8712d7a061bf5bd6d2ca38dc4d50a"),
        (29_515, "25c81989df183df01b3e8a0aad5dffbe", "9018921c3c673c538a1fc5bad174d6f9"),
        (4_422_102, "bef4ecab320f06d8554ea6380940ec79", "8181f5470baa50b63fa0f6fddb340f0a"),
        (5_148, "bb300cfdad3c16e7a12a480ee83cd310", "15d484375f8d13e6eb1aabb0c3f46965"),
    ),
    splits=_IDX_SPLITS,
)

KMNIST = Source(
    name="kmnist",
    title="KMNIST",
    summary="70,000 hiragana in old cursive writing",
    terms="CC BY-SA 4.0",
    shape=(1, 28, 28),
    background=0,
    pictures=_IDX_PICTURES,
    classes=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
    mirrors=(
        "https://codh.rois.ac.jp/kmnist/dataset/kmnist/",
        "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
    ),
    files=_idx(
        (18_165_135, "bdb82020997e1d708af4cf47b453dcf7", "92be26ec9822e900ac425d0a0aa84ced"),
        (29_497, "e144d726b3acfaa3e44228e80efcd344", "949e75301f8813e0dc5800dcc320fc52"),
        (3_041_136, "5c965bf0a639b31b8f53240b1b52f4d7", "bf305b8cd328700fbc17f5acbc2856d2"),
        (5_120, "7320c461ea6c1c855c0b718fb2a4b134", "9f55f451c0988b028eccdf7d5cc265ab"),
    ),
    splits=_IDX_SPLITS,
)


def _mat(name: str, size: int, md5: str) -> Download:
    return Download(name, md5, size, (Part(name, md5, size),))


SVHN = Source(
    name="svhn",
    title="SVHN",
    summary="99,289 digits from photographs of house numbers",
    terms="for non-commercial use only",
    shape=(3, 32, 32),
    background=None,
    pictures={"train": 73_257, "test": 26_032},
    classes=_DIGITS,
    mirrors=("http://ufldl.stanford.edu/housenumbers/",),
    files=(
        _mat("train_32x32.mat", 182_040_794, "e26dedcc434d2e4c54c9b2d4a06d8373"),
        _mat("test_32x32.mat", 64_275_384, "eb5a983be6a315427106f1b164d9cef3"),
    ),
    splits={"train": ("train_32x32.mat",), "test": ("test_32x32.mat",)},
)

CIFAR10 = Source(
    name="cifar10",
    title="CIFAR-10",
    summary="60,000 small photographs of animals and vehicles",
    terms="",
    shape=(3, 32, 32),
    background=None,
    pictures={"train": 50_000, "test": 10_000},
    classes=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    mirrors=("https://www.cs.toronto.edu/~kriz/", "https://cave.cs.toronto.edu/kriz/"),
    files=(
        # The version for Python is a pickle, which can run any code when it is read.
        Download(
            name="cifar-10-binary.tar.gz",
            md5="c32a1d4ab5d03f1284b67883e8d87530",
            size=170_052_171,
            parts=(
                Part("data_batch_1.bin", "5dd7e06a14cb22eb9f671a540d1b7c25", 30_730_000),
                Part("data_batch_2.bin", "5ea93a67294ea407fff1d09f752e9692", 30_730_000),
                Part("data_batch_3.bin", "942cd6a4bcdd0dd3c604fbe906cb4421", 30_730_000),
                Part("data_batch_4.bin", "ae636b3ba5c66a11e91e8cb52e771fcb", 30_730_000),
                Part("data_batch_5.bin", "53f37980c15c3d472c316c40844f3f0d", 30_730_000),
                Part("test_batch.bin", "803d5f7f4d78ea53de84dbe85f74fb6d", 30_730_000),
            ),
            folder="cifar-10-batches-bin",
        ),
    ),
    splits={"train": tuple(f"data_batch_{k}.bin" for k in range(1, 6)), "test": ("test_batch.bin",)},
)

SOURCES: dict[str, Source] = {source.name: source for source in (MNIST, FASHION, KMNIST, SVHN, CIFAR10)}
"""By name."""


def source_of(md5: str) -> Source | None:
    """The data set that has a file, packed or unpacked, with this MD5."""
    for source in SOURCES.values():
        if any(md5 in (file.md5, *(part.md5 for part in file.parts)) for file in source.files):
            return source
    return None
