"""What is asked for: filled, fitted and refused as on the command line, and never by a path."""

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from served import line, png, serving

from sfumato.app.cli import main, make, making
from sfumato.app.pictures import read_mask, read_picture
from sfumato.app.studio.bodies import NotJSON, parse_body
from sfumato.app.studio.requests import RunRequest
from sfumato.backends.registry import bundled_models
from sfumato.errors import UsageError


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("studio")) as served:
        yield served


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Pictures on a disk: a drawing in colour with alpha, and a mask of its size."""
    folder = tmp_path_factory.mktemp("files")
    drawing = Image.new("RGBA", (90, 60), (0, 0, 0, 0))
    ImageDraw.Draw(drawing).ellipse((20, 5, 60, 50), outline=(250, 200, 90, 255), width=7)
    drawing.save(folder / "ring.png")
    mask = Image.new("L", (90, 60), 0)
    mask.paste(255, (0, 0, 45, 60))
    mask.save(folder / "half.png")
    return folder


@pytest.fixture
def command(monkeypatch):
    """The jobs of a command line, which are not run."""

    def jobs_of(*words):
        made = []

        def keep(jobs, *_, **__):
            made.extend(jobs)

        monkeypatch.setattr(making, "make_pictures", keep)
        monkeypatch.setattr(make, "make_pictures", keep)
        with pytest.raises(SystemExit) as end:
            main([str(word) for word in words])
        assert end.value.code == 0
        return [job.model_dump(mode="json") for job in made]

    return jobs_of


SAME = {
    "several prompts and seeds": (
        "generate 3 8 -n 2 --seed 5", {"kind": "generate", "prompts": ["3", "8"], "seed": 5}, 2),
    "nothing asked for": ("generate --model digits/time", {"kind": "generate", "model": "digits/time"}, 1),
    "all options": (
        "generate 3 --steps 7 --sampler ddim --eta 0.5 --spacing trailing --guidance 3.5 --negative 4 "
        "--threshold static --no-last-step --dtype bfloat16",
        {"kind": "generate", "prompt": "3", "steps": 7, "sampler": "ddim", "eta": 0.5, "spacing": "trailing",
         "guidance": 3.5, "negative": "4", "threshold": "static", "last_step": False, "dtype": "bfloat16"}, 1),
    "edits from all starts": ("edit RING --prompt 3", {"kind": "edit", "prompt": "3", "image": "RING"}, 1),
    "edits of a negative": (
        "edit RING --start 3,9 --invert", {"kind": "edit", "image": "!RING", "begins": [3, 9]}, 1),
    "an edit inside a mask": (
        "edit RING --start 3 --mask HALF", {"kind": "edit", "image": "RING", "mask": "HALF", "begin": 3}, 1),
    "an inpainting": (
        "inpaint RING --mask HALF --prompt 8", {"kind": "inpaint", "image": "RING", "mask": "HALF", "prompt": "8"}, 1),
    "with jumps": (
        "inpaint RING --mask HALF --resample 2 --jump 3",
        {"kind": "inpaint", "image": "RING", "mask": "HALF", "resample": 2, "jump": 3}, 1),
    "an anagram": (
        "anagram 6 9", {"kind": "anagram", "readings": [{"prompt": "6"}, {"prompt": "9", "view": "rotate:180"}]}, 1),
    "one from a picture, with weights": (
        "anagram 6 9 --view identity --view rotate:90+negate --weight 2..0.5 --weight 1 --image RING --start 5,10",
        {"kind": "anagram", "image": "RING", "begins": [5, 10], "readings": [
            {"prompt": "6", "weight": [2.0, 0.5]}, {"prompt": "9", "view": "rotate:90+negate", "weight": 1.0}]}, 1),
    "a hybrid": ("hybrid 0 3", {"kind": "hybrid", "parts": ["0", "3"]}, 1),
    "by far and near": ("hybrid 0 3", {"kind": "hybrid", "far": "0", "near": "3"}, 1),
    "of another width": ("hybrid 0 3 --sigma 1.5", {"kind": "hybrid", "parts": ["0", "3"], "sigma": 1.5}, 1),
    "a triple": ("hybrid 0 1 3 --kind triple", {"kind": "hybrid", "parts": ["0", "1", "3"], "factors": "triple"}, 1),
    "in motion": ("hybrid 0 3 --kind motion:5", {"kind": "hybrid", "parts": ["0", "3"], "factors": "motion:5"}, 1),
    "in a picture": ("hybrid 3 --reference RING", {"kind": "hybrid", "parts": ["3"], "reference": "RING"}, 1),
    "regions": (
        "regions 1 8 --mask HALF", {"kind": "regions", "rest": "8", "regions": [{"prompt": "1", "mask": "HALF"}]}, 1),
    "a panorama": ("panorama 3", {"kind": "panorama", "prompt": "3"}, 1),
    "of a size": ("panorama --size 90x70", {"kind": "panorama", "width": 90, "height": 70}, 1),
    "denoising": ("denoise RING", {"kind": "denoise", "image": "RING"}, 1),
    "at some times": (
        "denoise RING --t 30,90 --prompt 3 --sigma 2",
        {"kind": "denoise", "image": "RING", "times": [30, 90], "prompt": "3", "sigma": 2}, 1),
    "in one step": ("denoise RING --model digits/denoiser --t 0.5",
        {"kind": "denoise", "image": "RING", "model": "digits/denoiser", "t": 0.5}, 1),
}  # fmt: skip
"""Command lines, and the requests that mean the same."""


@pytest.mark.parametrize("name", SAME)
def test_a_request_is_filled_as_a_command_is(studio, files, command, name):
    words, fields, count = SAME[name]
    paths = {"RING": files / "ring.png", "HALF": files / "half.png"}
    wanted = command(*(paths.get(word, word) for word in words.split()))

    def sent(value):
        if isinstance(value, dict):
            return {key: sent(each) for key, each in value.items()}
        if isinstance(value, list):
            return [sent(each) for each in value]
        if isinstance(value, str) and value.lstrip("!") in paths:
            path = paths[value.lstrip("!")]
            return {"upload": studio.upload(path.read_bytes(), path.name), "invert": value.startswith("!")}
        return value

    assert studio.jobs(count, **sent(fields)) == wanted


def test_files_of_every_kind_are_fitted_alike(studio, tmp_path):
    rng = np.random.default_rng(0)
    colour = Image.fromarray(rng.integers(0, 256, (61, 83, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    saved = {
        "grey.png": colour.convert("L"),
        "la.png": colour.convert("LA"),
        "palette.png": colour.convert("P"),
        "clear.webp": colour.convert("RGBA"),
        "photo.jpg": colour,
    }
    for name, image in saved.items():
        path = tmp_path / name
        image.save(path, exif=exif.tobytes()) if name.endswith("jpg") else image.save(path)
        job = studio.job(kind="edit", begin=3, image={"upload": studio.upload(path.read_bytes(), name)}, prompt="3")
        assert job["image"] == read_picture(path, (1, 28, 28)).model_dump(mode="json"), name


def test_an_edit_of_our_picture_keeps_what_that_was_made_by(studio, tmp_path, sfumato):
    done = sfumato("generate", "3", "--steps", "1", "-o", tmp_path, "--json")
    path = json.loads(done.out)["pictures"][0]["file"]
    answer = studio.bring(Path(path).read_bytes(), "three.png").json()
    assert answer["job"] == json.loads(done.out)["pictures"][0]["job"]
    job = studio.job(kind="edit", begin=3, image={"upload": answer["id"]})
    assert job["image"]["made_by"] == read_picture(Path(path), (1, 28, 28)).made_by
    assert job["image"]["made_by"]["models"][0]["sha256"]


def test_a_mask_can_be_turned_inside_out(studio, files):
    upload = {name: studio.upload((files / f"{name}.png").read_bytes(), f"{name}.png") for name in ("ring", "half")}
    job = studio.job(
        kind="inpaint", image={"upload": upload["ring"]}, mask={"upload": upload["half"], "invert": True}, prompt="3"
    )
    plain = read_mask(files / "half.png", files / "ring.png", (1, 28, 28)).tensor()
    mask = Image.open(io.BytesIO(base64.b64decode(job["mask"]["png"])))
    assert np.allclose(np.asarray(mask) / 255, 1 - plain[0].numpy(), atol=1 / 255)


def test_a_whole_job_stays_as_it_is(studio):
    job = studio.job(kind="anagram", readings=[{"prompt": "6"}, {"prompt": "9", "view": "flip"}], steps=5, seed=9)
    assert studio.job(**job) == job


def _through(view):
    return {"kind": "anagram", "readings": [{"prompt": "3", "view": view}]}


REFUSED = {
    "no kind": ({}, "unknown kind of job 'None'; choose one of generate, edit"),
    "another kind": ({"kind": "../x"}, "unknown kind of job '../x'"),
    "another prompt": ({"kind": "generate", "prompt": "cat", "model": "digits"}, "unknown class of digits 'cat'"),
    "another model": ({"kind": "generate", "model": "mine"}, "unknown model 'mine'; choose one of "),
    "a model that is no name": ({"kind": "generate", "model": 5}, "unknown model"),
    "a path": ({"kind": "generate", "model": "/etc/passwd"}, "unknown model '/etc/passwd'"),
    "a relative path": ({"kind": "generate", "model": "../../x.safetensors"}, "unknown model"),
    "a model of the hub": ({"kind": "generate", "model": "hf:owner/repo"}, "unknown model 'hf:owner/repo'"),
    "a run that is not there": ({"kind": "generate", "model": "run:class-1"}, "unknown model 'run:class-1'"),
    "a later stage by a path": ({"kind": "generate", "larger": ["/etc/passwd"]}, "unknown model '/etc/passwd'"),
    "a later stage that is none": ({"kind": "generate", "larger": ["digits"]}, "makes no picture larger"),
    "stages of another form": ({"kind": "generate", "larger": "digits"}, "larger"),
    "a stage of numbers": ({"kind": "generate", "larger": [7]}, "larger"),
    "a field too many": ({"kind": "generate", "out": "/tmp"}, "out: no such field"),
    "too many steps": ({"kind": "generate", "prompt": "3", "steps": 301}, "takes 1 to 300 steps, not 301"),
    "a sampler": ({"kind": "generate", "sampler": "magic"}, "unknown sampler 'magic'"),
    "a dtype": ({"kind": "generate", "dtype": "int8"}, "unknown dtype 'int8'"),
    "a view": (_through("sideways"), "unknown view 'sideways'"),
    "a view of a file": (_through("file:/etc/passwd"), "unknown view 'file'"),
    "a view that cannot work": (_through("blur:2"), "views check"),
    "a view without end": (_through("skew:1e308"), "no steeper than"),
    "a chain without end": (_through("flip+" * 99 + "flip"), "at most 32 views"),
    "too many readings": ({"kind": "anagram", "readings": [{"prompt": "3"}] * 40}, "readings: 40 are more"),
    "no readings": ({"kind": "anagram"}, "readings"),
    "readings that are none": ({"kind": "anagram", "readings": 3}, "readings"),
    "a wide filter": ({"kind": "hybrid", "parts": ["0", "3"], "factors": "frequency:1e9"}, "filters reach 1000 pixels"),
    "a long number": ({"kind": "hybrid", "parts": ["0", "3"], "sigma": 10**400}, "filters reach 1000 pixels"),
    "a wide blur": ({"kind": "hybrid", "far": "0", "near": "3", "sigma": 5000}, "filters reach 1000 pixels"),
    "a wide sigma": ({"kind": "hybrid", "parts": ["0", "3"], "sigma": 1e300}, "filters reach 1000 pixels"),
    "a sigma below 0": ({"kind": "hybrid", "parts": ["0", "3"], "sigma": -1}, "sigma"),
    "a sigma in letters": ({"kind": "hybrid", "parts": ["0", "3"], "sigma": "2"}, "sigma"),
    "parts of another number": ({"kind": "hybrid", "parts": ["0"]}, "wants 2 prompts, not 1"),
    "a huge panorama": ({"kind": "panorama", "width": 4000, "height": 4000}, "crops"),
    "a dense panorama": ({"kind": "panorama", "width": 400, "height": 400, "overlap": 0.99}, "crops"),
    "a panorama of letters": ({"kind": "panorama", "width": "many"}, "width"),
    "a picture for nothing": ({"kind": "upscale", "model": "digits"}, "makes no picture larger"),
    "an upload that is not there": ({"kind": "edit", "image": {"upload": "0" * 64}}, "bring it again"),
    "an upload by a path": ({"kind": "edit", "image": {"upload": "../../etc/passwd"}}, "image.upload"),
    "an upload with more": ({"kind": "edit", "image": {"upload": "0" * 64, "path": "/"}}, "image.path: no such field"),
    "a picture that is none": ({"kind": "edit", "begin": 1, "image": {"name": "a", "png": "aGVsbG8="}}, "not a PNG"),
    "a picture by its path": ({"kind": "edit", "begin": 1, "image": "/etc/passwd"}, "image"),
    "a mask alone": ({**_through("flip"), "mask": {"upload": "0" * 64}}, "bring it again"),
    "both words": ({"kind": "generate", "prompt": "3", "prompts": ["3"]}, "prompt and prompts say the same"),
    "prompts twice": ({"kind": "generate", "prompts": ["3", "3"]}, "prompts names a text twice"),
    "prompts of numbers": ({"kind": "generate", "prompts": [3]}, "texts only"),
    "no prompts": ({"kind": "generate", "prompts": []}, "a list of 1 to 64"),
    "a negative seed": ({"kind": "generate", "seed": -1}, "seed"),
    "a long seed": ({"kind": "generate", "seed": 2**63}, "seed"),
    "a seed of letters": ({"kind": "generate", "seed": "x"}, "seed"),
    "guidance of letters": ({"kind": "generate", "guidance": "much"}, "guidance"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_meant_is_said_at_once(studio, name):
    fields, said = REFUSED[name]
    answer = studio.post("/api/runs", {"job": fields})
    assert answer.status_code == 422, answer.text
    assert said in line(answer)


def test_a_refusal_is_the_line_of_the_command(studio, sfumato, files):
    words = ("generate", "3", "--steps", "400", "-o", files / "out")
    answer = studio.post("/api/runs", {"job": {"kind": "generate", "prompt": "3", "steps": 400}})
    assert f"error: {line(answer)}" == sfumato(*words).err.strip()


def test_a_mask_has_the_size_of_its_picture(studio):
    image, mask = (studio.upload(png(Image.new("L", size)), "a.png") for size in ((40, 40), (41, 40)))
    job = {"kind": "inpaint", "image": {"upload": image}, "mask": {"upload": mask}}
    answer = studio.post("/api/runs", {"job": job})
    assert "is 41×40 and the image a.png 40×40; make them the same size" in line(answer)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"job": {"kind": "generate"}, "count": 65}, "count"),
        ({"job": {"kind": "generate"}, "count": 0}, "count"),
        ({"job": {"kind": "generate"}, "count": True}, "count"),
        ({"job": {"kind": "generate"}, "count": "2"}, "count"),
        ({"job": {"kind": "generate"}, "keep": "all"}, "keep"),
        ({"job": [], "count": 1}, "job"),
        ({"job": {"kind": "generate"}, "extra": 1}, "extra: no such field"),
        ({}, "job"),
        ([], "the request"),
        ({"job": {"kind": "generate", "prompts": [*"0123456789"]}, "count": 30}, "300 pictures are more than the 256"),
    ],
)  # fmt: skip
def test_requests_have_a_form_and_limits(studio, body, said):
    answer = studio.post("/api/runs", body)
    assert answer.status_code == 422
    assert said in line(answer)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", b"NaN", b"[" * 100_000, b'{"a":' * 5000, b"9" * 5000, b'"\\ud800"']
)
def test_what_is_no_json_is_told(body):
    with pytest.raises(NotJSON, match="the request is not JSON"):
        parse_body(body, RunRequest)


@pytest.mark.parametrize(
    "body", [b'{"job": {"a": 1e999}}', b'{"job": {"a": "\\u0000"}}', b'{"job": {"a\\u001b[31m": 1}}']
)
def test_what_json_can_hold_and_nothing_means_is_told(body):
    with pytest.raises(UsageError, match=r"in the request|in it"):
        parse_body(body, RunRequest)


def test_the_queue_ends_somewhere(tmp_path, monkeypatch):
    monkeypatch.setattr("sfumato.app.studio.routes.MOST_WAITING", 2)
    with serving(tmp_path / "studio") as studio:
        answers = [studio.post("/api/runs", {"job": {"kind": "generate", "seed": k}}) for k in range(3)]
        assert [answer.status_code for answer in answers] == [202, 202, 429]
        assert line(answers[-1]) == "2 runs wait already; let some end, or cancel them"


def test_a_training_of_ours_is_known_by_its_name_and_by_its_path(tmp_path, tiny_model):
    with serving(tmp_path / "studio") as studio:
        run = studio.folder / "runs" / "class-1"
        (run / "epochs").mkdir(parents=True)
        (run / "model.safetensors").write_bytes(Path(tiny_model).read_bytes())
        (studio.folder / "runs" / "unfinished").mkdir()
        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / "model.safetensors").write_bytes((run / "model.safetensors").read_bytes())
        (studio.folder / "runs" / "link").symlink_to(outside)
        names = [row["name"] for row in studio.get("/api/hello").json()["models"]]
        assert names == [*bundled_models(), "run:class-1"]
        job = studio.job(kind="generate", prompt="3", steps=2, model="run:class-1")
        assert job["model"] == str(run), "as `sfumato rerun` finds it"
        assert studio.job(**job) == job
        assert studio.get("/api/runs").json()["runs"][0]["model"] == "run:class-1"
        for model in (
            "run:link",
            "run:unfinished",
            str(outside),
            f"{run}/../../../outside",
            f"{run}/model.safetensors",
        ):
            assert studio.post("/api/runs", {"job": {"kind": "generate", "model": model}}).status_code == 422, model
