import base64
import io
import json
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from PIL import Image

from sfumato.app.report.document import document
from sfumato.app.report.interactive import at_distance, before_after, script, stepper, turnable
from sfumato.core.views import parse_view
from sfumato.core.views.rearranged import Hinge
from sfumato.evaluation.illusions import seen


class Parts(HTMLParser):
    """The elements and the pictures of some markup."""

    def __init__(self, markup):
        super().__init__()
        self.elements, self.pictures, self.alts = [], [], []
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if tag.startswith("sf-"):
            self.elements.append((tag, values))
        if tag == "img":
            content = base64.b64decode(values["src"].removeprefix("data:image/png;base64,"), validate=True)
            self.pictures.append(np.atleast_3d(np.asarray(Image.open(io.BytesIO(content)))).transpose(2, 0, 1))
            self.alts.append(values["alt"])


def picture(*shape):
    levels = torch.randint(0, 256, shape or (1, 28, 28), generator=torch.Generator().manual_seed(0))
    return levels.float() / 255


def same(pixels, x):
    return np.array_equal(pixels, (x.clamp(0, 1) * 255).round().numpy())


def test_what_is_turned_has_every_reading_inside():
    x, views = picture(3, 28, 28), ["identity", "negate", "hinge:3+negate"]
    markup = turnable(x, views, ["one", "two", 'th"r<ee'], "A & B", ["right", "", "wrong"])
    parts = Parts(markup)
    ((tag, said),) = parts.elements
    assert tag == "sf-turn"
    assert [json.loads(said[name]) for name in ("views", "captions", "verdicts")] == [
        views,
        ["one", "two", 'th"r<ee'],
        ["right", "", "wrong"],
    ]
    assert all(same(p, seen(x[None], parse_view(v))[0]) for p, v in zip(parts.pictures, views, strict=True))
    assert parts.alts == ["one, as it is", "two, seen through negate", 'th"r<ee, seen through hinge:3+negate']
    assert "A &amp; B" in markup
    assert "smooth" not in said
    first, second, third = json.loads(said["moves"])
    assert (first, second) == ("", "")
    sources = np.frombuffer(base64.b64decode(third), "<u2")
    assert np.array_equal(sources.reshape(28, 28), Hinge(3).sources(28, 28).numpy())


def test_pixels_glide_where_they_are_few_and_only_change_places():
    assert "moves" not in Parts(turnable(picture(), ["identity", "rotate:90"], ["", ""], "")).elements[0][1]
    assert "moves" not in Parts(turnable(picture(), ["identity", "blur:2"], ["", ""], "")).elements[0][1]
    assert "moves" in Parts(turnable(picture(1, 128, 128), ["identity", "roll"], ["", ""], "")).elements[0][1]
    assert "moves" not in Parts(turnable(picture(1, 132, 132), ["identity", "roll"], ["", ""], "")).elements[0][1]


def test_steps_are_one_strip():
    frames = [picture(2, 1, 8, 12) * k / 3 for k in range(4)]
    parts = Parts(stepper(frames, list("abcd"), ["x_t", "x̂₀"], "Steps."))
    ((tag, said),) = parts.elements
    assert (tag, said["columns"], said["rows"]) == ("sf-steps", "4", "2")
    assert (json.loads(said["labels"]), json.loads(said["row-labels"])) == (list("abcd"), ["x_t", "x̂₀"])
    (strip,) = parts.pictures
    for k, frame in enumerate(frames):
        for row in range(2):
            assert same(strip[:, 8 * row : 8 * row + 8, 12 * k : 12 * k + 12], frame[row])
    assert parts.alts == ["4 steps from left to right, a to d; rows: x_t, x̂₀"]


def test_large_pictures_are_smooth():
    small, large = picture(3, 128, 128), picture(3, 64, 129)
    for make in (
        lambda x: turnable(x, ["identity"], ["a"], ""),
        lambda x: at_distance(x, "a", "b", 2, ""),
        lambda x: stepper([x[None]], ["a"], ["b"], ""),
        lambda x: before_after(x, x, ("a", "b"), ""),
    ):
        assert "smooth" not in Parts(make(small)).elements[0][1]
        assert "smooth" in Parts(make(large)).elements[0][1]


def test_what_does_not_fit_is_refused():
    x = picture()
    with pytest.raises(ValueError, match="there are 2 views and 1 captions"):
        turnable(x, ["identity", "flip"], ["one"], "")
    with pytest.raises(ValueError, match="there are 1 views and 2 verdicts"):
        turnable(x, ["flip"], ["one"], "", ["right", "wrong"])
    with pytest.raises(ValueError, match="unknown view 'flop'"):
        turnable(x, ["flop"], ["one"], "")
    with pytest.raises(ValueError, match="above 0, not -1"):
        at_distance(x, "a", "b", -1, "")
    with pytest.raises(ValueError, match="there are 2 frames and 1 labels"):
        stepper([x[None], x[None]], ["a"], ["b"], "")
    with pytest.raises(ValueError, match="there are 1 pictures in a frame and 2 row labels"):
        stepper([x[None]], ["a"], ["b", "c"], "")
    with pytest.raises(ValueError, match="28×28 and 28×14 pixels are not of one aspect"):
        before_after(x, x[:, :14], ("a", "b"), "")
    assert before_after(x, picture(3, 56, 56), ("small", "large"), "")


def test_one_script_for_many_figures():
    figures = "".join(at_distance(picture(), "a", "b", 1, "") for _ in range(3))
    page = document("Three", figures)
    assert page.count(script()) == page.count("<script") == 1
    assert page.index("<script") > page.index("<sf-distance")
