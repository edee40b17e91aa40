"""What a diffusers UNet is asked for, as the arguments that it takes: nothing, a class, or a prompt in vectors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from sfumato.core.estimates import Condition
from sfumato.errors import UsageError, short


@runtime_checkable
class Conditions(Protocol):
    """How a network is told its conditions."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The names that there are, where these are a list."""
        ...

    @property
    def conditioned(self) -> bool:
        """Whether there is anything to ask for."""
        ...

    @property
    def known(self) -> Condition:
        """One that can be asked for without more ado."""
        ...

    def check(self, condition: Condition, model: str) -> None:
        """Raise UsageError for a condition that the network knows nothing of."""
        ...

    def prepare(self, conditions: Iterable[Condition]) -> None:
        """Do once what these conditions need."""
        ...

    def arguments(self, conditions: Sequence[Condition], device: torch.device, dtype: torch.dtype) -> dict[str, Tensor]:
        """What the network is called with, one row for each condition."""
        ...


@dataclass(frozen=True)
class Nothing:
    """An unconditional network."""

    classes: tuple[str, ...] = ()
    conditioned: bool = False

    known: Condition = None

    def check(self, condition: Condition, model: str) -> None:
        """Nothing can be asked for."""
        if condition is not None:
            raise UsageError(f"model {model} cannot be asked for {condition!r}: it makes what it was trained on")

    def prepare(self, conditions: Iterable[Condition]) -> None:
        """Nothing to do."""

    def arguments(self, conditions: Sequence[Condition], device: torch.device, dtype: torch.dtype) -> dict[str, Tensor]:
        """None."""
        del conditions, device, dtype
        return {}


@dataclass(frozen=True)
class ClassLabels:
    """A network that must be told a class by its number."""

    classes: tuple[str, ...]
    conditioned: bool = True

    @property
    def known(self) -> Condition:
        """The first class."""
        return self.classes[0]

    def check(self, condition: Condition, model: str) -> None:
        """It has no class for nothing, so that guidance needs a class to lead away from as well."""
        if condition is None:
            known = _some(self.classes)
            raise UsageError(
                f'model {model} knows no "nothing": name a class, {known}, and for guidance another by --negative'
            )
        if condition not in self.classes:
            raise UsageError(f"unknown class {short(condition)} of {model}; choose one of {_some(self.classes)}")

    def prepare(self, conditions: Iterable[Condition]) -> None:
        """Nothing to do."""

    def arguments(self, conditions: Sequence[Condition], device: torch.device, dtype: torch.dtype) -> dict[str, Tensor]:
        """The numbers of the classes."""
        del dtype
        numbers = [self.classes.index(condition or self.classes[0]) for condition in conditions]
        return {"class_labels": torch.tensor(numbers, device=device)}


@runtime_checkable
class Reader(Protocol):
    """What turns prompts into vectors."""

    @property
    def sha256(self) -> str:
        """What says which vectors it makes: of the encoder's weights, or of the file that holds them."""
        ...

    def read(self, prompts: Sequence[str]) -> list[Float[Tensor, "l d"]]:
        """The vectors of each prompt, on the CPU in float32. Raises UsageError for a prompt that it cannot read."""
        ...


@dataclass(frozen=True, eq=False)
class Prompts:
    """A network that reads prompts; nothing is the empty prompt (not a vector of zeros)."""

    reader: Reader
    width: int
    """Of the vectors that the network takes."""
    classes: tuple[str, ...] = ()
    conditioned: bool = True
    _vectors: dict[str, Tensor] = field(default_factory=dict, init=False, repr=False)

    @property
    def known(self) -> Condition:
        """A prompt that has been read, so that the text encoder is not loaded for another one."""
        return next(iter(self._vectors), None)

    def check(self, condition: Condition, model: str) -> None:
        """Any text will do."""

    def prepare(self, conditions: Iterable[Condition]) -> None:
        """Read those prompts that are new, all at once: the text encoder is loaded for that, and freed."""
        new = list(dict.fromkeys(c or "" for c in conditions if (c or "") not in self._vectors))
        if not new:
            return
        for prompt, vectors in zip(new, self.reader.read(new), strict=True):
            if vectors.shape[-1] != self.width:
                raise UsageError(
                    f"the vectors of prompts have {vectors.shape[-1]} numbers and the model takes {self.width}: "
                    "they were made by another text encoder; make them anew with: sfumato embed"
                )
            self._vectors[prompt] = vectors

    def arguments(self, conditions: Sequence[Condition], device: torch.device, dtype: torch.dtype) -> dict[str, Tensor]:
        """Their vectors."""
        self.prepare(conditions)
        for prompt in {condition or "" for condition in conditions}:
            self._vectors[prompt] = self._vectors[prompt].to(device, dtype)
        return {"encoder_hidden_states": torch.stack([self._vectors[condition or ""] for condition in conditions])}


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names) if len(names) <= 12 else f"{names[0]} … {names[-1]}"
