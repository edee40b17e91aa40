"""Data sets of a few pictures with the names and forms of real ones, and a server on this machine that has them."""

import gzip
import hashlib
import io
import struct
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np

from sfumato.training.datasets.sources import CIFAR10, SOURCES, SVHN, Download, Part, Source


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def _download(file: Download, packed: bytes, contents: dict[str, bytes]) -> Download:
    """The description of a file that holds these contents."""
    parts = tuple(Part(name, md5(content), len(content)) for name, content in contents.items())
    return replace(file, md5=md5(packed), size=len(packed), parts=parts)


def fake_idx(name: str = "mnist", n: int = 12) -> tuple[Source, dict[str, bytes]]:
    """A set in MNIST's format, and its files as they are published. The labels count 0, 1, 2, …; each set differs."""
    source = SOURCES[name]
    rng = np.random.default_rng(len(name))
    files, published = [], {}
    for file in source.files:
        part = file.parts[0].name
        pictures = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        labels = ((np.arange(n) + len(name)) % 10).astype(np.uint8)
        content = idx(pictures if "images" in part else labels)
        published[file.name] = gzip.compress(content, mtime=0)
        files.append(_download(file, published[file.name], {part: content}))
    return replace(source, files=tuple(files)), published


def records(labels: list[int], seed: int) -> bytes:
    """A batch of CIFAR-10's binary version."""
    rng = np.random.default_rng(seed)
    return b"".join(bytes([label]) + rng.integers(0, 256, 3072, dtype=np.uint8).tobytes() for label in labels)


def tar_gz(members: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def fake_cifar10() -> tuple[Source, dict[str, bytes], dict[str, bytes]]:
    """CIFAR-10 with two pictures a batch, labelled 0, 1, 2, … in order; its archive, and what is in that."""
    (file,) = CIFAR10.files
    batches = {part.name: records([2 * k % 10, (2 * k + 1) % 10], seed=k) for k, part in enumerate(file.parts)}
    meta = {f"{file.folder}/batches.meta.txt": "\n".join(CIFAR10.classes).encode()}
    packed = tar_gz({**meta, **{f"{file.folder}/{name}": content for name, content in batches.items()}})
    return replace(CIFAR10, files=(_download(file, packed, batches),)), {file.name: packed}, batches


def mat(**arrays: np.ndarray) -> bytes:
    """A MATLAB file of level 5, packed as SVHN's are."""
    from scipy.io import savemat

    file = io.BytesIO()
    savemat(file, arrays, do_compression=True)
    return file.getvalue()


def fake_svhn() -> tuple[Source, dict[str, bytes]]:
    """SVHN with twelve pictures a split, labelled 1, 2, … 10, 1, 2."""
    rng = np.random.default_rng(0)
    labels = (np.arange(12) % 10 + 1).astype(np.uint8)[:, None]
    published = {
        file.name: mat(X=rng.integers(0, 256, (32, 32, 3, 12), dtype=np.uint8), y=labels) for file in SVHN.files
    }
    files = tuple(_download(file, published[file.name], {file.name: published[file.name]}) for file in SVHN.files)
    return replace(SVHN, files=files), published


def write(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


class Server:
    """What a mirror has, and what it was asked for."""

    def __init__(self, url: str, files: dict[str, bytes]) -> None:
        self.url, self.files = url, files
        self.asked: list[str] = []
        self.headers: dict[str, str] = {}
        """Sent with each file."""
        self.endless = False
        """Whether to send zeros for ever."""


@contextmanager
def serving(files: dict[str, bytes]) -> Iterator[Server]:
    """A mirror on this machine."""
    state = Server("", files)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.rpartition("/")[2]
            state.asked.append(name)
            if name not in state.files:
                self.send_error(404)
                return
            content = state.files[name]
            self.send_response(200)
            for key, value in state.headers.items():
                self.send_header(key, value)
            if not state.endless:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            while state.endless:
                self.wfile.write(bytes(2**16))

        def log_message(self, *_: object) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            pass  # a client that goes away

    with Quiet(("127.0.0.1", 0), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_address[1]}/sets/"
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()
