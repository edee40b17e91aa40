"""The report of a run: one page made of what lies in its directory, at any time of the training."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sfumato.app.command import train_command
from sfumato.app.report.chart import Series, chart, smoothed
from sfumato.app.report.document import definitions, document, table
from sfumato.app.report.figures import Html, animation, text
from sfumato.errors import UsageError
from sfumato.files import number_of, numbered
from sfumato.images import read_image
from sfumato.training.directory import RunDirectory
from sfumato.training.recipe import Recipe, load_recipe

ANIMATIONS = {
    "denoising": "Pictures come out of noise.",
    "nothing": "The same seeds with nothing asked for: the condition is all zero.",
}


def run_report(run: RunDirectory) -> str:
    """The page. What is not there yet is left out. Raises UsageError when there is no run."""
    recipe, rows = run.recipe(), run.metrics()
    sections = (
        ("loss", "Loss", _loss(rows)),
        ("samples", "Samples", _samples(run)),
        ("animations", "Animations", _animations(run)),
        ("recipe", "Recipe", (_recipe(recipe), _command(recipe))),
        ("run", "Run", (*_facts(run), *_skipped(run))),
    )
    body = "".join(_section(*section) for section in sections if any(section[2]))
    links = "".join(f'<li><a href="#{id}">{text(title)}</a></li>' for id, title, parts in sections if any(parts))
    head = (
        f'<header><p class="kicker">sfumato</p><h1>{text(recipe.name)}: a training</h1>'
        f'<p class="lead">{text(recipe.summary)}</p>'
        f'<div class="notes"><p>{text(_progress(run, rows))}</p></div></header>'
    )
    contents = f'<nav aria-label="Contents"><div><ul>{links}</ul></div></nav>'
    return document(f"sfumato: {recipe.name}", f"{head}{contents}<main>{body}</main>")


def epoch_losses(rows: Iterable[dict[str, Any]]) -> tuple[tuple[float, float], ...]:
    """The mean of the logged losses of each epoch: (epoch, loss)."""
    epochs: dict[int, list[float]] = {}
    for row in rows:
        epochs.setdefault(int(row["epoch"]), []).append(float(row["loss"]))
    return tuple((float(epoch), sum(losses) / len(losses)) for epoch, losses in sorted(epochs.items()))


def _progress(run: RunDirectory, rows: list[dict[str, Any]]) -> str:
    if run.result_file.exists():
        result = json.loads(run.result_file.read_text(encoding="utf-8"))
        return f"Finished after {result['steps']:,} steps with a loss of {result['loss']:.5f}."
    if not rows:
        return "It has only begun."
    return f"At step {rows[-1]['step']:,}, in epoch {rows[-1]['epoch']}, with a loss of {rows[-1]['loss']:.5f}."


def _loss(rows: list[dict[str, Any]]) -> tuple[Html, ...]:
    points = tuple((float(row["step"]), float(row["loss"])) for row in rows)
    mean = smoothed(points, max(1, len(points) // 30))
    lines = [Series("loss", points, faint=True), Series("its running mean", mean)]
    epochs = epoch_losses(rows)
    return (
        chart(lines, "step", "loss", "The loss, step by step.", log_y=True),
        chart([Series("mean loss", epochs)], "epoch", "loss", "The mean loss of each epoch.", log_y=True),
    )


def _samples(run: RunDirectory) -> tuple[Html, ...]:
    files = numbered(run.sample_file(1).parent, "epoch-*.png")
    return tuple(_image(file, f"Samples after epoch {number_of(file)}.", "png") for file in files)


def _animations(run: RunDirectory) -> tuple[Html, ...]:
    files = {name: run.path / "animations" / f"{name}.gif" for name in ANIMATIONS}
    return tuple(_image(file, ANIMATIONS[name], "gif") for name, file in files.items() if file.is_file())


def _image(file: Path, caption: str, kind: str) -> Html:
    return animation(file.read_bytes(), caption, caption, read_image(file).width, kind)


def _recipe(recipe: Recipe) -> Html:
    try:
        packaged = load_recipe(recipe.name).model_dump(mode="json")
    except UsageError:
        packaged = {}
    rows = [
        (key, json.dumps(value), "" if key not in packaged or packaged[key] == value else json.dumps(packaged[key]))
        for key, value in recipe.model_dump(mode="json").items()
        if key not in {"name", "summary"}
    ]
    return table(("number", "here", "in the packaged recipe"), rows, "Every number of the recipe.")


def _command(recipe: Recipe) -> Html:
    command = text(train_command(recipe.model_dump(mode="json")))
    return Html(f'<div class="command"><h4>Make it yourself</h4><pre><code>{command}</code></pre></div>')


def _facts(run: RunDirectory) -> tuple[Html, ...]:
    parts = []
    for name, file in (("Environment", run.path / "environment.json"), ("Result", run.result_file)):
        if file.is_file():
            facts = json.loads(file.read_text(encoding="utf-8"))
            flat = {**facts, **{f"sha256 of {key}": value for key, value in facts.pop("sha256", {}).items()}}
            flat.pop("sha256", None)
            parts.append(Html(f"<h4>{text(name)}</h4>{definitions(list(flat.items()))}"))
    return tuple(parts)


def _skipped(run: RunDirectory) -> tuple[Html, ...]:
    if not run.skipped_file.is_file():
        return ()
    rows = json.loads(run.skipped_file.read_text(encoding="utf-8"))
    caption = f"{len(rows)} files of the data were left out." if len(rows) > 1 else "One file of the data was left out."
    return (table(("file", "reason"), [(Path(row["file"]).name, row["reason"]) for row in rows], caption),)


def _section(id: str, title: str, parts: Iterable[Html]) -> str:
    return f'<section id="{id}"><h3>{text(title)}</h3>{"".join(parts)}</section>'
