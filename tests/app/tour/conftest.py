"""Tours of tiny models of every kind, each made once."""

import pytest
from PIL import Image
from tiny_tours import Tour, load, subject

from sfumato.app.tour.inputs import read_photo
from sfumato.errors import UsageError


@pytest.fixture(scope="session")
def digits(tmp_path_factory) -> Tour:
    return Tour(tmp_path_factory.mktemp("digits"), subject("digits"))


@pytest.fixture(scope="session")
def words(tmp_path_factory) -> Tour:
    folder = tmp_path_factory.mktemp("words")
    path = folder / "mine.png"
    Image.linear_gradient("L").convert("RGB").save(path)
    return Tour(folder, subject("words", own=read_photo(path, load("words").shape)))


@pytest.fixture(scope="session")
def free(tmp_path_factory) -> Tour:
    return Tour(tmp_path_factory.mktemp("free"), subject("digits/time", family=()))


@pytest.fixture(scope="session")
def clothes(tmp_path_factory) -> Tour:
    return Tour(tmp_path_factory.mktemp("clothes"), subject("clothes"))


@pytest.fixture(scope="session")
def denoiser(tmp_path_factory) -> Tour:
    return Tour(tmp_path_factory.mktemp("denoiser"), subject("digits/denoiser"))


@pytest.fixture(scope="session")
def both(tmp_path_factory) -> Tour:
    return Tour(tmp_path_factory.mktemp("both"), subject("words"), scratch=subject("digits"))


@pytest.fixture
def refused():
    """Whether a call is refused as a usage error, with its line."""

    def told(call, *arguments, **options) -> str:
        with pytest.raises(UsageError) as error:
            call(*arguments, **options)
        return str(error.value)

    return told
