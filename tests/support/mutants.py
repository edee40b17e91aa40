"""Broken files: every kind of picture, job and metadata that the program reads, mutated at random but reproducibly."""

from __future__ import annotations

import io
import json
import random
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image, PngImagePlugin

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def pictures() -> list[bytes]:
    """Whole pictures of every format and mode."""
    rng = np.random.default_rng(0)
    colour = Image.fromarray(rng.integers(0, 256, (37, 41, 3), dtype=np.uint8))
    deep = Image.fromarray(rng.integers(0, 65536, (37, 41), dtype=np.uint16))
    exif = Image.Exif()
    exif[0x0112] = 6
    out = [_saved(colour.convert(mode), "PNG") for mode in ("1", "L", "LA", "P", "RGB", "RGBA")]
    out += [_saved(deep, "PNG"), _saved(colour.convert("P"), "PNG", transparency=3)]
    out += [_saved(colour.convert(mode), "JPEG", exif=exif.tobytes()) for mode in ("L", "RGB", "CMYK")]
    out += [_saved(colour, "WEBP", lossless=True), _saved(colour.convert("RGBA"), "WEBP")]
    frames = [colour.rotate(angle) for angle in (0, 90)]
    out.append(_saved(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    return out


def foreign() -> list[bytes]:
    """Pictures in formats that are not read."""
    colour = Image.fromarray(np.zeros((9, 9, 3), dtype=np.uint8))
    return [_saved(colour, name) for name in ("BMP", "TIFF", "PPM", "ICO", "TGA", "PCX", "SGI", "JPEG2000")]


def jobs() -> list[dict[str, object]]:
    """Jobs of every kind, as they stand in a picture."""
    picture = {"name": "a.png", "png": _text(_saved(Image.new("L", (28, 28), 128), "PNG"))}
    shared = {"steps": 3, "guidance": 2.0, "seed": 1}
    return [
        {"kind": "generate", "prompt": "3", **shared},
        {"kind": "edit", "prompt": "3", "image": picture, "begin": 1, **shared},
        {"kind": "inpaint", "prompt": "3", "image": picture, "mask": picture, "resample": 2, **shared},
        {"kind": "anagram", "readings": [{"prompt": "6"}, {"prompt": "9", "view": "rotate:180"}], **shared},
        {"kind": "hybrid", "far": "0", "near": "3", "sigma": 2.0, **shared},
        {"kind": "denoise", "image": picture, "t": 100, "method": "iterative", **shared},
        {"kind": "upscale", "image": picture, "prompt": "3", **shared},
    ]


def endless() -> list[dict[str, object]]:
    """Jobs that are well formed and would never end."""
    inpaint = jobs()[2]
    many = {"resample": 10**9, "jump": 1, "steps": 300}
    return [{**inpaint, **many}, {"kind": "generate", "steps": 10**9, "guidance": 1.0}, {**inpaint, "jump": 10**18}]


def carrying(facts: object) -> bytes:
    """A PNG with something in the place of a job's provenance."""
    info = PngImagePlugin.PngInfo()
    info.add_itxt("sfumato", facts if isinstance(facts, str) else json.dumps(facts))
    return _saved(Image.new("L", (28, 28), 128), "PNG", pnginfo=info)


def mutated_pictures(count: int, seed: int = 0) -> Iterator[bytes]:
    """Pictures with bytes changed, cut, doubled or inserted, or with a header that lies."""
    rng, whole = random.Random(seed), pictures()
    for k in range(count):
        data = whole[k % len(whole)]
        change = rng.choice((_flip, _flip, _cut, _double, _insert, _blank, _lie))
        yield change(data, rng)


def mutated_jobs(count: int, seed: int = 0) -> Iterator[object]:
    """Provenances with values exchanged for odd ones, and fields missing, added or renamed."""
    rng, whole = random.Random(seed), jobs()
    for k in range(count):
        facts: dict[str, object] = {"schema": 3, "job": json.loads(json.dumps(whole[k % len(whole)])), "models": []}
        yield _odd(facts, rng) if rng.random() < 0.2 else {**facts, "job": _odd(facts["job"], rng)}


ODD = (
    None, True, "", "x" * 100_000, "\x00", "﷽", -1, 0, 1e308, -1e308, 2**70, 10**9, 1e-320, [], {}, [[]] * 1000,
    float("nan"), float("inf"), "nan", "1e999", "../../etc/passwd", "rotate:45", "flip+" * 5000 + "flip",
    "rotate:" + "9" * 5000,
    "digits/none", "runs", "/dev/zero", {"name": "a", "png": "!!"}, {"name": "a", "png": "aGVsbG8="},
)  # fmt: skip
"""Values that no field expects."""


def _odd(value: object, rng: random.Random) -> object:
    if not isinstance(value, dict) or not value:
        return rng.choice(ODD)
    key = rng.choice(sorted(value))
    match rng.randrange(5):
        case 0:
            return {k: v for k, v in value.items() if k != key}
        case 1:
            return {**value, rng.choice(("extra", "steps", "model", "larger", "threshold", "eta")): rng.choice(ODD)}
        case 2 if isinstance(value[key], dict):
            return {**value, key: _odd(value[key], rng)}
        case _:
            return {**value, key: rng.choice(ODD)}


def _flip(data: bytes, rng: random.Random) -> bytes:
    out = bytearray(data)
    for _ in range(rng.choice((1, 2, 8, 64))):
        out[rng.randrange(len(out))] ^= 1 << rng.randrange(8)
    return bytes(out)


def _cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data))]


def _double(data: bytes, rng: random.Random) -> bytes:
    start, end = sorted(rng.randrange(len(data)) for _ in range(2))
    return data[:end] + data[start:end] + data[end:]


def _insert(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + rng.randbytes(rng.choice((1, 7, 1000))) + data[at:]


def _blank(data: bytes, rng: random.Random) -> bytes:
    start, end = sorted(rng.randrange(len(data)) for _ in range(2))
    return data[:start] + bytes(end - start) + data[end:]


def _lie(data: bytes, rng: random.Random) -> bytes:
    """A PNG whose header says another size, with a checksum that fits; other formats with a byte of their head."""
    if not data.startswith(SIGNATURE):
        return _flip(data[:64], rng) + data[64:]
    sizes = (0, 1, 28, 7_999, 65_535, 2**31 - 1)
    head = struct.pack(">II", rng.choice(sizes), rng.choice(sizes)) + data[24:29]
    return data[:16] + head + struct.pack(">I", zlib.crc32(b"IHDR" + head)) + data[33:]


def _saved(image: Image.Image, name: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, name, **options)
    return buffer.getvalue()


def _text(data: bytes) -> str:
    import base64

    return base64.b64encode(data).decode()
