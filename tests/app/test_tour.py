import base64
import io
import json
import re
import shlex
from html.parser import HTMLParser

import pytest
import torch
from PIL import Image

from sfumato.app.report.chart import Axis, Series, chart
from sfumato.app.report.figures import text
from sfumato.app.report.formula import formula
from sfumato.app.tour import TINY, run_tour
from sfumato.app.tour.drawings import DRAWINGS, half_mask
from sfumato.app.tour.texts import TEXTS
from sfumato.app.tour.workshop import listing
from sfumato.backends.network import Defaults, NetworkDenoiser
from sfumato.evaluation.judge import Judge
from sfumato.models.course_unet import CourseUNet, CourseUNetConfig
from sfumato.models.judge import JudgeNet
from sfumato.training.data import ImageData
from sfumato.training.recipe import load_recipe

DIGITS = tuple("0123456789")
ROWS = (
    *("A1.1", "A1.2", "A1.3", "A1.4", "A1.5", "A1.6", "A1.7", "A1.7.1", "A1.7.2", "A1.7.3", "A1.8", "A1.9"),
    *("B1.1", "B1.2", "B1.3", "B2.1", "B2.4", "B3"),
)
RECIPES = {"digits": "class", "digits/time": "time", "digits/denoiser": "denoiser"}


def load(name: str, dtype: str) -> NetworkDenoiser:
    """A tiny random network in the place of a bundled one."""
    torch.manual_seed(0)
    recipe = load_recipe(RECIPES[name])
    classes = DIGITS if recipe.class_conditioned else ()
    network = CourseUNet(CourseUNetConfig(4, time=recipe.time_conditioned, classes=classes))
    network.eval().requires_grad_(False)
    defaults = Defaults(1 if name == "digits/denoiser" else 20, 2.0 if classes else 1.0, 2.0)
    return NetworkDenoiser(name, network, recipe.make_schedule(), recipe.prediction, defaults=defaults)


class Page(HTMLParser):
    """What the tests ask of a page: ids, images, links, and that its elements are closed in order."""

    VOID = frozenset({"meta", "img", "br", "line", "polyline"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.images: list[dict] = []
        self.links: list[str] = []
        self.code: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if "id" in values:
            self.ids.append(values["id"])
        if tag == "img":
            self.images.append(values)
        self.links += [values[name] for name in ("href", "src", "xlink:href") if name in values]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-2:] == ["pre", "code"]:
            self.code.append(data)


@pytest.fixture(scope="module")
def tour(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tour")
    images = torch.randint(0, 256, (20, 1, 28, 28), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    data = ImageData("noise <&>", images, torch.arange(20) % 10, DIGITS)
    torch.manual_seed(1)
    judge = Judge(JudgeNet(10), DIGITS)
    told = []
    result = run_tour(
        folder, data=data, model_loader=load, size=TINY, judge=judge, on_progress=lambda *line: told.append(line)
    )
    return folder, result, told


@pytest.fixture(scope="module")
def page(tour):
    return Page(tour[1].report.read_text(encoding="utf-8"))


def test_the_page_is_well_formed_and_has_every_row(page):
    assert not page.open
    assert len(page.ids) == len(set(page.ids))
    assert [name for name in page.ids if name in TEXTS] == list(ROWS)


def test_the_page_asks_for_nothing(tour, page):
    assert all(link.startswith(("#", "data:image/")) for link in page.links)
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    source = tour[1].report.read_text(encoding="utf-8")
    without_data = re.sub(r"data:image/[a-z]+;base64,[\w+/=]+", "", source)
    assert not re.search(r"https?://|url\(|@import|<script|<link|<iframe", without_data)


def test_every_image_has_words_and_decodes(page):
    assert len(page.images) > 50
    for image in page.images:
        assert image["alt"].strip()
        kind, content = re.fullmatch(r"data:image/(png|gif);base64,(.+)", image["src"]).groups()
        with Image.open(io.BytesIO(base64.b64decode(content, validate=True)), formats=(kind.upper(),)) as picture:
            picture.load()


def test_what_is_written_is_whole(tour):
    folder, result, _ = tour
    assert json.loads((folder / "numbers.json").read_text(encoding="utf-8")) == json.loads(json.dumps(result.numbers))
    assert list(result.numbers["rows"]) == list(ROWS)
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".html", ".json", ".png", ".gif"}
    assert not [path for path in files if path.name.startswith(".")]
    for path in files:
        if path.suffix in {".png", ".gif"}:
            with Image.open(path) as image:
                image.load()
    assert len(list((folder / "pictures").glob("*.gif"))) == 3


def test_numbers_are_plain(tour):
    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    json.loads((tour[0] / "numbers.json").read_text(encoding="utf-8"), parse_constant=refuse)


def test_commands_name_files_that_are_there(tour, page):
    assert page.code
    for command in page.code:
        program, *words = shlex.split(command)
        assert program == "sfumato"
        assert all((tour[0] / word).is_file() for word in words if word.endswith(".png"))


def test_text_from_outside_is_escaped(tour):
    source = tour[1].report.read_text(encoding="utf-8")
    assert "noise &lt;&amp;&gt;" in source
    assert "noise <&>" not in source


def test_progress_is_told_to_the_end(tour):
    *_, told = tour
    assert [done for _, done, _ in told] == list(range(len(told)))
    assert told[-1][1] == told[-1][2]


def test_digits_are_drawn_where_there_are_none(tmp_path, monkeypatch):
    from sfumato.app import tour as module

    monkeypatch.setattr(module, "CHAPTERS", module.CHAPTERS[:0])
    monkeypatch.setattr(module, "_front", lambda w, numbers, took: module.Front((), (), (w.data.name,)))
    result = run_tour(tmp_path, data=None, model_loader=load, size=TINY, judge=Judge(JudgeNet(10), DIGITS))
    assert result.numbers["data"]["name"] == "typeset-test"


def test_drawings_are_pictures_of_strokes():
    for draw in DRAWINGS.values():
        x = draw()
        assert x.shape == (1, 28, 28)
        assert torch.equal(x, draw())
        assert 0.05 < float(x.mean()) < 0.4
        assert max(float(x[:, [0, -1]].max()), float(x[:, :, [0, -1]].max())) < 0.05
    assert set(half_mask().flatten().tolist()) == {0.0, 1.0}


def test_formulas():
    assert "<msub><mi>x</mi><mi>t</mi></msub>" in formula("x_t")
    assert "<mfrac>" in formula("frac{1}{2}")
    assert '<mover accent="true"><mi>α</mi><mo>¯</mo></mover>' in formula("ᾱ")
    assert "&lt;" in formula("a < b")
    for text_of in TEXTS.values():
        formula(text_of.formula)
    for broken in ("frac{1}", "{x", "x}", "x_"):
        with pytest.raises(ValueError, match="formula"):
            formula(broken)


def test_charts():
    drawn = chart([Series("loss", ((1, 1.0), (10, 0.1), (100, 0.01)))], "step", "loss", "It falls.", log_y=True)
    assert "1 at 1 to 0.01 at 100" in drawn
    assert chart([Series("nothing", ())], "x", "y", "") == ""
    flat = chart([Series("flat", ((0, 2.0), (1, 2.0)))], "x", "y", "")
    assert "nan" not in flat
    assert Axis("x", 0, 10, False, 0, 100).ticks() == [0, 2, 4, 6, 8, 10]
    assert Axis("x", 0.1, 10, True, 0, 100).ticks() == pytest.approx([0.1, 0.2, 0.5, 1, 2, 5, 10])


def test_words():
    assert listing(["a"]) == "a"
    assert listing(["a", 2, "c"]) == "a, 2 and c"
    assert text('<"&') == "&lt;&quot;&amp;"
