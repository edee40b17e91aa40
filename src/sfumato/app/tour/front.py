"""What stands before the sections of a page: its title, the numbers to remember, notes and facts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sfumato.app.tour.family import family
from sfumato.app.tour.page import Front, Measured, Section
from sfumato.app.tour.subject import told_of
from sfumato.app.tour.workshop import Workshop

CARDS = ("A1.6", "B1.3", "A1.8", "A1.9", "A1.7.2", "C1", "A0", "A1.7", "A1.4")
"""The sections whose first number is a summary, in the order of their worth."""
MOST_CARDS = 5


def front(w: Workshop, sections: Sequence[Section], numbers: dict[str, Any], took: float) -> Front:
    """All of it, composed from the sections and from what is known of the run."""
    by_id = {section.id: section for section in sections}
    first = {id: by_id[id].measured[0] for id in CARDS if id in by_id and by_id[id].measured}
    cards = [(measured, id) for id, measured in first.items() if measured.telling][:MOST_CARDS]
    cards.append((Measured(f"{took:.0f} s", f"for the whole tour, on {w.model.device.type}"), "made-with"))
    title = (
        "A tour of diffusion, on digits" if w.subject.noun == "digit" else f"A tour of diffusion, by {w.subject.title}"
    )
    return Front(title, tuple(cards), tuple(_facts(w, numbers)), tuple(_notes(w, numbers)))


def _notes(w: Workshop, numbers: dict[str, Any]) -> list[str]:
    s, out = w.subject, []
    if s.iterates:
        course = (250, 500, 690, 750)
        times, path = s.times(*course), w.model.schedule.timesteps(min(w.size.course_steps, w.model.most_steps))
        if list(times) != list(course):
            here = ", ".join(f"{t:g}" for t in times)
            out.append(
                f"The course counts time to 1000; this model counts to {s.times(1000)[0]:g}. The course's t = 250, "
                f"500, 690 and 750 are therefore {here} here, the same fractions of T, and its list of 34 times from "
                f"990 down to 0 is {path[0]:g}, {path[min(1, len(path) - 1)]:g} … {path[-1]:g}."
            )
    told = f"The {s.noun}s that go in are {told_of(s.data)}."
    judged = (
        " Sentences about results are composed from what was measured; “read” means by the judge, a classifier that is "
        "no part of the models."
    )
    unread = " Sentences about results are composed from what was measured."
    reads = any(w.reader(each).reads for each in (s.prompts.each, s.data.classes))
    out.append(told + (judged if reads else unread))
    if s.own is not None:
        grey = ", made grey," if s.model.shape[0] == 1 else ""
        _, height, width = s.model.shape
        foreign = " What is no digit stays foreign to the model." if s.noun == "digit" else ""
        out.append(
            f"The photo is your own picture: its middle{grey} at the {width} × {height} pixels of the model.{foreign}"
        )
    out += numbers["notes"]
    for name, _, known in family(w):
        if known and not known.about["finished"]:
            out.append(f"The model {name} stands {known.progress}.")
    return out


def _facts(w: Workshop, numbers: dict[str, Any]) -> list[tuple[str, str]]:
    environment = numbers["environment"]
    facts = [
        (f"model {name}", f"SHA-256 {about['sha256'] or 'unknown'}{_trained(about)}")
        for name, about in numbers["models"].items()
    ]
    if (judge := numbers["judge"]) is not None:
        accuracy = judge.get("test_accuracy")
        facts.append(
            ("judge", f"reads {accuracy:.2%} of its test pictures rightly" if accuracy else "of unknown accuracy")
        )
    return [
        *facts,
        (f"{w.subject.noun}s", f"{w.subject.data.name}, {len(w.subject.data):,} pictures"),
        ("versions", f"sfumato {environment['sfumato']}, torch {environment['torch']}, Python {environment['python']}"),
        ("machine", f"{environment['system']}, {environment['threads']} threads, {w.model.device}"),
        ("seed", str(w.seed)),
    ]


def _trained(about: dict[str, Any]) -> str:
    if "epochs" not in about:
        return ""
    return f", trained for {about['epochs']:.3g} of {about['epochs_of_recipe']:g} epochs"
