"""The tab Inpaint: a mask over a picture."""

import io

import pytest
from fake_studio import in_job, png
from PIL import Image


@pytest.fixture
def with_picture(open_studio, drop, picture_of):
    """The tab with a picture of 60 × 40 pixels under the mask; a model sees 40 × 40 of it."""
    page = open_studio("inpaint")
    drop(page, picture_of((60, 40), 150), "photo.png", "#panel-inpaint .easel")
    page.locator(".easel.filled").wait_for()
    return page


def sent_mask(fake) -> Image.Image:
    key = fake.posted("/api/runs")[-1]["job"]["mask"]["upload"]
    return Image.open(io.BytesIO(fake.files[f"/api/uploads/{key}"]))


def test_paint_a_mask_with_the_mouse(with_picture, fake, draw):
    page = with_picture
    draw(page, (0.5, 0.2), (0.5, 0.8), tab="inpaint")
    page.locator("#panel-inpaint [data-prompt='8']").click()
    page.get_by_label("Resample").fill("2")
    page.locator("#panel-inpaint button.primary").click()
    page.locator("#panel-inpaint .result[data-state=done]").wait_for()
    job = fake.posted("/api/runs")[0]["job"]
    assert (job["kind"], job["prompt"], job["resample"], job["jump"], job["steps"]) == ("inpaint", "8", 2, 5, 34)
    assert fake.uploads[job["image"]["upload"]]["name"] == "photo.png"
    mask = sent_mask(fake)
    assert (mask.size, fake.uploads[job["mask"]["upload"]]["name"]) == ((60, 40), "mask.png")
    values = mask.convert("L")
    assert values.getpixel((30, 20)) > 240
    assert [values.getpixel(at) for at in ((2, 20), (57, 20), (14, 20), (45, 20))] == [0, 0, 0, 0]
    assert any(0 < value < 255 for value in values.tobytes())  # a soft edge
    assert page.locator("#panel-inpaint sf-compare").get_attribute("after") == "/api/pictures/1/file"
    assert "kept exactly" in page.locator("#panel-inpaint .result > .stage").inner_text()


def test_paint_a_mask_with_keys_alone(with_picture, fake):
    page = with_picture
    page.locator("#tab-inpaint").focus()
    for _ in range(10):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('#panel-inpaint canvas.sheet')"):
            break
    page.keyboard.press("Enter")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Enter")
    page.keyboard.press("g")
    page.locator("#panel-inpaint .result[data-state=done]").wait_for()
    assert sent_mask(fake).convert("L").getpixel((36, 20)) > 200


def test_picture_and_mask_are_asked_for(open_studio, fake, drop, picture_of):
    page = open_studio("inpaint")
    page.keyboard.press("g")
    page.locator(".toast", has_text="First a picture").wait_for()
    with page.expect_file_chooser() as chooser:
        page.locator("#panel-inpaint canvas.sheet").click()
    assert not chooser.value.is_multiple()
    with page.expect_file_chooser():
        page.locator("#panel-inpaint canvas.sheet").press("Enter")
    drop(page, picture_of((60, 40), 150), "photo.png")  # anywhere: the tab takes pictures
    page.locator(".easel.filled").wait_for()
    page.keyboard.press("g")
    page.locator(".toast", has_text="Paint over the part").wait_for()
    assert fake.posted("/api/runs") == []


def test_mask_is_seen_on_black_and_on_white(open_studio, fake, drop, draw, picture_of):
    for colour in (0, 255):
        page = open_studio("inpaint")
        drop(page, picture_of((28, 28), colour), "plain.png", "#panel-inpaint .easel")
        page.locator(".easel.filled").wait_for()
        draw(page, (0.3, 0.5), (0.7, 0.5), tab="inpaint")
        page.mouse.move(5, 5)
        shot = Image.open(io.BytesIO(page.locator("#panel-inpaint .easel").screenshot())).convert("L")
        width, height = shot.size
        middle = [shot.getpixel((int(width * 0.5) + k, height // 2)) for k in range(-20, 20)]
        assert max(abs(value - colour) for value in middle) > 80
        assert max(middle) - min(middle) > 50  # stripes


def test_invert_erase_undo_clear(with_picture, draw, sheet):
    page = with_picture
    alpha = lambda x, y: sheet(page, "inpaint").getpixel((int(x * 448), int(y * 448)))[3]  # noqa: E731
    draw(page, (0.5, 0.5), tab="inpaint")
    assert alpha(0.5, 0.5) > 100 > alpha(0.1, 0.1) == 0
    page.keyboard.press("i")
    assert alpha(0.1, 0.1) > 100 > alpha(0.5, 0.5)
    page.keyboard.press("e")
    draw(page, (0.1, 0.1), tab="inpaint")
    assert alpha(0.1, 0.1) < 40
    for _ in range(3):
        page.keyboard.press("z")
    assert alpha(0.5, 0.5) == 0
    page.keyboard.press("Z")
    page.locator("#panel-inpaint [data-tool=clear]").click()
    assert alpha(0.5, 0.5) == 0


def test_mask_is_kept_over_a_reload(with_picture, fake, draw, sheet):
    page = with_picture
    draw(page, (0.3, 0.3), (0.6, 0.6), tab="inpaint")
    before = sheet(page, "inpaint").tobytes()
    page.wait_for_timeout(700)
    page.reload()
    page.locator(".easel.filled").wait_for()
    assert sheet(page, "inpaint").tobytes() == before
    page.keyboard.press("g")
    page.locator("#panel-inpaint .result[data-state=done]").wait_for()
    assert fake.uploads[fake.posted("/api/runs")[0]["job"]["image"]["upload"]]["name"] == "photo.png"


def test_another_picture_begins_with_no_mask(with_picture, drop, draw, sheet, picture_of):
    page = with_picture
    draw(page, (0.3, 0.3), (0.6, 0.6), tab="inpaint")
    drop(page, picture_of((30, 30), 10), "other.png", "#panel-inpaint .easel")
    page.locator("#panel-inpaint [data-tool=clear]:disabled").wait_for()
    masked = lambda: any(sheet(page, "inpaint").getchannel("A").tobytes())  # noqa: E731
    assert not masked()
    page.keyboard.press("z")  # and is not lost either
    assert masked()


def test_job_that_is_dropped_is_the_same_job(open_studio, fake, drop, job):
    page = open_studio()
    small = png(Image.radial_gradient("L").resize((28, 28)))
    mask = Image.new("L", (28, 28), 0)
    mask.paste(255, (0, 0, 14, 28))
    whole = {
        **job, "kind": "inpaint", "image": in_job(small, "digit.png"), "mask": in_job(png(mask), "left.png"),
        "resample": 3, "jump": 4, "begin": None,
    }  # fmt: skip
    drop(page, png(Image.new("L", (28, 28)), whole), "inpaint-4.png")
    page.locator("#panel-inpaint .easel.filled").wait_for()
    page.locator("#panel-inpaint [data-tool=clear]:not(:disabled)").wait_for()
    page.keyboard.press("g")
    page.locator("#panel-inpaint .result[data-state=done]").wait_for()
    asked = fake.posted("/api/runs")[0]["job"]
    assert {**asked, "larger": [], "begin": None} == whole
