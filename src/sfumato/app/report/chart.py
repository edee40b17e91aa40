"""Line charts as SVG inside the page: they take their colours from it and need no plotting library."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sfumato.app.report.figures import Html, text

Point = tuple[float, float]
WIDTH, HEIGHT = 640, 300
LEFT, RIGHT, TOP, BOTTOM = 72, 24, 12, 54
_DOTS = 12
"""A line of at most so many points shows where they are."""


@dataclass(frozen=True)
class Series:
    """A line with its name."""

    name: str
    points: tuple[Point, ...]
    faint: bool = False
    """Drawn thin and pale, behind another line of the same colour."""
    colour: int = 0


@dataclass(frozen=True)
class Axis:
    """A range of values and where they lie on the paper."""

    label: str
    low: float
    high: float
    log: bool
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Where a value lies."""
        low, high, at = (math.log(v) if self.log else v for v in (self.low, self.high, max(value, self.low)))
        return self.start + (at - low) / (high - low) * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Round values inside the range."""
        if self.log and self.high >= 5 * self.low:  # a narrower one may hold no two of 1, 2, 5, 10, …
            decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            steps = (1, 2, 5) if self.high / self.low < 200 else (1,)
            candidates = [step * 10.0**k for k in decades for step in steps]
        else:
            raw = (self.high - self.low) / 5
            size = 10.0 ** math.floor(math.log10(raw))
            unit = next(size * k for k in (1, 2, 5, 10) if size * k >= raw * 0.999)
            first = math.ceil(self.low / unit)
            candidates = [unit * k for k in range(first, math.floor(self.high / unit * 1.0001) + 1)]
        return [value for value in candidates if self.low * 0.999 <= value <= self.high * 1.001]


def chart(series: Sequence[Series], x: str, y: str, caption: str, *, log_x: bool = False, log_y: bool = False) -> Html:
    """A figure with one line for each series. Points that a logarithmic axis does not have are left out."""
    lines = [Series(s.name, _kept(s.points, log_x, log_y), s.faint, s.colour) for s in series]
    points = [point for line in lines for point in line.points]
    if len(points) < 2:
        return Html("")
    across = _axis(x, [p[0] for p in points], log_x, LEFT, WIDTH - RIGHT, pad=False)
    up = _axis(y, [p[1] for p in points], log_y, HEIGHT - BOTTOM, TOP, pad=True)
    drawn = "".join(_line(line, across, up) for line in lines)
    named = [line for line in lines if not line.faint and line.name]
    keys = "".join(f'<span class="key s{line.colour}">{text(line.name)}</span>' for line in named)
    legend = f'<div class="keys">{keys}</div>' if len(named) > 1 else ""
    label = f"{caption} {_summary(named or lines)}"
    return Html(
        f'<figure class="chart">{legend}<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{text(label)}">'
        f"{_grid(across, up)}{drawn}</svg><figcaption>{text(caption)}</figcaption></figure>"
    )


def smoothed(points: Sequence[Point], window: int) -> tuple[Point, ...]:
    """The mean of y over `window` points around each one, over fewer at the ends: it starts where the curve does."""
    half, out = window // 2, []
    for k, (x, _) in enumerate(points):
        near = min(half, k)
        part = [y for _, y in points[k - near : k + near + 1]]
        out.append((x, sum(part) / len(part)))
    return tuple(out)


def _kept(points: Sequence[Point], log_x: bool, log_y: bool) -> tuple[Point, ...]:
    finite = [p for p in points if math.isfinite(p[0]) and math.isfinite(p[1])]
    return tuple(p for p in finite if (p[0] > 0 or not log_x) and (p[1] > 0 or not log_y))


def _axis(label: str, values: Sequence[float], log: bool, start: float, end: float, *, pad: bool) -> Axis:
    low, high = min(values), max(values)
    if pad:
        margin = (high / low) ** 0.06 if log else 0.06 * (high - low)
        low, high = (low / margin, high * margin) if log else (low - margin, high + margin)
    if low == high:
        low, high = (low / 2, high * 2) if log else (low - 1, high + 1)
    return Axis(label, low, high, log, start, end)


def _line(line: Series, across: Axis, up: Axis) -> str:
    at = [(f"{across(px):.1f}", f"{up(py):.1f}") for px, py in line.points]
    path = " ".join(f"{x},{y}" for x, y in at)
    drawn = f'<polyline class="line s{line.colour}{" faint" if line.faint else ""}" points="{path}"/>'
    dots = at if len(at) <= _DOTS else []
    return drawn + "".join(f'<circle class="dot s{line.colour}" cx="{x}" cy="{y}" r="3.4"/>' for x, y in dots)


def _grid(across: Axis, up: Axis) -> str:
    out = []
    for value in up.ticks():
        at = up(value)
        out.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        out.append(f'<text x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{value:g}</text>')
    for value in across.ticks():
        at, bottom = across(value), HEIGHT - BOTTOM
        out.append(f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{bottom}"/>')
        out.append(f'<text x="{at:.1f}" y="{bottom + 20}" text-anchor="middle">{value:,g}</text>')
    centre, middle = (LEFT + WIDTH - RIGHT) / 2, (TOP + HEIGHT - BOTTOM) / 2
    out.append(f'<text x="{centre}" y="{HEIGHT - 6}" text-anchor="middle">{text(across.label)}</text>')
    turned = f'transform="rotate(-90 14 {middle})"'
    out.append(f'<text x="14" y="{middle}" text-anchor="middle" {turned}>{text(up.label)}</text>')
    return "".join(out)


def _summary(lines: Sequence[Series]) -> str:
    """What the lines do, in words, for those who do not see them."""
    parts = [
        f"{line.name or 'The line'} goes from {line.points[0][1]:.4g} at {line.points[0][0]:g} "
        f"to {line.points[-1][1]:.4g} at {line.points[-1][0]:g}."
        for line in lines
        if line.points
    ]
    return " ".join(parts)
