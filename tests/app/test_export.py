import json
import math
import os
import re
import shlex
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from sfumato.app.export import export_model
from sfumato.app.export.about import X0
from sfumato.app.export.diffusers import scheduler_config
from sfumato.app.export.example import prompt
from sfumato.app.export.onnx import Whole
from sfumato.app.export.source import file_stem, read_source
from sfumato.backends.network import NetworkDenoiser
from sfumato.backends.registry import load
from sfumato.core.estimates import guided
from sfumato.core.plan import Plan
from sfumato.core.predictions import Prediction
from sfumato.core.samplers import DDIM, DDPM, Situation
from sfumato.core.schedules import cosine, linear, shifted_cosine, strided
from sfumato.errors import UsageError
from sfumato.files import sha256
from sfumato.models.course_unet import CourseUNetConfig
from sfumato.models.nested_unet import NestedUNetConfig
from sfumato.models.refining_unet import RefiningUNetConfig
from sfumato.models.text_unet import TextUNetConfig
from sfumato.models.weights import save_weights
from sfumato.training.recipe import load_recipe

WORDS = ("a", "blue", "house", "lion", "of", "rocket", "ship")
TEXT = {"size": 8, "widths": (32,), "text_width": 32, "text_layers": 1, "length": 5}
DATA = {
    "name": "drawings",
    "pictures": 1234,
    "sha256": "ab" * 32,
    "pixel_range": [-1, 1],
    "subjects": [["a blue lion", ["3D render"]], ["rocket", []]],
}
BARS = load_recipe("text").make_schedule().alphas_cumprod
STEPS = {"sample_steps": 4, "epochs": 400}
FALLING = {"guidance": [4.0, 1.0]}
MODELS = {
    "class": (CourseUNetConfig(4, classes=tuple("0123456789")), "class", STEPS),
    "time": (CourseUNetConfig(4, channels=3, size=8), "time", STEPS),
    "flow": (CourseUNetConfig(4, size=8), "time", {**STEPS, "schedule": "flow", "prediction": "flow"}),
    "denoiser": (CourseUNetConfig(4, size=8, time=False), "denoiser", {"signal": 0.5}),
    "text": (TextUNetConfig(WORDS, **TEXT), "text", {**STEPS, **FALLING}),
    "nested": (NestedUNetConfig(TextUNetConfig(WORDS, **{**TEXT, "size": 4}), 16, BARS), "text", STEPS),
    "stage": (
        RefiningUNetConfig(TextUNetConfig(WORDS, **TEXT, guide=3), BARS),
        "upsample",
        {**STEPS, "low_res": 4, "low_res_noise": 0.1},
    ),
}


def write_model(path: Path, kind: str, **facts) -> Path:
    """A random network in a file, with all the facts of a training, in which nothing is left at zero."""
    config, recipe, changes = MODELS[kind]
    torch.manual_seed(0)
    network = config.build()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.abs().sum() == 0:
                parameter.normal_(std=0.05)
    made = load_recipe(recipe).with_changes({**changes, "data": "/home/somebody/secret/drawings"})
    known = {"recipe": made.model_dump(mode="json"), "data": DATA, "step": 300, "epoch": 2.5}
    known["environment"] = {"torch": torch.__version__}
    save_weights(path, config, network.state_dict(), {**known, **facts})
    return path


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """The file of each kind of model."""
    folder = tmp_path_factory.mktemp("models")
    return {kind: write_model(folder / f"{kind}.safetensors", kind) for kind in MODELS}


@pytest.fixture(scope="session")
def graphs(models, tmp_path_factory):
    """The ONNX export of a kind of model, made once."""
    pytest.importorskip("onnxscript")
    made: dict[str, Path] = {}

    def graph(kind: str) -> Path:
        if kind not in made:
            made[kind] = tmp_path_factory.mktemp("onnx") / kind
            export_model(str(models[kind]), "onnx", made[kind])
        return made[kind]

    return graph


def code_of(card: str) -> str:
    (found,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    return found


def card_of(folder: Path) -> str:
    return (folder / "README.md").read_text(encoding="utf-8")


def random_inputs(model: NetworkDenoiser, rows: int, seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    config, (channels, height, width) = model.network.config, model.shape
    inputs = {"x": torch.randn(rows, channels + getattr(config, "guide", 0), height, width, generator=generator)}
    if config.timed:
        inputs["time"] = torch.rand(rows, 1, generator=generator)
    if config.conditioned:
        asked = ["3", None, "7"] if model.classes else ["blue house of a lion", None, "ship"]
        inputs["condition"] = model.network.read(asked[:rows])
    return inputs


def step(sampler, x, level, to, estimate, draws=None):
    """Where a sampler of ours takes canvases."""
    now = Situation(x, level, to, estimate, lambda *_: pytest.fail("one question a step"), lambda: next(draws))
    return sampler.step(now)[0]


@pytest.mark.thorough
@pytest.mark.parametrize("kind", MODELS)
def test_an_onnx_graph_computes_what_the_network_does(models, graphs, kind):
    runtime = pytest.importorskip("onnxruntime")
    model, folder = load(str(models[kind])), graphs(kind)
    session = runtime.InferenceSession(str(folder / "model.onnx"))
    told = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    assert [(i.name, i.shape) for i in session.get_inputs()] == [(k, i["shape"]) for k, i in told["inputs"].items()]
    (output,) = session.get_outputs()
    assert (output.name, output.shape) == ("output", ["batch", *model.shape])
    for rows in (1, 3):
        inputs = random_inputs(model, rows, seed=rows)
        assert {name: str(tensor.dtype) for name, tensor in inputs.items()} == {
            name: f"torch.{entry['type']}" for name, entry in told["inputs"].items()
        }
        (got,) = session.run(None, {name: tensor.numpy() for name, tensor in inputs.items()})
        with torch.no_grad():
            expected = Whole(model.network)(**inputs)
        assert np.abs(got - expected.numpy()).max() < 1e-4


def test_an_onnx_file_tells_nothing_of_this_machine(graphs):
    data = (graphs("text") / "model.onnx").read_bytes()
    for told in (b".py", os.fsencode(Path.cwd()), b"stack_trace", b"/home"):
        assert told not in data


def test_the_json_says_what_the_model_is(models, graphs):
    told = json.loads((graphs("class") / "model.json").read_text(encoding="utf-8"))
    model = load(str(models["class"]))
    assert told["sha256"] == sha256(graphs("class") / "model.onnx")
    assert told["classes"] == list("0123456789")
    assert tuple(told["schedule"]["alphas_cumprod"]) == model.schedule.alphas_cumprod
    assert (told["pixel_range"], told["shape"], told["prediction"]) == ([-1, 1], [1, 28, 28], "eps")
    assert told["inputs"]["time"]["is"] == "t / 300"
    path = strided(model.schedule, 4)
    assert told["sampling"]["levels"] == [
        [None, at.alpha, at.sigma, None] if at.sigma == 0 else [at.t / 300, at.alpha, at.sigma, 2.0] for at in path
    ]  # exactly: what is written is what is computed with
    text = json.loads((graphs("text") / "model.json").read_text(encoding="utf-8"))
    assert (text["vocabulary"]["words"], text["vocabulary"]["length"]) == (list(WORDS), 5)
    assert text["inputs"]["condition"]["type"] == "int64"
    stage = json.loads((graphs("stage") / "model.json").read_text(encoding="utf-8"))
    assert (stage["guide"]["size"], stage["inputs"]["x"]["shape"]) == (4, ["batch", 6, 8, 8])
    flow = json.loads((graphs("flow") / "model.json").read_text(encoding="utf-8"))
    assert (flow["schedule"]["kind"], flow["schedule"]["t_max"]) == ("flow", 0.999)
    denoiser = json.loads((graphs("denoiser") / "model.json").read_text(encoding="utf-8"))
    assert (denoiser["schedule"]["sigmas"], denoiser["schedule"]["signal"]) == ([0.5], 0.5)
    assert list(denoiser["inputs"]) == ["x"]


@pytest.mark.parametrize("prediction", Prediction)
def test_the_formulas_for_people_are_those_of_the_engine(prediction):
    output, x = torch.randn(2, 2, 1, 3, 3).unbind(0)
    names = {"output": output, "x": x, "alpha": 0.6, "sigma": 0.7}
    assert torch.allclose(eval(X0[prediction], names), prediction.x0(output, x, 0.6, 0.7))


@pytest.mark.parametrize("kind", MODELS)
def test_the_example_of_the_card_samples_as_we_do_without_torch(models, graphs, kind):
    pytest.importorskip("onnxruntime")
    source, folder = read_source(str(models[kind])), graphs(kind)
    code = "import sys; sys.modules.update(torch=None, sfumato=None)\n" + code_of(card_of(folder))
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, timeout=300)
    got = torch.from_numpy(np.load(folder / "pictures.npy"))
    (folder / "pictures.npy").unlink()

    model, noise = source.model, np.random.default_rng(0).standard_normal
    path = strided(model.schedule, model.defaults.steps)
    low, high = model.pixel_range
    x = torch.from_numpy(noise((4, *model.shape), "float32"))
    x = 0.5 * low + 0.5 * x if kind == "denoiser" else math.hypot(path[0].alpha, path[0].sigma) * x
    guide = None
    if model.low_res is not None:
        guide = 0.1 * torch.from_numpy(noise(x.shape, "float32"))  # of a grey picture
    tree = guided(prompt(source), scale=model.defaults.guidance)
    for level, to in pairwise(path):
        estimate = Plan([tree] * 4).estimate(model, x, level, guide=guide)
        x = step(DDIM(), x, level, to, estimate)
    assert (got - ((x - low) / (high - low)).clamp(0, 1)).abs().max() < 1e-3
    assert got.std() > 1e-3


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_weights_are_read_back(models, tmp_path, dtype):
    export_model(str(models["text"]), "safetensors", tmp_path / "out", dtype=dtype)
    before = load(str(models["text"])).network.state_dict()
    for name in (tmp_path / "out" / "model.safetensors", tmp_path / "out"):  # the file, and the folder as a model
        after = load(str(name)).network.state_dict()
        for key, tensor in before.items():
            kept = tensor.to(getattr(torch, dtype)) if tensor.is_floating_point() else tensor
            assert torch.equal(after[key], kept.to(tensor.dtype))
    if dtype != "bfloat16":  # which numpy does not have
        assert set(load_file(tmp_path / "out" / "model.safetensors")) == set(before)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["README.md", "model.safetensors"]
    assert b"secret" not in (tmp_path / "out" / "model.safetensors").read_bytes()


def test_weights_in_shards(models, tmp_path, monkeypatch):
    monkeypatch.setattr("sfumato.app.export.save_weights", _small_shards(save_weights))
    made = export_model(str(models["class"]), "safetensors", tmp_path / "out", megabytes=1)
    names = [file.name for file in made.files]
    assert names[:2] == ["README.md", f"model-1-of-{len(names) - 1}.safetensors"]
    assert len(names) > 3
    assert load(str(made.files[1])).network.config == MODELS["class"][0]
    assert f'sf.load("{names[1]}")' in card_of(tmp_path / "out")
    again = export_model(str(made.files[1]), "safetensors", tmp_path / "again")
    assert "\n# model\n" in card_of(again.folder)


def _small_shards(save):
    return lambda *args: save(*args[:-1], shard_bytes=args[-1] and args[-1] // 100)


@pytest.mark.parametrize("kind", ["class", "time", "flow", "text"])
def test_the_example_of_the_card_runs_in_sfumato(models, tmp_path, monkeypatch, kind):
    export_model(str(models[kind]), "safetensors", tmp_path / "out")
    monkeypatch.chdir(tmp_path / "out")
    exec(compile(code_of(card_of(tmp_path / "out")), "card", "exec"), {})
    assert Path("pictures.png").is_file()


def test_the_command_of_the_card_runs(sfumato, models, tmp_path, monkeypatch):
    for kind in ("class", "text", "time"):
        export_model(str(models[kind]), "safetensors", tmp_path / kind)
        monkeypatch.chdir(tmp_path / kind)
        (line,) = re.findall(r"^\$ sfumato (.*)$", card_of(tmp_path / kind), re.MULTILINE)
        done = sfumato(*shlex.split(line))
        assert done.code == 0, done.err


def test_numbers_too_large_for_a_dtype_are_one_line(sfumato, models, tmp_path):
    big = tmp_path / "big.safetensors"
    model = load(str(models["time"]))
    state = model.network.state_dict()
    state["final.bias"] = torch.full_like(state["final.bias"], 1e5)
    save_weights(big, model.network.config, state, model.facts)
    out = tmp_path / "out"
    done = sfumato("export", big, "--to", "safetensors", "--dtype", "float16", "-o", out)
    one_line(done, out, 2, "final.bias has numbers too large for float16")
    assert sfumato("export", big, "--to", "safetensors", "--dtype", "bfloat16", "-o", out).code == 0


@pytest.mark.parametrize(
    ("schedule", "prediction", "tolerance"),
    [(linear(300), "eps", 1e-4), (shifted_cosine(1000, 2.0), "v", 1e-3), (cosine(1000), "x0", 1e-3)],
)
@torch.no_grad()
def test_diffusers_takes_the_steps_that_we_take(tmp_path, monkeypatch, schedule, prediction, tolerance):
    diffusers = pytest.importorskip("diffusers")
    torch.manual_seed(0)
    network = CourseUNetConfig(8, size=8).build().eval()
    model = NetworkDenoiser("tiny", network, schedule, Prediction(prediction))
    (tmp_path / "scheduler_config.json").write_text(json.dumps(scheduler_config(model)))
    scheduler = diffusers.DDPMScheduler.from_pretrained(tmp_path)
    assert np.allclose(scheduler.alphas_cumprod, schedule.alphas_cumprod, rtol=1e-3, atol=1e-6)
    x, *noises = torch.randn(22, 2, 1, 8, 8)
    draws = iter(noises)
    monkeypatch.setattr("diffusers.schedulers.scheduling_ddpm.randn_tensor", lambda *_, **__: next(draws))
    scheduler.set_timesteps(timesteps=[int(t) for t in schedule.timesteps(20)])
    theirs = x
    for t in scheduler.timesteps:
        output = network(theirs, torch.full((2, 1), float(t) / len(schedule)))
        theirs = scheduler.step(output, t, theirs).prev_sample
    draws = iter(noises)
    for level, to in pairwise(strided(schedule, 20)):
        estimate = model(x, [None, None], level)
        x = step(DDPM(), x, level, to, estimate, draws)
    assert (x - theirs).abs().max() < tolerance * theirs.abs().max()


@pytest.mark.parametrize("kind", ["class", "text", "stage"])
def test_the_example_of_the_card_runs_in_diffusers(models, tmp_path, monkeypatch, kind):
    pytest.importorskip("diffusers")
    export_model(str(models[kind]), "diffusers-scheduler", tmp_path / "out")
    monkeypatch.chdir(tmp_path / "out")
    names = {}
    exec(compile(code_of(card_of(tmp_path / "out")).replace("MODEL", str(models[kind])), "card", "exec"), names)
    assert names["x"].isfinite().all()


def test_there_is_no_pipeline_of_diffusers_and_why(sfumato, models, tmp_path):
    out = tmp_path / "out"
    one_line(sfumato("export", "digits", "--to", "diffusers", "-o", out), out, 2, "--to onnx or --to safetensors")
    for kind, why in (("flow", "no discrete noise levels"), ("denoiser", "no discrete noise levels")):
        one_line(sfumato("export", models[kind], "--to", "diffusers-scheduler", "-o", out), out, 2, why)
    model = load(str(models["class"]))
    velocity = NetworkDenoiser("v", model.network, model.schedule, Prediction.FLOW)
    with pytest.raises(UsageError, match="predicts a velocity"):
        scheduler_config(velocity)


def test_the_card_of_a_bundled_model_says_what_its_facts_say(tmp_path):
    made = export_model("digits", "safetensors", tmp_path / "out", dtype="float16")
    card, model = card_of(made.folder), load("digits")
    assert card.startswith("---\nlibrary_name: sfumato\n")
    for told in (
        "# digits\n",
        "grey pictures of 28×28 pixels",
        "pictures: 60,000",
        model.facts["data"]["sha256"],
        f"{model.facts['step']:,} steps",
        "Yann LeCun",
        "Apache License 2.0",
        model.sha256,
        f"| {made.files[1].stat().st_size:,} | `{sha256(made.files[1])}` |",
        '"batch_size": 64',
    ):
        assert told in card
    assert made.files[1].stat().st_size < 2.1 * sum(p.numel() for p in model.network.parameters())


def test_the_card_of_a_user_s_model_tells_no_paths_and_no_licence_that_is_not_known(models, tmp_path):
    export_model(str(models["text"]), "safetensors", tmp_path / "out")
    card = card_of(tmp_path / "out")
    for told in (
        "colour pictures of 8×8 pixels from noise, asked for in words, of which it knows 7",
        "what they show: a blue lion, rocket",
        "300 steps, 2.5 of 400 epochs: the training had not finished.",
        "generate 'a blue lion'",
        "does not say under which licence",
        "for whoever trained it to say",
        '"data": "drawings"',
    ):
        assert told in card
    for hidden in ("secret", "/home", str(tmp_path), str(models["text"].parent)):
        assert hidden not in card


def test_facts_that_are_missing_are_said_to_be(sfumato, tiny_model, tmp_path):
    out = tmp_path / "out"
    done = sfumato("export", tiny_model, "--to", "safetensors", "-o", out)
    assert done.code == 0, done.err
    card = card_of(out)
    assert "does not say what it was trained on" in card
    assert "does not say how far it was trained" in card
    assert "had not finished" not in card
    assert "None" not in card


@pytest.mark.parametrize(
    ("name", "terms"),
    [("kmnist", "KMNIST, whose makers state these terms: CC BY-SA 4.0"), ("cifar10", "makers state no terms of use")],
)
def test_the_terms_of_data_sets_are_told(tmp_path, name, terms):
    file = write_model(tmp_path / "m.safetensors", "class", data={"name": name})
    export_model(str(file), "diffusers-scheduler", tmp_path / "out")
    assert terms in card_of(tmp_path / "out")


def test_names_in_a_card_are_text(tmp_path):
    file = write_model(tmp_path / "odd.safetensors", "class", data={"name": "a|b\n# <c>", "pictures": 1})
    export_model(str(file), "safetensors", tmp_path / "out")
    assert r"- name: a\|b # \<c\>" in card_of(tmp_path / "out")


def test_licences_travel(models, tmp_path):
    data = tmp_path / "pictures"
    data.mkdir()
    (data / "LICENSES.txt").write_text("theirs")
    recipe = load_recipe("text").with_changes({"data": str(data)}).model_dump(mode="json")
    file = write_model(tmp_path / "mine.safetensors", "text", recipe=recipe)
    export_model(str(file), "safetensors", tmp_path / "a")  # from where the pictures are
    export_model(str(tmp_path / "a"), "safetensors", tmp_path / "b")  # from an export, as a folder
    export_model(str(tmp_path / "b" / "model.safetensors"), "diffusers-scheduler", tmp_path / "c")  # and as a file
    for folder in "abc":
        assert (tmp_path / folder / "LICENSES.txt").read_text() == "theirs"
        assert "`LICENSES.txt`, which must travel" in card_of(tmp_path / folder)
    beside = write_model(tmp_path / "other.safetensors", "text")
    (tmp_path / "other-LICENSES.txt").write_text("as bundled models have them")
    assert read_source(str(beside)).licences == b"as bundled models have them"
    assert read_source(str(models["text"])).licences is None


def test_a_folder_with_files_is_left_alone(sfumato, models, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "README.md").write_text("mine")
    arguments = ("export", models["time"], "--to", "safetensors", "-o", out)
    done = sfumato(*arguments)
    assert (done.code, len(done.err.splitlines())) == (2, 1)
    assert "is not empty" in done.err
    assert [p.read_text() for p in out.iterdir()] == ["mine"]
    assert sfumato(*arguments, "--force").code == 0
    assert sorted(p.name for p in out.iterdir()) == ["README.md", "model.safetensors"]


def test_force_replaces_an_export_and_keeps_what_is_not_its_own(sfumato, models, tmp_path):
    out = tmp_path / "out"
    assert sfumato("export", models["class"], "--to", "safetensors", "-o", out).code == 0
    (out / "mine.txt").write_text("mine")
    again = ("export", models["class"], "--to", "diffusers-scheduler", "-o", out, "--force")
    assert sfumato(*again).code == 0  # the card tells no longer of the weights, so they are gone
    assert sorted(p.name for p in out.iterdir()) == ["README.md", "mine.txt", "scheduler_config.json"]
    (out / "scheduler_config.json").write_text("changed by hand")
    assert sfumato("export", models["class"], "--to", "safetensors", "-o", out, "--force").code == 0
    assert (out / "scheduler_config.json").read_text() == "changed by hand"


def test_runs_and_the_model_itself_are_never_written_to(sfumato, models, tmp_path):
    run = tmp_path / "run"
    write_model(run / "model.safetensors", "time")
    before = sha256(run / "model.safetensors")
    for name in (run, run / "model.safetensors"):
        done = sfumato("export", name, "--to", "safetensors", "-o", run, "--force")
        assert (done.code, "holds the model itself" in done.err) == (2, True)
    (run / "recipe.json").write_text("{}")
    done = sfumato("export", models["time"], "--to", "safetensors", "-o", run, "--force")
    assert (done.code, "is a run directory" in done.err) == (2, True)
    assert sha256(run / "model.safetensors") == before
    assert sfumato("export", run, "--to", "safetensors", "-o", tmp_path / "out").code == 0
    assert "\n# run\n" in card_of(tmp_path / "out")


@pytest.mark.parametrize("exists", [True, False])
def test_no_space_leaves_nothing(sfumato, models, tmp_path, monkeypatch, exists):
    out = tmp_path / "out"
    if exists:
        out.mkdir()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("sfumato.app.export.write_text", full)  # the card is the last file
    done = sfumato("export", models["time"], "--to", "safetensors", "-o", out)
    one_line(done, out, 1, "No space left on device")
    assert [p.name for p in tmp_path.iterdir()] == (["out"] if exists else [])


def test_folders_that_cannot_be_written_are_one_line(sfumato, models, tmp_path, monkeypatch):
    file = tmp_path / "file"
    file.write_text("mine")
    for out in (file, file / "below"):
        done = sfumato("export", models["time"], "--to", "safetensors", "-o", out)
        assert (done.code, len(done.err.splitlines()), file.read_text()) == (2, 1, "mine")
    monkeypatch.setattr("os.access", lambda *_: False)
    done = sfumato("export", models["time"], "--to", "safetensors", "-o", tmp_path / "out")
    one_line(done, tmp_path / "out", 2, "cannot write to")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("digits", "--to", "gguf"), "unknown format 'gguf'; choose one of safetensors, onnx, diffusers-scheduler"),
        (("digits",), "--to"),
        ((), "Missing argument"),
        (("nothing", "--to", "safetensors"), "unknown model 'nothing'"),
        (("digits", "--to", "safetensors", "--dtype", "int8"), "unknown dtype 'int8'"),
        (("digits", "--to", "onnx", "--dtype", "float16"), "leave them out with --to onnx"),
        (("digits", "--to", "onnx", "--shard", "5"), "leave them out with --to onnx"),
        (("digits", "--to", "safetensors", "--shard", "0"), "--shard"),
    ],
)
def test_requests_that_cannot_be_meant_are_one_line(sfumato, tmp_path, arguments, message):
    out = tmp_path / "out"
    one_line(sfumato("export", *arguments, "-o", out), out, 2, message)


def test_missing_packages_are_one_line(sfumato, models, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    out = tmp_path / "out"
    done = sfumato("export", models["time"], "--to", "onnx", "-o", out)
    one_line(done, out, 1, "pip install 'sfumato[export]'")
    assert sfumato("export", models["time"], "--to", "safetensors", "-o", out).code == 0


def test_what_is_written_is_checked_where_it_can_be(sfumato, models, graphs, tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime")
    made = (graphs("denoiser") / "model.onnx").read_bytes()

    def of_another_network(whole):
        with torch.no_grad():
            whole.network.final.bias += 1
        return made

    monkeypatch.setattr("sfumato.app.export.onnx.graph", of_another_network)
    out = tmp_path / "out"
    done = sfumato("export", models["denoiser"], "--to", "onnx", "-o", out)
    one_line(done, out, 1, "does not compute what the network does")
    monkeypatch.setattr("sfumato.app.export.onnx.MOST_BYTES", 1000)
    done = sfumato("export", models["denoiser"], "--to", "onnx", "-o", out)
    one_line(done, out, 2, "use safetensors")


def test_a_network_that_torch_cannot_write_is_one_line(sfumato, models, tmp_path, monkeypatch):
    pytest.importorskip("onnxscript")
    first, out = ValueError("no such operator\nand more"), tmp_path / "out"

    def fail(*_, **__):
        raise torch.onnx.OnnxExporterError("a page\nof advice") from first

    monkeypatch.setattr("torch.onnx.export", fail)
    done = sfumato("export", models["denoiser"], "--to", "onnx", "-o", out)
    one_line(done, out, 1, "as ONNX: no such operator")
    first = KeyboardInterrupt()
    assert sfumato("export", models["denoiser"], "--to", "onnx", "-o", out).code == 130
    assert list(tmp_path.iterdir()) == []


def test_an_export_without_onnx_runtime_says_that_it_is_not_checked(models, graphs, tmp_path, monkeypatch):
    made = (graphs("denoiser") / "model.onnx").read_bytes()
    monkeypatch.setattr("sfumato.app.export.onnx.graph", lambda _: made)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    exported = export_model(str(models["denoiser"]), "onnx", tmp_path / "out")
    assert exported.difference is None
    assert "was not compared with torch" in card_of(exported.folder)


def test_what_was_made_is_told(sfumato, models, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = sfumato("export", models["time"], "--to", "diffusers-scheduler")
    assert done.out.splitlines()[0].startswith("exports/time-diffusers-scheduler/README.md")
    told = json.loads(sfumato("export", models["time"], "--to", "safetensors", "-o", "b", "--json").out)
    assert [Path(entry["file"]).name for entry in told["files"]] == ["README.md", "model.safetensors"]
    done = sfumato("export", models["time"], "--to", "safetensors", "-o", "c", "--quiet")
    assert (done.code, done.out, done.err) == (0, "", "")


@pytest.mark.parametrize(
    ("name", "stem"),
    [("digits/time", "digits-time"), ("a/b c.safetensors", "b-c"), ("x/n-1-of-3.safetensors", "n"), ("...", "model")],
)
def test_names_of_folders(name, stem):
    assert file_stem(name) == stem


def one_line(done, out, code: int, names: str) -> None:
    """The outcome of a request that fails as it should: one line, an exit code, no file."""
    assert done.code == code, (done.code, done.err)
    assert len(done.err.splitlines()) == 1, done.err
    assert done.err.startswith("error: ")
    assert names in done.err
    assert done.out == ""
    assert not out.exists() or not list(out.iterdir())
