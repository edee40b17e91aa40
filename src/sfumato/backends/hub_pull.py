"""Downloads of models from the Hugging Face hub into its cache."""

from __future__ import annotations

import contextlib
import logging
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from sfumato.backends.hub import HubModel, cache_folder, is_offline, package
from sfumato.backends.hub_errors import OFFLINE, told
from sfumato.backends.shards import DTYPES, check_safetensors, select
from sfumato.errors import SfumatoError, one_of

Progress = Callable[[str, int, int], None]
"""Is told which file is being downloaded, how many bytes of it are there, and how many it has."""


def silent(*_: object) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Listing:
    """What the hub says of a model."""

    commit: str
    files: dict[str, int]
    """Those to download, in this order, with their bytes."""
    gated: bool
    licence: str | None


def listing(model: HubModel, *, dtype: str = "float16", text: bool = True) -> Listing:
    """Ask the hub what `pull` would download. Raises as `pull` does."""
    if dtype not in DTYPES:
        raise one_of("dtype", dtype, tuple(DTYPES))
    hub = package(model)
    with told(model, cache_folder()), _quiet():
        info = hub.model_info(model.repo, revision=model.revision, files_metadata=True)
    sizes = {file.rfilename: file.size or 0 for file in info.siblings or ()}
    names = select(sizes, dtype, text=text and model.text is None)
    if not any(name.endswith(".safetensors") for name in names):
        raise SfumatoError(f"{model.repo} has no weights in safetensors files; sfumato loads no pickles")
    card = info.card_data
    licence = card and (card.get("license_name") or card.get("license"))
    return Listing(info.sha, {name: sizes[name] for name in names}, bool(info.gated), licence)


def pull(model: HubModel, *, dtype: str = "float16", text: bool = True, show: Progress = silent) -> Path:
    """Download what is not on this machine yet of a model, and check it. Returns the folder of its snapshot.

    A file is put there when it is whole, and the model when all its files are: after Ctrl-C or a failure the next call
    goes on with the files that are left. One file is downloaded at a time, for then Ctrl-C stops at once.

    Args:
        model: Which.
        dtype: `float16` or `float32`; of a component that has no such files the other is taken.
        text: Whether to download its text encoder; one that it shares with another model never is.
        show: Is told of progress.

    Raises:
        UsageError: For another dtype.
        SfumatoError: When it cannot be had: a licence to accept, no such repository, no network, a full disk, no
            package huggingface_hub, …; the message says what to do.
    """
    hub = package(model)
    if is_offline():
        raise SfumatoError(f"cannot download {model.name}: {OFFLINE}")
    found = listing(model, dtype=dtype, text=text)
    with told(model, cache_folder()), _quiet():
        here = {name: _cached(model, found.commit, name) for name in found.files}
        wanted = [name for name in found.files if here[name] is not True]
        _check_room(model, found, wanted)
        for name in wanted:
            size, damaged = found.files[name], here[name] is False
            show(name, 0, size)
            meter = _meter(show, name, size)
            hub.hf_hub_download(model.repo, name, revision=found.commit, force_download=damaged, tqdm_class=meter)
            show(name, size, size)
        # All is here; this notes which commit the branch is at, and gives the folder.
        patterns = list(found.files)
        folder = Path(
            hub.snapshot_download(model.repo, revision=model.revision, allow_patterns=patterns, tqdm_class=_Meter)
        )
    for name in wanted:
        if name.endswith(".safetensors"):
            check_safetensors(folder / name, f"get it again: sfumato models pull {model.name}")
    return folder


def _cached(model: HubModel, commit: str, name: str) -> bool | None:
    """True for a file that is whole on this machine, False for one that is damaged, None for one that is not there."""
    from huggingface_hub import try_to_load_from_cache

    path = try_to_load_from_cache(model.repo, name, revision=commit)
    if not isinstance(path, str):
        return None
    if name.endswith(".safetensors"):
        with contextlib.suppress(SfumatoError):
            check_safetensors(Path(path))
            return True
        return False
    return True


def _check_room(model: HubModel, found: Listing, wanted: list[str]) -> None:
    """Raise SfumatoError when the disk has no room for these files."""
    hub, folder = package(model), cache_folder()
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    free = shutil.disk_usage(there).free
    if sum(found.files[name] for name in wanted) <= free:
        return
    # The cache may have some of them under another commit or repository: only the hub's package knows.
    plans = [hub.hf_hub_download(model.repo, name, revision=found.commit, dry_run=True) for name in wanted]
    needed = sum(found.files[name] for name, plan in zip(wanted, plans, strict=True) if plan.will_download)
    if needed > free:
        raise SfumatoError(
            f"{model.name} needs {needed / 1e9:.1f} GB and {there} has {free / 1e9:.1f} GB left; make room, or set "
            f"HF_HOME to a folder on a larger disk"
        )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the hub's lines on stderr: what there is to say is said here."""
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel("ERROR")
    try:
        yield
    finally:
        logger.setLevel(level)


class _Meter:
    """What the hub takes for a progress bar of tqdm."""

    def __init__(self, *_: object, total: float | None = None, initial: float = 0, **__: object) -> None:
        self.total, self.n = total, initial

    def __enter__(self) -> _Meter:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def update(self, n: float | None = 1) -> None:
        """So many more bytes are there."""
        self.n += n or 0
        self.tell(int(self.n))

    def tell(self, done: int) -> None:
        """Say how many bytes are there."""

    def ignore(self, *_: object, **__: object) -> None:
        """Ignore what only a bar that is drawn could show."""

    format_dict: ClassVar[dict[str, Any]] = {}
    # A bar with `update_transfer` is given both what comes from the network and what is written, else there are two.
    update_transfer = set_transfer_postfix_str = ignore
    set_description = set_description_str = set_postfix = set_postfix_str = refresh = close = clear = reset = ignore


def _meter(show: Progress, name: str, size: int) -> type[_Meter]:
    class Meter(_Meter):
        def tell(self, done: int) -> None:
            show(name, min(done, size), size)

    return Meter
