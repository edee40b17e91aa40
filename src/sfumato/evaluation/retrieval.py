"""Whether pictures show what they were asked for: where the right name stands among all names that a judge knows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from sfumato.errors import UsageError, one_of
from sfumato.evaluation.matcher import Matcher, ranks_of
from sfumato.evaluation.samples import markdown_table, share, wilson_interval

Key = TypeVar("Key", int, str)

FIVE = 5
"""The k of the second share: the right name is among the first five."""


@dataclass(frozen=True)
class RetrievalTable:
    """What a judge read in pictures of known concepts: a row a picture. The order of the rows means nothing."""

    candidates: tuple[str, ...]
    """The names it chose from."""
    asked: tuple[int, ...]
    """The candidate that each picture should show."""
    read: tuple[int, ...]
    """The candidate that fits it best."""
    ranks: tuple[int, ...]
    """How many others fit at least as well as the right one; 0 is best."""
    styles: tuple[str, ...]
    """How each picture should be drawn; "" where nobody asked."""

    def __post_init__(self) -> None:
        if not len(self.asked) == len(self.read) == len(self.ranks) == len(self.styles):
            raise ValueError("the columns of a retrieval table are equally long")

    @property
    def count(self) -> int:
        """Pictures in all."""
        return len(self.asked)

    def top(self, k: int = 1) -> int:
        """Pictures whose right name is among the k best."""
        return sum(rank < k for rank in self.ranks)

    def interval(self, k: int = 1) -> tuple[float, float]:
        """Wilson's 95 % interval of the share of `top(k)`."""
        return wilson_interval(self.top(k), self.count)

    @property
    def by_style(self) -> dict[str, RetrievalTable]:
        """The table of each style, in the order of their names."""
        return dict(sorted(self._grouped(self.styles).items()))

    @property
    def by_concept(self) -> dict[str, RetrievalTable]:
        """The table of each candidate that was asked for, in the order of the candidates."""
        return {self.candidates[k]: rows for k, rows in sorted(self._grouped(self.asked).items())}

    def worst(self, n: int = 10) -> dict[str, RetrievalTable]:
        """At most n concepts that were not always read right, the worst first: by top-1, top-5 and mean rank."""

        def quality(item: tuple[str, RetrievalTable]) -> tuple[float, float, float]:
            rows = item[1]
            return rows.top() / rows.count, rows.top(FIVE) / rows.count, -sum(rows.ranks) / rows.count

        wrong = [item for item in self.by_concept.items() if item[1].top() < item[1].count]
        return dict(sorted(wrong, key=quality)[:n])

    def confused(self, n: int = 10) -> list[tuple[str, str, int]]:
        """At most n pairs of names of which one was read as the other, and how often, most often first."""
        wrong = zip(self.asked, self.read, self.ranks, strict=True)
        pairs = Counter((min(a, r), max(a, r)) for a, r, rank in wrong if rank and a != r)
        listed = sorted(pairs.items(), key=lambda item: (-item[1], item[0]))[:n]
        return [(self.candidates[one], self.candidates[other], count) for (one, other), count in listed]

    def summary(self) -> dict[str, Any]:
        """The counts and shares alone, as plain data."""
        return {
            "count": self.count,
            "candidates": len(self.candidates),
            **{
                f"top{k}": {"count": self.top(k), "share": self.top(k) / self.count, "interval": [*self.interval(k)]}
                for k in (1, FIVE)
            },
        }

    def to_dict(self) -> dict[str, Any]:
        """Plain data, fit for JSON."""
        styles = sorted(set(self.styles))
        places = [styles.index(style) for style in self.styles]
        return {
            **self.summary(),
            "by_style": {style: rows.summary() for style, rows in self.by_style.items()},
            "names": list(self.candidates),
            "styles": styles,
            "rows": [list(row) for row in zip(self.asked, self.read, self.ranks, places, strict=True)],
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> RetrievalTable:
        """The inverse of `to_dict`."""
        asked, read, ranks, places = ([row[k] for row in data["rows"]] for k in range(4))
        styles = tuple(data["styles"][place] for place in places)
        return cls(tuple(data["names"]), tuple(asked), tuple(read), tuple(ranks), styles)

    def to_markdown(self, worst: int = 10) -> str:
        """A sentence, a table by style, and one of the `worst` concepts."""
        parts = [
            f"{share(self.top(), self.count)} are read as what was asked for, out of {len(self.candidates)} names; "
            f"of {share(self.top(FIVE), self.count)} the right name is among the first {FIVE}."
        ]
        if len(styles := self.by_style) > 1:
            head = ("style", "pictures", "top-1", "95 %", f"top-{FIVE}", "95 %")
            parts.append(markdown_table(head, [_line(style or "none", rows) for style, rows in styles.items()]))
        if bad := self.worst(worst):
            head = ("worst concepts", "pictures", "top-1", f"top-{FIVE}", "median rank", "most often read as")
            parts.append(markdown_table(head, [self._concept(name, rows) for name, rows in bad.items()]))
        return "\n\n".join(parts)

    def _grouped(self, keys: Sequence[Key]) -> dict[Key, RetrievalTable]:
        """The tables of the rows that have the same key."""
        rows: dict[Key, list[int]] = {}
        for row, key in enumerate(keys):
            rows.setdefault(key, []).append(row)
        return {key: self._taken(chosen) for key, chosen in rows.items()}

    def _taken(self, rows: Sequence[int]) -> RetrievalTable:
        asked, read, ranks = (tuple(column[row] for row in rows) for column in (self.asked, self.read, self.ranks))
        return RetrievalTable(self.candidates, asked, read, ranks, tuple(self.styles[row] for row in rows))

    def _concept(self, name: str, rows: RetrievalTable) -> tuple[str, ...]:
        wrong = Counter(r for r, a in zip(rows.read, rows.asked, strict=True) if r != a)
        most = self.candidates[wrong.most_common(1)[0][0]] if wrong else name
        median = sorted(rows.ranks)[rows.count // 2]
        return name, str(rows.count), _percent(rows, 1), _percent(rows, FIVE), str(median), most


def retrieved(
    pictures: Float[Tensor, "b 3 h w"],
    asked: Sequence[str],
    judge: Matcher,
    *,
    styles: Sequence[str] | None = None,
    candidates: Sequence[str] | None = None,
) -> RetrievalTable:
    """Where the asked name of each picture stands among the candidates.

    Args:
        pictures: In [0, 1], of the judge's size.
        asked: The name, without any style, of what each picture should show: one of the candidates.
        judge: The judge.
        styles: What to group the pictures by, such as the style or medium of the prompt.
        candidates: Names to choose from, each once; by default all concepts that the judge was trained on.

    Raises:
        UsageError: no pictures, not one name (or style) for each, or a name that is no candidate.
    """
    names = judge.names if candidates is None else tuple(candidates)
    groups = ("",) * len(asked) if styles is None else tuple(styles)
    if not len(pictures) == len(asked) == len(groups) or not asked:
        counts = f"{len(asked)} names and {len(groups)} styles for {len(pictures)} pictures"
        raise UsageError(f"judging wants a name and a style for each picture, and at least one: {counts}")
    places = {name: k for k, name in enumerate(names)}
    for name in asked:
        if name not in places:
            raise one_of("concept of the judge", name, _near(name, judge, names))
    index = torch.tensor([places[name] for name in asked])
    similarities = judge.similarities(pictures, names)
    ranks, read = ranks_of(similarities, index), similarities.argmax(dim=1)
    return RetrievalTable(names, tuple(index.tolist()), tuple(read.tolist()), tuple(ranks.tolist()), groups)


def _near(name: str, judge: Matcher, names: tuple[str, ...], n: int = 10) -> tuple[str, ...]:
    """The names that mean most nearly the same: a judge knows more names than one line can hold."""
    alike = (judge.text_vectors(names) @ judge.text_vectors([name]).T)[:, 0]
    best = alike.argsort(descending=True, stable=True)[:n].tolist()
    return tuple(names[k] for k in best)


def _line(style: str, rows: RetrievalTable) -> tuple[str, ...]:
    shares = (text for k in (1, FIVE) for text in (_percent(rows, k), _between(rows.interval(k))))
    return style, str(rows.count), *shares


def _percent(rows: RetrievalTable, k: int) -> str:
    return f"{100 * rows.top(k) / rows.count:.1f} %"


def _between(interval: tuple[float, float]) -> str:
    low, high = interval
    return f"{100 * low:.1f}–{100 * high:.1f}"
