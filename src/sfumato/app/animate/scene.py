"""Scenes: what is seen at each stop of an animation, and between one stop and the next."""

from __future__ import annotations

from abc import ABC, abstractmethod

from PIL import Image

GROUND, INK = 44, 232
"""The greys of what is around the picture and of the words: dark enough for white, light enough for black."""


class Scene(ABC):
    """Stops in a circle: the last leads back to the first. All its pictures have one size and one mode, L or RGB."""

    captions: tuple[str, ...]
    """What each stop shows."""

    @abstractmethod
    def still(self, stop: int) -> Image.Image:
        """What is seen at a stop."""

    @abstractmethod
    def moving(self, stop: int, s: float) -> Image.Image:
        """What is seen at s, in (0, 1), of the way from a stop to the next."""


def ground(mode: str, size: tuple[int, int]) -> Image.Image:
    """An empty picture."""
    return Image.new(mode, size, GROUND if mode == "L" else (GROUND,) * 3)
