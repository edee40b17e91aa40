"""`sfumato data`: what there is, said as it is, and downloads of what was asked for."""

import io
import json
import sys
from dataclasses import replace

import pytest
from fake_sets import fake_cifar10, fake_idx, serving, write
from PIL import Image

from sfumato.app.cli import common
from sfumato.training.datasets import NAMES, downloads
from sfumato.training.datasets.sources import SOURCES


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache of downloads."""
    monkeypatch.setattr(downloads, "user_cache_path", lambda _: tmp_path / "cache")
    monkeypatch.delenv("SFUMATO_DATA", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path / "cache"


@pytest.fixture
def mnist(monkeypatch):
    """A small MNIST and the server that has it."""
    source, contents = fake_idx()
    with serving(contents) as server:
        monkeypatch.setitem(SOURCES, "mnist", replace(source, mirrors=(server.url,)))
        yield server


# List


def test_every_name_is_listed(sfumato):
    done = sfumato("data", "list")
    lines = {line.split()[0]: line for line in done.out.splitlines()}
    assert (done.code, done.err) == (0, "")
    assert tuple(lines) == (*NAMES, "FOLDER")
    assert lines["cifar10"].endswith("32×32, colour, 10 classes; 170.1 MB, downloaded when first asked for")
    assert "non-commercial" in lines["svhn"]
    assert "no download" in lines["typeset"]


def test_the_list_as_json(sfumato):
    rows = {row["name"]: row for row in json.loads(sfumato("data", "list", "--json").out)}
    assert rows["fashion-mnist"]["classes"][0] == "T-shirt/top"
    assert rows["svhn"]["shape"] == [3, 32, 32]
    assert rows["svhn"]["pictures"] == {"train": 73_257, "test": 26_032}
    assert rows["kmnist"]["download_megabytes"] == 21.2
    assert not any(rows[name]["here"] for name in SOURCES)


def test_what_is_on_this_machine_is_said(sfumato, mnist, tmp_path, monkeypatch):
    write(tmp_path / "shared" / "mnist", mnist.files)
    source, contents, _ = fake_cifar10()
    monkeypatch.setitem(SOURCES, "cifar10", source)
    write(tmp_path / "shared", contents)
    monkeypatch.setenv("SFUMATO_DATA", str(tmp_path / "shared"))
    lines = sfumato("data", "list").out.splitlines()
    here = {line.split()[0] for line in lines if line.endswith("; on this machine")}
    assert here == {"mnist", "cifar10"}
    assert mnist.asked == []  # a list downloads nothing


# Pull


def test_a_set_is_pulled_once(sfumato, mnist, cache):
    first = sfumato("data", "pull", "mnist")
    assert first.code == 0
    assert first.err.splitlines() == [f"{name}: 0.0 MB" for name in mnist.files]
    assert first.out == f"mnist: 4 downloaded, 0 already there, all checked; in {cache / 'mnist'}\n"
    assert sorted(path.name for path in (cache / "mnist").iterdir()) == sorted(mnist.files)
    again = sfumato("data", "pull", "mnist")
    assert again.out == f"mnist: 0 downloaded, 4 already there, all checked; in {cache / 'mnist'}\n"
    assert again.err == ""
    assert len(mnist.asked) == 4


def test_pulled_data_are_trained_on(sfumato, mnist, tmp_path):
    sfumato("data", "pull", "mnist")
    mnist.files = {}
    few = ("--set", "steps=1", "--set", "width=4", "--set", "size=32", "--set", "sample_steps=2")
    done = sfumato("train", "class", "--data", "mnist", *few, "-o", tmp_path / "run", "--json")
    assert done.code == 0, done.err
    assert json.loads((tmp_path / "run" / "recipe.json").read_text())["size"] == 32
    assert "downloading" not in done.err


def test_pull_as_json_and_quietly(sfumato, mnist, cache):
    done = sfumato("data", "pull", "mnist", "--json")
    assert json.loads(done.out) == {"name": "mnist", "folder": str(cache / "mnist"), "downloaded": list(mnist.files)}
    assert done.err == ""
    quiet = sfumato("data", "pull", "mnist", "--quiet")
    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("typeset", 2, "there is nothing to download"),
        ("imagenet", 2, "choose one of mnist, fashion-mnist, kmnist, svhn, cifar10"),
        ("", 2, "unknown data set ''"),
        ("../mnist", 2, "unknown data set"),
    ],
)
def test_what_cannot_be_pulled_is_one_line(sfumato, cache, name, code, message):
    done = sfumato("data", "pull", name)
    assert done.code == code
    assert len(done.err.splitlines()) == 1
    assert done.err.startswith("error: ")
    assert message in done.err
    assert done.out == ""
    assert not cache.exists()


def test_no_network_is_one_line(sfumato, monkeypatch):
    nowhere = replace(fake_idx("kmnist")[0], mirrors=("http://127.0.0.1:9/",))
    monkeypatch.setitem(SOURCES, "kmnist", nowhere)
    for command in (("data", "pull", "kmnist"), ("train", "class", "--data", "kmnist", "--quiet")):
        done = sfumato(*command)
        assert done.code == 1
        assert len(done.err.splitlines()) == 1
        assert "cannot download KMNIST (127.0.0.1: no connection); give its files with --data FOLDER" in done.err


def test_a_person_sees_one_line_that_counts(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    with common.download_line(silent=False) as show:
        for file, done in (("a.gz", 1), ("a.gz", 2), ("b.gz", 2)):
            show(file, done * 1_000_000, 2_000_000)
    assert sys.stderr.getvalue() == "\ra.gz: 1.0 of 2.0 MB\ra.gz: 2.0 of 2.0 MB\nb.gz: 2.0 of 2.0 MB\n"


# Training in colour


def test_photographs_are_trained_on_in_colour(sfumato, tmp_path):
    photos = tmp_path / "photos"
    for label, colour in (("cat", (200, 30, 0)), ("dog", (0, 30, 200))):
        (photos / label).mkdir(parents=True)
        for k in range(4):
            Image.new("RGB", (80 + k, 70), colour).save(photos / label / f"{k}.jpg")
    (photos / "cat" / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    run = tmp_path / "run"
    few = ("--set", "steps=1", "--set", "width=4", "--set", "sample_steps=2")
    done = sfumato(
        "train", "class", "--data", photos, *few, "--set", "size=64", "--set", "channels=3", "-o", run, "--quiet"
    )
    assert done.code == 0, done.err
    with Image.open(next((run / "samples").iterdir())) as sheet:
        assert sheet.mode == "RGB"
    wrong = sfumato("train", "class", "--data", photos, "--set", "size=50", "-o", tmp_path / "other")
    assert wrong.code == 2
    assert wrong.err == "error: recipe class: size: Input should be a multiple of 4 (given 50)\n"
    assert not (tmp_path / "other").exists()
