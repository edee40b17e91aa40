"""Prompts as vectors in a file, so that a text encoder of ten gigabytes need not be there to use them."""

from __future__ import annotations

import io
import json
import pickle
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from sfumato.errors import UsageError
from sfumato.files import sha256, write_bytes

KEY = "sfumato"
"""The metadata entry that says what made the vectors."""


def write_embeddings(path: Path, vectors: Mapping[str, Float[Tensor, "l d"]], encoder_sha256: str, model: str) -> None:
    """Write the vectors of prompts, each under its text, with the hash of the encoder that made them."""
    about = {"kind": "prompt embeddings", "encoder": encoder_sha256, "model": model, "prompts": list(vectors)}
    tensors = {prompt: value.contiguous() for prompt, value in vectors.items()}
    write_bytes(path, save(tensors, {KEY: json.dumps(about, ensure_ascii=False)}))


@dataclass(frozen=True)
class StoredPrompts:
    """The prompts of a file: one of ours, or a dictionary of prompts that `torch.save` wrote, as the course gives."""

    path: Path

    @cached_property
    def vectors(self) -> dict[str, Float[Tensor, "l d"]]:
        """By prompt. Raises UsageError when the file holds no such thing."""
        try:
            found = _safetensors(self.path) if self.path.suffix == ".safetensors" else _dictionary(self.path)
        except OSError as error:
            why = "no such file" if isinstance(error, FileNotFoundError) else error.strerror or error
            raise UsageError(f"cannot read {self.path}: {why}") from error
        out = {
            prompt: value.float().squeeze(0) if value.ndim == 3 else value.float() for prompt, value in found.items()
        }
        if not out or any(value.ndim != 2 for value in out.values()):
            raise UsageError(f"{self.path} holds no prompt embeddings; make some with: sfumato embed")
        shapes = {tuple(value.shape) for value in out.values()}
        if len(shapes) > 1:
            told = " and ".join(f"{length} × {width}" for length, width in sorted(shapes)[:2])
            raise UsageError(f"{self.path} has prompts of {told} numbers; all must have one shape")
        return out

    @cached_property
    def sha256(self) -> str:
        """Of the file."""
        return sha256(self.path)

    def read(self, prompts: Sequence[str]) -> list[Float[Tensor, "l d"]]:
        """Those of the file. Raises UsageError for a prompt that it has not."""
        for prompt in prompts:
            if prompt not in self.vectors:
                if not prompt:
                    raise UsageError(
                        f"{self.path} has no vectors of the empty prompt, which guidance leads away from; "
                        "make them with: sfumato embed, or give --guidance 1"
                    )
                told = [repr(known) for known in self.vectors if known]
                known = ", ".join(told[:5]) + (", …" if len(told) > 5 else "")
                raise UsageError(f"{self.path} has no prompt {prompt!r}; it has {known}. Make it with: sfumato embed")
        return [self.vectors[prompt] for prompt in prompts]


def _safetensors(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise UsageError(f"{path} is no whole .safetensors file: {error}") from error


def _dictionary(path: Path) -> dict[str, Tensor]:
    """A dictionary that torch.save wrote, read without running any code that is in it."""
    try:
        with warnings.catch_warnings(action="ignore"):  # of pickles that torch.save did not write
            data = torch.load(io.BytesIO(path.read_bytes()), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise UsageError(f"{path} is no dictionary of tensors that can be read safely") from error
    if not isinstance(data, dict) or not all(isinstance(k, str) and isinstance(v, Tensor) for k, v in data.items()):
        raise UsageError(f"{path} is no dictionary from prompts to tensors")
    return data
