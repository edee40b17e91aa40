"""The shell: tabs, keys, messages, the queue, and a server that goes away and comes back."""

import re
import time

import pytest
from playwright.sync_api import expect

TABS = ["generate", "edit", "inpaint", "anagram", "hybrid", "denoise", "train", "gallery"]
MINE = TABS[:3]


def test_shell_is_there_before_the_server_says_hello(fake, page_of):
    fake.hello_after = 1.5
    page = page_of()
    page.goto(fake.url)
    assert page.locator("[role=tab]").count() == len(TABS)
    page.locator("#tab-edit").click(timeout=1000)
    assert page.locator("#tab-edit").get_attribute("aria-selected") == "true"
    painted = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0]?.startTime")
    assert painted is not None
    assert painted < 1500
    page.locator("#panel-edit .tab-content").wait_for()


def test_tabs_with_keys(open_studio):
    page = open_studio()
    page.keyboard.press("2")
    page.locator("#panel-edit .tab-content").wait_for()
    assert page.url.endswith("#edit")
    assert page.evaluate("document.activeElement.id") == "tab-edit"
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.id") == "tab-inpaint"
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("document.activeElement.id") == "tab-gallery"
    page.keyboard.press("Home")
    assert page.evaluate("document.activeElement.id") == "tab-generate"
    stops = page.eval_on_selector_all("[role=tab]", "tabs => tabs.filter(tab => tab.tabIndex === 0).map(tab => tab.id)")
    assert stops == ["tab-generate"]
    shown = page.eval_on_selector_all("[role=tabpanel]", "all => all.filter(one => !one.hidden).map(one => one.id)")
    assert shown == ["panel-generate"]


def test_back_goes_to_the_tab_before(open_studio):
    page = open_studio()
    page.locator("#tab-inpaint").click()
    page.locator("#panel-inpaint .tab-content").wait_for()
    page.go_back()
    assert page.locator("#tab-generate[aria-selected=true]").is_visible()
    page.go_forward()
    page.reload()
    page.locator("#panel-inpaint .tab-content").wait_for()


def test_digits_in_a_field_are_a_number(open_studio):
    page = open_studio()
    page.get_by_label("Seed", exact=True).fill("")
    page.get_by_label("Seed", exact=True).press_sequentially("23")
    assert page.locator("#tab-generate[aria-selected=true]").is_visible()
    assert page.get_by_label("Seed", exact=True).input_value() == "23"


def test_sheet_of_keys(open_studio, accessible):
    page = open_studio("edit")
    page.keyboard.press("?")
    sheet = page.get_by_role("dialog", name="Keys")
    assert sheet.is_visible()
    for words in ("the queue", "undo", "pen down"):
        assert words in sheet.inner_text()
    accessible(page)
    page.keyboard.press("2")  # nothing happens behind it
    page.keyboard.press("Escape")
    assert not sheet.is_visible()
    page.locator("#help").click()
    assert sheet.is_visible()


def test_smooth_is_remembered(open_studio):
    page = open_studio()
    rendering = "getComputedStyle(document.querySelector('.pixels') ?? document.body).imageRendering"
    page.keyboard.press("g")
    page.locator(".tile .pixels").first.wait_for()
    assert page.evaluate(rendering) == "pixelated"
    page.locator("#smooth").click()
    assert page.evaluate(rendering) == "auto"
    page.reload()
    page.locator("#panel-generate .tab-content").wait_for()
    assert page.locator("#smooth").get_attribute("aria-pressed") == "true"
    page.keyboard.press("s")
    assert page.locator("#smooth").get_attribute("aria-pressed") == "false"


def test_queue_shows_what_waits_and_cancels_it(open_studio, fake):
    fake.hold_at = 2
    page = open_studio()
    for _ in range(3):
        expect(page.locator("button.primary")).to_be_enabled()  # it is not while an order is on its way
        with page.expect_response(lambda answer: answer.request.method == "POST" and answer.url.endswith("/api/runs")):
            page.keyboard.press("g")
    expect(page.locator("#queue-text")).to_have_text("Running, 2 waiting", timeout=30_000)
    page.keyboard.press("q")
    queue = page.get_by_role("dialog", name="Queue")
    assert queue.locator("li").count() == 3
    queue.get_by_role("button", name="Cancel anything").last.click()
    page.locator("#queue-text", has_text="Running, 1 waiting").wait_for()
    assert fake.runs[3]["state"] == "cancelled"
    assert fake.posted("/api/runs/3/cancel") == [{}]


def test_an_answer_that_comes_after_the_end_leaves_nothing_in_the_queue(open_studio, fake):
    page = open_studio()

    def late(route):
        answer = route.fetch()
        while fake.runs[1]["state"] != "done":
            time.sleep(0.05)
        time.sleep(0.5)  # the page has heard of the end by now
        route.fulfill(response=answer)

    page.route("**/api/runs", late)
    page.get_by_label("Pictures", exact=True).fill("1")
    page.keyboard.press("Control+Enter")
    page.locator(".result[data-state=done]").wait_for()
    expect(page.locator("#queue-text")).to_have_text("Queue")


def test_server_goes_away_and_comes_back(open_studio, fake):
    fake.hold_at = 3
    page = open_studio()
    page.allowed_errors += [
        "ERR_CONNECTION_REFUSED",
        "ERR_INCOMPLETE_CHUNKED",
        "ERR_CONNECTION_RESET",
        "ERR_EMPTY_RESPONSE",
    ]
    page.locator("[data-prompt='5']").click()
    page.get_by_label("Pictures", exact=True).fill("1")
    page.keyboard.press("Control+Enter")
    page.locator(".result[data-state=running]").wait_for()
    fake.stop()
    page.locator("#banner", has_text="does not answer").wait_for()
    page.locator("button.primary").click()  # is not lost, but said
    page.locator(".toast.bad", has_text="does not answer").wait_for()
    assert page.locator("[data-prompt='5']").get_attribute("aria-pressed") == "true"
    fake.hold_at = None
    page.wait_for_timeout(600)
    fake.start()
    page.locator("#banner").wait_for(state="hidden")
    page.locator(".result[data-state=done]").wait_for()
    page.locator(".tile img").first.wait_for(state="attached")
    assert len(fake.posted("/api/runs")) == 1
    page.locator("button.primary").click()
    page.locator(".earlier-run").wait_for()
    assert len(fake.posted("/api/runs")) == 2


@pytest.mark.parametrize("tab", MINE)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessible(open_studio, accessible, tab, scheme):
    page = open_studio(tab, color_scheme=scheme)
    page.locator(f"#panel-{tab} details.advanced > summary").click()
    accessible(page)


@pytest.mark.parametrize("tab", MINE)
def test_fits_a_small_phone(open_studio, tab, draw, drop, picture_of, accessible):
    page = open_studio(tab, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    if tab == "inpaint":
        drop(page, picture_of((40, 60), 90), "photo.png", "#panel-inpaint .easel")
        page.locator(".easel.filled").wait_for()
    if tab != "generate":
        draw(page, (0.3, 0.3), (0.7, 0.6), tab=tab)
    page.locator(f"#panel-{tab} details.advanced > summary").click()
    page.locator(f"#panel-{tab} button.primary").click()
    page.locator(f"#panel-{tab} .result[data-state=done]").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    small = page.eval_on_selector_all(
        f"#panel-{tab} button, [role=tab]",
        "all => all.map(one => [one.getBoundingClientRect(), one]).filter(([box, one]) => box.width && "
        "!one.matches('.link') && Math.min(box.width, box.height) < 24).map(([box, one]) => one.outerHTML)",
    )
    assert small == []
    accessible(page)


def test_pasted_picture_goes_to_edit(open_studio, picture_of):
    page = open_studio()
    page.evaluate(
        """async (data) => {
          const carried = new DataTransfer();
          carried.items.add(new File([Uint8Array.from(data)], "from-elsewhere.png", { type: "image/png" }));
          const how = { clipboardData: carried, bubbles: true, cancelable: true };
          document.body.dispatchEvent(new ClipboardEvent("paste", how));
        }""",
        list(picture_of((50, 50), 200)),
    )
    page.locator("#panel-edit [data-tool=clear]:not(:disabled)").wait_for()
    assert page.locator("#tab-edit").get_attribute("aria-selected") == "true"


def test_job_of_another_kind_is_said_and_its_picture_used(open_studio, drop, picture_of, job):
    page = open_studio()
    drop(page, picture_of(job={**job, "kind": "panorama"}), "wide.png")
    page.locator(".toast", has_text="panorama").wait_for()
    page.locator("#panel-edit [data-tool=clear]:not(:disabled)").wait_for()


def test_nothing_inline(fake):
    """What the policy would refuse is not written in the first place."""
    from fake_studio import STATIC

    html = (STATIC / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", html)
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", html)
