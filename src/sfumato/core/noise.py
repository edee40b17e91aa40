"""Randomness as an argument: every stream of random numbers follows from a seed and a name."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor


def image_generator(seed: int) -> torch.Generator:
    """The generator of the image with this seed: on the CPU, whatever device the run is on."""
    return torch.Generator().manual_seed(seed)


def stream(seed: int, *names: str | int) -> torch.Generator:
    """A generator for one purpose, such as `stream(0, "step", 12)`.

    What step 12 draws does not depend on what was drawn before it, so a run that stops needs no saved state to go on.
    """
    digest = hashlib.blake2b("/".join(map(str, (seed, *names))).encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "little") >> 1)


class ImageNoise:
    """Gaussian noise for a batch, each image from its own generator.

    Image seed s draws from `torch.Generator().manual_seed(s)` on the CPU in float32: first its initial noise, then
    one picture a step that adds noise. So image s is the same whatever its neighbours, and a run can be compared
    draw by draw with other implementations.
    """

    def __init__(self, seeds: Sequence[int], shape: tuple[int, int, int], device: torch.device | str = "cpu") -> None:
        self._generators = [image_generator(seed) for seed in seeds]
        self._shape = shape
        self._device = torch.device(device)

    def draw(self, rows: Sequence[int], channels: int | None = None) -> Float[Tensor, "b c h w"]:
        """The next noise of these rows; the generators of the others stay where they are.

        It has the channels of a canvas unless `channels` says otherwise.
        """
        shape = (self._shape[0] if channels is None else channels, *self._shape[1:])
        noise = [torch.randn(shape, generator=self._generators[row]) for row in rows]
        return torch.stack(noise).to(self._device)
