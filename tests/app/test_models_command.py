"""`sfumato models`: what there is, what is known of a model, and downloads of what was asked for."""

import json
import shutil
from importlib.resources import files

import huggingface_hub
import pytest
from fake_hub import COMMIT, cached, pipeline, point_to, safetensors, serving, use_cache
from huggingface_hub import constants

from sfumato.backends.hub import hub_models
from sfumato.backends.registry import bundled_models
from sfumato.backends.shards import select
from sfumato.files import sha256

XL = "DeepFloyd/IF-I-XL-v1.0"
HALF = "unet/diffusion_pytorch_model.fp16.safetensors"
BUNDLED = list(bundled_models())


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache, and no network."""
    folder = use_cache(monkeypatch, tmp_path / "huggingface")
    point_to(monkeypatch, "http://127.0.0.1:9")
    return folder


@pytest.fixture
def server(monkeypatch):
    """A hub that has stage I, stage II and the upscaler."""
    repos = {hub_models()[name].repo: pipeline() for name in ("deepfloyd", "deepfloyd/256", "deepfloyd/1024")}
    with serving(monkeypatch, repos) as there:
        yield there


def told(done) -> dict[str, str]:
    """The lines of `info` by their first words."""
    assert (done.code, done.err) == (0, "")
    return {line[:24].strip(): line[25:] for line in done.out.splitlines()}


# List


def test_every_model_is_listed(sfumato, cache):
    cached(cache, XL, pipeline())
    done = sfumato("models", "list")
    lines = {line.split()[0]: line for line in done.out.splitlines()}
    assert (done.code, done.err) == (0, "")
    assert list(lines) == [*BUNDLED, *hub_models()]
    assert lines["digits"].endswith("(recipe class), 4.1 MB")
    assert lines["deepfloyd"].endswith("XL, 18.1 GB, a licence to accept, on this machine")
    assert lines["deepfloyd/256"].endswith("L, 2.4 GB, a licence to accept, not on this machine")
    assert lines["deepfloyd/1024"].endswith("3.5 GB, not on this machine")


def test_the_list_as_json(sfumato, cache):
    cached(cache, hub_models()["deepfloyd/M"].repo, pipeline())
    rows = {row["name"]: row for row in json.loads(sfumato("models", "list", "--json").out)}
    assert list(rows) == [*BUNDLED, *hub_models()]
    assert rows["digits"]["megabytes"] == 4.1
    assert rows["deepfloyd"] == {
        "name": "deepfloyd",
        "summary": hub_models()["deepfloyd"].summary,
        "repository": XL,
        "gigabytes": 18.1,
        "gated": True,
        "here": False,
    }
    assert {name for name, row in rows.items() if row["here"]} == {*BUNDLED, "deepfloyd/M"}


# Info


def test_what_is_known_of_a_bundled_model(sfumato):
    lines = told(sfumato("models", "info", "digits"))
    path = files("sfumato.bundled") / "digits-class.safetensors"
    assert lines["licence"] == "Apache-2.0"
    assert lines["parameters"] == "2,019,201"
    assert lines["shape"] == "1, 28, 28"
    assert (lines["steps"], lines["guidance"]) == ("20", "2")
    assert lines["file"] == str(path)
    assert lines["sha256"] == sha256(path)


@pytest.mark.parametrize("where", ["file", "folder"])
def test_what_is_known_of_a_model_of_ones_own(sfumato, tiny_model, tmp_path, where):
    run = tmp_path / "run"
    run.mkdir()
    shutil.copy(tiny_model, run / "model.safetensors")
    name = str(run) if where == "folder" else tiny_model
    facts = json.loads(sfumato("models", "info", name, "--json").out)
    assert facts["name"] == facts[where] == name
    assert facts["recipe"] == "class"
    assert facts["sha256"] == sha256(run / "model.safetensors")
    assert "licence" not in facts


def test_what_is_known_of_a_model_that_is_not_here(sfumato):
    lines = told(sfumato("models", "info", "deepfloyd/256"))
    assert lines["licence"] == "DeepFloyd IF licence"
    assert lines["licence url"] == "https://huggingface.co/DeepFloyd/IF-II-L-v1.0"
    assert lines["parameters"] == "1,184,000,000"
    assert lines["text encoder"] == "T5-XXL, that of deepfloyd"
    assert (lines["steps"], lines["guidance"], lines["larger"]) == ("30", "4", "deepfloyd/1024")
    assert (lines["download gigabytes"], lines["here"]) == ("2.37", "no")
    assert "hf auth login, then: sfumato models pull deepfloyd/256 (2.4 GB)" in lines["get"]
    assert "float16: 2.4 GB" in lines["needs"]


def test_what_is_known_of_a_model_that_is_here(sfumato, cache):
    folder = cached(cache, XL, pipeline())
    facts = json.loads(sfumato("models", "info", "deepfloyd", "--json").out)
    assert facts["here"] is True
    assert (facts["folder"], facts["revision"]) == (str(folder), COMMIT)
    assert facts["unet"] == ["float32", "float16"]
    assert facts["text_encoder_here"] is True
    assert facts["gigabytes_on_disk"] == 0.0
    assert "get" not in facts
    (folder / HALF).unlink()
    (folder / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    lines = told(sfumato("models", "info", "deepfloyd"))
    assert (lines["here"], lines["missing"]) == ("no", "unet")


def test_what_is_known_of_any_repository(sfumato):
    lines = told(sfumato("models", "info", "hf:some/one@v2"))
    assert lines == {
        "name": "hf:some/one@v2",
        "page": "https://huggingface.co/some/one",
        "here": "no",
        "get": "get it: sfumato models pull hf:some/one@v2",
    }


def test_the_hub_is_asked_only_with_online(sfumato, server):
    server.gated = "manual"
    assert told(sfumato("models", "info", f"hf:{XL}"))["gated"] == "yes"
    facts = json.loads(
        sfumato("models", "info", "hf:stabilityai/stable-diffusion-x4-upscaler", "--online", "--json").out
    )
    assert facts["licence"] == "CreativeML Open RAIL++-M"
    assert facts["gated"] is True
    assert facts["newest_revision"] == COMMIT
    assert facts["files"] == len(select(pipeline()))
    assert server.asked == []


# Pull


def test_a_model_is_pulled_once(sfumato, server, cache):
    first = sfumato("models", "pull", "deepfloyd")
    folder = cache / "models--DeepFloyd--IF-I-XL-v1.0" / "snapshots" / COMMIT
    assert first.code == 0
    assert first.err.splitlines() == [f"{name}: 0.0 MB" for name in select(pipeline())]
    assert first.out == f"deepfloyd: 10 files downloaded and checked; in {folder}\n"
    again = sfumato("models", "pull", "deepfloyd")
    assert (again.out, again.err) == (f"deepfloyd: all of it was there already; in {folder}\n", "")


def test_pull_as_json_and_quietly(sfumato, server, cache):
    done = sfumato("models", "pull", "deepfloyd", "--no-text", "--json")
    told_of = json.loads(done.out)
    assert told_of["name"] == "deepfloyd"
    assert told_of["downloaded"] == select(pipeline(), text=False)
    assert told_of["notes"] == []
    assert done.err == ""
    quiet = sfumato("models", "pull", "deepfloyd", "--dtype", "float32", "--quiet")
    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")
    info = json.loads(sfumato("models", "info", "deepfloyd", "--json").out)
    assert info["unet"] == ["float32", "float16"]
    assert info["text_encoder_here"] is True


def test_a_later_stage_says_whose_text_encoder_it_needs(sfumato, server):
    done = sfumato("models", "pull", "deepfloyd/256")
    assert done.code == 0
    note = done.err.splitlines()[-1]
    assert note.startswith(
        "note: the text encoder of model deepfloyd/256 is not on this machine; accept its licence at"
    )
    assert note.endswith("sfumato models pull deepfloyd (18.1 GB)")
    assert not any("text_encoder" in line for line in done.err.splitlines()[:-1])
    sfumato("models", "pull", "deepfloyd", "--quiet")
    assert "note" not in sfumato("models", "pull", "deepfloyd/256").err


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("digits", 2, "digits comes with sfumato; there is nothing to download"),
        ("deepfloyd/XXL", 2, "unknown model 'deepfloyd/XXL'; choose one of deepfloyd, deepfloyd/L"),
        ("", 2, "unknown model ''"),
        (".", 2, ". is on this machine; there is nothing to download"),
        ("hf:gpt2", 2, "write hf:OWNER/REPO or hf:OWNER/REPO@REVISION"),
        ("hf:no/body", 1, "no answer from the hub (ConnectError); check the network"),
        ("deepfloyd", 1, "no answer from the hub (ConnectError); check the network"),
    ],
)
def test_what_cannot_be_pulled_is_one_line(sfumato, cache, name, code, message):
    done = sfumato("models", "pull", name)
    assert done.code == code
    assert len(done.err.splitlines()) == 1
    assert done.err.startswith("error: ")
    assert message in done.err
    assert done.out == ""
    assert not cache.exists()


def test_a_licence_to_accept_is_one_line(sfumato, server):
    server.refuses = 401, "GatedRepo"
    done = sfumato("models", "pull", "deepfloyd", "--quiet")
    assert done.code == 1
    assert done.err == (
        f"error: cannot download deepfloyd: accept its licence at https://huggingface.co/{XL}, then: hf auth login, "
        f"then: sfumato models pull deepfloyd\n"
    )


def test_offline_mode_is_one_line(sfumato, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    for command in (("pull", "deepfloyd"), ("info", "deepfloyd", "--online")):
        done = sfumato("models", *command)
        assert done.code == 1
        assert done.err == (
            "error: cannot download deepfloyd: offline mode is on; unset HF_HUB_OFFLINE and TRANSFORMERS_OFFLINE\n"
        )


def test_ctrl_c_says_how_to_go_on(sfumato, server, monkeypatch):
    download = huggingface_hub.hf_hub_download

    def stop(repo, name, **rest):
        if name == HALF:
            raise KeyboardInterrupt
        return download(repo, name, **rest)

    with monkeypatch.context() as patch:
        patch.setattr(huggingface_hub, "hf_hub_download", stop)
        done = sfumato("models", "pull", "deepfloyd")
    assert done.code == 130
    assert done.err.splitlines()[-1] == (
        "stopped; files that are whole stay, and this goes on: sfumato models pull deepfloyd"
    )
    assert done.out == ""
    assert "2 files downloaded" in sfumato("models", "pull", "deepfloyd").out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("info", "nothing"),
            f"unknown model 'nothing'; choose one of {', '.join(BUNDLED)}, deepfloyd, ",
        ),
        (("info", "nothing.safetensors"), "no such file: nothing.safetensors"),
        (("info", "hf:x"), "write hf:OWNER/REPO"),
        (("info", "digits", "--online"), "digits is not on the Hugging Face hub; leave --online out"),
        (("pull", "deepfloyd", "--dtype", "int8"), "unknown dtype 'int8'; choose one of float16, float32"),
    ],
)
def test_a_wrong_request_is_one_line(sfumato, arguments, message):
    done = sfumato("models", *arguments)
    assert done.code == 2
    assert len(done.err.splitlines()) == 1
    assert message in done.err
    assert done.out == ""


def test_damaged_weights_are_downloaded_again(sfumato, server, cache):
    sfumato("models", "pull", "deepfloyd", "--quiet")
    (blob,) = {path.resolve() for path in cache.rglob("diffusion_pytorch_model.fp16.safetensors")}
    blob.write_bytes(safetensors(40)[:-5])
    done = sfumato("models", "pull", "deepfloyd")
    assert done.err == f"{HALF}: 0.0 MB\n"
