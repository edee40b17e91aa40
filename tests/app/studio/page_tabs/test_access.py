"""Nobody is kept out: no serious fault that axe finds, no tab wider than a small phone, in light and in dark."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from fake_pictures import letter, png
from playwright.sync_api import expect
from test_anagram import drop, ended

TABS = ("anagram", "hybrid", "denoise", "train", "gallery")


def serious(page):
    """Faults that keep somebody out, each with a few of the elements that have it."""
    found = Axe().run(page).response["violations"]
    bad = [fault for fault in found if fault["impact"] in {"serious", "critical"}]
    return [(fault["id"], [node["target"] for node in fault["nodes"]][:3]) for fault in bad]


def fill(page, tab):
    """Let the tab show what it is for."""
    if tab in {"anagram", "hybrid"}:
        page.get_by_role("button", name=f"Make the {tab}").click()
        ended(page)
        for summary in page.locator(f".tab-{tab} details > summary").all():
            summary.click()
    elif tab == "denoise":
        drop(page, ".tab-denoise .easel", png(letter("4")))
        expect(page.locator(".tab-denoise [data-tool=clear]")).to_be_enabled()
        page.get_by_role("button", name="Noise it and clean it").click()
        page.locator("sf-steps").wait_for()
        expect(page.locator(".denoise-table td .soft").last).to_contain_text("dB")
    elif tab == "train":
        for summary in page.locator(".tab-train details > summary").all():
            summary.click()
        page.get_by_role("button", name="Train", exact=True).click()
        expect(page.locator(".training .state")).to_contain_text("Trained")
    else:
        page.locator(".gallery-grid .tile").first.wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("tab", TABS)
def test_axe_finds_nothing_serious_and_nothing_sticks_out_at_360_px(open_tab, fake, tab, scheme):
    fake.picture(0, {"kind": "generate", "model": "digits", "seed": 1, "steps": 5, "sampler": "ddpm", "prompt": "3"})
    page = open_tab(tab, viewport={"width": 360, "height": 740}, color_scheme=scheme)
    fill(page, tab)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert serious(page) == []
    if tab == "gallery":
        page.locator(".gallery-grid .tile").first.click()
        assert page.evaluate("document.querySelector('dialog[open]').scrollWidth") <= 360
        assert serious(page) == []
