import base64
import io
import json

import numpy as np
import pytest
import torch
from PIL import Image

from sfumato.app.report.interactive import stepper

COLUMNS, ROWS, SIDE = 9, 2, 12
LABELS = [f"t = {100 - 10 * k}" for k in range(COLUMNS)]
NAMES = ["x_t", "x̂₀"]


@pytest.fixture
def strip(noise):
    return noise(ROWS * SIDE, COLUMNS * SIDE, 3)


@pytest.fixture
def stepping(page_of, serve, url, strip):
    """An element under the strict policy."""

    def opened(clock=False, **attributes):
        page = page_of(viewport={"width": 800, "height": 700})
        page.set_default_timeout(5000)
        if clock:
            page.clock.install(time=0)
        given = {
            "src": url(strip),
            "columns": COLUMNS,
            "rows": ROWS,
            "labels": LABELS,
            "row-labels": NAMES,
            **attributes,
        }
        said = " ".join(f"{k}='{json.dumps(v) if isinstance(v, list) else v}'" for k, v in given.items())
        page.goto(serve(f"<sf-steps {said}></sf-steps>"))
        element = page.locator("sf-steps")
        element.get_by_role("slider").wait_for()
        if clock:
            page.clock.pause_at(3600)
        return element

    return opened


def shown(element):
    """The pictures that are there, as (h, w, 3)."""
    sources = element.evaluate("e => [...e.shadowRoot.querySelectorAll('canvas')].map(canvas => canvas.toDataURL())")
    files = [io.BytesIO(base64.b64decode(source.partition(",")[2])) for source in sources]
    return [np.asarray(Image.open(file).convert("RGB")) for file in files]


def is_at(element, strip, step):
    for row, picture in enumerate(shown(element)):
        box = np.s_[row * SIDE : (row + 1) * SIDE, step * SIDE : (step + 1) * SIDE]
        assert (picture == strip[box]).all()
    told = f"{LABELS[step]}step {step} of {COLUMNS - 1}"
    assert element.locator(".told").text_content() == told
    slider = element.get_by_role("slider")
    assert slider.get_attribute("aria-valuetext") == f"{LABELS[step]}, step {step} of {COLUMNS - 1}"
    names = [canvas.get_attribute("aria-label") for canvas in element.locator("canvas").all()]
    assert names == [f"{name}, {LABELS[step]}" for name in NAMES]
    return True


def test_keys_go_from_step_to_step(stepping, strip):
    element = stepping()
    assert is_at(element, strip, COLUMNS - 1)  # at first what came of it
    element.get_by_role("slider").focus()
    for key, step in (("Home", 0), ("ArrowRight", 1), ("ArrowUp", 2), ("ArrowLeft", 1), ("End", COLUMNS - 1)):
        element.page.keyboard.press(key)
        assert is_at(element, strip, step)


def test_the_mouse_goes_to_any_step(stepping, strip):
    element = stepping()
    box = element.get_by_role("slider").bounding_box()
    mouse = element.page.mouse
    mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert is_at(element, strip, 4)
    mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    mouse.down()
    mouse.move(box["x"] + 2, box["y"] + box["height"] / 2, steps=4)
    mouse.up()
    assert is_at(element, strip, 0)


def test_it_plays_to_the_end_and_again_from_the_start(stepping, strip):
    element = stepping(clock=True)
    page, slider = element.page, element.get_by_role("slider")
    element.get_by_role("button", name="Play").click()
    assert is_at(element, strip, 0)
    page.clock.run_for(2 * 400 + 10)
    assert is_at(element, strip, 2)
    slider.press(" ")
    page.clock.run_for(2000)
    assert is_at(element, strip, 2)
    slider.press(" ")
    assert element.get_by_role("button", name="Pause").is_visible()
    page.clock.run_for(10_000)
    assert is_at(element, strip, COLUMNS - 1)
    assert element.get_by_role("button", name="Play").is_visible()


def test_a_hand_stops_it(stepping, strip):
    element = stepping(clock=True)
    element.get_by_role("button", name="Play").click()
    element.get_by_role("slider").press("ArrowRight")
    element.page.clock.run_for(3000)
    assert is_at(element, strip, 1)
    assert not element.evaluate("element => element.playing")


def test_it_tells_and_is_told(stepping, strip):
    element = stepping()
    element.evaluate("e => { window.told = []; e.addEventListener('step', event => told.push(event.detail.step)); }")
    element.evaluate("e => { e.step = 3; e.step = 3; e.step = 99; }")
    assert element.page.evaluate("told") == [3, COLUMNS - 1]
    element.evaluate("e => { e.step = 3; }")
    assert is_at(element, strip, 3)


def test_a_strip_that_grows(stepping, strip, url):
    element = stepping(src=url(strip[:, : 4 * SIDE]), columns=4)
    grow = "(e, src) => { e.setAttribute('src', src); e.setAttribute('columns', 9); }"
    element.evaluate(grow, url(strip))
    element.page.wait_for_function("() => document.querySelector('sf-steps').step === 8")
    assert is_at(element, strip, COLUMNS - 1)


def test_what_is_wrong_is_said_in_its_place(page_of, serve, url, strip):
    page = page_of()
    page.goto(serve(f"<sf-steps src='{url(strip)}' columns='7' rows='2'></sf-steps><sf-steps></sf-steps>"))
    page.locator(".problem").last.wait_for()
    first, second = page.locator(".problem").all_text_contents()
    assert first == "A strip of 108 × 24 pixels has no 7 columns and 2 rows."
    assert "there is no picture" in second


def test_from_the_disk(page_of, on_disk):
    frames = torch.rand(4, 3, 1, 16, 24, generator=torch.Generator().manual_seed(0))
    page = page_of()
    page.goto(on_disk(stepper(list(frames), ["t = 3", "t = 2", "t = 1", "<done>"], ["a", "b", "c"], "Steps.")))
    element = page.locator("sf-steps")
    element.get_by_role("slider").press("ArrowLeft")
    wanted = [(frame * 255).round().expand(3, -1, -1).permute(1, 2, 0).numpy() for frame in frames[2]]
    assert all((one == other).all() for one, other in zip(shown(element), wanted, strict=True))
    element.get_by_role("slider").press("End")
    assert element.locator(".told .name").text_content() == "<done>"
