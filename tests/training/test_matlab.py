"""MATLAB's files are read as SciPy reads them, and damaged ones are refused in one line."""

import io
import struct
import zlib

import numpy as np
import pytest
from fake_sets import mat
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.io import loadmat, savemat

from sfumato.errors import SfumatoError
from sfumato.training.datasets.matlab import read_arrays

KINDS = ("u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8")


@given(
    st.sampled_from(KINDS).flatmap(lambda kind: arrays(kind, st.lists(st.integers(1, 4), min_size=2, max_size=4))),
    st.sampled_from(["X", "y", "abcd", "longer_than_a_small_element"]),
    st.booleans(),
)
def test_arrays_are_those_that_scipy_reads(array, name, packed):
    file = io.BytesIO()
    savemat(file, {name: array, "other": np.arange(3.0)}, do_compression=packed)
    found = read_arrays(file.getvalue())
    expected = loadmat(io.BytesIO(file.getvalue()))[name]
    assert list(found) == [name, "other"]
    assert found[name].dtype == expected.dtype
    np.testing.assert_array_equal(found[name], expected)


def test_what_is_no_real_array_is_left_out():
    file = io.BytesIO()
    others = {"text": "abc", "cell": np.array([1, "b"], object), "complex": np.array([1j]), "fields": {"a": 1}}
    savemat(file, {**others, "y": np.arange(4, dtype=np.uint8)})
    assert list(read_arrays(file.getvalue())) == ["y"]


def element(order: str, kind: int, data: bytes) -> bytes:
    return struct.pack(f"{order}II", kind, len(data)) + data + bytes(-len(data) % 8)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("packed", [True, False])
def test_both_orders_of_bytes(order, packed):
    """Written by hand: SciPy writes only that of the machine. Whole numbers of class double are kept as bytes."""
    name = struct.pack(f"{order}I", 1 << 16 | 1) + b"y\0\0\0"
    flags = element(order, 6, struct.pack(f"{order}II", 6, 0))
    body = flags + element(order, 5, struct.pack(f"{order}2i", 2, 2)) + name + element(order, 2, bytes([1, 2, 3, 200]))
    matrix = element(order, 14, body)
    content = zlib.compress(matrix)
    head = b" " * 124 + struct.pack(f"{order}H", 0x0100) + (b"IM" if order == "<" else b"MI")
    file = head + (struct.pack(f"{order}II", 15, len(content)) + content if packed else matrix)
    np.testing.assert_array_equal(read_arrays(file)["y"], [[1.0, 3.0], [2.0, 200.0]])
    np.testing.assert_array_equal(loadmat(io.BytesIO(file))["y"], [[1.0, 3.0], [2.0, 200.0]])


FILES = {packed: io.BytesIO() for packed in (True, False)}
for how, stream in FILES.items():
    savemat(stream, {"X": np.arange(60, dtype=np.uint8).reshape(3, 4, 5), "y": np.arange(3.0)}, do_compression=how)


@pytest.mark.parametrize("packed", [True, False])
def test_a_file_that_is_cut_off_is_refused(packed):
    content = FILES[packed].getvalue()
    whole = read_arrays(content)
    for length in range(len(content)):
        try:
            found = read_arrays(content[:length])
        except SfumatoError as error:
            assert "\n" not in str(error)  # noqa: PT017
        else:
            assert set(found) < set(whole)  # cut between two arrays


@given(st.booleans(), st.integers(0, 10**6), st.integers(1, 255))
def test_a_damaged_file_is_read_or_refused(packed, place, change):
    content = bytearray(FILES[packed].getvalue())
    content[place % len(content)] ^= change
    try:
        read_arrays(bytes(content))
    except SfumatoError as error:
        assert "\n" not in str(error)  # noqa: PT017


@pytest.mark.parametrize("content", [b"", b"text", bytes(200), b"\x89HDF\r\n\x1a\n" + bytes(600)])
def test_another_file_is_refused(content):
    with pytest.raises(SfumatoError, match="no MATLAB file of level 5"):
        read_arrays(content)


def test_an_older_level_is_refused():
    file = io.BytesIO()
    savemat(file, {"y": np.arange(300.0)}, format="4")
    with pytest.raises(SfumatoError, match="level 5"):
        read_arrays(file.getvalue())


def test_packed_data_that_unpack_to_too_much(monkeypatch):
    monkeypatch.setattr("sfumato.training.datasets.matlab._MOST", 10_000)
    assert read_arrays(mat(y=np.zeros(1000)))["y"].shape == (1, 1000)
    with pytest.raises(SfumatoError, match="without an end"):
        read_arrays(mat(y=np.zeros(10_000)))
