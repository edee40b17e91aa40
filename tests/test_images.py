"""The reader refuses what it cannot read in one line, and what it reads is what the file says."""

import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sfumato.errors import UsageError
from sfumato.images import ImageError, is_image, read_image, to_image, to_tensor


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int, colour: int, rows: bytes, *chunks: bytes) -> bytes:
    """A PNG byte by byte, for what Pillow does not write."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = b"".join(chunks) + png_chunk(b"IDAT", zlib.compress(rows)) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + body


def gradient(height: int, width: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


def pixels(path: Path) -> np.ndarray:
    return np.asarray(read_image(path))


# Laws


@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3]), st.integers(0, 2**32 - 1))
def test_a_picture_survives_the_way_to_a_tensor_and_back(height, width, channels, seed):
    levels = torch.randint(256, (channels, height, width), generator=torch.Generator().manual_seed(seed))
    image = to_image(levels / 255)
    assert image.mode == ("L" if channels == 1 else "RGB")
    assert image.size == (width, height)
    assert torch.equal((to_tensor(image, None, channels) * 255).round().long(), levels)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 20), st.integers(1, 20), st.integers(0, 255))
def test_a_flat_picture_stays_flat_at_any_size(height, width, new_height, new_width, level):
    x = to_tensor(Image.new("L", (width, height), level), (new_height, new_width), 1)
    assert x.shape == (1, new_height, new_width)
    assert torch.allclose(x, torch.tensor(level / 255), atol=1 / 255)


def test_to_image_clamps_and_rounds_to_nearest():
    x = torch.tensor([-1.0, 0.4 / 255, 0.6 / 255, 1.0, 7.0, float("nan"), float("inf")]).view(1, 1, -1)
    assert np.asarray(to_image(x)).tolist() == [[0, 0, 1, 255, 255, 0, 255]]
    assert np.asarray(to_image(x.half().requires_grad_()))[0, -1] == 255


def test_the_crop_is_the_middle_of_the_picture():
    image = np.zeros((30, 90), np.uint8)
    image[:, 30:60] = 200
    assert torch.equal(to_tensor(Image.fromarray(image), (30, 30), 1), torch.full((1, 30, 30), 200 / 255))
    assert torch.equal(to_tensor(Image.fromarray(image.T.copy()), (30, 30), 1), torch.full((1, 30, 30), 200 / 255))


def test_grey_is_the_luma_of_itu_r_601():
    red, green, blue = (to_tensor(Image.new("RGB", (1, 1), c), None, 1).item() for c in ("red", "#00ff00", "blue"))
    assert [red, green, blue] == pytest.approx([0.299, 0.587, 0.114], abs=1 / 255)


def test_alpha_lies_on_the_background():
    image = Image.new("RGBA", (2, 1), (255, 0, 0, 255))
    image.putpixel((1, 0), (255, 255, 255, 0))
    black, white = to_tensor(image), to_tensor(image, background=1.0)
    assert black[:, 0, 0].tolist() == white[:, 0, 0].tolist() == [1, 0, 0]
    assert black[:, 0, 1].tolist() == [0, 0, 0]
    assert white[:, 0, 1].tolist() == [1, 1, 1]
    half = to_tensor(Image.new("LA", (1, 1), (200, 128)), None, 1, background=0.5).item()
    assert half == pytest.approx((200 * 128 / 255 + 127.5 * 127 / 255) / 255, abs=1.5 / 255)


@pytest.mark.parametrize("channels", [0, 2, 4])
def test_other_numbers_of_channels_are_refused(channels):
    with pytest.raises(UsageError, match="1 channel"):
        to_tensor(Image.new("L", (2, 2)), None, channels)
    with pytest.raises(UsageError, match="1 channel"):
        to_image(torch.zeros(channels, 2, 2))


def test_a_size_without_pixels_is_refused():
    with pytest.raises(UsageError, match="at least 1"):
        to_tensor(Image.new("L", (2, 2)), (0, 4), 1)


# What the files say


@pytest.mark.parametrize("suffix", ["png", "webp", "gif", "jpg"])
def test_the_name_of_a_file_does_not_matter(tmp_path, suffix):
    path = tmp_path / "picture.txt"
    Image.new("RGB", (5, 4), (200, 100, 50)).save(path, format={"jpg": "jpeg"}.get(suffix, suffix))
    assert is_image(path)
    image = read_image(path)
    assert image.mode == "RGB"
    assert np.abs(np.asarray(image).astype(int) - [200, 100, 50]).max() <= 3


def test_16_bit_grey_keeps_the_ratio(tmp_path):
    levels = np.array([[0, 257, 10_000, 32_768, 65_535]], np.uint16)
    Image.fromarray(levels).save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png")
    assert image.mode == "L"
    assert np.asarray(image).tolist() == [[round(v / 257) for v in levels[0].tolist()]]


def test_16_bit_colour_and_its_transparent_colour(tmp_path):
    row = b"\0" + struct.pack(">6H", 65_535, 32_768, 0, 51_400, 25_700, 12_850)
    (tmp_path / "a.png").write_bytes(png(2, 1, 16, 2, row))
    assert np.abs(pixels(tmp_path / "a.png").astype(int) - [[[255, 127, 0], [200, 100, 50]]]).max() <= 1
    key = png_chunk(b"tRNS", struct.pack(">3H", 65_535, 32_768, 0))
    (tmp_path / "b.png").write_bytes(png(2, 1, 16, 2, row, key))
    assert pixels(tmp_path / "b.png")[0, :, 3].tolist() == [0, 255]


@pytest.mark.parametrize(("depth", "row"), [(1, 0b0100_0000), (2, 0b0011_0000), (4, 0x0F)])
def test_few_bits_fill_the_range_and_keep_their_transparent_level(tmp_path, depth, row):
    """Two pixels, black and white, the white one transparent."""
    data = bytes([0, row])
    (tmp_path / "a.png").write_bytes(png(2, 1, depth, 0, data))
    assert pixels(tmp_path / "a.png").tolist() == [[0, 255]]
    key = png_chunk(b"tRNS", struct.pack(">H", 2**depth - 1))
    (tmp_path / "b.png").write_bytes(png(2, 1, depth, 0, data, key))
    assert pixels(tmp_path / "b.png").tolist() == [[[0, 255], [255, 0]]]


def test_16_bit_grey_with_a_transparent_level(tmp_path):
    row = b"\0" + struct.pack(">2H", 0x1234, 0x1235)
    (tmp_path / "a.png").write_bytes(png(2, 1, 16, 0, row, png_chunk(b"tRNS", struct.pack(">H", 0x1235))))
    assert pixels(tmp_path / "a.png")[0, :, 1].tolist() == [255, 0]


def test_1_bit(tmp_path):
    Image.fromarray(np.eye(5, dtype=bool)).save(tmp_path / "a.png")
    assert np.array_equal(pixels(tmp_path / "a.png"), 255 * np.eye(5, dtype=np.uint8))


@pytest.mark.parametrize("suffix", ["png", "gif"])
def test_palette_with_transparency(tmp_path, suffix):
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    image.save(tmp_path / f"a.{suffix}", transparency=1)
    read = read_image(tmp_path / f"a.{suffix}")
    assert read.mode == "RGBA"
    assert np.asarray(read)[0, 0].tolist() == [255, 0, 0, 255]
    assert np.asarray(read)[0, 1, 3] == 0
    assert to_tensor(read)[:, 0, 1].tolist() == [0, 0, 0]


def test_palette_with_several_alphas(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    image.save(tmp_path / "a.png", transparency=bytes([255, 100]))
    assert pixels(tmp_path / "a.png").tolist() == [[[255, 0, 0, 255], [0, 0, 255, 100]]]


def test_cmyk_jpeg(tmp_path):
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "a.jpg")
    image = read_image(tmp_path / "a.jpg")
    assert image.mode == "RGB"
    assert np.abs(np.asarray(image).astype(int) - [255, 0, 0]).max() <= 8


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_exif_orientation_is_applied(tmp_path, orientation, suffix):
    upright = Image.new("RGB", (48, 32), "black")
    upright.paste("white", (0, 0, 24, 16))  # marks the top left
    back = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(back[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / f"a.{suffix}", exif=exif, quality=95)
    image = read_image(tmp_path / f"a.{suffix}")
    assert image.size == (48, 32)
    assert np.abs(np.asarray(image).astype(int) - np.asarray(upright)).mean() < 8


def test_unreadable_exif_data_do_not_matter(tmp_path):
    Image.new("RGB", (8, 8), "white").save(tmp_path / "a.jpg", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12\0\x03")
    assert read_image(tmp_path / "a.jpg").size == (8, 8)


def test_the_first_frame_of_an_animation(tmp_path):
    frames = [Image.new("RGB", (4, 4), c) for c in ("red", "blue")]
    for suffix in ("gif", "webp", "png"):
        frames[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=frames[1:], lossless=True)
        assert pixels(tmp_path / f"a.{suffix}")[0, 0, :3].tolist() == pytest.approx([255, 0, 0], abs=2)


def test_a_jpeg_may_be_read_smaller(tmp_path):
    Image.fromarray(gradient(400, 800)).save(tmp_path / "a.jpg")
    assert read_image(tmp_path / "a.jpg").size == (800, 400)
    small = read_image(tmp_path / "a.jpg", at_least=50)
    assert small.size == (100, 50)


def test_the_file_is_closed_and_the_picture_stays(tmp_path):
    Image.new("L", (3, 3), 7).save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png")
    (tmp_path / "a.png").unlink()
    assert image.getpixel((1, 1)) == 7


# What is refused


def refused(path: Path) -> str:
    with pytest.raises(ImageError) as caught:
        read_image(path)
    message = str(caught.value)
    assert isinstance(caught.value, UsageError)
    assert "\n" not in message
    assert str(path) in message
    assert caught.value.reason in message
    return caught.value.reason


def test_missing_file(tmp_path):
    assert "no such file" in refused(tmp_path / "none.png")
    (tmp_path / "file").write_text("x")
    assert "no such file" in refused(tmp_path / "file" / "a.png")
    assert "no such file" in refused(tmp_path / ("x" * 5000))
    assert not is_image(tmp_path / "none.png")


def test_a_folder(tmp_path):
    assert "folder" in refused(tmp_path)


def test_an_empty_file(tmp_path):
    (tmp_path / "a.png").touch()
    assert "empty" in refused(tmp_path / "a.png")


def test_text_with_the_name_of_a_picture(tmp_path):
    (tmp_path / "a.png").write_text("P1\n2 2\n1 0 0 1\n")  # what other readers take for a picture
    assert refused(tmp_path / "a.png") == "not a PNG, JPEG, WebP or GIF picture"


@pytest.mark.parametrize("suffix", ["bmp", "tiff", "ppm", "ico"])
def test_other_formats(tmp_path, suffix):
    Image.new("RGB", (16, 16)).save(tmp_path / f"a.{suffix}")
    (tmp_path / f"a.{suffix}").rename(tmp_path / "a.png")
    assert refused(tmp_path / "a.png") == "not a PNG, JPEG, WebP or GIF picture"


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "gif"])
def test_a_file_cut_off_anywhere(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(gradient(40, 40)).save(path)
    whole = path.read_bytes()
    # (The very last bytes of a file are an end marker, which a reader may do without.)
    for keep in [3, 11, 20, 40, 100, len(whole) // 4, len(whole) // 2, len(whole) * 3 // 4]:
        path.write_bytes(whole[:keep])
        assert refused(path)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "gif"])
def test_damage_is_an_error_of_one_line_or_a_picture(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(gradient(24, 24)).save(path)
    whole = path.read_bytes()
    rng = np.random.default_rng(1)
    for _ in range(60):
        damaged = bytearray(whole)
        for place in rng.integers(0, min(len(whole), 400), 3):
            damaged[place] = rng.integers(256)
        path.write_bytes(bytes(damaged))
        try:
            image = read_image(path, max_pixels=1_000_000)
        except ImageError:  # any other error would fail the test
            continue
        assert image.mode in ("L", "LA", "RGB", "RGBA")


@pytest.mark.parametrize(
    ("width", "height"), [(8001, 8000), (10_000, 10_000), (60_000, 60_000), (2**31 - 1, 2**31 - 1)]
)
def test_a_decompression_bomb_is_refused_before_decoding(tmp_path, width, height):
    # There are no pixels in the file at all, so any decoding would end in another error.
    (tmp_path / "a.png").write_bytes(png(width, height, 8, 2, b""))
    reason = refused(tmp_path / "a.png")
    assert "64 million" in reason


def test_the_limit_of_pixels_is_an_argument(tmp_path):
    Image.new("L", (30, 30)).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png", max_pixels=900).size == (30, 30)
    with pytest.raises(UsageError, match="30×30"):
        read_image(tmp_path / "a.png", max_pixels=899)


def test_no_pixels(tmp_path):
    (tmp_path / "a.png").write_bytes(png(0, 5, 8, 0, b""))
    assert refused(tmp_path / "a.png")


def test_nothing_is_said_on_the_side(tmp_path):
    """Not even with warnings shown."""
    (tmp_path / "a.png").write_bytes(png(9000, 9000, 8, 2, b""))
    Image.new("P", (2, 2)).save(tmp_path / "b.png", transparency=bytes([1, 2]))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        refused(tmp_path / "a.png")
        read_image(tmp_path / "b.png")
    assert said == []
