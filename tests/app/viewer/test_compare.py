import json

import pytest
import torch

from sfumato.app.report.interactive import before_after


@pytest.fixture
def comparing(page_of, serve, url):
    """An element under the strict policy: a dark picture, of which a light one came."""

    def opened(**options):
        page = page_of(**{"viewport": {"width": 800, "height": 700}, **options})
        page.set_default_timeout(5000)
        labels = json.dumps(["masked", "filled"])
        sources = [url([[level] * 16] * 16) for level in (40, 200)]
        page.goto(serve(f"<sf-compare before='{sources[0]}' after='{sources[1]}' labels='{labels}'></sf-compare>"))
        element = page.locator("sf-compare")
        element.get_by_role("slider").wait_for()
        return element

    return opened


def divided(element, look, share):
    """Whether the dark picture ends there."""
    assert element.evaluate("element => element.share") == pytest.approx(share, abs=0.005)
    slider = element.get_by_role("slider")
    assert slider.get_attribute("aria-valuenow") == str(round(100 * share))
    assert slider.get_attribute("aria-valuetext") == f"{round(100 * share)} % masked"
    line = look(element.locator(".stage"))[30, :, 0]
    place = round(share * (len(line) - 1))
    before, after = line[3 : max(3, place - 5)], line[place + 5 : -3]
    return (abs(before - 40) <= 1).all() and (abs(after - 200) <= 1).all()


def test_the_divider_is_dragged(comparing, look):
    element = comparing()
    assert divided(element, look, 0.5)
    box = element.locator(".stage").bounding_box()
    mouse = element.page.mouse
    for share in (0.25, 0.9):
        mouse.move(box["x"] + box["width"] / 2, box["y"] + 50)
        mouse.down()
        mouse.move(box["x"] + share * box["width"], box["y"] + 90, steps=4)
        assert divided(element, look, share)
        mouse.up()
    mouse.move(box["x"], box["y"])  # let go is let go
    assert divided(element, look, 0.9)
    mouse.down()
    mouse.move(0, 0)
    mouse.up()
    assert divided(element, look, 0)


def test_keys_move_it(comparing, look):
    element = comparing()
    element.page.keyboard.press("Tab")
    for key, share in (
        *(("ArrowRight", 0.51), ("ArrowLeft", 0.5), ("PageUp", 0.6), ("PageDown", 0.5), ("Home", 0), ("ArrowLeft", 0)),
        *(("End", 1), ("ArrowRight", 1), ("ArrowDown", 0.99), ("ArrowUp", 1)),
    ):
        element.page.keyboard.press(key)
        assert divided(element, look, share)


def test_a_finger_moves_it_and_may_still_scroll(comparing, look):
    element = comparing(has_touch=True, viewport={"width": 360, "height": 700})
    box = element.locator(".stage").bounding_box()
    client = element.page.context.new_cdp_session(element.page)
    for kind, share in (("touchStart", 0.5), ("touchMove", 0.4), ("touchMove", 0.3), ("touchEnd", None)):
        points = [] if share is None else [{"x": box["x"] + share * box["width"], "y": box["y"] + 80}]
        client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    assert divided(element, look, 0.3)
    assert element.locator(".stage").evaluate("stage => getComputedStyle(stage).touchAction") == "pan-y"


def test_what_is_wrong_is_said_in_its_place(page_of, serve):
    page = page_of()
    page.goto(serve("<sf-compare></sf-compare>"))
    assert "there are no two pictures" in page.locator(".problem").text_content(timeout=5000)


def test_from_the_disk(page_of, on_disk, look):
    page = page_of(viewport={"width": 800, "height": 700})
    levels = torch.tensor([40.0, 200.0]) / 255
    dark, light = (level.expand(1, 8, 16) for level in levels)
    page.goto(on_disk(before_after(dark, light, ("masked", "filled"), "Before and after.")))
    element = page.locator("sf-compare")
    element.get_by_role("slider").press("End")
    assert divided(element, look, 1)
    box = element.locator(".stage").bounding_box()
    assert box["width"] == pytest.approx(2 * box["height"], rel=0.01)
