import base64
import io
import math

import numpy as np
import pytest
import torch
from PIL import Image

from sfumato.app.report.interactive import at_distance
from sfumato.core.filters import LowPass


def drawn(element):
    """What is on the canvas, as (h, w, 3)."""
    source = element.evaluate("element => element.shadowRoot.querySelector('canvas').toDataURL()")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))).convert("RGB")).astype(int)


def gaussian_blur(picture, sigma):
    """A Gaussian of standard deviation `sigma` pixels along both axes of (h, w, 3), borders mirrored."""
    for axis in (0, 1):
        size, radius = picture.shape[axis], math.ceil(6 * sigma)
        weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
        matrix = np.zeros((size, size))
        for row in range(size):
            source = np.arange(row - radius, row + radius + 1) % (2 * size)
            np.add.at(matrix[row], np.minimum(source, 2 * size - 1 - source), weights / weights.sum())
        picture = np.moveaxis(np.tensordot(matrix, picture, (1, axis)), 0, axis)
    return picture


def walk(element, share):
    """Puts the slider so far, from 0 to 1."""
    element.locator("input").evaluate(
        "(range, value) => { range.value = value; range.dispatchEvent(new Event('input')); }", share
    )


@pytest.fixture
def standing(page_of, serve, url):
    """An element under the strict policy with this picture, (h, w) or (h, w, 3)."""

    def opened(picture, sigma=2, attributes="", **options):
        page = page_of(**{"viewport": {"width": 800, "height": 800}, **options})
        page.set_default_timeout(5000)
        page.goto(
            serve(f'<sf-distance src="{url(picture)}" far="3" near="8" sigma="{sigma}" {attributes}></sf-distance>')
        )
        element = page.locator("sf-distance")
        element.locator("canvas").wait_for()
        return element

    return opened


@pytest.mark.parametrize(("shape", "sigma"), [((28, 28), 2), ((64, 48, 3), 2.5), ((256, 256, 3), 3)])
def test_the_blur_is_the_gaussian_that_it_says(standing, noise, shape, sigma):
    picture = noise(*shape)
    element = standing(picture, sigma)
    zoom = drawn(element).shape[0] // shape[0]
    assert zoom == max(1, 224 // max(shape[:2]))
    squares = np.atleast_3d(picture).repeat(zoom, 0).repeat(zoom, 1).astype(float) * np.ones(3)
    assert (drawn(element) == squares).all()  # from near it is the picture itself
    for share in (0.3, 0.66, 1):
        walk(element, share)
        blur = element.evaluate("element => element.blur")
        assert blur == pytest.approx(sigma * (8**share - 1) / 7)
        assert np.abs(drawn(element) - gaussian_blur(squares, blur * zoom)).max() <= 1
        told = [f"{8**share:.1f} times as far", f"blurred by σ = {blur:.2f} px"]
        assert element.locator(".told span").all_text_contents() == told
    assert blur == sigma


def test_at_the_end_it_is_what_parted_far_from_near(standing, noise):
    picture = noise(28, 28)
    element = standing(picture, 2)
    walk(element, 1)
    cells = drawn(element)[..., 0].reshape(28, 8, 28, 8).mean((1, 3))
    parted = LowPass(2.0)(torch.from_numpy(picture)[None, None].double())[0, 0].numpy()
    # But for the squares of the pixels, which an eye blurs too; the borders are mirrored half a pixel apart.
    assert np.abs(cells - parted)[8:-8, 8:-8].max() < 2


def test_going_away_makes_it_smaller_and_fades_one_caption_into_the_other(standing, noise):
    element = standing(noise(28, 28))
    near, far, small, hall = (element.locator(f".{name}") for name in ("near", "far", "hall img", "hall"))

    def seen(end):
        return float(end.evaluate("node => getComputedStyle(node, '::after').opacity"))

    def colour(end):
        return end.locator(".name").evaluate("node => getComputedStyle(node).color")

    assert (near.text_content(), far.text_content()) == ("8near", "3far")
    widths, fading = [], []
    for share in (0, 0.25, 0.5, 0.75, 1):
        walk(element, share)
        widths.append(small.bounding_box()["width"] / (hall.bounding_box()["width"] - 2))  # but for its border
        fading.append((seen(near), seen(far)))
        if share == 0:
            from_near = colour(near), colour(far)
    assert widths == pytest.approx([0.84 / 8**share for share in (0, 0.25, 0.5, 0.75, 1)], rel=0.03)
    assert (fading[0], fading[-1]) == ((1, 0), (0, 1))
    assert [one for one, _ in fading] == sorted((one for one, _ in fading), reverse=True)
    assert all(sum(both) == pytest.approx(1, abs=0.01) for both in fading)
    assert (colour(near), colour(far)) == from_near[::-1]


def test_it_is_walked_with_keys_and_by_the_mouse(standing, noise):
    element = standing(noise(28, 28))
    page, slider = element.page, element.get_by_role("slider", name="Distance")
    slider.focus()
    for key, share in (("End", 1), ("ArrowLeft", 0.99), ("Home", 0), ("ArrowRight", 0.01)):
        page.keyboard.press(key)
        assert element.evaluate("element => element.distance") == pytest.approx(8**share)
    box = slider.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert element.evaluate("element => element.distance") == pytest.approx(8**0.5, rel=0.05)
    assert slider.get_attribute("aria-valuetext") == ", ".join(element.locator(".told span").all_text_contents())


def test_squares_are_softened_only_where_asked(standing):
    edge = np.zeros((28, 28))
    edge[:, 14:] = 255
    sharp, soft = drawn(standing(edge)), drawn(standing(edge, attributes="smooth"))
    assert set(np.unique(sharp)) == {0, 255}
    assert len(np.unique(soft)) > 3


def test_from_the_disk(page_of, on_disk):
    picture = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0))
    page = page_of()
    page.goto(on_disk(at_distance(picture, 'a "skull"', "a <waterfall>", 1.5, "A hybrid & more.")))
    element = page.locator("sf-distance")
    element.locator("canvas").wait_for()
    assert element.locator(".name").all_text_contents() == ["a <waterfall>", 'a "skull"']
    assert (drawn(element)[1::3, 1::3] == (picture * 255).round().permute(1, 2, 0).numpy()).all()


def test_what_is_wrong_is_said_in_its_place(page_of, serve, url):
    page = page_of()
    page.goto(
        serve(
            f'<sf-distance src="{url(np.zeros((8, 8)))}" sigma="x"></sf-distance><sf-distance sigma="1"></sf-distance>'
        )
    )
    page.locator(".problem").last.wait_for()
    first, second = page.locator(".problem").all_text_contents()
    assert "sigma wants a number above 0, not x" in first
    assert "there is no picture" in second
