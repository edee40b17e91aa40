"""The measures that suit a model, put together: what `sfumato evaluate` says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sfumato.backends.network import NetworkDenoiser
from sfumato.backends.registry import load
from sfumato.core.estimates import Predict
from sfumato.core.schedules import Additive, Discrete
from sfumato.errors import UsageError
from sfumato.evaluation.denoising import DenoisingRow, denoising_markdown, denoising_table, one_step_table
from sfumato.evaluation.illusions import IllusionTable, anagram_table, hybrid_table, ordered_pairs
from sfumato.evaluation.judge import Judge, load_judge
from sfumato.evaluation.metrics import frechet_distance, gaussian_statistics
from sfumato.evaluation.samples import (
    JudgedSamples,
    Progress,
    RecognisedSamples,
    Sampling,
    judged,
    recognised,
    sample_classes,
    sample_trees,
)
from sfumato.training.data import ImageData

SIGMAS = (0.0, 0.2, 0.4, 0.5, 0.6, 0.8, 1.0)
"""The noise levels of B1.3."""
TIMES = (0.25, 0.5, 0.75)
"""Where a diffusion model is measured, in shares of its schedule: 250, 500 and 750 of 1000, as in A1.3."""
REFERENCE = 10_000
"""Real pictures, at most, that samples are compared with."""
Report = Callable[[str, int, int], None]
"""Is told what is being done, how many steps of it are, and how many there are."""


def _silent(what: str, done: int, total: int) -> None:
    del what, done, total


def evaluate_model(
    name: str,
    *,
    data: ImageData | None = None,
    count: int = 200,
    steps: int | None = None,
    guidance: float | None = None,
    seed: int = 0,
    seeds_per_pair: int = 20,
    anagrams: bool = False,
    hybrids: bool = False,
    device: str = "cpu",
    dtype: str = "float32",
    on_progress: Report = _silent,
) -> dict[str, Any]:
    """Measure a model by what it is, as plain data fit for JSON.

    A one-step denoiser: PSNR and SSIM on clean pictures of `data` at seven noise levels. A diffusion model: what the
    judge reads in samples, and with pictures of its size in `data` one-step and iterative denoising and the Fréchet
    distance; on demand the success of anagrams (turned by 180°) and hybrids of all ordered pairs of classes.

    Args:
        name: As `registry.load` knows it.
        data: Clean pictures.
        count: Samples to judge, and pictures of `data` to denoise.
        steps: Of the sampler, by default the model's.
        guidance: γ, by default the model's.
        seed: Of the first sample; sample k has seed + k. The seeds of every pair begin there too.
        seeds_per_pair: Pictures of each pair of classes.
        anagrams: Whether to judge anagrams.
        hybrids: Whether to judge hybrids.
        device: As torch names it, or auto.
        dtype: Of the arithmetic inside the network.
        on_progress: Is told what is being done, a few times a minute of work.

    Returns:
        `model`, `settings`, `notes` (what was left out, and why), and of `denoising`, `samples`, `frechet`,
        `anagrams` and `hybrids` those that were measured.

    Raises:
        UsageError: a model that cannot be measured with what was given, or options that do not fit it.
    """
    if count < 1 or seeds_per_pair < 1:
        raise UsageError(f"count and seeds must be at least 1, not {count} and {seeds_per_pair}")
    model = load(name, device, dtype)
    chosen = _Choice(model, data, count, seed, seeds_per_pair, on_progress)
    result: dict[str, Any] = {"model": {"name": model.name, "sha256": model.sha256}, "notes": []}
    if isinstance(model.schedule, Additive):
        if anagrams or hybrids or steps is not None or guidance is not None:
            raise UsageError(f"model {name} denoises in one step: it makes no samples, illusions or guided steps")
        return {**result, "settings": {"count": count, "seed": seed, "dtype": dtype}, **chosen.one_step_denoiser()}

    how = Sampling(
        steps=model.defaults.steps if steps is None else steps,
        guidance=model.defaults.guidance if guidance is None else guidance,
    )
    how.path(model)  # an impossible number of steps is refused before anything is measured
    result["settings"] = {"count": count, "seed": seed, "dtype": dtype, "steps": how.steps}
    result["settings"] |= {"guidance": how.guidance} if model.classes else {}
    judge = _judge_for(model)
    if (anagrams or hybrids) and not (judge and model.classes):
        raise UsageError(f"illusions of model {name} cannot be judged: that takes classes which the judge knows")
    if judge:
        result |= chosen.samples(how, judge)
    else:
        result["notes"].append("samples are not judged: there is no judge for pictures or classes such as this model's")
    if data is None or data.shape != model.shape:
        what = "no pictures were given" if data is None else f"the pictures of {data.name} have another shape"
        result["notes"].append(f"denoising is not measured: {what}")
    else:
        result |= chosen.diffusion_denoiser(how)
    if judge and anagrams:
        result |= chosen.anagrams(how, judge)
    if judge and hybrids:
        result |= chosen.hybrids(how, judge)
    return result


def format_evaluation(result: dict[str, Any]) -> str:
    """What `evaluate_model` returned as text, with tables that are Markdown and align in a terminal."""
    model, settings = result["model"], result["settings"]
    head = f"model {model['name']} (sha256 {(model['sha256'] or 'unknown')[:12]})"
    parts = [f"{head}: {', '.join(f'{key} {value}' for key, value in settings.items())}"]
    if "samples" in result:
        data = result["samples"]
        of: type[JudgedSamples] | type[RecognisedSamples] = JudgedSamples if "confusion" in data else RecognisedSamples
        parts += ["Samples", of.from_dict(data).to_markdown()]
    if "frechet" in result:
        f = result["frechet"]
        parts += [
            f"Fréchet distance in the judge's features: {f['distance']:.1f} "
            f"({f['samples']} samples, {f['pictures']} pictures of {f['data']}; it falls as samples grow in number)"
        ]
    if "denoising" in result:
        data = result["denoising"]
        rows = [DenoisingRow.from_dict(row) for row in data["rows"]]
        parts += [
            f"Denoising {data['pictures']} pictures of {data['data']}: PSNR in dB / SSIM",
            denoising_markdown(rows),
        ]
    for kind in ("anagrams", "hybrids"):
        if kind in result:
            parts += [kind.capitalize(), IllusionTable.from_dict(result[kind]).to_markdown()]
    parts += [f"note: {note}" for note in result["notes"]]
    return "\n\n".join(parts)


class _Choice:
    """A model with what it is to be measured on; every method is one part of the result."""

    def __init__(
        self, model: NetworkDenoiser, data: ImageData | None, count: int, seed: int, per_pair: int, report: Report
    ) -> None:
        self.model, self.data, self.count, self.seed, self.report = model, data, count, seed, report
        self.pair_seeds = range(seed, seed + per_pair)

    def one_step_denoiser(self) -> dict[str, Any]:
        """B1.3."""
        data = self._pictures()
        rows = denoising_table(self.model, data, SIGMAS, self.seed)
        return self._denoising(rows, len(data))

    def diffusion_denoiser(self, how: Sampling) -> dict[str, Any]:
        """A1.2 to A1.4 in numbers."""
        data = self._pictures()
        schedule = self.model.schedule
        # A flow's times are shares of it already.
        scale = len(schedule) if isinstance(schedule, Discrete) else 1
        times = [float(round(scale * t)) if scale > 1 else t for t in TIMES]
        rows = []
        for done, t in enumerate(times):
            rows += one_step_table(self.model, data, [t], how, seed=self.seed)
            self.report("denoising", done + 1, len(times))
        return self._denoising(rows, len(data))

    def samples(self, how: Sampling, judge: Judge) -> dict[str, Any]:
        """What the judge reads, and how far the samples are from real pictures."""
        if self.model.classes:
            pictures, names = sample_classes(
                self.model, self.model.classes, self.count, how, seed=self.seed, on_step=self._progress("samples")
            )
            out: dict[str, Any] = {"samples": judged(pictures, names, judge).to_dict()}
        else:
            seeds = range(self.seed, self.seed + self.count)
            trees = [Predict()] * self.count
            pictures = sample_trees(self.model, trees, seeds, how, self._progress("samples"))
            out = {"samples": recognised(pictures, judge).to_dict()}
        return out | self._frechet(pictures, judge)

    def anagrams(self, how: Sampling, judge: Judge) -> dict[str, Any]:
        """Every pair of classes, turned by 180°."""
        pairs, tell = ordered_pairs(self.model.classes), self._progress("anagrams")
        table = anagram_table(self.model, pairs, judge, how, seeds=self.pair_seeds, on_step=tell)
        return {"anagrams": table.to_dict()}

    def hybrids(self, how: Sampling, judge: Judge) -> dict[str, Any]:
        """Every pair of classes, far and near."""
        pairs, tell = ordered_pairs(self.model.classes), self._progress("hybrids")
        # For digits of 28 px 2 px are measured: with strokes of 3 px the course's proportion, 0.9 px, leaves next to
        # nothing to the near reading.
        sigma = self.model.defaults.hybrid_sigma
        table = hybrid_table(self.model, pairs, judge, how, sigma=sigma, seeds=self.pair_seeds, on_step=tell)
        return {"hybrids": {"sigma": sigma, **table.to_dict()}}

    def _frechet(self, pictures: Float[Tensor, "b c h w"], judge: Judge) -> dict[str, Any]:
        if self.data is None or self.data.shape != self.model.shape or min(len(self.data), len(pictures)) < 2:
            return {}
        real = self.data.pixels(torch.arange(min(len(self.data), REFERENCE)))
        ours, theirs = (gaussian_statistics(judge.features(x)) for x in (pictures, real))
        counts = {"samples": len(pictures), "pictures": len(real), "data": self.data.name}
        return {"frechet": {"distance": frechet_distance(*ours, *theirs), **counts}}

    def _pictures(self) -> Float[Tensor, "b c h w"]:
        if self.data is None:
            raise UsageError(f"measuring {self.model.name} takes clean pictures; give it data")
        return self.data.pixels(torch.arange(min(self.count, len(self.data))))

    def _denoising(self, rows: list[DenoisingRow], pictures: int) -> dict[str, Any]:
        name = self.data.name if self.data else ""
        return {"denoising": {"data": name, "pictures": pictures, "rows": [row.to_dict() for row in rows]}}

    def _progress(self, what: str, times: int = 10) -> Progress:
        """Of thousands of steps only every tenth of the whole is worth a line."""

        def tell(done: int, total: int) -> None:
            if done * times // total != (done - 1) * times // total:
                self.report(what, done, total)

        return tell


def _judge_for(model: NetworkDenoiser) -> Judge | None:
    """The judge that can read the model's pictures and knows its classes."""
    if model.shape != (1, 28, 28):
        return None
    judge = load_judge()
    return judge if set(model.classes) <= set(judge.classes) else None
