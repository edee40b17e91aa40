import io
from functools import cache

import pytest
import torch
from PIL import Image, ImageSequence

from sfumato.app.jobs import Generate, parse_job
from sfumato.app.output import (
    gif_bytes,
    parameters,
    pixel_digest,
    provenance,
    rounding,
    save_image,
    sheet,
    terminal_preview,
    zoom_for,
)
from sfumato.app.pictures import Picture
from sfumato.app.run import run
from sfumato.backends.registry import load
from sfumato.errors import SfumatoError, UsageError
from sfumato.images import to_image


def test_a_sheet_shows_every_picture_enlarged():
    pictures = torch.stack([torch.full((1, 4, 6), k / 10) for k in range(5)])
    image = sheet(pictures, columns=3, zoom=2, gap=1)
    assert image.size == ((3 * 7 + 1) * 2, (2 * 5 + 1) * 2)
    for k in range(5):
        row, column = divmod(k, 3)
        assert image.getpixel(((column * 7 + 3) * 2, (row * 5 + 3) * 2)) == round(k / 10 * 255)
    assert image.getpixel((0, 0)) == 128


def test_small_pictures_are_enlarged_and_large_ones_not():
    assert zoom_for(28) == 4
    assert zoom_for(64) == 2
    assert zoom_for(512) == 1


def test_a_gif_holds_its_last_frame():
    frames = [Image.new("L", (8, 8), value) for value in (0, 100, 200)]
    with Image.open(io.BytesIO(gif_bytes(frames, 50, hold=900))) as gif:
        durations = [frame.info["duration"] for frame in ImageSequence.Iterator(gif)]
    assert durations == [50, 50, 900]


def test_the_terminal_shows_two_rows_a_line():
    picture = torch.zeros(1, 1, 4, 4)
    picture[..., :2, :] = 1
    lines = terminal_preview(picture, width=80).splitlines()
    assert len(lines) == 2
    assert lines[0].count("▀") == 5  # four pixels and a gap
    assert "255;255;255" in lines[0]
    assert terminal_preview(torch.zeros(1, 1, 64, 64), width=40) == "", "what does not fit is not shown"


def test_parameters_are_in_the_form_that_others_read():
    job = Generate(model="digits", steps=20, guidance=2.0, prompt="3", negative="8", seed=4)
    assert parameters(job) == ("3\nNegative prompt: 8\nSteps: 20, Sampler: ddpm, CFG scale: 2, Seed: 4, Model: digits")


def test_a_job_reads_back_and_equal_jobs_are_equal():
    job = Generate(steps=20, guidance=2.0, prompt="3")
    assert parse_job(job.model_dump(mode="json")) == job
    assert job.digest == Generate(steps=20, guidance=2.0, prompt="3").digest
    assert job.digest != Generate(steps=20, guidance=2.0, prompt="3", seed=1).digest


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "kind"),
        ({"kind": "dream", "steps": 1, "guidance": 1}, "kind"),
        ({"kind": "generate", "guidance": 1}, "steps"),
        ({"kind": "generate", "steps": 0, "guidance": 1}, "steps"),
        ({"kind": "generate", "steps": 3, "guidance": 1, "colour": "red"}, "colour"),
        ({"kind": "anagram", "steps": 3, "guidance": 1, "readings": []}, "readings"),
        ({"kind": "anagram", "steps": 3, "guidance": 1, "readings": [{"prompt": "3", "view": "spin"}]}, "unknown view"),
        (3, "the job"),
    ],
)
def test_a_bad_job_is_named_in_one_line(data, message):
    with pytest.raises(UsageError, match=message) as error:
        parse_job(data)
    assert "\n" not in str(error.value)


def test_a_picture_is_rounded_to_eight_bits_once():
    x = torch.rand(3, 5, 7, generator=torch.Generator().manual_seed(0))
    picture = Picture.of(x, "x.png")
    assert (picture.tensor() - x).abs().max() <= 0.5 / 255 + 1e-6
    assert Picture.of(picture.tensor(), "x.png") == picture


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(SfumatoError, match="No space left"):
        save_image(Image.new("L", (4, 4)), tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


def test_a_grey_level_of_rounding_is_told_from_another_picture(tmp_path):
    """Which rounding a network does may depend on how many rows go through it."""
    job = Generate(model="digits", prompt="3", steps=2, guidance=1.0)
    (result,) = run([job], cache(lambda name, dtype: load(name)))
    facts, path = provenance(result), tmp_path / "a.png"
    for change, expected in ((0, 0), (1, 1), (2, 0)):
        pixels = (255 * result.picture).round().to(torch.uint8)
        pixels[0, 5, 5] = int(pixels[0, 5, 5]) + (change if pixels[0, 5, 5] < 128 else -change)
        image = to_image(pixels / 255)
        image.save(path)
        assert rounding({**facts, "pixels": pixel_digest(image)}, result, path) == expected
        assert rounding({**facts, "pixels": pixel_digest(image), "device": "another"}, result, path) == 0
        if change:
            assert rounding(facts, result, path) == 0  # the file was changed after it was made
