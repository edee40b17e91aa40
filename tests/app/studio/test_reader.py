"""Uploads: decoded elsewhere, written anew, and refused in one line."""

import io
import json
import os
from pathlib import Path

import mutants
import numpy as np
import pytest
from PIL import Image
from served import png, text_png

from sfumato.app.provenance import read_provenance
from sfumato.app.studio.decoding import MOST_SIDE
from sfumato.app.studio.reader import Reader
from sfumato.errors import SfumatoError, UsageError
from sfumato.images import read_image

ROOM = 100_000_000


@pytest.fixture(scope="module")
def reader():
    opened = Reader(seconds=60, headroom=ROOM)
    opened.start()
    yield opened
    opened.close()


def image_of(read) -> Image.Image:
    image = Image.open(io.BytesIO(read.png))
    image.load()
    return image


def noise(mode: str, width: int = 41, height: int = 37) -> Image.Image:
    rng = np.random.default_rng(0)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)).convert(mode)


JOB = {"kind": "generate", "model": "digits", "prompt": "3", "steps": 3, "guidance": 2.0, "seed": 1}


@pytest.mark.parametrize(
    ("mode", "becomes"),
    [("1", "L"), ("L", "L"), ("LA", "RGBA"), ("P", "RGB"), ("RGB", "RGB"), ("RGBA", "RGBA"), ("I;16", "L")],
)
def test_pictures_become_plain_pngs(reader, tmp_path, mode, becomes):
    given = noise("L").convert("I").convert("I;16") if mode == "I;16" else noise(mode)
    data = png(given)
    (tmp_path / "a.png").write_bytes(data)
    read = reader.read(data, "a.png")
    made = image_of(read)
    assert (made.format, made.mode, made.size, read.mode) == ("PNG", becomes, (41, 37), becomes)
    wanted = read_image(tmp_path / "a.png").convert(becomes)
    assert np.array_equal(np.asarray(made), np.asarray(wanted))
    assert (read.width, read.height, read.job, read.parameters) == (41, 37, None, None)
    assert not made.info, "nothing else of the file is left"


def test_a_photo_is_turned_upright_and_loses_its_metadata(reader):
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "where I live"
    buffer = io.BytesIO()
    noise("RGB").save(buffer, "JPEG", exif=exif.tobytes())
    read = reader.read(buffer.getvalue(), "a.jpg")
    assert (read.width, read.height) == (37, 41)
    assert b"where I live" not in read.png


def test_a_large_picture_is_reduced(reader):
    read = reader.read(png(Image.new("L", (3 * MOST_SIDE, 300))), "wide.png")
    assert (read.width, read.height) == (MOST_SIDE, 100)
    read = reader.read(png(Image.new("L", (9000, 1))), "line.png")
    assert (read.width, read.height) == (MOST_SIDE, 1)


def test_our_job_is_read_made_complete_and_kept_in_the_picture(reader, tmp_path):
    facts = {"schema": 3, "job": JOB, "models": [{"name": "digits", "sha256": "ab", "odd": 1}], "versions": {"x": "y"}}
    read = reader.read(text_png(sfumato=json.dumps(facts), parameters="3\nSteps: 3"), "a.png")
    assert read.job is not None
    assert read.job.items() >= {**JOB, "sampler": "ddpm"}.items()
    assert read.parameters == "3\nSteps: 3"
    (tmp_path / "again.png").write_bytes(read.png)
    kept = read_provenance(tmp_path / "again.png")
    assert kept == {"schema": 3, "job": read.job, "models": [{"name": "digits", "sha256": "ab"}]}


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"schema": 3}', '{"schema": 99, "job": {}}', '{"schema": 3, "job": {"kind": "x"}}', "[" * 100_000,
     '{"schema": 3, "job": {"kind": "generate", "steps": 3, "guidance": NaN}}',
     json.dumps({"schema": 3, "job": {**JOB, "prompt": "x" * 3_000_000}})],
)  # fmt: skip
def test_a_job_that_is_not_understood_is_left_out(reader, text):
    read = reader.read(text_png(sfumato=text), "a.png")
    assert read.job is None
    assert not image_of(read).info


def test_what_other_programs_say_is_told(reader):
    a1111 = "a castle\nNegative prompt: blurry\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: 1, Size: 8x8"
    read = reader.read(text_png(parameters=a1111 + "\x1b[31m"), "a.png")
    assert read.parameters is not None
    assert read.parameters.startswith(a1111)
    assert "\x1b" not in read.parameters
    facts = {"app_version": "3.0", "positive_prompt": "a castle", "seed": 42}
    told = reader.read(text_png(invokeai_metadata=json.dumps(facts)), "a.png").parameters
    assert told is not None
    assert told.splitlines() == ["program: InvokeAI 3.0", "prompt: a castle", "seed: 42"]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"hello", "not a PNG, JPEG, WebP or GIF picture"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a PNG, JPEG, WebP or GIF picture"),
        (png(noise("RGB"))[:300], "damaged"),
        (b"\x89PNG\r\n\x1a\n", "damaged"),
        (png(Image.new("1", (60_000, 60_000)))[:2000], "more than 64 million"),
    ],
)
def test_what_is_no_picture_is_refused_in_one_line(reader, data, why):
    with pytest.raises(UsageError, match=why) as refusal:
        reader.read(data, "my picture.png")
    assert str(refusal.value).startswith("cannot read the picture my picture.png: ")
    assert "upload" not in str(refusal.value), "it does not say where the studio keeps it meanwhile"


def test_a_bomb_of_pixels_does_not_get_the_memory(reader):
    bomb = png(Image.new("RGBA", (5600, 5600)))
    assert len(bomb) < 1_000_000
    with pytest.raises(UsageError, match="it needs too much memory"):
        reader.read(bomb, "bomb.png")
    assert reader.read(png(noise("L")), "a.png").width == 41, "the same process goes on"


def test_broken_pictures_are_read_or_refused(reader):
    refused = []
    for data in [*mutants.mutated_pictures(150, seed=7), *mutants.foreign()]:
        try:
            assert image_of(reader.read(data, "mutant.png")).mode in {"L", "RGB", "RGBA"}
        except UsageError as error:
            refused.append(str(error))
    assert len(refused) > 50
    assert all(len(line.splitlines()) == 1 for line in refused)


def test_broken_jobs_are_understood_or_left_out(reader):
    for facts in mutants.mutated_jobs(100, seed=7):
        read = reader.read(mutants.carrying(facts), "mutant.png")
        assert read.job is None or read.job["kind"]


def test_a_picture_that_takes_too_long_ends_the_process_and_the_next_gets_another(reader):
    process = reader._child[0].pid
    folder = reader._folder
    reader.seconds = 0.02
    with pytest.raises(UsageError, match=r"slow.png: it takes more than 0\.02 s"):
        reader.read(png(noise("RGB", 2000, 2000)), "slow.png")
    reader.seconds = 60
    assert reader.read(png(noise("L")), "a.png").width == 41
    assert reader._child[0].pid != process
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
    assert list(Path(folder).iterdir()) == [], "no upload is left behind"


def test_a_closed_reader_leaves_nothing(reader):
    process, folder = reader._child[0].pid, reader._folder
    reader.close()
    assert not folder.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
    with pytest.raises(SfumatoError, match="the studio is stopping"):
        reader.read(png(noise("L")), "a.png")
    reader.start()
    assert reader._child is None
