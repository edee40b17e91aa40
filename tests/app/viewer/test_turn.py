import json
import math

import numpy as np
import pytest
import torch
from browser import watched

from sfumato.app.report.document import document
from sfumato.app.report.interactive import turnable
from sfumato.core.views import VIEWS, parse_view
from sfumato.evaluation.illusions import seen

SIMPLE = ("flip", "mirror", "rotate:90", "rotate:180", "rotate:270", "negate")
CHAINS = ("rotate:90+negate", "flip+negate", "rotate:90+flip", "mirror+rotate:270", "flip+mirror", "jigsaw+flip+negate")
KINDS = {"identity": "fade", "flip": "card", "mirror": "card", "rotate": "turn", "negate": "fade"}


def picture_for(view, noise):
    """A picture that the view fits; the sample of the signed ones is of two pixels side by side."""
    return torch.from_numpy(noise(3, 16, 32) if view.startswith("signed") else noise(3, 64, 64)).float() / 255


def expected(picture, view):
    levels = (seen(picture[None], parse_view(view, unsound=True))[0].clamp(0, 1) * 255).round()
    return levels.permute(1, 2, 0).numpy().astype(int)


def pixels_of(shot, shape):
    """The pixels in the middle of the square that shows a picture of this shape."""
    side, (height, width) = min(shot.shape[:2]), shape
    zoom = side / max(shape)
    rows = ((side - height * zoom) / 2 + (np.arange(height) + 0.5) * zoom).astype(int)
    columns = ((side - width * zoom) / 2 + (np.arange(width) + 0.5) * zoom).astype(int)
    return shot[rows][:, columns]


def same(shot, wanted, tolerance=3):
    apart = np.abs(pixels_of(shot, wanted.shape[:2]) - wanted)
    apart[[0, 0, -1, -1], [0, -1, 0, -1]] = 0  # the corners are round
    return apart.max() <= tolerance


def middle_of(page, stage):
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, box["width"]


def hold_and_turn(page, stage, degrees):
    """The pointer takes the picture and goes about its middle, counter-clockwise; it does not let go."""
    x, y, size = middle_of(page, stage)
    page.mouse.move(x + 0.3 * size, y)
    page.mouse.down()
    count = math.ceil(abs(degrees) / 20)
    for k in range(1, count + 1):
        angle = math.radians(degrees * k / count)
        page.mouse.move(x + 0.3 * size * math.cos(angle), y - 0.3 * size * math.sin(angle))


def hold_and_pull(page, stage, right, down=0.0):
    """The pointer takes the picture in its middle and goes by these shares of its width; it does not let go."""
    x, y, size = middle_of(page, stage)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + right * size, y + down * size, steps=5)


def markup(source, views, **attributes):
    lists = {"views": views, "captions": [f"reading {k}" for k in range(len(views))], **attributes}
    said = "".join(f" {key}='{json.dumps(value)}'" for key, value in lists.items())
    return f'<sf-turn src="{source}"{said}></sf-turn>'


def arrives(page, index):
    page.wait_for_function("index => document.querySelector('sf-turn').reading === index", arg=index)


def inside(page, *names):
    return [page.locator("sf-turn").locator(f".{name}") for name in names]


@pytest.fixture(scope="module")
def all_views(browser, noise, tmp_path_factory):
    """A page from the disk with a figure for every view of the registry, and for chains."""
    folder = tmp_path_factory.mktemp("views")
    table = torch.randperm(64 * 64, generator=torch.Generator().manual_seed(0)).add(1).view(64, 64)
    table[::2] *= -1
    (folder / "my-view.json").write_text(json.dumps(table.tolist()))
    views = [kind.example.replace("file:my-view.npy", f"file:{folder / 'my-view.json'}") for kind in VIEWS.values()]
    views = list(dict.fromkeys([*views, "rotate:180", "rotate:270", *CHAINS]))
    figures = [turnable(picture_for(v, noise), ["identity", v], ["one", "other"], v.partition(":")[0]) for v in views]
    path = folder / "page.html"
    path.write_text(document("Views", f"<main>{''.join(figures)}</main>"), encoding="utf-8")
    with watched(browser, viewport={"width": 1000, "height": 900}, reduced_motion="reduce") as page:
        page.set_default_timeout(5000)
        page.goto(path.as_uri())
        page.locator("sf-turn .stage").last.wait_for()
        yield page, views


@pytest.mark.parametrize("name", [*VIEWS, "rotate:180", "rotate:270", *CHAINS])
def test_every_view_is_turned_to_by_hand(all_views, name, look, noise):
    page, views = all_views
    number = next(k for k, view in enumerate(views) if view == name or (":" not in name and view.split(":")[0] == name))
    view = views[number]
    figure = page.locator("sf-turn").nth(number)
    stage = figure.locator(".stage")
    picture = picture_for(view, noise)
    assert same(look(stage), expected(picture, "identity"))
    kind = stage.get_attribute("data-kind")
    parts = [part.partition(":")[0] for part in view.split("+")]
    if len(parts) == 1:
        assert kind == KINDS.get(parts[0], "mix")
    # All the way, but still held: what moves must become what is seen, not be exchanged for it.
    if kind == "turn":
        hold_and_turn(page, stage, 180 if "180" in view or view == "flip+mirror" else 90 if "90" in view else -90)
    else:
        hold_and_pull(page, stage, 2.6 if kind == "card" else 1.1, -1.1)
    moving, gliding = look(stage), stage.locator("canvas").is_visible()
    page.mouse.up()
    assert same(moving, expected(picture, view)), "on the way"
    assert gliding == (kind == "mix" and parse_view(view, unsound=True).sound)
    page.wait_for_function("e => e.reading === 1", arg=figure.element_handle())
    assert same(look(stage), expected(picture, view)), "at rest"
    assert figure.locator(".reading").nth(1).get_attribute("aria-pressed") == "true"


@pytest.fixture
def turning(page_of, serve, url, noise):
    """A page under the strict policy with one picture and these views."""

    def opened(views, picture=None, body="{}", **options):
        page = page_of(**{"viewport": {"width": 1000, "height": 700}, "reduced_motion": "reduce", **options})
        page.set_default_timeout(5000)
        picture = noise(28, 28) if picture is None else picture
        page.goto(serve(body.format(markup(url(picture), views))))
        page.locator("sf-turn .stage").wait_for()
        return page

    return opened


@pytest.mark.parametrize("shape", [(3, 32, 32), (3, 16, 32)])
def test_one_picture_is_enough_for_turns_mirrors_and_negatives(turning, look, noise, shape):
    views = ["identity", *SIMPLE, *CHAINS[:5]]
    picture = torch.from_numpy(noise(*shape)).float() / 255
    page = turning(views, expected(picture, "identity"))
    stage = page.locator("sf-turn .stage")
    # From each to the next, by hand where it turns in the plane, and so from and to views that are not upright.
    for k, view in enumerate(views):
        page.locator("sf-turn").evaluate("(element, k) => { element.reading = k }", k)
        assert same(look(stage), expected(picture, view)), view


def test_it_turns_either_way_and_snaps_to_the_nearest_view(turning):
    page = turning(["identity", "rotate:180"])
    stage, hint, name = inside(page, "stage", "below .soft", "below .name")
    for degrees, index in ((96, 1), (-96, 0), (-84, 0), (84, 0), (262, 1), (456, 0)):
        hold_and_turn(page, stage, degrees)
        assert abs(int(hint.text_content().removesuffix("°")) - abs(degrees)) <= 1
        page.mouse.up()
        arrives(page, index)
        assert name.text_content() == f"reading {index}"
        assert stage.get_attribute("aria-valuenow") == str(index + 1)
        assert stage.get_attribute("aria-valuetext") == f"reading {index}, {['as it is', 'rotate:180'][index]}"


def test_a_turn_stops_at_every_view_that_it_passes(turning):
    page = turning(["identity", "rotate:90", "rotate:180", "rotate:270"])
    (stage,) = inside(page, "stage")
    for degrees, index in ((96, 1), (-40, 1), (50, 2), (180, 0), (-50, 3)):
        hold_and_turn(page, stage, degrees)
        page.mouse.up()
        arrives(page, index)


def test_the_corners_stay_inside_while_it_turns(turning):
    page = turning(["identity", "rotate:180"], np.full((28, 28), 128))
    (stage,) = inside(page, "stage")
    hold_and_turn(page, stage, 48)
    boxes = [locator.bounding_box() for locator in (stage, stage.locator("img").first)]
    page.mouse.up()
    outer, inner = boxes
    for side, corner in (("width", "x"), ("height", "y")):
        assert inner[corner] >= outer[corner] - 0.01
        assert inner[corner] + inner[side] <= outer[corner] + outer[side] + 0.01


def test_a_card_that_is_not_turned_over_far_enough_goes_back(turning):
    page = turning(["identity", "mirror"])
    (stage,) = inside(page, "stage")
    for share, index in ((0.4, 0), (0.6, 1), (-0.4, 1), (-0.6, 0)):
        hold_and_pull(page, stage, share)
        page.mouse.up()
        arrives(page, index)


def test_a_negative_is_crossfaded(turning, look):
    page = turning(["identity", "negate"], np.full((28, 28), 255))
    (stage,) = inside(page, "stage")
    hold_and_pull(page, stage, 0.25)
    assert abs(look(stage)[160, 160] - 255 * 0.75).max() <= 3
    page.mouse.up()
    arrives(page, 0)


def test_a_turn_with_a_negative_is_half_way_at_half_the_angle(turning, look):
    page = turning(["identity", "rotate:180+negate"], np.full((28, 28), 255))
    (stage,) = inside(page, "stage")
    hold_and_turn(page, stage, 90)
    assert abs(look(stage)[160, 160] - 127.5).max() <= 3
    page.mouse.up()


def test_keys_buttons_and_a_touch(turning):
    page = turning(["identity", "rotate:180", "flip"], body="<button>before</button>{}")
    page.evaluate("""() => {
        window.told = [];
        document.querySelector('sf-turn').addEventListener('reading', event => told.push(event.detail.index));
    }""")
    stage, buttons = inside(page, "stage", "reading")
    page.get_by_text("before").focus()
    page.keyboard.press("Tab")
    for key, index in (
        *(("ArrowRight", 1), ("ArrowUp", 2), ("ArrowRight", 2), ("ArrowLeft", 1), ("Home", 0), ("ArrowDown", 0)),
        *(("End", 2), (" ", 0), ("Enter", 1)),
    ):
        page.keyboard.press(key)
        arrives(page, index)
        pressed = [button.get_attribute("aria-pressed") for button in buttons.all()]
        assert pressed == [str(k == index).lower() for k in range(3)]
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    arrives(page, 0)
    buttons.nth(2).click()
    arrives(page, 2)
    stage.click()
    arrives(page, 0)
    assert page.evaluate("told") == [1, 2, 1, 0, 2, 0, 1, 0, 2, 0]


def test_a_finger_turns_it(turning):
    page = turning(["identity", "rotate:180"], has_touch=True, viewport={"width": 360, "height": 700})
    x, y, size = middle_of(page, page.locator("sf-turn .stage"))
    client = page.context.new_cdp_session(page)

    def touch(kind, *points):
        client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": a, "y": b} for a, b in points]})

    touch("touchStart", (x, y - 0.4 * size))
    for k in range(1, 19):
        angle = math.radians(90 + 10 * k)
        touch("touchMove", (x + 0.4 * size * math.cos(angle), y - 0.4 * size * math.sin(angle)))
    touch("touchEnd")
    arrives(page, 1)


@pytest.mark.parametrize(
    ("view", "action"), [("rotate:90", "none"), ("flip", "none"), ("mirror", "pan-y"), ("negate", "pan-y")]
)
def test_a_finger_may_scroll_where_it_can(turning, view, action):
    page = turning(["identity", view])
    assert page.locator("sf-turn .stage").evaluate("stage => getComputedStyle(stage).touchAction") == action


def test_motion_takes_its_time_unless_it_is_unwelcome(turning):
    at_once = "() => { const e = document.querySelector('sf-turn'); e.reading = 1; return e.reading; }"
    assert turning(["identity", "rotate:180"]).evaluate(at_once) == 1
    page = turning(["identity", "rotate:180"], reduced_motion="no-preference")
    assert page.evaluate(at_once) == 0
    arrives(page, 1)
    (stage,) = inside(page, "stage")
    stage.press("ArrowLeft")
    stage.press("End")  # what has begun is finished first
    arrives(page, 1)


@pytest.mark.parametrize("gliding", [True, False])
def test_a_second_picture_glides_or_fades(page_of, serve, url, noise, look, gliding):
    first, second = noise(28, 28), np.roll(noise(28, 28), 7, axis=1)
    moves = turnable(torch.zeros(1, 28, 28), ["identity", "roll:dx=0.25"], ["", ""], "")
    table = moves.split('moves="[&quot;&quot;, &quot;')[1].split("&quot;")[0]
    attributes = {"seen": ["", url(second)]} | ({"moves": ["", table]} if gliding else {})
    page = page_of(viewport={"width": 1000, "height": 700}, reduced_motion="reduce")
    page.goto(serve(markup(url(first), ["identity", "roll:dx=0.25"], **attributes)))
    stage, canvas = inside(page, "stage", "stage canvas")
    stage.wait_for()
    hold_and_pull(page, stage, 0.5)
    assert canvas.is_visible() == gliding
    if not gliding:
        assert same(look(stage), np.repeat(((first + second) / 2)[..., None], 3, axis=2), 4)
    hold = look(stage)
    page.mouse.move(0, 0)
    page.mouse.up()
    assert not same(hold, np.repeat(first[..., None], 3, axis=2), 40)


def test_what_is_wrong_is_said_in_its_place(page_of, serve, url, noise):
    source, broken = url(noise(8, 8)), "data:image/png;base64,AAAA"
    said = {
        markup(source, ["identity", "jigsaw"]): "What is seen through jigsaw is missing.",
        markup(broken, ["identity"]): "The picture cannot be read.",
        markup(source, []): "the attribute views wants at least one view",
        f'<sf-turn src="{source}" views="flip"></sf-turn>': "the attribute views wants a JSON list, not flip",
        "<sf-turn views='[\"flip\"]'></sf-turn>": "there is no picture",
        markup(source, ["flip"], moves=["AAAA"]): "The moves of flip are those of another picture.",
    }
    page = page_of()
    page.goto(serve("".join(said)))
    problems = page.locator("sf-turn .problem")
    problems.last.wait_for()
    for problem, words in zip(problems.all_text_contents(), said.values(), strict=True):
        assert words in problem


def test_it_follows_its_attributes(turning, url, look):
    page = turning(["identity", "rotate:180"], np.zeros((8, 8)))
    (stage,) = inside(page, "stage")
    page.locator("sf-turn").evaluate(
        "(element, source) => element.setAttribute('src', source)", url(np.full((8, 8), 200))
    )
    page.wait_for_function(
        "source => document.querySelector('sf-turn').shadowRoot.querySelector('img').src === source",
        arg=url(np.full((8, 8), 200)),
    )
    assert abs(look(stage)[100, 100] - 200).max() <= 1
    crisp = stage.locator("img").first.evaluate("image => getComputedStyle(image).imageRendering")
    page.locator("sf-turn").evaluate("element => element.toggleAttribute('smooth')")
    smooth = stage.locator("img").first.evaluate("image => getComputedStyle(image).imageRendering")
    assert (crisp, smooth) == ("pixelated", "auto")
