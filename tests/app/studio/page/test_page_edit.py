"""The tab Edit and the canvas: mouse, pen, touch and keys, and that nothing drawn is lost."""

import base64
import io

import pytest
from fake_studio import in_job, png
from PIL import Image

SIDE = 448


def sent_picture(fake) -> Image.Image:
    """The upload that the last edit begins from."""
    key = fake.posted("/api/runs")[-1]["job"]["image"]["upload"]
    return Image.open(io.BytesIO(fake.files[f"/api/uploads/{key}"])).convert("L")


def saved(page, tab="edit"):
    """Wait until the browser has kept the drawing."""
    page.wait_for_timeout(700)


def test_draw_with_the_mouse_and_edit(open_studio, fake, draw, sheet):
    page = open_studio("edit")
    draw(page, (0.25, 0.25), (0.75, 0.25), (0.75, 0.75))
    page.locator("#panel-edit [data-prompt='7']").click()
    page.get_by_role("button", name="30", exact=True).click()
    page.get_by_role("button", name="1", exact=True).last.click()
    page.locator("#panel-edit button.primary").click()
    page.locator(".result[data-state=done]").wait_for()
    body = fake.posted("/api/runs")[0]
    assert body["job"]["begins"] == [3, 5, 7, 10, 20, 30]
    assert (body["job"]["prompt"], body["job"]["steps"], body["count"]) == ("7", 34, 1)
    sent = sent_picture(fake)
    assert sent.size == (SIDE, SIDE)
    assert [
        sent.getpixel((int(x * SIDE), int(y * SIDE))) for x, y in ((0.5, 0.25), (0.75, 0.5), (0.5, 0.5), (0.1, 0.1))
    ] == [255, 255, 0, 0]
    assert list(sent.tobytes()) == list(sheet(page).convert("L").tobytes())
    tiles = page.locator("#panel-edit .tile")
    assert tiles.all_inner_texts()[0] == "original"
    assert [text.strip("✓✗\n ") for text in tiles.all_inner_texts()[1:]] == [
        f"start {start}" for start in (3, 5, 7, 10, 20, 30)
    ]
    compare = page.locator("#panel-edit sf-compare")
    assert compare.get_attribute("before").startswith("data:image/png")
    assert compare.get_attribute("after") == "/api/pictures/1/file"
    tiles.nth(3).click()
    assert page.locator("#panel-edit sf-compare").get_attribute("after") == "/api/pictures/3/file"


def test_draw_with_keys_alone_and_edit(open_studio, fake):
    page = open_studio()
    page.keyboard.press("2")
    page.locator("#panel-edit .tab-content").wait_for()
    for _ in range(10):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('canvas.sheet')"):
            break
    page.keyboard.press("b")
    for _ in range(8):
        page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")  # pen down, in the middle but 8 pixels to the left
    for _ in range(4):
        page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Enter")
    page.keyboard.press("Shift+ArrowDown")
    page.keyboard.press("Space")
    page.keyboard.press("g")
    page.locator(".result[data-state=done]").wait_for()
    sent = sent_picture(fake)
    middle = SIDE // 2
    assert [sent.getpixel((middle + dx * 16, middle)) for dx in (-8, 0, 8, 11, -11)] == [255, 255, 255, 0, 0]
    assert sent.getpixel((middle + 8 * 16, middle + 4 * 16)) == 255
    assert sent.getpixel((middle, middle + 4 * 16)) == 0


def test_space_draws_while_it_is_held(open_studio, sheet):
    page = open_studio("edit")
    page.locator("#panel-edit canvas.sheet").focus()
    page.keyboard.down("Space")
    for _ in range(5):
        page.keyboard.press("ArrowDown")
    page.keyboard.up("Space")
    for _ in range(6):
        page.keyboard.press("ArrowDown")
    drawn = sheet(page).convert("L")
    assert [drawn.getpixel((SIDE // 2, SIDE // 2 + dy * 16)) for dy in (0, 3, 5, 9, 11)] == [255, 255, 255, 0, 0]


def test_undo_redo_clear(open_studio, draw, sheet):
    page = open_studio("edit")
    blank = sheet(page).tobytes()
    draw(page, (0.2, 0.2), (0.8, 0.2))
    one = sheet(page).tobytes()
    draw(page, (0.2, 0.6), (0.8, 0.6))
    two = sheet(page).tobytes()
    page.keyboard.press("z")
    assert sheet(page).tobytes() == one
    page.keyboard.press("Control+z")
    assert sheet(page).tobytes() == blank
    page.keyboard.press("Control+Shift+Z")
    page.keyboard.press("Z")
    assert sheet(page).tobytes() == two
    page.locator("#panel-edit [data-tool=clear]").click()
    assert sheet(page).tobytes() == blank
    page.locator("#panel-edit [data-tool=undo]").click()
    assert sheet(page).tobytes() == two


def test_eraser_fill_negative_and_colour(open_studio, draw, sheet):
    page = open_studio("edit")
    draw(page, (0.2, 0.5), (0.8, 0.5))
    page.keyboard.press("e")
    draw(page, (0.5, 0.3), (0.5, 0.7))
    at = lambda x, y: sheet(page).convert("L").getpixel((int(x * SIDE), int(y * SIDE)))  # noqa: E731
    assert (at(0.3, 0.5), at(0.5, 0.5), at(0.7, 0.5)) == (255, 0, 255)
    page.get_by_role("button", name="grey", exact=True).click()
    page.keyboard.press("f")
    draw(page, (0.1, 0.1))
    assert (at(0.9, 0.9), at(0.5, 0.5), at(0.3, 0.5)) == (128, 128, 255)
    page.keyboard.press("i")
    assert (at(0.9, 0.9), at(0.3, 0.5)) == (127, 0)


def test_brush_sizes_and_soft_edges(open_studio, draw, sheet):
    page = open_studio("edit")
    widths = []
    for y, keys in ((0.2, []), (0.5, ["]"] * 8), (0.8, ["["] * 12)):
        for key in keys:
            page.keyboard.press(key)
        draw(page, (0.2, y), (0.8, y))
        column = (
            sheet(page).convert("L").crop((SIDE // 2, int(SIDE * (y - 0.14)), SIDE // 2 + 1, int(SIDE * (y + 0.14))))
        )
        widths.append(sum(value > 127 for value in column.tobytes()))
    assert widths[1] > widths[0] > widths[2] > 0
    assert sorted(set(sheet(page).convert("L").tobytes()))[-1] == 255
    page.locator("#panel-edit [data-tool=clear]").click()
    hard = len(set(sheet(page).convert("L").tobytes()))
    page.locator("#panel-edit [data-tool=soft]").click()
    for _ in range(10):
        page.keyboard.press("]")
    draw(page, (0.2, 0.5), (0.8, 0.5))
    assert len(set(sheet(page).convert("L").tobytes())) > hard + 20


def test_pen_pressure(open_studio, sheet):
    page = open_studio("edit")
    stroke = """(canvas, [y, pressure]) => {
      const box = canvas.getBoundingClientRect();
      const send = (type, x) => canvas.dispatchEvent(new PointerEvent(type, {
        pointerId: 1, pointerType: "pen", pressure, button: 0, bubbles: true, cancelable: true,
        clientX: box.left + x * box.width, clientY: box.top + y * box.height }));
      canvas.setPointerCapture = () => {};
      send("pointerdown", 0.3); send("pointermove", 0.7); send("pointerup", 0.7);
    }"""
    canvas = page.locator("#panel-edit canvas.sheet")
    canvas.evaluate(stroke, [0.3, 0.1])
    canvas.evaluate(stroke, [0.7, 1.0])
    drawn = sheet(page).convert("L")
    light, heavy = (
        sum(
            value > 127
            for value in drawn.crop((SIDE // 2, int(SIDE * y) - 60, SIDE // 2 + 1, int(SIDE * y) + 60)).tobytes()
        )
        for y in (0.3, 0.7)
    )
    assert 0 < light < heavy / 2


def test_touch_draws_and_does_not_scroll(open_studio, sheet):
    page = open_studio("edit", viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True)
    canvas = page.locator("#panel-edit canvas.sheet")
    box = canvas.bounding_box()
    page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert sheet(page).convert("L").getpixel((SIDE // 2, SIDE // 2)) == 255
    assert canvas.evaluate("canvas => getComputedStyle(canvas).touchAction") == "none"


def test_drawing_is_kept_over_tabs_and_reloads(open_studio, draw, sheet):
    page = open_studio("edit")
    draw(page, (0.2, 0.3), (0.8, 0.7))
    page.locator("#panel-edit [data-prompt='5']").click()
    before = sheet(page).tobytes()
    page.keyboard.press("1")
    page.keyboard.press("2")
    assert sheet(page).tobytes() == before
    saved(page)
    page.reload()
    page.locator("#panel-edit [data-tool=clear]:not(:disabled)").wait_for()
    assert sheet(page).tobytes() == before
    assert page.locator("#panel-edit [data-prompt='5']").get_attribute("aria-pressed") == "true"


def test_refused_upload_keeps_the_drawing(open_studio, fake, draw, sheet):
    page = open_studio("edit")
    page.allowed_errors += ["429"]
    draw(page, (0.2, 0.3), (0.8, 0.7))
    before = sheet(page).tobytes()
    fake.refuse = (429, "200 runs wait already")
    page.keyboard.press("g")
    page.locator(".toast.bad", has_text="200 runs wait already").wait_for()
    assert sheet(page).tobytes() == before


def test_empty_sheet_is_asked_for(open_studio, fake):
    page = open_studio("edit")
    page.keyboard.press("g")
    page.locator(".toast", has_text="Draw something first").wait_for()
    assert fake.asked == []


@pytest.mark.parametrize("negative", [False, True])
def test_untouched_photo_is_sent_as_it_is(open_studio, fake, drop, picture_of, negative):
    page = open_studio("edit")
    drop(page, picture_of((90, 60), 200), "photo.png", "#panel-edit .easel")
    page.locator("#panel-edit [data-tool=clear]:not(:disabled)").wait_for()
    if negative:
        page.locator("#panel-edit [data-tool=invert]").click()
    page.keyboard.press("g")
    page.locator(".result[data-state=done]").wait_for()
    (upload,) = fake.uploads.values()
    assert fake.posted("/api/runs")[0]["job"]["image"] == {"upload": upload["id"], "invert": negative}


def test_photo_that_is_drawn_on_is_a_new_picture(open_studio, fake, drop, draw, picture_of):
    page = open_studio("edit")
    drop(page, picture_of((90, 60), 100), "photo.png", "#panel-edit .easel")
    page.locator("#panel-edit [data-tool=clear]:not(:disabled)").wait_for()
    draw(page, (0.3, 0.5), (0.7, 0.5))
    page.keyboard.press("g")
    page.locator(".result[data-state=done]").wait_for()
    sent = sent_picture(fake)
    assert (sent.getpixel((SIDE // 2, SIDE // 2)), sent.getpixel((10, 10))) == (255, 100)
    page.keyboard.press("z")  # and the photo is itself again
    page.keyboard.press("g")
    page.locator(".earlier-run").wait_for()
    photo = next(key for key, upload in fake.uploads.items() if upload["name"] == "photo.png")
    assert fake.posted("/api/runs")[1]["job"]["image"]["upload"] == photo


def test_colour_model_has_colours_and_paper(open_studio, fake, draw, sheet):
    page = open_studio("edit")
    page.locator("#panel-edit").get_by_label("Model", exact=True).select_option("emoji")
    page.get_by_role("button", name="red", exact=True).click()
    draw(page, (0.3, 0.5), (0.7, 0.5))
    drawn = sheet(page)
    assert (drawn.getpixel((SIDE // 2, SIDE // 2)), drawn.getpixel((5, 5))) == (
        (215, 55, 47, 255),
        (255, 255, 255, 255),
    )
    page.locator("#panel-edit").get_by_label("Model", exact=True).select_option("digits")
    assert sheet(page).tobytes() == drawn.tobytes()  # the drawing stays


def test_job_that_is_dropped_is_the_same_job(open_studio, fake, drop, job):
    page = open_studio()
    small = png(Image.radial_gradient("L").resize((28, 28)))
    origin = in_job(small, "scribble.png", made_by={"job": {"kind": "generate"}})
    whole = {**job, "kind": "edit", "image": origin, "begin": 4, "mask": None, "resample": 1, "jump": 10}
    drop(page, png(Image.new("L", (28, 28)), whole), "edit-4.png")
    page.locator("#panel-edit .tab-content").wait_for()
    page.locator("#panel-edit [data-tool=clear]:not(:disabled)").wait_for()
    page.keyboard.press("g")
    page.locator("#panel-edit .result[data-state=done]").wait_for()
    asked = fake.posted("/api/runs")[0]["job"]
    assert asked.pop("begins") == [4]
    assert {**asked, "begin": 4, "larger": [], "mask": None, "resample": 1, "jump": 10} == whole


def test_ours_on_the_canvas_is_a_picture_and_offers_its_job(open_studio, drop, job):
    page = open_studio("edit")
    drop(page, png(Image.new("L", (28, 28), 9), job), "generate-4.png", "#panel-edit .easel")
    page.locator("#panel-edit [data-tool=clear]:not(:disabled)").wait_for()
    page.get_by_role("button", name="Open the job").click()
    page.locator("#panel-generate [data-prompt='4'][aria-pressed=true]").wait_for()


def test_the_model_sees_a_small_picture(open_studio, draw):
    page = open_studio("edit")
    draw(page, (0.2, 0.5), (0.8, 0.5))
    page.wait_for_timeout(200)
    url = page.locator("#panel-edit canvas.eye").evaluate("canvas => canvas.toDataURL()")
    eye = Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))).convert("L")
    assert eye.size == (28, 28)
    assert eye.getpixel((14, 14)) > 200 > eye.getpixel((14, 4))


def test_ink_on_paper_is_offered_as_a_negative(open_studio, drop, sheet, picture_of):
    page = open_studio("edit")
    drop(page, picture_of((60, 60), 250), "scan.png", "#panel-edit .easel")
    page.get_by_role("button", name="Take the negative").click()
    assert sheet(page).convert("L").getpixel((10, 10)) == 5
    drop(page, picture_of((60, 60), 20), "night.png", "#panel-edit .easel")
    page.locator("#panel-edit [data-tool=undo]:not(:disabled)").wait_for()
    assert page.get_by_role("button", name="Take the negative").count() == 0
