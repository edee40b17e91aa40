"""The matcher: a judge that says how well a text fits a picture, from a file that comes with the package."""

from __future__ import annotations

import importlib.resources
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sfumato.errors import SfumatoError, UsageError, one_of
from sfumato.models.matcher import MatcherConfig, MatcherNet
from sfumato.models.weights import as_dtype
from sfumato.tensors import read_tensors, write_tensors

KIND = "matcher"

MATCHERS = {"emoji": "emoji-judge.safetensors"}
"""The matchers that come with the package: name and file."""

_SAME = 1e-4  # similarities that differ by less, which is mostly rounding, are taken for equal


@dataclass(frozen=True, eq=False)
class Matcher:
    """A network that compares pictures with texts, and the names of what it was trained on.

    Pictures are red, green and blue in [0, 1], of the network's size; what lies outside of [0, 1] is clipped, as it is
    when a picture is saved. Every method runs without gradients, in float32 and in chunks, on the network's device,
    and answers on the device of the pictures. No row depends on its neighbours. Pictures of another shape raise
    UsageError; a picture that is not finite raises SfumatoError: a diverged sampler should not score.
    """

    network: MatcherNet
    names: tuple[str, ...]
    """The main name of each concept that it was trained on."""
    facts: dict[str, Any] = field(default_factory=dict)
    """The file's header: how it was trained, what it was measured at, the fingerprint of its data, versions."""
    chunk: int = 500
    """Rows that go through the network at once."""

    def __post_init__(self) -> None:
        # Batch normalisation in training mode would make a row depend on its neighbours.
        self.network.eval()

    @torch.no_grad()
    def picture_vectors(self, x: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b f"]:
        """Unit vectors of pictures: what texts are compared with, and a Fréchet distance could."""
        size = self.network.config.size
        if x.shape[2:] != (size, size):
            raise UsageError(f"this judge reads pictures of {size}×{size} pixels, not {x.shape[3]}×{x.shape[2]}")
        if not bool(torch.isfinite(x).all()):
            raise SfumatoError("a picture to judge has pixels that are not finite numbers; its sampling diverged")
        if not len(x):
            return x.new_zeros(0, self.network.config.features, dtype=torch.float32)
        device = self._device
        # A caller's autocast would make the verdict depend on where it was asked for.
        with torch.autocast(device.type, enabled=False):
            parts = (part.to(device, torch.float32).clamp(0, 1) for part in torch.split(x, self.chunk))
            return torch.cat([self.network.picture_vectors(part) for part in parts]).to(x.device)

    @torch.no_grad()
    def text_vectors(self, prompts: Sequence[str]) -> Float[Tensor, "n f"]:
        """Unit vectors of texts, on the network's device. Words never seen say nothing: ask `unknown` first."""
        device = self._device
        tokens = self.network.read(prompts).to(device)
        with torch.autocast(device.type, enabled=False):
            return torch.cat([self.network.text_vectors(part) for part in torch.split(tokens, self.chunk)])

    def similarities(self, pictures: Float[Tensor, "b 3 h w"], prompts: Sequence[str]) -> Float[Tensor, "b n"]:
        """How well each text fits each picture: the cosine of their vectors times the network's `scale`."""
        vectors = self.picture_vectors(pictures)
        texts = self.text_vectors(prompts).to(vectors.device)
        with torch.autocast(vectors.device.type, enabled=False):
            return self.network.scale.detach().to(vectors.device) * (vectors @ texts.T)

    def probabilities(self, pictures: Float[Tensor, "b 3 h w"], prompts: Sequence[str]) -> Float[Tensor, "b n"]:
        """The softmax of `similarities` over the texts: rows that sum to one. Raises UsageError for no texts."""
        if not prompts:
            raise UsageError("there is no text to compare pictures with")
        return self.similarities(pictures, prompts).softmax(dim=1)

    def ranks(
        self, pictures: Float[Tensor, "b 3 h w"], asked: Int[Tensor, " b"], candidates: Sequence[str]
    ) -> Int[Tensor, " b"]:
        """How many of the other candidates fit a picture at least as well as the one that was asked for; 0 is best.

        Args:
            pictures: In [0, 1].
            asked: The index of each picture's right text among the candidates.
            candidates: Texts. One that the judge cannot tell from the right one counts against the picture.

        Raises:
            UsageError: an index outside of the candidates.
        """
        return ranks_of(self.similarities(pictures, candidates), asked)

    def unknown(self, prompt: str) -> tuple[str, ...]:
        """The words of a text that the judge has never seen, each once."""
        return self.network.vocabulary.unknown(prompt)

    @property
    def size(self) -> int:
        """Height and width of the pictures that it reads."""
        return self.network.config.size

    @property
    def _device(self) -> torch.device:
        return self.network.log_scale.device


def ranks_of(similarities: Float[Tensor, "b n"], asked: Int[Tensor, " b"]) -> Int[Tensor, " b"]:
    """How many of the other columns are as large as column `asked` of the same row, or larger.

    Raises UsageError for an index outside of the columns.
    """
    count = similarities.shape[1]
    if asked.numel() and not 0 <= int(asked.min()) <= int(asked.max()) < count:
        raise UsageError(f"candidates are 0 … {count - 1}, not {int(asked.min())} … {int(asked.max())}")
    right = similarities.gather(1, asked.to(similarities.device)[:, None])
    return (similarities > right - _SAME).sum(dim=1) - 1


def load_matcher(name: str = "emoji") -> Matcher:
    """The matcher of this name that comes with the package, on the CPU. Raises UsageError where there is none."""
    if name not in MATCHERS:
        raise one_of("judge", name, tuple(MATCHERS))
    if not has_matcher(name):
        raise UsageError("no judge of texts comes with this version of sfumato; give one's file with --judge")
    resource = importlib.resources.files("sfumato") / "bundled" / MATCHERS[name]
    with importlib.resources.as_file(resource) as path:
        return read_matcher(path)


def has_matcher(name: str = "emoji") -> bool:
    """Whether the matcher of this name comes with the package."""
    return name in MATCHERS and (importlib.resources.files("sfumato") / "bundled" / MATCHERS[name]).is_file()


def save_matcher(path: Path, matcher: Matcher, dtype: torch.dtype = torch.float16) -> None:
    """Write a matcher as safetensors, its floating tensors as `dtype`, with names and facts in the header."""
    header = {
        "kind": KIND,
        "network": matcher.network.config.to_dict(),
        "names": matcher.names,
        "facts": matcher.facts,
    }
    write_tensors(path, as_dtype(matcher.network.state_dict(), dtype), header)


def read_matcher(path: Path) -> Matcher:
    """The matcher in a file that `save_matcher` wrote, on the CPU, its weights as float32.

    Raises UsageError for a missing or foreign file, SfumatoError for a damaged one.
    """
    state, header = read_tensors(path, KIND)
    try:
        names = tuple(map(str, header["names"]))
        facts: dict[str, Any] = header["facts"]
        network = MatcherNet(MatcherConfig.from_dict(header["network"]))
        network.load_state_dict(as_dtype(state, torch.float32))
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise SfumatoError(f"{path} is damaged: {str(error).splitlines()[0]}") from error
    if not all(bool(tensor.isfinite().all()) for tensor in network.state_dict().values()):
        raise SfumatoError(f"{path} is damaged: it has weights that are not finite numbers")
    return Matcher(network, names, facts)
