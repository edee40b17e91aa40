"""Which judge reads which pictures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from sfumato.errors import UsageError, one_of
from sfumato.evaluation.judge import JUDGES, KIND, Judge, load_judge, read_judge
from sfumato.evaluation.matcher import KIND as TEXTS
from sfumato.evaluation.matcher import MATCHERS, Matcher, has_matcher, load_matcher, read_matcher
from sfumato.evaluation.samples import Classifier
from sfumato.models.text import words
from sfumato.tensors import read_header

CLIP = "clip:"
"""What the name of a judge that transformers runs begins with."""


@runtime_checkable
class TextJudge(Protocol):
    """A judge that compares pictures with texts."""

    @property
    def size(self) -> int:
        """Height and width of the pictures that it reads."""
        ...

    def probabilities(self, pictures: Float[Tensor, "b 3 h w"], prompts: Sequence[str]) -> Float[Tensor, "b n"]:
        """How probable each text is among these, of pictures in [0, 1]; rows sum to one."""
        ...


@dataclass(frozen=True, eq=False)
class Among:
    """A text judge that can only say one of a few texts, of pictures of any size."""

    judge: TextJudge
    classes: tuple[str, ...]

    def probabilities(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """A probability for each text, of pictures in [0, 1]; rows sum to one."""
        return self.judge.probabilities(fitted(x, self.judge.size), self.classes)


def fitted(x: Float[Tensor, "b c h w"], size: int) -> Float[Tensor, "b 3 size size"]:
    """Pictures in [0, 1], in colour and of the size that a judge reads."""
    colour = x.expand(-1, 3, -1, -1)
    if x.shape[-2:] == (size, size):
        return colour
    return F.interpolate(colour, size=(size, size), mode="bilinear", antialias=True).clamp(0, 1)


def judge_of(name: str, shape: tuple[int, int, int], prompts: Sequence[str]) -> Classifier:
    """The judge of pictures of a shape (channels, height, width) that were asked for by these prompts.

    Args:
        name: `auto`, the bundled one that can read them; `digits`, `emoji`; a .safetensors file of a judge, such as
            `sfumato judge` writes, or of a matcher; `clip:FOLDER` or `clip:hf:OWNER/REPO`, a CLIP that transformers
            runs.
        shape: Of the pictures.
        prompts: What the readings are to be. A judge of texts chooses among these; one prompt alone is compared with
            the names that it was trained on.

    Raises UsageError when there is none, and as the loading of one does.
    """
    prompts = tuple(dict.fromkeys(prompts))
    if name == "digits" or (name == "auto" and shape == (1, 28, 28)):
        judge = load_judge("digits")
        if judge.reads(shape, prompts):
            return judge
        if name == "digits":
            return reading(judge, name, shape, prompts)
    # It learned on pictures in colour: who asks for it by name may have others read too.
    if name in MATCHERS or (name == "auto" and shape[0] == 3 and has_matcher("emoji")):
        return _with_names(load_matcher(name if name in MATCHERS else "emoji"), prompts)
    if name.startswith(CLIP):
        from sfumato.backends.clip import load_clip

        return Among(load_clip(name.removeprefix(CLIP)), prompts)
    if name.endswith(".safetensors"):
        if read_header(Path(name), KIND, TEXTS)["kind"] == TEXTS:
            return _with_names(read_matcher(Path(name)), prompts)
        return reading(read_judge(Path(name)), name, shape, prompts)
    if name == "auto":
        raise UsageError("no bundled judge reads such pictures; give --judge clip:FOLDER or clip:hf:OWNER/REPO")
    raise one_of("judge", name, ("auto", *JUDGES, *MATCHERS, "clip:FOLDER", "clip:hf:OWNER/REPO"))


def reading(judge: Judge, name: str, shape: tuple[int, int, int], prompts: Iterable[str]) -> Judge:
    """The judge. Raises UsageError, in its name, where it cannot read such pictures as these prompts."""
    if judge.reads(shape, prompts):
        return judge
    channels, size, _ = judge.shape
    pictures = f"{'grey' if channels == 1 else 'coloured'} pictures of {size} pixels"
    raise UsageError(f"the judge {name} reads {pictures} as {', '.join(judge.classes)} alone")


def _with_names(matcher: Matcher, prompts: tuple[str, ...]) -> Among:
    # Readings compete with each other (what Geng et al. 2024 call concealment); one alone with all else there is, but
    # not with its own name: of a sunflower, `sunflower` is no other reading.
    asked = {word for prompt in prompts for word in words(prompt)}
    others = tuple(name for name in matcher.names if not asked.issuperset(words(name)))
    return Among(matcher, prompts if len(prompts) > 1 else (*prompts, *others))
