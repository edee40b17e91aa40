"""Where the tour is made: its inputs, the running of jobs, the judge's verdicts, and figures to page and disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from sfumato.app.job import Loader
from sfumato.app.jobs import AnyJob
from sfumato.app.output import save_image
from sfumato.app.pictures import Picture
from sfumato.app.report.figures import Html, Row, disk_sheet, figure, picture
from sfumato.app.run import make_batches, run
from sfumato.backends.model import Model
from sfumato.core.loop import Step
from sfumato.core.pixels import to_unit
from sfumato.evaluation.judge import Judge
from sfumato.evaluation.samples import JudgedSamples, judged
from sfumato.images import to_image
from sfumato.training.data import ImageData

MODEL, TIME_MODEL, DENOISER = "digits", "digits/time", "digits/denoiser"


@dataclass(frozen=True)
class TourSize:
    """How much is made. The numbers of the course are those of `FULL`."""

    steps: int = 20
    """Of samples from noise."""
    course_steps: int = 34
    """Of rows that speak of entries of the strided list."""
    starts: tuple[int, ...] = (1, 3, 5, 7, 10, 20)
    """i_start of image-to-image."""
    clean: int = 16
    """Test digits that denoising is measured on."""
    denoiser_clean: int = 100
    """Test digits that the one-step denoiser is measured on."""
    per_class: int = 8
    """Judged samples of each digit for each guidance."""
    guidances: tuple[float, ...] = (1.0, 2.0, 5.0, 7.0)
    shown: int = 10
    """Samples in a figure."""
    fits: int = 6
    """Judged inpaintings of each kind."""
    pairs: int = 12
    tries: int = 4
    """Seeds of each pair of an illusion."""
    best: int = 6
    """Illusions shown."""
    chain_steps: int = 48
    """Of the animations and of the samples of part B."""


FULL = TourSize()
TINY = TourSize(2, 3, (0, 1), 2, 2, 1, (1.0, 2.0), 2, 1, 1, 1, 1, 3)


@dataclass(frozen=True, eq=False)
class Workshop:
    """All that a section needs."""

    folder: Path
    load: Loader
    judge: Judge
    data: ImageData
    size: TourSize
    seed: int

    @property
    def model(self) -> Model:
        """The class-conditioned model."""
        return self.load(MODEL, "float32")

    @property
    def shared(self) -> dict[str, Any]:
        """What the jobs of rows with entries of the strided list have in common."""
        return {"seed": self.seed, "steps": self.size.course_steps, "guidance": self.model.defaults.guidance}

    def times(self, *thousandths: int) -> list[int]:
        """Times of the course, of 1000, as the same fractions of this model's T."""
        total = len(self.model.schedule)  # type: ignore[arg-type] # the digit models have discrete times
        return [round(t * total / 1000) for t in thousandths]

    def make(self, jobs: Sequence[AnyJob]) -> Float[Tensor, "n c h w"]:
        """The finished pictures."""
        return torch.stack([result.picture for result in run(jobs, self.load)])

    def watch(self, jobs: Sequence[AnyJob], keep: Callable[[Step], bool]) -> list[Step]:
        """The steps to keep of jobs that run as one batch."""
        (batch,) = make_batches(jobs, self.load)
        return [step for step in batch.steps() if keep(step)]

    def show(self, name: str, rows: Sequence[Row], caption: str) -> Html:
        """A figure for the page, which is also written to `pictures`."""
        self.save(name, disk_sheet(rows))
        return figure(rows, caption)

    def show_sheet(self, name: str, image: Image.Image, alt: str, caption: str, width: int) -> Html:
        """One small picture for the page, enlarged there and on the disk."""
        self.save(name, image.resize((4 * image.width, 4 * image.height), Image.Resampling.NEAREST))
        return picture(image, alt, caption, width)

    def save(self, name: str, image: Image.Image) -> None:
        """Write a picture to `pictures`."""
        save_image(image, self.folder / "pictures" / f"{name}.png")

    def pictures(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Canvases in the middle of the loop as pictures with values in [0, 1]."""
        return to_unit(x, self.model)

    def input(self, x: Float[Tensor, "c h w"], name: str) -> Picture:
        """A picture that goes into jobs, also written to `inputs`, so that commands find it."""
        save_image(to_image(x), self.folder / "inputs" / f"{name}.png")
        return Picture.of(x, f"{name}.png")

    def digit(self, label: str, nth: int = 0) -> Picture:
        """A clean test digit of this class, the n-th."""
        return self.input(self.data.pixels(self._rows_of(label)[nth : nth + 1])[0], f"digit-{label}")

    def one_of_each(self) -> tuple[Float[Tensor, "n c h w"], list[str]]:
        """A clean test digit of every class (the second ones), and the classes."""
        rows = [self._rows_of(label)[1:2] for label in self.data.classes]
        return self.data.pixels(torch.cat(rows)), list(self.data.classes)

    def clean(self, n: int) -> tuple[Float[Tensor, "n c h w"], list[str]]:
        """The first n clean test digits, and their classes."""
        return self.data.pixels(torch.arange(n)), [self.data.classes[int(label)] for label in self.data.labels[:n]]

    def readings(self, pictures: Float[Tensor, "n c h w"]) -> list[tuple[str, float]]:
        """What the judge reads in each picture, and its confidence."""
        confidence, index = self.judge.probabilities(pictures).max(1)
        return [(self.judge.classes[int(i)], float(p)) for i, p in zip(index, confidence, strict=True)]

    def judged(self, pictures: Float[Tensor, "n c h w"], expected: Sequence[str]) -> JudgedSamples:
        """What the judge reads in pictures of these classes, counted."""
        return judged(pictures, expected, self.judge)

    def _rows_of(self, label: str) -> Tensor:
        return (self.data.labels == self.data.classes.index(label)).nonzero()[:, 0]


def listing(parts: Sequence[object]) -> str:
    """`a, b and c`."""
    words = [str(part) for part in parts]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def inputs(image: Picture) -> str:
    """Where the picture lies, seen from the folder of the report."""
    return f"inputs/{image.name}"
