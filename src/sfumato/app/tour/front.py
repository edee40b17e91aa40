"""What stands before the sections of a page: its title, the numbers to remember, notes and facts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sfumato.app.tour.family import family
from sfumato.app.tour.page import Front, Measured, Section
from sfumato.app.tour.subject import Subject, told_of
from sfumato.app.tour.workshop import Workshop

CARDS = ("A1.6", "B1.3", "A1.8", "A1.9", "A1.7.2", "C1", "A0", "A1.7", "A1.4")
"""The sections whose first number is a summary, in the order of their worth."""
MOST_CARDS = 5


def front(workshops: Sequence[Workshop], sections: Sequence[Section], numbers: dict[str, Any], took: float) -> Front:
    """All of it, composed from the sections and from what is known of the run."""
    by_id = {section.id: section for section in sections}
    first = {id: by_id[id].measured[0] for id in CARDS if id in by_id and by_id[id].measured}
    cards = [(measured, id) for id, measured in first.items() if measured.telling][:MOST_CARDS]
    cards.append((Measured(f"{took:.0f} s", f"for the whole tour, on {workshops[0].model.device.type}"), "made-with"))
    return Front(
        _title([w.subject for w in workshops]),
        tuple(cards),
        tuple(_facts(workshops, numbers)),
        tuple(_notes(workshops, numbers)),
    )


def _title(subjects: Sequence[Subject]) -> str:
    if len(subjects) > 1:
        return "A tour of diffusion"
    (s,) = subjects
    return "A tour of diffusion, on digits" if s.noun == "digit" else f"A tour of diffusion, by {s.title}"


def _notes(workshops: Sequence[Workshop], numbers: dict[str, Any]) -> list[str]:
    out: list[str] = []
    playing = workshops[0].subject
    if len(workshops) > 1:
        scratch = workshops[1].subject
        out.append(f"Parts A and C are made by the model {playing.title}; part B shows {scratch.title} from scratch.")
    out += _times(workshops[0])
    out += [f"The {w.subject.noun}s that go in are {told_of(w.subject.data)}." for w in workshops]
    judged = "; “read” means by the judge, a classifier that is no part of the models."
    reads = any(w.reader(each).reads for w in workshops for each in (w.subject.prompts.each, w.subject.data.classes))
    out[-1] += f" Sentences about results are composed from what was measured{judged if reads else '.'}"
    if playing.own is not None:
        grey = ", made grey," if playing.model.shape[0] == 1 else ""
        _, height, width = playing.model.shape
        foreign = " What is no digit stays foreign to the model." if playing.noun == "digit" else ""
        out.append(
            f"The photo is your own picture: its middle{grey} at the {width} × {height} pixels of the model.{foreign}"
        )
    out += [note for told in numbers["subjects"] for note in told["notes"]]
    for name, _, known in (each for w in workshops for each in family(w)):
        if known and not known.about["finished"]:
            out.append(f"The model {name} stands {known.progress}.")
    return out


def _times(w: Workshop) -> list[str]:
    """How a model counts time, where that is not as the course counts it."""
    course = (250, 500, 690, 750)
    times = w.subject.times(*course)
    if not w.subject.iterates or list(times) == list(course):
        return []
    path = w.model.schedule.timesteps(min(w.size.course_steps, w.model.most_steps))
    here = ", ".join(f"{t:g}" for t in times)
    return [
        f"The course counts time to 1000; this model counts to {w.subject.times(1000)[0]:g}. The course's t = 250, "
        f"500, 690 and 750 are therefore {here} here, the same fractions of T, and its list of 34 times from "
        f"990 down to 0 is {path[0]:g}, {path[min(1, len(path) - 1)]:g} … {path[-1]:g}."
    ]


def _facts(workshops: Sequence[Workshop], numbers: dict[str, Any]) -> list[tuple[str, str]]:
    environment = numbers["environment"]
    facts = [
        (f"model {name}", f"SHA-256 {about['sha256'] or 'unknown'}{_trained(about)}")
        for name, about in numbers["models"].items()
    ]
    for w, told in zip(workshops, numbers["subjects"], strict=True):
        if told["judge"] is not None:
            facts.append((f"judge of {w.subject.noun}s", _accuracy(told["judge"])))
        facts.append((f"{w.subject.noun}s", f"{w.subject.data.name}, {len(w.subject.data):,} pictures"))
    return [
        *facts,
        ("versions", f"sfumato {environment['sfumato']}, torch {environment['torch']}, Python {environment['python']}"),
        ("machine", f"{environment['system']}, {environment['threads']} threads, {workshops[0].model.device}"),
        ("seed", str(workshops[0].seed)),
    ]


def _accuracy(judge: dict[str, Any]) -> str:
    """How far a judge is to be trusted, in its own words."""
    if (accuracy := judge.get("test_accuracy")) is not None:
        return f"reads {accuracy:.2%} of its test pictures rightly"
    if (held := judge.get("retrieval", {}).get("held out")) is not None:
        names, first = held["candidates"], held["top1"]["share"]
        return f"chooses the right one of {names:,} names for {first:.1%} of the pictures that it has not seen"
    return "of unknown accuracy"


def _trained(about: dict[str, Any]) -> str:
    if "epochs" not in about:
        return ""
    return f", trained for {about['epochs']:.3g} of {about['epochs_of_recipe']:g} epochs"
