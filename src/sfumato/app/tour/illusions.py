"""What all rows of illusions share: several seeds of each, all judged, the best of them shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sfumato.app.jobs import Anagram, AnyJob, Hybrid, Reading
from sfumato.app.report.document import table
from sfumato.app.report.figures import Html
from sfumato.app.report.interactive import turnable
from sfumato.app.tour.page import Measured
from sfumato.app.tour.prompts import Parts, Ways
from sfumato.app.tour.reader import Judged, Read, best_of_each, judged
from sfumato.app.tour.workshop import Workshop


@dataclass(frozen=True, eq=False)
class Tried:
    """Illusions of some kind, each from several seeds."""

    all: tuple[Judged, ...]
    best: tuple[Judged, ...]
    """Of each illusion the best seed, the best illusion first."""
    tries: int
    """Seeds of each."""

    @property
    def reads(self) -> bool:
        """Whether a judge could read them."""
        return bool(self.all) and bool(self.all[0].chances)

    @property
    def works(self) -> int:
        """How many are read as wanted in every way."""
        return sum(one.works for one in self.all)

    def of(self, like: Judged) -> int:
        """How many of the seeds of this illusion are."""
        return sum(one.works for one in self.all if _same(one, like))

    @property
    def numbers(self) -> dict[str, Any]:
        """All of it as plain data."""
        shown = [
            {
                "title": one.result.job.title,
                "seed": one.result.job.seed,
                "read": [read.name for read in one.read],
                "weakest": one.weakest if one.chances else None,
            }
            for one in self.best
        ]
        return {"attempts": len(self.all), "all_ways": self.works if self.reads else None, "best": shown}

    def measured(self, what: str) -> tuple[Measured, ...]:
        """The number to remember."""
        if not self.reads:
            return (Measured(str(len(self.all)), f"{what} were made; no judge here reads them", telling=False),)
        return (Measured(f"{self.works} of {len(self.all)}", f"{what} are read as wanted in every way"),)

    def table(self, what: str) -> tuple[Html, ...]:
        """A line for each illusion; none where nobody reads."""
        if not self.reads:
            return ()
        cells = [[told(one), f"{self.of(one)} of {self.tries}", f"{one.weakest:.0%}"] for one in self.best]
        caption = "Seeds whose readings are all as wanted, and the weakest reading's probability in the best of them."
        return (table([what, "as wanted", "best"], cells, caption),)

    def sees(self, chosen: str = "") -> str:
        """What is shown of what, and how it was chosen."""
        kinds = f"{len(self.best)} illusions, {self.tries} {'seeds' if self.tries > 1 else 'seed'} each"
        if not self.reads:
            return f"{kinds}: shown is the first seed of each, as no judge here reads such pictures."
        return (
            f"{self.works} of {len(self.all)} attempts are read as wanted in every way: {kinds}. Shown are the best "
            f"seeds, by their weakest reading; ✓ and ✗ say how a judge reads them. {chosen}".rstrip()
        )


def try_out(w: Workshop, jobs: Sequence[AnyJob]) -> Tried:
    """Make every job with several seeds, and judge them."""
    tries = w.size.tries
    seeded = [job.model_copy(update={"seed": w.seed + k}) for job in jobs for k in range(tries)]
    found: list[Judged] = []
    for k, results in enumerate(_grouped(w.run(seeded), tries)):
        found += judged(results, w.reader([look.prompt for look in jobs[k].looks()]))
    return Tried(tuple(found), tuple(best_of_each(found, tries)), tries)


def anagram_of(w: Workshop, ways: Ways) -> Anagram:
    """An anagram of some readings."""
    return w.job(Anagram, readings=tuple(Reading(prompt=prompt, view=view) for prompt, view in ways))


def hybrid_of(w: Workshop, parts: Parts, factors: str) -> Hybrid:
    """A hybrid of some parts."""
    return w.job(Hybrid, parts=parts, factors=factors)


def turn(w: Workshop, name: str, one: Judged, caption: str = "") -> Html:
    """An anagram in the hand, and its readings side by side on the disk."""
    job = one.result.job
    assert isinstance(job, Anagram)
    w.save_row(name, one.seen)
    views = [reading.view for reading in job.readings]
    captions = [_caption(wanted, read) for wanted, read in zip(one.wanted, one.read, strict=True)]
    return turnable(one.picture, views, captions, caption or f"Seed {job.seed}.", one.verdicts)


def short(prompt: str) -> bool:
    """Whether a prompt is a class rather than a sentence."""
    return len(prompt) < 4


def told(one: Judged) -> str:
    """What an illusion is of: each prompt, and how it is seen."""
    return ", ".join(f"{look.prompt} ({_look(look.name)})" for look in one.looks)


def _look(name: str) -> str:
    """A view by its name and number, without what is usual of it."""
    return "as it is" if name == "identity" else ":".join(part for part in name.split(":") if "=" not in part)


def _caption(wanted: str, read: Read) -> str:
    """What is to be read, and where a class is read as another, as which."""
    wrong = short(wanted) and read.verdict(wanted) == "wrong"
    return read.after(wanted) if wrong else wanted


def _grouped(results: Sequence[Any], size: int) -> list[Sequence[Any]]:
    return [results[k : k + size] for k in range(0, len(results), size)]


def _same(one: Judged, other: Judged) -> bool:
    return [(a.prompt, a.name) for a in one.looks] == [(b.prompt, b.name) for b in other.looks]
