"""A Chromium for tests of pages: it may ask nothing of any other host, and its console must stay silent."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
HERE = {"", "127.0.0.1", "localhost"}
"""Hosts that a page of ours may ask: none (a file, data) or this machine."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests with a browser are thorough ones."""
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker("thorough")


@pytest.fixture(scope="module")
def browser():
    """A Chromium, one for the tests of a file: as long as it runs, no other event loop can in this thread."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    with api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


@contextmanager
def watched(browser, **options) -> Iterator:
    """A page whose foreign requests and console errors fail the test at its end; options are those of a context."""
    context = browser.new_context(**options)
    page = context.new_page()
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.allowed_errors = []  # parts of complaints that a test provokes, such as "422"
    yield page
    context.close()
    foreign = [url for url in asked if urlsplit(url).scheme in {"http", "https", "ws", "wss"}]
    assert [url for url in foreign if urlsplit(url).hostname not in HERE] == []
    assert [text for text in said if not any(part in text for part in page.allowed_errors)] == []


@pytest.fixture
def page_of(browser) -> Iterator[Callable]:
    """Opens pages; a call with options of a context (viewport, color_scheme, has_touch, …) gives one."""
    opened = []

    def open_page(**options):
        manager = watched(browser, **options)
        opened.append(manager)
        return manager.__enter__()

    yield open_page
    for manager in reversed(opened):
        manager.__exit__(None, None, None)
