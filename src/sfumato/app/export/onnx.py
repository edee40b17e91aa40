"""A network as an ONNX graph, and beside it as JSON what its user must know.

The graph holds all that the network does, so the condition goes in as it was read: one-hot classes, or the tokens of
a prompt. (That reads a prompt anew at every step, which is little beside the picture.) torch's newer exporter makes
it, the one of `torch.export`: the older TorchScript one is deprecated since torch 2.9 and leaves the height and width
of the text UNet's output open.
"""

from __future__ import annotations

import copy
import importlib
import importlib.util
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from sfumato.app.export.about import about, to_json
from sfumato.app.export.source import Source
from sfumato.errors import SfumatoError, UsageError
from sfumato.files import sha256, write_bytes, write_text
from sfumato.models.network import Network
from sfumato.models.text_unet import TextNetwork

GRAPH, ABOUT = "model.onnx", "model.json"
OPSET = 20
"""What torch 2.13 writes by itself; set, so that other versions write it too."""
MOST_BYTES = 2_000_000_000
"""Of weights in one ONNX file: its format ends at 2 GiB."""
CLOSE = 1e-3
"""Outputs may differ by so much, relative to the largest where that is above 1."""


class Whole(nn.Module):
    """A network with its own reading of conditions inside."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(
        self,
        x: Float[Tensor, "b i h w"],
        time: Float[Tensor, "b 1"] | None = None,
        condition: Shaped[Tensor, "b k"] | None = None,
    ) -> Float[Tensor, "b o h w"]:
        """The network's output; `condition` as `Network.read` gives it."""
        encoded = () if condition is None else self.network.encode(condition)
        out: Tensor = self.network(x, time, encoded)
        return out


def check_packages() -> None:
    """Raise SfumatoError when the packages that write ONNX are not installed."""
    missing = [name for name in ("onnx", "onnxscript") if importlib.util.find_spec(name) is None]
    if missing:
        raise SfumatoError(f"{' and '.join(missing)} not installed; get what is missing: pip install 'sfumato[export]'")


def write_onnx(source: Source, folder: Path) -> float | None:
    """Write the graph and its JSON. Returns the largest difference from torch, None without ONNX Runtime.

    Raises UsageError for a network that is too large, SfumatoError when the graph cannot be made or does not compute
    what the network does.
    """
    network = source.model.network
    size = sum(tensor.nbytes for tensor in network.state_dict().values())
    if size > MOST_BYTES:
        raise UsageError(f"{source.title} has {size / 1e9:.1f} GB of weights and an ONNX file holds 2; use safetensors")
    # The engine keeps weights as channels-last, which a graph does not know.
    plain = copy.deepcopy(network).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    whole = Whole(plain).eval()
    data = graph(whole)
    difference = largest_difference(whole, data)
    write_bytes(folder / GRAPH, data)
    facts = {"file": GRAPH, "sha256": sha256(folder / GRAPH), **about(source)}
    write_text(folder / ABOUT, to_json(facts))
    return difference


def examples(network: Network, rows: int) -> dict[str, Tensor]:
    """Inputs of a network by name: noise, random times, and different conditions of which the last is nothing."""
    generator = torch.Generator().manual_seed(0)
    channels, height, width = network.config.shape
    channels += getattr(network.config, "guide", 0)
    inputs = {"x": torch.randn(rows, channels, height, width, generator=generator)}
    if network.config.timed:
        inputs["time"] = torch.rand(rows, 1, generator=generator)
    if network.config.conditioned:
        known = network.vocabulary.words if isinstance(network, TextNetwork) else network.classes
        # A prompt of one word, of two, of three …
        prompts = [" ".join(known[: k + 1]) if not network.classes else known[k % len(known)] for k in range(rows - 1)]
        inputs["condition"] = network.read([*prompts, None])
    return inputs


def graph(whole: Whole) -> bytes:
    """The bytes of the ONNX file: float32, any number of rows, nothing of this machine's paths."""
    inputs = examples(whole.network, 2)
    batch = torch.export.Dim("batch")
    try:
        with _quiet():
            program = torch.onnx.export(
                whole,
                kwargs=inputs,
                input_names=list(inputs),
                output_names=["output"],
                dynamic_shapes={name: {0: batch} for name in inputs},
                opset_version=OPSET,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
            assert program is not None
            proto = program.model_proto
    except torch.onnx.OnnxExporterError as error:
        first = _first(error)
        if isinstance(first, KeyboardInterrupt):  # the exporter takes Ctrl-C for a failure of its own
            raise KeyboardInterrupt from error
        why = next(iter(str(first).strip().splitlines()), type(first).__name__)
        raise SfumatoError(f"torch cannot write this network as ONNX: {why}") from error
    # Torch notes where in which file each node comes from: as long as a small network, and paths of this machine.
    made = proto.graph
    for noted in (made, *made.node, *made.initializer, *made.input, *made.output):
        del noted.metadata_props[:]
    del made.value_info[:]
    data: bytes = proto.SerializeToString(deterministic=True)
    return data


def largest_difference(whole: Whole, data: bytes) -> float | None:
    """Between the outputs of torch and of ONNX Runtime for three rows; None where that is not installed.

    Raises SfumatoError when it is more than rounding.
    """
    if importlib.util.find_spec("onnxruntime") is None:
        return None
    runtime: Any = importlib.import_module("onnxruntime")
    inputs = examples(whole.network, 3)
    session = runtime.InferenceSession(data, providers=["CPUExecutionProvider"])
    got = torch.from_numpy(session.run(None, {name: tensor.numpy() for name, tensor in inputs.items()})[0])
    with torch.no_grad():
        expected: Tensor = whole(**inputs)
    difference = float((got - expected).abs().max())
    if not difference <= CLOSE * max(1.0, float(expected.abs().max())):
        raise SfumatoError(f"the ONNX graph does not compute what the network does (difference {difference:.2g})")
    return difference


def _first(error: BaseException) -> BaseException:
    """What an error began with."""
    while (before := error.__cause__ or error.__context__) is not None:
        error = before
    return error


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's remarks on its own insides."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
