"""The model card of an export, written from the facts in the model's file: what they do not say, it does not guess."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from sfumato.app.export import example
from sfumato.app.export.about import MEANS
from sfumato.app.export.source import LICENCES, Source
from sfumato.core.ramps import PlainWeight
from sfumato.core.schedules import Additive, Discrete
from sfumato.files import sha256
from sfumato.models.text_unet import TextNetwork
from sfumato.training.datasets.sources import SOURCES

CARD = "README.md"
SHOWN = 12
"""Names of a longer list that a card gives."""
TERMS = {
    "mnist": "by Yann LeCun, Corinna Cortes and Christopher J. C. Burges, commonly stated to be under CC BY-SA 3.0",
    "typeset": "drawn by sfumato from the digits of fonts under the SIL Open Font License 1.1",
}
"""What is said of data sets that state no terms themselves."""
_ROW = re.compile(r"^\| `([^`]+)` \| [\d,]+ \| `([0-9a-f]{64})` \|$", re.MULTILINE)


def model_card(source: Source, to: str, files: Sequence[Path], difference: float | None = None) -> str:
    """The card for an export of a model: `files` are those beside it, `difference` that of ONNX Runtime from torch."""
    parts = [
        _front(source, to),
        f"# {_plain(source.title)}\n\n{_purpose(source)}",
        _table(source),
        f"## Files\n\n{_files(files)}",
        f"## How to use it\n\n{_usage(source, to, files, difference)}",
        f"## Training data\n\n{_data(source)}",
        f"## Training\n\n{_training(source)}",
        f"## Licence\n\n{_licence(source)}",
        f"## Intended use and limits\n\n{_limits(source)}",
        f"Written by `sfumato export --to {to}`, sfumato {version('sfumato')}, from the facts in the model's file.",
    ]
    return "\n\n".join(parts) + "\n"


def files_in_card(text: str) -> dict[str, str]:
    """The files that a card lists, with their SHA-256."""
    return dict(_ROW.findall(text))


def _front(source: Source, to: str) -> str:
    """The header that model hubs read."""
    kind = "text-to-image" if source.model.reads_text else "unconditional-image-generation"
    pipeline = "" if isinstance(source.model.schedule, Additive) else f"pipeline_tag: {kind}\n"
    return f"---\nlibrary_name: sfumato\n{pipeline}tags:\n- diffusion\n- pixel-space\n- {to}\n---"


def _pictures(source: Source) -> str:
    channels, height, width = source.model.shape
    colour = {1: "grey ", 3: "colour "}.get(channels, "")
    return f"{colour}pictures of {width}×{height} pixels" + ("" if colour else f" in {channels} channels")


def _purpose(source: Source) -> str:
    """One sentence on what the model does."""
    model = source.model
    if isinstance(model.schedule, Additive):
        sigmas = ", ".join(f"{sigma:g}" for sigma in model.schedule.sigmas)
        of = "" if model.schedule.signal == 1 else f"{model.schedule.signal:g} times "
        return f"Takes noise of standard deviation {sigmas} out of {of}{_pictures(source)}, in one step."
    by = ""
    if model.classes:
        by = f", asked for by class: {_some(model.classes)}"
    elif isinstance(model.network, TextNetwork):
        by = f", asked for in words, of which it knows {len(model.network.vocabulary.words):,}"
    if model.low_res is not None:
        size = model.low_res.size
        return f"Makes {_pictures(source)} from smaller ones of {size}×{size}{by}: the later stage of a cascade."
    return f"Makes {_pictures(source)} from noise{by}."


def _table(source: Source) -> str:
    model, network = source.model, source.model.network
    low, high = model.pixel_range
    by = model.defaults
    levels = f", {len(model.schedule)} levels" if isinstance(model.schedule, Discrete) else ""
    rows = {
        "architecture": f"{network.config.kind}, {sum(p.numel() for p in network.parameters()):,} parameters",
        "pixels": f"black is {low:g}, white is {high:g}",
        "output": f"{MEANS[model.prediction]}, at x = alpha·x₀ + sigma·ε",
        "noise schedule": f"{source.recipe['schedule']}{levels}",
        "by default": f"{by.steps} steps of {by.loop.sampler}, guidance {_guidance(by.guidance)}",
        "exported from": f"weights with SHA-256 `{model.sha256}`",
    }
    return "| | |\n|---|---|\n" + "\n".join(f"| {key} | {value} |" for key, value in rows.items())


def _files(files: Sequence[Path]) -> str:
    rows = [f"| `{file.name}` | {file.stat().st_size:,} | `{sha256(file)}` |" for file in files]
    return "\n".join(["| file | bytes | SHA-256 |", "|---|---:|---|", *rows])


def _usage(source: Source, to: str, files: Sequence[Path], difference: float | None) -> str:
    if to == "onnx":
        checked = (
            "Its output was not compared with torch's: ONNX Runtime was not installed where it was written."
            if difference is None
            else f"On three rows of random numbers the largest difference from torch's output was {difference:.1e}."
        )
        return (
            "`model.json` says what goes in and comes out, how the pixels, the noise levels and the conditions are "
            f"meant, and the path that sfumato takes. {checked} With numpy and ONNX Runtime, in this folder:\n\n"
            f"{_code(example.with_onnxruntime(source))}\n\nsfumato itself reads no ONNX files. There it is "
            + (f"`{_command(source, source.title)}`." if source.bundled else "an export `--to safetensors`.")
        )
    if to == "diffusers-scheduler":
        return (
            "The noise schedule for diffusers, without the network, which is none of diffusers' classes. With it "
            "diffusers' sampler takes the steps that sfumato's `ddpm` takes. Name the times, for the two space them "
            "differently; the network reads a time divided by their number. Guidance γ is output_nothing + "
            "γ·(output_asked − output_nothing).\n\n"
            f"{_code(example.with_diffusers(source))}"
        )
    first = next(file.name for file in files if file.suffix == ".safetensors")
    python = example.with_sfumato(source)
    code = "" if python is None else f"\n\n{_code(python.replace('model.safetensors', first))}"
    return (
        f"In sfumato, in this folder:\n\n```console\n$ {_command(source, first)}\n```{code}\n\nAny program that reads "
        "safetensors reads the weights; the entry `sfumato` of the header is JSON that says how the network is built "
        "and where it came from."
    )


def _command(source: Source, file: str) -> str:
    model = source.model
    if isinstance(model.schedule, Additive):
        return f"sfumato denoise PICTURE.png --t {max(model.schedule.sigmas):g} --model {file}"
    if model.low_res is not None:
        return f"sfumato upscale PICTURE.png --model {file}"
    wanted = example.prompt(source)
    asked = "" if wanted is None else f" {shlex.quote(wanted)}"
    return f"sfumato generate{asked} -n 4 --steps {model.defaults.steps} --model {file}"


def _data(source: Source) -> str:
    data = source.data
    rows = []
    if "name" in data:
        rows.append(f"- name: {_plain(data['name'])}")
    if "pictures" in data:
        rows.append(f"- pictures: {_number(data['pictures'])}")
    if "sha256" in data:
        rows.append(f"- SHA-256 over all that the training saw of them: `{data['sha256']}`")
    if subjects := data.get("subjects"):
        rows.append(f"- what they show: {_some([str(row[0]) for row in subjects])}")
    return "\n".join(rows) or "The model's file does not say what it was trained on."


def _training(source: Source) -> str:
    recipe, facts = source.recipe, source.facts
    summary = f": {_plain(recipe['summary'])}" if recipe.get("summary") else ""
    lines = [f"Recipe `{_plain(recipe.get('name', 'without a name'))}`{summary}", _progress(source)]
    environment = facts.get("environment")
    if isinstance(environment, dict) and environment:
        lines.append("Trained with " + ", ".join(f"{key} {value}" for key, value in environment.items()) + ".")
    return "\n\n".join(lines) + f"\n\n```json\n{json.dumps(recipe, indent=2, ensure_ascii=False)}\n```"


def _progress(source: Source) -> str:
    """How far the training came."""
    facts, recipe = source.facts, source.recipe
    if "step" not in facts or "epoch" not in facts:
        return "The model's file does not say how far it was trained."
    of_steps = f" of {_number(recipe['steps'])}" if recipe.get("steps") else ""
    of_epochs = f" of {recipe['epochs']}" if recipe.get("epochs") and not of_steps else ""
    how = {True: ": the whole training", False: ": the training had not finished", None: ""}[_finished(source)]
    return f"{_number(facts['step'])}{of_steps} steps, {_number(facts['epoch'])}{of_epochs} epochs{how}."


def _finished(source: Source) -> bool | None:
    """Whether the training came to its end; None where the file does not say."""
    facts, recipe = source.facts, source.recipe
    for done, goal in (("step", "steps"), ("epoch", "epochs")):
        if recipe.get(goal):
            return None if done not in facts else bool(facts[done] >= recipe[goal])
    return None


def _licence(source: Source) -> str:
    name = source.data.get("name")
    if source.licences is not None:
        pictures = f"Those of the pictures are in `{LICENCES}`, which must travel with the model."
    elif name in TERMS:
        pictures = f"The pictures go by the name of {name}: {TERMS[name]}."
    elif name in SOURCES:
        terms = SOURCES[name].terms
        stated = f"whose makers state these terms: {terms}" if terms else "whose makers state no terms of use"
        pictures = f"The pictures go by the name of {SOURCES[name].title}, {stated}."
    else:
        pictures = "The model's file does not say under which licence the pictures are: ask whoever trained it."
    own = (
        "The model comes with sfumato, which is under the Apache License 2.0."
        if source.bundled
        else "The licence of the model is for whoever trained it to say."
    )
    return f"{own} {pictures}"


def _limits(source: Source) -> str:
    model = source.model
    lines = ["For learning how diffusion works, for experiments and for play. No decision should rest on its pictures."]
    only = "works on" if isinstance(model.schedule, Additive) else "makes"
    lines.append(f"It {only} {_pictures(source)} and nothing larger, and knows only what its training pictures show.")
    if model.classes:
        lines.append(f"It can be asked for its {len(model.classes)} classes only.")
    if model.reads_text:
        lines.append("Words that it has not seen in training are left out of a prompt, whatever they mean.")
    if _finished(source) is False:
        lines.append("Its training had not finished when it was exported: it may do worse than its recipe promises.")
    lines.append("Nothing in its file says how good its pictures are, or whether it repeats pictures it was shown.")
    return "\n".join(f"- {line}" for line in lines)


def _some(names: Sequence[str]) -> str:
    """Names with commas, the first of a long list."""
    more = len(names) - SHOWN
    return ", ".join(map(_plain, names[:SHOWN])) + (f" and {more:,} more" if more > 0 else "")


def _guidance(weight: PlainWeight) -> str:
    """γ as a stranger to its notation reads it."""
    return (
        f"from {weight[0]:g} at pure noise to {weight[1]:g} at the picture"
        if isinstance(weight, tuple)
        else f"{weight:g}"
    )


def _number(value: object) -> str:
    """A number to four digits, a whole one with all of them; what is none as it is."""
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else _plain(value)


def _plain(text: object) -> str:
    """A text on one line, with nothing that Markdown reads as its own."""
    return re.sub(r"([\\`*_<>|\[\]])", r"\\\1", " ".join(str(text).split()))


def _code(text: str) -> str:
    return f"```python\n{text}\n```"
