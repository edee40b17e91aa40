"""Attention, and the text encoder that is made of it: a small transformer over words (Vaswani et al. 2017)."""

from __future__ import annotations

from typing import TypeVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from sfumato.models.text import PAD

Affine = TypeVar("Affine", nn.Linear, nn.Conv2d)


def zeroed(module: Affine) -> Affine:
    """The module, so set that its output is 0: a residual that begins as nothing."""
    nn.init.zeros_(module.weight)
    if module.bias is not None:
        nn.init.zeros_(module.bias)
    return module


class Attention(nn.Module):
    """Rows attend to themselves (`own`), to words (`text` is their width), or to both at once; a residual, pre-norm."""

    def __init__(self, width: int, head: int, *, own: bool = True, text: int = 0) -> None:
        super().__init__()
        self.head = head
        self.norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.own = nn.Linear(width, 2 * width) if own else None
        self.words = nn.Linear(text, 2 * width) if text else None
        self.out = zeroed(nn.Linear(width, width))

    def _heads(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b k n e"]:
        return x.reshape(*x.shape[:2], -1, self.head).transpose(1, 2)

    def read(self, words: Float[Tensor, "b l d"]) -> tuple[Float[Tensor, "b k l e"], Float[Tensor, "b k l e"]]:
        """Keys and values of words."""
        assert self.words is not None
        key, value = self.words(words).chunk(2, dim=-1)
        return self._heads(key), self._heads(value)

    def forward(
        self,
        x: Float[Tensor, "b n d"],
        counts: Bool[Tensor, "b l"],
        words: tuple[Float[Tensor, "b k l e"], Float[Tensor, "b k l e"]] | None = None,
    ) -> Float[Tensor, "b n d"]:
        """x with what it attended to added. `counts` says which of the words do (of its own rows without `words`)."""
        normed = self.norm(x)
        pairs = [] if words is None else [words]
        if self.own is not None:
            key, value = self.own(normed).chunk(2, dim=-1)
            pairs.insert(0, (self._heads(key), self._heads(value)))
        keys, values = (torch.cat(parts, dim=2) for parts in zip(*pairs, strict=True))
        mask = F.pad(counts, (keys.shape[2] - counts.shape[1], 0), value=True)[:, None, None]
        seen = attend(self._heads(self.query(normed)), keys, values, mask)
        out: Tensor = x + self.out(seen.transpose(1, 2).flatten(2))
        return out


def attend(
    query: Float[Tensor, "b k n e"],
    key: Float[Tensor, "b k m e"],
    value: Float[Tensor, "b k m e"],
    counts: Bool[Tensor, "b 1 1 m"],
) -> Float[Tensor, "b k n e"]:
    """softmax(Q·Kᵀ/√e)·V over the rows of K and V that count, at least one (Vaswani et al. 2017, eq. 1)."""
    if not torch.is_grad_enabled():
        return F.scaled_dot_product_attention(query, key, value, attn_mask=counts)
    # Written out, because torch's fused attention takes three times as long to train on a processor at these sizes.
    likeness = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
    out: Tensor = likeness.masked_fill(~counts, -1e4).softmax(-1) @ value
    return out


class TextLayer(nn.Module):
    """One layer of the text encoder: attention and a two-layer network, both residual with pre-normalisation."""

    def __init__(self, width: int, head: int) -> None:
        super().__init__()
        self.attention = Attention(width, head)
        self.network = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), zeroed(nn.Linear(4 * width, width))
        )

    def forward(self, x: Float[Tensor, "b n d"], counts: Bool[Tensor, "b n"]) -> Float[Tensor, "b n d"]:
        """x after the layer; `counts` says which rows do."""
        x = self.attention(x, counts)
        out: Tensor = x + self.network(x)
        return out


class TextEncoder(nn.Module):
    """Words to vectors: embeddings with positions, transformer layers. A start token goes before and pools the text."""

    def __init__(self, words: int, width: int, layers: int, length: int, head: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(words, width, _weight=_drawn(words, width))
        # Token 0 is padding, which is never seen: its row stands for the start.
        self.position = nn.Parameter(_drawn(length + 1, width, std=0.02))
        self.layers = nn.ModuleList(TextLayer(width, head) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def bag(self, tokens: Int[Tensor, "b l"]) -> Tensor:
        """The sum of the words whatever their order, over the root of their number; nothing for no words."""
        vectors, known = self.embed(tokens), (tokens != PAD)[..., None]
        out: Tensor = (vectors * known).sum(1) / known.sum(1).clamp_min(1).sqrt().to(vectors)
        return out

    def forward(self, tokens: Int[Tensor, "b l"]) -> tuple[Float[Tensor, "b m d"], Bool[Tensor, "b m"]]:
        """A vector for the start and for each word, m = l + 1, and which of them count."""
        begun = F.pad(tokens, (1, 0), value=PAD)
        counts = F.pad(tokens != PAD, (1, 0), value=True)
        x = self.embed(begun) + self.position[: begun.shape[1]]
        for layer in self.layers:
            x = layer(x, counts)
        return self.norm(x), counts


def _drawn(*shape: int, std: float = 1.0) -> Tensor:
    """Normal random numbers. A network that is to be read is first made without numbers, on the device meta."""
    numbers = torch.empty(shape)
    # There torch would import all of its compiler, which takes as long as reading a model does.
    return numbers if numbers.is_meta else numbers.normal_(std=std)
