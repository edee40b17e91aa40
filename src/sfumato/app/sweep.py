"""Sweeps: samples judged at several values of one setting, as a table and as a chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from sfumato.app.report.chart import Series, chart
from sfumato.app.report.document import document, table
from sfumato.app.report.figures import text
from sfumato.core.ramps import PlainWeight, read_weight, spell_weight
from sfumato.core.samplers import known_sampler
from sfumato.errors import UsageError, one_of, short
from sfumato.evaluation.samples import Sampling, markdown_table

SETTINGS = ("guidance", "steps", "sampler")
FIGURES = {
    "right": "share of samples read as asked for",
    "recognised": "share of samples that the judge is sure of",
    "top1": "share of samples whose subject the judge names first",
    "top5": "share of samples whose subject is among the judge's first five",
    "frechet": "Fréchet distance in the judge's features",
    "floor": "Fréchet distance of as many real pictures",
}
"""What is said of samples, in a word and in words."""


@dataclass(frozen=True)
class Sweep:
    """Values of one setting."""

    setting: Literal["guidance", "steps", "sampler"]
    values: tuple[PlainWeight | str, ...]

    def at(self, value: PlainWeight | str, how: Sampling) -> Sampling:
        """The sampling with this value."""
        if isinstance(value, str):
            return replace(how, loop=replace(how.loop, sampler=value))
        if self.setting == "steps" and not isinstance(value, tuple):
            return replace(how, steps=int(value))
        return replace(how, guidance=value)


def parse_sweep(words: str) -> Sweep:
    """`guidance=1,2,5` as a sweep. Raises UsageError for another setting or values that it cannot have."""
    setting, equals, values = words.partition("=")
    each = values.split(",")
    match setting:
        case "guidance" if equals:
            return Sweep("guidance", _weights(each, "numbers with commas between them, or such as 4..1"))
        case "steps" if equals:
            wants = "whole numbers from 1 with commas between them"
            numbers = [value for value in _weights(each, wants) if not isinstance(value, tuple) and value >= 1]
            if len(numbers) < len(each) or any(value != int(value) for value in numbers):
                raise UsageError(f"--sweep steps wants {wants}, not {short(values)}")
            return Sweep("steps", tuple(map(int, numbers)))
        case "sampler" if equals:
            return Sweep("sampler", tuple(map(sampler_named, each)))
    raise one_of("setting of a sweep", setting, SETTINGS)


def _weights(values: Sequence[str], wants: str) -> tuple[PlainWeight, ...]:
    try:
        return tuple(map(read_weight, values))
    except ValueError as error:
        raise UsageError(f"--sweep wants {wants}, not {short(','.join(values))}") from error


def sampler_named(name: str) -> str:
    """The name of a sampler. Raises UsageError for one that there is not."""
    try:
        return known_sampler(name)
    except ValueError as error:
        raise UsageError(str(error)) from error


def figures(found: Mapping[str, Any]) -> dict[str, float]:
    """The figures of judged samples that one looks at first."""
    out: dict[str, float] = {}
    if "retrieval" in found:
        out |= {f"top{k}": found["retrieval"][f"top{k}"]["share"] for k in (1, 5)}
    if "accuracy" in found.get("samples", {}):
        out["right"] = found["samples"]["accuracy"]
    elif "samples" in found:
        out["recognised"] = found["samples"]["share"]
    if "frechet" in found:
        out |= {"frechet": found["frechet"]["distance"], "floor": found["frechet"]["floor"]}
    return out


def sweep_markdown(sweep: Mapping[str, Any]) -> str:
    """The table of a sweep."""
    head = tuple(sweep["rows"][0])
    return markdown_table(head, _cells(sweep["rows"]))


def _cells(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    return [tuple(_cell(value) for value in row.values()) for row in rows]


def _cell(value: PlainWeight | str) -> str:
    match value:
        case str():
            return value
        case tuple():
            return spell_weight(value)
        case _:
            return f"{value:.4g}"


def settings_in_words(settings: Mapping[str, Any]) -> list[str]:
    """What was set, each in a few words."""
    return [f"{key.replace('_', ' ')} {spell_weight(v) if isinstance(v, tuple) else v}" for key, v in settings.items()]


def sweep_page(result: Mapping[str, Any]) -> str:
    """A page with a chart for each figure of each sweep, and the tables."""
    parts = []
    for sweep in result["sweeps"]:
        setting, rows = sweep["setting"], sweep["rows"]
        at = [row for row in rows if isinstance(row[setting], int | float)]  # a ramp or a name has no place on an axis
        for key in (key for key in rows[0] if at and key not in {setting, "floor"}):
            lines = [Series(key, tuple((row[setting], row[key]) for row in at))]
            if key == "frechet":
                lines.append(Series("real pictures", tuple((row[setting], row["floor"]) for row in at), colour=1))
            parts.append(chart(lines, setting, key, FIGURES[key].capitalize() + ".", log_x=setting == "steps"))
        parts.append(
            table(
                tuple(rows[0]),
                _cells(rows),
                f"Samples at several values of {setting}."
                + " Those that change on the way are not in the charts." * (0 < len(at) < len(rows)),
            )
        )
    settings = ", ".join(settings_in_words(result["settings"]))
    name = result["model"]["name"]
    title = f'<p class="kicker">sfumato</p><h1>{text(name)}, swept</h1><p class="lead">{text(settings)}</p>'
    return document(f"sfumato: {name}", f"<header>{title}</header><main><section>{''.join(parts)}</section></main>")
