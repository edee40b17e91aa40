"""Part B, second half: diffusion models and flows from scratch, and their work in motion (B2.1, B2.4, B2.7, B3)."""

from __future__ import annotations

from dataclasses import replace

from sfumato.app.jobs import AnyJob, Generate
from sfumato.app.output import gif_bytes
from sfumato.app.report.figures import Row, Tile, animation, frames, side_by_side
from sfumato.app.tour.family import curve, epochs, facts, family, loss, train, when
from sfumato.app.tour.logs import Training
from sfumato.app.tour.page import Measured, Section
from sfumato.app.tour.texts import TEXTS, Text
from sfumato.app.tour.workshop import Workshop
from sfumato.backends.model import Model
from sfumato.core.pixels import to_unit
from sfumato.core.ramps import spell_weight
from sfumato.core.schedules import Flow
from sfumato.evaluation.samples import share
from sfumato.files import write_bytes

SCALE = 5.0
"""The guidance of the course's samples."""
FRAMES = 16
ZOOM = 4


def diffusion(w: Workshop) -> list[Section]:
    """B2.1, B2.4 and B2.7: the diffusion models and flows of the family, their losses and their samples."""
    walking = [each for each in family(w) if each[1].most_steps > 1]
    free = [_unconditional(w, *each) for each in walking if not each[1].conditioned]
    asked = [_conditional(w, *each) for each in walking if each[1].conditioned]
    return [*free, *asked]


def _unconditional(w: Workshop, name: str, model: Model, known: Training | None) -> Section:
    noun = w.subject.noun
    jobs: list[AnyJob] = [
        w.job(Generate, model=name, steps=_chain(w, model), guidance=1.0, seed=w.seed + k)
        for k in range(2 * w.size.shown)
    ]
    pictures = w.make(jobs)
    read = w.reader(w.subject.data.classes).read(pictures)
    tiles = [Tile(x, r.after("a sample")) for x, r in zip(pictures, read, strict=True)]
    rows = [Row(tiles[k : k + 10]) for k in range(0, len(tiles), 10)]
    sees = [known.sees()] if known else []
    measured, numbers = loss(known), {**facts(known), "samples": len(tiles)}
    if read[0].name:
        sure, kinds = sum(r.sure >= 0.9 for r in read), len({r.name for r in read})
        sees.append(
            f"Which {noun} comes is left to chance. A judge takes {sure} of {len(tiles)} for a {noun}, surer than "
            f"90 %, and finds {kinds} different ones."
        )
        measured = (Measured(f"{sure} of {len(tiles)}", f"samples are {noun}s to a judge, surer than 90 %"), *measured)
        numbers["sure"] = sure
    figures = (
        *curve(known),
        w.show("B2.1-samples", rows, f"Samples of the time-conditioned model{when(known)}."),
        side_by_side(epochs(w, "B2.1", known, "samples")),
    )
    commands = (*train(known), w.command(jobs))
    return Section("B2.1", figures, tuple(sees), measured, commands, (), numbers, _about("B2.1", known))


def _conditional(w: Workshop, name: str, model: Model, known: Training | None) -> Section:
    row = "B2.7" if isinstance(model.schedule, Flow) else "B2.4"
    each = w.subject.prompts.each
    scale = SCALE if model.classes else w.subject.guidance
    count = min(4, w.size.each)
    jobs: list[AnyJob] = [
        w.job(Generate, model=name, prompt=prompt, guidance=scale, seed=w.seed + k)
        for prompt in each
        for k in range(count)
    ]
    made = w.make(jobs)
    wanted = [prompt for prompt in each for _ in range(count)]
    reader = w.reader(each)
    rows = [
        Row(
            [
                Tile(made[count * i + k], f"asked for {prompt}", prompt if k == count - 1 else "")
                for i, prompt in enumerate(each)
            ]
        )
        for k in range(count)
    ]
    sees = [known.sees()] if known else []
    measured, numbers = loss(known), {**facts(known), "samples": len(wanted), "guidance": scale}
    if reader.reads:
        hits = reader.count(made, wanted)
        sees.append(f"A judge reads {share(hits, len(wanted))} as what was asked for.")
        measured = (
            Measured(f"{hits} of {len(wanted)}", f"samples are read as asked, γ = {spell_weight(scale)}"),
            *measured,
        )
        numbers["read_as_asked"] = hits / len(wanted)
    what = "the digits in turn" if w.subject.noun == "digit" else "samples"
    figures = (
        *curve(known),
        w.show(f"{row}-samples", rows, f"{count} of each at γ = {spell_weight(scale)}{when(known)}."),
        side_by_side(epochs(w, row, known, what)),
    )
    commands = (*train(known), w.command(jobs))
    return Section(row, figures, tuple(sees), measured, commands, (), numbers, _about(row, known, model))


def motion(w: Workshop) -> list[Section]:
    """B3: the same loop as animations, of every kind that the family has, and the last of them step by step."""
    kinds = _kinds(w)
    if not kinds:
        return []
    figures, numbers, sees = [], {}, []
    for name, (caption, jobs) in kinds.items():
        model = w.load(jobs[0].model, w.dtype)
        steps = w.watch(jobs)
        every = max(1, -(-steps[-1].total // FRAMES))
        kept = [step for step in steps if step.index % every == 0 or step.index == step.total]
        grids = [to_unit(step.x, model) for step in kept]
        write_bytes(w.folder / "pictures" / f"B3-{name}.gif", gif_bytes(frames(grids, 5, ZOOM)))
        small, still = gif_bytes(frames(grids, 5, 1)), frames(grids[-1:], 5, 1)[0]
        alt = f"{len(jobs)} pictures come out of noise in {len(kept)} frames"
        figures.append(animation(small, alt, caption, 5 * (model.shape[-1] + 1) * ZOOM, still=still))
        read = [r.name for r in w.reader(_expected(w, jobs)).read(grids[-1])]
        numbers[name] = {"frames": len(kept), "bytes": len(small), "read": read}
        if any(read):
            asked = [getattr(job, "prompt", None) for job in jobs]
            right = sum(r == prompt for r, prompt in zip(read, asked, strict=True))
            said = f"{right} of {len(jobs)} as asked for" if any(asked) else f"{len(set(read))} different ones"
            sees.append(f"{caption.rstrip('.').partition(':')[0]}: at the end a judge reads {said}.")
    name, (_, jobs) = next(reversed(kinds.items()))
    few = jobs[:4]
    names = [str(getattr(job, "prompt", None) or f"seed {job.seed}") for job in few]
    figures.append(
        w.show_steps(w.watch(few), names, "Step by step: above the canvas, below what the network takes it for.")
    )
    measured = (Measured(str(w.size.chain_steps), "steps from noise to picture"),)
    commands = tuple(w.command(jobs) for _, jobs in kinds.values())
    return [Section("B3", tuple(figures), tuple(sees), measured, commands, (), numbers)]


def _kinds(w: Workshop) -> dict[str, tuple[str, list[AnyJob]]]:
    """What is to be watched: a caption and the jobs, by name; what was asked for comes last."""
    n, each = w.size.shown, w.subject.prompts.each
    out: dict[str, tuple[str, list[AnyJob]]] = {}
    for name, model, _ in family(w):
        if model.most_steps == 1:
            continue
        steps = _chain(w, model)
        free: list[AnyJob] = [w.job(Generate, model=name, steps=steps, guidance=1.0, seed=w.seed + k) for k in range(n)]
        if not model.conditioned:
            out["time"] = ("Time-conditioned: nothing can be asked for.", free)
            continue
        scale = model.defaults.guidance
        asked: list[AnyJob] = [
            w.job(Generate, model=name, prompt=prompt, steps=steps, guidance=scale, seed=w.seed) for prompt in each[:n]
        ]
        out.setdefault("zero", ("With the condition all zero: it does as it likes.", free))
        out.setdefault("asked", (f"Conditioned: each thing in turn, at γ = {spell_weight(scale)}.", asked))
    return {name: out[name] for name in ("time", "zero", "asked") if name in out}


def _expected(w: Workshop, jobs: list[AnyJob]) -> list[str]:
    prompts = [prompt for job in jobs if (prompt := getattr(job, "prompt", None)) is not None]
    return prompts or list(w.subject.data.classes)


def _chain(w: Workshop, model: Model) -> int:
    return min(w.size.chain_steps, model.most_steps)


def _about(row: str, known: Training | None, model: Model | None = None) -> Text | None:
    """What is said of the row where the loss, or what is asked for, is another than the course's."""
    usual = TEXTS[row]
    about = usual
    if model is not None and model.reads_text:
        words = "The same loss, with the words of a caption as c."
        about = replace(about, title="A diffusion model: words", words=words)
    target = str(known.about["recipe"].get("prediction")) if known else _USUAL[row]
    if target != _USUAL[row] and target in _TARGETS:
        sign, words = _TARGETS[target]
        given = "x_t , t" if row == "B2.1" else "x_t , t , c"
        tail = "" if row == "B2.1" else ' ; c = 0 "\u00a0one time in ten"'
        about = replace(about, formula=f'L = "E" ‖ {sign[0]}_θ ( {given} ) − {sign[1]} ‖^2{tail}', words=words)
    return None if about is usual else about


_USUAL = {"B2.1": "eps", "B2.4": "eps", "B2.7": "flow"}
"""By row, what its text says that a network is asked for."""
_TARGETS = {
    "eps": (("ε", "ε"), "The network is asked for the noise."),
    "v": (("v", "v"), "The network is asked for v = √ᾱ ε − √(1−ᾱ) x₀, which is worth asking at every level of noise."),
    "flow": (("u", "( x_0 − ε )"), "The network is asked for the velocity from noise to picture (flow matching)."),
    "x0": (("x", "x_0"), "The network is asked for the clean picture itself."),
}
"""By what a network is asked for: its sign and its target, and a sentence."""
