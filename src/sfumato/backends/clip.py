"""CLIP as a judge of pictures (Radford et al. 2021), from a folder or the hub, through transformers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sfumato.backends.hub import reference, snapshot
from sfumato.backends.parts import Part, read_json, weight_files
from sfumato.errors import UsageError

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""Of the pictures that the published CLIPs were trained on, where a folder does not say."""


@dataclass(frozen=True, eq=False)
class Clip:
    """A CLIP that says which of some texts fits a picture."""

    part: Part
    folder: Path
    size: int
    """Height and width of the pictures that it reads."""
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    chunk: int = 32
    """Pictures at once."""

    @torch.no_grad()
    def probabilities(self, pictures: Float[Tensor, "b 3 h w"], prompts: Sequence[str]) -> Float[Tensor, "b n"]:
        """How probable each text is among these, of pictures in [0, 1]; rows sum to one."""
        from transformers import AutoTokenizer

        tokenizer: Any = AutoTokenizer.from_pretrained(self.folder, local_files_only=True)
        texts = tokenizer(list(prompts), padding=True, truncation=True, return_tensors="pt")
        mean, std = (torch.tensor(values)[:, None, None] for values in (self.mean, self.std))
        network: Any = self.part.network
        rows = []
        for part in torch.split((pictures.float().cpu() - mean) / std, self.chunk):
            output = network(input_ids=texts.input_ids, attention_mask=texts.attention_mask, pixel_values=part)
            rows.append(output.logits_per_image.softmax(dim=1))
        return torch.cat(rows)


def load_clip(name: str) -> Clip:
    """A CLIP from a folder as transformers writes it, or hf:OWNER/REPO on this machine, on the CPU.

    Raises UsageError for what is no CLIP, and SfumatoError for one that is not here or damaged.
    """
    model = reference(name)
    folder = snapshot(model) if model else Path(name)
    try:
        import accelerate
        import transformers
    except ImportError as error:
        raise UsageError(f"a judge of texts by CLIP needs {error.name}: pip install 'sfumato[if]'") from error
    config = read_json(folder / "config.json")
    if config.get("model_type") != "clip":
        raise UsageError(f"{folder} is no CLIP but {config.get('model_type', 'something else')}")

    def build() -> nn.Module:
        with accelerate.init_empty_weights(include_buffers=False):
            network: nn.Module = transformers.CLIPModel(transformers.CLIPConfig.from_dict(config))
        return network

    said = folder / "preprocessor_config.json"
    seen = read_json(said) if said.is_file() else {}
    size = int(config.get("vision_config", {}).get("image_size", 224))
    part = Part(build, weight_files(folder, torch.float32), torch.device("cpu"), torch.float32)
    mean, std = (tuple(map(float, seen.get(key, usual))) for key, usual in (("image_mean", MEAN), ("image_std", STD)))
    return Clip(part, folder, size, mean, std)  # type: ignore[arg-type]
