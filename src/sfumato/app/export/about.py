"""What the user of an exported network must know, as plain data."""

from __future__ import annotations

import json
from typing import Any

import torch

from sfumato.app.export.source import Source
from sfumato.backends.network import NetworkDenoiser
from sfumato.core.predictions import Prediction
from sfumato.core.ramps import make_weight, weight_at
from sfumato.core.schedules import Additive, Discrete, Schedule, strided
from sfumato.models.text_unet import TextNetwork

X0 = {
    Prediction.EPS: "(x - sigma * output) / alpha",
    Prediction.X0: "output",
    Prediction.V: "(alpha * x - sigma * output) / (alpha**2 + sigma**2)",
    Prediction.FLOW: "(x + sigma * output) / (alpha + sigma)",
}
"""The clean picture by a network's output, as `Prediction.x0` has it, for people and for examples."""
MEANS = {
    Prediction.EPS: "the noise ε",
    Prediction.X0: "the clean picture x₀",
    Prediction.V: "alpha·ε − sigma·x₀",
    Prediction.FLOW: "the velocity x₀ − ε",
}
"""What a network's output is at x = alpha·x₀ + sigma·ε."""
READING = (
    "lower case, accents and apostrophes dropped; words are runs of letters and digits; "
    "word k of the list, counted from 0, is token k + 1; unknown words are left out; 0 fills up"
)


def about(source: Source) -> dict[str, Any]:
    """Inputs and output, pixels, prediction, schedule, how to sample, and what can be asked for."""
    model = source.model
    return {
        "model": source.title,
        "inputs": inputs(model),
        "output": {"type": "float32", "shape": ["batch", *model.shape], "is": MEANS[model.prediction]},
        "shape": model.shape,
        "pixel_range": model.pixel_range,
        "prediction": model.prediction.value,
        "x0": X0[model.prediction],
        "schedule": schedule(model.schedule),
        "sampling": {
            "sampler": model.defaults.loop.sampler,
            "guidance": model.defaults.guidance,
            "levels": levels(model),
            "levels_are": "rows of time, alpha, sigma, guidance, noisiest first, the last one clean",
        },
        **conditions(model),
    }


def inputs(model: NetworkDenoiser) -> dict[str, Any]:
    """The inputs of the graph by name."""
    channels, height, width = model.shape
    guide = getattr(model.network.config, "guide", 0)
    noisy = "the noisy picture alpha·x₀ + sigma·ε" + (", then the channels of the guide" if guide else "")
    out = {"x": {"type": "float32", "shape": ["batch", channels + guide, height, width], "is": noisy}}
    if model.network.config.timed:
        out["time"] = {"type": "float32", "shape": ["batch", 1], "is": _time(model.schedule)}
    if model.conditioned:
        row = model.network.read([None])
        kind = "a one for the class" if model.classes else "the tokens of the prompt"
        out["condition"] = {
            "type": str(row.dtype).split(".")[1],
            "shape": ["batch", row.shape[1]],
            "is": f"{kind}; a row of zeros asks for nothing",
        }
    return out


def schedule(of: Schedule) -> dict[str, Any]:
    """The noise levels."""
    if isinstance(of, Discrete):
        return {
            "kind": "discrete",
            "alphas_cumprod": of.alphas_cumprod,
            "level": "alpha = √alphas_cumprod[t], sigma = √(1 − alphas_cumprod[t])",
        }
    if isinstance(of, Additive):
        return {"kind": "additive", "sigmas": of.sigmas, "signal": of.signal, "level": "alpha = signal, sigma = t"}
    return {"kind": "flow", "t_max": max(of.timesteps(1)), "level": "alpha = 1 − t, sigma = t"}


def levels(model: NetworkDenoiser) -> list[tuple[float | None, float, float, float | None]]:
    """The path that sfumato itself takes by default: time, alpha, sigma and guidance of each level."""
    weight = make_weight(model.defaults.guidance)
    *path, clean = strided(model.schedule, model.defaults.steps)
    times = model.schedule.time(torch.tensor([level.t for level in path], dtype=torch.float64)).tolist()
    rows = [(time, level.alpha, level.sigma, weight_at(weight, level)) for time, level in zip(times, path, strict=True)]
    return [*rows, (None, clean.alpha, clean.sigma, None)]  # nothing is asked at the clean level


def conditions(model: NetworkDenoiser) -> dict[str, Any]:
    """What the model can be asked for, and the smaller picture that guides it, where there is one."""
    out: dict[str, Any] = {}
    if model.classes:
        out["classes"] = model.classes
    network = model.network
    if isinstance(network, TextNetwork):
        out["vocabulary"] = {"words": network.vocabulary.words, "length": network.length, "reading": READING}
    if model.low_res is not None:
        out["guide"] = {
            "size": model.low_res.size,
            "noise": model.low_res.level.sigma,
            "is": "the smaller picture, brought to the larger size bilinearly, plus so much noise",
        }
    return out


def to_json(facts: dict[str, Any]) -> str:
    """As JSON, a line for each fact: lists of a thousand numbers are not for reading."""
    lines = [f"  {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in facts.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _time(of: Schedule) -> str:
    if isinstance(of, Discrete):
        return f"t / {len(of)}"
    return "sigma" if isinstance(of, Additive) else "t"
