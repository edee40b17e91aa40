"""What a tour needs of a model: what it is asked for, what goes in, and who reads it."""

from dataclasses import replace

import pytest
import torch
from PIL import Image
from tiny_tours import CLOTHES, DIGITS, load, noise_digits, subject, text_model

from sfumato.app.tour.drawings import DRAWINGS, half_mask, soft_half
from sfumato.app.tour.inputs import OWN, clean_pictures, own_pictures, read_photo
from sfumato.app.tour.prompts import Prompts, prompts_of
from sfumato.app.tour.subject import family_of, judges_for, subject_of, told_of
from sfumato.backends.network import NetworkDenoiser
from sfumato.core.cascade import LowResolution
from sfumato.core.views import parse_view
from sfumato.training.datasets.typeset import load_typeset


def told(prompts: Prompts) -> list:
    return [prompt for prompt in prompts.all if prompt is not None]


def test_digits_are_asked_for_digits_and_classes_for_their_neighbours():
    digits, clothes = prompts_of(load("digits")), prompts_of(load("clothes"))
    assert digits.each == DIGITS
    assert set(told(digits)) == set(DIGITS)
    assert digits.nothing is None
    assert set(told(clothes)) == set(CLOTHES)
    assert clothes.anagrams[0][0][0] == "ankle boot"
    assert prompts_of(load("digits/time")) == Prompts(wide=(None,))


def test_words_are_asked_for_what_they_know():
    prompts = prompts_of(text_model())
    assert prompts.each == ("an oil painting of a snowy mountain village", "a man wearing a hat", "a rocket ship")
    assert prompts.nothing == "a high quality photo"
    assert ("a cat", "a tiger") in prompts.hybrids
    unknown = [word for prompt in told(prompts) for word in text_model().check(prompt)]
    assert unknown == []


def test_words_that_know_nothing_of_the_course_are_asked_for_their_subjects():
    model = text_model(subjects=[["lion", []], ["walrus", []], ["duck", []], ["tiger", []]])
    prompts = prompts_of(replace(model, facts={"data": {"subjects": [["lion", []], ["walrus", []], ["duck", []]]}}))
    assert ("lion", "duck") in prompts.regions  # it has never seen a walrus
    silent = prompts_of(replace(model, facts=None))
    # Of each it knows some word that says something, and not just an article.
    assert silent.bands == (("a photo of a dog", "a photo of a cat", "a photo of flowers"),)


def test_every_view_that_is_asked_for_is_one():
    for model in (load("digits"), load("clothes"), text_model()):
        prompts = prompts_of(model)
        for ways in (*prompts.anagrams, *prompts.several, *prompts.rearranged, *prompts.hard):
            assert len({view for _, view in ways}) == len(ways)
            assert all(parse_view(view) for _, view in ways)


def test_nobody_reads_what_no_judge_knows():
    judge = judges_for(load("digits"))
    assert judge(("3", "8")).classes == DIGITS
    assert judge(("bag",)) is None
    assert judge(()) is None
    words = judges_for(text_model())
    assert words(("a rocket ship", "a cat")).classes == ("a rocket ship", "a cat")
    assert words(("a hipster barista", "a cat")) is None  # it has never seen the one


def test_a_photo_is_fitted_to_the_model(tmp_path, refused):
    path = tmp_path / "wide.png"
    Image.linear_gradient("L").resize((300, 100)).convert("RGB").save(path)
    grey, colour = read_photo(path, (1, 28, 28)), read_photo(path, (3, 16, 16))
    assert grey.picture.shape == (1, 28, 28)
    assert colour.picture.shape == (3, 16, 16)
    assert "no such file" in refused(read_photo, tmp_path / "none.png", (1, 28, 28))
    path.write_bytes(b"no picture")
    assert "not a PNG" in refused(read_photo, path, (1, 28, 28))


def test_clean_pictures_are_what_the_model_knows(monkeypatch, tmp_path):
    monkeypatch.setenv("SFUMATO_DATA", str(tmp_path))
    monkeypatch.setattr("sfumato.training.datasets.stored.cache_folder", lambda source: tmp_path / "none")
    warn = lambda line: None  # noqa: E731
    assert clean_pictures(load("digits"), None, warn).name == "typeset-test"
    assert clean_pictures(load("digits/time"), None, warn).name == "typeset-test"
    for unknown in (replace(load("clothes"), facts={"recipe": {"data": "fashion-mnist"}}), text_model()):
        assert clean_pictures(unknown, None, warn).name == OWN
        assert clean_pictures(unknown, None, warn).shape == unknown.shape


def test_clean_pictures_of_a_folder(tmp_path, refused):
    for name in ("bag", "coat"):
        for split in ("train", "test"):
            (tmp_path / split / name).mkdir(parents=True)
            Image.new("L", (28, 28), 40).save(tmp_path / split / name / "a.png")
    model = replace(load("clothes"), facts={"recipe": {"data": str(tmp_path)}})
    assert clean_pictures(model, None, lambda line: None).classes == ("bag", "coat")
    assert clean_pictures(load("clothes"), str(tmp_path), lambda line: None).classes == ("bag", "coat")
    assert "no data set" in refused(clean_pictures, load("clothes"), str(tmp_path / "no"), lambda line: None)


def test_clean_pictures_with_captions_lose_them(tmp_path):
    Image.new("RGB", (40, 40), (250, 0, 0)).save(tmp_path / "a.png")
    line = '{"file_name": "a.png", "text": "lion", "held_out": true}'
    other = '{"file_name": "a.png", "text": "cat"}'
    (tmp_path / "metadata.jsonl").write_text(f"{line}\n{other}\n", encoding="utf-8")
    data = clean_pictures(text_model(), str(tmp_path), lambda line: None)
    assert data.shape == (3, 16, 16)
    assert data.classes == ()
    red = data.pixels(torch.tensor([0]))[0, :, 8, 8]
    assert red.tolist() == pytest.approx([250 / 255, 0, 0], abs=0.01)


def test_where_pictures_are_from_is_said():
    assert "which the models have not seen" in told_of(replace(noise_digits(), name="mnist-test"))
    assert "typeset" in told_of(load_typeset(10, "test"))
    assert told_of(own_pictures((1, 28, 28))) == "drawn by the tour itself"


def test_a_subject_gives_what_a_row_asks_for():
    s = subject("digits")
    assert s.picture("7").label == "7"
    assert s.picture("no digit").label == "0"
    assert [one.label for one in s.pictures(10)] == list(DIGITS)
    assert len(s.pictures(4)) == 4
    assert [one.label for one in s.clean(3)] == ["0", "1", "2"]
    assert s.times(250, 690) == [75.0, 207.0]
    assert subject("clothes").times(250) == [0.25]
    assert subject("words").picture("7").label is None


def test_a_class_may_be_called_anything(tmp_path):
    names = ("a/b", "..", "T-shirt/top")
    data = replace(noise_digits(), labels=torch.arange(20) % 3, classes=names)
    s = replace(subject("digits"), data=data)
    files = [s.picture(name).name for name in names] + [one.name for one in s.pictures(3)]
    assert files == ["picture-a-b", "picture", "picture-T-shirt-top", "photo-a-b", "photo", "photo-T-shirt-top"]


def test_a_run_is_called_by_its_own_name(tmp_path):
    (tmp_path / "boots").mkdir()
    assert replace(subject("clothes"), name=str(tmp_path / "boots")).title == "boots"
    assert subject("clothes").title == "clothes"


def test_a_later_stage_has_no_tour_of_its_own(refused):
    model = replace(load("words"), low_res=LowResolution(8))
    assert isinstance(model, NetworkDenoiser)
    assert "makes other pictures larger" in refused(subject_of, model, "larger", own_pictures(model.shape))


def test_the_family_of_a_model(tmp_path):
    assert family_of("digits") == ("digits", "digits/time", "digits/denoiser", "digits/flow")
    assert family_of("digits/time") == ("digits/time",)
    assert family_of(str(tmp_path)) == ()
    (tmp_path / "recipe.json").write_text("{}")
    assert family_of(str(tmp_path)) == (str(tmp_path),)


def test_drawings_are_pictures_of_strokes():
    for drawing in DRAWINGS.values():
        x = drawing.picture((1, 28, 28))
        assert torch.equal(x, drawing.picture((1, 28, 28)))
        assert 0.05 < float(x.mean()) < 0.4
        assert max(float(x[:, [0, -1]].max()), float(x[:, :, [0, -1]].max())) < 0.1
        colour = drawing.picture((3, 64, 64))
        assert float(colour.std(0).mean()) > 0.01
    assert set(half_mask((1, 28, 28)).flatten().tolist()) == {0.0, 1.0}
    soft = soft_half((3, 30, 20))
    assert soft.shape == (1, 30, 20)
    assert torch.allclose(soft + soft.flip(1), torch.ones_like(soft))
