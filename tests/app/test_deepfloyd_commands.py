"""Every row of part A of the course, from the command line: a tiny cascade in the hub's cache, under the real names."""

import dataclasses
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tiny_models
import torch
from fake_hub import point_to, use_cache
from huggingface_hub import constants
from PIL import Image, ImageDraw

from sfumato.app.jobs import parse_job
from sfumato.backends.hub import hub_models
from sfumato.files import sha256
from sfumato.images import read_image

IF = ("--model", "deepfloyd")
COURSE = ("--loop", "course")
TO_64 = ("--upscale", "64")
TO_256 = ("--larger", "deepfloyd/256", "--larger", "deepfloyd/1024")
FEW = ("--steps", "2")
PHOTO = "a high quality photo"
VILLAGE, HAT, ROCKET = "an oil painting of a snowy mountain village", "a man wearing a hat", "a rocket ship"
LONG = " ".join(["a lion"] * 40)

pytestmark = pytest.mark.usefixtures("cascade")


@pytest.fixture(scope="module")
def cascade(tmp_path_factory):
    """The folders of three stages, of 16, 64 and 256 pixels, by name; they are in the cache, and there is no network.

    Their text encoders differ in width, as the real ones do; the later stages take few steps.
    """
    for library in ("diffusers", "transformers", "accelerate", "sentencepiece", "google.protobuf"):
        pytest.importorskip(library)
    home = tmp_path_factory.mktemp("cascade")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiny_models, "CLIP_WIDTH", tiny_models.T5_WIDTH + 16)
        folders = {
            "deepfloyd": tiny_models.write_if_stage_one(home / "one"),
            "deepfloyd/256": tiny_models.write_if_stage_two(home / "two", size=64),
            "deepfloyd/1024": tiny_models.write_x4(home / "x4", low=64),
        }
        use_cache(patch, home)
        point_to(patch, "http://127.0.0.1:9")
        patch.setattr(constants, "HF_HUB_OFFLINE", True)
        for name, folder in folders.items():
            tiny_models.into_hub_cache(home, hub_models()[name].repo, folder)
        for name in ("deepfloyd/256", "deepfloyd/1024"):
            patch.setitem(hub_models(), name, dataclasses.replace(hub_models()[name], steps=2))
        yield folders


@pytest.fixture
def walks(monkeypatch):
    """What is walked, in order: the model's name, the times of the path, and where each canvas begins."""
    from sfumato.app.run import steps

    seen = []

    def recorded(model, canvases, path, *rest, **options):
        starts = [canvas.start and canvas.start.level.t for canvas in canvases]
        seen.append(SimpleNamespace(model=model.name, times=[level.t for level in path], starts=starts))
        return steps(model, canvases, path, *rest, **options)

    monkeypatch.setattr("sfumato.app.run.steps", recorded)
    return seen


@pytest.fixture
def photo(tmp_path):
    """A landscape in many colours, 120 × 90."""
    y, x = np.mgrid[:90, :120]
    path = tmp_path / "photo.png"
    Image.fromarray(np.stack([2 * x, 2 * y, x + y], -1).astype(np.uint8)).save(path)
    return path


@pytest.fixture
def drawing(tmp_path):
    """A red ring on nothing, 150 × 60."""
    image = Image.new("RGBA", (150, 60), (0, 0, 0, 0))
    ImageDraw.Draw(image).ellipse((50, 10, 100, 50), fill=(255, 40, 40, 200), outline=(0, 0, 255, 255), width=4)
    path = tmp_path / "drawing.png"
    image.save(path)
    return path


def pixels(path) -> np.ndarray:
    return np.asarray(read_image(path), int)


def pictures(folder) -> list[Path]:
    return sorted(path for path in folder.glob("*.png") if not path.name.startswith("sheet"))


def made(done, folder, count: int, size: int) -> list[Path]:
    """The pictures of a command that went well and had nothing to say but where they are."""
    assert (done.code, done.err) == (0, "")
    found = pictures(folder)
    assert [read_image(path).size for path in found] == [(size, size)] * count
    assert len(list(folder.glob("sheet-*"))) == (count > 1)
    assert not list(folder.glob(".*")), "no temporary file is left"
    return found


def facts(sfumato, path) -> dict:
    return json.loads(sfumato("inspect", path, "--json").out)


def one_line(done, out, *words: str, code: int = 2) -> None:
    """The outcome of a request that fails as it should: one line, an exit code, nothing written."""
    assert done.code == code, (done.code, done.err)
    assert len(done.err.splitlines()) == 1, done.err
    assert done.err.startswith("error: ")
    assert done.out == ""
    assert "--debug shows where" not in done.err
    assert not out.exists()
    for word in words:
        assert word in done.err, done.err


# A0, A1.5, A1.6: from noise


@pytest.mark.parametrize("steps", [5, 20, 40])
def test_a0_text_to_pictures_at_several_step_counts_and_larger(sfumato, walks, tmp_path, steps):
    arguments = (VILLAGE, HAT, ROCKET, *IF, "--seed", "180", "--steps", steps, *TO_64, "-o", tmp_path / "out")
    paths = made(sfumato("generate", *arguments), tmp_path / "out", 3, 64)
    jobs = [facts(sfumato, path)["job"] for path in paths]
    assert {job["prompt"] for job in jobs} == {VILLAGE, HAT, ROCKET}
    (later,) = {json.dumps(job["larger"]) for job in jobs}
    (stage,) = json.loads(later)
    assert {(job["seed"], job["steps"], stage["model"]) for job in jobs} == {(180, steps, "deepfloyd/256")}
    assert len({pixels(path).tobytes() for path in paths}) == 3
    assert [(walk.model, len(walk.times)) for walk in walks] == [("deepfloyd", steps + 1), ("deepfloyd/256", 3)]
    assert walks[0].times[:2] == [1000 - 1000 // steps, 1000 - 2 * (1000 // steps)]


def test_a_picture_names_its_models_with_the_hashes_of_their_files(sfumato, cascade, tmp_path):
    levels = ("--noise-level", "100", "--noise-level", "10")
    done = sfumato("generate", ROCKET, *IF, *FEW, *TO_256, *levels, "-o", tmp_path / "out")
    (path,) = made(done, tmp_path / "out", 1, 256)
    told = facts(sfumato, path)
    unet, text = "unet/diffusion_pytorch_model.safetensors", "text_encoder/model.safetensors"
    # Stage II is given the prompts as stage I has read them.
    read_by = {"deepfloyd": "deepfloyd", "deepfloyd/256": "deepfloyd", "deepfloyd/1024": "deepfloyd/1024"}
    assert told["models"] == [
        {"name": name, "sha256": sha256(cascade[name] / unet), "text_sha256": sha256(cascade[by] / text)}
        for name, by in read_by.items()
    ]
    stages = [(stage["model"], stage["noise_level"], stage["guidance"]) for stage in told["job"]["larger"]]
    assert stages == [("deepfloyd/256", 100, 4), ("deepfloyd/1024", 10, 9)]


def test_a_size_that_it_has_takes_no_further_stage(sfumato, tmp_path):
    done = sfumato("generate", HAT, *IF, *FEW, "--upscale", "16", "-o", tmp_path / "out")
    (path,) = made(done, tmp_path / "out", 1, 16)
    assert facts(sfumato, path)["job"]["larger"] == []


def test_a_size_decides_for_the_stage_in_latents_too(sfumato, tmp_path):
    done = sfumato("generate", HAT, *IF, *FEW, "--upscale", "256", "-o", tmp_path / "out")
    made(done, tmp_path / "out", 1, 256)


def test_a_picture_of_a_cascade_does_not_depend_on_its_batch(sfumato, tmp_path):
    many, one = tmp_path / "many", tmp_path / "one"
    made(sfumato("generate", HAT, ROCKET, "-n", "2", *IF, *FEW, *TO_64, "-o", many), many, 4, 64)
    (alone,) = made(sfumato("generate", ROCKET, "--seed", "1", *IF, *FEW, *TO_64, "-o", one), one, 1, 64)
    assert abs(pixels(alone) - pixels(many / alone.name)).max() <= 1


def test_a15_ten_pictures_from_pure_noise(sfumato, walks, tmp_path):
    out = tmp_path / "out"
    done = sfumato("generate", PHOTO, "-n", "10", *IF, *COURSE, "--steps", "34", "-o", out)
    paths = made(done, out, 10, 16)
    assert len({pixels(path).tobytes() for path in paths}) == 10
    assert sorted(facts(sfumato, path)["job"]["seed"] for path in paths) == list(range(10))
    (walk,) = walks
    assert walk.times == list(range(990, -1, -30))
    assert walk.starts == [None] * 10


def test_a16_guidance_leads_away_from_the_empty_prompt(sfumato, tmp_path):
    made_by = {}
    for name, options in {
        "own": (),
        "said": ("--guidance", "7", "--negative", ""),
        "none": ("--guidance", "1"),
    }.items():
        out = tmp_path / name
        (path,) = made(sfumato("generate", PHOTO, *IF, *FEW, *options, "-o", out), out, 1, 16)
        made_by[name] = path
    assert facts(sfumato, made_by["own"])["job"]["guidance"] == 7
    assert np.array_equal(pixels(made_by["own"]), pixels(made_by["said"]))
    assert len({pixels(path).tobytes() for path in made_by.values()}) == 2


# A1.1 … A1.4, A1.7: from a picture


def test_a11_to_a14_the_ways_to_denoise_side_by_side(sfumato, walks, photo, tmp_path):
    from diffusers import DDPMScheduler

    out, times = tmp_path / "out", (250, 500, 750, 690)
    options = ("--t", ",".join(map(str, times)), "--prompt", PHOTO, "--sigma", "2", *IF, *COURSE)
    paths = made(sfumato("denoise", photo, *options, "-o", out), out, 16, 16)
    told = {(job["method"], job["t"]): (job, path) for path in paths for job in [facts(sfumato, path)["job"]]}
    assert set(told) == {(way, t) for way in ("noised", "blur", "one-step", "iterative") for t in times}
    assert len({pixels(path).tobytes() for path in paths}) == 16

    bar = DDPMScheduler(beta_schedule="squaredcos_cap_v2").alphas_cumprod
    noise = torch.randn(3, 16, 16, generator=torch.Generator().manual_seed(0))
    for t in times:
        job, path = told["noised", t]
        x0 = 2 * parse_job(job).image.tensor() - 1
        expected = ((bar[t].sqrt() * x0 + (1 - bar[t]).sqrt() * noise + 1) / 2).clamp(0, 1)
        assert np.abs(pixels(path) - 255 * expected.permute(1, 2, 0).numpy()).max() <= 0.51
    paths_walked = {tuple(walk.times) for walk in walks}
    assert paths_walked >= {(690.0, *map(float, range(660, -1, -30))), (690.0, -1.0), (690.0,)}
    assert (250.0, *map(float, range(240, -1, -30))) in paths_walked


STARTS = (1, 3, 5, 7, 10, 20, 30)


@pytest.mark.parametrize("prompt", [PHOTO, ROCKET])
def test_a17_edits_of_a_photo_from_every_start(sfumato, walks, photo, tmp_path, prompt):
    out = tmp_path / "out"
    starts = ",".join(map(str, STARTS))
    done = sfumato("edit", photo, "--start", starts, "--prompt", prompt, *IF, *COURSE, "-o", out)
    paths = made(done, out, 7, 16)
    jobs = [facts(sfumato, path)["job"] for path in paths]
    assert sorted(job["begin"] for job in jobs) == list(STARTS)
    assert {(job["prompt"], job["steps"], job["guidance"], job["last_step"]) for job in jobs} == {
        (prompt, 34, 7, False)
    }
    (walk,) = walks
    assert walk.times == list(range(990, -1, -30))
    assert walk.starts == [960, 900, 840, 780, 690, 390, 90]
    original = 255 * parse_job(jobs[0]).image.tensor().permute(1, 2, 0).numpy()
    changes = {job["begin"]: np.abs(pixels(p) - original).mean() for job, p in zip(jobs, paths, strict=True)}
    assert changes[30] < changes[20] < changes[10] < changes[1]


@pytest.mark.parametrize("invert", [(), ("--invert",)])
def test_a171_a_drawing_with_transparency_and_an_odd_aspect(sfumato, drawing, tmp_path, invert):
    out = tmp_path / "out"
    options = ("--start", "1,5", "--steps", "8", "--prompt", ROCKET, *invert, *IF)
    path, _ = made(sfumato("edit", drawing, *options, "-o", out), out, 2, 16)
    image = parse_job(facts(sfumato, path)["job"]).image
    x = image.tensor()
    assert (image.name, x.shape) == ("drawing.png", (3, 16, 16))
    assert (x[:, 0, 0] == 0).all(), "what is transparent is black, on either"
    # The ring fills the middle: it is red, of which the negative is not.
    assert (x[0, 8, 8] > x[1, 8, 8]) == (not invert)


@pytest.mark.parametrize("options", [COURSE, (), ("--resample", "2", "--jump", "2")])
def test_a172_outside_the_mask_the_result_is_the_original(sfumato, tmp_path, options):
    image, mask, out = tmp_path / "image.png", tmp_path / "mask.png", tmp_path / "out"
    colours = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    where = np.zeros((16, 16), np.uint8)
    where[:, 5:12] = 255
    Image.fromarray(colours).save(image)
    Image.fromarray(where).save(mask)
    done = sfumato("inpaint", image, "--mask", mask, "--prompt", ROCKET, "--steps", "6", *options, *IF, "-o", out)
    assert done.code == 0, done.err
    (path,) = pictures(out)
    assert np.array_equal(pixels(path)[where == 0], colours[where == 0])
    assert (pixels(path)[where == 255] != colours[where == 255]).mean() > 0.5


def test_a172_a_photo_is_kept_as_it_was_fitted(sfumato, photo, tmp_path):
    mask, out = tmp_path / "mask.png", tmp_path / "out"
    Image.new("L", (120, 90)).save(mask)
    done = sfumato("inpaint", photo, "--mask", mask, *FEW, *IF, "-o", out)
    (path,) = made(done, out, 1, 16)
    fitted = 255 * parse_job(facts(sfumato, path)["job"]).image.tensor().permute(1, 2, 0).numpy()
    assert np.array_equal(pixels(path), fitted.round())


# A1.8, A1.9, A2: illusions and a logo


def test_a18_an_anagram_through_both_stages(sfumato, walks, tmp_path):
    prompts = ("an oil painting of an old man", "an oil painting of people around a campfire")
    views, out = ("--view", "identity", "--view", "flip"), tmp_path / "out"
    (path,) = made(sfumato("anagram", *prompts, *views, *IF, *FEW, *TO_64, "-o", out), out, 1, 64)
    readings = facts(sfumato, path)["job"]["readings"]
    assert [(r["prompt"], r["view"]) for r in readings] == list(zip(prompts, ("identity", "flip"), strict=True))
    assert [walk.model for walk in walks] == ["deepfloyd", "deepfloyd/256"]


def test_a19_a_hybrid(sfumato, tmp_path):
    out = tmp_path / "out"
    done = sfumato("hybrid", "a skull", "a waterfall", "--sigma", "2", *IF, *FEW, *TO_64, "-o", out)
    (path,) = made(done, out, 1, 64)
    job = facts(sfumato, path)["job"]
    assert (job["parts"], job["factors"]) == (["a skull", "a waterfall"], "frequency:2.0")


@pytest.mark.parametrize(
    "words", [("anagram", "a skull", "a dog"), ("hybrid", "a skull", "a dog")], ids=lambda words: words[0]
)
def test_an_illusion_ends_where_pixels_end(sfumato, walks, tmp_path, words):
    for larger in (TO_256, ("--upscale", "256")):
        one_line(sfumato(*words, *IF, *FEW, *larger, "-o", tmp_path / "out"), tmp_path / "out")
    one_line(sfumato(*words, *IF, *FEW, *TO_256, "-o", tmp_path / "out"), tmp_path / "out", "works in latents")
    assert not walks, "it is refused before anything runs"


def test_a2_a_logo_made_larger_later(sfumato, tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    (small,) = made(sfumato("generate", "a logo of a lion", *IF, *FEW, "-o", a), a, 1, 16)
    done = sfumato("upscale", small, "--prompt", "a logo of a lion", "--model", "deepfloyd/256", *FEW, "-o", b)
    made(done, b, 1, 64)


@pytest.mark.parametrize(("model", "given", "size"), [("deepfloyd/256", 50, 64), ("deepfloyd/1024", 32, 128)])
def test_a_file_is_made_larger_with_noise_as_one_likes(sfumato, walks, photo, tmp_path, model, given, size):
    """Stage II has one size; in latents the size is four times that of the picture."""
    file, paths = tmp_path / "file.png", []
    read_image(photo).resize((given + 7, given)).save(file)
    for level in ((), ("--noise-level", "50")):
        out = tmp_path / "-".join(("out", *level))
        done = sfumato("upscale", file, "--model", model, *FEW, *level, "-o", out)
        paths += made(done, out, 1, size)
    assert not np.array_equal(*map(pixels, paths))
    usual = {"deepfloyd/256": 250, "deepfloyd/1024": 20}[model]
    assert [facts(sfumato, path)["job"]["noise_level"] for path in paths] == [usual, 50]
    assert {walk.model for walk in walks} == {model}


def test_what_was_made_comes_out_identical_again(sfumato, photo, tmp_path):
    out, mask, small = (tmp_path / name for name in ("out", "mask.png", "small.png"))
    Image.linear_gradient("L").resize((120, 90)).save(mask)
    read_image(photo).resize((32, 32)).save(small)
    for arguments in (
        ("inpaint", photo, "--mask", mask, *IF, *FEW),
        ("anagram", HAT, ROCKET, *IF, *FEW, *TO_64, "--noise-level", "50"),
        ("upscale", small, "--model", "deepfloyd/1024", *FEW, "--noise-level", "10"),
    ):
        done = sfumato(*arguments, "-o", out)
        assert done.code == 0, done.err
    for file in (photo, mask, small):
        file.unlink()  # a picture carries all that it was made from
    paths = {path.name.partition("-")[0]: path for path in pictures(out)}
    assert [read_image(path).size for path in paths.values()] == [(64, 64), (16, 16), (128, 128)]
    for path in paths.values():
        done = sfumato("rerun", path, "--verify")
        assert (done.code, done.out, done.err) == (0, f"{path}: identical, pixel for pixel\n", "")


# Memory and arithmetic


def test_less_memory_makes_the_same_picture_and_says_what_gives_way(sfumato, tmp_path):
    files = set()
    for mode in ("auto", "low", "lowest"):
        out = tmp_path / mode
        done = sfumato("generate", ROCKET, *IF, *FEW, "--memory", mode, "--json", "-o", out)
        assert done.code == 0, done.err
        files.add(pictures(out)[0].read_bytes())
        notes = json.loads(done.out)["notes"]
        assert done.err.splitlines() == [f"note: {note}" for note in notes]
        assert len(notes) == (mode == "lowest"), "on a CPU nothing is slower with low"
    assert "the text encoder (" in notes[0]
    assert "computes layer by layer from the disk, which is slow" in notes[0]
    assert len(files) == 1


def test_half_precision(sfumato, tmp_path):
    paths = []
    for dtype in ("float32", "bfloat16"):
        out = tmp_path / dtype
        paths += made(sfumato("generate", HAT, *IF, *FEW, "--dtype", dtype, "-o", out), out, 1, 16)
        assert facts(sfumato, paths[-1])["job"]["dtype"] == dtype
    full, half = map(pixels, paths)
    assert 0 < np.abs(half - full).mean() < 5
    assert sfumato("rerun", paths[1], "--verify").code == 0


def test_help_tells_of_the_options(sfumato):
    told = sfumato("generate", "--help").out
    for option in ("--memory", "--embeddings", "--larger", "--upscale", "--noise-level", "--loop", "--spacing"):
        assert option in told
    assert "deepfloyd" in sfumato("embed", "--help").out


# What cannot be meant


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--dtype", "float8"), "unknown dtype 'float8'; choose one of auto, float32, bfloat16, float16"),
        (("--memory", "tiny"), "unknown memory 'tiny'; choose one of auto, low, lowest"),
        (("--loop", "mine"), "unknown loop 'mine'; choose one of own, course, diffusers"),
        (("--spacing", "even"), "spacing"),
        (("--steps", "1001"), "not 1001"),
        (("--noise-level", "50"), "given 1 times, and there are 0 later stages"),
        ((*TO_64, "--noise-level", "5000"), "5000 is not one of 0 … 999"),
        ((*TO_64, "--noise-level", "0.5"), "0.5 is not one of 0 … 999"),
        ((*TO_64, "--noise-level", "1", "--noise-level", "2"), "given 2 times, and there are 1 later stages"),
        (("--upscale", "100"), "not 100"),
        (("--upscale", "8"), "deepfloyd makes pictures of 16 pixels, not 8"),
        ((*TO_64, "--larger", "deepfloyd/256"), "--upscale takes the model's own later stages and --larger names"),
        (("--larger", "deepfloyd"), "deepfloyd makes no"),
        (("--larger", "digits"), "digits makes no"),
        (("--larger", "deepfloyd/256", "--larger", "deepfloyd/256"), "deepfloyd/256 makes pictures of 16 pixels"),
        (("--model", "deepfloyd/256"), "makes other pictures larger"),
        (("--model", "deepfloyd/1024"), "makes other pictures larger"),
        (("--model", "hf:nobody"), "write hf:OWNER/REPO"),
    ],
)
def test_requests_that_cannot_be_meant_are_one_line(sfumato, walks, tmp_path, options, words):
    one_line(sfumato("generate", HAT, *IF, *FEW, *options, "-o", tmp_path / "out"), tmp_path / "out", words)
    assert not walks


def test_a_prompt_that_is_too_long_is_one_line(sfumato, walks, tmp_path):
    done = sfumato("generate", LONG, *IF, *FEW, "-o", tmp_path / "out")
    one_line(done, tmp_path / "out", "the prompt 'a lion a lion", "tokens long; the model reads 77: shorten it")
    assert not walks


def test_a_picture_is_made_larger_by_what_makes_larger(sfumato, photo, tmp_path):
    out = tmp_path / "out"
    for model in ("deepfloyd", "digits"):
        done = sfumato("upscale", photo, "--model", model, "-o", out)
        one_line(done, out, f"model {model} makes no picture larger")
    done = sfumato("upscale", photo, "--model", "deepfloyd/256", "--noise-level", "5000", "-o", out)
    one_line(done, out, "deepfloyd/256", "5000")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("generate", "3", "--model", "digits", "--variance", "learned"), "variance"),
        (("generate", "3", "--model", "digits", "--larger", "deepfloyd/256"), "colour"),
    ],
    ids=["variance", "colour"],
)
def test_models_that_cannot_do_it_are_told_before_anything_runs(sfumato, walks, tmp_path, arguments, words):
    try:
        done = sfumato(*arguments, *FEW, "-o", tmp_path / "out")
    finally:
        assert not walks
    one_line(done, tmp_path / "out", words)


def test_denoised_pictures_are_made_larger_from_pure_noise_or_not_at_all(sfumato, walks, photo, tmp_path):
    options = ("--t", "250", *IF, *COURSE, *TO_64, "-o", tmp_path / "out")
    if sfumato("denoise", photo, *options).code == 0:
        later = [walk for walk in walks if walk.model == "deepfloyd/256"]
        assert all(walk.times[0] > 250 for walk in later)


def test_a_prompt_that_a_later_stage_cannot_read_is_told_before_anything_runs(sfumato, walks, tmp_path):
    # A run of what it does not know is one token to T5, and many bytes to the upscaler's CLIP.
    done = sfumato("generate", f"a cat {'☃' * 40}", *IF, *FEW, *TO_256, "-o", tmp_path / "out")
    one_line(done, tmp_path / "out", "tokens long")
    assert not walks


# Models that are not here, or not whole


def test_a_model_that_is_not_here_says_how_to_get_it(sfumato, tmp_path):
    out = tmp_path / "out"
    done = sfumato("generate", HAT, "--model", "deepfloyd/L", "-o", out)
    steps = (
        "accept its licence at https://huggingface.co/DeepFloyd/IF-I-L-v1.0",
        "hf auth login",
        "sfumato models pull deepfloyd/L (",
    )
    one_line(done, out, "model deepfloyd/L is not on this machine", *steps, code=1)
    # The licence comes before the token, and the token before the download.
    assert sorted(steps, key=done.err.index) == list(steps)
    done = sfumato("generate", HAT, *IF, "--larger", "deepfloyd/256-M", "-o", out)
    one_line(done, out, "model deepfloyd/256-M is not on this machine", "IF-II-M-v1.0", code=1)
    done = sfumato("generate", HAT, "--model", "hf:nobody/nothing", "-o", out)
    one_line(done, out, "get it: sfumato models pull hf:nobody/nothing", code=1)


def test_offline_nothing_is_downloaded(sfumato, tmp_path):
    one_line(sfumato("models", "pull", "deepfloyd/L"), tmp_path / "out", "offline mode is on; unset", code=1)


def test_a_repository_by_its_own_name_is_the_known_model(sfumato, cascade, tmp_path):
    done = sfumato("generate", HAT, "--model", "hf:DeepFloyd/IF-I-XL-v1.0", *FEW, "-o", tmp_path / "a")
    (path,) = made(done, tmp_path / "a", 1, 16)
    told = facts(sfumato, path)
    assert told["models"][0]["sha256"] == sha256(cascade["deepfloyd"] / "unet" / "diffusion_pytorch_model.safetensors")
    assert told["job"]["guidance"] == 7


@pytest.fixture(scope="module")
def sharded(tmp_path_factory):
    """The first stage in several files."""
    folder = tmp_path_factory.mktemp("sharded") / "one"
    return tiny_models.write_if_stage_one(folder, unet_shards=2, text_shards=2)


def test_a_folder_of_shards_makes_the_same_picture(sfumato, cascade, sharded, tmp_path):
    shown = []
    for k, folder in enumerate((cascade["deepfloyd"], sharded)):
        out = tmp_path / str(k)
        shown += made(sfumato("generate", HAT, "--model", folder, *FEW, "-o", out), out, 1, 16)
    assert np.array_equal(*map(pixels, shown))


def _cut(folder: Path) -> None:
    file = folder / "unet" / "diffusion_pytorch_model-00001-of-00002.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def _lose(part: str):
    def lose(folder: Path) -> None:
        next((folder / part).glob("*-00002-of-00002.safetensors")).unlink()

    return lose


def _write(file: str, text: str):
    return lambda folder: (folder / file).write_text(text)


def _to_latents(folder: Path) -> None:
    index = json.loads((folder / "model_index.json").read_text())
    _write("model_index.json", json.dumps({**index, "vae": ["diffusers", "AutoencoderKL"]}))(folder)
    (folder / "vae").mkdir()
    shutil.copy(folder / "unet" / "config.json", folder / "vae")
    for file in (folder / "unet").glob("*safetensors*"):
        shutil.copy(file, folder / "vae")


def _without(part: str):
    return lambda folder: shutil.rmtree(folder / part)


@pytest.mark.parametrize(
    ("damage", "code", "words"),
    [
        (_cut, 1, ("unet/diffusion_pytorch_model-00001-of-00002.safetensors is cut short", "get it again")),
        (_lose("unet"), 1, ("lacks diffusion_pytorch_model-00002-of-00002.safetensors", "get it again")),
        (_lose("text_encoder"), 1, ("text_encoder lacks model-00002-of-00002.safetensors", "get it again")),
        (_write("unet/config.json", "{"), 2, ("unet/config.json is damaged",)),
        (_write("unet/config.json", '{"_class_name": "DiT"}'), 2, ("holds DiT; what can be run is UNet2DModel",)),
        (_write("model_index.json", "[]"), 2, ("model_index.json is damaged",)),
        (_write("scheduler/scheduler_config.json", '{"_class_name": "X"}'), 2, ("scheduler 'X' is not one of",)),
        (_without("unet"), 2, ("unet is no model",)),
        (_without("text_encoder"), 2, ("has no text encoder; give --embeddings FILE", "sfumato embed")),
        (_to_latents, 2, ("works in latents; choose a model of pixels",)),
    ],
    ids=["cut", "shard", "text shard", "json", "class", "index", "scheduler", "no unet", "no text", "latent"],
)
def test_a_damaged_folder_is_one_line(sfumato, sharded, walks, tmp_path, damage, code, words):
    folder = shutil.copytree(sharded, tmp_path / "model")
    damage(folder)
    done = sfumato("generate", HAT, "--model", folder, *FEW, "-o", tmp_path / "out")
    one_line(done, tmp_path / "out", *words, code=code)
    assert not walks


def test_what_is_no_model_is_one_line(sfumato, tmp_path):
    empty, pictures_of_mine, out = tmp_path / "empty", tmp_path / "holiday", tmp_path / "out"
    empty.mkdir()
    pictures_of_mine.mkdir()
    (pictures_of_mine / "photo.jpg").write_bytes(b"x")
    for folder in (empty, pictures_of_mine):
        one_line(sfumato("generate", HAT, "--model", folder, "-o", out), out, f"{folder} ")
    one_line(sfumato("generate", HAT, "--model", tmp_path / "none", "-o", out), out, "unknown model", "deepfloyd/256")


def test_a_damaged_file_in_the_cache_says_how_to_get_it_again(sfumato, monkeypatch, cascade, tmp_path):
    folder = shutil.copytree(cascade["deepfloyd"], tmp_path / "model")
    file = folder / "unet" / "diffusion_pytorch_model.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    use_cache(monkeypatch, tmp_path)
    tiny_models.into_hub_cache(tmp_path, hub_models()["deepfloyd"].repo, folder)
    done = sfumato("generate", HAT, *IF, *FEW, "-o", tmp_path / "out")
    one_line(done, tmp_path / "out", "is cut short", "get it again: sfumato models pull deepfloyd", code=1)


# Other models of diffusers


def test_a_model_of_classes_wants_a_class(sfumato, tmp_path):
    folder, out = tiny_models.write_classes(tmp_path / "classes"), tmp_path / "out"
    model = ("--model", folder, *FEW)
    one_line(sfumato("generate", *model, "-o", out), out, "name a class, 0, 1, 2, 3")
    one_line(sfumato("generate", "1", *model, "--guidance", "3", "-o", out), out, "--negative")
    one_line(sfumato("generate", "9", *model, "-o", out), out, "'9'")
    made(sfumato("generate", "1", *model, "-o", tmp_path / "1"), tmp_path / "1", 1, 16)
    made(
        sfumato("generate", "1", *model, "--guidance", "3", "--negative", "2", "-o", tmp_path / "2"),
        tmp_path / "2",
        1,
        16,
    )


def test_a_model_of_nothing_wants_no_prompt(sfumato, tmp_path):
    folder, out = tiny_models.write_unconditional(tmp_path / "nothing"), tmp_path / "out"
    one_line(sfumato("generate", HAT, "--model", folder, "-o", out), out, "cannot be asked for")
    made(sfumato("generate", "-n", "2", "--model", folder, *FEW, "-o", tmp_path / "1"), tmp_path / "1", 2, 16)
