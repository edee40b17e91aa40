"""Programs of a dozen lines for a model card: each runs as it stands in the folder of the export."""

from __future__ import annotations

import math
from itertools import chain

from sfumato.app.export.about import X0
from sfumato.app.export.source import Source
from sfumato.core.schedules import Additive, strided
from sfumato.models.text import words
from sfumato.models.text_unet import TextNetwork

PICTURES = 4
"""Made by each example."""
_GUIDANCE = (
    "    asked, plain = np.split(output, 2)",
    "    output = plain + guidance * (asked - plain)",
)


def prompt(source: Source) -> str | None:
    """Something that the model can be asked for; None where it cannot be asked."""
    model = source.model
    if model.classes:
        return model.classes[0]
    if not isinstance(model.network, TextNetwork):
        return None
    known = set(model.network.vocabulary.words)
    subjects = source.data.get("subjects") or []
    names = (" ".join(word for word in words(str(row[0])) if word in known) for row in subjects if row)
    return next((name for name in chain(names, model.network.vocabulary.words) if name), "")


def with_onnxruntime(source: Source) -> str:
    """Sampling by numpy and ONNX Runtime alone: DDIM with guidance, as `about` says how."""
    model = source.model
    seen, rows = "x" if model.low_res is None else "np.concatenate([x, guide], 1)", "n"
    if model.conditioned:
        seen, rows = f"np.concatenate([{seen}] * 2)", "2 * n"
    feed = [f'"x": {seen}']
    if model.network.config.timed:
        feed.append(f'"time": np.full(({rows}, 1), time, "float32")')
    if model.conditioned:
        feed.append('"condition": condition')
    low, high = model.pixel_range
    unit = "x" if (low, high) == (0, 1) else f"(x - {low:g}) / {high - low:g}".replace("- -", "+ ")
    lines = [
        "import json",
        "import numpy as np, onnxruntime",
        "",
        'about, net = json.load(open("model.json", encoding="utf-8")), onnxruntime.InferenceSession("model.onnx")',
        f'levels, n, noise = about["sampling"]["levels"], {PICTURES}, np.random.default_rng(0).standard_normal',
        *_start(source),
        *(_condition(source) if model.conditioned else ()),
        "for (time, alpha, sigma, guidance), (_, alpha_to, sigma_to, _) in zip(levels, levels[1:]):",
        f"    feed = {{{', '.join(feed)}}}",
        "    output = net.run(None, feed)[0]",
        *(_GUIDANCE if model.conditioned else ()),
        f"    x0 = {X0[model.prediction]}",
        "    x = alpha_to * x0 + sigma_to * (x - alpha * x0) / sigma",
        f'np.save("pictures.npy", np.clip({unit}, 0, 1))',
    ]
    return "\n".join(lines)


def with_sfumato(source: Source) -> str | None:
    """Sampling by sfumato from Python; None where a picture must be given first."""
    model = source.model
    if isinstance(model.schedule, Additive) or model.low_res is not None:
        return None
    return "\n".join(
        [
            "import sfumato as sf",
            "",
            'model = sf.load("model.safetensors")',
            f"wanted = sf.guided({prompt(source)!r}, scale={model.defaults.guidance!r})",
            f"pictures = sf.sample(model, wanted, seeds=range({PICTURES}), steps={model.defaults.steps})",
            'sf.sheet(pictures).save("pictures.png")',
        ]
    )


def with_diffusers(source: Source) -> str:
    """The sampler of diffusers around the network of sfumato."""
    model = source.model
    name = source.title if source.bundled else "MODEL"
    times = [int(t) for t in model.schedule.timesteps(model.defaults.steps)]
    channels, height, width = model.shape
    given = "x" if model.low_res is None else "torch.cat([x, guide], 1)"
    timed = ", time" if model.network.config.timed else ""
    encoded = ", condition=condition" if model.conditioned else ""
    lines = [
        "import torch, sfumato",
        "from diffusers import DDPMScheduler",
        "",
        f"net, n = sfumato.load({name!r}).network, {PICTURES}",
        'scheduler = DDPMScheduler.from_pretrained(".")',
        f"scheduler.set_timesteps(timesteps={times})",
        f"x = torch.randn(n, {channels}, {height}, {width})",
    ]
    if model.low_res is not None:
        lines.append(f"guide = torch.zeros(n, {channels}, {height}, {width})  # the smaller pictures, made larger")
    lines.append("with torch.no_grad():")
    if model.conditioned:
        lines.append(f"    condition = net.encode(net.read([{prompt(source)!r}] * n))")
    lines.append("    for t in scheduler.timesteps:")
    if timed:
        lines.append("        time = torch.full((n, 1), t / scheduler.config.num_train_timesteps)")
    lines.append(f"        x = scheduler.step(net({given}{timed}{encoded}), t, x).prev_sample")
    return "\n".join(lines)


def _start(source: Source) -> list[str]:
    """Lines that make what sampling begins with, all in float32."""
    model = source.model
    channels, height, width = model.shape
    first = strided(model.schedule, model.defaults.steps)[0]
    noise = f'noise((n, {channels}, {height}, {width}), "float32")'
    if isinstance(model.schedule, Additive):
        black = model.pixel_range[0]
        return [
            f'clean = np.full((n, {channels}, {height}, {width}), {black:g}, "float32")  # your pictures',
            f"x = {'' if first.alpha == 1 else f'{first.alpha!r} * '}clean + {first.sigma!r} * {noise}",
        ]
    scale = math.hypot(first.alpha, first.sigma)
    lines = [f"x = {noise}" if math.isclose(scale, 1) else f"x = {scale!r} * {noise}"]
    if model.low_res is not None:
        small, grey = model.low_res.size, sum(model.pixel_range) / 2
        lines += [
            f'small = np.full((n, {channels}, {small}, {small}), {grey:g}, "float32")  # your smaller pictures',
            f"at = ((np.arange({height}) + 0.5) * {small} / {height} - 0.5).clip(0, {small - 1})",
            f"bilinear = (1 - abs(at[:, None] - np.arange({small}))).clip(0)",
            'guide = bilinear @ small @ bilinear.T + about["guide"]["noise"] * noise(x.shape, "float32")',
            'guide = guide.astype("float32")',
        ]
    return lines


def _condition(source: Source) -> list[str]:
    """Lines that make the condition: rows that ask, then as many that ask for nothing, for guidance."""
    model, wanted = source.model, prompt(source)
    length = model.network.read([None]).shape[1]
    zeros = f"condition = np.zeros((2 * n, {length}), {{}})  # the second half asks for nothing"
    if model.classes:
        return [zeros.format('"float32"'), f'condition[:n, about["classes"].index({wanted!r})] = 1']
    return [
        'known = about["vocabulary"]["words"]',
        f"tokens = [known.index(word) + 1 for word in {wanted!r}.split()][:{length}]",
        zeros.format('"int64"'),
        "condition[:n, : len(tokens)] = tokens",
    ]
