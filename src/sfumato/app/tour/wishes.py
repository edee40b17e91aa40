"""What a model of words is asked for: the prompts of the write-ups where it knows their words, else its subjects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sfumato.app.tour.prompts import REARRANGED, THREE, TURNS, Parts, Prompts, ways_of
from sfumato.backends.model import Model
from sfumato.errors import UsageError
from sfumato.models.text import words

PHOTO = "a high quality photo"
"""What the course asks for where it asks for nothing in particular."""


def of_words(model: Model) -> Prompts:
    """The prompts of the write-ups as far as the model knows their words, and else what it was trained to draw."""
    say = _Sayable(model)

    def pairs(wanted: Sequence[Parts], n: int = 6) -> tuple[Parts, ...]:
        return say.some(wanted, 2, n)

    return Prompts(
        nothing=PHOTO if say.known((PHOTO,)) else None,
        each=say.singles(_EACH, 3),
        edits=say.singles(_EDITS, 3),
        paints=say.singles(_PAINTS, 2),
        anagrams=tuple(ways_of(pair, ("identity", TURNS[k % 3])) for k, pair in enumerate(pairs(_ANAGRAMS))),
        hybrids=pairs(_HYBRIDS),
        logo=next(iter(say.singles(_LOGOS, 1)), None),
        several=tuple(ways_of(three, THREE) for three in say.some(_THREES, 3, 3)),
        rearranged=tuple(ways_of(pair, ("identity", view)) for view in REARRANGED for pair in pairs(_REARRANGED, 2)),
        regions=pairs(_REGIONS, 3),
        wide=say.singles(_WIDE, 2),
        bands=say.some(_BANDS, 3, 3),
        motions=pairs(_MOTIONS, 3),
        colours=pairs(_COLOURS, 3),
        hard=tuple(ways_of(pair, ("identity", "rotate:180")) for pair in pairs(_HARD, 2)),
    )


@dataclass(frozen=True)
class _Sayable:
    """Which prompts a model of words knows."""

    model: Model

    def known(self, prompts: Sequence[str]) -> bool:
        """Whether it has seen every word."""
        return not any(map(self._unknown, prompts))

    def some(self, wanted: Sequence[Parts], arity: int, n: int) -> tuple[Parts, ...]:
        """At most n of the wanted groups that are known to the last word; where too few, neighbours among subjects.

        A model that does not say what it was trained to draw gets those of which it knows at least some word.
        """
        found = [group for group in wanted if self.known(group)][:n]
        names = self._subjects
        if len(found) < min(2, n) and len(names) >= arity:
            ends = range(0, len(names) - arity + 1, arity)
            found += [tuple(names[k : k + arity]) for k in ends][: n - len(found)]
        return tuple(found or [group for group in wanted if all(map(self._partly, group))][:n])

    def singles(self, wanted: Sequence[str], n: int) -> Parts:
        """The same for prompts that stand alone."""
        return tuple(prompt for (prompt,) in self.some([(prompt,) for prompt in wanted], 1, n))

    @property
    def _subjects(self) -> list[str]:
        """What it says that it was trained to draw, in its own words."""
        facts = self.model.facts or {}
        listed = facts.get("data", {}).get("subjects") or []
        return [name for row in listed if row and self.known([name := str(row[0])])]

    def _partly(self, prompt: str) -> bool:
        """Whether it knows a word that says something."""
        return bool(telling(prompt) - self._unknown(prompt))

    def _unknown(self, prompt: str) -> set[str]:
        """The words of it that the model has never seen."""
        try:
            return set(self.model.check(prompt))
        except UsageError:  # it knows none of them
            return set(words(prompt))


def telling(prompt: str) -> set[str]:
    """The words of a prompt that say something by themselves."""
    return set(words(prompt)) - _LITTLE


_LITTLE = {"a", "an", "the", "of", "in", "on", "with", "around", "against", "and", "from", "to"}

_VILLAGE, _CAMPFIRE = "an oil painting of a snowy mountain village", "an oil painting of people around a campfire"
_MAN = "an oil painting of an old man"
_EACH = (_VILLAGE, "a man wearing a hat", "a rocket ship")
_EDITS = ("a rocket ship", "a photo of a hipster barista", "a photo of a dog")
_PAINTS = ("a rocket ship", "a lighthouse", "a photo of a dog")
_ANAGRAMS = (
    (_CAMPFIRE, _MAN),
    ("a castle", "a panda"),
    (_VILLAGE, _CAMPFIRE),
    ("a wolf", "a horse face"),
    ("a dog", "a cat face"),
    ("a photo of a cat", "a photo of a lion"),
    ("a photo of a muffin", "a photo of a chihuahua"),
    ("an oil painting of a crescent moon cradling a sleeping figure", "an ocean wave crashing against a lighthouse"),
    ("a rocket ship", "a man wearing a hat"),
    ("a duck", "a rabbit"),
    ("a cat", "a lion"),
)
_REARRANGED = (("a water wave", "a volcano"), ("a dog", "a cat face"), (_CAMPFIRE, _MAN))
_HYBRIDS = (
    ("a lithograph of a skull", "a lithograph of waterfalls"),
    ("a photo of a cat", "a photo of a tiger"),
    ("a photo of a dog", "a photo of a lion"),
    ("a photo of a dog", "a photo of a bear"),
    (_MAN, _CAMPFIRE),
    ("an ancient clock face", "historical moments"),
    ("a skull", "a waterfall"),
    ("a cat", "a tiger"),
)
_LOGOS = ("a logo of an octopus with the face of a cat", "a cat with the arms of an octopus", "a cat", "a rocket ship")
_THREES = (
    ("a photo of a cat", "a photo of a dog", "a photo of a lion"),
    (_VILLAGE, _CAMPFIRE, _MAN),
    ("a cat", "a dog", "a lion"),
)
_REGIONS = ((_VILLAGE, "a photo of a dog"), ("a rocket ship", "a photo of flowers"), ("a rocket ship", "a flower"))
_WIDE = (_VILLAGE, "a forest", "a garden of flowers")
_BANDS = (
    ("a lithograph of a skull", "a lithograph of a man wearing a hat", "a lithograph of waterfalls"),
    ("a photo of a dog", "a photo of a cat", "a photo of flowers"),
    ("a skull", "a cat", "a flower"),
)
_MOTIONS = (
    ("a photo of a cat", "a photo of a car"),
    ("a lithograph of a skull", "a lithograph of waterfalls"),
    ("a cat", "a car"),
)
_COLOURS = ((_VILLAGE, "a photo of flowers"), ("a photo of a dog", "a rainbow"), ("a dog", "a rainbow"))
_HARD = (
    ("a castle", "a panda"),
    ("a photo of a muffin", "a photo of a chihuahua"),
    (_CAMPFIRE, _MAN),
    ("a cat", "a lion"),
)
