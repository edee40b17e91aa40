"""Models by name: the bundled ones, run directories, and files of weights."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch

from sfumato.backends.diffusers_folder import Where, is_diffusers, load_folder
from sfumato.backends.hub import HubModel, hub_models, reference, snapshot, text_snapshot
from sfumato.backends.memory import MODES
from sfumato.backends.model import Defaults, Model
from sfumato.backends.network import load_network
from sfumato.core.loops import Loop
from sfumato.core.ramps import read_weight
from sfumato.errors import UsageError, one_of, short
from sfumato.files import numbered
from sfumato.models.weights import ARCHITECTURES
from sfumato.tensors import read_header


@dataclass(frozen=True)
class Bundled:
    """A model that comes with sfumato."""

    name: str
    path: Path
    defaults: Defaults
    summary: str


def bundled_models() -> dict[str, Bundled]:
    """The models in the package, by name."""
    folder = Path(str(files("sfumato.bundled")))
    entries = json.loads((folder / "models.json").read_text(encoding="utf-8"))
    return {
        name: Bundled(name, folder / entry["file"], _defaults(**entry["defaults"]), entry["summary"])
        for name, entry in entries.items()
    }


def _defaults(
    guidance: object, illusion_guidance: object = None, loop: dict[str, Any] | None = None, **others: Any
) -> Defaults:
    readings = None if illusion_guidance is None else read_weight(illusion_guidance)
    return Defaults(guidance=read_weight(guidance), illusion_guidance=readings, loop=Loop(**(loop or {})), **others)


def classes_of(name: str) -> tuple[str, ...]:
    """What a bundled model can be asked for, where that is a list; told by its file without loading it."""
    network = read_header(bundled_models()[name].path, *ARCHITECTURES)["network"]
    return tuple(network.get("classes", ()))


def load(
    name: str,
    device: str = "cpu",
    dtype: str = "float32",
    *,
    memory: str = "auto",
    embeddings: Path | None = None,
) -> Model:
    """A model by name.

    That is a bundled one; a run directory that `sfumato train` made, or a .safetensors file of one; a model of the hub
    that is on this machine, such as deepfloyd or hf:OWNER/REPO; or a folder as diffusers writes it.

    Args:
        name: As above.
        device: As torch names it, or auto.
        dtype: The arithmetic inside the network: float32, bfloat16, float16, or auto, which is float16 for models of
            diffusers on a GPU and float32 else.
        memory: Of models of diffusers: auto, low or lowest (see `place`).
        embeddings: A file of prompts as vectors, to be read in place of the model's text encoder.

    Raises UsageError for an unknown name, device, dtype or memory, and SfumatoError for a model that is not here or is
    damaged.
    """
    where, precision = _device(device), _dtype(dtype)
    if memory not in MODES:
        raise one_of("memory", memory, MODES)
    known, path, hub = bundled_models().get(name), Path(name), reference(name)
    folder = known is None and _is_folder(path)
    if hub is not None or (folder and is_diffusers(path)):
        half = where.type == "cuda" and dtype == "auto"
        place = Where(where, torch.float16 if half else precision, memory, embeddings)
        return _from_hub(hub, place) if hub else load_folder(path, name, place)
    if embeddings is not None:
        raise UsageError(f"model {name} reads no prompts with a pretrained text encoder; leave --embeddings out")
    found = load_network(weights_file(name), name, where, precision)
    return found if known is None else replace(found, defaults=known.defaults)


def weights_file(name: str) -> Path:
    """The file of weights, or the first of its shards, of a bundled model, a run directory, or a file.

    Raises UsageError for any other name.
    """
    known, path = bundled_models().get(name), Path(name)
    if known is not None:
        return known.path
    if reference(name) is not None:
        raise UsageError(f"the weights of {name} are of another kind; give a bundled model, a run or a file of weights")
    if _is_folder(path):
        return _weights_of_run(path)
    if path.suffix != ".safetensors":
        names = ", ".join((*bundled_models(), *hub_models()))
        raise UsageError(
            f"unknown model {short(name)}; choose one of {names}, hf:OWNER/REPO, a folder or a .safetensors file"
        )
    return path


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a name too long to be one
        return False


def dtype_name(dtype: torch.dtype) -> str:
    """A dtype as jobs and the command line call it."""
    return str(dtype).removeprefix("torch.")


def _from_hub(model: HubModel, where: Where) -> Model:
    folder = snapshot(model)
    text = text_snapshot(model) if where.embeddings is None and model.encoder else None
    advice = f"get it again: sfumato models pull {model.name}"
    loaded = load_folder(folder, model.name, replace(where, text=text, advice=advice))
    own = loaded.defaults
    steps, guidance = model.steps or own.steps, own.guidance if model.guidance is None else model.guidance
    return replace(loaded, defaults=replace(own, steps=steps, guidance=guidance, larger=model.larger))


def _weights_of_run(run: Path) -> Path:
    """The final weights of a run, or those of its last finished epoch."""
    final = run / "model.safetensors"
    if final.is_file():
        return final
    epochs = numbered(run / "epochs", "epoch-*.safetensors")
    if not epochs:
        if not (run / "recipe.json").exists():
            raise UsageError(f"{run} is no model: neither a run of sfumato train nor a folder of diffusers")
        raise UsageError(f"{run} has no weights yet: no model.safetensors and no finished epoch")
    return epochs[-1]


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"device {short(name)} is not there; try cpu") from error
    return device


def _dtype(name: str) -> torch.dtype:
    known = {"auto": torch.float32, "float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    if name not in known:
        raise one_of("dtype", name, tuple(known))
    return known[name]
