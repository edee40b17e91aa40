"""`sfumato doctor`: each thing that can be wrong with a machine, made up, and a look at this one."""

import json
import subprocess
import sys
import warnings
from contextlib import nullcontext
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from fake_hub import cached, pipeline, use_cache
from huggingface_hub import constants

from sfumato.app import machine as machines
from sfumato.app.doctor import Check, examine
from sfumato.app.machine import EXTRAS, Device, Hub, Machine, Torch, look
from sfumato.backends.hub import hub_models
from sfumato.backends.registry import bundled_models
from sfumato.files import sha256
from sfumato.models.weights import load_weights, save_weights, shard_files

H200 = Device("NVIDIA H200", 150_000_000_000, bfloat16=True)
CUDA = Torch("2.13.0", "CUDA 13.0", (H200,), bfloat16=True)
CPU = Torch("2.13.0+cpu", None, (), bfloat16=True)
HUB = Hub(
    token=True,
    offline=False,
    cache=Path("/cache"),
    writable=True,
    free=100_000_000_000,
    models={"deepfloyd": None},
    largest=18.13,
)
VERSIONS = {"sfumato": "0.1.0", **{name: "1.0" for _, packages in EXTRAS.values() for name in packages}}
HEALTHY = Machine(
    versions=VERSIONS,
    python="3.11.7",
    system="Linux x86_64",
    torch=CUDA,
    nvidia=True,
    cores=16,
    memory=128_000_000_000,
    torchvision=None,
    bundled={"digits": None, "digits/time": None},
    hub=HUB,
)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache."""
    return use_cache(monkeypatch, tmp_path / "huggingface")


def without(*packages: str) -> dict[str, str]:
    return {name: found for name, found in VERSIONS.items() if name not in packages}


def check_of(machine: Machine, name: str) -> Check:
    """The one check of that name; no other one found anything."""
    checks = {check.name: check for check in examine(machine)}
    assert [other for other, check in checks.items() if other != name and check.status != "ok"] == []
    return checks[name]


def test_a_healthy_machine_has_nothing_to_do():
    checks = examine(HEALTHY)
    assert {check.status for check in checks} == {"ok"}
    assert all(check.advice is None for check in checks)
    assert all("\n" not in check.found for check in checks)
    found = {check.name: check.found for check in checks}
    assert found["torch"] == "2.13.0, built for CUDA 13.0"
    assert found["cuda:0"] == "NVIDIA H200, 150.0 GB of memory, computes in bfloat16"
    assert found["processor"] == "16 cores, 128.0 GB of memory"
    assert found["[report]"] == "matplotlib 1.0: for curves in the report of a training"
    assert found["bundled"] == "digits, digits/time: whole"
    assert found["hub models"] == "deepfloyd"


@pytest.mark.parametrize(
    ("machine", "name", "status", "found", "advice"),
    [
        (
            replace(HEALTHY, torch="libcudart.so.13: cannot open shared object file"),
            "torch",
            "problem",
            "cannot be imported: libcudart.so.13: cannot open",
            "install it",
        ),
        (replace(HEALTHY, torch=CPU, nvidia=False), "torch", "ok", "processors only; there is no GPU", None),
        (replace(HEALTHY, torch=CPU), "torch", "warning", "and there is an NVIDIA GPU", "install a build for CUDA"),
        (
            replace(HEALTHY, torch=replace(CUDA, devices=(), said="The NVIDIA driver on your system is too old")),
            "torch",
            "warning",
            "does not find the NVIDIA GPU: The NVIDIA driver on your system is too old",
            "update its driver",
        ),
        (
            replace(HEALTHY, torch=replace(CUDA, devices=(H200, replace(H200, name="T4", bfloat16=False)))),
            "cuda:1",
            "warning",
            "T4, 150.0 GB of memory, without bfloat16",
            "use --dtype float16 or float32",
        ),
        (
            replace(HEALTHY, torch=replace(CUDA, bfloat16=False)),
            "processor",
            "warning",
            "without bfloat16",
            "use --dtype float32",
        ),
        (replace(HEALTHY, cores=1, memory=None), "processor", "ok", "1 core", None),
        (
            replace(
                HEALTHY,
                versions={**VERSIONS, "torchvision": "0.27.0"},
                torchvision="RuntimeError: operator torchvision::nms does not exist",
            ),
            "torchvision",
            "problem",
            "0.27.0 does not go with this torch, and takes diffusers with it: RuntimeError: operator torchvision::nms",
            "remove it: pip uninstall torchvision",
        ),
        (
            replace(HEALTHY, versions={**VERSIONS, "torchvision": "0.28.0"}),
            "torchvision",
            "ok",
            "0.28.0 goes with this torch; sfumato does not need it",
            None,
        ),
        (
            replace(HEALTHY, versions=without("sentencepiece", "accelerate")),
            "[if]",
            "warning",
            "huggingface_hub 1.0, but not accelerate, sentencepiece: for DeepFloyd IF",
            "get the rest: pip install 'sfumato[if]'",
        ),
        (
            replace(HEALTHY, versions=without("onnx", "onnxscript")),
            "[export]",
            "ok",
            "not installed: for models as ONNX files",
            "if you want that: pip install 'sfumato[export]'",
        ),
        (
            replace(HEALTHY, bundled={"digits": None, "digits/time": "x.safetensors is damaged: header"}),
            "bundled",
            "problem",
            "digits/time: x.safetensors is damaged: header",
            "pip install --force-reinstall sfumato",
        ),
        (
            replace(HEALTHY, hub=replace(HUB, token=False, models={})),
            "hub token",
            "warning",
            "there is none; models with a licence to accept",
            "hf auth login",
        ),
        (replace(HEALTHY, hub=replace(HUB, token=False)), "hub token", "ok", "there are models already", None),
        (
            replace(HEALTHY, hub=replace(HUB, offline=True)),
            "hub network",
            "warning",
            "HF_HUB_OFFLINE forbids downloads",
            "unset it",
        ),
        (
            replace(HEALTHY, hub=replace(HUB, free=3_200_000_000, models={})),
            "hub cache",
            "warning",
            "/cache, 3.2 GB left on its disk, and deepfloyd needs 18.1 GB",
            "set HF_HOME to a folder on a larger disk",
        ),
        (replace(HEALTHY, hub=replace(HUB, free=3_200_000_000)), "hub cache", "ok", "/cache, 3.2 GB left", None),
        (
            replace(HEALTHY, hub=replace(HUB, writable=False)),
            "hub cache",
            "warning",
            "/cache cannot be written to",
            "set HF_HOME",
        ),
        (
            replace(HEALTHY, hub=replace(HUB, models={"deepfloyd": "x is cut short; get it again: sfumato models …"})),
            "hub models",
            "problem",
            "x is cut short; get it again: sfumato models …",
            None,
        ),
        (
            replace(HEALTHY, hub="No module named 'httpx'"),
            "hub",
            "problem",
            "huggingface_hub cannot be imported: No module named 'httpx'",
            "pip install --force-reinstall huggingface_hub",
        ),
        (replace(HEALTHY, hub=replace(HUB, models={})), "hub models", "ok", "none on this machine", None),
    ],
)
def test_what_is_wrong_is_said_with_what_to_do(machine, name, status, found, advice):
    check = check_of(machine, name)
    assert check.status == status
    assert found in check.found
    assert check.advice is None if advice is None else advice in check.advice


def test_without_the_hubs_package_nothing_is_said_of_it():
    machine = replace(HEALTHY, versions=without(*EXTRAS["if"][1]), hub=None)
    assert not any(check.name.startswith("hub") for check in examine(machine))


# Looking


def test_this_machine_is_looked_at(cache):
    cached(cache, hub_models()["deepfloyd"].repo, pipeline())
    machine = look()
    assert machine.versions["sfumato"] == version("sfumato")
    assert isinstance(machine.torch, Torch)
    assert machine.torch.version == version("torch")
    assert machine.torch.bfloat16
    assert machine.cores >= 1
    assert machine.memory > 1e8
    assert set(machine.bundled) == set(bundled_models())
    assert machine.hub.cache == cache
    assert machine.hub.models == {"deepfloyd": None}
    assert machine.hub.writable
    assert machine.hub.free > 0


def test_memory_is_known_without_psutil(monkeypatch):
    with_it = machines._memory()
    monkeypatch.setitem(sys.modules, "psutil", None)
    assert machines._memory() == pytest.approx(with_it, rel=0.01)
    monkeypatch.delattr(machines.os, "sysconf")
    assert machines._memory() is None


def test_a_torch_that_cannot_be_imported_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    machine = look()
    assert "torch" in machine.torch
    (check,) = [check for check in examine(machine) if check.status == "problem"]
    assert check.name == "torch"


def test_a_gpu_is_looked_at(monkeypatch):
    facts = SimpleNamespace(name="NVIDIA H200", total_memory=150_000_000_000)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "device", lambda _: nullcontext())
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: facts)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: not including_emulation)
    found = machines._look_at_torch()
    assert (found.toolkit, found.devices, found.said) == ("CUDA 13.0", (H200, H200), None)


def test_a_gpu_that_is_not_found_says_why(monkeypatch):
    def too_old() -> bool:
        warnings.warn("CUDA initialization: the driver is too old\nUpdate it", stacklevel=1)
        return False

    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "is_available", too_old)
    found = machines._look_at_torch()
    assert (found.devices, found.said) == ((), "CUDA initialization: the driver is too old")


def test_torchvision_is_tried_where_it_is_installed(monkeypatch):
    monkeypatch.setattr(machines, "_version", lambda name: "1.0" if name in {"sfumato", "torchvision"} else None)
    monkeypatch.setattr(machines, "_import_error", lambda name: f"{name} is broken")
    machine = look()
    assert (machine.torchvision, machine.hub) == ("torchvision is broken", None)


def test_a_hub_package_that_cannot_be_imported_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert "huggingface_hub" in machines._look_at_hub()


def test_a_module_is_tried_in_another_process(monkeypatch, tmp_path):
    assert machines._import_error("json") is None
    (tmp_path / "broken_vision.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    (tmp_path / "crashing_vision.py").write_text("import os; os._exit(139)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert machines._import_error("broken_vision") == "RuntimeError: operator torchvision::nms does not exist"
    assert machines._import_error("crashing_vision") == "ends with 139"

    def late(*_, **__):
        raise subprocess.TimeoutExpired("python", 120)

    monkeypatch.setattr(machines.subprocess, "run", late)
    assert machines._import_error("json") == "cannot be tried (TimeoutExpired)"


def test_a_bundled_model_that_is_damaged_is_told(tmp_path, tiny_model):
    path = tmp_path / "m.safetensors"
    path.write_bytes(Path(tiny_model).read_bytes())
    assert "m.json is damaged" in machines._wrong_with(path)
    path.with_suffix(".json").write_text(json.dumps({"sha256": "0" * 64}))
    assert machines._wrong_with(path) == f"{path} is not the file that it was"
    path.write_bytes(b"")
    assert "m.safetensors" in machines._wrong_with(path)
    path.unlink()
    assert "no such file" in machines._wrong_with(path)


def test_a_bundled_model_in_shards_is_looked_at_whole(tmp_path, tiny_model, sfumato):
    weights = load_weights(Path(tiny_model))
    network = weights.network
    size = 1 + max(tensor.nbytes for tensor in network.state_dict().values())
    files = save_weights(
        tmp_path / "m.safetensors", network.config, network.state_dict(), weights.facts, shard_bytes=size
    )
    assert len(files) > 1
    assert shard_files(files[0]) == files
    (tmp_path / "m.json").write_text(json.dumps({"sha256": sha256(*files)}))
    assert machines._wrong_with(files[0]) is None
    told = json.loads(sfumato("models", "info", files[0], "--json").out)
    assert told["megabytes"] == round(sum(file.stat().st_size for file in files) / 1e6, 1)
    files[-1].unlink()
    assert str(files[-1]) in machines._wrong_with(files[0])


def test_what_breaks_sfumato_itself_is_told(monkeypatch):
    monkeypatch.setattr("sfumato.backends.registry.bundled_models", lambda: {}["digits"])
    assert machines._look_at_bundled() == {"models": "cannot be read (KeyError: 'digits')"}


def test_a_damaged_model_of_the_hub_is_told(cache):
    folder = cached(cache, hub_models()["deepfloyd"].repo, pipeline())
    (folder / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(b"")
    found = machines._look_at_hub().models["deepfloyd"]
    assert "is empty; get it again: sfumato models pull deepfloyd" in found


# The command


@pytest.mark.parametrize(
    "command", [("doctor",), ("models",), ("models", "list"), ("models", "info"), ("models", "pull")]
)
def test_it_has_help(sfumato, command):
    done = sfumato(*command, "--help")
    assert done.code == 0
    assert "Usage" in done.out


def test_the_command_on_this_machine(sfumato, tmp_path):
    token = tmp_path / "huggingface" / "token"
    token.parent.mkdir()
    token.write_text("hf_secret")
    done = sfumato("doctor")
    assert (done.code, done.err) == (0, "")
    assert {line.split()[0] for line in done.out.splitlines()} <= {"ok", "warning"}
    assert "hf_secret" not in done.out
    assert [line for line in done.out.splitlines() if line.split()[1:3] == ["hub", "token"]] == [
        "ok       hub token     there is one"
    ]


def test_a_problem_makes_it_fail(sfumato, monkeypatch):
    broken = replace(HEALTHY, versions={**VERSIONS, "torchvision": "0.27"}, torchvision="RuntimeError: nms", torch="no")
    monkeypatch.setattr("sfumato.app.machine.look", lambda: broken)
    done = sfumato("doctor")
    assert done.code == 1
    assert done.err == "error: 2 problems: torch, torchvision\n"
    assert "problem  torchvision   0.27 does not go with this torch" in done.out
    assert "; remove it: pip uninstall torchvision" in done.out


def test_the_command_as_json(sfumato, monkeypatch):
    monkeypatch.setattr("sfumato.app.machine.look", lambda: replace(HEALTHY, torch="no"))
    done = sfumato("doctor", "--json")
    told = json.loads(done.out)
    assert (done.code, told["problems"]) == (1, 1)
    assert done.err == "error: 1 problem: torch\n"
    assert [check for check in told["checks"] if check["status"] == "problem"] == [
        {
            "name": "torch",
            "status": "problem",
            "found": "cannot be imported: no",
            "advice": "install it: https://pytorch.org",
        }
    ]


def test_offline_mode_is_seen(sfumato, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "warning  hub network   HF_HUB_OFFLINE forbids downloads" in sfumato("doctor").out
