"""The four together: under the strict policy, from the disk, without a script, for everybody."""

import json

import pytest
import torch

from sfumato.app.report.interactive import at_distance, before_after, stepper, turnable

NAMES = ("sf-turn", "sf-distance", "sf-steps", "sf-compare")


@pytest.fixture
def figures(noise):
    pictures = torch.from_numpy(noise(6, 3, 28, 28)).float() / 255
    return "".join(
        (
            turnable(pictures[0], ["identity", "rotate:180"], ["a skull", "a bowl"], "An anagram.", ["right", "wrong"]),
            turnable(pictures[1], ["identity", "flip", "jigsaw", "negate"], list("abcd"), "Four readings."),
            at_distance(pictures[2], "a panda", "flowers", 2, "A hybrid."),
            stepper([pictures[:2], pictures[2:4]], ["t = 9", "t = 0"], ["x_t", "x̂₀"], "Steps."),
            before_after(pictures[4], pictures[5], ("before", "after"), "Filled in."),
        )
    )


@pytest.fixture
def elements(noise, url):
    source, other, strip = url(noise(28, 28, 3)), url(noise(28, 28)), url(noise(8, 24))
    lists = {"views": ["identity", "mirror", "hinge"], "captions": ["a", "b", "c"], "verdicts": ["right", "wrong", ""]}
    said = "".join(f" {name}='{json.dumps(values)}'" for name, values in {**lists, "seen": ["", "", other]}.items())
    return (
        f"<h1>Viewer</h1><sf-turn src='{source}'{said}></sf-turn>"
        f"<sf-distance src='{source}' far='a' near='b' sigma='2' smooth></sf-distance>"
        f"<sf-steps src='{strip}' columns='3' rows='1' labels='[1, 2, 3]'></sf-steps>"
        f"<sf-compare before='{source}' after='{other}'></sf-compare>"
    )


@pytest.fixture(params=["under the strict policy", "from the disk"])
def address(request, serve, on_disk, elements, figures):
    return on_disk(figures) if request.param == "from the disk" else serve(elements)


def ready(page):
    for name in NAMES:
        page.locator(f"{name} [role=slider], {name} input").last.wait_for(timeout=10_000)
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_serious_accessibility_fault(page_of, address, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    page = page_of(color_scheme=scheme, viewport={"width": 900, "height": 900})
    page.goto(address)
    found = axe.Axe().run(ready(page)).response["violations"]
    assert [(each["id"], each["nodes"]) for each in found if each["impact"] in {"serious", "critical"}] == []


@pytest.mark.parametrize("width", [360, 1280])
def test_it_fits(page_of, address, width):
    page = page_of(viewport={"width": width, "height": 800})
    page.goto(address)
    assert ready(page).evaluate("document.documentElement.scrollWidth") <= width
    for picture in page.locator(f"{NAMES[0]} .stage, {NAMES[2]} canvas, {NAMES[3]} .stage").all():
        assert 100 < picture.bounding_box()["width"] <= 320


def test_every_control_is_reached_with_the_tab_key(page_of, address):
    page = page_of()
    page.goto(address)
    ready(page)
    active = "document.activeElement.shadowRoot?.activeElement"
    reached = []
    while True:
        page.keyboard.press("Tab")
        if not page.evaluate(f"Boolean({active})"):
            break
        reached.append(
            page.evaluate(f"[document.activeElement.localName, {active}.getAttribute('role') ?? {active}.type]")
        )
    wanted = page.evaluate(
        "names => names.flatMap(name => [...document.querySelectorAll(name)].flatMap("
        "element => [...element.shadowRoot.querySelectorAll('button, input, [tabindex]')].map("
        "node => [name, node.getAttribute('role') ?? node.type])))",
        list(NAMES),
    )
    assert reached == wanted
    assert len(wanted) >= 8


def test_without_a_script_there_are_the_pictures(page_of, on_disk, figures):
    page = page_of(java_script_enabled=False)
    page.goto(on_disk(figures))
    images = page.locator("figure.live img")
    assert images.count() == 2 + 4 + 2 + 1 + 2
    for image in images.all():
        assert image.get_attribute("alt")
        assert image.bounding_box()["width"] >= 14
    assert page.locator(".tile span", has_text="a bowl").is_visible()
    assert page.locator("figcaption").last.is_visible()
