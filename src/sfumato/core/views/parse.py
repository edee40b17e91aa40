"""Views from their strings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from inspect import getdoc

from sfumato.core.arguments import build
from sfumato.core.views.base import IDENTITY, View, chain
from sfumato.core.views.files import read_signed
from sfumato.core.views.flawed import Blur, SmoothCircle, WhiteBalance
from sfumato.core.views.jigsaw import Jigsaw
from sfumato.core.views.rearranged import Circle, Hinge, Permute, Roll, Skew
from sfumato.core.views.signed import Signed
from sfumato.core.views.whole import Flip, Mirror, Negate, Rotate


@dataclass(frozen=True)
class Kind:
    """A name that `parse_view` knows."""

    make: Callable[..., View]
    """Its parameters are what may follow the name."""
    example: str
    sound: bool = True
    """Whether it can make an anagram. Those that cannot are for the lesson."""

    @property
    def summary(self) -> str:
        """What it does, in a line."""
        return (getdoc(self.make) or "").partition("\n")[0]


def _identity() -> View:
    """The picture as it is."""
    return IDENTITY


def _pixel_permute(n: int = 64, *, seed: int = 0) -> View:
    """Cut into n × n patches, by default the pixels of a 64-px canvas, which change places at random."""
    return Permute(n, seed=seed)


def _circle(degrees: int = 180, *, r: float = 0.375) -> View:
    """A disc in the middle turned by 90, 180 or 270 degrees, its radius `r` of the shorter side."""
    return SmoothCircle(degrees, r=r) if degrees % 90 else Circle(degrees, r=r)


VIEWS: dict[str, Kind] = {
    "identity": Kind(_identity, "identity"),
    "flip": Kind(Flip, "flip"),
    "mirror": Kind(Mirror, "mirror"),
    "rotate": Kind(Rotate, "rotate:90"),
    "negate": Kind(Negate, "negate"),
    "roll": Kind(Roll, "roll:dx=0.25"),
    "skew": Kind(Skew, "skew:1.5"),
    "permute": Kind(Permute, "permute:8:seed=3"),
    "pixel-permute": Kind(_pixel_permute, "pixel-permute:64"),
    "circle": Kind(_circle, "circle:180:r=0.375"),
    "hinge": Kind(Hinge, "hinge:3"),
    "jigsaw": Kind(Jigsaw, "jigsaw:seed=4522"),
    "file": Kind(read_signed, "file:my-view.npy"),
    "signed": Kind(Signed, "signed:1:2:IA"),
    "blur": Kind(Blur, "blur:2", sound=False),
    "white-balance": Kind(WhiteBalance, "white-balance:1.5,1,0.75", sound=False),
}
"""Every view by name."""


def parse_view(text: str, *, unsound: bool = False, files: bool = True) -> View:
    """A view from its string, or a chain such as `rotate:90+negate`, the first one first; `str` gives it back.

    A view is its name, then values, then settings: `circle:180:r=0.375`. What is left out has its default. `file:PATH`
    reads a signed permutation (see `core.views.files`), unless `files` says not to: a text from a stranger's file
    should not make this machine read another. Views that cannot work are refused unless `unsound`.

    Raises ValueError in one line for what is unknown, with the names or the form that are known, and for a view that
    is not sound, with the reason.
    """
    view = chain(*(_simple(part.strip(), files) for part in text.split("+")))
    for part in view.parts:
        if part.flaw and not unsound:
            raise ValueError(f"{part} {part.flaw}; sfumato views check {part} shows it")
    return view


def _simple(text: str, files: bool) -> View:
    name, _, arguments = text.partition(":")
    if name not in VIEWS or (name == "file" and not files):
        known = ", ".join(name for name, kind in VIEWS.items() if kind.sound and (files or name != "file"))
        raise ValueError(f"unknown view {name!r}; choose one of {known}, or a chain such as flip+negate")
    if name == "file" and arguments:
        return read_signed(arguments)  # a path may have colons
    return build(name, VIEWS[name].make, arguments)
