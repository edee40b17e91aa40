"""The API as the page speaks it, with the real store and nobody at the queue."""

import hashlib
import json
import threading
import time
from pathlib import Path

import pytest
from PIL import Image
from served import CHANGES, line, png, serving, text_png

from sfumato.app.studio.records import Strip
from sfumato.app.studio.routes import REPORT_POLICY

GENERATE = {"job": {"kind": "generate", "prompt": "3"}}


@pytest.fixture
def studio(tmp_path):
    with serving(tmp_path / "studio") as served:
        yield served


@pytest.fixture(scope="module")
def quiet(tmp_path_factory):
    """One studio for tests that change nothing."""
    with serving(tmp_path_factory.mktemp("studio")) as served:
        yield served


def test_the_page_and_its_files_are_handed_out(quiet):
    page = quiet.get("/")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert quiet.get("/static/modules/api.js").headers["content-type"] == "text/javascript; charset=utf-8"
    assert quiet.get("/viewer/turn.js").status_code == 200
    tag = page.headers["etag"]
    again = quiet.get("/", headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    assert quiet.client.head("/").status_code == 200


@pytest.mark.parametrize(
    "path", ["/static/", "/static/nothing.js", "/viewer/elements.py", "/viewer/", "/static", "/x", "/api", "/api/"]
)
def test_nothing_else_is(quiet, path):
    answer = quiet.get(path)
    assert (answer.status_code, line(answer)) == (404, "there is nothing of this name")


def test_hello_tells_all_that_the_page_needs(quiet):
    told = quiet.get("/api/hello").json()
    assert (told["device"], told["folder"]) == ("cpu", str(quiet.folder))
    (digits,) = (model for model in told["models"] if model["name"] == "digits")
    assert digits == {
        "name": "digits", "title": digits["title"], "shape": [1, 28, 28], "conditions": "classes",
        "classes": [*"0123456789"], "steps": 20, "guidance": 2.0, "illusion_guidance": 5.0,
        "most_steps": 300, "times": 300, "larger": None, "low_res": None, "judge": True,
    }  # fmt: skip
    conditions = {model["name"]: model["conditions"] for model in told["models"]}
    assert conditions.items() >= {"digits": "classes", "digits/time": "none", "digits/denoiser": "none"}.items()
    assert {"text": "rotate:90", "about": "Turned counter-clockwise by 90, 180 or 270 degrees."} in told["views"]
    assert not {"file", "signed", "blur"} & {view["text"].partition(":")[0] for view in told["views"]}
    assert [(each["text"], each["parts"]) for each in told["factors"]][:2] == [("frequency", 2), ("triple", 3)]
    assert told["samplers"] == ["ddpm", "ddim", "euler", "heun", "dpmpp-2m"]
    assert told["spacings"] == ["strided", "leading", "trailing", "linspace"]
    recipes = {recipe["name"]: recipe for recipe in told["recipes"]}
    assert {"class", "time", "denoiser", "flow"} <= recipes.keys()
    assert "text" not in recipes, "its data are captions"
    assert recipes["class"]["settings"]["epochs"] == 20
    assert not {"name", "summary", "data", "network"} & recipes["class"]["settings"].keys()
    assert "typeset" in [each["name"] for each in told["data"]]
    most = max(model["most_steps"] for model in told["models"])
    assert told["limits"] == {"upload": 32_000_000, "count": 64, "steps": most, "queue": 200}


def test_everything_that_hello_offers_can_be_asked_for(studio):
    told = studio.get("/api/hello").json()
    for view in told["views"]:
        job = {"kind": "anagram", "readings": [{"prompt": "6"}, {"prompt": "9", "view": view["text"]}]}
        if view["text"] not in {"permute:8:seed=3", "pixel-permute:64"}:  # 8 and 64 do not divide 28
            assert studio.post("/api/runs", {"job": job}).status_code == 202, view
    for each in told["factors"]:
        if each["text"] != "colour":  # digits are grey
            studio.job(kind="hybrid", parts=["1"] * each["parts"], factors=each["text"])
    for sampler in told["samplers"]:
        for spacing in told["spacings"]:
            studio.job(kind="generate", sampler=sampler, spacing=spacing)
    for model in told["models"]:
        first = next((m for m in told["models"] if m["larger"] and m["larger"]["name"] == model["name"]), None)
        assert (first is None) == (model["low_res"] is None)  # a later stage is offered after its first one
        if first is None:
            studio.job(kind="generate", model=model["name"], steps=model["steps"], guidance=model["guidance"])
        else:
            studio.job(kind="generate", model=first["name"], larger=[model["name"]])


# Uploads.


def test_an_upload_is_kept_under_its_hash_and_once(studio):
    image = Image.effect_noise((40, 30), 50)
    answer = studio.bring(image, "my drawing.png")
    told = answer.json()
    data = (studio.folder / "uploads" / f"{told['id']}.png").read_bytes()
    assert answer.status_code == 201
    assert told == {
        "id": hashlib.sha256(data).hexdigest(), "url": f"/api/uploads/{told['id']}", "name": "my drawing.png",
        "width": 40, "height": 30, "mode": "L", "job": None, "parameters": None,
    }  # fmt: skip
    assert studio.bring(image, "another name.png").json() == told, "the same picture is the same row"
    got = studio.get(told["url"])
    assert (got.content, got.headers["content-type"]) == (data, "image/png")
    assert studio.get("/api/uploads/" + "0" * 64).status_code == 404


@pytest.mark.parametrize(
    ("name", "kept"),
    [("../../etc/passwd", "passwd"), ("C:\\Users\\me\\a.png", "a.png"), ("", "picture"), ("..", "picture"),
     ("a\x00b\x1b.png", "ab.png"),
     ("x" * 300 + ".png", "x" * 96 + ".png"), ("Größe 日本.png", "Größe 日本.png"), ("/", "picture")],
)  # fmt: skip
def test_a_name_is_no_path(studio, name, kept):
    assert studio.bring(Image.new("L", (4, 4)), name).json()["name"] == kept


def test_what_is_no_picture_is_refused(studio):
    for data in (b"", b"hello", png(Image.new("L", (9, 9)))[:40]):
        answer = studio.client.post("/api/uploads?name=a.png", content=data, headers=CHANGES)
        assert answer.status_code == 422
        assert line(answer).startswith("cannot read the picture a.png: ")
    assert list((studio.folder / "uploads").iterdir()) == []


def test_the_job_of_an_upload_names_models_as_the_page_does(studio, tiny_model):
    run = studio.folder / "runs" / "class-1"
    run.mkdir()
    (run / "model.safetensors").write_bytes(Path(tiny_model).read_bytes())
    job = studio.job(kind="generate", model="run:class-1", steps=2, prompt="3")
    text = json.dumps({"schema": 3, "job": job, "models": []})
    assert job["model"] == str(run)
    assert studio.bring(text_png(sfumato=text)).json()["job"] == {**job, "model": "run:class-1"}


# Runs.


def test_a_run_is_queued_and_told(studio):
    made = studio.post("/api/runs", {**GENERATE, "count": 3, "keep": "steps"})
    run = made.json()
    assert made.status_code == 202
    wanted = {"id": 1, "kind": "pictures", "state": "queued", "title": "3", "model": "digits", "jobs": 3}
    assert run.items() >= wanted.items()
    row = studio.parts.store.run(1)
    assert row is not None
    assert row.order["keep_steps"] is True
    assert [job["seed"] for job in row.order["jobs"]] == [0, 1, 2]
    second = studio.post("/api/runs", {"job": {"kind": "generate", "prompts": ["3", "5"]}}).json()
    assert (second["title"], second["ahead"]) == ("3, and 1 more", 1)
    assert [each["id"] for each in studio.get("/api/runs").json()["runs"]] == [2, 1]
    assert [each["id"] for each in studio.get("/api/runs?limit=1").json()["runs"]] == [2]
    assert studio.get("/api/runs?state=done").json() == {"runs": []}
    assert studio.get("/api/runs/1").json() == {**run, "pictures": []}


@pytest.mark.parametrize("query", ["state=sleeping", "limit=x", "limit=-1", "limit=1e3", "limit=9" + "9" * 40])
def test_a_question_that_means_nothing_is_told_so(quiet, query):
    assert quiet.get(f"/api/runs?{query}").status_code == 422


def test_a_queued_run_is_cancelled_and_an_ended_one_is_not(studio):
    studio.post("/api/runs", GENERATE)
    assert studio.post("/api/runs/1/cancel", {}).json()["state"] == "cancelled"
    answer = studio.post("/api/runs/1/cancel", {})
    assert (answer.status_code, line(answer)) == (409, "this run has ended already")
    assert studio.post("/api/runs/2/cancel").status_code == 404


def test_a_run_is_made_again(studio):
    studio.post("/api/runs", {**GENERATE, "count": 2})
    again = studio.post("/api/runs/1/again", {})
    assert (again.status_code, again.json()["id"]) == (202, 2)
    first, second = (studio.parts.store.run(run) for run in (1, 2))
    assert first.order == second.order
    assert studio.post("/api/runs/9/again").status_code == 404


def test_a_run_whose_model_is_gone_is_not_made_again(studio, tiny_model):
    run = studio.folder / "runs" / "class-1"
    run.mkdir()
    (run / "model.safetensors").write_bytes(Path(tiny_model).read_bytes())
    studio.post("/api/runs", {"job": {"kind": "generate", "model": "run:class-1", "steps": 2}})
    (run / "model.safetensors").unlink()
    answer = studio.post("/api/runs/1/again", {})
    assert answer.status_code == 422
    assert "unknown model" in line(answer)


# The gallery.


def test_the_gallery_is_looked_through(studio):
    studio.post("/api/runs", GENERATE)
    studio.finish(1, ("a.png", "b.png", "c.png"))
    all_of_them = studio.get("/api/pictures").json()
    assert [shown["id"] for shown in all_of_them["pictures"]] == [3, 2, 1]
    assert all_of_them["more"] is False
    page = studio.get("/api/pictures?limit=2").json()
    assert ([shown["id"] for shown in page["pictures"]], page["more"]) == ([3, 2], True)
    assert [shown["id"] for shown in studio.get("/api/pictures?before=2").json()["pictures"]] == [1]
    assert [shown["seed"] for shown in studio.get("/api/pictures?search=seed:1").json()["pictures"]] == [1]
    assert studio.get("/api/pictures", params={"search": "cat' OR 1=1 --"}).json()["pictures"] == []
    assert studio.get("/api/pictures?before=x").status_code == 422
    one = studio.get("/api/pictures/1").json()
    assert (one["url"], one["name"], one["job"]["prompt"]) == ("/api/pictures/1/file", "a.png", "3")
    assert studio.get("/api/runs/1").json()["pictures"] == all_of_them["pictures"][::-1]


def test_a_picture_is_the_file_that_it_is(studio):
    studio.post("/api/runs", GENERATE)
    studio.finish(1)
    got = studio.get("/api/pictures/1/file")
    assert got.content == (studio.folder / "pictures" / "a.png").read_bytes()
    assert got.headers["content-disposition"] == 'inline; filename="a.png"'
    (studio.folder / "pictures" / "a.png").unlink()
    assert studio.get("/api/pictures/1/file").status_code == 404


def test_a_picture_goes_into_the_bin_and_comes_back(studio):
    studio.post("/api/runs", GENERATE)
    studio.finish(1)
    assert studio.delete("/api/pictures/1").json()["id"] == 1
    assert (studio.folder / "bin" / "a.png").exists()
    for path in ("/api/pictures/1", "/api/pictures/1/file"):
        assert studio.get(path).status_code == 404
    assert studio.delete("/api/pictures/1").status_code == 404
    assert studio.post("/api/pictures/1/restore").json()["id"] == 1
    assert studio.get("/api/pictures/1/file").status_code == 200
    assert studio.post("/api/pictures/1/restore").status_code == 404


def test_a_strip_is_there_when_it_was_kept(studio):
    studio.post("/api/runs", GENERATE)
    assert studio.get("/api/frames/1").status_code == 404
    (studio.folder / "frames" / "1.png").write_bytes(png(Image.new("L", (56, 56))))
    studio.parts.store.change(1, strip=Strip(2, 2, 28, 28, ({"t": 1.0, "alpha": 0.0, "sigma": 1.0},)))
    assert studio.get("/api/runs/1").json()["frames"]["url"] == "/api/frames/1"
    assert studio.get("/api/frames/1").headers["content-type"] == "image/png"


# What a training leaves.


def test_samples_and_the_report_of_a_training(studio):
    run = studio.post("/api/trainings", {"recipe": "class", "data": "typeset"}).json()
    home = studio.folder / "runs" / "class-1"
    (home / "samples").mkdir(parents=True)
    (home / "samples" / "epoch-001.png").write_bytes(png(Image.new("L", (9, 9))))
    for path in ("/api/samples/1/1", "/api/reports/1"):
        assert studio.get(path).status_code == 404
    studio.parts.store.add_sample(run["id"], 1, "samples/epoch-001.png")
    (home / "report.html").write_text("<h1>report</h1><script>alert(1)</script>")
    assert studio.get("/api/samples/1/1").headers["content-type"] == "image/png"
    assert studio.get("/api/samples/1/2").status_code == 404
    report = studio.get("/api/reports/1")
    assert report.headers["content-security-policy"] == REPORT_POLICY
    assert "sandbox;" in REPORT_POLICY
    assert "script-src" not in REPORT_POLICY
    studio.post("/api/runs", GENERATE)
    assert studio.get("/api/reports/2").status_code == 404, "pictures have none"


def test_a_link_out_of_the_folder_is_not_followed(studio, tmp_path):
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"secret")
    studio.post("/api/runs", GENERATE)
    studio.finish(1)
    upload = studio.upload(Image.new("L", (9, 9)))
    run = studio.post("/api/trainings", {"recipe": "class", "data": "typeset"}).json()["id"]
    (studio.folder / "runs" / "class-1" / "samples").mkdir(parents=True)
    studio.parts.store.add_sample(run, 1, "samples/epoch-001.png")
    studio.parts.store.change(1, strip=Strip(1, 2, 28, 28, ({"t": 1.0},)))
    places = {
        "/api/pictures/1/file": "pictures/a.png",
        f"/api/uploads/{upload}": f"uploads/{upload}.png",
        "/api/frames/1": "frames/1.png",
        f"/api/samples/{run}/1": "runs/class-1/samples/epoch-001.png",
        f"/api/reports/{run}": "runs/class-1/report.html",
    }
    for path, name in places.items():
        place = studio.folder / name
        place.unlink(missing_ok=True)
        place.symlink_to(secret)
        assert studio.get(path).status_code == 404, path
    folder = studio.folder / "runs" / "class-1" / "samples"
    (folder / "epoch-001.png").unlink()
    folder.rmdir()
    folder.symlink_to(tmp_path)
    secret.rename(tmp_path / "epoch-001.png")
    assert studio.get(f"/api/samples/{run}/1").status_code == 404, "nor one of a folder on the way"


# Events.


def test_what_happens_is_told_to_pages_that_listen(studio):
    """Through a real stream: the test client's would only end with the answer."""
    heard: list[bytes] = []
    done = threading.Event()

    async def client() -> None:
        stream = studio.parts.events.subscribe(None)
        async for chunk in stream:
            heard.append(chunk)
            if b"removed" in chunk:
                break
        done.set()

    portal = studio.client.portal
    portal.start_task_soon(client)
    while not studio.parts.events.clients:
        time.sleep(0.01)
    studio.post("/api/runs", GENERATE)
    studio.finish(1)
    studio.delete("/api/pictures/1")
    assert done.wait(10)
    told = b"".join(heard).decode()
    assert "event: run" in told
    assert 'event: removed\ndata: {"picture":1}' in told


def test_streams_end_when_the_server_does_and_are_not_too_many(studio, monkeypatch):
    studio.parts.events.publish("hello", {})
    studio.parts.events.close()
    answer = studio.get("/api/events", headers={"Last-Event-ID": "someone-1"})
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-store"
    assert "event: missed" in answer.text
    monkeypatch.setattr("sfumato.app.studio.routes.MOST_PAGES", 0)
    answer = studio.get("/api/events")
    assert (answer.status_code, line(answer)) == (503, "0 pages are open already; close one")


FULL = "cannot write x: no space left on the device; make room on that disk"


def test_a_disk_that_is_full_is_told_in_a_line(studio, monkeypatch):
    from sfumato.errors import SfumatoError

    def full(*_):
        raise SfumatoError(FULL)

    monkeypatch.setattr("sfumato.app.studio.routes.write_bytes", full)
    answer = studio.bring(Image.new("L", (9, 9)))
    assert (answer.status_code, line(answer)) == (503, FULL)


def test_a_wrong_method_is_told(quiet):
    assert line(quiet.post("/api/hello", {})) == "that cannot be done here"
    answer = quiet.get("/api/trainings")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
