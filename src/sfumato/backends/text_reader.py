"""Prompts to vectors by a pretrained text encoder, T5 or CLIP, that is only in memory while it reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sfumato.backends.parts import Part, Residence, digest, held_bytes, kept_in_float32, read_json, weight_files
from sfumato.errors import SfumatoError, UsageError

ENCODERS = ("T5EncoderModel", "CLIPTextModel")
"""The architectures that can be read with, as transformers calls them."""


@dataclass(frozen=True, eq=False)
class TextEncoder:
    """The tokenizer and text encoder of a model folder."""

    tokenizer: Path
    encoder: Path
    device: torch.device
    dtype: torch.dtype
    residence: Residence = "resident"
    length: int | None = None
    """Tokens of every prompt, padded or refused; the tokenizer's own where none is given."""
    lower: bool = False
    """Whether prompts are lower-cased, as those of DeepFloyd IF are."""
    chunk: int = 8
    """Prompts at once."""

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """The files of weights."""
        return weight_files(self.encoder, self.dtype)

    @cached_property
    def sha256(self) -> str:
        """Of the weights."""
        return digest(self.files)

    def read(self, prompts: Sequence[str]) -> list[Float[Tensor, "l d"]]:
        """The last hidden states of each prompt. Loads the encoder, and frees it at the end.

        Raises UsageError for a prompt that is too long: what is cut off could not be seen in the picture.
        """
        texts = [prompt.lower().strip() if self.lower else prompt for prompt in prompts]
        tokens, mask = self._tokens(texts)
        name, config = architecture(self.encoder)
        masked = name == "T5EncoderModel" or config.get("use_attention_mask", False)
        part = Part(lambda: _empty(name, config), self.files, self.device, self.dtype, self.residence)
        try:
            with torch.no_grad():
                vectors = []
                for start in range(0, len(texts), self.chunk):
                    rows = slice(start, start + self.chunk)
                    shown = mask[rows].to(self.device) if masked else None
                    output = part.network(tokens[rows].to(self.device), attention_mask=shown)
                    vectors += [row.float().cpu() for row in output[0]]
        finally:
            part.release()
        if not all(row.isfinite().all() for row in vectors):
            raise SfumatoError("the text encoder overflowed in half precision; read with --dtype float32 or bfloat16")
        return vectors

    def _tokens(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        from transformers import AutoTokenizer

        tokenizer: Any = AutoTokenizer.from_pretrained(self.tokenizer, local_files_only=True)
        length = self.length or min(int(tokenizer.model_max_length), 512)
        for text in texts:
            given = len(tokenizer(text).input_ids)
            if given > length:
                raise UsageError(
                    f"the prompt {text[:40]!r}… is {given} tokens long; the model reads {length}: shorten it"
                )
        told = tokenizer(list(texts), padding="max_length", max_length=length, truncation=True, return_tensors="pt")
        return told.input_ids, told.attention_mask


def architecture(encoder: Path) -> tuple[str, dict[str, Any]]:
    """The architecture in an encoder's folder, with its configuration. Raises UsageError for one that cannot be run."""
    config = read_json(encoder / "config.json")
    name = next(iter(config.get("architectures") or ["an unknown class"]))
    if name not in ENCODERS:
        raise UsageError(f"{encoder} is {name}, which prompts cannot be read with; only {' or '.join(ENCODERS)}")
    return name, config


def encoder_bytes(encoder: Path, files: tuple[Path, ...], dtype: torch.dtype) -> int:
    """Memory that a text encoder takes."""
    import transformers

    return held_bytes(files, dtype, kept_in_float32(getattr(transformers, architecture(encoder)[0])))


def _empty(name: str, config: dict[str, Any]) -> nn.Module:
    """A text encoder without weights."""
    import transformers
    from accelerate import init_empty_weights

    kind = getattr(transformers, name)
    with init_empty_weights(include_buffers=False):
        network: nn.Module = kind(kind.config_class.from_dict(config))
    return network
