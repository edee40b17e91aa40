"""The models whose training part B shows, and what is said of a training in each of its rows."""

from __future__ import annotations

from sfumato.app.report.figures import Html
from sfumato.app.tour.logs import Training, training
from sfumato.app.tour.page import Measured
from sfumato.app.tour.workshop import Workshop
from sfumato.backends.model import Model


def family(w: Workshop) -> list[tuple[str, Model, Training | None]]:
    """Each model with its name and its training, where that is known."""
    out = []
    for name in w.subject.family:
        model = w.load(name, w.dtype)
        out.append((name, model, training_of(name, model)))
    return out


def training_of(name: str, model: Model) -> Training | None:
    """The training of these very weights: the log in the package is that of the packaged ones and of no others."""
    known = training(name)
    return None if known is None or known.about.get("sha256", model.sha256) != model.sha256 else known


def curve(known: Training | None) -> tuple[Html, ...]:
    """The loss."""
    return (known.curve("The loss in training, on a logarithmic scale."),) if known else ()


def epochs(w: Workshop, row: str, known: Training | None, what: str) -> list[Html]:
    """What the training showed after its epochs: the same seeds each time, so that one sees it learn."""
    found = known.epochs() if known else {}
    return [
        w.show_sheet(f"{row}-epoch-{epoch:03d}", image, f"{what} after epoch {epoch}", f"Epoch {epoch}: {what}.", 480)
        for epoch, image in found.items()
    ]


def when(known: Training | None) -> str:
    """After which training, to be added to a caption."""
    return f", {known.progress}" if known else ""


def train(known: Training | None) -> tuple[str, ...]:
    """The command of it."""
    return (known.command,) if known else ()


def loss(known: Training | None) -> tuple[Measured, ...]:
    """From where to where the loss went."""
    if known is None:
        return ()
    first, last = known.losses
    return (Measured(f"{first:.3g} → {last:.3g}", f"loss, {known.progress}"),)


def facts(known: Training | None) -> dict[str, object]:
    """A training as plain data."""
    if known is None:
        return {}
    first, last = known.losses
    told = {key: known.about[key] for key in ("steps", "epochs", "epochs_of_recipe", "finished")}
    return told | {"first_loss": first, "last_loss": last}
