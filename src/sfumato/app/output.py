"""Pictures out: PNG files that carry their job, sheets, GIFs, and a preview in the terminal."""

from __future__ import annotations

import hashlib
import io
import json
import math
import platform
import re
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from PIL import Image, PngImagePlugin
from torch import Tensor

from sfumato.app.jobs import AnyJob
from sfumato.app.provenance import KEY, SCHEMA
from sfumato.app.run import Result
from sfumato.backends.model import Model
from sfumato.core.ramps import PlainWeight
from sfumato.files import write_bytes
from sfumato.images import read_image, to_image, to_tensor


def provenance(result: Result) -> dict[str, Any]:
    """All that says how a picture came to be: its job, the model's hash, versions and device."""
    return {
        "schema": SCHEMA,
        "job": result.job.model_dump(mode="json"),
        "models": [_identity(model) for model in result.models],
        "versions": {"sfumato": version("sfumato"), "torch": torch.__version__, "python": platform.python_version()},
        "device": str(result.model.device),
        "sizes": [model.picture_shape[-1] for model in result.models],
        "pixels": pixel_digest(to_image(result.picture)),
    }


def _identity(model: Model) -> dict[str, str | None]:
    weights = {"name": model.name, "sha256": model.sha256}
    return weights if model.text_sha256 is None else {**weights, "text_sha256": model.text_sha256}


def pixel_digest(image: Image.Image) -> str:
    """SHA-256 of a picture's mode, size and pixels."""
    return hashlib.sha256(f"{image.mode}{image.size}".encode() + image.tobytes()).hexdigest()


def parameters(job: AnyJob) -> str:
    """The job in the text form that other tools read from the PNG chunk `parameters`."""
    negative = f"\nNegative prompt: {job.negative}" if job.negative else ""
    return (
        f"{job.title}{negative}\nSteps: {job.steps}, Sampler: {job.sampler}, CFG scale: {_number(job.guidance):g}, "
        f"Seed: {job.seed}, Model: {job.model}"
    )


def _number(weight: PlainWeight) -> float:
    """Other tools want one number: that at pure noise, where a picture's forms are decided on."""
    return weight[0] if isinstance(weight, tuple) else weight


def file_name(result: Result) -> str:
    """A name that says what the picture is, and differs for different jobs and weights."""
    slug = re.sub(r"[^a-z0-9]+", "-", result.job.title.lower()).strip("-")[:48].strip("-") or "picture"
    weights = "".join(f"{model.sha256}{model.text_sha256 or ''}" for model in result.models)
    digest = hashlib.sha256(f"{result.job.digest}{weights}".encode()).hexdigest()[:8]
    return f"{result.job.kind}-{slug}-seed{result.job.seed}-{digest}.png"


def save_result(result: Result, folder: Path) -> Path:
    """Write a result as a PNG with its job; the file's name follows from the job."""
    info = PngImagePlugin.PngInfo()
    info.add_itxt(KEY, json.dumps(provenance(result), ensure_ascii=False))
    info.add_itxt("parameters", parameters(result.job))
    path = folder / file_name(result)
    save_image(to_image(result.picture), path, pnginfo=info)
    return path


def save_image(image: Image.Image, path: Path, **options: Any) -> None:
    """Write a picture, whole or not at all, in the format of its suffix."""
    buffer = io.BytesIO()
    image.save(buffer, path.suffix.removeprefix(".").upper(), **options)
    write_bytes(path, buffer.getvalue())


def differences(facts: dict[str, Any], again: Result, path: Path) -> list[str]:
    """Why a picture made again is not the one in a file: nothing when they are identical, pixel for pixel."""
    now, there = provenance(again), pixel_digest(read_image(path))
    found = []
    if there != facts.get("pixels"):
        found.append("the file's pixels were changed after it was made")
    if now["pixels"] != there:
        found += [
            f"{key} was {before!r} and is {now[key]!r}"
            for key in ("models", "versions", "device")
            if (before := facts.get(key)) != now[key]
        ] or ["the pixels differ, on the same model, versions and device"]
    return found


def rounding(facts: dict[str, Any], again: Result, path: Path) -> int:
    """How many values of a picture made again differ from those in a file by one grey level, and none by more.

    How a network rounds may depend on how many rows go through it at once, so a picture made in company may differ so
    much from itself made alone. 0 when there is another difference too, in the picture or in what made it.
    """
    now = provenance(again)
    if any(now[key] != facts.get(key) for key in ("models", "versions", "device")):
        return 0
    if pixel_digest(read_image(path)) != facts.get("pixels"):
        return 0
    there, made = (
        to_tensor(image, None, again.picture.shape[0]) for image in (read_image(path), to_image(again.picture))
    )
    if there.shape != made.shape:
        return 0
    levels = (255 * (there - made)).abs().round()
    return int(levels.sum()) if levels.max() <= 1 else 0


def sheet(
    pictures: Float[Tensor, "n c h w"], columns: int | None = None, zoom: int | None = None, gap: int = 2
) -> Image.Image:
    """Pictures in rows of `columns`, each pixel `zoom` screen pixels wide, on a grey ground."""
    n, channels, height, width = pictures.shape
    columns = columns or math.ceil(math.sqrt(n))
    zoom = zoom or zoom_for(height)
    rows = math.ceil(n / columns)
    board = torch.full((channels, rows * (height + gap) + gap, columns * (width + gap) + gap), 0.5)
    for k in range(n):
        top, left = (gap + i * (size + gap) for i, size in zip(divmod(k, columns), (height, width), strict=True))
        board[:, top : top + height, left : left + width] = pictures[k]
    return enlarge(to_image(board), zoom)


def zoom_for(height: int, wanted: int = 112) -> int:
    """The whole factor that makes a picture at least `wanted` pixels tall."""
    return max(1, math.ceil(wanted / height))


def enlarge(image: Image.Image, zoom: int) -> Image.Image:
    """Every pixel a square of zoom × zoom."""
    return image.resize((image.width * zoom, image.height * zoom), Image.Resampling.NEAREST) if zoom > 1 else image


def gif_bytes(frames: Sequence[Image.Image], milliseconds: int = 80, hold: int = 1200) -> bytes:
    """A looping GIF of equally sized frames; the last one is held for `hold` milliseconds."""
    durations = [milliseconds] * (len(frames) - 1) + [hold]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=list(frames[1:]), duration=durations, loop=0)
    return buffer.getvalue()


def terminal_preview(pictures: Float[Tensor, "n c h w"], width: int) -> str:
    """Pictures side by side as half-block characters, as many as fit into `width` columns."""
    fit = max(1, width // (pictures.shape[-1] + 1))
    if pictures.shape[-1] > width:
        return ""
    strip = torch.cat([torch.nn.functional.pad(p, (0, 1)) for p in pictures[:fit]], dim=-1)
    pixels = (strip.expand(3, -1, -1) * 255).round().int()
    lines = []
    for y in range(0, pixels.shape[1] - 1, 2):
        upper, lower = (pixels[:, row].T.tolist() for row in (y, y + 1))
        cells = ["\x1b[38;2;{};{};{};48;2;{};{};{}m▀".format(*u, *v) for u, v in zip(upper, lower, strict=True)]
        lines.append("".join(cells) + "\x1b[0m")
    return "\n".join(lines)
