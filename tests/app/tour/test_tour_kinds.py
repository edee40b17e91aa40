"""Tours of models of other programs, in folders as diffusers writes them."""

import functools
import shlex

import pytest
from tiny_tours import Page

from sfumato.app.tour import TINY, clean_pictures, run_tour, subject_of
from sfumato.backends.registry import load

pytest.importorskip("diffusers", reason="diffusers is not installed")
import tiny_models

ILLUSIONS = {"A1.8", "A1.9", "C1", "C2", "C3", "C5"}


def tour_of(folder, out):
    loaded = functools.cache(lambda name: load(name))
    model = loaded(str(folder))
    subject = subject_of(model, str(folder), clean_pictures(model, None, lambda line: None))
    result = run_tour(out, subject, lambda name, dtype: loaded(name), size=TINY)
    return subject, result, Page(result.report.read_text(encoding="utf-8"))


def test_a_model_that_must_be_told_a_class(tmp_path):
    subject, result, page = tour_of(tiny_models.write_classes(tmp_path / "model"), tmp_path / "out")
    # It cannot be asked for nothing, so there is no guidance, and nothing in particular is its first class.
    assert subject.guidance == 1
    assert subject.prompts.nothing == "0"
    assert set(result.numbers["rows"]) >= ILLUSIONS | {"A0", "A1.5", "A1.7.3"}
    assert "A1.6" not in result.numbers["rows"]
    assert all("--model ../model" in line for line in page.code)


def test_a_model_of_nothing_in_particular(tmp_path):
    subject, result, _ = tour_of(tiny_models.write_unconditional(tmp_path / "model"), tmp_path / "out")
    assert not subject.prompts.each
    assert not set(result.numbers["rows"]) & (ILLUSIONS | {"A0", "A1.6", "A1.7.3", "A2"})
    assert {"A1.1", "A1.4", "A1.5", "A1.7", "A1.7.2", "C4"} <= set(result.numbers["rows"])


def test_a_first_stage_as_deepfloyd_has_it(tmp_path):
    subject, result, page = tour_of(tiny_models.write_if_stage_one(tmp_path / "model"), tmp_path / "out")
    assert subject.prompts.each[2] == "a rocket ship"
    assert set(result.numbers["rows"]) >= ILLUSIONS | {"A0", "A1.6", "A2"}
    asked = [shlex.split(line) for line in page.code]
    assert any("a high quality photo" in words for words in asked)
    assert any("an oil painting of an old man" in words for words in asked)
