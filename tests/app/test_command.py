import json
import shlex
from itertools import pairwise

import pytest
from PIL import Image

from sfumato.app.command import command_line, command_lines, train_command
from sfumato.app.jobs import Anagram, Denoise, Edit, Generate, Hybrid, Inpaint, Reading, parse_job
from sfumato.app.pictures import read_mask, read_picture
from sfumato.app.tour.logs import training
from sfumato.core.estimates import guided
from sfumato.core.ramps import Ramp
from sfumato.errors import UsageError
from sfumato.training.recipe import load_recipe, parse_settings

SHAPE = (1, 28, 28)
FEW = {"steps": 3, "guidance": 2.0}


def jobs_of(sfumato, command: str, folder) -> list:
    """The jobs that a command line runs."""
    program, *words = shlex.split(command)
    assert program == "sfumato"
    done = sfumato(*words, "--json", "-o", folder)
    assert done.code == 0, done.err
    return [picture["job"] for picture in json.loads(done.out)["pictures"]]


def data(jobs) -> list:
    return [job.model_dump(mode="json") for job in jobs]


def test_only_what_differs_is_said():
    job = Generate(prompt="3", model="digits", **FEW)
    assert command_line(job) == "sfumato generate 3 --steps 3 --guidance 2 --seed 0"
    job = Generate(prompt="3", model="my run", negative="8", sampler="ddim", eta=0.5, last_step=False, **FEW)
    words = shlex.split(command_line(job))
    assert words[words.index("--model") + 1] == "my run"
    assert words[words.index("--eta") + 1] == "0.5"
    assert {"--negative", "--sampler", "--no-last-step"} <= set(words)


def test_the_model_is_said_where_the_prompts_alone_would_take_another():
    assert command_line(Generate(prompt="3", model="emoji", **FEW)).startswith("sfumato generate 3 --model emoji ")
    assert "--model" not in command_line(Generate(prompt="a lion", model="emoji", **FEW))
    two = [Reading(prompt="6"), Reading(prompt="9", view="rotate:180")]
    assert "--model" not in command_line(Anagram(readings=two, model="digits", **FEW))
    assert "--model digits/time" in command_line(Generate(model="digits/time", **FEW))


def test_guidance_is_left_out_where_nothing_is_asked_for():
    assert "--guidance" not in command_line(Generate(**FEW))


def test_guidance_may_fall_on_the_way(sfumato, tmp_path):
    job = Generate(prompt="3", model="digits", steps=3, guidance="4..1")
    assert job.guidance == (4.0, 1.0)
    assert job == Generate.model_validate_json(job.model_dump_json())
    assert job.tree() == guided("3", scale=Ramp(4.0, 1.0))
    command = command_line(job)
    assert command == "sfumato generate 3 --steps 3 --guidance 4..1 --seed 0"
    assert jobs_of(sfumato, command, tmp_path) == data([job])
    (file,) = tmp_path.glob("generate-3*.png")
    with Image.open(file) as picture:
        assert "CFG scale: 4," in picture.info["parameters"]
    done = sfumato("rerun", file, "--verify")
    assert done.code == 0, done.err
    done = sfumato("rerun", file, "--set", "guidance=3..2", "--json", "-o", tmp_path / "again")
    assert json.loads(done.out)["pictures"][0]["job"]["guidance"] == [3, 2]


@pytest.mark.parametrize("guidance", [[], [1], [1, 2, 3], [[1], 2], float("inf"), 10**400, "x", True, None])
def test_guidance_of_a_job_is_a_number_or_two(guidance):
    with pytest.raises(UsageError, match="guidance: should be a finite number, or two such as"):
        parse_job({"kind": "generate", "steps": 3, "guidance": guidance})


def test_guidance_that_is_none_is_one_line(sfumato, tmp_path):
    done = sfumato("generate", "3", "--guidance", "much", "-o", tmp_path)
    assert done.code == 2
    assert done.err == "error: --guidance should be a finite number, or two such as 2..0.5 (given 'much')\n"


def test_one_command_for_several_jobs():
    jobs = [Generate(prompt=c, model="digits", seed=s, **FEW) for c in "38" for s in (4, 5)]
    assert command_lines(jobs) == "sfumato generate 3 8 --steps 3 --guidance 2 --seed 4 -n 2"


def test_jobs_of_no_one_command_are_refused():
    with pytest.raises(ValueError, match="one command"):
        command_lines([Generate(prompt="3", **FEW), Generate(prompt="3", steps=4, guidance=2.0)])
    with pytest.raises(ValueError, match="follow each other"):
        command_lines([Generate(prompt="3", seed=s, **FEW) for s in (1, 3)])


def test_file_names_are_quoted(drawing):
    image = read_picture(drawing, SHAPE)
    assert "'a b.png'" in command_line(Edit(image=image, begin=1, **FEW), image="a b.png")


def test_a_training_says_what_was_changed():
    recipe = load_recipe("class")
    assert train_command(recipe.model_dump(mode="json")) == "sfumato train class --data mnist"
    changed = recipe.with_changes({"epochs": 3, "data": "typeset"})
    assert train_command(changed.model_dump(mode="json")) == "sfumato train class --data typeset --set epochs=3"
    mine = recipe.with_changes({"name": "mine"})
    assert train_command(mine.model_dump(mode="json")) == "sfumato train class --data mnist --set name=mine"


def test_the_command_of_a_recipe_of_ones_own_makes_that_recipe():
    changes = {"name": "mine", "clip": None, "lr": 1e-4, "sigmas": (0.3, 0.5), "sample_epochs": (1, 2), "size": 32}
    for name in ("class", "denoiser", "text"):
        known = load_recipe(name)
        mine = known.with_changes({**changes, "data": "typeset"})
        program, train, recipe, *options = shlex.split(train_command(mine.model_dump(mode="json")))
        settings = [value for option, value in pairwise(options) if option == "--set"]
        again = load_recipe(recipe).with_changes({**parse_settings(settings), "data": "typeset"})
        assert (program, train) == ("sfumato", "train")
        assert again.model_dump(exclude={"summary"}) == mine.model_dump(exclude={"summary"})


def test_the_bundled_trainings_have_commands():
    for name in ("digits", "digits/time", "digits/denoiser"):
        known = training(name)
        assert known is not None
        assert known.command.startswith("sfumato train ")


def test_the_command_makes_the_jobs_it_was_built_from(sfumato, tiny_model, drawing, mask, tmp_path):
    image, area = read_picture(drawing, SHAPE), read_mask(mask, drawing, SHAPE)
    few = {"model": tiny_model, **FEW}
    readings = (Reading(prompt="6"), Reading(prompt="9", view="rotate:180+mirror"))
    commands = [
        [Generate(prompt=c, seed=s, sampler="ddim", eta=0.25, **few) for c in "38" for s in (7, 8)],
        [Edit(image=image, prompt="3", begin=b, threshold="static", **few) for b in (0, 1)],
        [Denoise(image=image, prompt="3", t=t, method=m, sigma=1.5, **few) for t in (75, 150) for m in METHODS],
        [Inpaint(image=image, mask=area, prompt="8", resample=2, jump=2, seed=s, **few) for s in (0, 1)],
        [Inpaint(image=image, mask=area, prompt="8", jump=5, **few)],
        [Anagram(readings=readings, seed=3, negative="1", **few)],
        [Hybrid(far="0", near="3", sigma=1.25, variance="forward", **few)],
    ]
    for k, jobs in enumerate(commands):
        command = command_lines(jobs, str(drawing), str(mask))
        assert jobs_of(sfumato, command, tmp_path / str(k)) == data(jobs), command


METHODS = ("noised", "blur", "one-step", "iterative")
