"""Models of the Hugging Face hub: their catalogue, where they are, which files are theirs, and how they are had."""

import errno
import json
import logging
import os
import subprocess
import sys
from types import SimpleNamespace

import huggingface_hub
import pytest
from fake_hub import COMMIT, cached, pipeline, point_to, safetensors, serving, use_cache
from huggingface_hub import constants, errors

from sfumato.backends import hub, hub_pull
from sfumato.backends.hub import HubModel, find, hub_models, is_here, reference, snapshot, text_snapshot
from sfumato.backends.hub_errors import told
from sfumato.backends.hub_pull import listing, pull
from sfumato.backends.shards import check_safetensors, check_weights, missing, select, variant, variants
from sfumato.errors import SfumatoError, UsageError

XL = "DeepFloyd/IF-I-XL-v1.0"
HALF = "unet/diffusion_pytorch_model.fp16.safetensors"
OTHER = "f" * 40


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache, and no network."""
    folder = use_cache(monkeypatch, tmp_path / "huggingface")
    point_to(monkeypatch, "http://127.0.0.1:9")
    return folder


@pytest.fixture
def server(monkeypatch):
    """A hub that has stage I and stage II."""
    with serving(monkeypatch, {XL: pipeline(), "DeepFloyd/IF-II-L-v1.0": pipeline()}) as there:
        yield there


def line_of(error) -> str:
    """What is said, which must be one line."""
    line = str(error.value)
    assert "\n" not in line
    return line


# The catalogue


def test_the_catalogue_is_consistent():
    models = hub_models()
    assert list(models) == [
        "deepfloyd",
        "deepfloyd/L",
        "deepfloyd/M",
        "deepfloyd/256",
        "deepfloyd/256-M",
        "deepfloyd/1024",
    ]
    for name, model in models.items():
        assert model.name == name
        assert model.summary
        assert model.needs
        assert model.licence
        assert model.licence_url.startswith("https://huggingface.co/")
        assert model.larger is None or model.larger in models
        assert model.text is None or models[model.text].text is None
        assert model.text is None or models[model.text].encoder == model.encoder
        assert (model.steps, model.guidance) in {(40, 7.0), (30, 4.0), (40, 9.0)}
        assert model.gated == model.repo.startswith("DeepFloyd/")
        # Two bytes a parameter in float16.
        assert model.unet_gigabytes == pytest.approx(2 * model.parameters / 1e9, abs=0.01)


def test_stages_lead_to_larger_ones():
    models = hub_models()
    assert [models[name].larger for name in models] == [
        "deepfloyd/256",
        "deepfloyd/256",
        "deepfloyd/256-M",
        "deepfloyd/1024",
        "deepfloyd/1024",
        None,
    ]


@pytest.mark.parametrize(
    ("name", "dtype", "text", "size"),
    [
        ("deepfloyd", "float16", True, 18.13),
        ("deepfloyd", "float16", False, 8.61),
        ("deepfloyd", "float32", True, 36.26),
        ("deepfloyd/256", "float16", True, 2.37),  # its text encoder is that of stage I
        ("deepfloyd/1024", "float16", True, 3.48),  # has no files in float16
        ("deepfloyd/1024", "float32", True, 3.48),
    ],
)
def test_what_is_downloaded_has_a_size(name, dtype, text, size):
    assert hub_models()[name].gigabytes(dtype, text=text) == pytest.approx(size)


def test_a_reference_is_a_name_or_a_repository():
    assert reference("deepfloyd").repo == XL
    assert reference("digits") is None
    assert reference("") is None
    other = reference("hf:someone/some.thing-1@refs/pr/2")
    assert (other.name, other.repo, other.revision) == (
        "hf:someone/some.thing-1@refs/pr/2",
        "someone/some.thing-1",
        "refs/pr/2",
    )
    assert (other.gated, other.gigabytes(), other.steps, other.licence) == (None, None, None, None)


def test_a_known_repository_keeps_what_is_known_of_it():
    model = reference("hf:DeepFloyd/IF-II-L-v1.0@v1")
    assert (model.name, model.revision, model.text) == ("hf:DeepFloyd/IF-II-L-v1.0@v1", "v1", "deepfloyd")


NO_REPOSITORY = "|gpt2|a/b/c|a/..|../b|a/b@|a/b@../c|a--b/c|a/b.git|a b/c|a/b.|/b|a/|ä/b|a/b\n|a/" + "b" * 97


@pytest.mark.parametrize("rest", NO_REPOSITORY.split("|"))
def test_a_reference_that_is_none_is_one_line(rest):
    with pytest.raises(UsageError) as error:
        reference(f"hf:{rest}")
    assert "write hf:OWNER/REPO or hf:OWNER/REPO@REVISION" in line_of(error)


def test_the_hub_is_imported_only_when_needed():
    code = (
        "import sys, sfumato.backends.hub as hub; hub.reference('deepfloyd');"
        "sys.exit(bool({'huggingface_hub', 'diffusers', 'transformers', 'torch'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# Files of weights


@pytest.mark.parametrize(
    ("name", "which"),
    [
        ("unet/diffusion_pytorch_model.safetensors", ""),
        ("unet/diffusion_pytorch_model.fp16.safetensors", "fp16"),
        ("text_encoder/model-00001-of-00002.safetensors", ""),
        ("text_encoder/model.fp16-00001-of-00002.safetensors", "fp16"),
        ("text_encoder/model-00001-of-00002.fp16.safetensors", "fp16"),
        ("model.safetensors.index.fp16.json", "fp16"),
        ("model.fp16.safetensors.index.json", "fp16"),
        ("model.safetensors.index.json", ""),
        ("diffusion_pytorch_model.non_ema.safetensors", "non_ema"),
    ],
)
def test_the_variant_is_in_the_name(name, which):
    assert variant(name) == which


def test_half_precision_is_selected_and_no_pickle_ever():
    names = select(pipeline())
    assert names == [
        "model_index.json",
        "scheduler/scheduler_config.json",
        "text_encoder/config.json",
        "tokenizer/spiece.model",
        "tokenizer/tokenizer_config.json",
        "unet/config.json",
        "text_encoder/model.fp16-00001-of-00002.safetensors",
        "text_encoder/model.fp16-00002-of-00002.safetensors",
        HALF,
        "text_encoder/model.safetensors.index.fp16.json",
    ]


def test_other_selections():
    assert not any("text_encoder" in name for name in select(pipeline(), text=False))
    full = select(pipeline(), "float32")
    assert not any("fp16" in name for name in full)
    assert "text_encoder/model.safetensors.index.json" in full
    # Without files in float16 there are those in float32.
    assert "unet/diffusion_pytorch_model.safetensors" in select(pipeline(half=False))
    assert select(["unet/model.non_ema.safetensors", "unet/config.json"])[-1] == "unet/model.non_ema.safetensors"


def test_a_repository_that_is_no_pipeline_has_its_weights_on_top():
    files = [
        "config.json",
        "diffusion_pytorch_model.safetensors",
        "diffusion_pytorch_model.bin",
        "README.md",
        "a/b/c.json",
    ]
    assert select(files) == ["config.json", "diffusion_pytorch_model.safetensors"]


def test_weights_are_whole_when_all_shards_and_their_index_are_there(cache):
    folder = cached(cache, XL, pipeline())
    text = folder / "text_encoder"
    assert variants(text) == ["", "fp16"]
    assert variants(folder / "unet") == ["", "fp16"]
    assert variants(folder / "nothing") == []
    assert missing(folder) == []
    (text / "model.fp16-00002-of-00002.safetensors").unlink()
    assert variants(text) == [""]
    (text / "model.safetensors.index.json").unlink()
    assert variants(text) == []
    assert missing(folder) == []  # prompts may come from elsewhere


def test_what_a_model_lacks_is_told(cache):
    folder = cached(cache, XL, {name: data for name, data in pipeline().items() if not name.endswith(".safetensors")})
    assert missing(folder) == ["unet"]
    (folder / "scheduler" / "scheduler_config.json").unlink()
    (folder / "scheduler").rmdir()
    assert missing(folder) == ["unet", "scheduler"]
    for damaged in (b"{", b"[]", b'{"unet": []}', b"\xff"):
        (folder / "model_index.json").write_bytes(damaged)
        assert missing(folder) == ["model_index.json"]
    (folder / "model_index.json").unlink()
    assert missing(folder) == ["weights"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty"),
        (b"abc", "is no safetensors file"),
        (b"PK" * 200, "is no safetensors file"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a pointer of Git LFS, not the weights"),
        (safetensors()[:20], "is cut short: it ends in its header"),
        (safetensors()[:-1], "is cut short: "),
        (safetensors() + b"x", "is damaged: 1 bytes too many"),
        ((2).to_bytes(8, "little") + b"{]", "has a damaged header"),
        ((7).to_bytes(8, "little") + b'{"a":1}', "has a damaged header"),
        ((7).to_bytes(8, "little") + b'["a",1]', "is no safetensors file"),
    ],
)
def test_a_damaged_file_is_one_line(tmp_path, data, said):
    path = tmp_path / "x.safetensors"
    path.write_bytes(data)
    with pytest.raises(SfumatoError) as error:
        check_safetensors(path, "get it again: sfumato models pull x")
    line = line_of(error)
    assert line.startswith(f"{path} {said}")
    assert line.endswith("; get it again: sfumato models pull x")


def test_a_whole_file_is_said_nothing_of(tmp_path):
    path = tmp_path / "x.safetensors"
    for data in (safetensors(), safetensors(0), (2).to_bytes(8, "little") + b"{}"):
        path.write_bytes(data)
        check_safetensors(path)


def test_a_large_file_is_checked_by_its_length_alone(tmp_path):
    path = tmp_path / "x.safetensors"
    header = json.dumps({"w": {"dtype": "F16", "shape": [200_000_000], "data_offsets": [0, 400_000_000]}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    os.truncate(path, 120_000_000)  # sparse: it takes no room
    with pytest.raises(SfumatoError, match="is cut short: 120 of 400 MB; get it again"):
        check_safetensors(path)
    os.truncate(path, 8 + len(header) + 400_000_000)
    check_safetensors(path)


def test_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(SfumatoError, match=r"cannot read .*x\.safetensors: No such file"):
        check_safetensors(tmp_path / "x.safetensors")


def test_all_weights_of_a_folder_are_checked(cache):
    folder = cached(cache, XL, pipeline())
    check_weights(folder)
    (folder / HALF).write_bytes(safetensors(40)[:-5])
    with pytest.raises(SfumatoError, match="is cut short"):
        check_weights(folder)
    with pytest.raises(SfumatoError, match="is cut short"):
        check_weights(folder / "unet")
    (folder / "text_encoder" / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(SfumatoError, match=r"text_encoder lacks model-00002-of-00002\.safetensors; get it again"):
        check_weights(folder)
    (folder / "text_encoder" / "model.safetensors.index.fp16.json").write_bytes(b"{}")
    with pytest.raises(SfumatoError, match=r"index\.fp16\.json is damaged"):
        check_weights(folder)
    check_weights(folder / "nothing")


# On this machine


def test_a_model_that_is_not_here_is_one_line():
    with pytest.raises(SfumatoError) as error:
        snapshot(hub_models()["deepfloyd"])
    assert line_of(error) == (
        "model deepfloyd is not on this machine; accept its licence at https://huggingface.co/DeepFloyd/IF-I-XL-v1.0, "
        "then: hf auth login, then: sfumato models pull deepfloyd (18.1 GB)"
    )
    with pytest.raises(SfumatoError) as error:
        snapshot(hub_models()["deepfloyd/1024"])
    assert line_of(error) == (
        "model deepfloyd/1024 is not on this machine; get it: sfumato models pull deepfloyd/1024 (3.5 GB)"
    )
    with pytest.raises(SfumatoError, match=r"get it: sfumato models pull hf:a/b$"):
        snapshot(reference("hf:a/b"))


def test_the_newest_snapshot_is_found(cache):
    model = hub_models()["deepfloyd"]
    cached(cache, XL, pipeline(), commit=OTHER)
    newest = cached(cache, XL, pipeline())
    assert snapshot(model) == newest
    assert is_here(model)
    assert snapshot(reference(f"hf:{XL}@{OTHER}")).name == OTHER
    with pytest.raises(SfumatoError, match="not on this machine"):
        snapshot(reference(f"hf:{XL}@v2"))
    bare = cached(cache, "a/b", {"config.json": b"{}", "diffusion_pytorch_model.safetensors": safetensors()})
    assert snapshot(reference("hf:a/b")) == bare


def test_a_snapshot_that_is_not_whole_is_told(cache):
    folder = cached(cache, XL, pipeline())
    for name in (HALF, "unet/diffusion_pytorch_model.safetensors"):
        (folder / name).unlink()
    with pytest.raises(SfumatoError) as error:
        snapshot(hub_models()["deepfloyd"])
    line = line_of(error)
    assert line.startswith("model deepfloyd is not whole: unet missing in ")
    assert line.endswith("; get the rest: sfumato models pull deepfloyd")
    assert not is_here(hub_models()["deepfloyd"])


def test_stages_share_one_text_encoder(cache):
    models = hub_models()
    cached(cache, models["deepfloyd/256"].repo, pipeline(text=False))
    with pytest.raises(SfumatoError) as error:
        text_snapshot(models["deepfloyd/256"])
    assert line_of(error).startswith("the text encoder of model deepfloyd/256 is not on this machine; accept its ")
    assert line_of(error).endswith("sfumato models pull deepfloyd (18.1 GB)")
    medium = cached(cache, models["deepfloyd/M"].repo, pipeline())
    assert text_snapshot(models["deepfloyd/256"]) == medium  # the same as that of stage I, XL
    large = cached(cache, models["deepfloyd"].repo, pipeline())
    assert text_snapshot(models["deepfloyd/256"]) == large
    assert text_snapshot(models["deepfloyd/M"]) == medium
    with pytest.raises(SfumatoError, match="the text encoder of model deepfloyd/1024 is not on this machine"):
        text_snapshot(models["deepfloyd/1024"])
    with pytest.raises(SfumatoError, match="the text encoder of model hf:a/b is not on this machine"):
        text_snapshot(reference("hf:a/b"))


def test_damaged_weights_on_this_machine_are_told(cache):
    folder = cached(cache, XL, pipeline())
    hub.check(hub_models()["deepfloyd"])
    (folder / HALF).write_bytes(safetensors(40)[:-5])
    with pytest.raises(SfumatoError, match=r"is cut short: .*; get it again: sfumato models pull deepfloyd"):
        hub.check(hub_models()["deepfloyd"])


def test_without_the_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    model = hub_models()["deepfloyd"]
    assert find(model) is None
    for use in (snapshot, text_snapshot, pull, listing):
        with pytest.raises(SfumatoError) as error:
            use(model)
        assert line_of(error) == (
            "model deepfloyd needs the package huggingface_hub; get it: pip install 'sfumato[if]'"
        )


def test_a_token_is_found_and_never_made_anew(monkeypatch, tmp_path):
    def network(*_):
        raise AssertionError("this may use the network")

    monkeypatch.setattr(huggingface_hub, "get_token", network)
    assert not hub.has_token()
    token = tmp_path / "huggingface" / "token"
    token.parent.mkdir(exist_ok=True)
    token.write_text(" \n")
    assert not hub.has_token()
    token.write_text("hf_secret\n")
    assert hub.has_token()
    token.unlink()
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert hub.has_token()


# From the hub


def test_a_model_is_pulled_once(server, capfd):
    told_of = []
    model = hub_models()["deepfloyd"]
    folder = pull(model, show=lambda *facts: told_of.append(facts))
    assert snapshot(model) == folder == text_snapshot(model)
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()) == sorted(
        select(pipeline())
    )
    assert (HALF, 0, len(safetensors(40))) in told_of
    assert told_of[-1][1] == told_of[-1][2]
    assert all(done <= total for _, done, total in told_of)
    server.asked.clear()
    assert pull(model) == folder
    assert server.asked == []
    assert capfd.readouterr() == ("", "")  # none of the hub's own bars and warnings
    assert logging.getLogger("huggingface_hub").level != logging.ERROR


def test_a_later_stage_comes_without_text_encoder(server):
    folder = pull(hub_models()["deepfloyd/256"])
    assert not (folder / "text_encoder").exists()
    assert is_here(hub_models()["deepfloyd/256"])


def test_other_files_are_pulled_beside_the_first(server):
    model = hub_models()["deepfloyd"]
    folder = pull(model, text=False)
    assert variants(folder / "text_encoder") == []
    assert pull(model, dtype="float32") == folder
    assert variants(folder / "unet") == ["", "fp16"]
    assert variants(folder / "text_encoder") == [""]


def test_a_pull_that_was_stopped_goes_on(server, monkeypatch):
    model, download = hub_models()["deepfloyd"], huggingface_hub.hf_hub_download

    def stop(repo, name, **rest):
        if name == HALF:
            raise KeyboardInterrupt
        return download(repo, name, **rest)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", stop)
    with pytest.raises(KeyboardInterrupt):
        pull(model)
    assert find(model) is None  # nothing is taken for a model before it is whole
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    server.asked.clear()
    assert missing(pull(model)) == []
    assert server.asked == [HALF, "text_encoder/model.safetensors.index.fp16.json"]


def test_an_update_that_was_stopped_leaves_the_model_as_it_was(server, monkeypatch):
    model = hub_models()["deepfloyd"]
    first = pull(model)
    server.commit = OTHER
    server.repos[XL] = {**pipeline(), HALF: safetensors(44)}

    def stop(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(huggingface_hub, "hf_hub_download", stop)
        with pytest.raises(KeyboardInterrupt):
            pull(model)
    assert snapshot(model) == first
    server.asked.clear()
    assert pull(model).name == OTHER
    assert server.asked == [HALF]  # what is the same is not downloaded again
    assert snapshot(model).name == OTHER


def test_a_damaged_file_is_downloaded_again(server):
    model = hub_models()["deepfloyd"]
    folder = pull(model)
    (folder / HALF).resolve().write_bytes(safetensors(40)[:-5])
    server.asked.clear()
    pull(model)
    assert server.asked == [HALF]
    hub.check(model)


def test_weights_that_arrive_damaged_are_told(server):
    server.repos[XL][HALF] = safetensors(40)[:-5]
    with pytest.raises(SfumatoError, match=r"is cut short: .*; get it again: sfumato models pull deepfloyd"):
        pull(hub_models()["deepfloyd"])


def test_a_revision_is_pulled(server):
    folder = pull(reference(f"hf:{XL}@{COMMIT}"))
    assert snapshot(reference(f"hf:{XL}@{COMMIT}")) == folder
    with pytest.raises(SfumatoError) as error:
        pull(reference(f"hf:{XL}@v9"))
    assert line_of(error) == (
        f"cannot download hf:{XL}@v9: {XL} has no revision v9; name a branch, a tag or a commit of it"
    )


def test_the_hub_says_what_there_is(server):
    found = listing(hub_models()["deepfloyd"])
    assert (found.commit, found.gated, found.licence) == (COMMIT, False, "openrail++")
    assert found.files[HALF] == len(safetensors(40))
    assert server.asked == []


def test_a_licence_must_be_accepted(server, cache):
    for status in (401, 403):
        server.refuses = status, "GatedRepo"
        with pytest.raises(SfumatoError) as error:
            pull(hub_models()["deepfloyd"])
        assert line_of(error) == (
            "cannot download deepfloyd: accept its licence at https://huggingface.co/DeepFloyd/IF-I-XL-v1.0, "
            "then: hf auth login, then: sfumato models pull deepfloyd"
        )
    assert not list(cache.rglob("*.safetensors"))


def test_an_unknown_repository_is_one_line(server):
    with pytest.raises(SfumatoError) as error:
        pull(reference("hf:no/body"))
    assert line_of(error) == (
        "cannot download hf:no/body: the hub has no repository no/body, or it is private; check its name, or log in: "
        "hf auth login"
    )


def test_no_network_is_one_line():
    with pytest.raises(SfumatoError) as error:
        pull(hub_models()["deepfloyd"])
    assert line_of(error) == (
        "cannot download deepfloyd: no answer from the hub (ConnectError); check the network or its proxy, then: "
        "sfumato models pull deepfloyd"
    )


def test_offline_mode_is_one_line(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    for ask in (pull, listing):
        with pytest.raises(SfumatoError) as error:
            ask(hub_models()["deepfloyd"])
        assert line_of(error) == (
            "cannot download deepfloyd: offline mode is on; unset HF_HUB_OFFLINE and TRANSFORMERS_OFFLINE"
        )


def test_a_repository_without_safetensors_is_refused(server):
    server.repos["a/b"] = {"config.json": b"{}", "model.bin": b"pickle"}
    with pytest.raises(SfumatoError, match="a/b has no weights in safetensors files; sfumato loads no pickles"):
        pull(reference("hf:a/b"))


def test_an_unknown_dtype_is_one_line():
    with pytest.raises(UsageError, match="unknown dtype 'int8'; choose one of float16, float32"):
        pull(hub_models()["deepfloyd"], dtype="int8")


def test_a_disk_that_is_too_small_is_told_before_any_download(server, monkeypatch):
    monkeypatch.setattr(hub_pull.shutil, "disk_usage", lambda _: SimpleNamespace(free=100))
    with pytest.raises(SfumatoError) as error:
        pull(hub_models()["deepfloyd"])
    assert line_of(error).startswith("deepfloyd needs 0.0 GB and ")
    assert line_of(error).endswith(" left; make room, or set HF_HOME to a folder on a larger disk")
    assert server.asked == []


def test_room_is_counted_without_what_the_cache_has(server, monkeypatch):
    model = hub_models()["deepfloyd"]
    pull(model)
    server.commit = OTHER
    monkeypatch.setattr(hub_pull.shutil, "disk_usage", lambda _: SimpleNamespace(free=1))
    assert pull(model).name == OTHER


def answer(kind, status: int, said: str | None = None):
    """An exception of the hub's as it is raised for an answer."""
    request = errors.HTTPError.__module__.partition(".")[0]
    http = sys.modules[request]
    response = http.Response(status, request=http.Request("GET", "https://huggingface.co/api"))
    return kind(f"{status} Client Error.\n\nmore\nlines", response=response, server_message=said)


def behind(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            answer(errors.GatedRepoError, 403),
            "accept its licence at https://huggingface.co/DeepFloyd/IF-I-XL-v1.0, then:",
        ),
        (
            answer(errors.RepositoryNotFoundError, 401),
            "the hub has no repository DeepFloyd/IF-I-XL-v1.0, or it is priv",
        ),
        (answer(errors.RevisionNotFoundError, 404), "DeepFloyd/IF-I-XL-v1.0 has no revision main; name a branch"),
        (answer(errors.DisabledRepoError, 403), "DeepFloyd/IF-I-XL-v1.0 has been taken down from the hub"),
        (answer(errors.RemoteEntryNotFoundError, 404), "the hub answers HTTP 404"),
        (answer(errors.HfHubHTTPError, 401), "the hub does not know the token on this machine (HTTP 401); log in anew"),
        (
            answer(errors.HfHubHTTPError, 403, "Please enable access to\ngated repositories"),
            "the hub refuses (HTTP 403: Please enable access to gated repositories); accept its licence at",
        ),
        (answer(errors.HfHubHTTPError, 429), "too many requests to the hub (HTTP 429); try again in some minutes"),
        (answer(errors.HfHubHTTPError, 503), "the hub has a fault of its own (HTTP 503); try again later"),
        (answer(errors.BadRequestError, 400, "bad"), "the hub answers HTTP 400: bad"),
        (
            errors.LocalTokenNotFoundError("no token"),
            "there is no token of the hub on this machine; log in: hf auth login",
        ),
        (errors.OfflineModeIsEnabled("offline"), "offline mode is on; unset HF_HUB_OFFLINE"),
        (errors.LocalEntryNotFoundError("not here"), "no answer from the hub (LocalEntryNotFoundError); check the net"),
        (
            behind(errors.LocalEntryNotFoundError("not here"), answer(errors.HfHubHTTPError, 502)),
            "the hub has a fault of its own (HTTP 502)",
        ),
        (
            behind(errors.DryRunError("not run"), errors.OfflineModeIsEnabled("offline")),
            "offline mode is on; unset HF_HUB_OFFLINE",
        ),
        (ConnectionResetError(errno.ECONNRESET, "reset"), "no answer from the hub (ConnectionResetError)"),
        (TimeoutError("slow"), "no answer from the hub (TimeoutError); check the network or its proxy, then: sfumato"),
        (OSError(errno.ENOSPC, "No space left on device"), "cannot write to CACHE: No space left on device; make room"),
        (
            PermissionError(errno.EACCES, "Permission denied", "x"),
            "cannot write to CACHE: Permission denied; make room",
        ),
        (
            RuntimeError("IO Error: No space left on device (os error 28)"),
            "cannot write to CACHE: No space left on dev",
        ),
        (OSError("Consistency check failed: 1 of 2\nmore"), "Consistency check failed: 1 of 2; try again, whole files"),
        (ValueError(""), "ValueError; try again, whole files are kept: sfumato models pull deepfloyd"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_every_error_of_the_hub_is_one_line_that_says_what_to_do(tmp_path, error, said):
    with pytest.raises(SfumatoError) as caught, told(hub_models()["deepfloyd"], tmp_path):
        raise error
    assert caught.value.exit_code == 1
    assert line_of(caught).startswith(f"cannot download deepfloyd: {said.replace('CACHE', str(tmp_path))}")


@pytest.mark.parametrize("stopped", [KeyboardInterrupt, SystemExit])
def test_a_stop_is_no_error(tmp_path, stopped):
    with pytest.raises(stopped), told(HubModel("a", "b/c"), tmp_path):
        raise stopped


def test_a_meter_does_what_the_hub_asks_of_a_bar():
    said = []
    meter = hub_pull._meter(lambda *facts: said.append(facts), "a", 10)
    with meter(desc="a", total=10, initial=2, unit="B", bar_format="", position=1) as bar:
        bar.update(3)
        bar.update_transfer(3)  # from the network: the same bytes once more
        bar.set_postfix_str("1 MB/s", refresh=False)
        bar.update(9)
    bar.close()
    assert said == [("a", 5, 10), ("a", 10, 10)]
