"""Models of the Hugging Face hub: those known by name, and where they are on this machine."""

from __future__ import annotations

import functools
import os
import re
import tomllib
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from types import ModuleType

from sfumato.backends.shards import check_weights, missing, variants
from sfumato.errors import SfumatoError, UsageError

_REFERENCE = re.compile(
    r"hf:(?P<repo>\b[\w.-]{1,96}\b/\b[\w.-]{1,96}\b)(@(?P<revision>\w[\w./-]*))?",
    re.ASCII,
)
"""The names that the hub allows, with its rules below."""


@dataclass(frozen=True)
class HubModel:
    """A model in a repository of the hub, and what is known of it without asking; None is unknown."""

    name: str
    repo: str
    revision: str | None = None
    """A branch, tag or commit; its main branch by default."""
    summary: str | None = None
    licence: str | None = None
    licence_url: str | None = None
    gated: bool | None = None
    """Whether its licence must be accepted before it can be downloaded."""
    half: bool | None = None
    """Whether its repository also has files in float16."""
    parameters: int | None = None
    """Of the UNet."""
    unet_gigabytes: float | None = None
    """In float16, as are the other gigabytes."""
    encoder: str | None = None
    """What its text encoder is called."""
    text_gigabytes: float | None = None
    other_gigabytes: float = 0.0
    needs: str | None = None
    """Of the machine."""
    larger: str | None = None
    """The model that makes its pictures larger."""
    text: str | None = None
    """The model whose text encoder it shares; None where it has its own."""
    steps: int | None = None
    guidance: float | None = None

    @property
    def url(self) -> str:
        """Its page, where a licence is accepted."""
        return f"https://huggingface.co/{self.repo}"

    def gigabytes(self, dtype: str = "float16", *, text: bool = True) -> float | None:
        """What `pull` downloads with these arguments, in gigabytes; None where nobody knows."""
        if self.unet_gigabytes is None:
            return None
        own_text = (self.text_gigabytes or 0.0) if text and self.text is None else 0.0
        bytes_each = 1 if dtype == "float16" and self.half else 2
        return bytes_each * (self.unet_gigabytes + own_text + self.other_gigabytes)


@functools.cache
def hub_models() -> dict[str, HubModel]:
    """The models that are known by name and not bundled."""
    entries = tomllib.loads((files("sfumato.backends") / "hub_models.toml").read_text(encoding="utf-8"))
    return {name: HubModel(name, **entry) for name, entry in entries.items()}


def reference(name: str) -> HubModel | None:
    """The model that a name stands for: a known one, hf:OWNER/REPO or hf:OWNER/REPO@REVISION; None for other names.

    Raises UsageError for a name that begins with `hf:` and is none.
    """
    if not name.startswith("hf:"):
        return hub_models().get(name)
    match = _REFERENCE.fullmatch(name)
    if match is None or ".." in name or "--" in match["repo"] or match["repo"].endswith(".git"):
        raise UsageError(f"{name!r} names no model; write hf:OWNER/REPO or hf:OWNER/REPO@REVISION")
    known = next((model for model in hub_models().values() if model.repo == match["repo"]), None)
    return replace(known or HubModel(name, match["repo"]), name=name, revision=match["revision"])


# On this machine


def find(model: HubModel) -> Path | None:
    """The folder of its newest snapshot on this machine, whole or not; None where there is none.

    Nothing is asked of the hub. Where the package huggingface_hub is not installed there is none.
    """
    try:
        from huggingface_hub import try_to_load_from_cache
    except ImportError:
        return None
    for file in ("model_index.json", "config.json"):
        found = try_to_load_from_cache(model.repo, file, revision=model.revision)
        if isinstance(found, str):
            return Path(found).parent
    return None


def is_here(model: HubModel) -> bool:
    """Whether it is on this machine, whole but for its text encoder."""
    folder = find(model)
    return folder is not None and not missing(folder)


def snapshot(model: HubModel) -> Path:
    """The folder of its newest snapshot on this machine: in it one folder for each component, such as `unet`.

    The text encoder may be missing: `text_snapshot` finds it. Raises SfumatoError, which says how to get the model,
    when it is not here or not whole.
    """
    package(model)
    folder = find(model)
    if folder is None:
        raise SfumatoError(f"model {model.name} is not on this machine; {how_to_get(model)}")
    lacking = missing(folder)
    if lacking:
        raise SfumatoError(
            f"model {model.name} is not whole: {', '.join(lacking)} missing in {folder}; "
            f"get the rest: sfumato models pull {model.name}"
        )
    return folder


def text_snapshot(model: HubModel) -> Path:
    """The folder on this machine whose `text_encoder` and `tokenizer` it uses: its own, or another model's same ones.

    Raises SfumatoError, which says how to get them, when there is none.
    """
    package(model)
    same = [other for other in hub_models().values() if model.encoder and other.encoder == model.encoder]
    for candidate in (model, *same):
        folder = find(candidate)
        if folder is not None and variants(folder / "text_encoder"):
            return folder
    source = hub_models()[model.text] if model.text else model
    raise SfumatoError(f"the text encoder of model {model.name} is not on this machine; {how_to_get(source)}")


def how_to_get(model: HubModel) -> str:
    """What to do to have it on this machine, in words."""
    size = model.gigabytes()
    pull = f"sfumato models pull {model.name}" + (f" ({size:.1f} GB)" if size else "")
    return f"accept its licence at {model.url}, then: hf auth login, then: {pull}" if model.gated else f"get it: {pull}"


def check(model: HubModel) -> None:
    """Check its files of weights on this machine. Raises SfumatoError when it is not here or a file is damaged."""
    check_weights(snapshot(model), f"get it again: sfumato models pull {model.name}")


def cache_folder() -> Path:
    """Where the hub's models are kept: HF_HUB_CACHE, or `hub` in HF_HOME. Needs the package huggingface_hub."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def is_offline() -> bool:
    """Whether the environment forbids the network (HF_HUB_OFFLINE). Needs the package huggingface_hub."""
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


def has_token() -> bool:
    """Whether there is a token of the hub on this machine. Needs the package huggingface_hub."""
    from huggingface_hub import constants

    # Not huggingface_hub.get_token(), which may go to the network to make a token new.
    if os.environ.get("HF_TOKEN") or os.environ.get("HUGGING_FACE_HUB_TOKEN"):
        return True
    try:
        return bool(Path(constants.HF_TOKEN_PATH).read_text(encoding="utf-8").strip())
    except (OSError, UnicodeDecodeError):
        return False


def package(model: HubModel) -> ModuleType:
    """The package huggingface_hub. Raises SfumatoError, in the name of the model that needs it, where there is none."""
    try:
        import huggingface_hub
    except ImportError as error:
        raise SfumatoError(
            f"model {model.name} needs the package huggingface_hub; get it: pip install 'sfumato[if]'"
        ) from error
    return huggingface_hub
