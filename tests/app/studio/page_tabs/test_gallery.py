"""The gallery: found, opened, gone through by keys, made again, sent on, thrown away and fetched back."""

import json

import pytest
from playwright.sync_api import expect
from test_anagram import asked

JOB = {"kind": "generate", "model": "digits", "seed": 0, "steps": 50, "guidance": 2.0, "sampler": "ddpm"}


@pytest.fixture
def full(fake):
    """A hundred pictures: the digits, ten seeds each."""
    for seed in range(10):
        for digit in range(10):
            fake.picture(0, {**JOB, "prompt": str(digit), "seed": seed})
    return fake


def titles(page):
    return page.locator(".gallery-grid .tile").all_inner_texts()


def test_the_newest_come_first_and_older_ones_on_scrolling(open_tab, full):
    page = open_tab("gallery", viewport={"width": 700, "height": 500})
    expect(page.locator(".gallery-grid .tile")).to_have_count(60)
    assert page.locator(".gallery-grid .tile").first.get_attribute("aria-label") == "9, generate, seed 9"
    page.locator(".gallery-grid .tile").last.scroll_into_view_if_needed()
    expect(page.locator(".gallery-grid .tile")).to_have_count(100)
    expect(page.locator(".gallery-head .hint")).to_have_text("100 pictures")


def test_search_and_filters_leave_what_is_meant(open_tab, full):
    full.picture(0, {**JOB, "kind": "anagram", "readings": [{"prompt": "6"}, {"prompt": "9", "view": "rotate:180"}]})
    page = open_tab("gallery")
    page.keyboard.press("/")
    page.keyboard.type("rotate")
    expect(page.locator(".gallery-grid .tile")).to_have_count(1)
    page.keyboard.press("Control+a")
    page.keyboard.type("nothing like it")
    expect(page.locator(".tab-gallery .empty")).to_contain_text("No picture is like this.")
    page.keyboard.press("Control+a")
    page.keyboard.press("Delete")
    page.get_by_label("Kind").select_option("anagram")
    expect(page.locator(".gallery-head .hint")).to_have_text("1 picture like this")
    page.get_by_label("Kind").select_option("generate")
    page.get_by_label("Model").select_option("emoji")
    expect(page.locator(".tab-gallery .empty")).to_be_visible()


def test_by_keys_alone_pictures_are_gone_through_opened_and_thrown_away(open_tab, full):
    page = open_tab("gallery")
    expect(page.locator(".gallery-grid .tile").first).to_be_visible()
    page.locator(".gallery-grid .tile[tabindex='0']").focus()
    focused = "document.activeElement.getAttribute('aria-label')"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.evaluate(focused) == "7, generate, seed 9"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    assert page.evaluate(focused) == "7, generate, seed 9"
    assert page.locator(".gallery-grid .tile[tabindex='0']").count() == 1
    page.keyboard.press("Enter")
    dialog = page.locator("dialog.detail")
    expect(dialog.locator("h2")).to_have_text("7")
    page.keyboard.press("ArrowRight")
    expect(dialog.locator("h2")).to_have_text("6")
    page.keyboard.press("Delete")
    expect(dialog.locator("h2")).to_have_text("5")
    page.keyboard.press("Escape")
    expect(page.get_by_label("5, generate, seed 9")).to_be_focused()
    page.keyboard.press("Delete")
    expect(page.get_by_label("4, generate, seed 9")).to_be_focused()
    assert len(full.bin) == 2
    page.locator(".toast", has_text="5 is in the bin").get_by_role("button", name="Undo").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("5, generate, seed 9")).to_be_focused()
    assert len(full.bin) == 1


def test_by_mouse_a_picture_is_thrown_away_and_fetched_back_to_its_place(open_tab, full):
    page = open_tab("gallery")
    page.locator(".gallery-grid .tile").nth(3).click()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Close", exact=True).click()
    expect(page.get_by_label("6, generate, seed 9")).to_have_count(0)
    page.locator(".toast").get_by_role("button", name="Undo").click()
    expect(page.locator(".gallery-grid .tile").nth(3)).to_have_attribute("aria-label", "6, generate, seed 9")
    assert full.bin == set()


def test_again_and_another_seed_make_new_ones_that_appear(open_tab, full):
    page = open_tab("gallery")
    page.locator(".gallery-grid .tile").first.click()
    page.get_by_role("button", name="Again").click()
    expect(page.locator(".toast.good")).to_contain_text("It is made again: the same picture.")
    page.get_by_role("button", name="Another seed").click()
    expect(page.locator(".toast.good").last).to_contain_text("Another one is made, with the seed")
    page.keyboard.press("Escape")
    expect(page.locator(".gallery-head .hint")).to_have_text("62 pictures and more")
    same, other = asked(full)
    assert same["job"] == {**JOB, "prompt": "9", "seed": 9}
    assert {**other["job"], "seed": 9} == same["job"]


def test_a_picture_is_sent_on_and_its_job_opens_in_its_tab(open_tab, full):
    page = open_tab("gallery")
    page.locator(".gallery-grid .tile").nth(2).click()
    dialog = page.locator("dialog.detail")
    dialog.get_by_text("The job as JSON").click()
    assert json.loads(dialog.locator("pre").first.inner_text()) == {**JOB, "prompt": "7", "seed": 9}
    assert dialog.get_by_role("link", name="Download").get_attribute("download").endswith(".png")
    assert "sfumato generate --seed 9" in dialog.locator(".command").inner_text()
    dialog.get_by_role("button", name="Open in Generate").click()
    expect(page.locator("#panel-generate .chip[data-prompt='7']")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("tab", name="Gallery").click()
    page.locator(".gallery-grid .tile").nth(2).click()
    dialog.get_by_role("button", name="Denoise").click()
    expect(page.locator(".tab-denoise [data-tool=clear]")).to_be_enabled()


def test_what_others_delete_goes_and_what_they_make_comes(open_tab, full):
    page = open_tab("gallery")
    expect(page.locator(".gallery-grid .tile")).to_have_count(60)
    newest = max(full.pictures)
    full.bin.add(newest)
    full.publish("removed", {"picture": newest})
    expect(page.locator(".gallery-grid .tile").first).to_have_attribute("aria-label", "8, generate, seed 9")
    full.picture(0, {**JOB, "prompt": "2", "seed": 77})
    expect(page.locator(".gallery-grid .tile").first).to_have_attribute("aria-label", "2, generate, seed 77")
