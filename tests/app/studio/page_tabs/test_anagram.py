"""Anagrams: made by mouse and by keys, turned, judged, many seeds at once, from a job and from a picture."""

import json
import re

import pytest
from fake_pictures import letter, png
from playwright.sync_api import expect


def asked(fake):
    return [data for method, path, data in fake.asked if (method, path) == ("POST", "/api/runs")]


def ended(page):
    """Until then the picture that is shown may give way to a better one."""
    expect(page.locator(".result[data-state=done]:visible")).to_have_count(1)


def test_by_mouse_the_best_of_many_seeds_is_shown_first_and_turned(open_tab, fake):
    page = open_tab("anagram")
    page.get_by_label("Shows").first.select_option("3")
    page.get_by_label("Seeds to try").fill("6")
    page.get_by_role("button", name="Make the anagram").click()
    expect(page.locator(".summary")).to_contain_text("4 of 6 seeds are read as asked")
    (request,) = asked(fake)
    assert request["count"] == 6
    assert request["job"]["guidance"] == 5, "that of its model for illusions"
    assert request["job"]["readings"] == [{"prompt": "3", "view": "identity"}, {"prompt": "9", "view": "rotate:180"}]
    shares = [int(re.search(r"(\d+)\s%", text)[1]) for text in page.locator(".tiles .tile").all_inner_texts()]
    assert shares == sorted(shares, reverse=True)
    assert page.locator(".tiles .mark").all_inner_texts() == ["✓"] * 4 + ["✗"] * 2

    turn = page.locator("sf-turn")
    assert json.loads(turn.get_attribute("verdicts")) == ["right", "right"]
    box = turn.locator(".stage").bounding_box()
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.move(middle[0] + 60, middle[1])
    page.mouse.down()
    for x, y in ((50, -50), (0, -60), (-50, -30), (-60, 10)):
        page.mouse.move(middle[0] + x, middle[1] + y)
    page.mouse.up()
    expect(page.locator("sf-turn button.reading").nth(1)).to_have_attribute("aria-pressed", "true")

    page.locator(".tiles .tile").last.click()
    expect(page.locator(".told")).to_contain_text("it is read as 5, not 9")
    expect(page.locator("ul.readings .wrong")).to_contain_text("upside down: read as 5, not as 9 (8\u00a0%)")


def test_by_keys_alone_an_anagram_of_three_is_made_and_turned(open_tab, fake):
    page = open_tab("anagram")
    tab = page.get_by_role("tab", name="Anagram")
    tab.focus()
    page.get_by_role("button", name="Another reading").focus()
    page.keyboard.press("Enter")
    expect(page.locator("fieldset.reading")).to_have_count(3)
    assert (
        page.evaluate("document.activeElement.closest('fieldset').querySelector('legend').textContent") == "Reading 3"
    )
    page.keyboard.press("Tab")  # its view
    page.keyboard.press("End")  # the last of the list: a chain, typed
    box = page.get_by_label("Seen, as text").nth(2)
    expect(box).to_be_focused()
    page.keyboard.type("rotate:90+negate")
    page.keyboard.press("Control+Enter")
    ended(page)
    turn = page.locator("sf-turn")
    views = [reading["view"] for reading in asked(fake)[0]["job"]["readings"]]
    assert views == ["identity", "rotate:180", "rotate:90+negate"]
    turn.locator(".stage").focus()
    page.keyboard.press("End")
    expect(page.locator("sf-turn button.reading").nth(2)).to_have_attribute("aria-pressed", "true")
    page.locator("body").evaluate("() => document.activeElement.blur()")
    page.keyboard.press("n")
    expect(page.locator(".earlier-run")).to_have_count(1)
    assert asked(fake)[1]["job"]["seed"] == 8


def test_a_view_is_drawn_and_one_that_cannot_be_is_told(open_tab, fake):
    page = open_tab("anagram")
    thumb = page.locator(".view-thumb").nth(1)
    pixels = "(canvas) => [...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data].join()"
    upside_down = thumb.evaluate(pixels)
    seen = page.get_by_label("Seen", exact=True).nth(1)
    seen.select_option("mirror")
    assert thumb.evaluate(pixels) != upside_down
    assert thumb.get_attribute("aria-label") == "the letter F in a mirror"
    assert seen.locator("option", has_text="permute:8:seed=3 (not at 28 pixels)").is_disabled()
    seen.select_option(label="a chain, or other numbers …")
    text = page.get_by_label("Seen, as text").nth(1)
    text.fill("rotate:45")
    expect(text).to_have_attribute("aria-invalid", "true")
    expect(page.locator("fieldset.reading").nth(1)).to_contain_text("rotate:45 is not offered")
    page.get_by_role("button", name="Make the anagram").click()
    expect(page.locator(".toast.bad")).to_contain_text("Reading 2: rotate:45 is not offered")
    assert asked(fake) == []


@pytest.mark.parametrize("view", ["jigsaw:seed=4522", "circle:180:r=0.375+negate"])
def test_pieces_glide_to_their_places(open_tab, fake, view):
    page = open_tab("anagram")
    page.get_by_label("Seen", exact=True).nth(1).select_option(label="a chain, or other numbers …")
    page.get_by_label("Seen, as text").nth(1).fill(view)
    page.get_by_label("Seeds to try").fill("1")
    page.get_by_role("button", name="Make the anagram").click()
    ended(page)
    turn = page.locator("sf-turn")
    assert [bool(source) for source in json.loads(turn.get_attribute("seen"))] == [False, True]
    turn.locator("button.reading").nth(1).click()
    expect(page.locator("sf-turn button.reading").nth(1)).to_have_attribute("aria-pressed", "true")
    assert turn.locator(".problem").count() == 0


def test_weights_and_guidance_of_readings_are_in_the_job(open_tab, fake):
    page = open_tab("anagram")
    page.locator("details", has_text="Weights of the readings").locator("summary").click()
    page.get_by_label("Weight").first.fill("2..0.5")
    page.get_by_role("group", name="Reading 2", exact=True).get_by_label("Guidance").last.fill("4")
    page.get_by_role("button", name="Make the anagram").click()
    ended(page)
    first, second = asked(fake)[0]["job"]["readings"]
    assert first["weight"] == [2, 0.5]
    assert second["guidance"] == 4
    page.get_by_label("Weight").first.fill("much")
    page.get_by_role("button", name="Make the anagram").click()
    expect(page.locator(".toast.bad")).to_contain_text("Reading 1: the weight wants a number")


def test_a_reload_keeps_what_was_entered_and_what_was_made(open_tab, fake):
    page = open_tab("anagram")
    page.get_by_role("button", name="Another reading").click()
    page.get_by_label("Shows").nth(2).select_option("4")
    page.get_by_label("Seen", exact=True).nth(1).select_option("flip")
    page.get_by_label("Seeds to try").fill("3")
    page.get_by_role("button", name="Make the anagram").click()
    ended(page)
    page.reload()
    ended(page)
    expect(page.locator("fieldset.reading")).to_have_count(3)
    assert page.get_by_label("Shows").nth(2).input_value() == "4"
    assert page.get_by_label("Seen", exact=True).nth(1).input_value() == "flip"
    assert page.get_by_label("Seeds to try").input_value() == "3"
    expect(page.locator(".tiles .tile")).to_have_count(3)


def test_a_reading_is_taken_away_and_two_remain(open_tab):
    page = open_tab("anagram")
    for _ in range(4):
        page.get_by_role("button", name="Another reading").click()
    expect(page.locator("fieldset.reading")).to_have_count(6)
    assert page.get_by_role("button", name="Another reading").is_hidden()
    views = [page.get_by_label("Seen", exact=True).nth(k).input_value() for k in range(6)]
    assert len(set(views)) == 6
    page.get_by_role("button", name="Take reading 1 away").click()
    assert [page.get_by_label("Seen", exact=True).nth(k).input_value() for k in range(5)] == views[1:]
    for _ in range(3):
        page.get_by_role("button", name="Take reading 1 away").click()
    assert page.get_by_role("button", name="Take reading 1 away").is_hidden()


def test_an_anagram_begins_from_a_dropped_picture_and_the_same_job_comes_out_of_the_gallery(open_tab, fake):
    page = open_tab("anagram")
    drop(page, ".tab-anagram", png(letter("2")))
    expect(page.locator(".view-thumb").first).to_have_attribute("aria-label", "the picture as it is")
    page.get_by_label("Start", exact=True).fill("7")
    page.get_by_label("Seeds to try").fill("2")
    page.get_by_role("button", name="Make the anagram").click()
    ended(page)
    assert asked(fake)[0]["job"]["begin"] == 7
    shown = fake.pictures[max(fake.pictures)]
    page.get_by_role("tab", name="Gallery").click()
    page.locator(".gallery-grid .tile").first.click()
    page.get_by_role("button", name="Open in Anagram").click()
    expect(page.get_by_label("Seeds to try")).to_have_value("1")
    expect(page.get_by_role("button", name="Make the anagram")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".tab-anagram .earlier-run")).to_have_count(1)
    same = {key: value for key, value in asked(fake)[1]["job"].items() if value is not None}
    assert same == {key: shown["job"][key] for key in same}
    assert same["image"] == shown["job"]["image"]


def drop(page, where, content):
    """A picture from outside, dropped on an element."""
    page.evaluate(
        """([where, octets]) => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([new Uint8Array(octets)], "two.png", {type: "image/png"}));
          const options = {bubbles: true, cancelable: true, dataTransfer: transfer};
          for (const name of ["dragenter", "dragover", "drop"]) {
            document.querySelector(where).dispatchEvent(new DragEvent(name, options));
          }
        }""",
        [where, list(content)],
    )
