"""Signed permutations from files: the one place where the engine reads any."""

from __future__ import annotations

import ast
import json
import math
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor

from sfumato.core.views.signed import Signed, signed

_INTEGERS = {"i1": torch.int8, "i2": torch.int16, "i4": torch.int32, "i8": torch.int64}


def read_signed(path: str) -> Signed:
    """A signed permutation of pixels from a .npy or .json file.

    The file is a list of the height · width entries of a square canvas row by row, or a table of them (a list of
    rows): for each pixel of what is seen, 1 + the index of the pixel that it comes from, negative where its value is
    to be negated. Raises ValueError for a file that is not there or is something else.
    """
    try:
        data = Path(path).read_bytes()
        if path.endswith(".npy"):
            entries = _from_npy(data)
        elif path.endswith(".json"):
            entries = _from_list(json.loads(data))
        else:
            raise ValueError("a signed permutation is a .npy or .json file")
        return signed(_table(entries))
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, SyntaxError, RecursionError) as error:
        raise ValueError(f"{path}: {error}") from error


def _table(entries: Int64[Tensor, "*shape"]) -> Int64[Tensor, "h w"]:
    if entries.ndim == 1 and math.isqrt(len(entries)) ** 2 == len(entries) > 0:
        side = math.isqrt(len(entries))
        return entries.view(side, side)
    if entries.ndim == 2 and entries.numel():
        return entries
    raise ValueError(f"numbers of shape {tuple(entries.shape)} are neither a table nor the list of a square canvas")


def _from_list(data: Any) -> Int64[Tensor, "*shape"]:
    rows = data if isinstance(data, list) else []
    flat = [entry for row in rows for entry in (row if isinstance(row, list) else [row])]
    lengths = {len(row) if isinstance(row, list) else 0 for row in rows}
    if len(lengths) != 1 or not all(type(entry) is int and abs(entry) < 2**63 for entry in flat):
        raise ValueError("it is neither a list of whole numbers nor a list of rows of them")
    table = torch.tensor(flat, dtype=torch.long)
    return table if lengths == {0} else table.view(len(rows), -1)


def _from_npy(data: bytes) -> Int64[Tensor, "*shape"]:
    """Integers in numpy's format, read without numpy or pickle (numpy's "NEP 1").

    It is a magic word, a version, the length of the header, the header as a Python literal, and the numbers.
    """
    if data[:6] != b"\x93NUMPY":
        raise ValueError("it is no .npy file")
    begin = 10 if data[6:7] == b"\x01" else 12
    end = begin + int.from_bytes(data[8:begin], "little")
    match ast.literal_eval(data[begin:end].decode("latin1").strip()):
        case {"shape": tuple(shape), "descr": str(kind), "fortran_order": bool(fortran)} if _is_shape(shape):
            pass
        case _:
            raise ValueError("its header is damaged")
    if kind[1:] not in _INTEGERS or kind[0] == ">":
        raise ValueError(f"its numbers are {kind}; save them as little-endian integers, such as int32")
    if len(data) - end != math.prod(shape) * int(kind[2:]) or len(data) == end:
        raise ValueError("it does not have as many numbers as it says")
    values = torch.frombuffer(bytearray(data[end:]), dtype=_INTEGERS[kind[1:]]).long()
    # In Fortran's order the first axis runs fastest.
    return values.view(shape[::-1]).permute(*range(len(shape))[::-1]) if fortran else values.view(shape)


def _is_shape(shape: tuple[Any, ...]) -> bool:
    return all(type(size) is int and size >= 0 for size in shape)
