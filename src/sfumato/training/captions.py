"""What a picture is called while a model is taught: what is known of it, and captions as people would type them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import torch

from sfumato.training.painterly import TREATMENTS


@dataclass(frozen=True)
class Record:
    """What is known of a picture."""

    names: tuple[str, ...]
    """Of what is seen, at least one; each may stand in a caption."""
    keywords: tuple[str, ...] = ()
    styles: tuple[str, ...] = ()
    """Phrases for how it is drawn, such as "3D render"; the first is the usual one."""
    concept: str = ""
    """What pictures of the same thing share."""
    mirror: bool = True
    """Whether it may be mirrored without becoming wrong."""


WHITE = "white"
COLOURS: Mapping[str, tuple[float, float, float]] = MappingProxyType(
    {
        WHITE: (1.0, 1.0, 1.0),
        "red": (0.86, 0.16, 0.16),
        "orange": (0.96, 0.58, 0.16),
        "yellow": (0.97, 0.86, 0.28),
        "green": (0.28, 0.68, 0.32),
        "dark green": (0.08, 0.32, 0.18),
        "light blue": (0.66, 0.85, 0.96),
        "blue": (0.16, 0.42, 0.86),
        "dark blue": (0.08, 0.14, 0.42),
        "purple": (0.52, 0.28, 0.70),
        "pink": (0.97, 0.66, 0.80),
        "brown": (0.46, 0.30, 0.20),
        "grey": (0.55, 0.55, 0.55),
        "gray": (0.55, 0.55, 0.55),
        "black": (0.05, 0.05, 0.05),
    }
)
"""Backgrounds by what a caption calls them: red, green and blue (sRGB) in [0, 1]."""

_SPOKEN: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "oil painting": ("oil painting", "painting"),
        "pencil sketch": ("pencil sketch", "pencil drawing", "sketch"),
        "watercolour": ("watercolour", "watercolor", "watercolour painting", "watercolor painting"),
    }
)
"""Treatments that go by more than one name; the first is the usual one."""

_HEADS = (
    "a picture of",
    "an image of",
    "a drawing of",
    "a photo of",
    "a high quality picture of",
    "a high quality photo of",
)
_NOTHING = ("a high quality photo", "a high quality picture", "a picture", "a photo")
_ON = ("on {a colour} background", "on {colour}", "with {a colour} background")

# Weights and forms. A form is left out where the record has not what it speaks of.
_AS_IT_IS = (
    (14, "{name}"),
    (18, "{a name}"),
    (22, "{a style} of {a name}"),
    (8, "{a style} {name}"),
    (4, "{a name} {style}"),
    (20, "{head} {a name}"),
    (9, "{name}, {keywords}"),
    (3, "{keywords}"),
    (1, "{a style}"),
    (1, "{nothing}"),
)
# A painted picture is called after its medium, and no longer after the style of what was painted over.
_PAINTED = (
    (70, "{a treatment} of {a name}"),
    (8, "{treatment} of {a name}"),
    (8, "{a name}, {treatment}"),
    (6, "{a treatment} of {name}, {keywords}"),
    (3, "{a name}"),
    (3, "{head} {a name}"),
    (2, "{a treatment}"),
)
_USUAL = 0.7  # how often the first of several phrases is taken
_ON_COLOUR, _ON_WHITE = 0.5, 0.1  # how often the background is named
_NUMBERS = 12  # random numbers for a caption, more than any form needs


def draw_caption(record: Record, treatment: str | None, background: str | None, generator: torch.Generator) -> str:
    """A caption for a picture, never without words.

    Args:
        record: What the picture shows.
        treatment: The word of `TREATMENTS` that the picture was painted with, if any.
        background: The word of `COLOURS` that it lies on; None where there is none to be seen.
        generator: Each caption takes equally many numbers of it, so the next one does not depend on this one's form.
    """
    slots = _Slots(record, treatment, iter(torch.rand(_NUMBERS, generator=generator).tolist()))
    form = slots.form()
    text = form.format_map(slots)
    # Ink and graphite show no colours, and of a picture that is called nothing the background is not of interest.
    colours = treatment is None or TREATMENTS[treatment].keeps_colours
    if background is None or not colours or "name" not in form:
        return text
    if slots.number() >= (_ON_WHITE if background == WHITE else _ON_COLOUR):
        return text
    place = slots.pick(_ON).format_map({"colour": background, "a colour": _with_article(background)})
    return f"{text}{',' if ',' in text else ''} {place}"


def caption(name: str, way: str | None = None) -> str:
    """The usual caption: `a lion`, or with a style or treatment `a 3D render of a lion`."""
    return f"{_with_article(way)} of {named(name)}" if way else named(name)


def all_words(records: Iterable[Record]) -> Iterator[str]:
    """Texts that have every word `draw_caption` can use for these records, whatever is drawn."""
    yield from COLOURS
    for treatment in TREATMENTS:
        yield from _spoken(treatment)
    yield from (re.sub(r"\{.*?\}", " ", form) for form in (*_ON, *(form for _, form in _AS_IT_IS + _PAINTED)))
    yield from (*_HEADS, *_NOTHING, "a", "an")
    for record in records:
        yield from (*record.names, *record.keywords, *record.styles)


def named(name: str) -> str:
    """`a lion`, `an apple`; but `grapes`, `8 balls`, `Santa Claus` and `people around a campfire` as they are."""
    head = re.split(r" (?:of|with|in|on|at|from|around|behind|over|and|\w+ing)\b", name)[0]
    noun = head.split()[-1] if head.split() else name
    plural = noun in _PLURAL or (noun.endswith("s") and not noun.endswith(("ss", "us", "is", "ceros")))
    # Santa Claus, Statue of Liberty; but a Christmas tree, a TV, a T-Rex.
    proper = all(re.match(r"[A-Z][a-z]|of$", word) for word in name.split())
    if plural or proper or noun in _UNCOUNTED or name[:1].isdigit() or name.startswith(("a ", "an ", "the ")):
        return name
    return _with_article(name)


class _Slots(dict[str, str]):
    """What stands for the slots of a form; each is drawn when it is asked for."""

    def __init__(self, record: Record, treatment: str | None, numbers: Iterator[float]) -> None:
        super().__init__()
        self._record = record
        self._treatment = treatment
        self._numbers = numbers

    def __missing__(self, slot: str) -> str:
        match slot:
            case "name":
                return self.pick(self._record.names)
            case "a name":
                return named(self.pick(self._record.names))
            case "keywords":
                return self._keywords()
            case "style" | "a style":
                phrase = self._usually(self._record.styles)
            case "treatment" | "a treatment":
                phrase = self._usually(_spoken(self._treatment or ""))
            case "head":
                return self.pick(_HEADS)
            case _:
                return self.pick(_NOTHING)
        return _with_article(phrase) if slot.startswith("a ") else phrase

    def number(self) -> float:
        """The next random number in [0, 1)."""
        return next(self._numbers)

    def pick(self, options: Sequence[str]) -> str:
        """Any of some options."""
        return options[min(int(self.number() * len(options)), len(options) - 1)]

    def form(self) -> str:
        """One of the forms that the record can fill."""
        missing = [w for w, there in (("style", self._record.styles), ("keywords", self._record.keywords)) if not there]
        table = _PAINTED if self._treatment else _AS_IT_IS
        forms = [(weight, form) for weight, form in table if not any(word in form for word in missing)]
        left = self.number() * sum(weight for weight, _ in forms)
        for weight, form in forms:
            left -= weight
            if left < 0:
                return form
        return forms[-1][1]

    def _usually(self, options: Sequence[str]) -> str:
        if len(options) == 1 or self.number() < _USUAL:
            return options[0]
        return self.pick(options[1:])

    def _keywords(self) -> str:
        first = self.pick(self._record.keywords)
        others = [word for word in self._record.keywords if word != first]
        return f"{first}, {self.pick(others)}" if others and self.number() < 0.5 else first


def _spoken(treatment: str) -> tuple[str, ...]:
    return _SPOKEN.get(treatment, (treatment,))


_PLURAL = frozenset({"people", "men", "women", "children", "feet", "teeth", "mice", "geese", "dice", "sheep"})
_UNCOUNTED = frozenset(
    {"camping", "cooking", "bowling", "bacon", "broccoli", "bread", "butter", "garlic", "popcorn", "salt", "spaghetti"}
    | {"sushi", "rice", "ice", "corn", "beer", "coffee", "wine", "rain", "fog", "lightning", "money", "pasta", "ramen"}
)


def _with_article(phrase: str) -> str:
    """With `a` or `an` by how it begins: vowels, but not those said like `you` or `one`, and the silent h."""
    if phrase.endswith(" art"):  # pixel art, line art
        return phrase
    start = phrase.casefold()
    if start.startswith(("uni", "use", "ufo", "uk", "eu", "ewe", "one")):
        return f"a {phrase}"
    return f"{'an' if start.startswith(('a', 'e', 'i', 'o', 'u', 'hour', 'honest', 'x-')) else 'a'} {phrase}"
