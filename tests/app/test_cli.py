import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps, PngImagePlugin

from sfumato.backends.hub import hub_models
from sfumato.backends.registry import bundled_models

FEW = ("--steps", "3")


def load(path) -> Image.Image:
    with Image.open(path) as image:
        image.load()
    return image


def pictures(folder) -> list:
    return sorted(path for path in folder.glob("*.png") if not path.name.startswith("sheet"))


def test_generate_writes_one_png_a_picture_and_a_sheet(sfumato, tiny_model, tmp_path):
    out = tmp_path / "out"
    done = sfumato("generate", "3", "8", "-n", "2", "--model", tiny_model, *FEW, "-o", out)
    assert done.code == 0, done.err
    assert len(pictures(out)) == 4
    assert len(list(out.glob("sheet-*"))) == 1
    assert all(load(path).size == (28, 28) for path in pictures(out))
    assert not list(out.glob(".*")), "no temporary file is left"


def test_what_was_made_is_told_as_json(sfumato, tiny_model, tmp_path):
    done = sfumato("generate", "3", "--model", tiny_model, *FEW, "-o", tmp_path / "out", "--json")
    told = json.loads(done.out)
    assert told["pictures"][0]["job"]["prompt"] == "3"
    assert told["sheet"] is None


def test_quiet_says_nothing(sfumato, tiny_model, tmp_path):
    done = sfumato("generate", "3", "--model", tiny_model, *FEW, "-o", tmp_path / "out", "--quiet")
    assert (done.out, done.err, done.code) == ("", "", 0)


def test_a_picture_does_not_depend_on_its_batch(sfumato, tiny_model, tmp_path):
    sfumato("generate", "3", "8", "-n", "3", "--model", tiny_model, *FEW, "-o", tmp_path / "many")
    sfumato("generate", "8", "--seed", "2", "--model", tiny_model, *FEW, "-o", tmp_path / "one")
    (one,) = pictures(tmp_path / "one")
    same = load(tmp_path / "many" / one.name)
    assert np.abs(np.asarray(same, int) - np.asarray(load(one), int)).max() <= 1


def test_every_sampler_and_option_runs(sfumato, tiny_model, tmp_path):
    for k, options in enumerate(
        [
            ("--sampler", "ddim", "--eta", "0.5"),
            ("--sampler", "heun"),
            ("--sampler", "dpmpp-2m"),
            ("--variance", "forward", "--no-last-step"),
            ("--threshold", "static", "--negative", "4", "--guidance", "5"),
            ("--threshold", "dynamic", "--dtype", "bfloat16"),
        ]
    ):
        done = sfumato("generate", "3", "--model", tiny_model, *FEW, "-o", tmp_path / str(k), *options)
        assert done.code == 0, done.err


def test_edit_makes_one_picture_a_start(sfumato, tiny_model, tmp_path, drawing):
    out = tmp_path / "out"
    done = sfumato("edit", drawing, "--prompt", "0", "--start", "1,3,5", "--steps", 7, "--model", tiny_model, "-o", out)
    assert done.code == 0, done.err
    assert len(pictures(out)) == 3


def test_a_dark_drawing_on_light_paper_can_be_inverted(sfumato, tiny_model, tmp_path, drawing):
    paper = tmp_path / "paper.png"
    ImageOps.invert(load(drawing)).save(paper)
    common = ("--start", "1", "--steps", "3", "--model", tiny_model)
    sfumato("edit", drawing, *common, "-o", tmp_path / "a")
    sfumato("edit", paper, "--invert", *common, "-o", tmp_path / "b")
    (a,), (b,) = pictures(tmp_path / "a"), pictures(tmp_path / "b")
    assert np.array_equal(np.asarray(load(a)), np.asarray(load(b)))


def test_denoise_shows_every_way_side_by_side(sfumato, tiny_model, tmp_path, drawing):
    out = tmp_path / "out"
    done = sfumato("denoise", drawing, "--t", "75,225", "--steps", "5", "--model", tiny_model, "-o", out)
    assert done.code == 0, done.err
    assert sorted({path.name.split("-ring")[0] for path in pictures(out)}) == [
        "denoise-blur",
        "denoise-iterative",
        "denoise-noised",
        "denoise-one-step",
    ]
    assert len(pictures(out)) == 8


def test_inpaint_keeps_every_pixel_outside_the_mask(sfumato, tiny_model, tmp_path, drawing, mask):
    for k, more in enumerate([(), ("--resample", "2", "--jump", "2")]):
        out = tmp_path / str(k)
        arguments = ("--prompt", "6", "--steps", "5", "--model", tiny_model, "-o", out, *more)
        done = sfumato("inpaint", drawing, "--mask", mask, *arguments)
        assert done.code == 0, done.err
        (path,) = pictures(out)
        made, original, where = (np.asarray(load(p)) for p in (path, drawing, mask))
        assert np.array_equal(made[where == 0], original[where == 0])
        assert not np.array_equal(made[where == 255], original[where == 255])


def test_anagram_and_hybrid(sfumato, tiny_model, tmp_path):
    views = ("--view", "identity", "--view", "rotate:90+negate")
    assert sfumato("anagram", "6", "9", *views, "--model", tiny_model, *FEW, "-o", tmp_path / "a").code == 0
    assert sfumato("hybrid", "0", "3", "--sigma", "2", "--model", tiny_model, *FEW, "-o", tmp_path / "h").code == 0
    assert len(pictures(tmp_path / "a")) == len(pictures(tmp_path / "h")) == 1


def every_kind(sfumato, model, folder, drawing, mask):
    common = ("--model", model, "--steps", "3", "-o", folder)
    sfumato("generate", "3", *common)
    sfumato("edit", drawing, "--prompt", "2", "--start", "1", *common)
    sfumato("denoise", drawing, "--t", "75", *common)
    sfumato("inpaint", drawing, "--mask", mask, *common)
    sfumato("anagram", "6", "9", *common)
    sfumato("hybrid", "0", "3", *common)
    return pictures(folder)


def test_rerun_makes_every_kind_of_picture_again(sfumato, tiny_model, tmp_path, drawing, mask):
    made = every_kind(sfumato, tiny_model, tmp_path / "first", drawing, mask)
    assert len(made) == 9
    drawing.unlink()
    mask.unlink()  # a picture carries all that it was made from
    for path in made:
        done = sfumato("rerun", path, "--verify")
        assert done.code == 0, (path, done.err)
        assert "identical" in done.out
        assert sfumato("rerun", path, "-o", tmp_path / "again").code == 0
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()


def test_rerun_with_a_change(sfumato, tiny_model, tmp_path):
    sfumato("generate", "3", "--model", tiny_model, *FEW, "-o", tmp_path / "a")
    (path,) = pictures(tmp_path / "a")
    done = sfumato("rerun", path, "--set", "seed=7", "--set", "prompt=8", "-o", tmp_path / "b", "--json")
    job = json.loads(done.out)["pictures"][0]["job"]
    assert (job["seed"], job["prompt"]) == (7, "8")
    done = sfumato("rerun", path, "--set", "sede=7", "-o", tmp_path / "c")
    assert done.code == 2
    assert "sede" in done.err


def test_verify_tells_a_changed_picture_and_changed_weights(sfumato, tiny_model, tmp_path):
    sfumato("generate", "3", "--model", tiny_model, *FEW, "-o", tmp_path / "a")
    (path,) = pictures(tmp_path / "a")
    image = load(path)
    info = PngImagePlugin.PngInfo()
    info.add_itxt("sfumato", image.info["sfumato"])
    image.putpixel((3, 3), 255 - image.getpixel((3, 3)))
    changed = tmp_path / "changed.png"
    image.save(changed, pnginfo=info)
    done = sfumato("rerun", changed, "--verify")
    assert done.code == 1
    assert "pixels were changed" in done.err


def test_inspect_tells_the_job(sfumato, tiny_model, tmp_path):
    sfumato("generate", "3", "--model", tiny_model, *FEW, "-o", tmp_path / "a")
    (path,) = pictures(tmp_path / "a")
    told = json.loads(sfumato("inspect", path, "--json").out)
    assert told["job"]["kind"] == "generate"
    assert set(told) == {"schema", "job", "models", "versions", "device", "sizes", "pixels"}
    assert "Seed: 0" in load(path).info["parameters"]


@pytest.fixture
def odd_files(tmp_path):
    """Files that are not what their names say."""
    files = {"missing": tmp_path / "missing.png", "text": tmp_path / "text.png", "empty": tmp_path / "empty.png"}
    files["text"].write_text("I am no picture")
    files["empty"].write_bytes(b"")
    files["folder"] = tmp_path / "folder.png"
    files["folder"].mkdir()
    return files


@pytest.mark.parametrize("odd", ["missing", "text", "empty", "folder"])
@pytest.mark.parametrize("command", ["edit", "denoise", "inpaint image", "inpaint mask", "inspect", "rerun"])
def test_odd_files_are_one_line(sfumato, tiny_model, tmp_path, odd_files, drawing, mask, command, odd):
    out, file = tmp_path / "out", odd_files[odd]
    arguments = {
        "edit": ("edit", file, "-o", out),
        "denoise": ("denoise", file, "-o", out),
        "inpaint image": ("inpaint", file, "--mask", mask, "-o", out),
        "inpaint mask": ("inpaint", drawing, "--mask", file, "-o", out),
        "inspect": ("inspect", file),
        "rerun": ("rerun", file, "-o", out),
    }[command]
    model = () if command in {"inspect", "rerun"} else ("--model", tiny_model)
    one_line(sfumato(*arguments, *model), out, codes={1, 2}, names=file.name)


@pytest.mark.parametrize("odd", ["missing", "text", "empty", "folder"])
@pytest.mark.parametrize("command", ["train", "evaluate", "tour"])
def test_odd_data_and_models_are_one_line(sfumato, tmp_path, odd_files, command, odd):
    out, file = tmp_path / "out", odd_files[odd]
    arguments = {
        "train": ("train", "class", "--data", file, "-o", out),
        "evaluate": ("evaluate", file),
        "tour": ("tour", "--data", file, "-o", out),
    }[command]
    one_line(sfumato(*arguments), out, codes={1, 2})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("generate", "11", "--model", "digits"), "unknown class"),
        (("generate", "3", "--model", "nothing"), f"choose one of {', '.join(bundled_models())}"),
        (("generate", "3", "--model", "digits/time"), "knows no classes"),
        (("generate", "3", "--negative", "x"), "unknown class"),
        (("generate", "3", "--sampler", "eler"), "choose one of ddpm, ddim, euler, heun, dpmpp-2m"),
        (("generate", "3", "--steps", "0"), "--steps"),
        (("generate", "3", "--steps", "301"), "1 to 300 steps, not 301"),
        (("generate", "3", "--steps", "x"), "--steps"),
        (("generate", "3", "--guidance", "nan"), "guidance"),
        (("generate", "3", "--guidance", "inf"), "guidance"),
        (("generate", "3", "--seed", "-1"), "--seed"),
        (("generate", "3", "--seed", "99999999999999999999"), "seed"),
        (("generate", "3", "-n", "0"), "--count"),
        (("generate", "3", "--eta", "2"), "eta"),
        (("generate", "3", "--variance", "big"), "variance"),
        (("generate", "3", "--threshold", "soft"), "threshold"),
        (("generate", "3", "--device", "nowhere"), "device"),
        (("generate", "3", "--dtype", "int8"), "dtype"),
        (
            ("anagram", "6", "9", "--view", "identity", "--view", "twist"),
            "unknown view 'twist'; choose one of identity",
        ),
        (("anagram", "6", "9", "--view", "identity", "--view", "rotate:45"), "would mix pixels"),
        (("anagram", "6", "9", "--view", "flip"), "2 prompts and 1 views"),
        (("anagram", "6", "x", "--model", "digits"), "unknown class"),
        (("hybrid", "0", "3", "--sigma", "0"), "sigma"),
        (("hybrid", "0", "x", "--model", "digits"), "unknown class"),
        (
            ("train", "nothing"),
            "unknown recipe 'nothing'; choose one of class, denoiser, flow",
        ),
        (("train", "class", "--set", "epochs=0"), "epochs"),
        (("train", "text", "--set", "clean_shift=9"), "recipe text: the clean shift must be above 0 and at most"),
        (("train", "class", "--set", "epoch=1"), "has no key 'epoch'"),
        (("train", "class", "--set", "epochs"), "key=value"),
        (("train",), "say what to train"),
        (("train", "class", "--data", "typeset", "--init", "nothing"), "unknown model 'nothing'"),
        (("train", "class", "--data", "typeset", "--init", "deepfloyd"), "of another kind"),
        (
            ("train", "class", "--data", "typeset", "--init", "digits/time"),
            "no beginning for recipe class: it has",
        ),
        (("evaluate", "nothing"), "unknown model"),
        (("evaluate", "digits", "-n", "0"), "--count"),
        (("nothing",), "No such command"),
    ],
)
def test_requests_that_cannot_be_meant_are_one_line(sfumato, tmp_path, arguments, message):
    out = tmp_path / "out"
    where = ("-o", out) if arguments[0] in {"generate", "anagram", "hybrid", "train"} else ()
    one_line(sfumato(*arguments, *where), out, codes={2}, names=message)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--start", "99"), "start 99 is past the end"),
        (("--start", "1,x"), "--start wants numbers"),
        (("--start", ""), "--start wants numbers"),
        (("--start", "1,1"), "twice"),
        (("--start", "-1"), "begin"),
        (("--prompt", "11"), "unknown class"),
    ],
)
def test_bad_edits_are_one_line(sfumato, tmp_path, tiny_model, drawing, arguments, message):
    out = tmp_path / "out"
    one_line(sfumato("edit", drawing, "--model", tiny_model, "-o", out, *arguments), out, codes={2}, names=message)


@pytest.mark.parametrize("t", ["300", "-5", "1.5", "x"])
def test_bad_times_are_one_line(sfumato, tmp_path, tiny_model, drawing, t):
    out = tmp_path / "out"
    one_line(sfumato("denoise", drawing, "--t", t, "--model", tiny_model, "-o", out), out, codes={2})


def test_a_denoiser_is_asked_about_no_noise_at_all(sfumato, tmp_path, drawing):
    out = tmp_path / "out"
    done = sfumato("denoise", drawing, "--t", "0", "--model", "digits/denoiser", "-o", out)
    assert done.code == 0, done.err
    (path,) = out.glob("denoise-one-step-*")
    import sfumato as sf
    from sfumato.images import to_tensor

    model = sf.load("digits/denoiser")
    x = to_tensor(load(drawing), None, 1)[None]
    with torch.no_grad():
        expected = model.x0(x, [None], model.schedule.level(0.0)).clamp(0, 1)
    assert (to_tensor(load(path), None, 1) - expected[0]).abs().max() <= 1 / 255
    (noised,) = out.glob("denoise-noised-*")
    assert np.array_equal(np.asarray(load(noised)), np.asarray(load(drawing)))


def test_a_mask_of_another_size_is_one_line(sfumato, tmp_path, tiny_model, drawing):
    other, out = tmp_path / "other.png", tmp_path / "out"
    Image.new("L", (14, 28)).save(other)
    done = sfumato("inpaint", drawing, "--mask", other, "--model", tiny_model, "-o", out)
    one_line(done, out, codes={2}, names="make them the same size")


def test_an_output_that_cannot_be_written_is_told_before_any_work(sfumato, tmp_path, tiny_model):
    file = tmp_path / "file"
    file.write_text("mine")
    done = sfumato("generate", "3", "--model", tiny_model, "-o", file)
    assert (done.code, file.read_text()) == (2, "mine")
    assert "is a file; give a folder" in done.err
    done = sfumato("generate", "3", "--model", tiny_model, "-o", file / "below")
    assert done.code in {1, 2}
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize(
    "text",
    [
        "no json",
        "[]",
        "{}",
        '{"schema": 1}',
        '{"schema": 3, "job": {}}',
        '{"schema": 1, "job": []}',
        '{"schema": 1, "job": {"kind": "generate"}}',
        '{"schema": 1, "job": {"kind": "edit", "steps": 3, "guidance": 1, "begin": 1, '
        '"image": {"name": "a", "png": "x"}}}',
    ],
)
def test_damaged_jobs_are_one_line(sfumato, tmp_path, text):
    info = PngImagePlugin.PngInfo()
    info.add_itxt("sfumato", text)
    path, out = tmp_path / "p.png", tmp_path / "out"
    Image.new("L", (28, 28)).save(path, pnginfo=info)
    one_line(sfumato("rerun", path, "-o", out), out, codes={2})


def test_debug_shows_the_traceback(tmp_path):
    from sfumato.app.cli import main
    from sfumato.errors import UsageError

    with pytest.raises(UsageError, match="unknown class"):
        main(["generate", "11", "--model", "digits", "--debug", "-o", str(tmp_path / "out")])


def test_help_does_not_import_torch():
    code = "import sys, sfumato.app.cli.main; sys.exit('torch' in sys.modules or 'pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("model", ["digits", "emoji"])
def test_to_load_a_model_imports_no_compiler(model):
    code = f"import sys, sfumato; sfumato.load({model!r}); sys.exit('torch._dynamo' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_command_has_help(sfumato):
    names = [
        "generate",
        "edit",
        "denoise",
        "inpaint",
        "anagram",
        "hybrid",
        "train",
        "evaluate",
        "tour",
        "inspect",
        "rerun",
        "upscale",
        "export",
        "models",
        "data",
        "doctor",
        "embed",
        "batch",
        "regions",
        "panorama",
    ]
    for name in names:
        done = sfumato(name, "--help")
        assert done.code == 0
        assert "Usage" in done.out


def test_models_and_data_are_listed(sfumato):
    names = [row["name"] for row in json.loads(sfumato("models", "list", "--json").out)]
    assert names == [*bundled_models(), *hub_models()]
    assert "typeset" in sfumato("data", "list").out


def one_line(done, out, *, codes: set, names: str = "") -> None:
    """The outcome of a request that fails as it should: one line, an exit code, no file."""
    assert done.code in codes, (done.code, done.err)
    assert len(done.err.splitlines()) == 1, done.err
    assert done.err.startswith("error: ")
    assert names in done.err
    assert "Traceback" not in done.err
    assert done.out == ""
    assert not out.exists() or not list(out.iterdir())


def test_ctrl_c_is_one_line_and_leaves_nothing(sfumato, tiny_model, tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("sfumato.app.run.steps", interrupted)
    done = sfumato("generate", "3", "--model", tiny_model, "-o", tmp_path / "out")
    assert (done.code, done.out) == (130, "")
    assert done.err.strip() == "stopped; files are only written whole, so nothing is half done"
    assert not (tmp_path / "out").exists()
