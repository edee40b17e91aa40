"""The elements as the studio serves them, under its strict policy, and as they stand in a page opened from the disk."""

import base64
import io
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image

from sfumato.app.report.document import document
from sfumato.app.viewer.elements import ELEMENTS, modules

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
SCRIPTS = "".join(f'<script type="module" src="/viewer/{name}.js"></script>' for name in ELEMENTS)
HEAD = (
    '<meta charset="utf-8"><meta name="color-scheme" content="light dark"><title>Viewer</title>'
    f'<link rel="icon" href="data:,"><link rel="stylesheet" href="/page.css">{SCRIPTS}'
)


class Handler(BaseHTTPRequestHandler):
    pages: ClassVar[dict[str, str]] = {"/page.css": "body { background: Canvas; color: CanvasText; }"}

    def do_GET(self):
        content = self.pages.get(self.path) or modules().get(self.path.removeprefix("/viewer/"))
        kind = {"js": "text/javascript", "css": "text/css"}.get(self.path.rpartition(".")[2], "text/html")
        self.send_response(404 if content is None else 200)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Security-Policy", POLICY)
        self.end_headers()
        self.wfile.write((content or "").encode())

    def log_message(self, *_):
        pass


@pytest.fixture(scope="session")
def serve():
    """Puts a body behind an address under the strict policy, with the modules beside it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()

    def put(body: str) -> str:
        path = f"/{len(Handler.pages)}"
        page = f'<!DOCTYPE html><html lang="en"><head>{HEAD}</head><body><main>{body}</main></body></html>'
        Handler.pages[path] = page
        return f"http://127.0.0.1:{server.server_address[1]}{path}"

    yield put
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def on_disk(tmp_path):
    """Puts a body into a page of a report, on the disk."""

    def put(body: str) -> str:
        path = tmp_path / "page.html"
        path.write_text(document("Viewer", f"<main><h1>Viewer</h1>{body}</main>"), encoding="utf-8")
        return path.as_uri()

    return put


@pytest.fixture(scope="session")
def look():
    """The pixels of what is on the screen of a locator, as (h, w, 3)."""

    def at(locator) -> np.ndarray:
        return np.asarray(Image.open(io.BytesIO(locator.screenshot())).convert("RGB")).astype(int)

    return at


@pytest.fixture(scope="session")
def url():
    """An array in [0, 255], (h, w) or (h, w, 3), as a source."""

    def of(values) -> str:
        buffer = io.BytesIO()
        Image.fromarray(np.asarray(values).astype(np.uint8)).save(buffer, "PNG")
        return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"

    return of


@pytest.fixture(scope="session")
def noise():
    """A picture that no view leaves as it is."""

    def of(*shape: int) -> np.ndarray:
        return np.random.default_rng(0).integers(0, 256, shape)

    return of
