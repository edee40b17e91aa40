"""Hybrids: their kinds, prompts named by how they are seen, a reference, and the distance one walks away."""

from fake_pictures import letter, png
from playwright.sync_api import expect
from test_anagram import asked, ended


def test_by_mouse_a_hybrid_is_made_and_seen_from_afar(open_tab, fake):
    page = open_tab("hybrid")
    page.get_by_label("From afar").select_option("8")
    page.get_by_label("Blur σ").fill("1.5")
    page.get_by_role("button", name="Make the hybrid").click()
    expect(page.locator(".summary")).to_contain_text("of 8 seeds are read as asked")
    job = asked(fake)[0]["job"]
    assert (job["parts"], job["factors"]) == (["8", "3"], "frequency:1.5")
    walk = page.locator("sf-distance")
    assert [walk.get_attribute(name) for name in ("far", "near", "sigma")] == ["8", "3", "1.5"]
    box = walk.get_by_role("slider", name="Distance").bounding_box()
    page.mouse.click(box["x"] + 0.9 * box["width"], box["y"] + box["height"] / 2)
    assert page.evaluate("document.querySelector('sf-distance').blur") > 1.2


def test_by_keys_alone_three_bands_are_made_and_one_walks_away(open_tab, fake):
    page = open_tab("hybrid")
    page.get_by_label("Kind").focus()
    page.keyboard.press("ArrowDown")
    labels = page.locator(".parts label").all_inner_texts()
    assert labels == ["From afar", "From midway", "From near"]
    page.get_by_label("From midway").focus()
    page.keyboard.type("7")
    page.keyboard.press("Control+Enter")
    ended(page)
    job = asked(fake)[0]["job"]
    assert (job["factors"], len(job["parts"]), job["parts"][1]) == ("triple:1,2", 3, "7")
    assert page.locator("sf-distance").get_attribute("sigma") == "2"
    page.locator("sf-distance").get_by_role("slider", name="Distance").focus()
    page.keyboard.press("End")
    assert page.evaluate("document.querySelector('sf-distance').distance") == 8


def test_kinds_without_a_distance_are_looked_at_in_their_own_ways(open_tab, fake):
    page = open_tab("hybrid")
    page.get_by_label("Kind").select_option("motion")
    assert page.locator(".parts label").all_inner_texts() == ["In motion", "Still"]
    page.get_by_label("Direction").fill("30")
    page.get_by_role("button", name="Make the hybrid").click()
    still = page.locator(".looks").get_by_role("button", name="still: 3")
    expect(still).to_have_attribute("aria-pressed", "true")
    assert asked(fake)[0]["job"]["factors"] == "motion:7:angle=30"
    page.locator(".looks").get_by_role("button", name="in motion: 0").click()
    expect(page.locator(".looks canvas")).to_have_attribute("aria-label", "0, 3, in motion: 0")


def test_colour_is_not_parted_in_grey_pictures_and_other_factors_are_typed(open_tab, fake):
    page = open_tab("hybrid")
    page.get_by_label("Kind").select_option("colour")
    expect(page.locator(".hint.bad")).to_contain_text("This model makes grey pictures")
    page.get_by_label("Model").select_option("emoji")
    expect(page.locator(".hint.bad")).to_have_count(0)
    assert page.locator(".parts label").all_inner_texts() == ["In grey", "In colour"]
    page.get_by_label("Kind").select_option(label="other factors …")
    page.get_by_label("Factors").fill("frequency:1,2,4")
    assert page.locator(".parts label").all_inner_texts() == ["From afar", "From midway", "From midway", "From near"]
    page.get_by_label("From near").fill("")
    page.get_by_role("button", name="Make the hybrid").click()
    expect(page.locator(".toast.bad")).to_contain_text("Say what each part shows.")


def test_a_reference_takes_the_place_of_the_first_prompt(open_tab, fake):
    page = open_tab("hybrid")
    page.get_by_text("Keep part of a picture").click()
    with page.expect_file_chooser() as choosing:
        page.get_by_role("button", name="choose a file").first.click()
    choosing.value.set_files({"name": "two.png", "mimeType": "image/png", "buffer": png(letter("2"))})
    expect(page.locator(".parts label")).to_have_text(["From near"])
    page.get_by_role("button", name="Make the hybrid").click()
    ended(page)
    job = asked(fake)[0]["job"]
    assert job["parts"] == ["3"]
    assert list(job["reference"]) == ["upload"]
    assert page.locator("sf-distance").get_attribute("far") == "two.png"
    page.reload()
    ended(page)
    expect(page.locator(".parts label")).to_have_text(["From near"])


def test_a_job_from_the_gallery_fills_the_form(open_tab, fake):
    page = open_tab("hybrid")
    page.get_by_label("Kind").select_option("triple")
    page.get_by_label("Blur σ of afar").fill("3")
    page.get_by_role("button", name="Make the hybrid").click()
    ended(page)
    page.get_by_label("Kind").select_option("frequency")
    page.get_by_role("tab", name="Gallery").click()
    page.locator(".gallery-grid .tile").first.click()
    assert page.locator("dialog sf-distance").get_attribute("sigma") == "3"
    page.get_by_role("button", name="Open in Hybrid").click()
    form = page.locator(".tab-hybrid")
    expect(form.get_by_label("Kind")).to_have_value("triple")
    expect(form.get_by_label("Blur σ of afar")).to_have_value("3")
    assert form.get_by_label("Seed", exact=True).input_value() == "7"
