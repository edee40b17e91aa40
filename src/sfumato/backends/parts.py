"""Parts of a model as diffusers and transformers store them: a folder with config.json and .safetensors files.

A part is built empty and given its weights straight from the files, on its device and in its dtype, when it is first
needed; it can be let go of and come back, and where memory is short it can stay on the disk, from which each layer
fetches its weights for the time that it computes.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import safe_open
from torch import Tensor, nn

from sfumato.backends.shards import check_weights, variant, variants
from sfumato.errors import SfumatoError, UsageError
from sfumato.files import sha256

Residence = Literal["resident", "8-bit", "streamed"]
"""Where weights are while a part computes: on its device; there, linear layers in 8 bits; on the disk, but for one
layer."""


def read_json(path: Path) -> dict[str, Any]:
    """A table in a JSON file. Raises UsageError when there is none."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path.parent} is no model: it has no readable {path.name}") from error
    except ValueError as error:
        raise UsageError(f"{path} is damaged: {error}") from error
    if not isinstance(data, dict):
        raise UsageError(f"{path} is damaged: it holds no table")
    return data


def weight_files(folder: Path, dtype: torch.dtype, advice: str = "get it again") -> tuple[Path, ...]:
    """The .safetensors files of a part: those in half precision, where there are such, for a `dtype` of 16 bits.

    Raises UsageError when there are none, SfumatoError, which ends in `advice`, when one is missing or cut short.
    """
    check_weights(folder, advice)
    whole = variants(folder)
    if not whole:
        pickles = [path.name for pattern in ("*.bin", "*.ckpt", "*.pt") for path in folder.glob(pattern)]
        because = f" ({pickles[0]} is a pickle, which could run any code)" if pickles else f"; {advice}"
        raise UsageError(f"{folder} has no weights in .safetensors files{because}")
    order = ("", "fp16", "bf16") if dtype == torch.float32 else ("fp16", "bf16", "")
    chosen = next((name for name in order if name in whole), whole[0])
    return tuple(path for path in sorted(folder.glob("*.safetensors")) if variant(path.name) == chosen)


def digest(files: tuple[Path, ...]) -> str:
    """The SHA-256 that stands for files of weights: of the one file, or of the list of those of several.

    The hub's cache names a file by its SHA-256, so that ten gigabytes need not be read for it.
    """
    names = [path.resolve().name for path in files]
    each = [
        name if re.fullmatch("[0-9a-f]{64}", name) else sha256(path) for name, path in zip(names, files, strict=True)
    ]
    return each[0] if len(each) == 1 else hashlib.sha256("\n".join(each).encode()).hexdigest()


def held_bytes(files: tuple[Path, ...], dtype: torch.dtype, kept: tuple[str, ...] = ()) -> int:
    """Memory that the weights in files take in a dtype; layers called as in `kept` stay in float32 beside float16."""
    each, total = torch.finfo(dtype).bits // 8, 0
    for path in files:
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118
                size = 4 if dtype == torch.float16 and set(kept) & set(name.split(".")) else each
                total += size * math.prod(file.get_slice(name).get_shape())
    return total


def kept_in_float32(kind: type | nn.Module) -> tuple[str, ...]:
    """The layers of a network of transformers that overflow in float16, such as `wo` of T5."""
    return tuple(getattr(kind, "_keep_in_fp32_modules", None) or ())


@dataclass(eq=False)
class Part:
    """A network that loads when it is first asked for."""

    build: Callable[[], nn.Module]
    """Makes it empty: parameters on torch's device `meta`."""
    files: tuple[Path, ...]
    device: torch.device
    dtype: torch.dtype
    residence: Residence = "resident"
    _network: nn.Module | None = field(default=None, init=False, repr=False)

    @property
    def network(self) -> nn.Module:
        """The network with its weights. Raises SfumatoError when the files are not its."""
        if self._network is None:
            network = self.build().eval().requires_grad_(False)
            weights = Weights(network, self.files, self.dtype)
            match self.residence:
                case "resident":
                    weights.fill(network, self.device)
                case "8-bit":
                    weights.fill(_in_8_bits(network), self.device)
                case "streamed":
                    _stream(network, weights, self.device)
            self._network = network
        return self._network

    def release(self) -> None:
        """Give its memory back."""
        self._network = None
        if self.device.type == "cuda":
            torch.cuda.empty_cache()


class Weights(Mapping[str, Tensor]):
    """The tensors of a network by their names in it, read from the files one by one."""

    def __init__(self, network: nn.Module, files: tuple[Path, ...], dtype: torch.dtype) -> None:
        where = {}
        for path in files:
            with safe_open(path, framework="pt") as file:
                where.update(dict.fromkeys(file.keys(), path))
        tied = getattr(network, "_tied_weights_keys", None) or {}
        shapes = {name: parameter.shape for name, parameter in network.named_parameters(remove_duplicate=False)}
        persistent = {name for name in network.state_dict() if name not in shapes}
        wanted = {name: name if name in where else tied.get(name, name) for name in (*shapes, *persistent)}
        missing = [name for name, source in wanted.items() if source not in where]
        unknown = set(where) - set(wanted.values())
        if missing or unknown:
            odd = f"have no {missing[0]}" if missing else f"have {min(unknown)}, which it does not"
            raise SfumatoError(f"the weights in {files[0].parent} are not those of its config.json: they {odd}")
        self._where = {name: (where[source], source) for name, source in wanted.items()}
        self._dtype = dtype
        self._kept = set(kept_in_float32(network)) if dtype == torch.float16 else set()

    def __getitem__(self, name: str) -> Tensor:
        path, source = self._where[name]
        with safe_open(path, framework="pt") as file:
            return self._read(file, name, source)

    def _read(self, file: Any, name: str, source: str) -> Tensor:
        tensor: Tensor = file.get_tensor(source)
        if not tensor.is_floating_point():
            return tensor
        return tensor.to(torch.float32 if self._kept & set(name.split(".")) else self._dtype)

    def __iter__(self) -> Iterator[str]:
        return iter(self._where)

    def __len__(self) -> int:
        return len(self._where)

    def fill(self, network: nn.Module, device: torch.device) -> None:
        """Give a network these weights on a device, one after the other, so that memory holds each once."""
        for path in dict.fromkeys(path for path, _ in self._where.values()):
            with safe_open(path, framework="pt") as file:
                tensors: dict[str, Tensor] = {}
                for name, (_, source) in ((n, place) for n, place in self._where.items() if place[0] == path):
                    if source not in tensors:  # else tied to one that is there
                        tensors[source] = self._read(file, name, source).to(device)
                    module, _, leaf = name.rpartition(".")
                    _assign(network.get_submodule(module), leaf, tensors[source])
        # Tables that are computed, not stored.
        for _, module in network.named_modules():
            for leaf, buffer in module.named_buffers(recurse=False):
                if buffer.device != device:
                    setattr(module, leaf, buffer.to(device))


def _assign(module: nn.Module, leaf: str, tensor: Tensor) -> None:
    old = getattr(module, leaf)
    if old.shape != tensor.shape:
        raise SfumatoError(f"the weights are not those of config.json: {leaf} is {tuple(tensor.shape)}")
    if not isinstance(old, nn.Parameter):
        setattr(module, leaf, tensor)
    elif type(old) is nn.Parameter:
        setattr(module, leaf, nn.Parameter(tensor, requires_grad=False))
    else:  # bitsandbytes': it becomes 8 bits on the way to its device
        kind: Any = type(old)
        made = kind(tensor.cpu(), requires_grad=False, has_fp16_weights=False)
        setattr(module, leaf, made.to(tensor.device))


def _in_8_bits(network: nn.Module) -> nn.Module:
    """The network with 8-bit linear layers (Dettmers et al. 2022), still empty."""
    try:
        library: Any = importlib.import_module("bitsandbytes")
    except ImportError as error:
        raise UsageError("8-bit weights need bitsandbytes: pip install bitsandbytes") from error
    kept = kept_in_float32(network)
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Linear and name not in kept:
                with torch.device("meta"):
                    made = library.nn.Linear8bitLt(
                        child.in_features, child.out_features, child.bias is not None, has_fp16_weights=False
                    )
                setattr(parent, name, made.requires_grad_(False))
    return network


def _stream(network: nn.Module, weights: Weights, device: torch.device) -> None:
    """Let each layer fetch its weights when it computes, and forget them."""
    from accelerate.hooks import attach_align_device_hook

    attach_align_device_hook(network, execution_device=device, offload=True, weights_map=weights)
