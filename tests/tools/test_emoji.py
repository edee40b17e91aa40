"""The emoji's folder: in the order of its list, with the same pictures held out however much is taken."""

import importlib.util
import sys
import tomllib
from pathlib import Path

import pytest
from PIL import Image

from sfumato.training.datasets.captioned import load_captioned

ROOT = Path(__file__).parents[2]
EMOJI = ROOT.parent / "shared" / "data" / "emoji"

spec = importlib.util.spec_from_file_location("emoji_tool", ROOT / "tools" / "emoji.py")
tool = importlib.util.module_from_spec(spec)
sys.modules["emoji_tool"] = tool
spec.loader.exec_module(tool)

SUBJECTS = tomllib.loads(tool.SUBJECTS.read_text(encoding="utf-8"))
SMALL = {**SUBJECTS, "head": ["lion", "man mage"], "left_out": ["mage"]}


def row(name: str, style: str = "noto", group: str = "Animals & Nature", subgroup: str = "", **fields: object) -> dict:
    flags = ("is_skin_tone_variant", "is_direction_variant", "is_gender_variant", "is_flag", "is_symbol")
    base = {"key": f"k{name}", "keywords": ["Face", "!", name, "big"], "near_duplicate_of": "", "image": b""}
    return {
        **base,
        **dict.fromkeys(flags, False),
        "name": name,
        "style": style,
        "group": group,
        "subgroup": subgroup,
    } | (fields)


def test_the_list_of_subjects_is_consistent():
    head = SUBJECTS["head"]
    assert len(set(head)) == len(head) == tool.HEAD
    assert set(SUBJECTS["aliases"]) <= set(head)
    assert not set(SUBJECTS["left_out"]) & set(head)


def test_what_is_taken_and_in_which_order():
    rows = [
        row("noon", subgroup="time"),
        row("owl", subgroup="animal-bird"),
        *(row("pear", style, subgroup="food-fruit") for style in ("noto", "blob", "twemoji")),
        row("pear", "fluentflat", near_duplicate_of="fluent3d", subgroup="food-fruit"),
        row("apple", subgroup="food-fruit"),
        row("man mage", is_gender_variant=True),
        row("woman mage", is_gender_variant=True),
        row("mage"),
        row("lion"),
        row("dark skin tone", group="Component"),
        row("walking right", is_direction_variant=True),
        row("flag", is_flag=True),
    ]
    concepts = tool.ordered(tool.gather(rows, SMALL), SMALL)
    assert [concept.name for concept in concepts] == ["lion", "man mage", "pear", "owl", "apple", "noon"]
    assert [row["style"] for row in concepts[2].rows] == ["noto", "blob", "twemoji"]


def test_a_line_of_the_list():
    line = tool.record(row("lion", "blob"), SUBJECTS, testing=True)
    assert line == {
        "file_name": "pictures/klion-blob.webp",
        "text": ["lion", "lion face"],
        "keywords": ["face", "big"],
        "style": ["blob", "blob emoji"],
        "concept": "lion",
        "mirror": True,
        "held_out": True,
    }
    assert tool.record(row("stop sign"), SUBJECTS, testing=False)["mirror"] is False
    assert tool.record(row("one o’clock"), SUBJECTS, testing=False)["text"] == ["clock showing one o’clock"]


@pytest.mark.skipif(not EMOJI.is_dir(), reason="the captioned emoji are not beside the repository")
def test_the_real_emoji(tmp_path):
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    concepts = tool.ordered(tool.gather(tool.read_rows(EMOJI), SUBJECTS), SUBJECTS)
    names = [concept.name for concept in concepts]
    assert names[: tool.HEAD] == SUBJECTS["head"]
    assert len(set(names)) == len(names) > 1000
    assert {name for field in ("unmirrored", "renamed") for name in SUBJECTS[field]} <= set(names)
    testing = tool.held_out(concepts)
    assert len(testing) == len({key for key, _ in testing}) == 200
    head = {concept.key for concept in concepts[: tool.HEAD]}
    assert sum(key in head for key, _ in testing) == 80
    taken = concepts[:40]
    tool.write(taken, testing, SUBJECTS, EMOJI, tmp_path)
    train, skipped = load_captioned(tmp_path, 32)
    test, _ = load_captioned(tmp_path, 32, "test")
    assert skipped == []
    assert len(train) + len(test) == sum(len(concept.rows) for concept in taken)
    assert len(train.concepts) == 40
    assert (tmp_path / "LICENSES.txt").read_bytes() == (EMOJI / "LICENSES.txt").read_bytes()
    with Image.open(tmp_path / "pictures" / "1f680-noto.webp") as picture:
        assert picture.size == (128, 128)
