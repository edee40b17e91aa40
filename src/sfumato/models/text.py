"""Words: how a prompt becomes numbers, and which of its words a model has never seen."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Int
from torch import Tensor

PAD = 0
"""The token of nothing: where a prompt has ended. A row of it alone is the empty prompt."""


def words(text: str) -> list[str]:
    """The words of a text in lower case and without accents: runs of letters and digits.

    An apostrophe inside a word is dropped with what it joins kept together (man's → mans), a hyphen parts two words.
    """
    plain = unicodedata.normalize("NFKD", text.casefold()).replace("’", "'")
    letters = "".join(c for c in plain if not unicodedata.combining(c) and c != "'")
    return re.findall(r"[^\W_]+", letters)


def spellings(word: str) -> tuple[str, ...]:
    """The word, and its regular singular and plural forms: what may stand for it where it is not known itself."""
    out = [word]
    if word.endswith("ies"):
        out.append(word[:-3] + "y")
    if word.endswith("es"):
        out.append(word[:-2])
    if word.endswith("s"):
        out.append(word[:-1])
    out += [word + "s", word + "es"]
    if word.endswith("y"):
        out.append(word[:-1] + "ies")
    return tuple(out)


@dataclass(frozen=True)
class Vocabulary:
    """The words a model was trained with. Word k has token k + 1; 0 is `PAD`."""

    words: tuple[str, ...]

    @classmethod
    def of(cls, texts: Iterable[str]) -> Vocabulary:
        """All words of some texts, sorted."""
        return cls(tuple(sorted({word for text in texts for word in words(text)})))

    def __len__(self) -> int:
        """Tokens, the one of nothing included."""
        return len(self.words) + 1

    @cached_property
    def _tokens(self) -> dict[str, int]:
        return {word: token for token, word in enumerate(self.words, start=1)}

    def token(self, word: str) -> int | None:
        """The token of a word or of a regular form of it; None for a word never seen."""
        return next((self._tokens[form] for form in spellings(word) if form in self._tokens), None)

    def unknown(self, text: str) -> tuple[str, ...]:
        """The words of a text that were never seen, each once."""
        return tuple(dict.fromkeys(word for word in words(text) if self.token(word) is None))

    def near(self, word: str, n: int = 3) -> tuple[str, ...]:
        """At most n known words that are spelt much like this one."""
        return tuple(difflib.get_close_matches(word, self.words, n))

    def read(self, texts: Sequence[str | None], length: int) -> Int[Tensor, "b l"]:
        """The tokens of each text, filled up with `PAD`; unseen words and those past `length` are left out."""
        out = torch.full((len(texts), length), PAD)
        for row, text in enumerate(texts):
            tokens = [token for word in words(text or "") if (token := self.token(word)) is not None][:length]
            out[row, : len(tokens)] = torch.tensor(tokens, dtype=torch.int64)
        return out
