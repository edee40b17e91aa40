"""Arrays of numbers from MATLAB's files of level 5, which is all that SVHN needs of them.

After "MAT-File Format" (The MathWorks, R2014a): a header of 128 bytes, then elements of a tag (type, bytes) and data.
An array is an element made of four: flags, sizes, name and numbers, the first index running fastest; it may be packed
by zlib. An element of at most four bytes has its data in its tag.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np

from sfumato.errors import SfumatoError

Order = Literal["<", ">"]
Array = np.ndarray[tuple[int, ...], np.dtype[Any]]

_MATRIX, _PACKED, _INT32, _UINT32 = 14, 15, 5, 6
_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
"""NumPy's name for each type in which numbers are stored."""
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
"""NumPy's name for each class of numeric array."""
_COMPLEX = 0x0800
_MOST = 2**31  # bytes that an array may unpack to; SVHN's largest has 225 million


def read_arrays(content: bytes) -> dict[str, Array]:
    """The real numeric arrays of a MATLAB file by name, in the order of the file; cells, texts and others are left out.

    Raises SfumatoError for a file that is no MATLAB file of level 5, is cut off or is damaged.
    """
    order = _order(content)
    arrays: dict[str, Array] = {}
    try:
        for kind, data in _elements(memoryview(content)[128:], order):
            for inner, body in _elements(_inflate(data), order) if kind == _PACKED else [(kind, data)]:
                if inner == _MATRIX:
                    arrays.update(_array(body, order))
    except (struct.error, zlib.error, ValueError) as error:
        raise SfumatoError(f"a MATLAB file is damaged or cut off ({error})") from error
    return arrays


def _order(content: bytes) -> Order:
    """The order of bytes, from the end of the header."""
    mark = content[126:128]
    order: Order = ">" if mark == b"MI" else "<"
    if mark not in (b"IM", b"MI") or struct.unpack(f"{order}H", content[124:126])[0] != 0x0100:
        raise SfumatoError("no MATLAB file of level 5; those of version 7.3 are HDF5 and are not read")
    return order


def _elements(data: memoryview, order: Order) -> Iterator[tuple[int, memoryview]]:
    """Type and data of each element."""
    start = 0
    while start < len(data):
        kind, size = struct.unpack_from(f"{order}II", data, start)
        if kind >> 16:  # a small one: its size and type share a word, and its data are in the tag
            kind, size = kind & 0xFFFF, kind >> 16
            begin, end = start + 4, start + 8
        else:
            begin = start + 8
            # All but the packed ones are filled up to a multiple of 8 bytes.
            end = begin + size + (0 if kind == _PACKED else -size % 8)
        if size > len(data) - begin or (begin == start + 4 and size > 4):
            raise ValueError(f"an element of {size} bytes where {len(data) - begin} are left")
        yield kind, data[begin : begin + size]
        start = end


def _inflate(packed: memoryview) -> memoryview:
    """What zlib packed, with its checksum compared."""
    unpacker = zlib.decompressobj()
    data = unpacker.decompress(packed, _MOST)
    if not unpacker.eof:
        raise ValueError("packed data without an end")
    return memoryview(data)


def _array(data: memoryview, order: Order) -> dict[str, Array]:
    """Name and values of an array, if it is one of real numbers."""
    elements = list(_elements(data, order))
    if len(elements) != 4 or [kind for kind, _ in elements[:2]] != [_UINT32, _INT32]:
        return {}
    (_, flags), (_, sizes), (_, name), (stored, numbers) = elements
    (word,) = struct.unpack_from(f"{order}I", flags)
    kind = _CLASSES.get(word & 0xFF)
    if kind is None or stored not in _TYPES or word & _COMPLEX:
        return {}
    shape = struct.unpack(f"{order}{len(sizes) // 4}i", sizes)
    # Small whole numbers are stored in fewer bytes than their class has.
    values = np.frombuffer(numbers, np.dtype(_TYPES[stored]).newbyteorder(order))
    if min(shape) < 0 or len(values) != math.prod(shape):
        raise ValueError(f"{len(values)} numbers for an array of {'×'.join(map(str, shape))}")
    with np.errstate(invalid="ignore"):  # a damaged file is no matter for a warning
        return {bytes(name).decode("ascii"): values.astype(kind, copy=False).reshape(shape, order="F")}
