"""What the hub, the network or the disk says when a model cannot be downloaded, in one line."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from sfumato.errors import SfumatoError

if TYPE_CHECKING:
    from sfumato.backends.hub import HubModel

OFFLINE = "offline mode is on; unset HF_HUB_OFFLINE and TRANSFORMERS_OFFLINE"
"""What is wrong, and what to do, where the environment forbids the network."""

_TRANSPORTS = {"httpx", "httpx2", "httpcore", "httpcore2", "requests", "urllib3"}
"""Packages through which the hub's package has spoken HTTP."""


@contextlib.contextmanager
def told(model: HubModel, cache: Path) -> Iterator[None]:
    """Tell what keeps the block from getting a model from the hub, with what to do: a SfumatoError."""
    try:
        yield
    except SfumatoError:
        raise
    except Exception as error:  # the hub's package passes on whatever its transports raise
        raise SfumatoError(f"cannot download {model.name}: {_reason(model, cache, error)}") from error


def _reason(model: HubModel, cache: Path, error: BaseException) -> str:
    from huggingface_hub import errors

    if isinstance(error, errors.LocalEntryNotFoundError | errors.DryRunError) and error.__cause__:
        # Of a file that is not here, the reason is why it could not be asked for.
        return _reason(model, cache, error.__cause__)
    again, login = f"sfumato models pull {model.name}", "hf auth login"
    known: dict[type[Exception], str] = {  # a subclass before its base
        errors.GatedRepoError: f"accept its licence at {model.url}, then: {login}, then: {again}",
        errors.RepositoryNotFoundError: (
            f"the hub has no repository {model.repo}, or it is private; check its name, or log in: {login}"
        ),
        errors.RevisionNotFoundError: (
            f"{model.repo} has no revision {model.revision or 'main'}; name a branch, a tag or a commit of it"
        ),
        errors.DisabledRepoError: f"{model.repo} has been taken down from the hub",
        errors.OfflineModeIsEnabled: OFFLINE,
        errors.LocalTokenNotFoundError: f"there is no token of the hub on this machine; log in: {login}",
    }
    for kind, line in known.items():
        if isinstance(error, kind):
            return line
    if isinstance(error, errors.HfHubHTTPError):
        return _status(model, error)
    silent = (ConnectionError, TimeoutError, errors.LocalEntryNotFoundError)
    if isinstance(error, silent) or type(error).__module__.partition(".")[0] in _TRANSPORTS:
        return f"no answer from the hub ({type(error).__name__}); check the network or its proxy, then: {again}"
    said = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    # The hub's own transport, which is no Python, tells of a full disk in words only.
    full = os.strerror(errno.ENOSPC) if os.strerror(errno.ENOSPC) in said else None
    if full or (isinstance(error, OSError) and error.errno):
        why = full or getattr(error, "strerror", said)
        return f"cannot write to {cache}: {why}; make room there, or set HF_HOME to another folder"
    return f"{said}; try again, whole files are kept: {again}"


def _status(model: HubModel, error: Exception) -> str:
    """What an answer of the hub means that has no exception of its own."""
    status: int = error.response.status_code  # type: ignore[attr-defined]
    said = " ".join(str(getattr(error, "server_message", None) or "").split())
    if status == 401:
        return "the hub does not know the token on this machine (HTTP 401); log in anew: hf auth login"
    if status == 403:
        return (
            f"the hub refuses (HTTP 403{f': {said}' if said else ''}); accept its licence at {model.url}, and let the "
            f"token read gated repositories: https://huggingface.co/settings/tokens"
        )
    if status == 429:
        return "too many requests to the hub (HTTP 429); try again in some minutes, or log in: hf auth login"
    if status >= 500:
        return f"the hub has a fault of its own (HTTP {status}); try again later"
    return f"the hub answers HTTP {status}{f': {said}' if said else ''}"
