"""The tab Generate, driven with the mouse and with keys alone."""

from fake_studio import png
from PIL import Image


def test_digits_with_the_mouse(open_studio, fake):
    page = open_studio()
    page.locator("[data-prompt='8']").click()
    page.locator("[data-prompt='3']").click()
    page.get_by_label("Pictures", exact=True).fill("2")
    page.get_by_label("Seed", exact=True).fill("10")
    page.get_by_label("Guidance γ").fill("2.5")
    page.get_by_role("button", name="Generate").click()
    page.locator(".result[data-state=done]").wait_for()
    asked = {"kind": "generate", "model": "digits", "steps": 12, "seed": 10, "guidance": 2.5, "prompts": ["3", "8"]}
    assert fake.posted("/api/runs") == [{"job": asked, "count": 2, "keep": "last"}]
    assert page.locator(".tile").count() == 4
    assert page.locator(".readings li.right").inner_text().split() == ["read", "as", "3,", "97", "%"]
    assert page.locator(".tile .mark.wrong").count() == 2
    page.locator(".tile").nth(3).click()
    assert page.locator(".readings li.wrong").inner_text().split()[:4] == ["read", "as", "0,", "not"]
    assert page.locator(".command code").inner_text() == "sfumato generate 8 --steps 12 --seed 11"


def test_keys_alone(open_studio, fake):
    page = open_studio()
    page.keyboard.press("Tab")
    for _ in range(60):
        if page.evaluate("document.activeElement.dataset.prompt") == "7":
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Space")
    for _ in range(20):
        if page.evaluate("document.activeElement.labels?.[0]?.textContent") == "Pictures":
            break
        page.keyboard.press("Tab")
    page.keyboard.type("1")
    page.keyboard.press("Control+Enter")
    page.locator(".result[data-state=done]").wait_for()
    assert fake.posted("/api/runs")[0]["job"]["prompt"] == "7"
    assert fake.posted("/api/runs")[0]["count"] == 1


def test_live_preview_has_two_sides(open_studio, fake):
    fake.hold_at = 5
    page = open_studio()
    page.locator("[data-prompt='4']").click()
    page.keyboard.press("g")
    live = page.locator(".stage.live-picture img[src^='data:image/png']")
    page.locator(".state", has_text="Step 5 of 48, about").wait_for()
    live.wait_for()
    clean = live.get_attribute("src")
    page.locator("[data-side=x]").click()
    noisy = live.get_attribute("src")
    assert noisy != clean
    assert page.locator("progress").evaluate("bar => bar.value / bar.max") == 5 / 48
    fake.hold_at = 6
    page.locator(".state", has_text="Step 6").wait_for()
    page.wait_for_function("before => document.querySelector('.live-picture img').src !== before", arg=noisy)
    height = page.locator(".stage").bounding_box()["height"]
    fake.hold_at = None
    page.locator(".result[data-state=done]").wait_for()
    assert abs(page.locator(".stage").bounding_box()["height"] - height) < 1  # nothing jumps


def test_guidance_may_fall_on_the_way(open_studio, fake):
    page = open_studio()
    field = page.get_by_label("Guidance γ")
    field.fill("4..1")
    page.wait_for_timeout(400)  # the form is kept a moment after it was changed
    page.reload()
    assert field.input_value() == "4..1"
    page.keyboard.press("g")
    page.locator(".result[data-state=done]").wait_for()
    field.fill("much")
    page.keyboard.press("Control+Enter")
    page.locator(".result[data-state=done]").wait_for()
    assert [body["job"]["guidance"] for body in fake.posted("/api/runs")] == [
        [4, 1],
        "much",
    ]  # that one is refused there


def test_what_is_known_of_the_steps_stays_known(open_studio, fake):
    fake.hold_at = 0
    page = open_studio()
    page.keyboard.press("g")
    page.locator(".state", has_text="Step 0 of 48").wait_for()
    fake.publish("run", fake.runs[1] | {"total": 0})  # an answer given before the steps were counted, and late
    page.wait_for_timeout(300)
    assert "Step 0 of 48" in page.locator(".state").inner_text()


def test_cancel_with_escape_and_try_again(open_studio, fake):
    fake.hold_at = 3
    page = open_studio()
    page.keyboard.press("g")
    page.locator(".result[data-state=running]").wait_for()
    page.keyboard.press("Escape")
    page.locator(".result[data-state=cancelled]").wait_for()
    assert fake.runs[1]["state"] == "cancelled"
    fake.hold_at = None
    page.locator("[data-action=retry]").click()
    page.locator(".result[data-state=done]").wait_for()


def test_reload_during_a_run(open_studio, fake):
    fake.hold_at = 4
    page = open_studio()
    page.get_by_label("Pictures", exact=True).fill("3")
    page.locator("[data-prompt='9']").click()
    page.keyboard.press("g")
    page.locator(".state", has_text="Step 4").wait_for()
    page.wait_for_timeout(400)  # the form is kept a moment after it was changed
    page.reload()
    page.locator(".result[data-state=running] .state", has_text="Step 4 of 36").wait_for()
    fake.hold_at = 5
    page.locator(".stage.live-picture img[src^='data:image/png']").wait_for()
    assert page.locator("[data-prompt='9']").get_attribute("aria-pressed") == "true"
    assert page.get_by_label("Pictures", exact=True).input_value() == "3"
    page.get_by_role("button", name="Cancel").click()
    page.locator(".result[data-state=cancelled]").wait_for()


def test_reload_after_a_run_shows_its_pictures(open_studio):
    page = open_studio()
    page.keyboard.press("g")
    page.locator(".result[data-state=done]").wait_for()
    page.reload()
    page.locator(".result[data-state=done] .tile img[src^='/api/pictures/']").first.wait_for()
    assert page.locator(".tile").count() == 4


def test_place_in_the_queue(open_studio, fake):
    fake.hold_at = 2
    page = open_studio()
    page.keyboard.press("g")
    page.locator(".result[data-state=running]").wait_for()
    page.keyboard.press("g")
    page.locator(".state", has_text="Waiting: 1 run before it.").wait_for()
    page.keyboard.press("Escape")
    page.locator(".result[data-state=cancelled]").wait_for()
    assert fake.runs[2]["state"] == "cancelled"


def test_refusal_is_said_and_the_form_kept(open_studio, fake):
    page = open_studio()
    page.allowed_errors.append("422")
    page.locator("[data-prompt='2']").click()
    fake.refuse = (422, "model digits takes 1 to 300 steps, not 301")
    page.keyboard.press("g")
    page.locator(".toast.bad", has_text="takes 1 to 300 steps").wait_for()
    assert page.locator("[data-prompt='2']").get_attribute("aria-pressed") == "true"
    assert page.locator("button.primary").is_enabled()


def test_actions_of_a_picture(open_studio, fake):
    page = open_studio(permissions=["clipboard-read", "clipboard-write"])
    page.locator("[data-prompt='6']").click()
    page.get_by_label("Pictures", exact=True).fill("1")
    page.keyboard.press("Control+Enter")
    page.locator(".result[data-state=done]").wait_for()
    page.get_by_role("button", name="Copy the command").click()
    assert page.evaluate("navigator.clipboard.readText()") == "sfumato generate 6 --steps 12 --seed 0"
    page.locator("[data-action=seed]").click()
    page.locator(".toast", has_text="seed 0").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == "0"
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "generate-1.png"
    page.locator("[data-action=again]").click()
    page.locator(".earlier-run").wait_for()
    page.locator(".result[data-state=done]").wait_for()
    first, second = (body["job"] for body in fake.posted("/api/runs"))
    assert second["seed"] != first["seed"] == 0
    assert second["prompt"] == "6"
    page.locator("[data-send=edit]").click()
    page.locator("#panel-edit [data-tool=clear]:not(:disabled)").wait_for()


def test_text_model_takes_several_lines(open_studio, fake):
    page = open_studio()
    page.get_by_label("Model", exact=True).select_option("emoji")
    page.get_by_label("What", exact=True).fill("a red apple\n\n  a cat  \n")
    page.get_by_label("Pictures", exact=True).fill("1")
    page.get_by_text("Advanced").click()
    page.get_by_label("Not", exact=True).fill("dark")
    page.get_by_label("Make it larger", exact=True).select_option("1")
    page.get_by_label("Make it larger", exact=True).press("Control+Enter")
    page.locator(".result[data-state=done]").wait_for()
    job = fake.posted("/api/runs")[0]["job"]
    assert job["prompts"] == ["a red apple", "a cat"]
    assert (job["negative"], job["larger"], job["guidance"]) == ("dark", ["emoji/large"], 7)


def test_unconditional_model_asks_for_nothing(open_studio, fake):
    page = open_studio()
    page.get_by_label("Model", exact=True).select_option("digits/time")
    assert page.locator(".chip[data-prompt='3']").count() == 0
    assert page.get_by_label("Guidance γ").is_hidden()
    page.get_by_label("Pictures", exact=True).fill("1")
    page.keyboard.press("Control+Enter")
    page.locator(".result[data-state=done]").wait_for()
    asked = {"kind": "generate", "model": "digits/time", "steps": 12, "seed": 0, "guidance": 1, "prompt": None}
    assert fake.posted("/api/runs")[0]["job"] == asked


def test_dropped_picture_gives_the_same_job(open_studio, fake, drop, job):
    page = open_studio("edit")
    drop(page, png(Image.new("L", (28, 28)), job), "generate-4.png", "header")
    page.locator("#panel-generate .tab-content").wait_for()
    page.locator("[data-prompt='4'][aria-pressed=true]").first.wait_for()
    page.locator(".toast", has_text="The job of generate-4.png").wait_for()
    page.keyboard.press("g")
    page.locator(".result[data-state=done]").wait_for()
    asked = fake.posted("/api/runs")[0]
    assert asked["count"] == 1
    # What it leaves out is the model's own; what the form shows nothing of is kept as it is.
    left_out = {"larger": []}
    assert {**asked["job"], **left_out} == job
