"""Sweeps: samples judged at several values of one setting, as a table and as a chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from sfumato.app.report.chart import Series, chart
from sfumato.app.report.document import document, table
from sfumato.app.report.figures import text
from sfumato.core.ramps import PlainWeight, read_weight, spell_weight
from sfumato.errors import UsageError, one_of
from sfumato.evaluation.samples import Sampling, markdown_table

SETTINGS = ("guidance", "steps")
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

    setting: Literal["guidance", "steps"]
    values: tuple[PlainWeight, ...]

    def at(self, value: PlainWeight, how: Sampling) -> Sampling:
        """The sampling with this value."""
        if self.setting == "guidance":
            return replace(how, guidance=value)
        assert not isinstance(value, tuple)
        return replace(how, steps=int(value))


def parse_sweep(words: str) -> Sweep:
    """`guidance=1,2,5` as a sweep. Raises UsageError for another setting or values that it cannot have."""
    setting, equals, values = words.partition("=")
    if not equals or setting not in SETTINGS:
        raise one_of("setting of a sweep", setting, SETTINGS)
    try:
        weights = tuple(read_weight(value) for value in values.split(","))
    except ValueError as error:
        raise UsageError(
            f"--sweep {setting} wants numbers with commas between them (guidance also 4..1), not {values!r}"
        ) from error
    if setting == "guidance":
        return Sweep("guidance", weights)
    if any(isinstance(value, tuple) or value < 1 or value != int(value) for value in weights):
        raise UsageError(f"--sweep steps wants whole numbers from 1, not {values}")
    return Sweep("steps", weights)


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
    return [tuple(spell_weight(v) if isinstance(v, tuple) else f"{v:.4g}" for v in row.values()) for row in rows]


def settings_in_words(settings: Mapping[str, Any]) -> list[str]:
    """What was set, each in two words."""
    return [f"{key} {spell_weight(v) if isinstance(v, tuple) else v}" for key, v in settings.items()]


def sweep_page(result: Mapping[str, Any]) -> str:
    """A page with a chart for each figure of each sweep, and the tables."""
    parts = []
    for sweep in result["sweeps"]:
        setting, rows = sweep["setting"], sweep["rows"]
        at = [row for row in rows if not isinstance(row[setting], tuple)]  # a ramp has no place on an axis
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
                + " Those that change on the way are not in the charts." * (len(at) < len(rows)),
            )
        )
    settings = ", ".join(settings_in_words(result["settings"]))
    name = result["model"]["name"]
    title = f'<p class="kicker">sfumato</p><h1>{text(name)}, swept</h1><p class="lead">{text(settings)}</p>'
    return document(f"sfumato: {name}", f"<header>{title}</header><main><section>{''.join(parts)}</section></main>")
