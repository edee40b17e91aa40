"""Commands on views: which there are, and whether one can make an anagram."""

from __future__ import annotations

import json as json_module
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from sfumato.app.cli import common as c
from sfumato.errors import SfumatoError, UsageError

if TYPE_CHECKING:
    from sfumato.core.views.check import Report

VIEW = "A view or a chain of them, such as rotate:90+negate, in the form that `views list` shows."


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    group = typer.Typer(help="List the views of an anagram, or check what one does.", no_args_is_help=True)
    group.command("list")(list_views)
    group.command()(check)
    app.add_typer(group, name="views")


def list_views(json: c.Json = False) -> None:
    """List the views, each with an example: those of anagrams, and those that cannot work and show why."""
    from sfumato.core.views import VIEWS

    if json:
        rows = [
            {"name": name, "example": kind.example, "summary": kind.summary, "sound": kind.sound}
            for name, kind in VIEWS.items()
        ]
        typer.echo(json_module.dumps(rows, ensure_ascii=False))
        return
    for kind in VIEWS.values():
        lesson = "" if kind.sound else " Cannot work: see views check."
        typer.echo(f"{kind.example:<26} {kind.summary}{lesson}")


def check(
    views: Annotated[list[str], typer.Argument(metavar="VIEW", help=VIEW)],
    size: Annotated[int, typer.Option("--size", min=1, help="Height and width of the canvas in pixels.")] = 64,
    json: c.Json = False,
) -> None:
    """Measure whether views are linear, can be undone and keep white noise white; exit 1 when one does not."""
    from sfumato.core.views import parse_view
    from sfumato.core.views.check import check as measure

    reports: list[Report] = []
    for text in views:
        try:
            view = parse_view(text, unsound=True)
            reports.append(measure(view, (3, size, size)))
        except ValueError as error:
            raise UsageError(str(error)) from error
    if json:
        typer.echo(json_module.dumps([asdict(report) for report in reports], ensure_ascii=False))
    else:
        for report in reports:
            _say(report)
    if bad := [report.view for report in reports if not report.sound]:
        raise SfumatoError(f"{', '.join(bad)}: no {'view' if len(bad) == 1 else 'views'} of an anagram")


def _say(report: Report) -> None:
    """What was measured of a view, for a person."""
    typer.echo(f"{_short(report.view)} at {report.shape[-1]} px: {report.verdict}")
    condition = "" if report.condition is None else f", condition number {report.condition:.2g}"
    deviations = ", ".join(f"{value:.2f}" for value in report.noise_std)
    typer.echo(f"  linear       A(ax + by) − aAx − bAy: {_off(report.linearity_error)}")
    typer.echo(f"  undone       A⁻¹Ax − x: {_off(report.inverse_error)}{condition}")
    typer.echo(f"  orthogonal   AAᵀ − 1: {_off(report.orthogonality_error)}")
    typer.echo(f"  white noise  σ: {deviations}; neighbours correlate by {report.noise_correlation:.3f}")


def _off(error: float) -> str:
    return f"off by {error:.2g}" if error > 1e-9 else "0"


def _short(view: str) -> str:
    """A view's string, cut in the middle where it holds a whole table."""
    return view if len(view) <= 80 else f"{view[:48]}…{view[-16:]}"
