"""The page in a browser: it reacts, is read by everybody, fits a phone, and stands without a script."""

import pytest


@pytest.fixture
def opened(page_of, digits):
    """Opens the page of the tiny tour of digits."""

    def at(tour=digits, **options):
        page = page_of(**options)
        page.goto(tour.result.report.as_uri())
        return page

    return at


def ready(page, name):
    """The first element of this name, once it has built itself."""
    element = page.locator(f"sf-{name}").first
    element.scroll_into_view_if_needed()
    element.locator("[role=slider], input[type=range]").first.wait_for()
    return element


def test_every_interactive_figure_reacts(opened):
    page = opened(viewport={"width": 1280, "height": 900})

    steps = ready(page, "steps")
    range_ = steps.locator("input[type=range]")
    last = range_.get_attribute("aria-valuetext")
    range_.press("Home")
    first = range_.get_attribute("aria-valuetext")
    assert "t = 207" in first
    assert first != last

    turn = ready(page, "turn")
    stage = turn.locator("[role=slider]")
    before = stage.get_attribute("aria-valuetext")
    stage.press("End")
    page.wait_for_function(
        "([node, text]) => node.getAttribute('aria-valuetext') !== text", arg=[stage.element_handle(), before]
    )

    distance = ready(page, "distance")
    assert distance.evaluate("node => node.distance") == pytest.approx(1)
    distance.locator("input[type=range]").press("End")
    assert distance.evaluate("node => node.distance") > 4

    compare = ready(page, "compare")
    compare.locator("[role=slider]").press("End")
    assert compare.evaluate("node => node.share") == pytest.approx(1)


def test_every_kind_of_model_gives_a_page_that_works(opened, words, free, clothes, denoiser):
    for tour in (words, free, clothes, denoiser):
        page = opened(tour, viewport={"width": 1280, "height": 900})
        figures = page.locator("figure.live")
        for k in range(figures.count()):
            figures.nth(k).scroll_into_view_if_needed()
        assert page.locator("sf-steps, sf-turn, sf-distance, sf-compare").evaluate_all(
            "all => all.every(node => node.shadowRoot?.querySelector('.problem') === null)"
        )


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_serious_to_axe(opened, scheme, width):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = opened(viewport={"width": width, "height": 900}, color_scheme=scheme)
    ready(page, "turn")
    found = axe.run(page).response["violations"]
    grave = [(one["id"], one["nodes"][0]["html"][:200]) for one in found if one["impact"] in {"serious", "critical"}]
    assert grave == []


@pytest.mark.parametrize("width", [360, 390, 1280])
def test_a_page_is_as_wide_as_the_screen(opened, words, digits, width):
    for tour in (digits, words):
        page = opened(tour, viewport={"width": width, "height": 800})
        ready(page, "turn")
        assert page.evaluate("document.documentElement.scrollWidth") == width


def test_the_page_is_read_without_a_script(opened):
    page = opened(java_script_enabled=False, viewport={"width": 1280, "height": 900})
    stills = page.locator("figure.live img")
    assert stills.count() >= 10
    for k in range(stills.count()):
        box = stills.nth(k).bounding_box()
        assert box["width"] > 10
        assert box["height"] > 10


def test_nothing_moves_for_who_would_rather_have_it_so(opened):
    def shown(**options) -> list[str]:
        page = opened(**options)
        images = page.locator("picture img")
        assert images.count() == 3
        for k in range(3):
            images.nth(k).scroll_into_view_if_needed()
        return images.evaluate_all("all => all.map(image => image.currentSrc.slice(0, 14))")

    assert shown(reduced_motion="reduce") == ["data:image/png"] * 3
    assert shown(reduced_motion="no-preference") == ["data:image/gif"] * 3


def test_a_printed_page_is_dark_on_light_and_shows_all_commands(opened):
    page = opened(viewport={"width": 800, "height": 1000}, color_scheme="dark")
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth") == 800
    ink = page.evaluate("getComputedStyle(document.querySelector('main p')).color")
    assert max(map(int, ink.removeprefix("rgb(").removesuffix(")").split(","))) < 100
    command = page.locator("details pre").first
    assert command.bounding_box()["height"] > 10


def test_the_contents_lead_to_the_rows(opened):
    page = opened(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    page.locator("nav a", has_text="Hybrid images").click()
    heading = page.locator("[id='A1.9'] h3")
    page.wait_for_function("scrollY > 1000")
    assert 0 <= heading.bounding_box()["y"] < 400
