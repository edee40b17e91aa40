"""What is wrong with a machine, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sfumato.app.machine import EXTRAS, Hub, Machine, Torch


@dataclass(frozen=True)
class Check:
    """What was found about one thing, and what to do about it."""

    name: str
    status: Literal["ok", "warning", "problem"]
    found: str
    advice: str | None = None


def examine(machine: Machine) -> list[Check]:
    """Judge a machine: what is as it should be, what may disappoint, and what does not work."""
    checks = [
        Check("python", "ok", f"sfumato {machine.versions['sfumato']}, Python {machine.python}, {machine.system}"),
        *_torch(machine),
        _processor(machine),
        _torchvision(machine),
        *(_extra(machine, extra) for extra in EXTRAS),
        _bundled(machine.bundled),
    ]
    if isinstance(machine.hub, str):
        advice = "install it anew: pip install --force-reinstall huggingface_hub"
        return [*checks, Check("hub", "problem", f"huggingface_hub cannot be imported: {machine.hub}", advice)]
    return checks + (_hub(machine.hub) if machine.hub else [])


def _torch(machine: Machine) -> list[Check]:
    torch = machine.torch
    if isinstance(torch, str):
        return [Check("torch", "problem", f"cannot be imported: {torch}", "install it: https://pytorch.org")]
    built = f"{torch.version}, built for {torch.toolkit or 'processors only'}"
    if torch.devices:
        checks = [Check("torch", "ok", built)]
    elif not machine.nvidia:
        checks = [Check("torch", "ok", f"{built}; there is no GPU")]
    elif torch.toolkit is None:
        advice = "install a build for CUDA: https://pytorch.org"
        checks = [Check("torch", "warning", f"{built}, and there is an NVIDIA GPU", advice)]
    else:
        why = f": {torch.said}" if torch.said else ""
        advice = "update its driver, or install a build of torch for its CUDA: https://pytorch.org"
        checks = [Check("torch", "warning", f"{built}, and does not find the NVIDIA GPU{why}", advice)]
    for k, device in enumerate(torch.devices):
        found = f"{device.name}, {_giga(device.memory)} of memory, "
        if device.bfloat16:
            checks.append(Check(f"cuda:{k}", "ok", f"{found}computes in bfloat16"))
        else:
            checks.append(Check(f"cuda:{k}", "warning", f"{found}without bfloat16", "use --dtype float16 or float32"))
    return checks


def _processor(machine: Machine) -> Check:
    memory = f", {_giga(machine.memory)} of memory" if machine.memory else ""
    found = f"{machine.cores} {'core' if machine.cores == 1 else 'cores'}{memory}"
    if isinstance(machine.torch, Torch) and not machine.torch.bfloat16:
        return Check("processor", "warning", f"{found}, without bfloat16", "use --dtype float32 on it")
    return Check("processor", "ok", found)


def _torchvision(machine: Machine) -> Check:
    version = machine.versions.get("torchvision")
    if version is None:
        return Check("torchvision", "ok", "not installed, nor needed")
    if machine.torchvision is None:
        return Check("torchvision", "ok", f"{version} goes with this torch; sfumato does not need it")
    # Where it is installed transformers and diffusers import it, and cannot be imported themselves.
    found = f"{version} does not go with this torch, and takes diffusers with it: {machine.torchvision}"
    return Check("torchvision", "problem", found, "remove it: pip uninstall torchvision")


def _extra(machine: Machine, extra: str) -> Check:
    purpose, packages = EXTRAS[extra]
    here = [f"{name} {machine.versions[name]}" for name in packages if name in machine.versions]
    lacking = [name for name in packages if name not in machine.versions]
    get = f"pip install 'sfumato[{extra}]'"
    if not lacking:
        return Check(f"[{extra}]", "ok", f"{', '.join(here)}: for {purpose}")
    if not here:
        return Check(f"[{extra}]", "ok", f"not installed: for {purpose}", f"if you want that: {get}")
    found = f"{', '.join(here)}, but not {', '.join(lacking)}: for {purpose}"
    return Check(f"[{extra}]", "warning", found, f"get the rest: {get}")


def _bundled(bundled: Mapping[str, str | None]) -> Check:
    wrong = [f"{name}: {why}" for name, why in bundled.items() if why]
    if wrong:
        return Check("bundled", "problem", "; ".join(wrong), "install it anew: pip install --force-reinstall sfumato")
    return Check("bundled", "ok", f"{', '.join(bundled)}: whole")


def _hub(hub: Hub) -> list[Check]:
    if hub.token:
        token = Check("hub token", "ok", "there is one")
    elif hub.models:
        token = Check("hub token", "ok", "there is none, and there are models already")
    else:
        found = "there is none; models with a licence to accept, such as deepfloyd, need one"
        token = Check("hub token", "warning", found, "if you want them: hf auth login")
    offline = Check("hub network", "ok", "allowed; used by `models pull` and `models info --online` only")
    if hub.offline:
        offline = Check("hub network", "warning", "HF_HUB_OFFLINE forbids downloads", "unset it before `models pull`")
    cache = Check("hub cache", "ok", f"{hub.cache}, {_giga(hub.free)} left on its disk")
    if not hub.writable:
        cache = Check("hub cache", "warning", f"{hub.cache} cannot be written to", "set HF_HOME to another folder")
    elif hub.free < hub.largest * 1e9 and not hub.models:
        found = f"{cache.found}, and deepfloyd needs {hub.largest:.1f} GB"
        cache = Check("hub cache", "warning", found, "make room, or set HF_HOME to a folder on a larger disk")
    wrong = [why for why in hub.models.values() if why]
    models = Check("hub models", "ok", ", ".join(hub.models) or "none on this machine; sfumato models list names them")
    if wrong:
        models = Check("hub models", "problem", "; ".join(wrong))
    return [token, offline, cache, models]


def _giga(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
