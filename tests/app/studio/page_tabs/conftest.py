"""Fixtures of the tests of tabs: a server without a studio behind it, and a page that is open at one of its tabs."""

from collections.abc import Callable, Iterator

import pytest
from fake_api import FakeStudio


@pytest.fixture
def fake() -> Iterator[FakeStudio]:
    """A server of its own for each test."""
    with FakeStudio() as studio:
        yield studio


@pytest.fixture
def open_tab(fake, page_of) -> Callable:
    """Opens the page: `page = open_tab("anagram", color_scheme="dark")`; the tab is there when this returns."""

    def open_page(tab: str, **options):
        page = page_of(**{"viewport": {"width": 1280, "height": 900}, "reduced_motion": "reduce", **options})
        page.set_default_timeout(8000)
        page.goto(f"{fake.url}/#{tab}")
        page.locator(f".tab-{tab}").wait_for()
        return page

    return open_page


@pytest.fixture
def modules(fake, page_of) -> Callable:
    """Evaluates a function of a module of the page: `modules("views.js", "(m, side) => …", 28)`."""
    page = page_of()
    page.goto(f"{fake.url}/")

    def evaluate(module: str, function: str, argument: object = None):
        code = f"async ([path, argument]) => ({function})(await import(path), argument)"
        return page.evaluate(code, [f"/static/modules/{module}", argument])

    return evaluate
