"""Files of weights that others made: which of a repository to take, and whether those in a folder are whole."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from sfumato.errors import SfumatoError

DTYPES = {"float16": "fp16", "float32": ""}
"""What the files of a dtype are called: `fp16` in model.fp16.safetensors; those without such a name are float32."""
SKIPPED = ("safety_checker", "watermarker")
"""Components of pipelines that nothing here uses."""

_SHARD = re.compile(r"-(\d{5})-of-(\d{5})(?=\.)")
_LONGEST_HEADER = 100_000_000
"""In bytes, as in the safetensors library: a longer one is no header."""


def variant(name: str) -> str:
    """The variant of a file of weights or their index: `fp16` of model.fp16-00001-of-00002.safetensors; often empty."""
    _, *parts = _SHARD.sub("", PurePosixPath(name).name).split(".")
    return ".".join(part for part in parts if part not in {"safetensors", "index", "json"})


def select(names: Iterable[str], dtype: str = "float16", *, text: bool = True) -> list[str]:
    """The files of a repository that make its model, in the order in which to download them.

    That is configurations, tokenizers and safetensors weights: of each component those of `dtype` or, where it has
    none, of the other; no pickles, no checkers of pictures and, without `text`, no text encoder. An index comes after
    all shards, so that it is there only when they are.
    """
    every = [PurePosixPath(name) for name in names]
    pipeline = PurePosixPath("model_index.json") in every
    taken = [file for file in every if _wanted(file, pipeline, text=text)]
    variants: dict[PurePosixPath, set[str]] = defaultdict(set)
    for file in taken:
        if file.suffix == ".safetensors":
            variants[file.parent].add(variant(file.name))
    order = sorted(DTYPES.values(), key=lambda name: name != DTYPES[dtype])
    chosen = {folder: min(found, key=[*order, *sorted(found)].index) for folder, found in variants.items()}
    taken = [file for file in taken if not _rank(file) or variant(file.name) == chosen.get(file.parent)]
    return [str(file) for file in sorted(taken, key=lambda file: (_rank(file), str(file)))]


def _wanted(file: PurePosixPath, pipeline: bool, *, text: bool) -> bool:
    component = file.parts[0] if len(file.parts) == 2 else ""
    if len(file.parts) > 2 or component in SKIPPED or (component.startswith("text_encoder") and not text):
        return False
    if file.suffix == ".safetensors":
        # Beside the components of a pipeline lie checkpoints of the whole for other programs.
        return bool(component) or not pipeline
    return file.suffix in {".json", ".txt"} or file.name == "spiece.model"


def _rank(file: PurePosixPath) -> int:
    """0 for what is small, 1 for weights, 2 for an index of weights."""
    return 1 if file.suffix == ".safetensors" else 2 * (file.suffix == ".json" and ".index" in file.name)


def variants(component: Path) -> list[str]:
    """The variants of its weights that are whole in the folder of a component, such as `["", "fp16"]`.

    Shards are whole when they are all there, with their index.
    """
    files = [file.name for file in component.glob("*.safetensors") if file.is_file()]
    indexed = {variant(file.name) for file in _indexes(component)}
    shards: dict[tuple[str, str], int] = defaultdict(int)
    whole = set()
    for name in files:
        part = _SHARD.search(name)
        if part is None:
            whole.add(variant(name))
        else:
            shards[variant(name), part[2]] += 1
    whole |= {which for (which, of), there in shards.items() if there == int(of) and which in indexed}
    return sorted(whole)


def missing(folder: Path) -> list[str]:
    """What the folder of a model lacks, its text encoder aside: components without weights, or all of its weights."""
    index = folder / "model_index.json"
    if not index.is_file():
        return [] if variants(folder) else ["weights"]
    try:
        entries: dict[str, Any] = json.loads(index.read_text(encoding="utf-8"))
        named = [name for name, value in entries.items() if isinstance(value, list) and value[0] is not None]
    except (OSError, ValueError, AttributeError, IndexError):
        return [index.name]
    needed = [name for name in named if name not in SKIPPED and not name.startswith("text_encoder")]
    return [name for name in needed if not _is_whole(folder / name)]


def _is_whole(component: Path) -> bool:
    # What has weights has a config.json; a scheduler or a tokenizer calls its file otherwise.
    return component.is_dir() and (not (component / "config.json").is_file() or bool(variants(component)))


def check_weights(folder: Path, advice: str = "get it again") -> None:
    """Check every file of weights in a model's folder and in those of its components.

    Raises SfumatoError, which ends in `advice`, for a file that is damaged, or a shard that an index names and that is
    not there. Only headers are read.
    """
    for index in [index for component in (folder, *folder.glob("*")) for index in _indexes(component)]:
        try:
            shards = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise SfumatoError(f"{index} is damaged; {advice}") from error
        lacking = sorted(shard for shard in shards if not (index.parent / shard).is_file())
        if lacking:
            raise SfumatoError(f"{index.parent} lacks {', '.join(lacking)}; {advice}")
    for file in sorted([*folder.glob("*.safetensors"), *folder.glob("*/*.safetensors")]):
        check_safetensors(file, advice)


def _indexes(component: Path) -> list[Path]:
    """The indexes of sharded safetensors in a folder; not those of pickles."""
    return sorted(file for file in component.glob("*.index*.json") if "safetensors" in file.name and file.is_file())


def check_safetensors(path: Path, advice: str = "get it again") -> None:
    """Check that a file has the length that its header speaks of, without reading more than the header.

    Raises SfumatoError, which ends in `advice`, for a file that is empty, cut short, or no safetensors file.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(8)
            length = int.from_bytes(start, "little")
            text = file.read(length) if length <= _LONGEST_HEADER else b""
    except OSError as error:
        raise SfumatoError(f"cannot read {path}: {error.strerror or error}") from error
    if not size:
        raise SfumatoError(f"{path} is empty; {advice}")
    if start == b"version ":
        raise SfumatoError(f"{path} is a pointer of Git LFS, not the weights; {advice}")
    if length > _LONGEST_HEADER or not text.startswith(b"{"):
        raise SfumatoError(f"{path} is no safetensors file; {advice}")
    if len(text) < length:
        raise SfumatoError(f"{path} is cut short: it ends in its header; {advice}")
    try:
        header = json.loads(text)
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        whole = 8 + length + max(ends, default=0)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise SfumatoError(f"{path} has a damaged header; {advice}") from error
    if size < whole:
        raise SfumatoError(f"{path} is cut short: {_of(size, whole)}; {advice}")
    if size > whole:
        raise SfumatoError(f"{path} is damaged: {size - whole:,} bytes too many; {advice}")


def _of(part: int, whole: int) -> str:
    rounded = f"{part / 1e6:,.0f}", f"{whole / 1e6:,.0f}"
    # A byte of gigabytes is missed in bytes.
    return f"{rounded[0]} of {rounded[1]} MB" if rounded[0] != rounded[1] else f"{part:,} of {whole:,} bytes"
