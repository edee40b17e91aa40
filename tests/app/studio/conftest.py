import pytest

from sfumato.app.studio.events import Events
from sfumato.app.studio.store import Store


@pytest.fixture
def store(tmp_path):
    """The store of an empty studio."""
    opened = Store(tmp_path / "studio")
    yield opened
    opened.close()


@pytest.fixture
def events():
    return Events()
