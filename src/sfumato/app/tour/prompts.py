"""What a model is asked for in each row of the tour: values, made of what it can be asked for."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sfumato.backends.model import Model
from sfumato.errors import UsageError

DIGITS = tuple("0123456789")
Way = tuple[str, str]
"""A prompt, and the view through which it is to be read."""
Ways = tuple[Way, ...]
"""The readings of one picture."""
Parts = tuple[str, ...]
"""The prompts of one picture's components or regions."""


@dataclass(frozen=True)
class Prompts:
    """What is asked for, row by row. A row that finds nothing here has nothing to show."""

    chosen: str = ""
    """How the pairs of illusions were chosen, where that matters to how often they succeed."""
    nothing: str | None = None
    """Where nothing in particular is asked for; None asks for nothing at all."""
    each: Parts = ()
    """A0 and A1.6: what there is to be asked for, or some of it."""
    edits: Parts = ()
    """A1.7.3: what a picture is to become."""
    paints: Parts = ()
    """A1.7.2: what grows inside a mask."""
    anagrams: tuple[Ways, ...] = ()
    """A1.8."""
    hybrids: tuple[Parts, ...] = ()
    """A1.9: from afar, and from near."""
    logo: str | None = None
    """A2: a picture to be designed."""
    several: tuple[Ways, ...] = ()
    """C1: three readings and more."""
    rearranged: tuple[Ways, ...] = ()
    """C2: negatives, turned discs, puzzles."""
    regions: tuple[Parts, ...] = ()
    """C3: above, and below."""
    wide: tuple[str | None, ...] = ()
    """C4: what goes on beyond the edge of what the model sees."""
    bands: tuple[Parts, ...] = ()
    """C5: from afar, from midway, from near."""
    motions: tuple[Parts, ...] = ()
    """C5: in motion, and still."""
    colours: tuple[Parts, ...] = ()
    """C5: in grey, and in colour."""
    hard: tuple[Ways, ...] = ()
    """C6: worth a search."""

    @property
    def all(self) -> tuple[str | None, ...]:
        """Every prompt, once, and nothing: what a text encoder may read in one go."""
        ways = (*self.anagrams, *self.several, *self.rearranged, *self.hard)
        parts = (*self.hybrids, *self.regions, *self.bands, *self.motions, *self.colours)
        listed = [self.nothing, self.logo, *self.each, *self.edits, *self.paints, *self.wide]
        listed += [prompt for readings in ways for prompt, _ in readings]
        return tuple(dict.fromkeys([None, *listed, *itertools.chain(*parts)]))


def prompts_of(model: Model) -> Prompts:
    """What this model is asked for."""
    if not model.conditioned:
        return Prompts(wide=(None,))
    if model.classes:
        return OF_DIGITS if set(DIGITS) == set(model.classes) else of_classes(model)
    from sfumato.app.tour.wishes import of_words

    return of_words(model)


def of_classes(model: Model) -> Prompts:
    """The same for classes of which nothing else is known: each with its neighbours in their list."""
    names = model.classes
    # A model that must be told a class is told its first one where nothing is asked for.
    bare = Prompts(nothing=None if knows_nothing(model) else names[0], each=names[:10], wide=names[:3])
    if len(names) < 2:
        return bare
    pairs = [(names[k], names[(k + 1) % len(names)]) for k in range(min(len(names), 12))]
    threes = [(a, b, names[(names.index(b) + 1) % len(names)]) for a, b in pairs[:4]]
    return replace(
        bare,
        edits=names[1:3],
        paints=names[:2],
        anagrams=tuple(ways_of(pair, ("identity", TURNS[k % 3])) for k, pair in enumerate(pairs)),
        hybrids=tuple(pairs),
        several=tuple(ways_of(three, THREE) for three in threes[:3]),
        rearranged=tuple(ways_of(pair, ("identity", view)) for view in REARRANGED for pair in pairs[:2]),
        regions=tuple(pairs[:3]),
        bands=tuple(threes),
        motions=tuple(pairs[:4]),
        colours=tuple(pairs[:4]),
        hard=tuple(ways_of(pair, ("identity", "rotate:180")) for pair in pairs[:2]),
    )


def knows_nothing(model: Model) -> bool:
    """Whether it can be asked for nothing, which guidance leads away from."""
    try:
        model.check(None)
    except UsageError:
        return False
    return True


def ways_of(prompts: Sequence[str], views: Sequence[str]) -> Ways:
    """Each prompt with the view that it is read through."""
    return tuple(zip(prompts, views, strict=True))


def _upside(a: str, b: str, view: str = "rotate:180") -> Ways:
    return ((a, "identity"), (b, view))


_map: Callable[[str], tuple[str, ...]] = tuple
TURNS = ("rotate:180", "flip", "mirror")
THREE = ("identity", "rotate:90", "rotate:180")
FOUR = ("identity", "flip", "rotate:180", "mirror")
REARRANGED = ("negate", "circle:180", "jigsaw")

OF_DIGITS = Prompts(
    chosen="The digits were chosen by hand, with an eye on what works; of all there are fewer do.",
    each=DIGITS,
    edits=("9", "2"),
    paints=("2", "3"),
    anagrams=(
        _upside("6", "9"),
        _upside("2", "5", "flip"),
        _upside("7", "4"),
        _upside("0", "9", "flip"),
        _upside("6", "7"),
        _upside("9", "8", "mirror"),
        _upside("4", "9"),
        _upside("2", "5", "mirror"),
        _upside("5", "8"),
        _upside("3", "8"),
        _upside("6", "2", "mirror"),
        _upside("4", "7", "flip"),
    ),
    hybrids=tuple(map(_map, ("18", "62", "19", "03", "06", "42", "45", "48", "27", "58", "83", "98"))),
    several=(ways_of("247", THREE), ways_of("956", THREE), ways_of("754", THREE), ways_of("5252", FOUR)),
    rearranged=(
        _upside("9", "6", "circle:180"),
        _upside("7", "4", "jigsaw"),
        _upside("2", "3", "circle:180"),
        _upside("0", "2", "jigsaw"),
        _upside("7", "4", "circle:180"),
        _upside("7", "6", "jigsaw"),
    ),
    regions=(("7", "2"), ("5", "6"), ("9", "8")),
    wide=("3", "8", None),
    bands=tuple(map(_map, ("023", "038", "832"))),
    motions=tuple(map(_map, ("39", "58", "80", "53"))),
    hard=(_upside("2", "4"), _upside("0", "7")),
)
"""Digits that are known to work together now and then, and some that seldom do."""
