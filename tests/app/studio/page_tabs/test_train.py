"""Trainings: the curve and the samples as they come, stopped and gone on with, one's own pictures, and their use."""

import re

import pytest
from fake_pictures import letter, png
from playwright.sync_api import expect


def trainings(fake):
    return [data for _, path, data in fake.asked if path == "/api/trainings"]


def test_a_curve_falls_and_samples_come_after_each_epoch(open_tab, fake):
    fake.pace = 0.03
    page = open_tab("train")
    page.get_by_label("epochs").fill("3")
    page.get_by_role("button", name="Train", exact=True).click()
    expect(page.locator(".training .state")).to_contain_text("Training")
    expect(page.locator(".samples img")).to_have_attribute("alt", re.compile("samples after epoch [12]"))
    expect(page.locator(".samples img")).to_have_attribute("alt", "samples after epoch 3")
    expect(page.locator(".training .state")).to_contain_text("Trained")
    expect(page.locator(".training")).to_contain_text("60 steps are too few")
    assert trainings(fake) == [{"recipe": "class", "settings": {"epochs": 3}, "data": "typeset"}]
    path = page.locator(".loss path.line").get_attribute("d")
    heights = [float(y) for _, y in re.findall(r"[ML]([\d.]+) ([\d.]+)", path)]
    assert len(heights) == 60
    assert heights[0] < heights[-1]  # down on the screen
    page.get_by_role("slider", name="Epoch of the samples").fill("2")
    expect(page.locator(".samples img")).to_have_attribute("alt", "samples after epoch 2")
    page.get_by_role("checkbox", name="logarithmic").uncheck()
    assert page.locator(".loss path.line").get_attribute("d") != path
    page.get_by_role("slider", name="Smoothing").fill("0.8")
    expect(page.locator(".loss path.line.faint")).to_have_count(1)
    assert page.get_by_role("link", name="Report").get_attribute("href") == "/api/reports/1"

    page.get_by_role("button", name="Use it in Generate").click()
    expect(page.locator("#panel-generate")).to_be_visible()
    expect(page.locator("#panel-generate").get_by_label("Model")).to_have_value("run:class-1")


def test_by_keys_alone_one_goes_along_the_curve(open_tab, fake):
    page = open_tab("train")
    page.get_by_label("epochs").focus()
    page.keyboard.press("Control+a")
    page.keyboard.type("1")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".training .state")).to_contain_text("Trained")
    curve = page.get_by_role("slider", name="The loss")
    curve.focus()
    page.keyboard.press("Home")
    assert curve.get_attribute("aria-valuetext").startswith("step 1: loss 0.8")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".curve-readout")).to_contain_text("step 2: loss")
    page.keyboard.press("Tab")
    expect(page.locator(".curve-readout")).to_contain_text("step 20: loss")


def test_by_keys_alone_a_training_is_begun_and_stopped(open_tab, fake):
    fake.pace = 0.03
    page = open_tab("train")
    page.keyboard.press("g")
    page.locator(".loss path.line").wait_for()
    page.keyboard.press("Escape")
    expect(page.locator(".training .state")).to_contain_text("It is saved and can go on.")


def test_a_training_is_stopped_and_goes_on(open_tab, fake):
    fake.pace = 0.03
    page = open_tab("train")
    page.get_by_role("button", name="Train", exact=True).click()
    page.locator(".loss path.line").wait_for()
    page.get_by_role("button", name="Stop and save").click()
    expect(page.locator(".training .state")).to_contain_text("It is saved and can go on.")
    stopped = fake.runs[1]["training"]["step"]
    fake.pace = 0.001
    page.reload()
    page.get_by_role("button", name="Go on").click()
    expect(page.locator(".training .state")).to_contain_text("Trained")
    assert 0 < stopped < 60 == fake.runs[2]["training"]["step"]
    expect(page.locator(".other-trainings")).to_contain_text("class on typeset · stopped")


def test_settings_are_those_of_the_recipe_and_only_changes_are_sent(open_tab, fake):
    page = open_tab("train")
    page.get_by_text("All settings of the recipe").click()
    page.get_by_label("sigmas").fill("[0.3, 0.5]")
    page.get_by_label("keep best").uncheck()
    page.get_by_label("learning rate").fill("0.0005")
    page.get_by_label("Steps", exact=True).fill("40")
    page.reload()
    expect(page.get_by_label("learning rate")).to_have_value("0.0005")
    page.get_by_role("button", name="Train", exact=True).click()
    page.locator(".training .state").wait_for()
    assert trainings(fake)[0]["settings"] == {"sigmas": [0.3, 0.5], "keep_best": False, "lr": 0.0005, "steps": 40}
    page.get_by_label("Recipe").select_option("time")
    expect(page.get_by_label("learning rate")).to_have_value("0.001")
    expect(page.get_by_label("sigmas")).to_have_count(0)


@pytest.fixture
def folders(tmp_path):
    """Two folders of pictures, and a file that is none."""
    for label in ("circle", "cross"):
        (tmp_path / "shapes" / label).mkdir(parents=True)
        for k in range(3):
            picture = letter("o" if label == "circle" else "x", 28 + k)
            (tmp_path / "shapes" / label / f"{k}.png").write_bytes(png(picture))
    (tmp_path / "shapes" / "cross" / "notes.txt").write_text("not a picture")
    return tmp_path / "shapes"


def choose(page, folder):
    """Choose a folder of one's own pictures, which is then to be brought in."""
    page.get_by_text("Your own pictures").first.click()
    with page.expect_file_chooser() as choosing:
        page.get_by_role("button", name="a folder").click()
    choosing.value.set_files(folder)


def test_a_folder_of_ones_own_pictures_becomes_a_set_to_train_on(open_tab, fake, folders):
    page = open_tab("train")
    page.allowed_errors = ["422"]
    choose(page, folders)
    labels = page.locator(".set-group input")
    expect(labels).to_have_count(2)
    assert [label.input_value() for label in labels.all()] == ["circle", "cross"]
    labels.nth(1).fill("x")
    expect(page.get_by_label("Name of the set")).to_have_value("shapes")
    page.get_by_role("button", name="Bring them in").click()
    expect(page.locator(".toast.good")).to_contain_text("shapes: 6 pictures, 2 labels")
    (made,) = [data for _, path, data in fake.asked if path == "/api/datasets"]
    assert sorted(picture["label"] for picture in made["pictures"]) == ["circle"] * 3 + ["x"] * 3
    assert all(picture["upload"] in fake.uploads for picture in made["pictures"])
    chosen = page.get_by_label("Pictures to learn from")
    expect(chosen).to_have_value(re.compile(r"set:\d+"))
    expect(page.locator(".dataset")).to_contain_text("Left out 1: notes.txt is no PNG")
    page.keyboard.press("g")
    expect(page.locator(".training h3")).to_contain_text("class on set:")


def test_pictures_that_were_chosen_are_brought_in_before_a_training(open_tab, fake, folders):
    page = open_tab("train")
    page.allowed_errors = ["422"]
    choose(page, folders)
    expect(page.locator(".set-group input")).to_have_count(2)
    page.get_by_role("button", name="Train", exact=True).click()
    expect(page.locator(".training h3")).to_contain_text("class on set:")
    (begun,) = trainings(fake)
    assert begun["data"].startswith("set:")


def test_many_pictures_are_dropped_at_once_and_get_a_label_by_hand(open_tab, fake):
    page = open_tab("train")
    page.get_by_text("Your own pictures").first.click()
    page.evaluate(
        """(pictures) => {
          const dataTransfer = new DataTransfer();
          const file = (octets, k) => new File([new Uint8Array(octets)], `${k}.png`, {type: "image/png"});
          for (const one of pictures.map(file)) dataTransfer.items.add(one);
          const place = document.querySelector(".set-place");
          for (const name of ["dragenter", "dragover", "drop"]) {
            place.dispatchEvent(new DragEvent(name, {bubbles: true, cancelable: true, dataTransfer}));
          }
        }""",
        [list(png(letter(name))) for name in "abc"],
    )
    expect(page.locator(".set-group")).to_contain_text("3 pictures")
    assert page.locator(".veil").is_hidden()
    page.get_by_label("Label", exact=True).fill("letters")
    page.get_by_role("button", name="Bring them in").click()
    expect(page.locator(".toast.good")).to_contain_text("my pictures: 3 pictures, 1 labels")
    assert len(fake.uploads) == 3
    assert page.locator("#panel-edit .tab-content").count() == 0  # none of them went to another tab


def test_what_the_server_refuses_is_said(open_tab, fake):
    fake.errors["POST /api/trainings"] = (422, "recipe class: epochs: should be greater than 0")
    page = open_tab("train")
    page.allowed_errors = ["422"]
    page.get_by_role("button", name="Train", exact=True).click()
    expect(page.locator(".toast.bad")).to_contain_text("recipe class: epochs: should be greater than 0")
