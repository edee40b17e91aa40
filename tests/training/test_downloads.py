"""Downloads: only when a data set was asked for, checked before they are kept, from the first mirror that is right."""

import gzip
from contextlib import ExitStack
from dataclasses import replace

import pytest
from fake_sets import fake_cifar10, fake_idx, fake_svhn, md5, serving, write

from sfumato.errors import SfumatoError, UsageError
from sfumato.training.datasets import NAMES, load_data, load_mnist
from sfumato.training.datasets.downloads import cache_folder, fetch
from sfumato.training.datasets.sources import SOURCES
from sfumato.training.datasets.stored import is_here, pull, read_parts

NOWHERE = "http://127.0.0.1:9/"
"""No server listens there (port 9 is "discard")."""


@pytest.fixture
def mirrors(cache):
    """Starts servers on this machine."""
    with ExitStack() as stack:
        yield lambda files: stack.enter_context(serving(files))


@pytest.fixture
def mnist(known, mirrors):
    """A small MNIST and the server that has it."""
    source, files = fake_idx()
    server = mirrors(files)
    return known(replace(source, mirrors=(server.url,))), server


def kept(cache) -> set[str]:
    """All files in the cache."""
    return {path.name for path in cache.rglob("*") if path.is_file()} if cache.exists() else set()


# What is downloaded, and when


def test_a_split_is_downloaded_once(mnist, cache):
    source, server = mnist
    said: list[str] = []
    data = load_data("mnist", warn=said.append)
    assert len(data) == 12
    assert server.asked == ["train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"]
    assert kept(cache) == set(server.asked)
    assert len(said) == 2
    assert said[0].startswith("downloading MNIST's train-images-idx3-ubyte.gz (0.0 MB) to ")
    assert load_data("mnist").fingerprint == data.fingerprint
    assert len(server.asked) == 2
    assert not is_here(source)
    load_data("mnist", "test")
    assert is_here(source)


@pytest.mark.parametrize("make", [fake_idx, fake_svhn, lambda: fake_cifar10()[:2]])
def test_every_kind_of_set_is_downloaded(known, mirrors, make):
    source, files = make()
    known(replace(source, mirrors=(mirrors(files).url,)))
    assert len(load_data(source.name)) in {10, 12}
    assert len(load_data(source.name, "test")) in {2, 12}


def test_nothing_is_downloaded_when_the_files_are_there(mnist, cache, tmp_path, monkeypatch):
    _, server = mnist
    folder = write(tmp_path / "files", server.files)
    load_data("mnist", folder=folder)
    load_data(str(folder))
    monkeypatch.setenv("SFUMATO_DATA", str(folder))
    load_data("mnist")
    assert server.asked == []
    assert kept(cache) == set()


def test_nothing_is_downloaded_unless_asked_for(offline, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    for name in SOURCES:
        with pytest.raises(UsageError, match="no "):
            load_data(name, folder=empty)
        with pytest.raises(UsageError, match="no "):
            read_parts(SOURCES[name], "train", download=False)
    with pytest.raises(UsageError):
        load_mnist(download=False)
    for other in ("typeset-2", str(empty)):
        with pytest.raises(UsageError):
            load_data(other)
    assert NAMES == ("mnist", "fashion-mnist", "kmnist", "svhn", "cifar10", "typeset")


def test_a_file_that_is_not_the_sets_is_no_reason_to_download(mnist, tmp_path, monkeypatch):
    """It is told, for it may be a mistake that a download would hide."""
    _, server = mnist
    monkeypatch.setenv("SFUMATO_DATA", str(write(tmp_path / "files", {"train-images-idx3-ubyte": b"x"})))
    with pytest.raises(SfumatoError, match="MD5"):
        load_data("mnist")
    assert server.asked == []


# Mirrors


@pytest.mark.parametrize("bad", ["missing", "page", "other", "cut", "nowhere"])
def test_the_next_mirror_is_tried(known, mirrors, bad, cache):
    source, files = fake_idx()
    first, second = mirrors(dict(files)), mirrors(files)
    name = "train-labels-idx1-ubyte.gz"
    first.files = {
        "missing": {},
        "page": dict.fromkeys(files, b"<html>please log in</html>"),
        "other": {**files, name: fake_idx("kmnist")[1][name]},
        "cut": {key: content[:20] for key, content in files.items()},
        "nowhere": files,
    }[bad]
    file = source.files[1]
    assert file.name == name
    path = fetch(replace(source, mirrors=(NOWHERE if bad == "nowhere" else first.url, second.url)), file)
    assert path.read_bytes() == files[name]
    assert first.asked == ([] if bad == "nowhere" else [name])
    assert second.asked == [name]
    assert kept(cache) == {name}


def test_no_mirror_has_it(known, mirrors, cache):
    source, files = fake_idx()
    cut = mirrors({key: content[:40] for key, content in files.items()})
    known(replace(source, mirrors=(NOWHERE, mirrors({}).url, cut.url)))
    with pytest.raises(SfumatoError) as caught:
        load_data("mnist")
    message = str(caught.value)
    assert message.startswith("cannot download MNIST (127.0.0.1: no connection; 127.0.0.1: HTTP 404; 127.0.0.1: a dam")
    assert "--data typeset" in message
    assert "\n" not in message
    assert kept(cache) == set()


def test_a_server_that_unpacks_while_it_sends(mnist):
    """Some say "Content-Encoding: gzip" of a file that is one, and it arrives unpacked."""
    source, server = mnist
    server.headers["Content-Encoding"] = "gzip"
    assert len(load_data("mnist")) == 12
    image = cache_folder(source) / "train-images-idx3-ubyte.gz"
    assert md5(image.read_bytes()) == source.files[0].parts[0].md5


def test_a_server_that_never_ends_is_left(known, mirrors, cache):
    source, files = fake_idx()
    server = mirrors(files)
    server.endless = True
    with pytest.raises(SfumatoError, match="cannot download MNIST"):
        fetch(replace(source, mirrors=(server.url,)), source.files[0])
    assert kept(cache) == set()


def test_a_cache_that_cannot_be_written(mnist, cache):
    cache.write_text("a file where the folder would be")
    with pytest.raises(SfumatoError, match="cannot write to the cache") as caught:
        load_data("mnist")
    assert "\n" not in str(caught.value)


# Pulling


def test_all_files_are_pulled_and_those_there_are_kept(mnist, cache):
    source, server = mnist
    seen: list[tuple[str, int, int]] = []
    load_data("mnist", "test")
    fetched = pull(source, lambda *about: seen.append(about))
    assert [path.name for path in fetched] == ["train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"]
    assert kept(cache) == set(server.files)
    for name in ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"):
        counts = [(done, total) for file, done, total in seen if file == name]
        assert counts == sorted(counts)
        assert counts[-1] == (len(server.files[name]), len(server.files[name]))
    assert pull(source) == []
    assert len(server.asked) == 4


@pytest.mark.parametrize("damage", [lambda content: content[:50], lambda _: gzip.compress(b"another content")])
def test_damaged_files_in_the_cache_are_pulled_again(mnist, cache, damage):
    source, server = mnist
    pull(source)
    path = cache_folder(source) / "train-images-idx3-ubyte.gz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(SfumatoError):
        load_data("mnist")
    assert pull(source) == [path]
    assert path.read_bytes() == server.files[path.name]
    assert len(load_data("mnist")) == 12


# The real ones


@pytest.mark.network
@pytest.mark.parametrize(
    ("name", "file", "mirror"),
    [(name, file.name, mirror) for name, s in SOURCES.items() for file in s.files for mirror in s.mirrors],
)
def test_a_real_file_has_the_checksums_of_the_list(cache, name, file, mirror):
    """Both: of the file as it is published (mirrors of MNIST pack anew), and of what it holds."""
    from sfumato.training.datasets.unpack import unpack

    source = SOURCES[name]
    (wanted,) = (one for one in source.files if one.name == file)
    path = fetch(replace(source, mirrors=(mirror,)), wanted)
    only_content = replace(wanted, md5="")
    contents = unpack(path, source, only_content, wanted.parts)
    assert [len(content) for content in contents] == [part.size for part in wanted.parts]
    if name != "mnist":
        assert md5(path.read_bytes()) == wanted.md5
        assert path.stat().st_size == wanted.size


@pytest.mark.network
@pytest.mark.parametrize("name", SOURCES)
def test_a_real_set_has_its_pictures(cache, name):
    for split, count in SOURCES[name].pictures.items():
        data = load_data(name, split)
        assert data.shape == SOURCES[name].shape
        assert len(data) == count
        assert len(data.labels.unique()) == 10
