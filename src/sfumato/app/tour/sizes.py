"""How much a tour makes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TourSize:
    """How much is made. The numbers of the course are those of `USUAL`."""

    steps: int = 20
    """Of samples from noise."""
    course_steps: int = 34
    """Of rows that speak of entries of the strided list."""
    step_counts: tuple[int, ...] = (5, 10, 20, 40)
    """Of the row that compares them."""
    starts: tuple[int, ...] = (1, 3, 5, 7, 10, 20)
    """i_start of image-to-image."""
    guidances: tuple[float, ...] = (1.0, 2.0, 5.0, 7.0)
    each: int = 5
    """Judged samples of each prompt, for each number of steps and each guidance."""
    clean: int = 16
    """Clean pictures that denoising is measured on."""
    denoiser_clean: int = 100
    """Clean pictures that the one-step denoiser is measured on."""
    pictures: int = 10
    """Pictures that are edited with nothing asked for."""
    shown: int = 10
    """Samples in a figure."""
    fits: int = 6
    """Judged inpaintings of each kind."""
    keeps: int = 4
    """Seeds of each start where what an edit keeps is measured."""
    pairs: int = 12
    """Pairs of each kind of illusion, at most."""
    tries: int = 3
    """Seeds of each illusion."""
    best: int = 6
    """Illusions shown."""
    search: int = 32
    """Seeds of a search."""
    chain_steps: int = 48
    """Of the animations and of the samples of part B."""


USUAL = TourSize()
QUICK = TourSize(
    steps=12,
    step_counts=(5, 12, 40),
    guidances=(1.0, 2.0, 7.0),
    each=2,
    clean=8,
    denoiser_clean=20,
    pictures=4,
    shown=5,
    fits=2,
    keeps=2,
    pairs=4,
    tries=2,
    best=4,
    search=10,
    chain_steps=16,
)
"""About a minute for the bundled digits on two cores."""
FULL = TourSize(
    starts=(1, 3, 5, 7, 10, 20, 30),
    each=20,
    clean=64,
    denoiser_clean=400,
    shown=20,
    fits=12,
    keeps=12,
    tries=12,
    best=8,
    search=256,
    chain_steps=100,
)
"""More seeds, so tighter intervals and better illusions."""
TINY = TourSize(2, 3, (1, 2), (0, 1), (1.0, 2.0), 1, 2, 2, 2, 2, 1, 1, 1, 1, 1, 2, 3)
"""Everything, as little of it as can be: for tests."""
