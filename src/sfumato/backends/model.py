"""A model as the commands see it: a denoiser, and all that one asks about it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sfumato.core.cascade import LowResolution
from sfumato.core.estimates import Condition, Estimate
from sfumato.core.levels import Level
from sfumato.core.loops import Loop
from sfumato.core.pixels import to_unit
from sfumato.core.ramps import PlainWeight
from sfumato.core.schedules import Additive, Discrete, Schedule
from sfumato.errors import UsageError


@dataclass(frozen=True)
class Defaults:
    """What to use where the user does not say."""

    steps: int
    guidance: PlainWeight
    hybrid_sigma: float
    """Of the Gaussian that parts near from far, in pixels."""
    larger: str | None = None
    """The model that makes its pictures larger."""
    loop: Loop = field(default_factory=Loop)
    illusion_guidance: PlainWeight | None = None
    """γ of each reading where one picture has several: what is read must be plain. As `guidance` where it is None."""

    def guidance_of(self, *, illusion: bool) -> PlainWeight:
        """γ of a picture, or of an illusion's readings."""
        return self.illusion_guidance if illusion and self.illusion_guidance is not None else self.guidance


class Model(ABC):
    """A denoiser with a name, defaults, and what it can be asked for."""

    name: str
    schedule: Schedule
    dtype: torch.dtype
    """Arithmetic inside the network; its input and output are float32."""
    facts: dict[str, Any] | None
    """What its files say of its training."""
    sha256: str | None
    """Of the file of weights."""
    pixel_range: tuple[float, float]
    defaults: Defaults
    low_res: LowResolution | None
    """What it makes larger, if it is the later stage of a cascade."""

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width of a canvas."""

    @property
    @abstractmethod
    def device(self) -> torch.device:
        """Where it computes."""

    @property
    @abstractmethod
    def classes(self) -> tuple[str, ...]:
        """The names it can be asked for, where these are a list; none for a model of free text or of nothing."""

    @property
    @abstractmethod
    def conditioned(self) -> bool:
        """Whether it can be asked for anything."""

    @abstractmethod
    def check(self, condition: Condition) -> tuple[str, ...]:
        """The words of a condition that the model has never seen; they do nothing.

        Raises UsageError for a condition of which it knows nothing.
        """

    @abstractmethod
    def __call__(
        self,
        x: Float[Tensor, "b i h w"],
        conditions: Sequence[Condition],
        level: Level,
        of: Sequence[int] | None = None,
    ) -> Estimate:
        """The noise in canvas `of[k]` for the k-th condition, by default in its own.

        After the channels of the canvas come those of the guide, where there is one.
        """

    @abstractmethod
    def x0(
        self, x: Float[Tensor, "b i h w"], conditions: Sequence[Condition], level: Level
    ) -> Float[Tensor, "b c h w"]:
        """The clean picture in each row: also where there is no noise (sigma 0), of which the noise says nothing."""

    @property
    def reads_text(self) -> bool:
        """Whether its conditions are free text."""
        return self.conditioned and not self.classes

    @property
    def most_steps(self) -> int:
        """The longest path that its schedule has."""
        match self.schedule:
            case Discrete():
                return len(self.schedule)
            case Additive():
                return 1
            case _:
                return 1000

    @property
    def picture_shape(self) -> tuple[int, int, int]:
        """Channels, height, width of a finished picture."""
        return self.shape

    def pictures(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h2 w2"]:
        """Finished canvases as pictures, values in [0, 1], on the CPU."""
        return to_unit(x, self)

    @property
    def text_sha256(self) -> str | None:
        """Of a pretrained text encoder, or of the file of vectors in its place; None where there is no such thing."""
        return None

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know of how it runs here."""
        return ()

    @property
    def learned_variance(self) -> bool:
        """Whether it says how much noise a step adds."""
        return self.defaults.loop.variance == "learned"

    def row_limit(self) -> int:
        """Rows of one forward, at most."""
        # On a CPU more rows gain nothing and cost memory.
        return 128

    def rest(self) -> None:  # noqa: B027
        """Let go of what can be loaded again, where memory is short: others run now."""

    def prepare(self, conditions: Iterable[Condition]) -> None:  # noqa: B027
        """Do once what these conditions need, so that what is only needed for that can be let go of."""

    @property
    def latent(self) -> bool:
        """Whether its canvases are no pictures yet: views and filters would not mean what they say."""
        return self.picture_shape != self.shape

    def small_size(self, given: int) -> int:
        """The size that a picture of `given` pixels is brought to, so that this later stage can make it larger."""
        return given if self.low_res is None else self.low_res.size

    def taking(self, size: int) -> Model:
        """This later stage for smaller pictures of `size` pixels. Raises UsageError when it takes no such pictures."""
        if self.low_res is None:
            raise UsageError(f"model {self.name} makes no picture larger")
        if self.low_res.size != size:
            raise UsageError(f"model {self.name} makes pictures of {self.low_res.size} pixels larger, not of {size}")
        return self

    def after(self, below: Model) -> Model:
        """This model as the next stage after the model `below`. Raises UsageError as `taking` does."""
        if self.low_res is not None and self.picture_shape[0] != below.picture_shape[0]:
            kinds = ["colour" if model.picture_shape[0] == 3 else "grey" for model in (self, below)]
            told = f"makes {kinds[0]} pictures larger, and {below.name} makes {kinds[1]} ones"
            raise UsageError(f"model {self.name} {told}")
        return self.taking(below.picture_shape[-1])

    def guided_at(self, t: float) -> Model:
        """This model with the smaller picture noised to time t. Raises UsageError when there is no such time."""
        if self.low_res is None:
            raise UsageError(f"model {self.name} makes no picture larger, so it has no noise level for a smaller one")
        try:
            self.low_res.schedule.level(t)
        except ValueError as error:
            raise UsageError(f"model {self.name}: noise level: {error}") from error
        return replace(self, low_res=replace(self.low_res, t=t))  # type: ignore[type-var]
