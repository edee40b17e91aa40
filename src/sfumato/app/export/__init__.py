"""Models as files for others: weights, an ONNX graph, or a scheduler of diffusers, each with a model card.

What is exported is a folder of its own, and `README.md` in it is the card. Its files have the same names for every
model, so a folder of weights is itself a model for sfumato: `sfumato generate 3 --model FOLDER`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from sfumato.app.export import diffusers, onnx
from sfumato.app.export.card import CARD, model_card
from sfumato.app.export.folder import check_free, staged
from sfumato.app.export.source import LICENCES, Source, read_source
from sfumato.errors import UsageError, one_of
from sfumato.files import write_bytes, write_text
from sfumato.models.weights import as_dtype, save_weights

FORMATS = ("safetensors", "onnx", "diffusers-scheduler")
"""What a model can be exported to."""
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
"""What weights can be kept as."""


@dataclass(frozen=True)
class Exported:
    """What an export left."""

    folder: Path
    files: tuple[Path, ...]
    """The card first."""
    difference: float | None = None
    """The largest between the outputs of torch and of ONNX Runtime; None where they were not compared."""


def export_model(
    name: str, to: str, out: Path, *, dtype: str = "float32", megabytes: int | None = None, force: bool = False
) -> Exported:
    """Write the model of that name into the folder `out`, whole or not at all.

    Args:
        name: A bundled model, a run directory or a .safetensors file.
        to: One of `FORMATS`.
        out: The folder. It must be new or empty; with `force` files of the same names are replaced.
        dtype: One of `DTYPES`, for weights.
        megabytes: Weights in a file, at most; more go into several files.
        force: Whether `out` may hold files.

    Raises:
        UsageError: An unknown name, format or dtype, a format that this model does not have, or a folder that is
            taken.
        SfumatoError: A package is missing, or what was written does not compute what the model does.
    """
    _check_request(to, dtype, megabytes)
    check_free(out, force)
    if to == "onnx":
        onnx.check_packages()
    source = read_source(name)
    if out.resolve() == source.folder.resolve():
        raise UsageError(f"{out} holds the model itself; choose another folder with --out")
    difference = None
    with staged(out) as folder:
        if to == "safetensors":
            _write_weights(source, folder, DTYPES[dtype], megabytes)
        elif to == "onnx":
            difference = onnx.write_onnx(source, folder)
        else:
            diffusers.write_scheduler(source, folder)
        if source.licences is not None:
            write_bytes(folder / LICENCES, source.licences)
        written = sorted(folder.iterdir())
        write_text(folder / CARD, model_card(source, to, written, difference))
    return Exported(out, tuple(out / file.name for file in (folder / CARD, *written)), difference)


def _check_request(to: str, dtype: str, megabytes: int | None) -> None:
    """Raise UsageError for a request that cannot be meant."""
    if to == "diffusers":
        raise UsageError(diffusers.NO_PIPELINE)
    if to not in FORMATS:
        raise one_of("format", to, FORMATS)
    if dtype not in DTYPES:
        raise one_of("dtype", dtype, tuple(DTYPES))
    if to != "safetensors" and (dtype != "float32" or megabytes is not None):
        raise UsageError(f"--dtype and --shard are of weights; leave them out with --to {to}")


def _write_weights(source: Source, folder: Path, dtype: torch.dtype, megabytes: int | None) -> None:
    """The weights as one file, or a few, that sfumato and all that reads safetensors can read."""
    network = source.model.network
    state = network.state_dict()
    for key, tensor in as_dtype(state, dtype).items():
        if not tensor.isfinite().all() and state[key].isfinite().all():
            raise UsageError(f"{key} has numbers too large for {str(dtype).split('.')[1]}; take bfloat16 or float32")
    facts = {**source.facts, "exported_from": source.model.sha256}
    shard = None if megabytes is None else megabytes * 1_000_000
    save_weights(folder / "model.safetensors", network.config, state, facts, dtype, shard)
