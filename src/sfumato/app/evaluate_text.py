"""The measures of a text-to-image model: whether a matcher finds in its pictures what was asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from sfumato.backends.model import Model
from sfumato.core.estimates import guided
from sfumato.core.views import IDENTITY, View
from sfumato.errors import SfumatoError, UsageError
from sfumato.evaluation.conditioning import ConditioningRow, conditioning_markdown, conditioning_table
from sfumato.evaluation.illusions import IllusionTable, Pair, anagram_table, hybrid_table
from sfumato.evaluation.judges import Among, fitted
from sfumato.evaluation.matcher import Matcher
from sfumato.evaluation.retrieval import RetrievalTable, retrieved
from sfumato.evaluation.samples import Progress, Sampling, sample_trees
from sfumato.training.captions import caption
from sfumato.training.datasets.captioned import CaptionedData

MOST_HEARD = 200
"""Pictures on which captions are compared, at most."""
Subject = tuple[str, str | None]
"""A name, and the style or medium to ask for it in."""


@dataclass(frozen=True, eq=False)
class TextMeasures:
    """A text-to-image model with the judge of its pictures; each method is one measure, as plain data."""

    model: Model
    judge: Matcher
    how: Sampling
    seed: int
    progress: Callable[[str], Progress]

    def __post_init__(self) -> None:
        if self.model.shape[0] != 3:
            raise UsageError(f"the judge reads pictures in colour; those of {self.model.name} are not")

    @property
    def subjects(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """What the model was trained to draw and the judge knows, with the styles that it saw each in."""
        facts = self.model.facts or {}
        try:
            listed = [(str(name), tuple(map(str, styles))) for name, styles in facts["data"]["subjects"]]
        except (KeyError, TypeError, ValueError) as error:
            raise SfumatoError(f"model {self.model.name} does not say what it was trained to draw") from error
        known = tuple(entry for entry in listed if entry[0] in self.judge.names)
        if not known:
            raise UsageError(f"the judge knows nothing of what {self.model.name} was trained to draw")
        return known

    def asked(self, count: int) -> list[Subject]:
        """Subjects in turn, each in one of the styles in which it was seen."""
        subjects = self.subjects
        out: list[Subject] = []
        for k in range(count):
            turn, place = divmod(k, len(subjects))
            name, styles = subjects[place]
            # From subject to subject, and from turn to turn, the next style.
            out.append((name, styles[(place + turn) % len(styles)] if styles else None))
        return out

    def retrieval(self, count: int) -> dict[str, Any]:
        """Where among all names the judge puts the one that was asked for."""
        return {"retrieval": self._table(self.asked(count), "samples").to_dict()}

    def held_out(self, data: CaptionedData) -> dict[str, Any]:
        """Pairs of subject and style that no training saw together."""
        known = [record for record in data.records if record.names[0] in self.judge.names]
        asked: list[Subject] = [(r.names[0], r.styles[0] if r.styles else None) for r in known]
        if not asked:
            raise UsageError(f"the judge knows nothing of what is held out in {data.name}")
        return {"held_out": self._table(asked, "held-out pairs").to_dict()}

    def conditioning(self, data: CaptionedData) -> dict[str, Any]:
        """How much a caption tells the model of a noised picture, level by level; nothing of a single picture."""
        index = torch.arange(min(len(data), MOST_HEARD))
        if len(index) < 2:
            return {}
        clean = (data.plain(index, torch.device("cpu")) + 1) / 2
        records = [data.records[k] for k in index.tolist()]
        captions = [caption(record.names[0], record.styles[0] if record.styles else None) for record in records]
        rows = conditioning_table(self.model, clean, captions, seed=self.seed)
        return {"conditioning": {"pictures": len(index), "rows": [row.to_dict() for row in rows]}}

    def anagrams(self, pairs: int, views: Sequence[View], seeds: Sequence[int]) -> dict[str, Any]:
        """Each pair of subjects seen upright and through each view."""
        tables = {}
        for view in views:
            tell = self.progress(f"anagrams under {view}")
            table = anagram_table(
                self.model,
                self.pairs(pairs),
                self._classifier,
                self.how,
                views=(IDENTITY, view),
                seeds=seeds,
                prompt=caption,
                on_step=tell,
            )
            tables[str(view)] = table.to_dict()
        return {"anagrams": tables}

    def hybrids(self, pairs: int, seeds: Sequence[int]) -> dict[str, Any]:
        """Each pair of subjects from afar and from near."""
        sigma, tell = self.model.defaults.hybrid_sigma, self.progress("hybrids")
        table = hybrid_table(
            self.model,
            self.pairs(pairs),
            self._classifier,
            self.how,
            sigma=sigma,
            seeds=seeds,
            prompt=caption,
            on_step=tell,
        )
        return {"hybrids": {"sigma": sigma, **table.to_dict()}}

    def pairs(self, n: int) -> tuple[Pair, ...]:
        """n pairs of neighbours in the list of subjects, from its beginning."""
        names = [name for name, _ in self.subjects]
        if len(names) < 2 * n:
            raise UsageError(f"{n} pairs take {2 * n} subjects, and the model and its judge share {len(names)}")
        return tuple((names[2 * k], names[2 * k + 1]) for k in range(n))

    @property
    def _classifier(self) -> Among:
        return Among(self.judge, self.judge.names)

    def _table(self, asked: Sequence[Subject], what: str) -> RetrievalTable:
        trees = [guided(caption(name, style), scale=self.how.guidance) for name, style in asked]
        seeds = range(self.seed, self.seed + len(asked))
        pictures = sample_trees(self.model, trees, seeds, self.how, self.progress(what))
        names, styles = zip(*asked, strict=True)
        return retrieved(fitted(pictures, self.judge.size), names, self.judge, styles=[style or "" for style in styles])


def format_text(result: dict[str, Any]) -> list[str]:
    """The parts of a report on what `TextMeasures` measured."""
    parts = []
    for key, title in (("retrieval", "Samples of what it was trained to draw"), ("held_out", "Held-out pairs")):
        if key in result:
            parts += [title, RetrievalTable.from_dict(result[key]).to_markdown()]
    if "conditioning" in result:
        found = result["conditioning"]
        rows = [ConditioningRow.from_dict(row) for row in found["rows"]]
        parts += [
            f"What a caption tells of {found['pictures']} noised pictures: mean squared error of the guess in one step",
            conditioning_markdown(rows),
        ]
    for view, table in result.get("anagrams", {}).items():
        parts += [f"Anagrams, upright and under {view}", IllusionTable.from_dict(table).to_lines()]
    if "hybrids" in result:
        parts += ["Hybrids", IllusionTable.from_dict(result["hybrids"]).to_lines()]
    return parts
