"""The judge: a classifier that reads generated pictures. That of digits comes with the package."""

from __future__ import annotations

import importlib.resources
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sfumato.errors import SfumatoError, one_of
from sfumato.models.judge import JudgeNet
from sfumato.models.weights import as_dtype
from sfumato.tensors import read_tensors, write_tensors

KIND = "judge"

JUDGES = {"digits": "judge.safetensors"}
"""The judges that come with the package: name and file."""


@dataclass(frozen=True, eq=False)
class Judge:
    """A classifier with the names of its classes.

    Pictures have its shape and lie in [0, 1] (digits: grey, 28×28, white on black); what lies outside is clipped, as it
    is when a picture is saved. Every method runs without gradients, in float32 and in chunks, on the network's device,
    and answers on the device of its argument. No row depends on its neighbours. A picture that is not finite raises
    SfumatoError: a diverged sampler should not score as anything.
    """

    network: JudgeNet
    classes: tuple[str, ...]
    facts: dict[str, Any] = field(default_factory=dict)
    """The file's header: how it was trained, its test accuracy, the fingerprint of its data, versions."""
    chunk: int = 500
    """Rows that go through the network at once."""

    def __post_init__(self) -> None:
        # Batch normalisation in training mode would make a row depend on its neighbours.
        self.network.eval()

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of the pictures that it reads."""
        return self.network.shape

    def reads(self, shape: tuple[int, int, int], names: Iterable[str]) -> bool:
        """Whether pictures of this shape (channels, height, width) are its own, and all these names its classes."""
        return shape == self.shape and set(names) <= set(self.classes)

    def features(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b f"]:
        """The vector before the last layer: what `metrics.frechet_distance` compares distributions of."""
        return self._run(self.network.features, x)

    def logits(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """One number a class; their softmax is `probabilities`."""
        return self._run(self.network, x)

    def probabilities(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """The softmax of `logits`: rows that sum to one."""
        return self.logits(x).softmax(dim=1)

    def classify(self, x: Float[Tensor, "b c h w"]) -> Int[Tensor, " b"]:
        """The most probable class, as an index into `classes`."""
        return self.logits(x).argmax(dim=1)

    @torch.no_grad()
    def _run(self, function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        if not bool(torch.isfinite(x).all()):
            raise SfumatoError("a picture to judge has pixels that are not finite numbers; its sampling diverged")
        device = next(self.network.parameters()).device
        # A caller's autocast would make the verdict depend on where it was asked for.
        with torch.autocast(device.type, enabled=False):
            rows = [function(part.to(device, torch.float32).clamp(0, 1)) for part in torch.split(x, self.chunk)]
        return torch.cat(rows).to(x.device)


def load_judge(name: str = "digits") -> Judge:
    """The judge of this name that comes with the package, on the CPU. Raises UsageError for an unknown name."""
    if name not in JUDGES:
        raise one_of("judge", name, tuple(JUDGES))
    resource = importlib.resources.files("sfumato") / "bundled" / JUDGES[name]
    with importlib.resources.as_file(resource) as path:
        return read_judge(path)


def save_judge(path: Path, judge: Judge, dtype: torch.dtype = torch.float16) -> None:
    """Write a judge as safetensors, its floating tensors as `dtype`, with classes and facts in the header."""
    channels, size, _ = judge.shape
    header = {"kind": KIND, "classes": judge.classes, "channels": channels, "size": size, "facts": judge.facts}
    write_tensors(path, as_dtype(judge.network.state_dict(), dtype), header)


def read_judge(path: Path) -> Judge:
    """The judge in a file that `save_judge` wrote, on the CPU, its weights as float32.

    Raises UsageError for a missing or foreign file, SfumatoError for a damaged one.
    """
    state, header = read_tensors(path, KIND)
    try:
        classes = tuple(map(str, header["classes"]))
        facts: dict[str, Any] = header["facts"]
        # The bundled file is older than judges of other pictures than digits.
        shape = {"channels": int(header.get("channels", 1)), "size": int(header.get("size", 28))}
        network = JudgeNet(len(classes), state["head.weight"].shape[1], **shape)
        network.load_state_dict(as_dtype(state, torch.float32))
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise SfumatoError(f"{path} is damaged: {str(error).splitlines()[0]}") from error
    if not all(bool(tensor.isfinite().all()) for tensor in network.state_dict().values()):
        raise SfumatoError(f"{path} is damaged: it has weights that are not finite numbers")
    return Judge(network, classes, facts)
