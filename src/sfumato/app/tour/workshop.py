"""Where the tour is made: jobs with the model's defaults, each run once; and figures to page and disk."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from sfumato.app.command import command_lines
from sfumato.app.defaults import completed
from sfumato.app.job import Job, Loader
from sfumato.app.jobs import AnyJob
from sfumato.app.output import enlarge, save_image, sheet, zoom_for
from sfumato.app.pictures import Picture
from sfumato.app.report.figures import Html, Row, disk_sheet, figure, picture
from sfumato.app.report.interactive import stepper
from sfumato.app.run import Result, make_batches, run
from sfumato.app.tour.inputs import Input
from sfumato.app.tour.reader import Reader
from sfumato.app.tour.sizes import TourSize
from sfumato.app.tour.subject import Subject
from sfumato.backends.model import Model
from sfumato.core.loop import Step
from sfumato.core.pixels import to_unit
from sfumato.errors import UsageError
from sfumato.images import to_image

J = TypeVar("J", bound=Job)
_COLUMN = 696
"""The width of the page's column in CSS pixels."""
_MOST_VALUES = 1_200_000
"""Of the pictures under a slider over the steps of a run: about as many bytes are in the page."""


@dataclass(frozen=True, eq=False)
class Workshop:
    """All that a section needs."""

    folder: Path
    load: Loader
    subject: Subject
    size: TourSize
    seed: int
    dtype: str = "float32"
    _done: dict[str, Result] = field(default_factory=dict, init=False, repr=False)
    """What was made, by its job's digest: rows share some of their pictures."""

    @property
    def model(self) -> Model:
        """The model that the tour is about."""
        return self.subject.model

    # Jobs.

    def job(self, kind: type[J], **given: Any) -> J:
        """A job with the defaults of its model and of this tour for what is not given."""
        name = given.get("model", self.subject.name)
        model = self.model if name == self.subject.name else self.load(name, self.dtype)
        own = {} if model is not self.model or self.subject.guided else {"guidance": 1.0}
        fields = {"kind": kind.model_fields["kind"].default, "model": name, "seed": self.seed, **own, **given}
        return kind(**completed(fields, model, steps=self.size.steps))

    def course(self, kind: type[J], **given: Any) -> J:
        """The same with the list of levels of the course, whose entries some rows speak of."""
        return self.job(kind, **{"steps": min(self.size.course_steps, self.model.most_steps), **given})

    @property
    def plain(self) -> dict[str, Any]:
        """What is asked for where nothing in particular is, before there is any guidance."""
        prompt = self.subject.prompts.nothing
        return {"prompt": prompt} if prompt is None else {"prompt": prompt, "guidance": 1.0}

    def possible(self, job: AnyJob) -> bool:
        """Whether the model can do it: not every view fits every size."""
        try:
            job.canvas(self.load(job.model, self.dtype))
        except UsageError:
            return False
        return True

    def run(self, jobs: Sequence[AnyJob]) -> list[Result]:
        """What comes of them; each is run once however often it is asked for."""
        digests = [job.digest for job in jobs]
        new = {digest: job for digest, job in zip(digests, jobs, strict=True) if digest not in self._done}
        if new:
            self._done.update(zip(new, run(list(new.values()), self.load), strict=True))
        return [self._done[digest] for digest in digests]

    def make(self, jobs: Sequence[AnyJob]) -> Float[Tensor, "n c h w"]:
        """The finished pictures."""
        return torch.stack([result.picture for result in self.run(jobs)])

    def watch(self, jobs: Sequence[AnyJob], keep: Callable[[Step], bool] = lambda _: True) -> list[Step]:
        """The steps to keep of jobs that run as one batch."""
        (batch,) = make_batches(jobs, self.load)
        return [step for step in batch.steps() if keep(step)]

    def command(self, jobs: Sequence[AnyJob]) -> str:
        """The one command that makes them, as it is typed in the folder of the page."""
        name = self.subject.name
        # A run of one's own is found from where the tour was started, and the commands are typed elsewhere.
        if Path(name).exists():
            here = os.path.relpath(Path(name).resolve(), self.folder.resolve())
            jobs = [job.model_copy(update={"model": here}) if job.model == name else job for job in jobs]
        return command_lines(jobs)

    # Pictures.

    def input(self, given: Input) -> Picture:
        """A picture that goes into jobs, also written to `inputs`, where commands find it."""
        return self.put(given.picture, given.name)

    def put(self, x: Float[Tensor, "c h w"], name: str) -> Picture:
        """The same for any picture."""
        save_image(to_image(x), self.folder / "inputs" / f"{name}.png")
        return Picture.of(x, f"inputs/{name}.png")

    def pictures(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Canvases in the middle of the loop as pictures with values in [0, 1]."""
        return to_unit(x, self.model)

    def reader(self, prompts: Sequence[str | None]) -> Reader:
        """Who reads pictures that were asked for by these prompts, or that are of these classes."""
        named = tuple(dict.fromkeys(prompt for prompt in prompts if prompt is not None))
        return Reader(self.subject.judges(named))

    # Figures.

    def show(self, name: str, rows: Sequence[Row], caption: str) -> Html:
        """A figure for the page, which is also written to `pictures`."""
        self.save(name, disk_sheet(rows))
        return figure(rows, caption)

    def show_apart(self, name: str, rows: Sequence[Row], caption: str) -> Html:
        """The same for rows of different sizes, each a file of its own."""
        for k, row in enumerate(rows):
            self.save(f"{name}-{k}", disk_sheet([row]))
        return figure(rows, caption)

    def show_sheet(self, name: str, image: Image.Image, alt: str, caption: str, width: int) -> Html:
        """One small picture for the page, enlarged there and on the disk."""
        self.save(name, image.resize((4 * image.width, 4 * image.height), Image.Resampling.NEAREST))
        return picture(image, alt, caption, width)

    def show_wide(self, name: str, x: Float[Tensor, "c h w"], alt: str, caption: str) -> Html:
        """A picture that is wider than high, as wide as the column."""
        self.save(name, enlarge(to_image(x), zoom_for(x.shape[-2])))
        return picture(to_image(x), alt, caption, max(1, _COLUMN // x.shape[-1]) * x.shape[-1])

    def show_steps(self, steps: Sequence[Step], names: Sequence[str], caption: str) -> Html:
        """A slider over the steps of a run: each canvas, and below it the clean picture that is seen in it.

        Args:
            steps: All of them, the start first.
            names: What each picture of the batch is called; "" where there is but one.
            caption: Of the figure.
        """
        # The estimate that a step carries was made of the canvas before it.
        pairs = list(zip(steps, [*(step.x0 for step in steps[1:]), steps[-1].x], strict=True))
        # Noise does not compress, so of large pictures there are fewer, and of many steps every other one.
        values = 2 * len(steps) * steps[0].x[0].numel()
        shown = max(1, min(len(names), _MOST_VALUES // values))
        every = -(-values * shown // _MOST_VALUES)
        pairs = [pair for pair in pairs if pair[0].index % every == 0 or pair[0] is steps[-1]]
        frames = [
            torch.cat([self.pictures(x[:shown]) for x in (step.x, step.x if guess is None else guess)])
            for step, guess in pairs
        ]
        labels = [time_of(step.level.t, last=step.index == step.total) for step, _ in pairs]
        rows = [f"{sign}{f' · {name}' if name else ''}" for sign in ("xₜ", "x̂₀") for name in names[:shown]]
        return stepper(frames, labels, rows, caption)

    def save_row(self, name: str, pictures: Sequence[Float[Tensor, "c h w"]]) -> None:
        """Write pictures to `pictures`, side by side."""
        self.save(name, sheet(torch.stack(list(pictures)), len(pictures)))

    def save(self, name: str, image: Image.Image) -> None:
        """Write a picture to `pictures`."""
        save_image(image, self.folder / "pictures" / f"{name}.png")


def time_of(t: float, *, last: bool) -> str:
    """What a level is called: x₀ is where the run ends."""
    return "x₀" if last else f"t = {t:g}"


def listing(parts: Sequence[object]) -> str:
    """`a, b and c`."""
    said = [str(part) for part in parts]
    return " and ".join([", ".join(said[:-1]), said[-1]] if len(said) > 1 else said)
