"""A model from a folder as diffusers writes it: every width and flag is read from its configurations."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sfumato.backends.conditions import ClassLabels, Conditions, Nothing, Prompts, Reader
from sfumato.backends.embeddings import StoredPrompts
from sfumato.backends.memory import Mode, explain, place
from sfumato.backends.model import Defaults
from sfumato.backends.parts import Part, digest, held_bytes, read_json, weight_files
from sfumato.backends.text_reader import TextEncoder, encoder_bytes
from sfumato.backends.unet import Decoder, UNetDenoiser
from sfumato.core.cascade import LowResolution
from sfumato.core.loops import Loop
from sfumato.core.predictions import Prediction
from sfumato.core.schedules import Discrete
from sfumato.errors import UsageError

NETWORKS = ("UNet2DModel", "UNet2DConditionModel")
"""The architectures that are run."""
PREDICTIONS = {"epsilon": Prediction.EPS, "v_prediction": Prediction.V, "sample": Prediction.X0}
VARIANCES = {
    "fixed_small": "posterior",
    "fixed_small_log": "posterior",
    "fixed_large": "forward",
    "fixed_large_log": "forward",
    "learned_range": "learned",
}
SAMPLERS = {"DDPMScheduler": "ddpm", "DPMSolverMultistepScheduler": "dpmpp-2m"}
"""The sampler of ours that a scheduler means; ddim for all others."""
TAUGHT_LEVEL = 250.0
"""What diffusers noises the smaller picture of IF's second stage to."""


@dataclass(frozen=True)
class Where:
    """How a folder is to be loaded."""

    device: torch.device
    dtype: torch.dtype
    memory: Mode = "auto"
    embeddings: Path | None = None
    text: Path | None = None
    """A folder whose text encoder it reads with, where it has none of its own."""
    advice: str = "get it again"
    """What to do about files that are damaged."""


def is_diffusers(folder: Path) -> bool:
    """Whether a folder holds a pipeline or a network of diffusers."""
    return (folder / "model_index.json").is_file() or (folder / "config.json").is_file()


def load_folder(folder: Path, name: str, where: Where) -> UNetDenoiser:
    """The denoiser of a pipeline's folder, or of a bare network's with a scheduler folder in it or none.

    Weights are loaded when it is first asked. Raises UsageError for a folder that holds no pixel-space UNet, and
    SfumatoError when its files are damaged.
    """
    _need_diffusers()
    whole = (folder / "model_index.json").is_file()
    index = read_json(folder / "model_index.json") if whole else {}
    home = folder / "unet" if whole else folder
    config = read_json(home / "config.json")
    if config.get("_class_name") not in NETWORKS:
        kind = config.get("_class_name", "something else")
        raise UsageError(f"{folder} holds {kind}; what can be run is {' or '.join(NETWORKS)}")
    files = weight_files(home, where.dtype, where.advice)
    stored = _stored(folder, name, config, index, where)
    encoder = None if stored else _text_encoder(where.text or folder, index, where)
    text = encoder_bytes(encoder.encoder, encoder.files, where.dtype) if encoder else 0
    network_bytes = held_bytes(files, where.dtype)
    placement = place(where.memory, where.device, network_bytes, text)
    note = explain(placement, where.memory, where.device, network_bytes, text)
    part = Part(lambda: _empty(config), files, where.device, where.dtype, placement.network)

    scheduler = _scheduler_config(folder)
    loop = _loop(scheduler)
    decoder, latent = _decoder(folder, index, where), "vae" in index
    if latent and "low_res_scheduler" not in index:
        raise UsageError(f"{folder} works in latents; choose a model of pixels, such as deepfloyd")
    outputs = int(config["out_channels"])
    channels = outputs // 2 if loop.variance == "learned" else outputs
    size = config.get("sample_size") or 64
    height, width = (size, size) if isinstance(size, int) else size
    low_res, levelled = _low_res(folder, index, config, height, channels)
    if int(config["in_channels"]) != channels + (0 if low_res is None else 3 if latent else channels):
        raise UsageError(
            f"{folder} takes {config['in_channels']} channels and makes {outputs}: no model of pixels, or one that has "
            "learned a variance, of which a scheduler folder beside it would speak"
        )
    reader: Reader | None = stored or encoder
    conditions = _conditions(folder, config, reader, levelled)
    return UNetDenoiser(
        name,
        part,
        (channels, height, width),
        Discrete(_alphas_cumprod(scheduler)),
        _prediction(scheduler, folder),
        conditions,
        Defaults(50, 7.0 if isinstance(conditions, Prompts) else 1.0, width / 32, loop=loop),
        sha256=digest(files),
        low_res=low_res,
        levelled=levelled,
        any_size=low_res is not None,
        decoder=decoder,
        keep=placement.keep,
        notes=(note,) if note else (),
    )


def _need_diffusers() -> None:
    # It warns of kernels that nothing here needs.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    try:
        import accelerate
        import diffusers
        import transformers
    except ImportError as error:
        raise UsageError(f"this model needs {error.name}: pip install 'sfumato[if]'") from error
    del accelerate, diffusers, transformers


def _scheduler_config(folder: Path) -> dict[str, Any]:
    """Of the scheduler beside the network; for a bare network that has none, the one that diffusers would make."""
    found = folder / "scheduler" / "scheduler_config.json"
    return read_json(found) if found.is_file() else {"_class_name": "DDPMScheduler"}


def _scheduler(config: dict[str, Any]) -> Any:
    """diffusers' object of a configuration, with its defaults filled in."""
    import diffusers

    kind = getattr(diffusers, str(config.get("_class_name")), None)
    if kind is None:
        raise UsageError(f"scheduler {config.get('_class_name')!r} is not one of diffusers {diffusers.__version__}")
    return kind.from_config(config)


def _alphas_cumprod(config: dict[str, Any]) -> tuple[float, ...]:
    bar = getattr(_scheduler(config), "alphas_cumprod", None)
    if bar is None:
        raise UsageError(
            f"its scheduler {config['_class_name']} has no alphas_cumprod: not a variance-preserving model"
        )
    # A schedule rescaled to no signal at all at its end says nothing of x₀ there in the language of ε.
    smallest = 2.0**-24
    return tuple(float(value) or smallest for value in bar)


def _prediction(config: dict[str, Any], folder: Path) -> Prediction:
    kind = _scheduler(config).config.get("prediction_type", "epsilon")
    if kind not in PREDICTIONS:
        raise UsageError(f"{folder} predicts {kind!r}; what is known is {', '.join(PREDICTIONS)}")
    return PREDICTIONS[kind]


def _loop(config: dict[str, Any]) -> Loop:
    """How diffusers would walk with this scheduler."""
    scheduler = _scheduler(config)
    said = scheduler.config
    threshold, largest = "none", 1.0
    if said.get("thresholding"):
        threshold, largest = "dynamic", float(said.get("sample_max_value", 1.0))
    elif said.get("clip_sample"):
        threshold = "static"
    kind = type(scheduler).__name__
    return Loop(
        sampler=SAMPLERS.get(kind, "ddim"),
        variance=VARIANCES.get(said.get("variance_type", "fixed_small"), "posterior"),  # type: ignore[arg-type]
        spacing=said.get("timestep_spacing", "leading"),
        threshold=threshold,  # type: ignore[arg-type]
        quantile=float(said.get("dynamic_thresholding_ratio", 0.995)),
        largest=max(1.0, largest),
    )


def _low_res(
    folder: Path, index: dict[str, Any], config: dict[str, Any], size: int, channels: int
) -> tuple[LowResolution | None, Any]:
    """What a later stage makes larger, and whether its network is told how much noise that has."""
    label = "label" if config.get("class_embed_type") == "timestep" or config.get("num_class_embeds") else "nothing"
    if "image_noising_scheduler" in index:  # DeepFloyd IF's second stage
        schedule = Discrete(_alphas_cumprod(read_json(folder / "image_noising_scheduler" / "scheduler_config.json")))
        return LowResolution(size // 4, schedule, TAUGHT_LEVEL, align_corners=True), label
    if "low_res_scheduler" in index:  # Stable Diffusion's upscaler
        levels = _alphas_cumprod(read_json(folder / "low_res_scheduler" / "scheduler_config.json"))
        schedule = Discrete(levels[: int(index.get("max_noise_level", len(levels) - 1)) + 1])
        return LowResolution(size, schedule, 20.0), label
    if int(config["in_channels"]) == 2 * channels:
        raise UsageError(f"{folder} makes pictures larger, but has no image_noising_scheduler that says how")
    return None, "nothing"


def _conditions(folder: Path, config: dict[str, Any], reader: Reader | None, levelled: str) -> Conditions:
    if config["_class_name"] == "UNet2DConditionModel":
        return Prompts(reader or NoReader(folder), _text_width(config))
    classes = config.get("num_class_embeds")
    if classes and levelled == "nothing":
        return ClassLabels(tuple(map(str, range(int(classes)))))
    return Nothing()


def _text_width(config: dict[str, Any]) -> int:
    return int(config.get("encoder_hid_dim") or config["cross_attention_dim"])


def _stored(
    folder: Path, name: str, config: dict[str, Any], index: dict[str, Any], where: Where
) -> StoredPrompts | None:
    """The prompts of `--embeddings`; none for a later stage that reads by a text encoder of another width, its own.

    Raises UsageError when the file cannot be used, or the model reads no prompts.
    """
    if where.embeddings is None:
        return None
    if config["_class_name"] != "UNet2DConditionModel":
        raise UsageError(f"model {name} reads no prompts; leave --embeddings out")
    stored = StoredPrompts(where.embeddings)
    width = next(iter(stored.vectors.values())).shape[-1]
    own = "low_res_scheduler" in index and (folder / "text_encoder").is_dir()
    return None if own and width != _text_width(config) else stored


@dataclass(frozen=True)
class NoReader:
    """In the place of a text encoder that is not there."""

    folder: Path
    sha256: str = ""

    def read(self, prompts: Any) -> Any:
        """Raise UsageError."""
        del prompts
        raise UsageError(
            f"{self.folder} has no text encoder; give --embeddings FILE, made where there is one with: sfumato embed"
        )


def _text_encoder(folder: Path, index: dict[str, Any], where: Where) -> TextEncoder | None:
    """The text encoder of a folder, placed where the memory is."""
    tokenizer, encoder = folder / "tokenizer", folder / "text_encoder"
    if not tokenizer.is_dir() or not encoder.is_dir():
        return None
    deepfloyd = str(index.get("_class_name", "")).startswith("IF")
    files = weight_files(encoder, where.dtype, where.advice)
    at = place(where.memory, where.device, 0, encoder_bytes(encoder, files, where.dtype))
    length = 77 if deepfloyd else None
    return TextEncoder(tokenizer, encoder, at.text_device, where.dtype, at.text, length, lower=deepfloyd)


def _empty(config: dict[str, Any]) -> nn.Module:
    """A UNet without weights."""
    import diffusers
    from accelerate import init_empty_weights

    with init_empty_weights(include_buffers=False):
        network: nn.Module = getattr(diffusers, config["_class_name"]).from_config(config)
    return network


def _decoder(folder: Path, index: dict[str, Any], where: Where) -> Decoder | None:
    if "vae" not in index:
        return None
    home = folder / "vae"
    config = read_json(home / "config.json")

    def build() -> nn.Module:
        from accelerate import init_empty_weights
        from diffusers import AutoencoderKL

        with init_empty_weights(include_buffers=False):
            network: nn.Module = AutoencoderKL.from_config(config)  # type: ignore[no-untyped-call]
        return network

    part = Part(build, weight_files(home, torch.float32, where.advice), where.device, torch.float32)
    return Decoder(part, float(config.get("scaling_factor", 1.0)), 2 ** (len(config["block_out_channels"]) - 1))
