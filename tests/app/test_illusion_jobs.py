"""Hybrids of every kind, regions, panoramas and weighted anagrams, from jobs and from the command line."""

import base64
import json

import pytest
import torch

from sfumato.app.command import command_line
from sfumato.app.jobs import Anagram, Hybrid, Panorama, Regions, parse_job
from sfumato.app.pictures import Picture
from sfumato.app.provenance import read_provenance
from sfumato.app.run import run
from sfumato.backends import registry
from sfumato.core.estimates import Filtered, Sum
from sfumato.core.filters import LowPass
from sfumato.core.ramps import Ramp
from sfumato.errors import UsageError
from sfumato.images import read_image

SHARED = {"model": "digits", "steps": 6, "guidance": 2.0}
LEFT = Picture.of((torch.arange(28) < 14).float().expand(1, 28, 28), "left.png")
GREY = Picture.of(torch.full((1, 28, 28), 0.5), "grey.png")


def load(name: str, dtype: str = "float32"):
    return registry.load(name, "cpu", dtype)


def test_a_job_of_an_earlier_file_is_the_same_hybrid():
    old = parse_job({"kind": "hybrid", "far": "0", "near": "3", "sigma": 2.5, **SHARED})
    new = Hybrid(parts=("0", "3"), factors="frequency:2.5", **SHARED)
    assert old == new
    assert (old.far, old.near, old.sigma) == ("0", "3", 2.5)
    assert old.tree() == new.tree()
    for sigma in (0, -1, None, "x", float("nan")):
        with pytest.raises(UsageError, match="sigma must be a positive number"):
            parse_job({"kind": "hybrid", "far": "0", "near": "3", "sigma": sigma, **SHARED})


@pytest.mark.parametrize(
    ("factors", "parts", "looks"),
    [
        ("frequency:2", ("0", "3"), ("from afar", "from near")),
        ("triple:1,2", ("0", "1", "3"), ("from afar", "from midway", "from near")),
        ("colour", ("0", "3"), ("in grey", "in colour")),
        ("motion:7", ("0", "3"), ("in motion", "still")),
        ("scale:2,-1", ("0", "3"), ("as it is", "as it is")),
    ],
)
def test_every_kind_has_a_prompt_and_a_look_for_each_component(factors, parts, looks):
    job = Hybrid(parts=parts, factors=factors, **SHARED)
    assert [(look.prompt, look.name) for look in job.looks()] == list(zip(parts, looks, strict=True))
    (made,) = run([job], load)
    assert made.picture.isfinite().all()
    for look in job.looks():
        assert look.at(made.picture[None]).shape == (1, 1, 28, 28)
    assert parse_job(json.loads(job.model_dump_json())) == job


def test_a_reference_keeps_its_own_component():
    job = Hybrid(parts=("3",), factors="frequency:3", reference=GREY, **SHARED)
    assert [(look.prompt, look.name) for look in job.looks()] == [("3", "from near")]
    model = load("digits")
    (made,) = run([job], load)
    low = LowPass(3)
    # But for what lies outside of black and white and is cut off.
    assert (low(made.picture[None]) - low(GREY.tensor()[None])).abs().mean() < 0.05
    assert job.constraint(model) is not None
    for odd, words in (
        ({"parts": ("0", "3")}, "wants 1 prompts beside the reference, not 2"),
        ({"mask": LEFT, "image": GREY}, "not both"),
    ):
        with pytest.raises(UsageError, match=words):
            parse_job({**job.model_dump(), **odd})


def test_factors_grow_with_the_picture():
    small, large = (Hybrid(parts=("0", "3"), factors="frequency:2", enlarged=ratio, **SHARED) for ratio in (1, 4))
    assert small.filters[0] == LowPass(2.0)
    assert large.filters[0] == LowPass(8.0)


def test_regions_do_not_know_of_each_other_and_share_where_they_overlap():
    halves = [{"prompt": "1", "mask": LEFT}]
    job = Regions(regions=halves, rest="8", **SHARED)
    assert job.title == "1 in left, 8"
    tree = job.tree()
    assert isinstance(tree, Sum)
    first, rest = (node.filter(torch.ones(1, 1, 28, 28)) for _, node in tree.terms if isinstance(node, Filtered))
    assert torch.equal(first[..., :14], torch.ones_like(first[..., :14]))
    assert torch.equal(first + rest, torch.ones_like(first))
    twice = Regions(regions=[*halves, {"prompt": "7", "mask": LEFT}], **SHARED).tree()
    shares = [node.filter(torch.ones(1, 1, 28, 28))[0, 0, 0, 0].item() for _, node in twice.terms]
    assert shares == [0.5, 0.5, 0.0]
    (made,) = run([job], load)
    assert made.picture.shape == (1, 28, 28)


def test_a_panorama_has_the_size_it_is_asked_for():
    (made,) = run([Panorama(prompt="3", width=70, height=40, **SHARED)], load)
    assert made.picture.shape == (1, 40, 70)
    for size, words in (((20, 28), "smaller than the model's"), ((10**5, 10**5), "are more than 16 million")):
        with pytest.raises(UsageError, match=words):
            run([parse_job({"kind": "panorama", "width": size[0], "height": size[1], **SHARED})], load)


def test_weights_and_guidance_of_readings_may_change_on_the_way():
    readings = [
        {"prompt": "6", "weight": (3, 1), "guidance": (5, 1)},
        {"prompt": "9", "view": "rotate:180", "weight": 1},
    ]
    job = Anagram(readings=readings, **SHARED)
    (first, _), (second, other) = job.tree().terms
    assert (first, second) == (Ramp(0.75, 0.5), Ramp(0.25, 0.5))
    assert other.node.scale == 2.0
    assert job.tree().terms[0][1].node.scale == Ramp(5, 1)
    plain = Anagram(readings=[{"prompt": "6"}, {"prompt": "9", "view": "rotate:180"}], **SHARED)
    assert [weight for weight, _ in plain.tree().terms] == [0.5, 0.5]
    with pytest.raises(UsageError, match="sum to 0"):
        parse_job(
            {"kind": "anagram", "readings": [{"prompt": "6", "weight": 1}, {"prompt": "9", "weight": -1}], **SHARED}
        )


def test_a_job_reads_no_files():
    with pytest.raises(UsageError, match="file"):
        parse_job({"kind": "anagram", "readings": [{"prompt": "6", "view": "file:/etc/passwd"}], **SHARED})


def test_commands(sfumato, tmp_path):
    few = ("--steps", "3", "-o", tmp_path / "out")
    mask = tmp_path / "left.png"
    mask.write_bytes(base64.b64decode(LEFT.png))
    for words in (
        ("hybrid", "0", "1", "3", "--kind", "triple"),
        ("hybrid", "0", "3", "--kind", "motion:5"),
        ("hybrid", "3", "--reference", mask),
        ("regions", "1", "8", "--mask", mask),
        ("panorama", "3", "--size", "60x30"),
        ("anagram", "4", "8", "--view", "identity", "--view", "jigsaw:seed=3", "--weight", "2..1", "--weight", "1"),
    ):
        done = sfumato(*words, *few)
        assert done.code == 0, done.err
    for path in (tmp_path / "out").glob("*.png"):
        assert sfumato("rerun", path, "--verify").code == 0
        job = parse_job(read_provenance(path)["job"])
        assert command_line(job).startswith(f"sfumato {job.kind}")
    assert {read_image(path).size for path in (tmp_path / "out").glob("panorama*")} == {(60, 30)}
    for words, told in (
        (("hybrid", "0", "3", "--kind", "nothing"), "unknown factors 'nothing'"),
        (("hybrid", "0", "--kind", "triple"), "wants 3 prompts, not 1"),
        (("hybrid", "0", "3", "--kind", "colour", "--sigma", "2"), "say the numbers of another kind in it"),
        (("regions", "1", "2", "3", "--mask", mask), "3 prompts and 1 masks"),
        (("panorama", "3", "--size", "60"), "WIDTHxHEIGHT"),
        (("anagram", "4", "8", "--weight", "1"), "give one for each prompt"),
        (("anagram", "4", "8", "--weight", "x", "--weight", "1"), "should be a finite number, or two"),
        (("anagram", "4", "8", "--view", "identity", "--view", "rotate:45"), "rotate"),
    ):
        done = sfumato(*words, "-o", tmp_path / "none")
        assert done.code == 2
        assert told in done.err
        assert len(done.err.splitlines()) == 1
    assert not (tmp_path / "none").exists()
