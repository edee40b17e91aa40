"""A studio without its processes, for tests of requests: real store, routes and guard, and nobody at the queue."""

from __future__ import annotations

import io
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, PngImagePlugin
from starlette.testclient import TestClient

# The server imports these in threads, and to import with checked annotations in two threads at once breaks Python 3.11.
import sfumato.app.batch_jobs
import sfumato.app.cli
import sfumato.app.cli.making
import sfumato.app.foreign
import sfumato.app.output
import sfumato.app.run
import sfumato.backends.hub
import sfumato.backends.registry
import sfumato.evaluation.judges
import sfumato.training.datasets.stored
import sfumato.training.recipe  # noqa: F401
from sfumato.app.studio import decoding
from sfumato.app.studio.events import Events
from sfumato.app.studio.listening import listening_at
from sfumato.app.studio.models import Models
from sfumato.app.studio.reader import Read, Reader
from sfumato.app.studio.records import Made, Run
from sfumato.app.studio.routes import Parts
from sfumato.app.studio.server import Settings, make_app, make_server
from sfumato.app.studio.store import Store
from sfumato.app.studio.supervisor import Supervisor
from sfumato.errors import UsageError

PORT = 7860
BASE = f"http://127.0.0.1:{PORT}"
CHANGES = {"X-Sfumato": "1"}


class Idle(Supervisor):
    """Queues, and does nothing."""

    def start(self) -> None:
        self.store.recover()
        self.computes_on = "cpu"

    def stop(self) -> None:
        pass

    def wake(self) -> None:
        pass


class Direct(Reader):
    """Reads in this process."""

    def start(self) -> None:
        pass

    def close(self) -> None:
        pass

    def read(self, data: bytes, name: str) -> Read:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "upload"
            path.write_bytes(data)
            facts, png = decoding.answer(path)
        if png is None:
            raise UsageError(f"cannot read the picture {name}: {facts['error']}")
        return Read(png, facts["width"], facts["height"], facts["mode"], facts["job"], facts["parameters"])


@dataclass
class Served:
    """A studio and a client that is let in."""

    parts: Parts
    client: TestClient

    @property
    def folder(self) -> Path:
        return self.parts.store.folder

    def get(self, path: str, **options):
        return self.client.get(path, **options)

    def post(self, path: str, data: object = None, **headers: str):
        return self.client.post(path, json=data, headers={**CHANGES, **headers})

    def delete(self, path: str):
        return self.client.delete(path, headers=CHANGES)

    def bring(self, image: Image.Image | bytes, name: str = "drawing.png"):
        """An upload; the answer."""
        data = image if isinstance(image, bytes) else png(image)
        return self.client.post("/api/uploads", params={"name": name}, content=data, headers=CHANGES)

    def upload(self, image: Image.Image | bytes, name: str = "drawing.png") -> str:
        """The id of an upload."""
        answer = self.bring(image, name)
        assert answer.status_code == 201, answer.text
        return answer.json()["id"]

    def job(self, **fields: object) -> dict:
        """The one job of a run that is asked for by these fields."""
        (job,) = self.jobs(**fields)
        return job

    def jobs(self, count: int = 1, **fields: object) -> list[dict]:
        """The jobs of a run that is asked for by these fields."""
        answer = self.post("/api/runs", {"job": fields, "count": count})
        assert answer.status_code == 202, answer.text
        run = self.parts.store.run(answer.json()["id"])
        assert run is not None
        return list(run.order["jobs"])

    def finish(self, run: int, names: tuple[str, ...] = ("a.png",)) -> Run:
        """Let a run have made pictures."""
        for seed, name in enumerate(names):
            (self.folder / "pictures" / name).write_bytes(png(Image.new("L", (28, 28), 80 + seed)))
            job = {"kind": "generate", "prompt": "3", "seed": seed}
            made = Made(run, name, job, "generate", "3", "sfumato generate 3", "3\nSteps: 20", 28, 28, ())
            self.parts.store.add_picture(made, "digits")
        return self.parts.store.change(run, state="done")


@contextmanager
def serving(folder: Path, *, token: str | None = None, host: str = "127.0.0.1", base: str = BASE, reader=None):
    """A studio in a folder."""
    store, events = Store(folder), Events()
    parts = Parts(store, events, Idle(store, events, folder), reader or Direct(), _models(folder))
    app = make_app(Settings(folder, host=host, port=PORT, token=token), parts)
    with TestClient(app, base_url=base, follow_redirects=False) as client:
        yield Served(parts, client)
    _settle()


def _models(folder: Path) -> Models:
    """Those of a folder, and the bundled ones, which are loaded once for all tests."""
    models = Models(folder / "runs")
    models._loaded, models._rows = _LOADED, _ROWS
    return models


_LOADED: dict = {}
_ROWS: dict = {}


@contextmanager
def listening(folder: Path, *, token: str | None = None):
    """A studio that really listens: its parts, and its port."""
    store, events = Store(folder), Events()
    with listening_at("127.0.0.1", 0) as socket:
        settings = Settings(folder, port=socket.getsockname()[1], token=token)
        parts = Parts(store, events, Idle(store, events, folder), Direct(), _models(folder))
        server = make_server(settings, make_app(settings, parts), events)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]})
        thread.start()
        try:
            while not server.started:
                time.sleep(0.01)
            yield parts, settings.port
        finally:
            server.should_exit = True
            thread.join()
            _settle()


def _settle() -> None:
    """Wait for what the server has begun to import: a test run that ends meanwhile would crash."""
    for thread in threading.enumerate():
        if thread.name == "sfumato-warm-up":
            thread.join()


def text_png(**texts: str) -> bytes:
    """A small picture with texts in it."""
    info = PngImagePlugin.PngInfo()
    for name, text in texts.items():
        info.add_itxt(name, text)
    return png(Image.effect_noise((41, 37), 50), pnginfo=info)


def png(image: Image.Image, **options: object) -> bytes:
    """A picture as a file."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **options)
    return buffer.getvalue()


def line(answer) -> str:
    """The one line of an answer that says no."""
    told = answer.json()
    assert list(told) == ["error"], told
    assert told["error"], "it says what is wrong"
    assert "\n" not in told["error"]
    assert "Traceback" not in answer.text
    return told["error"]
