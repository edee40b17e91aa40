import socket
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
import tiny_models


@pytest.fixture(scope="module")
def offline() -> Iterator[None]:
    """Nothing is downloaded, and without the libraries there is nothing to test."""
    for library in ("diffusers", "transformers", "accelerate", "sentencepiece", "google.protobuf"):
        pytest.importorskip(library)

    def refuse(*args: object) -> None:
        raise AssertionError("this test wants something from the net")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", refuse)
        yield


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Callable[..., Path]:
    """Folders of tiny models, each written once: `tiny("if_stage_one", size=16)`. They are not to be changed."""

    @cache
    def write(kind: str, **options: object) -> Path:
        return getattr(tiny_models, f"write_{kind}")(tmp_path_factory.mktemp(kind), **options)

    return write
