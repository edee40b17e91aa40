"""Captions are true, never empty, made of known words only, and the same for the same generator."""

import re

import pytest
import torch

from sfumato.models.text import Vocabulary, words
from sfumato.training.captions import COLOURS, WHITE, Record, all_words, draw_caption, named
from sfumato.training.painterly import TREATMENTS

LION = Record(("lion", "king of beasts"), ("mane", "zodiac", "animal"), ("3D render", "glossy icon"), "lion")
APPLES = Record(("apples",), ("fruit",), ("illustration",), "apples")
BARE = Record(("8 ball",))
RECORDS = (LION, APPLES, BARE)


def draws(record: Record, treatment: str | None, background: str | None, n: int = 1000) -> list[str]:
    generator = torch.Generator().manual_seed(0)
    return [draw_caption(record, treatment, background, generator) for _ in range(n)]


def share(captions: list[str], pattern: str) -> float:
    return sum(bool(re.search(pattern, caption)) for caption in captions) / len(captions)


def test_every_word_is_in_the_vocabulary_and_every_caption_has_one():
    known = set(Vocabulary.of(all_words(RECORDS)).words)
    seen: set[str] = set()
    for record in RECORDS:
        for treatment in (None, *TREATMENTS):
            for background in (None, *COLOURS):
                for caption in draws(record, treatment, background, 40):
                    said = words(caption)
                    assert said
                    assert known.issuperset(said), caption
                    seen.update(said)
    assert known == seen  # and it has no word that is never said


def test_the_generator_is_the_caption():
    assert draws(LION, None, "red", 50) == draws(LION, None, "red", 50)
    assert len(set(draws(LION, None, "red"))) > 100


def test_a_caption_does_not_depend_on_the_one_before():
    after = set()
    for before in RECORDS:
        generator = torch.Generator().manual_seed(1)
        draw_caption(before, None if before is BARE else "watercolour", "red", generator)
        after.add(draw_caption(LION, None, None, generator))
    assert len(after) == 1


def test_forms_of_a_picture_as_it_is():
    captions = draws(LION, None, None)
    for wanted in ("lion", "a lion", "a 3D render of a lion", "a glossy icon lion", "a photo of a king of beasts"):
        assert wanted in captions
    assert 0.1 < share(captions, "^lion$|^king of beasts$") < 0.2
    assert 0.3 < share(captions, "3D render|glossy icon") < 0.45
    assert 0.06 < share(captions, "^(lion|king of beasts), ") < 0.13
    assert 0.01 < share(captions, "^(a 3D render|a glossy icon|a .*(picture|photo))$") < 0.035
    assert not share(captions, "background| on |painting|sketch")


def test_a_record_that_knows_only_a_name():
    captions = draws(BARE, None, None)
    assert share(captions, "8 ball") > 0.97
    assert not share(captions, ",|a 8|an 8")


def test_a_treatment_is_nearly_always_named_and_replaces_the_style():
    captions = draws(LION, "oil painting", None)
    assert "an oil painting of a lion" in captions
    assert 0.9 < share(captions, "painting") < 0.98
    assert 0.01 < share(captions, "^an? (oil )?painting$") < 0.035
    assert not share(captions, "3D|glossy")
    assert "pixel art of apples" in draws(APPLES, "pixel art", None)


@pytest.mark.parametrize("treatment", [None, "watercolour"])
def test_backgrounds_are_named_when_they_are_coloured(treatment):
    assert 0.4 < share(draws(LION, treatment, "light blue"), "light blue") < 0.55
    assert 0.05 < share(draws(LION, treatment, WHITE), "white") < 0.15
    assert "an orange background" in " ".join(draws(LION, treatment, "orange"))
    assert not share(draws(LION, treatment, None), "background")


@pytest.mark.parametrize("treatment", [word for word, how in TREATMENTS.items() if not how.keeps_colours])
def test_what_shows_no_colours_names_none(treatment):
    assert not share(draws(LION, treatment, "red"), "red")


def test_names_with_an_article():
    for phrase in (
        *("a lion", "an apple", "an hourglass", "a unicorn", "a one-piece swimsuit", "an x-ray", "an owl", "a bus"),
        *("a cactus", "a dress", "a house with windows", "a slice of fries", "a face holding back tears", "a T-Rex"),
        *("a Christmas tree", "an OK hand"),
    ):
        assert named(phrase.split(" ", 1)[1]) == phrase


def test_names_without_an_article():
    for name in (
        *("grapes", "crossed swords", "people around a campfire", "women holding hands", "8 ball", "1st place medal"),
        *("Santa Claus", "Statue of Liberty", "bread", "the sun", "a lion"),
    ):
        assert named(name) == name
