"""Signed permutations that a user gives, as a table, a file or a string."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_views import assert_orthogonal, pictures

from sfumato.core.views import Negate, Rotate, chain, parse_view
from sfumato.core.views.signed import Signed, signed


def table(seed: int, height: int, width: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(height * width, generator=generator) + 1
    signs = 2 * torch.randint(2, order.shape, generator=generator) - 1
    return (order * signs).view(height, width)


@given(st.integers(0, 999), st.integers(1, 9), st.integers(1, 9), st.integers(1, 3))
def test_any_signed_permutation_is_orthogonal_and_reads_back(seed, height, width, times):
    entries = table(seed, height, width)
    view = signed(entries)
    assert torch.equal(view.entries, entries)
    assert parse_view(str(view)) == chain(view)
    assert_orthogonal(view, pictures(seed, times * height, times * width))


@pytest.mark.parametrize("size", [28, 64, 256])
def test_what_it_does(size):
    """Pixel p of what is seen is pixel |e| − 1 of the picture, e the entry at p, with e's sign."""
    entries = table(1, size, size)
    x = pictures(2, size, size)[:1]
    flat = x[0, 0].flatten().tolist()
    expected = [flat[abs(e) - 1] * (1 if e > 0 else -1) for e in entries.flatten().tolist()]
    assert signed(entries)(x)[0, 0].flatten().tolist() == expected


def test_on_a_larger_canvas_it_moves_cells():
    view = signed(torch.tensor([[2, -1], [3, 4]]))
    x = torch.arange(16, dtype=torch.float64).view(1, 1, 4, 4)
    assert view(x)[0, 0].tolist() == [[2, 3, 0, -1], [6, 7, -4, -5], [8, 9, 10, 11], [12, 13, 14, 15]]


@pytest.mark.parametrize("size", [(3, 3), (4, 2), (2, 4)])
def test_other_canvases_are_refused(size):
    with pytest.raises(ValueError, match=r"a permutation of 2×2 pixels fits canvases 1, 2, … times that size, not"):
        signed(torch.tensor([[2, -1], [3, 4]]))(pictures(0, *size))


def test_a_table_of_a_turn_is_a_turn():
    numbers = torch.arange(1.0, 65).view(1, 1, 8, 8)
    turn = chain(Rotate(90), Negate())
    assert torch.equal(signed(turn(numbers)[0, 0].long())(numbers), turn(numbers))


@pytest.mark.parametrize(
    "entries", [[[1, 1]], [[0, 1]], [[1, 3]], [[1, -1]], [[2, 3]], [[1, 2**62]], [[1, -(2**63)]]], ids=str
)
def test_no_permutation_is_refused(entries):
    with pytest.raises(ValueError, match="a signed permutation of 2 pixels has each of 1 … 2 once"):
        signed(torch.tensor(entries))


def test_damaged_strings_are_refused():
    text = str(signed(table(0, 5, 5)))
    shorter, longer = text[:-1], f"{text}A"
    other = f"{text[:-1]}{'A' if text[-1] != 'A' else 'B'}"
    plus = text.replace("-", "/").replace("_", "/")
    odd = [
        "signed:5:5:",
        "signed:0:5:AA",
        "signed:-1:-1:AAAA",
        "signed:99999:99999:AAAA",
        "signed:1:1:ä",
        "signed:1:1:A",
    ]
    for each in [shorter, longer, other, *odd, *([plus] if plus != text else [])]:
        with pytest.raises(ValueError, match="a signed permutation"):
            parse_view(each)


def test_the_string_of_a_permutation_of_64_pixels_a_side_stays_short():
    assert len(str(signed(table(0, 64, 64)))) < 64 * 64 * 13 / 6 + 20


# Files


def save(path, entries) -> str:
    if path.suffix == ".npy":
        np.save(path, entries)
    else:
        path.write_text(json.dumps(np.asarray(entries).tolist()))
    return f"file:{path}"


@pytest.mark.parametrize("suffix", [".npy", ".json"])
def test_a_file_becomes_a_string_that_needs_no_file(tmp_path, suffix):
    entries = table(3, 6, 4)
    path = tmp_path / f"view{suffix}"
    view = parse_view(f"flip+{save(path, entries.numpy())}+negate")
    path.unlink()
    assert parse_view(str(view)) == view
    assert view.parts[1] == signed(entries)
    square = table(4, 5, 5)
    assert parse_view(save(path, square.flatten().numpy())) == chain(signed(square))


@pytest.mark.parametrize("kind", ["i1", "i2", "i4", "i8"])
def test_every_integer_of_numpy_reads(tmp_path, kind):
    entries = table(5, 4, 6)
    for k, array in enumerate([entries.numpy().astype(kind), np.asfortranarray(entries.numpy().astype(kind))]):
        assert parse_view(save(tmp_path / f"{k}.npy", array)).parts == (signed(entries),)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", b"[1, 2", "Expecting"),
        ("a.json", b"{}", "neither a list of whole numbers nor a list of rows"),
        ("a.json", b"[1, true]", "neither a list"),
        ("a.json", b"[[1, 2], [3]]", "neither a list"),
        ("a.json", b"[[1], 2]", "neither a list"),
        ("a.json", b"[1.0]", "neither a list"),
        ("a.json", b"[]", "neither a list"),
        ("a.json", b"[[]]", "neither a table nor the list of a square canvas"),
        ("a.json", b"[1, 2, 3]", r"numbers of shape \(3,\) are neither a table"),
        ("a.json", b"[1, 2, 3, 3]", "this one has no 4"),
        ("a.json", b"[" * 100_000, "a.json: "),
        ("a.json", b"\xff\xfe\xff", "a.json: "),
        ("a.npy", b"nothing", "it is no .npy file"),
        ("a.npy", b"", "it is no .npy file"),
        ("a.npy", b"\x93NUMPY\x01\x00\x05\x00oh no", "a.npy: "),
        ("a.npy", b"\x93NUMPY", "a.npy: "),
        ("a.npy", b"\x93NUMPY\x01\x00\x02\x00{}", "its header is damaged"),
        (
            "a.npy",
            b"\x93NUMPY\x01\x00\x38\x00{'descr': '<i4', 'fortran_order': 0 > 1, 'shape': (1,)}   ",
            "a.npy: ",
        ),
        ("a.txt", b"1 2", "is a .npy or .json file"),
    ],
)
def test_other_files_are_refused(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        parse_view(f"file:{path}")


@pytest.mark.parametrize("array", [np.ones(4), np.ones((1, 1), ">i4"), np.ones((1, 1, 1), int), np.array([None])])
def test_other_arrays_are_refused(tmp_path, array):
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    with pytest.raises(ValueError, match=r"a\.npy: (its numbers are|numbers of shape)"):
        parse_view(f"file:{tmp_path / 'a.npy'}")


def test_a_cut_file_is_refused(tmp_path):
    path = tmp_path / "a.npy"
    save(path, table(0, 4, 4).numpy())
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(ValueError, match="it does not have as many numbers as it says"):
        parse_view(f"file:{path}")


def test_no_file_is_read_where_the_text_is_a_strangers(tmp_path):
    text = save(tmp_path / "view.json", table(0, 2, 2))
    assert isinstance(parse_view(text).parts[0], Signed)
    with pytest.raises(ValueError, match="unknown view 'file'; choose one of identity"):
        parse_view(text, files=False)
    with pytest.raises(ValueError, match=r"cannot read .*: No such file"):
        parse_view(f"file:{tmp_path / 'none.npy'}")
    with pytest.raises(ValueError, match="file wants its path; it is written file:path"):
        parse_view("file")
