"""Animations of illusions: from each reading to the next, and back to the first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sfumato.errors import UsageError

if TYPE_CHECKING:
    from sfumato.app.animate.film import Pace
    from sfumato.app.animate.illusion import Illusion
    from sfumato.app.animate.scene import Scene

SUFFIXES = (".gif", ".mp4")


def animate(
    file: Path,
    out: Path,
    views: Sequence[str] = (),
    *,
    size: int = 512,
    pace: Pace | None = None,
    captions: bool = True,
) -> None:
    """Write the animation of an illusion as a GIF or an MP4, by the suffix of `out`.

    Args:
        file: A PNG that sfumato made; with `views`, any picture.
        out: The file to write, whole or not at all.
        views: What to show the picture through, after the picture as it is, instead of what its job says.
        size: Pixels of the picture's longer side on the screen, at most; a small picture is enlarged by whole numbers.
        pace: How long things take.
        captions: Whether to say below the picture what one sees.

    Raises:
        UsageError: for what cannot be animated.
    """
    from sfumato.app.animate.film import Pace, gif, mp4
    from sfumato.app.animate.illusion import read_illusion
    from sfumato.files import write_bytes

    if out.suffix.lower() not in SUFFIXES:
        raise UsageError(f"an animation is a .gif or an .mp4, not {out.suffix or 'a file without a suffix'}")
    illusion = read_illusion(file, views, largest=size)
    film = gif if out.suffix.lower() == ".gif" else mp4
    write_bytes(out, film(scene_of(illusion, size), pace or Pace(), captions=captions, note=illusion.note))


def scene_of(illusion: Illusion, size: int = 512) -> Scene:
    """What is to be seen of an illusion. Raises UsageError for a picture that is none."""
    from sfumato.app.animate.looks import scene_of_hybrid
    from sfumato.app.animate.moves import Moves
    from sfumato.app.jobs import Hybrid

    job = illusion.job
    if illusion.readings:
        return Moves(illusion.picture, illusion.readings, size)
    if isinstance(job, Hybrid):
        return scene_of_hybrid(illusion.picture, job, size, illusion.first)
    raise UsageError(
        f"{illusion.path} was made by {job.kind if job else 'nobody'}: there is one way to see it; "
        "anagrams and hybrids can be animated, and any picture with --view"
    )
