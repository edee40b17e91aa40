"""Fixtures of the page's tests: a fake server, a page that is open on it, and the hands of a user."""

import base64
import io
from collections.abc import Callable, Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from fake_studio import Fake, png
from PIL import Image


@pytest.fixture
def fake() -> Iterator[Fake]:
    """A server of its own for each test."""
    server = Fake()
    server.start()
    yield server
    server.close()


@pytest.fixture
def open_studio(fake, page_of) -> Callable:
    """Opens the page: `page = open_studio("edit", viewport=…)`; the tab is ready when this returns."""

    def open_page(tab: str = "generate", **options):
        page = page_of(**{"viewport": {"width": 1280, "height": 900}, **options})
        page.set_default_timeout(15_000)
        page.goto(f"{fake.url}#{tab}")
        page.locator(f"#panel-{tab} .tab-content").wait_for()
        return page

    return open_page


@pytest.fixture(scope="session")
def draw() -> Callable:
    """Draws a line with the mouse through points given as shares of the canvas."""

    def line(page, *points, tab="edit"):
        canvas = page.locator(f"#panel-{tab} canvas.sheet")
        canvas.scroll_into_view_if_needed()
        box = canvas.bounding_box()
        at = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
        page.mouse.move(*at[0])
        page.mouse.down()
        for point in at[1:]:
            page.mouse.move(*point, steps=5)
        page.mouse.up()

    return line


@pytest.fixture(scope="session")
def sheet() -> Callable:
    """What is on a tab's canvas, as a picture in RGBA."""

    def of(page, tab="edit") -> Image.Image:
        url = page.locator(f"#panel-{tab} canvas.sheet").evaluate("canvas => canvas.toDataURL()")
        return Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))).convert("RGBA")

    return of


@pytest.fixture(scope="session")
def drop() -> Callable:
    """Drops a file on the first element of a selector."""

    def onto(page, data: bytes, name: str, selector: str = "main"):
        carried = page.evaluate_handle(
            """([text, name]) => {
              const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
              const carried = new DataTransfer();
              carried.items.add(new File([bytes], name, { type: "image/png" }));
              return carried;
            }""",
            [base64.b64encode(data).decode(), name],
        )
        for event in ("dragenter", "dragover", "drop"):
            page.locator(selector).first.dispatch_event(event, {"dataTransfer": carried})

    return onto


@pytest.fixture(scope="session")
def accessible() -> Callable:
    """Fails on what axe-core calls serious or critical."""

    def check(page):
        found = Axe().run(page).response["violations"]
        bad = [
            (each["id"], each["help"], [node["html"][:200] for node in each["nodes"]])
            for each in found
            if each["impact"] in {"serious", "critical"}
        ]
        assert bad == []

    return check


@pytest.fixture(scope="session")
def job() -> dict:
    """A complete job of a picture of 28×28 pixels."""
    return {
        "kind": "generate",
        "model": "digits",
        "seed": 77,
        "steps": 9,
        "spacing": "trailing",
        "sampler": "ddim",
        "eta": 0.5,
        "variance": "forward",
        "guidance": 3.0,
        "negative": "1",
        "threshold": "static",
        "quantile": 0.95,
        "largest": 1.5,
        "last_step": False,
        "dtype": "float32",
        "larger": [],
        "prompt": "4",
    }


@pytest.fixture(scope="session")
def picture_of() -> Callable:
    """A PNG of a size with a job in it, and the same as a Picture of a Job."""

    def make(size=(28, 28), colour=0, job=None, mode="L") -> bytes:
        return png(Image.new(mode, size, colour), job)

    return make
