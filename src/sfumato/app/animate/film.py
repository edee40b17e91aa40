"""From a scene to a file: frames with their times, as a GIF or an MP4."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from sfumato.app.animate.page import Page
from sfumato.app.animate.scene import GROUND, INK, Scene
from sfumato.errors import SfumatoError, UsageError

LONGEST_NOTE = 60_000
"""Characters of a note in a file; a job with a large picture in it is left out."""


@dataclass(frozen=True)
class Pace:
    """How long things take, in seconds."""

    move: float = 3.0
    """From one stop to the next."""
    hold: float = 1.0
    """At each stop."""
    fps: float = 20.0
    """Frames a second while things move."""

    @property
    def delay(self) -> int:
        """Milliseconds of a frame: GIFs count hundredths of a second, and browsers take one alone for ten."""
        return max(20, round(100 / self.fps) * 10)

    @property
    def steps(self) -> int:
        """Frames of a move, the stop at its end counted."""
        return max(2, round(1000 * self.move / self.delay))

    @property
    def rest(self) -> int:
        """Milliseconds of the frame of a stop."""
        return self.delay + round(100 * self.hold) * 10


@dataclass(frozen=True)
class Frame:
    """A picture and how long it is shown."""

    image: Image.Image
    milliseconds: int
    still: bool
    """Whether it is a stop."""


def frames(scene: Scene, pace: Pace, *, captions: bool = True) -> Iterator[Frame]:
    """Every frame of a scene, once around; it ends where the first frame goes on."""
    page = Page(scene.still(0).size, scene.captions if captions else ())
    following = (*scene.captions[1:], scene.captions[0])
    for stop, (caption, next_one) in enumerate(zip(scene.captions, following, strict=True)):
        yield Frame(page.compose(scene.still(stop), caption), pace.rest, still=True)
        for k in range(1, pace.steps):
            s = eased(k / pace.steps)
            # One caption has gone before the other comes.
            words, strength = (caption, 1 - 3 * s) if s < 0.5 else (next_one, 3 * s - 2)
            yield Frame(page.compose(scene.moving(stop, s), words, strength), pace.delay, still=False)


def eased(s: float) -> float:
    """Slow at both ends (smoothstep)."""
    return s * s * (3 - 2 * s)


def gif(scene: Scene, pace: Pace, *, captions: bool = True, note: str = "") -> bytes:
    """A GIF that goes on for ever, with a note in its comment. All of its frames share one palette.

    What is grey has 64 greys while it moves, which the eye cannot tell and halves the file, and is exact at each stop.
    """
    shown = frames(scene, pace, captions=captions)
    if scene.still(0).mode == "L":
        coarse = [min(255, (level + 2) // 4 * 4) for level in range(256)]
        images = (frame.image if frame.still else frame.image.point(coarse) for frame in shown)
    else:
        palette = _palette(scene, pace)
        # No dithering: its dots would swarm from frame to frame.
        images = (frame.image.quantize(palette=palette, dither=Image.Dither.NONE) for frame in shown)
    buffer = io.BytesIO()
    next(images).save(
        buffer,
        "GIF",
        save_all=True,
        append_images=images,
        duration=[pace.rest, *[pace.delay] * (pace.steps - 1)] * len(scene.captions),
        loop=0,
        **({"comment": note.encode()} if 0 < len(note) <= LONGEST_NOTE else {}),
    )
    return buffer.getvalue()


def _palette(scene: Scene, pace: Pace) -> Image.Image:
    """Colours that serve what a few frames show, and the greys of the ground and of captions that come and go."""
    few = frames(scene, replace(pace, move=5 * pace.delay / 1000), captions=False)
    pixels = np.concatenate([np.asarray(frame.image).reshape(-1, 3) for frame in few])
    shown = np.concatenate([pixels[:1], pixels[(pixels != GROUND).any(axis=1)]])[None]
    colours = (Image.fromarray(shown).quantize(240, Image.Quantize.MEDIANCUT, kmeans=1).getpalette() or [])[: 3 * 240]
    greys = np.linspace(GROUND, INK, 15).round().astype(int).repeat(3)
    palette = Image.new("P", (1, 1))
    palette.putpalette([*colours, *greys.tolist()])
    return palette


def mp4(scene: Scene, pace: Pace, *, captions: bool = True, note: str = "") -> bytes:
    """An MP4 (H.264), once around, with a note in its metadata. Raises UsageError without imageio-ffmpeg."""
    try:
        from imageio_ffmpeg import write_frames
    except ImportError as error:
        raise UsageError("an MP4 needs imageio-ffmpeg: pip install 'sfumato[video]', or choose a .gif") from error
    shown = frames(scene, pace, captions=captions)
    first = next(shown)
    noted = ["-metadata", f"comment={note}"] if 0 < len(note) <= LONGEST_NOTE else []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        writer = write_frames(
            str(path),
            first.image.size,
            fps=1000 / pace.delay,
            macro_block_size=2,
            codec="libx264",
            output_params=["-crf", "16", "-movflags", "+faststart", *noted],
        )
        try:
            writer.send(None)
            for frame in (first, *shown):
                pixels = np.ascontiguousarray(frame.image.convert("RGB"))
                for _ in range(round(frame.milliseconds / pace.delay)):
                    writer.send(pixels)
            writer.close()
        except OSError as error:  # ffmpeg says much more than a line
            raise SfumatoError("ffmpeg could not write the MP4; choose a .gif") from error
        return path.read_bytes()
