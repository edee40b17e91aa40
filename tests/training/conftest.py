import pytest

from sfumato.training.datasets import downloads
from sfumato.training.datasets.sources import SOURCES


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache of downloads, and nothing else where data sets are looked for."""
    monkeypatch.setattr(downloads, "user_cache_path", lambda _: tmp_path / "cache")
    monkeypatch.delenv("SFUMATO_DATA", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path / "cache"


@pytest.fixture
def offline(cache, monkeypatch):
    """A machine on which every download is a failure of the test."""

    def refuse(*_args, **_options):
        raise AssertionError("a download was begun")

    monkeypatch.setattr(downloads, "fetch", refuse)
    monkeypatch.setattr("sfumato.training.datasets.stored.fetch", refuse)
    return cache


@pytest.fixture
def known(monkeypatch):
    """Puts a data set in the place of the real one of its name."""

    def put(source):
        monkeypatch.setitem(SOURCES, source.name, source)
        return source

    return put
