"""What rows say and count."""

import json
from dataclasses import replace

import pytest
import torch
from PIL import Image
from tiny_tours import DIGITS, Tour, course_model, judges, load, noise_digits, subject

from sfumato.app.jobs import Anagram, Edit, Generate, Reading
from sfumato.app.tour import TINY, run_tour
from sfumato.app.tour.logs import training
from sfumato.app.tour.reader import Read, Reader, best_of_each, judged
from sfumato.app.tour.rows_edit import image_to_image
from sfumato.app.tour.workshop import Workshop, listing
from sfumato.evaluation.metrics import psnr


@pytest.fixture
def workshop(tmp_path):
    return Workshop(tmp_path, load, subject("digits"), TINY, seed=3)


def test_a_job_runs_once_however_often_it_is_asked_for(workshop, monkeypatch):
    from sfumato.app.tour import workshop as module

    runs = []
    plain = module.run
    monkeypatch.setattr(module, "run", lambda jobs, *more: runs.append(len(jobs)) or plain(jobs, *more))
    three, four = (workshop.job(Generate, prompt=name) for name in "34")
    first = workshop.make([three, three])
    again = workshop.make([four, three])
    assert runs == [1, 1]
    assert torch.equal(first[0], again[1])


def test_jobs_have_the_defaults_of_the_model_and_of_the_tour(workshop):
    job = workshop.job(Generate, prompt="3")
    assert (job.model, job.steps, job.guidance, job.seed) == ("digits", TINY.steps, 2.0, 3)
    readings = (Reading(prompt="3"), Reading(prompt="8", view="flip"))
    assert workshop.job(Anagram, readings=readings).guidance == 5.0
    other = workshop.job(Generate, model="digits/time")
    assert (other.model, other.guidance) == ("digits/time", 1.0)
    assert workshop.course(Generate).steps == TINY.course_steps


@pytest.mark.parametrize(("most", "columns", "rows"), [(10**6, 4, 4), (12_000, 4, 2), (3_200, 3, 2), (1, 2, 2)])
def test_of_large_pictures_there_are_fewer_steps_to_see(workshop, monkeypatch, most, columns, rows):
    from sfumato.app.tour import workshop as module

    monkeypatch.setattr(module, "_MOST_VALUES", most)
    steps = workshop.watch([workshop.job(Generate, steps=3, seed=seed) for seed in range(2)])
    assert len(steps) == 4  # of 28 × 28 pixels, twice
    shown = workshop.show_steps(steps, ["one", "other"], "")
    assert f'columns="{columns}" rows="{rows}"' in shown
    assert "x₀" in shown


def test_a_view_that_does_not_fit_is_not_possible(workshop):
    fits, not_so = (
        workshop.job(Anagram, readings=(Reading(prompt="3"), Reading(prompt="8", view=view)))
        for view in ("jigsaw", "permute:9")
    )
    assert workshop.possible(fits)
    assert not workshop.possible(not_so)


def test_the_best_of_each_is_the_one_whose_weakest_reading_is_strongest(workshop):
    readings = (Reading(prompt="6"), Reading(prompt="9", view="rotate:180"))
    results = workshop.run([workshop.job(Anagram, readings=readings, seed=seed) for seed in range(4)])
    found = judged(results, Reader(judges(DIGITS)))
    assert all(len(one.chances) == 2 and one.weakest == min(one.chances) for one in found)
    assert torch.allclose(found[0].seen[1], found[0].picture.flip(-1, -2), atol=1e-6)
    best = best_of_each(found, 2)
    assert best[0].weakest == max(one.weakest for one in found)
    assert len(best) == 2
    nobody = judged(results, Reader(None))
    assert [one.result.job.seed for one in best_of_each(nobody, 2)] == [0, 2]
    assert nobody[0].verdicts == ("", "")


def test_verdicts():
    assert Read("3", 0.9).verdict("3") == "right"
    assert Read("3", 0.9).verdict("8") == "wrong"
    assert Read("3", 0.9).verdict(None) == Read().verdict("3") == ""
    assert Read("3", 0.9).after("a digit") == "a digit, read as 3"
    assert Read().after("a digit") == "a digit"


def test_the_numbers_are_those_of_the_row(digits):
    rows = digits.rows
    assert rows["A1.7.2"]["kept_pixels_changed"] == 0
    assert rows["A0"]["1"]["samples"] == 10 * TINY.each
    assert 0 <= rows["A0"]["2"]["accuracy"] <= 1
    assert rows["A1.8"]["attempts"] == TINY.pairs * TINY.tries
    assert len(rows["A1.7.3"]["by start"]) == len(TINY.starts)
    assert rows["C6"]["2 (as it is), 4 (rotate:180)"]["tried"] == TINY.search
    assert set(rows["B1.3"]) == {"0", "0.2", "0.4", "0.5", "0.6", "0.8", "1"}
    assert len(list((digits.folder / "pictures").glob("*.gif"))) == 3


def test_what_is_kept_is_measured_against_the_picture_that_was_edited(workshop):
    (section,) = image_to_image(workshop)
    pictures = workshop.subject.pictures(TINY.pictures)
    for start, row in section.numbers.items():
        jobs = [workshop.course(Edit, image=workshop.input(one), begin=int(start)) for one in pictures]
        kept = [float(psnr(x[None], one.picture[None])) for x, one in zip(workshop.make(jobs), pictures, strict=True)]
        assert row["psnr"] == pytest.approx(sum(kept) / len(kept))


def test_outside_a_mask_a_picture_stays_whatever_the_range_of_the_model(words):
    assert words.rows["A1.7.2"]["kept_pixels_changed"] == 0


def test_where_nobody_reads_nothing_is_said_of_it(words):
    said = words.source.partition("<script")[0]
    assert "judge reads" not in said
    assert "✓" not in said
    assert words.rows["A0"]["1"] == {"samples": 3 * TINY.each, "change": None}
    assert words.result.numbers["subjects"][0]["judge"] is None


def test_the_photo_is_ones_own(words):
    assert "The photo is your own picture" in words.source
    assert (words.folder / "inputs" / "photo.png").is_file()
    assert "made grey" not in words.source
    assert words.result.numbers["subjects"][0]["photo"] == "photo"


def test_a_model_without_a_second_stage_says_so(digits):
    assert digits.source.count("has no second stage") == 1
    assert digits.rows["A2"] == {}


def test_a_second_stage_makes_the_design_larger(tmp_path, monkeypatch):
    from sfumato.app import tour as module
    from sfumato.core.cascade import LowResolution
    from sfumato.models.text_unet import TextUNetConfig

    small = load("words")
    torch.manual_seed(0)
    config = replace(small.network.config, size=32, guide=3)
    assert isinstance(config, TextUNetConfig)
    network = config.build().eval().requires_grad_(False)
    large = replace(small, name="twice", network=network, low_res=LowResolution(16))
    first = replace(small, defaults=replace(small.defaults, larger="twice"))
    monkeypatch.setattr(module, "CHAPTERS", tuple(c for c in module.CHAPTERS if c[0].split()[0] in {"steps", "a"}))
    loader = {"words": first, "twice": large}
    result = run_tour(tmp_path, replace(subject("words"), model=first), lambda name, dtype: loader[name], size=TINY)
    assert result.numbers["rows"]["A2"]["sizes"] == [16, 32]
    page = result.report.read_text(encoding="utf-8")
    assert "--larger twice" in page
    assert "twice made them larger" in page


def test_a_run_of_ones_own_shows_its_log(tmp_path, monkeypatch, sfumato):
    from sfumato.app import tour as module
    from sfumato.app.tour.subject import subject_of
    from sfumato.backends.registry import load as load_model

    out, pictures = tmp_path / "run", tmp_path / "pictures"
    for name in DIGITS:
        (pictures / name).mkdir(parents=True)
        Image.new("L", (28, 28), 20 * int(name)).save(pictures / name / "a.png")
    numbers = ("epochs=1", "width=4", "batch_size=5", "steps=2", "sample_steps=2", "log_every=1")
    settings = [word for number in numbers for word in ("--set", number)]
    done = sfumato("train", "class", "--data", pictures, *settings, "-o", out, "--quiet")
    assert done.code == 0, done.err
    known = training(str(out))
    assert known is not None
    assert known.about["steps"] == 2
    assert known.about["finished"]
    assert known.sheets
    model = load_model(str(out))
    monkeypatch.setattr(module, "CHAPTERS", tuple(c for c in module.CHAPTERS if "B" in c[0]))
    result = run_tour(
        tmp_path / "tour", subject_of(model, str(out), noise_digits()), lambda name, dtype: load_model(name), size=TINY
    )
    assert list(result.numbers["rows"]) == ["B2.4", "B3"]
    page = result.report.read_text(encoding="utf-8")
    assert f"sfumato train class --data {pictures}" in page
    assert "--model ../run" in page


def test_a_training_of_other_weights_is_not_shown(tmp_path):
    # The tiny network stands in the place of the bundled one, whose log is in the package.
    tour = Tour(tmp_path, subject("digits/time"))
    assert "training unfinished" not in tour.source
    assert "epochs" not in json.dumps(tour.result.numbers["models"])


def test_no_rows_are_no_page(tmp_path, refused):
    model = replace(course_model("digits/denoiser"), name="alone")
    alone = replace(subject("digits/denoiser"), model=model, name="alone", family=())
    assert "nothing to be shown" in refused(run_tour, tmp_path, alone, lambda name, dtype: model, size=TINY)
    assert not (tmp_path / "report.html").exists()


def test_clean_pictures_without_classes(tmp_path):
    assert noise_digits().classes == DIGITS
    assert subject("clothes").noun == "picture"
    assert subject("digits").noun == "digit"


def test_words():
    assert listing(["a"]) == "a"
    assert listing(["a", 2, "c"]) == "a, 2 and c"
