import dataclasses
import json
from itertools import pairwise

import pytest
import torch
from PIL import Image

from sfumato.app.jobs import parse_job
from sfumato.app.output import pixel_digest
from sfumato.app.provenance import read_provenance
from sfumato.app.studio.orders import Cancelled, Desk
from sfumato.app.studio.records import Began, Kept, Made, Noted, Order, Sampled, Stepped, Trained
from sfumato.app.studio.watching import POINTS, PREVIEW_EVERY, Curve, Reel
from sfumato.backends.registry import load
from sfumato.core.levels import Level
from sfumato.core.loop import Step
from sfumato.errors import SfumatoError, UsageError
from sfumato.images import read_image
from sfumato.models.text_unet import TextUNetConfig
from sfumato.models.weights import save_weights
from sfumato.training.recipe import load_recipe


@pytest.fixture(scope="module")
def desk():
    """One for all tests, as a worker has one for all orders."""
    return Desk("cpu")


@pytest.fixture
def carry(desk, tmp_path):
    """Carry an order out; what was said."""
    folder = tmp_path / "studio"

    def carry(jobs=(), cancelled=lambda said: False, **order):
        said = []
        asked = Order(5, folder, tuple(jobs), **order)
        try:
            desk.carry_out(asked, said.append, lambda: cancelled(said))
        except Cancelled:
            said.append(Cancelled)
        return said

    carry.folder = folder
    return carry


def kinds(said, kind):
    return [message for message in said if isinstance(message, kind)]


def jobs_of(folder):
    """The jobs of the pictures that a command has made, in order."""
    files = [path for path in folder.glob("*.png") if not path.name.startswith("sheet")]
    jobs = [read_provenance(path)["job"] for path in files]
    return sorted(jobs, key=lambda job: (json.dumps({**job, "seed": 0}, sort_keys=True), job["seed"]))


@pytest.mark.parametrize(
    "command",
    [
        ("generate", "3", "8", "-n", 2, "--seed", 5, "--steps", 3),
        ("edit", "IMAGE", "--prompt", 3, "--start", "1,2", "--steps", 4),
        ("denoise", "IMAGE", "--t", "75,150", "--steps", 4, "--model", "digits"),
        ("inpaint", "IMAGE", "--mask", "MASK", "--prompt", 8, "--steps", 4, "--resample", 2),
        ("anagram", 6, 9, "--steps", 3),
        ("hybrid", 0, 3, "--steps", 3),
    ],
    ids=lambda command: command[0],
)
def test_a_picture_of_an_order_is_the_file_of_the_command_line(carry, sfumato, drawing, mask, tmp_path, command):
    out, places = tmp_path / "out", {"IMAGE": drawing, "MASK": mask}
    assert sfumato(*(places.get(word, word) for word in command), "-o", out).code == 0
    said = carry(jobs_of(out))
    made = {message.file: message for message in kinds(said, Made)}
    files = {path.name: path for path in out.glob("*.png") if not path.name.startswith("sheet")}
    assert made.keys() == files.keys()
    for name, path in files.items():
        ours = carry.folder / "pictures" / name
        assert pixel_digest(read_image(ours)) == pixel_digest(read_image(path))
        assert read_provenance(ours) == read_provenance(path)
        assert ours.read_bytes() == path.read_bytes()
        assert made[name].job == read_provenance(path)["job"]
        assert (made[name].width, made[name].height) == (28, 28)
        assert made[name].command.startswith(f"sfumato {command[0]}")
        assert (made[name].kind, made[name].title) == (command[0], parse_job(made[name].job).title)
    assert said[0].total == kinds(said, Stepped)[-1].done


DIGITS = {"model": "digits", "steps": 3, "guidance": 2.0}


def job(**fields):
    return parse_job({"kind": "generate", **DIGITS, "prompt": "3", **fields}).model_dump(mode="json")


def test_the_judge_reads_every_look_and_nothing_where_none_is_asked_for(carry):
    hybrid = parse_job({"kind": "hybrid", **DIGITS, "parts": ("0", "3")}).model_dump(mode="json")
    nothing = job(prompt=None)
    made = kinds(carry([job(), hybrid, nothing]), Made)
    by_kind = {(m.kind, m.title): m.readings for m in made}
    (reading,) = by_kind["generate", "3"]
    assert (reading.look, reading.prompt) == ("as it is", "3")
    assert reading.right == (reading.read == "3")
    assert 0 <= reading.probability <= 1
    assert [r.look for r in by_kind["hybrid", "0 from afar, 3 from near"]] == ["from afar", "from near"]
    assert by_kind["generate", "anything"] == ()


def test_previews_come_at_most_ten_times_a_second_and_always_with_the_last_step(carry):
    said = carry([job(seed=k, steps=12) for k in range(6)])
    steps = kinds(said, Stepped)
    assert [s.step for s in steps] == list(range(13))
    assert {(s.run, s.stage, s.of) for s in steps} == {(5, 0, 12)}
    assert [s.done for s in steps] == [max(0, s.step) for s in steps]
    shown = [s for s in steps if s.x]
    assert shown[0] is steps[0]
    assert shown[-1] is steps[-1]
    assert shown[0].x0 == ()  # nothing is estimated at the start
    assert {len(s.x) for s in shown} == {4}
    assert len(shown[-1].x0) == 4
    last = read_image(carry.folder / "pictures" / kinds(said, Made)[0].file)
    assert _png(carry, shown[-1].x[0]).tobytes() == last.tobytes()
    assert PREVIEW_EVERY == 0.1


def _png(carry, data):
    path = carry.folder / "preview.png"
    path.write_bytes(data)
    return read_image(path)


def test_the_steps_are_kept_as_a_strip(carry):
    said = carry([job(seed=k) for k in range(2)], keep_steps=True)
    (kept,) = kinds(said, Kept)
    strip = kept.strip
    assert (strip.columns, strip.rows, strip.width, strip.height) == (4, 4, 28, 28)
    assert [level["t"] for level in strip.levels] == [298.0, 149.0, 0.0, -1.0]
    board = read_image(carry.folder / "frames" / "5.png")
    assert board.size == (4 * 28, 4 * 28)
    cells = [[board.crop((28 * c, 28 * r, 28 * c + 28, 28 * r + 28)).tobytes() for r in range(4)] for c in range(4)]
    pictures = [read_image(carry.folder / "pictures" / made.file).tobytes() for made in kinds(said, Made)]
    assert cells[-1] == [pictures[0], pictures[0], pictures[1], pictures[1]]  # x_t and x̂₀ meet at the end
    assert len(set(map(tuple, cells))) == 4
    shown = [s for s in kinds(said, Stepped) if s.x]
    assert _png(carry, shown[0].x[0]).tobytes() == cells[0][0]
    assert _png(carry, shown[-1].x0[1]).tobytes() == cells[-2][3]  # the last estimate is that of the step before


def test_of_many_steps_evenly_many_are_kept(tiny_model):
    reel = Reel(load(tiny_model))
    x = torch.zeros(1, 1, 64, 64)
    for k in range(1001):
        reel.add(Step(k, 1000, Level(1000.0 - k, 1.0, 0.0), x, x if k else None))
    board, strip = reel.strip()
    assert (strip.columns, strip.rows) == (251, 2)
    assert board.width <= 16_384
    assert [level["t"] for level in strip.levels][:2] == [1000.0, 996.0]
    assert strip.levels[-1]["t"] == 0.0


@pytest.fixture(scope="module")
def stages(tmp_path_factory):
    """Files of a stage of 16 pixels and one of 32, untrained."""
    folder, names = tmp_path_factory.mktemp("stages"), []
    for recipe, size, guide in (("text", 16, 0), ("upsample", 32, 3)):
        torch.manual_seed(size)
        network = TextUNetConfig(("a", "lion"), size=size, widths=(32,), text_width=32, guide=guide).build()
        torch.nn.init.normal_(network.last.weight, std=0.05)
        trained = load_recipe(recipe).with_changes({"low_res": 16 if guide else None}).model_dump(mode="json")
        names.append(str(folder / f"{size}.safetensors"))
        facts = {"recipe": trained, "data": {"pixel_range": (-1.0, 1.0)}}
        save_weights(folder / f"{size}.safetensors", network.config, network.state_dict(), facts)
    return names


def test_a_cascade_is_shown_stage_by_stage_and_unknown_words_are_noted(carry, stages):
    small, large = stages
    said = carry([job(model=small, larger=[large], prompt="a zebra"), job(model=small, prompt="a lion")])
    began, steps, made = said[0], kinds(said, Stepped), kinds(said, Made)
    assert "has never seen 'zebra'" in began.notes[0]
    assert {s.stage for s in steps} == {0, 1}
    assert steps[-1].done == began.total
    sizes = {s.stage: _png(carry, s.x[0]).size for s in steps if s.x}
    assert sizes == {0: (16, 16), 1: (32, 32)}
    assert [m.width for m in made] == [16, 32]  # each as soon as it is there
    assert [m.title for m in made] == ["a lion", "a zebra"]


@pytest.mark.parametrize("when", ["between steps", "inside a step"])
def test_pictures_are_given_up_soon(carry, when):
    asked = []

    def cancelled(said):
        asked.append(said[-1])
        between = isinstance(said[-1], Stepped) and said[-1].step == 2
        return between if when == "between steps" else len(asked) > 20

    said = carry([job(seed=k, steps=50) for k in range(2)], cancelled, keep_steps=True)
    assert said[-1] is Cancelled
    assert kinds(said, Made) == kinds(said, Kept) == []
    assert len(kinds(said, Stepped)) <= 4
    assert not (carry.folder / "pictures").exists()
    assert kinds(carry([job()]), Made)  # no hook stays behind


def test_what_cannot_be_done_is_told_before_anything_is_made(carry):
    with pytest.raises(UsageError, match="unknown class of digits"):
        carry([job(), job(prompt="a cat")])
    with pytest.raises(UsageError, match="unknown model 'nothing'"):
        carry([job(model="nothing")])
    with pytest.raises(UsageError, match="no such field"):
        carry([{**job(), "surprise": 1}])
    assert not carry.folder.exists()


def test_a_sampling_that_diverges_is_noted_and_not_judged(carry, desk, tmp_path, tiny_model, monkeypatch):
    load = desk._shelf._load

    def broken(name, dtype):
        return dataclasses.replace(load(name, dtype), pixel_range=(0.0, float("nan")))

    monkeypatch.setattr(desk._shelf, "_load", broken)
    said = carry([job(model=tiny_model)])
    assert "the sampling of seed 0 diverged" in kinds(said, Noted)[0].note
    assert kinds(said, Made)[0].readings == ()


@pytest.fixture
def recipe(tmp_path):
    """A tiny training on two classes of pictures, two epochs of four steps."""
    for label, box in (("a", (4, 10, 24, 18)), ("b", (10, 4, 18, 24))):
        (tmp_path / "data" / label).mkdir(parents=True)
        for k in range(8):
            image = Image.new("L", (28, 28))
            image.paste(255, tuple(side + k % 3 for side in box))
            image.save(tmp_path / "data" / label / f"{k}.png")
    tiny = {"width": 8, "batch_size": 4, "epochs": 2, "log_every": 1, "sample_steps": 2, "checkpoint_every": 100}
    return load_recipe("class").with_changes({**tiny, "data": str(tmp_path / "data")}).model_dump(mode="json")


def test_a_training_is_followed_and_leaves_a_model(carry, recipe):
    said = carry(recipe=recipe, training="mine")
    run = carry.folder / "runs" / "mine"
    (began,) = kinds(said, Began)
    assert (began.total, began.notes) == (
        8,
        ("steps an epoch, for 16 pictures: 4; 8 in all are too few to learn from: 250 epochs would be about 1,000",),
    )
    last = kinds(said, Trained)[-1]
    assert (last.step, last.of, last.epoch, last.epochs, last.per_second > 0) == (8, 8, 2, 2, True)
    assert [step for step, _ in last.curve] == list(range(1, 9))
    assert [(s.epoch, s.file) for s in kinds(said, Sampled)] == [(k, f"samples/epoch-00{k}.png") for k in (1, 2)]
    assert all((run / s.file).exists() for s in kinds(said, Sampled))
    assert (run / "report.html").exists()
    assert kinds(carry([job(model=str(run), prompt="a")]), Made)
    again = carry(recipe=recipe, training="mine")  # there is nothing left to do
    assert kinds(again, Trained)[-1].step == 8
    assert not kinds(again, Began)[0].notes


def test_who_says_how_many_steps_a_training_has_is_not_told_that_they_are_few(carry, recipe):
    assert not kinds(carry(recipe={**recipe, "steps": 2}, training="mine"), Began)[0].notes


def test_a_training_that_is_given_up_goes_on_bit_for_bit(carry, recipe):
    said = carry(recipe=recipe, training="mine", cancelled=lambda said: bool(kinds(said, Trained)))
    assert said[-1] is Cancelled
    assert kinds(said, Trained)[-1].step < 8
    assert kinds(carry([], recipe=recipe, training="mine"), Trained)[-1].curve[0][0] == 1
    carry(recipe=recipe, training="whole")
    result = [json.loads((carry.folder / "runs" / name / "result.json").read_text()) for name in ("mine", "whole")]
    assert result[0] == result[1]


def test_a_training_makes_the_model_of_the_next_order_another(carry, recipe):
    carry(recipe=recipe, training="mine", cancelled=lambda said: bool(kinds(said, Sampled)))
    model = str(carry.folder / "runs" / "mine")
    (before,) = kinds(carry([job(model=model, prompt="a")]), Made)
    carry(recipe=recipe, training="mine")
    (after,) = kinds(carry([job(model=model, prompt="a")]), Made)
    assert before.file != after.file


def test_a_training_that_cannot_begin_is_told(carry, recipe):
    with pytest.raises(SfumatoError, match="is no data set and no folder"):
        carry(recipe={**recipe, "data": "/nowhere"}, training="mine")
    with pytest.raises(UsageError, match="the training gone is no longer there"):
        carry(training="gone")


def test_models_are_kept_as_far_as_there_is_room(desk, stages, tiny_model):
    desk.forget()
    shelf = desk._shelf
    parsed = [parse_job(job(model=name)) for name in ("digits", tiny_model)]
    load = shelf.loader(parsed)
    first = load("digits", "float32")
    assert shelf.loader(parsed)("digits", "float32") is first
    load(tiny_model, "float32")
    others = [parse_job(job(model=name)) for name in (*stages, "digits/time", "digits/denoiser")]
    load = shelf.loader(others)
    for each in others:
        load(each.model, "float32")
    assert ("digits", "float32") in shelf._kept
    shelf.loader([parse_job(job(model="hf:a/b"))])  # a large one
    assert shelf._kept == {}


def test_a_curve_is_thinned_to_means():
    curve = Curve()
    for step in range(1, 12_346):
        curve.add(step, float(step))
    assert 100 <= len(curve.points) <= POINTS
    steps, losses = zip(*curve.points, strict=True)
    assert steps[-1] == 12_345
    assert list(steps) == sorted(set(steps))
    width = steps[1] - steps[0]
    assert {b - a for a, b in pairwise(steps[:-1])} == {width}
    assert losses[0] == (width + 1) / 2
    assert losses[3] == pytest.approx(3.5 * width + 0.5)
