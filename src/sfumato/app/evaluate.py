"""The measures that suit a model, put together: what `sfumato evaluate` says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from sfumato.app.evaluate_pictures import PictureMeasures
from sfumato.app.evaluate_text import TextMeasures, format_text
from sfumato.app.sweep import Sweep, figures, sampler_named, settings_in_words, sweep_markdown
from sfumato.backends.model import Model
from sfumato.core.ramps import PlainWeight
from sfumato.core.schedules import Additive
from sfumato.core.views import parse_view
from sfumato.errors import UsageError
from sfumato.evaluation.denoising import DenoisingRow, denoising_markdown
from sfumato.evaluation.illusions import IllusionTable
from sfumato.evaluation.judge import Judge
from sfumato.evaluation.matcher import load_matcher
from sfumato.evaluation.samples import JudgedSamples, Progress, RecognisedSamples, Sampling
from sfumato.training.data import ImageData
from sfumato.training.datasets.captioned import CaptionedData

Report = Callable[[str, int, int], None]
"""Is told what is being done, how many steps of it are, and how many there are."""


def _silent(what: str, done: int, total: int) -> None:
    del what, done, total


@dataclass(frozen=True)
class Wanted:
    """What is to be measured of a model."""

    count: int = 200
    """Samples to judge, and pictures to denoise."""
    steps: int | None = None
    """Of the sampler; None is the model's."""
    guidance: PlainWeight | None = None
    """γ; None is the model's."""
    sampler: str | None = None
    """A key of `SAMPLERS`; None is the model's."""
    seed: int = 0
    """Of the first sample; sample k has seed + k. The seeds of every pair begin there too."""
    seeds_per_pair: int = 20
    """Pictures of each pair."""
    anagrams: bool = False
    """Whether to judge anagrams."""
    hybrids: bool = False
    """Whether to judge hybrids."""
    views: tuple[str, ...] = ("rotate:180",)
    """Of the anagrams' second readings."""
    pairs: int = 20
    """Pairs of subjects in the illusions of a text-to-image model; of classes all are made."""
    sweeps: tuple[Sweep, ...] = ()
    """Settings to judge samples at several values of."""
    judge: Judge | None = None
    """Who reads samples of classes; None is the bundled judge of digits, where it can."""

    def __post_init__(self) -> None:
        for view in self.views:
            try:
                parse_view(view)
            except ValueError as error:
                raise UsageError(str(error)) from error
        if min(self.count, self.seeds_per_pair, self.pairs) < 1:
            raise UsageError(
                f"count, seeds and pairs must be at least 1, not {self.count}, {self.seeds_per_pair} and {self.pairs}"
            )

    def sampling(self, model: Model) -> Sampling:
        """How samples are made: as `generate` makes them, but for what is wanted otherwise.

        Raises UsageError for an unknown sampler and an impossible number of steps, before anything is measured.
        """
        loop = model.defaults.loop
        how = Sampling(
            steps=model.defaults.steps if self.steps is None else self.steps,
            guidance=model.defaults.guidance if self.guidance is None else self.guidance,
            loop=loop if self.sampler is None else replace(loop, sampler=sampler_named(self.sampler)),
        )
        how.path(model)
        return how

    def illusions(self, model: Model) -> Sampling:
        """How anagrams and hybrids are made."""
        how = self.sampling(model)
        return how if self.guidance is not None else replace(how, guidance=model.defaults.guidance_of(illusion=True))


def evaluate_model(
    model: Model,
    data: ImageData | CaptionedData | None = None,
    wanted: Wanted = Wanted(),
    on_progress: Report = _silent,
) -> dict[str, Any]:
    """Measure a model by what it is, as plain data fit for JSON.

    A one-step denoiser: PSNR and SSIM on clean pictures of `data` at seven noise levels. A diffusion model: what the
    judge reads in samples, and with pictures of its size in `data` one-step and iterative denoising and the Fréchet
    distance; on demand the success of anagrams and hybrids of all ordered pairs of classes. A text-to-image model:
    whether the judge finds what was asked for, with captioned `data` also for what these hold out, and how much of a
    caption it hears; on demand anagrams
    and hybrids of pairs of subjects.

    Args:
        model: What is measured.
        data: Clean pictures, or captioned ones.
        wanted: What is measured, and how.
        on_progress: Is told what is being done, a few times a minute of work.

    Returns:
        `model`, `settings`, `notes` (what was left out, and why), and of `denoising`, `samples`, `frechet`,
        `retrieval`, `held_out`, `conditioning`, `anagrams` and `hybrids` those that were measured.

    Raises:
        UsageError: a model that cannot be measured with what was given, or options that do not fit it.
    """
    settings: dict[str, Any] = {"count": wanted.count, "seed": wanted.seed, "dtype": str(model.dtype).split(".")[-1]}
    result: dict[str, Any] = {
        "model": {"name": model.name, "sha256": model.sha256},
        "settings": settings,
        "notes": [],
    }
    if isinstance(model.schedule, Additive):
        sampled = wanted.anagrams or wanted.hybrids or wanted.sweeps
        if sampled or any(given is not None for given in (wanted.steps, wanted.guidance, wanted.sampler)):
            raise UsageError(f"model {model.name} denoises in one step: it makes no samples, illusions or guided steps")
        return result | _measures(model, data, wanted, Sampling(1), on_progress).one_step_denoiser()
    how = wanted.sampling(model)
    for sweep in wanted.sweeps:
        for value in sweep.values:
            sweep.at(value, how).path(model)
        if not model.reads_text and _measures(model, data, wanted, how, on_progress).judge is None:
            raise UsageError(f"samples of model {model.name} cannot be judged, so there is nothing to sweep")
    settings |= {"sampler": how.loop.sampler, "steps": how.steps}
    settings |= {"guidance": how.guidance} if model.conditioned else {}
    if (wanted.anagrams or wanted.hybrids) and (read := wanted.illusions(model)) != how:
        settings["illusion_guidance"] = read.guidance
    if model.reads_text:
        result |= _text(model, data, wanted, how, on_progress)
    else:
        result |= _diffusion(_measures(model, data, wanted, how, on_progress), wanted)
    if wanted.sweeps:
        result["sweeps"] = [_swept(model, data, wanted, sweep, on_progress) for sweep in wanted.sweeps]
    return result


def _swept(
    model: Model, data: ImageData | CaptionedData | None, wanted: Wanted, sweep: Sweep, report: Report
) -> dict[str, Any]:
    """Samples judged at each value of one setting, all else as it is."""
    rows = []
    for value in sweep.values:
        how = sweep.at(value, wanted.sampling(model))
        if model.reads_text:
            found = _text_measures(model, wanted, how, report).retrieval(wanted.count)
        else:
            measures = _measures(model, data, wanted, how, report)
            judge = measures.judge
            assert judge is not None
            found = measures.samples(judge)
        rows.append({sweep.setting: value, **figures(found)})
    return {"setting": sweep.setting, "rows": rows}


def _measures(
    model: Model, data: ImageData | CaptionedData | None, wanted: Wanted, how: Sampling, report: Report
) -> PictureMeasures:
    return PictureMeasures(
        model,
        _pictured(data),
        how,
        wanted.count,
        wanted.seed,
        wanted.seeds_per_pair,
        lambda what: _progress(report, what),
        wanted.judge,
    )


def _pictured(data: ImageData | CaptionedData | None) -> ImageData | None:
    if isinstance(data, CaptionedData):
        raise UsageError("captioned pictures measure text-to-image models only; give others")
    return data


def _text(
    model: Model, data: ImageData | CaptionedData | None, wanted: Wanted, how: Sampling, report: Report
) -> dict[str, Any]:
    if wanted.judge is not None:
        raise UsageError(f"model {model.name} is asked in words; a judge of classes cannot read for it")
    if isinstance(data, ImageData):
        raise UsageError(f"model {model.name} is measured with captioned pictures; give a folder with a metadata.jsonl")
    measures = _text_measures(model, wanted, how, report)
    seeds = range(wanted.seed, wanted.seed + wanted.seeds_per_pair)
    out = measures.retrieval(wanted.count)
    out |= {} if data is None else measures.held_out(data) | measures.conditioning(data)
    measures = _text_measures(model, wanted, wanted.illusions(model), report)
    if wanted.anagrams:
        out |= measures.anagrams(wanted.pairs, [parse_view(view) for view in wanted.views], seeds)
    return out | (measures.hybrids(wanted.pairs, seeds) if wanted.hybrids else {})


def _text_measures(model: Model, wanted: Wanted, how: Sampling, report: Report) -> TextMeasures:
    return TextMeasures(model, load_matcher(), how, wanted.seed, lambda what: _progress(report, what))


def _diffusion(chosen: PictureMeasures, wanted: Wanted) -> dict[str, Any]:
    model, data, judge = chosen.model, chosen.data, chosen.judge
    if wanted.judge is not None and judge is None:
        raise UsageError(f"the judge given reads other pictures or classes than model {model.name} makes")
    if (wanted.anagrams or wanted.hybrids) and not (judge and model.classes):
        raise UsageError(f"illusions of model {model.name} cannot be judged: that takes classes which the judge knows")
    out: dict[str, Any] = {"notes": []}
    if judge:
        out |= chosen.samples(judge)
    else:
        out["notes"].append(
            "samples are not judged: no bundled judge reads such pictures or classes; sfumato judge RUN trains one"
        )
    if data is None or data.shape != model.shape:
        what = "no pictures were given" if data is None else f"the pictures of {data.name} have another shape"
        out["notes"].append(f"denoising is not measured: {what}")
    else:
        out |= chosen.diffusion_denoiser()
    read = replace(chosen, how=wanted.illusions(model))
    if judge and wanted.anagrams:
        out |= read.anagrams(judge, wanted.views)
    if judge and wanted.hybrids:
        out |= read.hybrids(judge)
    return out


def format_evaluation(result: dict[str, Any]) -> str:
    """What `evaluate_model` returned as text, with tables that are Markdown and align in a terminal."""
    model, settings = result["model"], result["settings"]
    head = f"model {model['name']} (sha256 {(model['sha256'] or 'unknown')[:12]})"
    parts = [f"{head}: {', '.join(settings_in_words(settings))}"]
    if "samples" in result:
        data = result["samples"]
        of: type[JudgedSamples] | type[RecognisedSamples] = JudgedSamples if "confusion" in data else RecognisedSamples
        parts += ["Samples", of.from_dict(data).to_markdown()]
    if "frechet" in result:
        f = result["frechet"]
        parts += [
            f"Fréchet distance in the judge's features: {f['distance']:.1f} "
            f"({f['samples']} samples against {f['pictures']} pictures of {f['data']}); "
            f"of {f['floor_pictures']} other real pictures {f['floor']:.1f} (it falls as pictures grow in number)"
        ]
    if "denoising" in result:
        data = result["denoising"]
        rows = [DenoisingRow.from_dict(row) for row in data["rows"]]
        parts += [
            f"Denoising {data['pictures']} pictures of {data['data']}: PSNR in dB / SSIM",
            denoising_markdown(rows),
        ]
    ends = [*map(sweep_markdown, result.get("sweeps", ())), *(f"note: {note}" for note in result["notes"])]
    if "retrieval" in result:
        return "\n\n".join([*parts, *format_text(result), *ends])
    for view, table in result.get("anagrams", {}).items():
        parts += [f"Anagrams, upright and under {view}", IllusionTable.from_dict(table).to_markdown()]
    if "hybrids" in result:
        parts += ["Hybrids", IllusionTable.from_dict(result["hybrids"]).to_markdown()]
    return "\n\n".join([*parts, *ends])


def _progress(report: Report, what: str, times: int = 10) -> Progress:
    """Of thousands of steps only every tenth of the whole is worth a line."""

    def tell(done: int, total: int) -> None:
        if done * times // total != (done - 1) * times // total:
            report(what, done, total)

    return tell
