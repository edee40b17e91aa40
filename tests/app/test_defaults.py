"""What is not said: from the model, the kind of job and the course, the same for every way of asking."""

import pytest

from sfumato.app import defaults
from sfumato.app.job import Stage
from sfumato.app.jobs import parse_job
from sfumato.backends.registry import load
from sfumato.errors import UsageError


def _load(name, dtype="float32"):
    return load(name, "cpu", dtype)


def test_a_job_says_all_of_its_loop_once_it_is_completed():
    model = _load("digits")
    fields = defaults.completed({"kind": "generate", "prompt": "3"}, model)
    job = parse_job(fields)
    assert (job.steps, job.guidance, job.dtype) == (model.defaults.steps, model.defaults.guidance, "float32")
    assert job.loop == model.defaults.loop


def test_readings_of_one_picture_are_guided_by_themselves():
    digits, emoji = _load("digits").defaults, _load("emoji").defaults
    assert digits.illusion_guidance != digits.guidance
    for kind in ("generate", "edit", "inpaint", "panorama", "regions"):
        assert defaults.completed({"kind": kind}, _load("digits"))["guidance"] == digits.guidance
    for kind in ("anagram", "hybrid"):
        assert defaults.completed({"kind": kind}, _load("digits"))["guidance"] == digits.illusion_guidance
        assert defaults.completed({"kind": kind, "guidance": 3.0}, _load("digits"))["guidance"] == 3.0
        assert defaults.completed({"kind": kind}, _load("emoji"))["guidance"] == emoji.guidance, "it has no other"


def test_what_is_said_stays():
    said = {"kind": "generate", "prompt": "3", "steps": 3, "guidance": 7.0, "sampler": "ddim", "last_step": False}
    assert defaults.completed(said, _load("digits"), steps=34).items() >= said.items()


def test_another_loop_and_the_steps_of_the_command_take_the_place_of_the_models():
    model = _load("digits")
    loop = model.defaults.loop.named("course")
    fields = defaults.completed({}, model, loop=loop, steps=34)
    assert (fields["last_step"], fields["steps"]) == (False, 34)
    assert defaults.completed({}, _load("digits/denoiser"), steps=34)["steps"] == 1, "its schedule has no more"


@pytest.mark.parametrize(
    ("kind", "from_picture", "steps"),
    [("edit", True, 34), ("anagram", True, 34), ("anagram", False, None), ("upscale", True, None)],
)
def test_starts_count_in_the_schedule_of_the_course(kind, from_picture, steps):
    assert defaults.own_steps(kind, from_picture=from_picture) == steps


def test_a_hybrid_is_parted_where_its_model_says():
    model = _load("digits")
    assert defaults.factors("frequency", model) == "frequency:1.5"
    assert defaults.factors("triple", model) == "triple:0.75,1.5"
    assert defaults.factors("frequency", model, 3.0) == "frequency:3.0"
    assert defaults.factors("motion:7", model) == "motion:7"
    with pytest.raises(UsageError, match="--sigma parts far from near"):
        defaults.factors("colour", model, 1.0)


def test_denoise_compares_at_the_quarters_of_the_schedule():
    assert defaults.noised_times(_load("digits")) == [75.0, 150.0, 225.0]
    assert "iterative" in defaults.denoise_methods(_load("digits"))
    assert "iterative" not in defaults.denoise_methods(_load("digits/denoiser"))


def test_a_panorama_is_three_pictures_wide():
    assert defaults.panorama_size(_load("digits")) == (84, 28)


def test_a_model_that_makes_nothing_larger_is_told_so():
    model = _load("digits")
    with pytest.raises(UsageError, match="makes no picture larger"):
        defaults.small_level(model)
    with pytest.raises(UsageError, match="makes no picture larger"):
        defaults.later_stages([Stage(model="digits")], model, _load, "float32")
    assert defaults.later_stages([], model, _load, "float32") == []
    with pytest.raises(UsageError, match="digits makes pictures of 28 pixels, not 56"):
        defaults.stages_to(56, model, _load, "float32")


@pytest.mark.parametrize(
    ("prompts", "model"),
    [(["6", "9"], "digits"), (["a lion"], "emoji"), (["6", "a lion"], "emoji"), ([None], "emoji"), ([], "emoji")],
)
def test_the_model_is_the_one_that_knows_the_prompts(prompts, model):
    assert defaults.model_for(prompts) == model


def test_a_picture_is_made_larger_by_the_stage_of_the_usual_model():
    assert defaults.model_for(["a lion"], "upscale") == "emoji/128"
