"""The lesson of denoising: the ways side by side with what each has kept, every step, and the way from pure noise."""

import re

from fake_pictures import letter, png
from playwright.sync_api import expect
from test_anagram import asked, drop


def test_by_mouse_a_picture_is_made_noised_and_cleaned_in_every_way(open_tab, fake):
    page = open_tab("denoise")
    page.get_by_role("button", name="Let one be made").click()
    expect(page.locator(".tab-denoise [data-tool=clear]")).to_be_enabled()
    page.get_by_role("button", name="Noise it and clean it").click()
    table = page.locator(".denoise-table")
    table.wait_for()
    assert table.locator("thead th").all_inner_texts() == ["noised", "blurred", "in one step", "step by step"]
    assert [text.strip() for text in table.locator("tbody th").all_inner_texts()] == ["t = 75", "t = 150", "t = 225"]
    expect(table.locator("td .soft").last).to_contain_text("dB")
    decibels = [float(re.search(r"[\d.]+", text)[0]) for text in table.locator("td .soft").all_inner_texts()]
    assert decibels[3] > decibels[2] > decibels[0] > decibels[8]

    made, compared, walk = asked(fake)
    assert made["job"]["kind"] == "generate"
    assert compared["job"]["times"] == [75, 150, 225]
    assert (walk["keep"], walk["job"]["method"], walk["job"]["t"]) == ("steps", "iterative", 225)
    page.locator(".cell").nth(2).click()
    compare = page.locator("sf-compare")
    assert compare.get_attribute("labels") == '["noised","in one step"]'


def test_the_slider_shows_each_step_with_its_level(open_tab, fake):
    page = open_tab("denoise")
    drop(page, ".tab-denoise .easel", png(letter("4")))
    expect(page.locator(".tab-denoise [data-tool=clear]")).to_be_enabled()
    page.get_by_role("button", name="Noise it and clean it").click()
    steps = page.locator("sf-steps")
    steps.wait_for()
    slider = steps.get_by_role("slider")
    slider.focus()
    page.keyboard.press("Home")
    level = page.locator(".level")
    expect(level).to_contain_text("225")
    levels = fake.runs[max(fake.runs)]["frames"]["levels"]
    expect(level.locator("dd").nth(1)).to_have_text(f"{levels[0]['alpha']:.3f}")
    expect(level.locator("dd").nth(2)).to_have_text(f"{levels[0]['sigma']:.3f}")
    page.keyboard.press("ArrowRight")
    expect(level.locator("dd").nth(3)).to_have_text(f"{levels[1]['alpha'] ** 2:.3f}")
    assert page.locator(".steps-view .curve .dot.marker").count() == 1
    assert "ᾱ" in page.locator(".steps-view .curve").get_attribute("aria-label")
    page.reload()
    page.locator("sf-steps").wait_for()
    page.locator(".denoise-table").wait_for()


def test_by_keys_alone_a_picture_comes_out_of_pure_noise(open_tab, fake):
    page = open_tab("denoise")
    page.get_by_label("Denoise it as").focus()
    page.keyboard.type("7")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("n")
    page.locator("sf-steps").wait_for()
    (request,) = asked(fake)
    assert (request["keep"], request["job"]["kind"], request["job"]["prompt"]) == ("steps", "generate", "7")
    expect(page.locator(".steps-panel > .hint")).to_have_text("7")


def test_without_a_picture_it_says_so(open_tab, fake):
    page = open_tab("denoise")
    page.get_by_role("button", name="Noise it and clean it").click()
    expect(page.locator(".toast.bad")).to_contain_text("First a picture: draw one, drop one, or let one be made.")
    assert asked(fake) == []


def test_times_are_added_moved_and_taken_away(open_tab, fake):
    page = open_tab("denoise")
    page.get_by_role("button", name="Another time").click()
    last = page.get_by_role("slider", name="Time 4 of 4")
    expect(last).to_be_focused()
    page.keyboard.press("End")
    page.get_by_role("button", name="Take time 1 away").click()
    page.get_by_label("Model", exact=True).select_option("emoji")
    outputs = page.locator(".time output").all_inner_texts()
    assert outputs == ["500", "750", "997"]
    drop(page, ".tab-denoise .easel", png(letter("4")))
    expect(page.locator(".tab-denoise [data-tool=clear]")).to_be_enabled()
    page.get_by_role("button", name="Noise it and clean it").click()
    page.locator(".denoise-table").wait_for()
    assert asked(fake)[0]["job"]["times"] == [500, 750, 997]


def test_the_steps_are_cancelled(open_tab, fake):
    page = open_tab("denoise")
    fake.pace = 0.5
    page.get_by_role("button", name="Watch it from pure noise").click()
    page.locator(".steps-panel").get_by_role("button", name="Cancel").click()
    expect(page.locator(".steps-panel .state")).to_have_text("Cancelled.")
    assert [run["state"] for run in fake.runs.values()] == ["cancelled"]


def test_a_flow_counts_its_times_from_0_to_below_1(open_tab, fake):
    page = open_tab("denoise")
    page.get_by_label("Model", exact=True).select_option("digits/flow")
    page.get_by_role("slider", name="Time 3 of 3").focus()
    page.keyboard.press("End")
    assert page.locator(".time output").all_inner_texts() == ["0.25", "0.5", "0.95"]
    page.get_by_label("Model", exact=True).select_option("digits")
    assert page.locator(".time output").all_inner_texts() == ["75", "150", "285"]
