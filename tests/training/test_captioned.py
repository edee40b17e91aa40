"""Captioned folders: what is read, what is refused, and that a batch follows from its generator alone."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sfumato.errors import UsageError
from sfumato.models.text import words
from sfumato.training.captions import COLOURS
from sfumato.training.data import TrainingData
from sfumato.training.datasets.captioned import Augmentation, CaptionedData, load_captioned

CPU = torch.device("cpu")
SIZE = 16


def save(path: Path, mode: str = "RGBA", size: tuple[int, int] = (32, 32), seed: int = 0, clear: bool = True) -> None:
    """A picture of noise whose outer quarter is transparent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 4), dtype=np.uint8)
    pixels[..., 3] = 255
    if clear:
        edge_y, edge_x = size[1] // 4, size[0] // 4
        alpha = np.zeros((size[1], size[0]), np.uint8)
        alpha[edge_y:-edge_y, edge_x:-edge_x] = 255
        pixels[..., 3] = alpha
    picture = Image.fromarray(pixels)
    (picture if clear else picture.convert("RGB")).convert(mode).save(path)


def write(folder: Path, *lines: object) -> Path:
    folder.mkdir(exist_ok=True)
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    (folder / "metadata.jsonl").write_text(text, encoding="utf-8")
    return folder


def entry(number: int, **fields: object) -> dict[str, object]:
    return {"file_name": f"p/{number}.png", "text": ["lion", "big cat"], "style": "doodle", **fields}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("captioned") / "zoo"
    for k in range(12):
        save(path / "p" / f"{k}.png", seed=k)
    names = ["lion", "owl", "pig"]
    lines = [entry(k, text=names[k % 3], concept=names[k % 3], keywords=["animal", "zoo"]) for k in range(12)]
    lines[4]["held_out"] = lines[11]["held_out"] = True
    lines[11]["text"] = "heron"
    return write(path, *lines)


@pytest.fixture(scope="module")
def data(folder) -> CaptionedData:
    return load_captioned(folder, SIZE)[0]


# What is read


def test_it_is_training_data(data):
    checked: TrainingData = data
    assert isinstance(data, TrainingData)
    assert checked.name == "zoo"
    assert checked.shape == (3, SIZE, SIZE)
    assert checked.pixel_range == (-1.0, 1.0)
    assert len(checked) == 10
    batch = checked.batch(torch.arange(5), generator(), CPU)
    assert batch.pictures.shape == (5, 3, SIZE, SIZE)
    assert batch.conditions.shape == (5, 24)
    assert batch.conditions.dtype == torch.int64
    assert batch.pictures.min() >= -1
    assert batch.pictures.max() <= 1
    assert (batch.conditions > 0).any(1).all()


def test_prompts_are_of_known_words(data):
    prompts = data.prompts(8)
    assert prompts[:3] == ["a lion", "a doodle of an owl", "an oil painting of a pig"]
    assert prompts[3:5] == ["a pencil sketch of a lion", "a lithograph of an owl"]
    assert len(prompts) == 8
    assert data.names == data.vocabulary.words
    assert not any(data.vocabulary.unknown(prompt) for prompt in prompts)


def test_what_is_held_out_is_only_in_the_test_split(folder, data):
    test = load_captioned(folder, SIZE, "test")[0]
    assert (len(test), len(data)) == (2, 10)
    assert test.name == "zoo-test"
    distances = torch.cdist(test.pictures.flatten(1).float(), data.pictures.flatten(1).float())
    assert distances.min() > 100
    # A judge and a prompt mean the same in both.
    assert test.vocabulary == data.vocabulary
    assert data.vocabulary.unknown("heron") == ()
    assert test.concepts == data.concepts == ("lion", "owl", "pig")
    assert test.concept_of.tolist() == [1, 2]
    assert [data.records[i].concept for i in range(10)] == [data.concepts[k] for k in data.concept_of.tolist()]


def test_fields_and_their_defaults(tmp_path):
    save(tmp_path / "a.png")
    full = {"file_name": "a.png", "text": ["  big\ncat", "!!"], "keywords": ["fur"], "style": ["doodle", "drawing"]}
    path = write(tmp_path, {**full, "mirror": False, "unknown": 7}, "", {"file_name": "a.png", "text": "owl"})
    data, _ = load_captioned(path, SIZE)
    first, second = data.records
    assert (first.names, first.keywords, first.styles) == (("big cat",), ("fur",), ("doodle", "drawing"))
    assert (first.concept, first.mirror) == ("big cat", False)
    assert (second.names, second.keywords, second.styles) == (("owl",), (), ())
    assert (second.concept, second.mirror) == ("owl", True)


@pytest.mark.parametrize("mode", ["L", "P", "RGB", "1", "LA"])
def test_pictures_of_any_mode(tmp_path, mode):
    save(tmp_path / "p" / "1.png", mode, clear=False)
    data, skipped = load_captioned(write(tmp_path, entry(1)), SIZE)
    assert skipped == []
    assert (data.pictures[:, 3] == 255).all()
    seen = np.asarray(Image.open(tmp_path / "p" / "1.png").convert("RGB"))
    assert (data.pictures[0, :3].permute(1, 2, 0).numpy() == seen).all()


def test_pictures_are_premultiplied(tmp_path):
    Image.new("RGBA", (32, 32), (200, 100, 0, 51)).save(tmp_path / "1.png")
    data, _ = load_captioned(write(tmp_path, entry(1, file_name="1.png")), SIZE)
    assert data.pictures[0, :, 5, 5].tolist() == [40, 20, 0, 51]


@pytest.mark.parametrize(("size", "box"), [((60, 20), (11, 0, 21, 32)), ((2, 200), (0, 16, 32, 16)), ((3, 1), None)])
def test_pictures_are_fitted_and_not_cropped(tmp_path, size, box):
    Image.new("RGB", size, (0, 200, 0)).save(tmp_path / "1.png")
    data, _ = load_captioned(write(tmp_path, entry(1, file_name="1.png")), SIZE)
    seen = data.pictures[0, 3] > 0
    assert data.pictures.shape == (1, 4, 32, 32)
    assert data.pictures[0, 3].unique().tolist() == [0, 255]
    if size[0] > size[1]:
        assert seen.any(0).all()  # as wide as the square
        assert 10 <= seen.any(1).sum() <= 11
    else:
        assert seen.any(1).all()
        assert seen.any(0).sum() == 1
    rows = seen.any(1).nonzero().flatten()
    assert abs((rows[0] + rows[-1]).item() - 31) <= 1  # in the middle


# What is refused or left out


def test_missing_and_broken_pictures_are_reported(tmp_path):
    save(tmp_path / "p" / "1.png")
    (tmp_path / "p" / "2.png").write_text("no picture")
    data, skipped = load_captioned(write(tmp_path, entry(0), entry(1), entry(2, text="heron")), SIZE)
    assert len(data) == len(data.records) == len(data.concept_of) == 1
    assert [item.path.name for item in skipped] == ["0.png", "2.png"]
    assert all(item.reason and str(tmp_path) not in item.reason for item in skipped)


@pytest.mark.parametrize("name", ["../x.png", "/etc/x.png", "p/../../x.png", "..\\x.png", "C:\\x.png", "\\\\host\\x"])
def test_files_outside_of_the_folder(tmp_path, name):
    save(tmp_path / "x.png")
    with pytest.raises(UsageError, match=r"line 2.*out of the folder"):
        load_captioned(write(tmp_path / "data", entry(1), entry(2, file_name=name)), SIZE)


@pytest.mark.parametrize(
    "line",
    ['{"file_name": "a.png", "text"', "[1]", "7", '{"text": "lion"}', '{"file_name": "a.png"}', "[" * 100_000]
    + [json.dumps(entry(1, **wrong)) for wrong in ({"text": []}, {"text": "?!"}, {"text": 5}, {"text": ["lion", 5]})]
    + [json.dumps(entry(1, **wrong)) for wrong in ({"mirror": "no"}, {"held_out": 1}, {"concept": 4}, {"style": {}})]
    + [json.dumps(entry(1, **wrong)) for wrong in ({"file_name": ""}, {"file_name": 3}, {"keywords": 1})],
)
def test_lines_that_are_no_entries(tmp_path, line):
    save(tmp_path / "p" / "1.png")
    with pytest.raises(UsageError, match=r"metadata\.jsonl, line 3 ") as caught:
        load_captioned(write(tmp_path, entry(1), "", line), SIZE)
    assert "\n" not in str(caught.value)


def test_a_list_that_is_no_text(tmp_path):
    (tmp_path / "metadata.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="UTF-8"):
        load_captioned(tmp_path, SIZE)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: None, "no folder"),
        (lambda p: p.mkdir(), "has no metadata.jsonl"),
        (lambda p: write(p, ""), "no picture for the split train"),
        (lambda p: write(p, entry(1)), r"1 left out; the first, 1\.png"),
        (lambda p: write(p, entry(1, held_out=True)), "no picture for the split train"),
    ],
)
def test_nothing_to_train_on(tmp_path, make, message):
    make(tmp_path / "data")
    with pytest.raises(UsageError, match=message):
        load_captioned(tmp_path / "data", SIZE)


@pytest.mark.parametrize("options", [{"size": 7}, {"size": SIZE, "length": 0}])
def test_numbers_that_make_no_pictures(folder, options):
    with pytest.raises(UsageError):
        load_captioned(folder, **options)


# What a training sees


def test_the_generator_is_the_batch(data):
    first = data.batch(torch.arange(10), generator(3), CPU)
    torch.manual_seed(1)
    again = data.batch(torch.arange(10), generator(3), CPU)
    other = data.batch(torch.arange(10), generator(4), CPU)
    assert torch.equal(first.pictures, again.pictures)
    assert torch.equal(first.conditions, again.conditions)
    assert not torch.equal(first.pictures, other.pictures)
    assert not torch.equal(first.conditions, other.conditions)


def test_what_a_picture_is_like_does_not_depend_on_its_neighbours(data):
    """With other pictures beside it, a row that is not painted is what it was."""
    still = replace(data, augmentation=Augmentation(painted=0))
    first = still.batch(torch.tensor([0, 1, 2, 3]), generator(), CPU)
    other = still.batch(torch.tensor([0, 5, 2, 8]), generator(), CPU)
    assert torch.equal(first.pictures[[0, 2]], other.pictures[[0, 2]])
    assert torch.equal(first.conditions[[0, 2]], other.conditions[[0, 2]])


def test_plain_pictures_in_any_order(data):
    order = torch.tensor([3, 0, 7, 7])
    assert torch.equal(data.plain(order, CPU), data.plain(torch.arange(10), CPU)[order])


def test_without_augmentation_a_batch_is_plain(data):
    still = replace(data, augmentation=Augmentation.none())
    assert torch.equal(still.batch(torch.arange(10), generator(), CPU).pictures, data.plain(torch.arange(10), CPU))


def test_plain_is_the_picture_on_white(folder, data):
    picture = Image.open(folder / "p" / "0.png")
    white = Image.new("RGBA", picture.size, "white")
    white.alpha_composite(picture)
    flat = torch.from_numpy(np.array(white.convert("RGB"))).double() / 127.5 - 1
    wanted = flat.reshape(SIZE, 2, SIZE, 2, 3).mean((1, 3)).permute(2, 0, 1)
    plain = data.plain(torch.tensor([0]), CPU)[0]
    assert (plain - wanted).abs().max() < 1e-5
    assert (plain[:, 0] == 1).all()


def test_the_background_shows_exactly_where_a_picture_is_clear(data):
    coloured = replace(data, augmentation=replace(Augmentation.none(), coloured=1.0))
    pictures = coloured.batch(torch.arange(10), generator(), CPU).pictures
    corner = pictures[:, :, :1, :1]
    assert torch.equal(pictures[:, :, :4], corner.expand(-1, -1, 4, SIZE))
    # And it is one of the colours, to within its variation.
    colours = torch.tensor(list(COLOURS.values()))
    assert torch.cdist((corner[:, :, 0, 0] + 1) / 2, colours).amin(1).max() < 0.08 * math.sqrt(3) + 1e-6
    assert not (corner == 1).all(1).any()


def test_a_gradient_is_vertical(data):
    how = replace(Augmentation.none(), coloured=1.0, gradient=1.0)
    pictures = replace(data, augmentation=how).batch(torch.arange(10), generator(), CPU).pictures
    edge = pictures[..., 0]
    assert torch.equal(pictures[..., 1], edge)
    assert (edge[..., 0] != edge[..., -1]).any(1).all()
    assert (edge.diff(dim=2).abs() < 0.05).all()


def test_no_background_is_drawn_or_named_behind_an_opaque_picture(tmp_path):
    save(tmp_path / "p" / "1.png", "RGB", clear=False)
    how = replace(Augmentation.none(), coloured=1.0)
    data, _ = load_captioned(write(tmp_path, entry(1)), SIZE, augmentation=how)
    batch = data.batch(torch.zeros(64, dtype=torch.int64), generator(), CPU)
    assert torch.equal(batch.pictures, data.plain(torch.zeros(64, dtype=torch.int64), CPU))
    assert said(data, batch.conditions).isdisjoint({"background", *COLOURS})


def test_a_picture_does_not_lie_on_its_own_colour(tmp_path):
    (tmp_path / "p").mkdir()
    apple = Image.new("RGBA", (32, 32))
    apple.paste(tuple(round(255 * part) for part in COLOURS["red"]), (8, 8, 24, 24))
    apple.save(tmp_path / "p" / "1.png")
    how = replace(Augmentation.none(), coloured=1.0)
    data, _ = load_captioned(write(tmp_path, entry(1)), SIZE, augmentation=how)
    batch = data.batch(torch.zeros(200, dtype=torch.int64), generator(), CPU)
    grounds, red = (batch.pictures[:, :, 0, 0] + 1) / 2, torch.tensor([COLOURS["red"]])
    assert torch.cdist(grounds, red).min() > 0.15
    assert "red" not in said(data, batch.conditions)
    assert "green" in said(data, batch.conditions)


def said(data: CaptionedData, conditions: torch.Tensor) -> set[str]:
    return {data.vocabulary.words[token - 1] for token in conditions.unique().tolist() if token}


def test_only_what_may_be_mirrored_is(tmp_path):
    save(tmp_path / "p" / "1.png")
    how = replace(Augmentation.none(), mirror=1.0)
    data, _ = load_captioned(write(tmp_path, entry(1), entry(1, mirror=False)), SIZE, augmentation=how)
    plain, shown = data.plain(torch.arange(2), CPU), data.batch(torch.arange(2), generator(), CPU).pictures
    assert torch.allclose(shown[0], plain[0].flip(-1), atol=1e-4)
    assert torch.allclose(shown[1], plain[1], atol=1e-4)


@pytest.mark.parametrize(
    ("how", "reach"), [({"scale": (0.5, 0.5)}, (2, 2)), ({"scale": (1.5, 1.5)}, (6, 6)), ({"shift": 0.1}, (4, 5.7))]
)
def test_pictures_move_as_far_as_they_may(tmp_path, how, reach):
    """A black square of half the side: how far from the middle it is seen, in pixels of 16."""
    (tmp_path / "p").mkdir()
    square = Image.new("RGBA", (32, 32))
    square.paste((0, 0, 0, 255), (8, 8, 24, 24))
    square.save(tmp_path / "p" / "1.png")
    augmentation = replace(Augmentation.none(), **how)
    data, _ = load_captioned(write(tmp_path, entry(1)), SIZE, augmentation=augmentation)
    shown = data.batch(torch.zeros(50, dtype=torch.int64), generator(), CPU).pictures[:, 0]
    ink = (1 - shown) / 2
    width = ink.sum(2).amax(1)
    axis = torch.arange(SIZE) - (SIZE - 1) / 2
    centre = (ink.sum(1) * axis).sum(1) / ink.sum((1, 2))
    furthest = centre.abs() + width / 2
    assert furthest.min() > reach[0] - 0.1
    assert furthest.max() < reach[1] + 0.1


def test_a_turn_turns(tmp_path):
    (tmp_path / "p").mkdir()
    bar = Image.new("RGBA", (64, 64))
    bar.paste((0, 0, 0, 255), (4, 30, 60, 34))
    bar.save(tmp_path / "p" / "1.png")
    data, _ = load_captioned(write(tmp_path, entry(1)), 32, augmentation=replace(Augmentation.none(), turn=20.0))
    ink = (1 - data.batch(torch.zeros(60, dtype=torch.int64), generator(), CPU).pictures[:, 0]) / 2
    axis = torch.arange(32) - 15.5
    slope = (ink * axis[:, None] * axis).sum((1, 2)) / (ink * axis.square()).sum((1, 2))
    assert slope.abs().max() < math.tan(math.radians(20)) + 0.02
    assert slope.max() > 0.25
    assert slope.min() < -0.25


def test_painted_as_often_as_wanted(data):
    index = torch.zeros(400, dtype=torch.int64)
    flat = replace(data, augmentation=replace(Augmentation.none(), painted=0.25))
    pictures = flat.batch(index, generator(), CPU).pictures
    untouched = (pictures == data.plain(torch.zeros(1, dtype=torch.int64), CPU)).flatten(1).all(1)
    assert 0.7 < untouched.double().mean() < 0.8


def test_captions_have_only_known_words_and_are_cut_off(data):
    short = replace(data, length=3)
    tokens = torch.cat([short.batch(torch.arange(10), generator(seed), CPU).conditions for seed in range(8)])
    assert tokens.shape == (80, 3)
    assert {"lion", "owl", "pig", "doodle"} <= said(data, tokens) <= set(data.vocabulary.words)
    assert all(words(word) == [word] for word in data.vocabulary.words)


def test_the_fingerprint_tells_all_that_matters(folder, data, tmp_path):
    again = load_captioned(folder, SIZE)[0]
    assert again.fingerprint == data.fingerprint
    save(tmp_path / "p" / "1.png")
    plain = load_captioned(write(tmp_path, entry(1)), SIZE)[0]
    others = [
        load_captioned(write(tmp_path, entry(1, text="owl")), SIZE)[0],
        load_captioned(write(tmp_path, entry(1, mirror=False)), SIZE)[0],
        load_captioned(write(tmp_path, entry(1)), 2 * SIZE)[0],
        replace(plain, length=12),
        replace(plain, augmentation=Augmentation(turn=5)),
    ]
    save(tmp_path / "p" / "1.png", seed=9)
    others.append(load_captioned(write(tmp_path, entry(1)), SIZE)[0])
    assert len({plain.fingerprint, *(other.fingerprint for other in others)}) == 7
