"""The scene of a picture with several views: its pieces move from each reading to the next."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PIL import Image

from sfumato.app.animate.act import Act
from sfumato.app.animate.pieces import change
from sfumato.app.animate.scene import Scene, ground
from sfumato.app.output import enlarge
from sfumato.core.views import View
from sfumato.errors import UsageError
from sfumato.images import to_image, to_tensor


class Moves(Scene):
    """A picture seen through one view after the other, enlarged by a whole number to at most `size` pixels a side.

    A larger picture is drawn as it is and made smaller by a whole number.
    """

    def __init__(self, picture: Image.Image, readings: Sequence[tuple[str, View]], size: int = 512) -> None:
        from sfumato.evaluation.illusions import seen

        channels = len(picture.getbands())
        shape = (channels, picture.height, picture.width)
        self.captions, views = zip(*readings, strict=True)
        changes = [
            change(view, following, shape) for view, following in zip(views, [*views[1:], views[0]], strict=True)
        ]
        x = to_tensor(picture, None, channels)[None]
        self.readings = [to_image(seen(x, view)[0]) for view in views]
        widest = max(max(image.size) for image in self.readings)
        self.zoom, self.shrink = max(1, size // widest), math.ceil(widest / size)
        self.acts = [
            Act.of(reading, between, self.zoom) for reading, between in zip(self.readings, changes, strict=True)
        ]
        if not any(act.does_anything for act in self.acts):
            raise UsageError("all of its views show the same; there is nothing to move")
        reach = max(act.reach for act in self.acts)
        margin = max(math.ceil((reach - widest / 2) * self.zoom) + 2, widest * self.zoom // 16)
        self.side = widest * self.zoom + 2 * (margin + -margin % self.shrink)

    def still(self, stop: int) -> Image.Image:
        """A reading, exactly."""
        return self._stage(self.readings[stop]).reduce(self.shrink)

    def moving(self, stop: int, s: float) -> Image.Image:
        """The pieces on their way."""
        act = self.acts[stop]
        return act.draw(self._stage(act.base), self.corner(act.base), s).reduce(self.shrink)

    def corner(self, reading: Image.Image) -> tuple[int, int]:
        """Where on the stage a reading, enlarged, has its corner."""
        return (self.side - reading.width * self.zoom) // 2, (self.side - reading.height * self.zoom) // 2

    def _stage(self, reading: Image.Image) -> Image.Image:
        stage = ground(reading.mode, (self.side, self.side))
        stage.paste(enlarge(reading, self.zoom), self.corner(reading))
        return stage
