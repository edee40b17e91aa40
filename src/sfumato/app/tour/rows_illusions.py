"""Two pictures in one, and more: anagrams and hybrids (A1.8, A1.9), several readings and rearranged ones (C1, C2)."""

from __future__ import annotations

from sfumato.app.defaults import factors
from sfumato.app.report.figures import Html, Row, Tile, side_by_side
from sfumato.app.report.interactive import at_distance
from sfumato.app.tour.illusions import anagram_of, hybrid_of, try_out, turn
from sfumato.app.tour.page import Section
from sfumato.app.tour.prompts import Ways
from sfumato.app.tour.reader import Judged
from sfumato.app.tour.workshop import Workshop


def anagrams(w: Workshop) -> list[Section]:
    """A1.8: several pairs from several seeds; the best are shown, to be turned."""
    return _turned(w, "A1.8", "A1.8-anagram", w.subject.prompts.anagrams, "anagrams", "pair")


def several(w: Workshop) -> list[Section]:
    """C1: three readings and more."""
    return _turned(w, "C1", "C1-several", w.subject.prompts.several, "pictures of three readings and more", "readings")


def rearranged(w: Workshop) -> list[Section]:
    """C2: discs that turn, pieces put together otherwise, negatives where the model knows what they are."""
    low, high = w.model.pixel_range
    ways = [ways for ways in w.subject.prompts.rearranged if low == -high or not _negated(ways)]
    more = ""
    if low != -high:
        more = (
            f"A negative is not among them: to this model black is {low:g} and white {high:g}, so the opposite of its "
            "picture is none. Models that count from −1 to 1 have that view too."
        )
    return _turned(w, "C2", "C2-rearranged", tuple(ways), "rearranged pictures", "readings", more)


def hybrids(w: Workshop) -> list[Section]:
    """A1.9: several pairs from several seeds; from the best one can walk away."""
    pairs = w.subject.prompts.hybrids[: w.size.pairs]
    if not pairs:
        return []
    sigma = w.model.defaults.hybrid_sigma
    tried = try_out(w, [hybrid_of(w, pair, factors("frequency", w.model)) for pair in pairs])
    figures: list[Html] = []
    for k, one in enumerate(tried.best[: w.size.best]):
        far, near = one.wanted
        w.save_row(f"A1.9-hybrid-{k}", one.seen)
        if k < 2:
            figures.append(at_distance(one.picture, far, near, sigma, f"{far} from afar, {near} from near."))
    rows = [
        Row([tile for one in tried.best[k : k + 3] for tile in tiles(one)], "")
        for k in range(0, min(w.size.best, len(tried.best)), 3)
    ]
    blurred = "blurred and in full contrast" if tried.reads else "blurred"
    figures.append(
        w.show("A1.9-hybrids", rows, f"The best of them, each {blurred}, as an eye far away sees it, and as it is.")
    )
    sees = [
        tried.sees(w.subject.prompts.chosen),
        f"From afar is the picture blurred with the Gaussian of σ = {sigma:g} pixels that parted the two. To walk away "
        "yourself, drag the slider, or step back from the screen.",
    ]
    commands = tuple(w.command([one.result.job]) for one in tried.best[:3])
    measured = tried.measured("hybrids")
    section = Section("A1.9", tuple(figures), tuple(sees), measured, commands, tried.table("pair"), tried.numbers)
    return [section]


def tiles(one: Judged) -> list[Tile]:
    """Each way of looking at an illusion, side by side."""
    return [
        Tile(
            x,
            read.after(f"{look.name}: meant as {look.prompt}"),
            f"{look.name}: {read.name or look.prompt}",
            verdict,
        )
        for x, look, read, verdict in zip(one.seen, one.looks, one.read, one.verdicts, strict=True)
    ]


def _turned(
    w: Workshop, id: str, name: str, wanted: tuple[Ways, ...], what: str, head: str, more: str = ""
) -> list[Section]:
    """Anagrams of any kind: tried, judged, and the best of them in the hand."""
    jobs = [job for ways in wanted[: w.size.pairs] if w.possible(job := anagram_of(w, ways))]
    if not jobs:
        return []
    tried = try_out(w, jobs)
    figures = [turn(w, f"{name}-{k}", one) for k, one in enumerate(tried.best[: w.size.best])]
    sees = tuple(
        filter(None, (tried.sees(w.subject.prompts.chosen), "Drag a picture, or choose a reading below it.", more))
    )
    commands = tuple(w.command([one.result.job]) for one in tried.best[:3])
    return [
        Section(id, (side_by_side(figures),), sees, tried.measured(what), commands, tried.table(head), tried.numbers)
    ]


def _negated(ways: Ways) -> bool:
    return any("negate" in view for _, view in ways)
