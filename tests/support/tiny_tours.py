"""Tiny models of every kind, with random weights, and tours of them: what they show makes no sense, but all of it."""

import functools
import json
from dataclasses import replace
from html.parser import HTMLParser

import torch

from sfumato.app.tour import TINY, run_tour, subject_of
from sfumato.app.tour.inputs import own_pictures
from sfumato.backends.network import Defaults, NetworkDenoiser
from sfumato.core.predictions import Prediction
from sfumato.core.schedules import shifted_cosine
from sfumato.evaluation.judge import Judge
from sfumato.models.course_unet import CourseUNet, CourseUNetConfig
from sfumato.models.judge import JudgeNet
from sfumato.models.text import Vocabulary
from sfumato.models.text_unet import TextUNetConfig
from sfumato.training.data import ImageData
from sfumato.training.recipe import load_recipe

DIGITS = tuple("0123456789")
CLOTHES = ("ankle boot", "bag", "coat", "dress", "sandal", "shirt")
RECIPES = {
    "digits": "class",
    "digits/time": "time",
    "digits/denoiser": "denoiser",
    "digits/flow": "flow",
    "clothes": "flow",
}
SAID = ("an oil painting of a snowy mountain village", "a man wearing a hat", "a rocket ship", "a high quality photo")


def course_model(name: str) -> NetworkDenoiser:
    """A network of the course in the place of a trained one."""
    torch.manual_seed(0)
    recipe = load_recipe(RECIPES[name])
    classes = (DIGITS if name.startswith("digits") else CLOTHES) if recipe.class_conditioned else ()
    network = CourseUNet(CourseUNetConfig(4, time=recipe.time_conditioned, classes=classes))
    network.eval().requires_grad_(False)
    steps, guidance = (1 if name == "digits/denoiser" else 20), (2.0 if classes else 1.0)
    defaults = Defaults(steps, guidance, 2.0, illusion_guidance=5.0 if classes else None)
    return NetworkDenoiser(name, network, recipe.make_schedule(), recipe.prediction, defaults=defaults)


def text_model(size: int = 16, subjects=(("lion", ["3D render"]), ("cat", []), ("dog", []), ("duck", []))):
    """One that reads some words, in colour."""
    torch.manual_seed(0)
    words = Vocabulary.of([*SAID, "lion cat dog duck tiger"]).words
    network = TextUNetConfig(words, size=size, widths=(32,), text_width=32).build().eval().requires_grad_(False)
    torch.nn.init.normal_(network.last.weight, std=0.05)
    return NetworkDenoiser(
        "words",
        network,
        shifted_cosine(1000),
        Prediction.V,
        facts={"data": {"subjects": [list(row) for row in subjects]}},
        pixel_range=(-1.0, 1.0),
        defaults=Defaults(20, 2.0, size / 32),
    )


@functools.cache
def load(name: str, dtype: str = "float32") -> NetworkDenoiser:
    return text_model() if name == "words" else course_model(name)


def noise_digits() -> ImageData:
    images = torch.randint(0, 256, (20, 1, 28, 28), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    return ImageData("noise <&>", images, torch.arange(20) % 10, DIGITS)


@functools.cache
def some_judge() -> Judge:
    torch.manual_seed(1)
    return Judge(JudgeNet(10), DIGITS)


def judges(prompts):
    """Who reads digits, and nothing else; a random one, so that both verdicts come out."""
    return some_judge() if prompts and set(prompts) <= set(DIGITS) else None


class Tour:
    """A tour that was made: its folder, what it gave, what it told, and its page."""

    def __init__(self, folder, subject, **options) -> None:
        self.folder, self.told = folder, []
        self.result = run_tour(
            folder, subject, load, size=TINY, on_progress=lambda *line: self.told.append(line), **options
        )
        self.source = self.result.report.read_text(encoding="utf-8")
        self.page = Page(self.source)

    @property
    def rows(self) -> dict:
        return json.loads((self.folder / "numbers.json").read_text(encoding="utf-8"))["rows"]


class Page(HTMLParser):
    """What the tests ask of a page: ids, images, links, commands, and that its elements are closed in order."""

    VOID = frozenset({"meta", "img", "br", "line", "polyline", "circle", "source"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.images: list[dict] = []
        self.links: list[str] = []
        self.code: list[str] = []
        self.tags: list[str] = []
        self.labels: list[str | None] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.tags.append(tag)
        if "id" in values:
            self.ids.append(values["id"])
        if tag == "img":
            self.images.append(values)
        if tag == "svg":
            self.labels.append(values.get("aria-label"))
        self.links += [values[name] for name in ("href", "src", "srcset", "xlink:href") if name in values]
        if tag == "code" and self.open[-1:] == ["pre"]:
            self.code.append("")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-2:] == ["pre", "code"]:
            self.code[-1] += data


def subject(name: str, **changes):
    """What a tour of one of these models is about."""
    data = noise_digits() if name.startswith("digits") else own_pictures(load(name).shape)
    return replace(subject_of(load(name), name, data), judges=judges, **changes)
