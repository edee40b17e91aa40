"""Illusions that begin from a picture, or are made inside a mask: what exists, composed."""

import json

import pytest
import torch

from sfumato.app.fidelity import fidelity, table
from sfumato.app.jobs import Anagram, Edit, Generate, Hybrid, parse_job
from sfumato.app.pictures import Picture
from sfumato.app.run import make_batches, notes, run
from sfumato.backends import registry
from sfumato.errors import UsageError

SHARED = {"model": "digits", "steps": 8, "guidance": 2.0}
READINGS = [{"prompt": "6"}, {"prompt": "9", "view": "rotate:180"}]


def load(name: str, dtype: str = "float32"):
    return registry.load(name, "cpu", dtype)


@pytest.fixture(scope="module")
def photo() -> Picture:
    (made,) = run([Generate(prompt="8", seed=1, **SHARED)], load)
    return Picture.of(made.picture, "eight.png")


@pytest.fixture(scope="module")
def mask() -> Picture:
    x = torch.zeros(1, 28, 28)
    x[:, :14] = 1
    return Picture.of(x, "mask.png")


@pytest.mark.parametrize(
    "kind", [{"kind": "anagram", "readings": READINGS}, {"kind": "hybrid", "far": "0", "near": "3", "sigma": 2.0}]
)
def test_an_illusion_inside_a_mask_keeps_the_rest_exactly(photo, mask, kind):
    job = parse_job({**kind, "image": photo, "mask": mask, "resample": 2, "jump": 3, **SHARED})
    (made,) = run([job], load)
    kept = photo.tensor()
    assert torch.equal(made.picture[:, 14:], kept[:, 14:])
    assert (made.picture[:, :14] - kept[:, :14]).abs().max() > 0.1
    assert "inside a mask of eight" in job.title


def test_an_illusion_from_a_picture_is_nearer_to_it_the_later_it_begins(photo):
    jobs = [Anagram(readings=READINGS, image=photo, begin=begin, **SHARED) for begin in (0, 4, 7)]
    distances = [float((r.picture - photo.tensor()).abs().mean()) for r in run(jobs, load)]
    assert distances[0] > distances[1] > distances[2]


def test_an_edit_inside_a_mask_begins_from_the_picture_and_keeps_the_rest(photo, mask):
    (made,) = run([Edit(image=photo, prompt="3", begin=3, mask=mask, **SHARED)], load)
    assert torch.equal(made.picture[:, 14:], photo.tensor()[:, 14:])


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"begin": 3}, "needs the image"),
        ({"image": True}, "an image needs a start, a mask, or both"),
        ({"image": True, "begin": 3, "resample": 2}, "give a mask"),
    ],
)
def test_halves_of_an_origin_are_refused(photo, fields, words):
    given = {**fields, "image": photo} if "image" in fields else fields
    with pytest.raises(UsageError, match=words):
        parse_job({"kind": "hybrid", "far": "0", "near": "3", "sigma": 2.0, **given, **SHARED})


def test_a_start_past_the_end_is_refused(photo):
    with pytest.raises(UsageError, match="past the end"):
        run([Hybrid(far="0", near="3", sigma=2.0, image=photo, begin=8, **SHARED)], load)


def test_commands(sfumato, photo, tmp_path):
    file = tmp_path / "eight.png"
    made = sfumato("generate", "8", "--steps", "4", "-o", tmp_path / "one", "--seed", "1")
    assert made.code == 0
    next((tmp_path / "one").glob("*.png")).rename(file)
    out = tmp_path / "out"
    done = sfumato("anagram", "6", "9", "--image", file, "--start", "4,10", "--steps", "12", "-o", out)
    assert done.code == 0, done.err
    made = sorted(out.glob("anagram-*.png"))
    assert len(made) == 2
    assert sfumato("rerun", made[0], "--verify").code == 0
    for words, told in (
        (("--start", "3"), "give one with --image"),
        (("--image", file), "say where to begin"),
        (("--image", file, "--start", "3", "--resample", "2"), "give one with --mask"),
    ):
        done = sfumato("hybrid", "0", "3", *words, "-o", tmp_path / "none")
        assert done.code == 2
        assert told in done.err
        assert len(done.err.splitlines()) == 1
    assert not (tmp_path / "none").exists()


def test_resampling_says_what_it_costs(photo, mask):
    job = parse_job({"kind": "inpaint", "image": photo, "mask": mask, "resample": 3, "jump": 4, **SHARED})
    (told,) = notes(make_batches([job], load), load)
    assert told == "resampling walks 18 steps instead of 8, 2.2 times as long"
    assert notes(make_batches([job.model_copy(update={"resample": 1})], load), load) == []


def test_edits_say_what_they_kept(photo):
    rows = fidelity(
        run([Edit(image=photo, prompt="3", begin=b, seed=s, **SHARED) for b in (6, 0) for s in (0, 1)], load)
    )
    assert [row.start for row in rows] == [0, 6]
    assert rows[1].psnr > rows[0].psnr
    assert rows[0].wanted > rows[1].wanted
    assert table(rows[:1]) == []
    assert len(table(rows)) == 3


def test_edits_of_edits_keep_their_chain(sfumato, tmp_path):
    few = ("--steps", "6", "-o", tmp_path)
    assert sfumato("generate", "8", *few).code == 0
    first = next(tmp_path.glob("generate-*.png"))
    assert sfumato("edit", first, "--prompt", "3", "--start", "3", *few).code == 0
    second = next(tmp_path.glob("edit-*.png"))
    assert sfumato("anagram", "6", "9", "--image", second, "--start", "4", *few).code == 0
    third = next(tmp_path.glob("anagram-*.png"))
    told = json.loads(sfumato("inspect", third).out)["job"]["image"]
    assert told["name"] == second.name
    before = told["made_by"]["job"]
    assert (before["kind"], before["prompt"], before["image"]["name"]) == ("edit", "3", first.name)
    origin = before["image"]["made_by"]
    assert (origin["job"]["kind"], origin["job"]["prompt"]) == ("generate", "8")
    assert len(origin["models"][0]["sha256"]) == 64
    assert sfumato("rerun", third, "--verify").code == 0


def test_a_chain_that_has_been_through_a_page_is_the_same_job():
    """JavaScript writes 2.0 as 2, and a file's name follows from the job."""
    picture = Picture.of(torch.zeros(1, 28, 28), "a.png").model_dump()
    chain = {"job": {"guidance": 2.0, "readings": [{"weight": 1.0}], "seed": 3, "eta": 0.5}}
    through = json.loads(json.dumps(chain).replace("2.0", "2").replace("1.0", "1"))
    jobs = [Edit(image={**picture, "made_by": made}, begin=1, steps=3, guidance=1) for made in (chain, through)]
    assert jobs[0].digest == jobs[1].digest
    assert jobs[0].image.made_by == chain  # the numbers are equal, whichever way they are written


def test_a_chain_too_deep_to_follow_is_refused():
    deep = {}
    for _ in range(5000):
        deep = {"source": deep}
    picture = Picture.of(torch.zeros(1, 28, 28), "a.png").model_dump()
    with pytest.raises(ValueError, match="nested too deeply"):
        Picture(**{**picture, "made_by": deep})
