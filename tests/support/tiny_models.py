"""Tiny models with random weights, in folders laid out as real repositories of the Hugging Face hub are.

Every weight follows from the seeds. An untouched random UNet is chaotic: rounding grows from step to step until nothing
can be compared. These are settled (see `_settle`), so that a picture is the same in any batch to about 1e-5, while the
prompt, the label, the time and the guide each change it by much more.

`variants` says which weights a folder has: `None` are those in float32, `"fp16"` those in half precision, beside or
instead. `unet_shards` and `text_shards` split a file of weights in two or more, with an index, as big ones are.
"""

import copy
import hashlib
import io
import json
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import torch

PROMPTS = """
a photo of a cat
a photo of a dog in the snow
an oil painting of a snowy mountain village
an oil painting of people around a campfire
an oil painting of an old man
an oil painting of a red boat on a quiet lake
a lithograph of a skull
a lithograph of waterfalls
a lithograph of two fish under a bridge
a pencil drawing of a rocket ship
a pencil drawing of a house with a garden
a photo of a man wearing a hat
a photo of the amalfi coast at dawn
a photo of a hipster barista
a watercolor of a kitchen full of flowers
a watercolor of a ship in a storm
a watercolor of mountains behind the sea
a drawing of a rabbit
a drawing of a duck
a sketch of a woman reading a book
a sketch of an old tree on a hill
a high quality picture
a very blurry picture of something
a painting of houseplants on a table
a painting of a king with a golden crown
a painting of wine and cheese
a sculpture of a horse made of ice
a sculpture of an elephant in a museum
a street photo of the eiffel tower at night
a street photo of a train in the rain
a portrait of marilyn monroe
a portrait of albert einstein
an ink drawing of a dragon over a castle
an ink drawing of birds and bamboo
a rocky beach with one white lighthouse
the moon and a few small stars above a dark forest
"""
"""What the tokenizers are trained on. Any text can be encoded; these in few tokens."""

T5_WIDTH, CLIP_WIDTH = 32, 32
"""The widths of the text encoders."""

Variants = Sequence[str | None]
FULL: Variants = (None,)

WITHOUT = dict.fromkeys(("feature_extractor", "safety_checker", "watermarker"))
"""Parts that a pipeline may have, and these do not."""

SETTLED = {
    "conv2.weight": 0.5,  # the ends of branches
    "to_out.0.weight": 0.5,
    "ff.net.2.weight": 0.5,
    "proj_out.weight": 0.5,
    ".conv_out.weight": 0.35,  # the end
    ".decoder.conv_out.weight": 3.0,
    "time_emb_proj.weight": 3.0,  # what is said about time and label, and, with IF, the text
    "attn2.to_k.weight": 4.0,  # the text alone
    "attn2.to_v.weight": 24.0,
    "add_v_proj.weight": 2.0,
}
"""By how much weights of these names are scaled (see `_settle`)."""

M = TypeVar("M", bound=torch.nn.Module)


# The models.


def write_if_stage_one(
    folder: Path,
    *,
    size: int = 16,
    seed: int = 0,
    text_seed: int = 100,
    variants: Variants = FULL,
    unet_shards: int = 1,
    text_shards: int = 1,
    text_dtype: str = "float32",
) -> Path:
    """DeepFloyd IF's first stage, as `IFPipeline.save_pretrained` lays it out, without safety checker.

    `text_dtype` is what the text encoder's config.json says, whatever its weights are; some say "float16".
    """
    unet = _if_unet(size, seed, in_channels=3, layers_per_block=1)
    _save(unet, folder / "unet", variants, unet_shards)
    _if_scheduler(folder, sample_max_value=1.5)
    _t5(folder, text_seed, variants, text_shards, text_dtype)
    parts = {"unet": unet, "scheduler": "DDPMScheduler", "text_encoder": "T5EncoderModel", "tokenizer": "T5Tokenizer"}
    return _index(folder, "IFPipeline", {**parts, **WITHOUT}, requires_safety_checker=False)


def write_if_stage_two(
    folder: Path,
    *,
    size: int = 32,
    seed: int = 1,
    text_seed: int = 100,
    variants: Variants = FULL,
    unet_shards: int = 1,
    text_shards: int = 1,
    text_dtype: str = "float32",
) -> Path:
    """DeepFloyd IF's second stage, as `IFSuperResolutionPipeline.save_pretrained` lays it out, without safety checker.

    Its text encoder is the first stage's where the two text seeds are the same.
    """
    unet = _if_unet(
        size,
        seed,
        in_channels=6,
        layers_per_block=(1, 2),
        class_embed_type="timestep",
        only_cross_attention=True,
        time_embedding_act_fn="gelu",
        time_embedding_dim=32,
        resnet_skip_time_act=True,
        resnet_out_scale_factor=1.4142,
        mid_block_scale_factor=1.4142,
    )
    _save(unet, folder / "unet", variants, unet_shards)
    _if_scheduler(folder, sample_max_value=1.0)
    _scheduler(folder, "DDPMScheduler", "image_noising_scheduler", beta_schedule="squaredcos_cap_v2")
    _t5(folder, text_seed, variants, text_shards, text_dtype)
    schedulers = {"scheduler": "DDPMScheduler", "image_noising_scheduler": "DDPMScheduler"}
    parts = {"unet": unet, **schedulers, "text_encoder": "T5EncoderModel", "tokenizer": "T5Tokenizer"}
    return _index(folder, "IFSuperResolutionPipeline", {**parts, **WITHOUT}, requires_safety_checker=False)


def write_x4(
    folder: Path,
    *,
    low: int = 32,
    seed: int = 2,
    text_seed: int = 200,
    variants: Variants = FULL,
    unet_shards: int = 1,
    text_shards: int = 1,
    text_dtype: str = "float32",
) -> Path:
    """A latent ×4 upscaler, laid out as stabilityai/stable-diffusion-x4-upscaler; `low` is its input's usual edge."""
    from diffusers import AutoencoderKL, UNet2DConditionModel

    unet = _seeded(
        seed,
        lambda: UNet2DConditionModel(
            sample_size=low,
            in_channels=7,
            out_channels=4,
            num_class_embeds=1000,
            block_out_channels=(16, 32),
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            layers_per_block=1,
            attention_head_dim=8,
            cross_attention_dim=CLIP_WIDTH,
            only_cross_attention=(True, False),
            use_linear_projection=True,
            norm_num_groups=8,
        ),
    )
    vae = _seeded(
        seed + 1000,
        lambda: AutoencoderKL(
            block_out_channels=(8, 8, 16),
            down_block_types=("DownEncoderBlock2D",) * 3,
            up_block_types=("UpDecoderBlock2D",) * 3,
            latent_channels=4,
            layers_per_block=1,
            norm_num_groups=4,
            sample_size=4 * low,
            scaling_factor=0.08333,
        ),
    )
    _save(_settle(unet, seed), folder / "unet", variants, unet_shards)
    _save(_settle(vae, seed), folder / "vae", variants)
    betas = {"beta_start": 0.0001, "beta_end": 0.02, "beta_schedule": "scaled_linear"}
    _scheduler(folder, "DDPMScheduler", "low_res_scheduler", **betas)
    end = {"clip_sample": False, "set_alpha_to_one": False, "steps_offset": 1}
    _scheduler(folder, "DDIMScheduler", prediction_type="v_prediction", **betas, **end)
    _clip(folder, text_seed, variants, text_shards, text_dtype)
    schedulers = {"scheduler": "DDIMScheduler", "low_res_scheduler": "DDPMScheduler"}
    parts = {"unet": unet, "vae": vae, **schedulers, "text_encoder": "CLIPTextModel", "tokenizer": "CLIPTokenizer"}
    return _index(folder, "StableDiffusionUpscalePipeline", {**parts, **WITHOUT}, max_noise_level=350)


def write_unconditional(
    folder: Path,
    *,
    prediction: str = "epsilon",
    size: int = 16,
    channels: int = 3,
    seed: int = 3,
    scheduler: str = "DDPMScheduler",
    beta_schedule: str = "linear",
    variance_type: str = "fixed_small",
    timestep_spacing: str = "leading",
    clip_sample: bool = True,
    variants: Variants = FULL,
    unet_shards: int = 1,
) -> Path:
    """A model without conditions, as `DDPMPipeline.save_pretrained` lays it out (`DDIMPipeline` with "DDIMScheduler").

    With a learned variance it has twice the channels out.
    """
    unet = _unet(size, seed, in_channels=channels, out_channels=channels * (1 + variance_type.startswith("learned")))
    _save(unet, folder / "unet", variants, unet_shards)
    options = {"prediction_type": prediction, "timestep_spacing": timestep_spacing, "clip_sample": clip_sample}
    if scheduler == "DDPMScheduler":
        options["variance_type"] = variance_type
    _scheduler(folder, scheduler, beta_schedule=beta_schedule, **options)
    return _index(folder, scheduler.replace("Scheduler", "Pipeline"), {"unet": unet, "scheduler": scheduler})


def write_classes(
    folder: Path,
    *,
    classes: int = 4,
    size: int = 16,
    channels: int = 3,
    seed: int = 4,
    scheduler: bool = False,
    prediction: str = "epsilon",
    variants: Variants = FULL,
    unet_shards: int = 1,
) -> Path:
    """A model of classes, bare: config.json and weights, no model_index.json; `scheduler` adds its folder."""
    unet = _unet(size, seed, in_channels=channels, out_channels=channels, num_class_embeds=classes)
    _save(unet, folder, variants, unet_shards)
    if scheduler:
        _scheduler(folder, "DDPMScheduler", prediction_type=prediction)
    return folder


def write_text_unet(
    folder: Path,
    *,
    text: str = "clip",
    size: int = 16,
    seed: int = 5,
    text_seed: int = 300,
    prediction: str = "v_prediction",
    pipeline: str = "DiffusionPipeline",
    variants: Variants = FULL,
    unet_shards: int = 1,
    text_shards: int = 1,
    text_dtype: str = "float32",
) -> Path:
    """A model from text ("clip" or "t5") straight to pixels, of the usual blocks. diffusers has no pipeline for it."""
    from diffusers import UNet2DConditionModel

    unet = _seeded(
        seed,
        lambda: UNet2DConditionModel(
            sample_size=size,
            in_channels=3,
            out_channels=3,
            block_out_channels=(16, 32),
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            layers_per_block=1,
            attention_head_dim=8,
            cross_attention_dim={"t5": T5_WIDTH, "clip": CLIP_WIDTH}[text],
            norm_num_groups=8,
        ),
    )
    _save(_settle(unet, seed), folder / "unet", variants, unet_shards)
    _scheduler(folder, "DDPMScheduler", beta_schedule="squaredcos_cap_v2", prediction_type=prediction)
    (_t5 if text == "t5" else _clip)(folder, text_seed, variants, text_shards, text_dtype)
    words = {"t5": ("T5EncoderModel", "T5Tokenizer"), "clip": ("CLIPTextModel", "CLIPTokenizer")}[text]
    parts = {"unet": unet, "scheduler": "DDPMScheduler", "text_encoder": words[0], "tokenizer": words[1]}
    return _index(folder, pipeline, parts)


# The cache.


def into_hub_cache(root: Path, repo: str, folder: Path, *, revision: str = "main", links: bool = True) -> Path:
    """Put a copy of a folder where huggingface_hub keeps a downloaded repository (`HF_HOME=root`); the snapshot's path.

    `links`: the snapshot's files link to blobs named by their hashes; else they are plain files, as on Windows.
    """
    home = root / "hub" / f"models--{repo.replace('/', '--')}"
    files = {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    names = {path: _blob(path, content) for path, content in files.items()}
    commit = hashlib.sha1("".join(f"{p.as_posix()} {name}\n" for p, name in names.items()).encode()).hexdigest()
    snapshot = home / "snapshots" / commit
    for part in (home / "blobs", home / "refs", snapshot):
        part.mkdir(parents=True, exist_ok=True)
    (home / "refs" / revision).write_text(commit)
    for path, content in files.items():
        file, blob = snapshot / path, home / "blobs" / names[path]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        if links:
            blob.write_bytes(content)
            file.symlink_to(Path(*[".."] * (1 + len(path.parts)), "blobs", blob.name))
        else:
            file.write_bytes(content)
    return snapshot


def _blob(path: Path, content: bytes) -> str:
    """The name the hub gives to a file's content: SHA-256 of weights and the like, of the rest what git calls it."""
    if path.suffix in {".safetensors", ".model", ".bin"}:
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


# Networks.


def _seeded(seed: int, make: Callable[[], M]) -> M:
    """Build a network from a seed; torch's own generator is as it was afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return make().eval()


@torch.no_grad()
def _settle(model: M, seed: int) -> M:
    """Make a random network as stable as a trained one, and sensitive to all that it is told.

    Branches and the output shrink, so that a change of the canvas fades; what is said about time, label and text grows.
    Biases and norms leave their zeros and ones, so that none can be forgotten.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, weight in model.named_parameters():
        if weight.ndim == 1:
            weight.add_(torch.randn(weight.shape, generator=generator), alpha=0.1)
        for end, factor in SETTLED.items():
            if f".{name}".endswith(end):
                weight.mul_(factor)
    return model


def _if_unet(size: int, seed: int, **options: Any) -> torch.nn.Module:
    """A UNet of IF's blocks."""
    from diffusers import UNet2DConditionModel

    unet = _seeded(
        seed,
        lambda: UNet2DConditionModel(
            sample_size=size,
            out_channels=6,
            block_out_channels=(16, 32),
            down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
            mid_block_type="UNetMidBlock2DSimpleCrossAttn",
            up_block_types=("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
            attention_head_dim=8,
            encoder_hid_dim=T5_WIDTH,
            encoder_hid_dim_type="text_proj",
            cross_attention_dim=32,
            cross_attention_norm="group_norm",
            addition_embed_type="text",
            addition_embed_type_num_heads=4,
            resnet_time_scale_shift="scale_shift",
            act_fn="gelu",
            norm_num_groups=8,
            **options,
        ),
    )
    return _settle(unet, seed)


def _unet(size: int, seed: int, **options: Any) -> torch.nn.Module:
    """A UNet without text, with the options of google/ddpm-cifar10-32."""
    from diffusers import UNet2DModel

    unet = _seeded(
        seed,
        lambda: UNet2DModel(
            sample_size=size,
            block_out_channels=(16, 32),
            down_block_types=("DownBlock2D", "AttnDownBlock2D"),
            up_block_types=("AttnUpBlock2D", "UpBlock2D"),
            layers_per_block=1,
            downsample_padding=0,
            flip_sin_to_cos=False,
            freq_shift=1,
            attention_head_dim=8,
            norm_eps=1e-6,
            norm_num_groups=8,
            **options,
        ),
    )
    return _settle(unet, seed)


# Texts.


def _t5(folder: Path, seed: int, variants: Variants, shards: int, dtype: str) -> None:
    """A text encoder and its tokenizer, of the kind of google/t5-v1_1-xxl."""
    from transformers import T5Config, T5EncoderModel

    pieces = _spiece()
    tokenizer = folder / "tokenizer"
    tokenizer.mkdir(parents=True, exist_ok=True)
    (tokenizer / "spiece.model").write_bytes(pieces)
    special = {
        "additional_special_tokens": [f"<extra_id_{i}>" for i in range(100)],
        "eos_token": "</s>",
        "pad_token": "<pad>",
        "unk_token": "<unk>",
    }
    options = {"clean_up_tokenization_spaces": True, "extra_ids": 100, "model_max_length": 512, "sp_model_kwargs": {}}
    _json(tokenizer / "special_tokens_map.json", special)
    _json(tokenizer / "tokenizer_config.json", {**special, **options, "tokenizer_class": "T5Tokenizer"})
    config = T5Config(
        vocab_size=384,  # more than the tokenizer has, as in the real ones
        d_model=T5_WIDTH,
        d_kv=8,
        d_ff=64,
        num_layers=2,
        num_heads=4,
        feed_forward_proj="gated-gelu",
        tie_word_embeddings=False,
    )
    encoder = _seeded(seed, lambda: T5EncoderModel(config))
    _save(encoder, folder / "text_encoder", variants, shards, dtype)


@cache
def _spiece() -> bytes:
    """A sentencepiece model, with T5's special tokens where T5 has them."""
    import sentencepiece

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(PROMPTS.split("\n")[1:-1]),
        model_writer=model,
        vocab_size=200,
        hard_vocab_limit=False,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        pad_piece="<pad>",
        num_threads=1,
        minloglevel=2,
    )
    return model.getvalue()


def write_clip(folder: Path, *, size: int = 32, seed: int = 6) -> Path:
    """A CLIP that compares pictures of `size` pixels with texts, as transformers stores it."""
    from transformers import CLIPConfig, CLIPModel

    words = _clip_tokenizer(folder)
    text = {**_clip_config(words), "hidden_size": 32, "eos_token_id": words - 1}
    vision = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = CLIPConfig(
        text_config=text, vision_config={**vision, "image_size": size, "patch_size": 8}, projection_dim=16
    )
    _save(_seeded(seed, lambda: CLIPModel(config)), folder, (None,))
    _json(folder / "preprocessor_config.json", {"image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.25, 0.3]})
    return folder


def _clip(folder: Path, seed: int, variants: Variants, shards: int, dtype: str) -> None:
    """A text encoder and its tokenizer, of the kind of Stable Diffusion 2's: it pads with "!"."""
    from transformers import CLIPTextConfig, CLIPTextModel

    config = CLIPTextConfig(**_clip_config(_clip_tokenizer(folder / "tokenizer")))
    encoder = _seeded(seed, lambda: CLIPTextModel(config))
    _save(encoder, folder / "text_encoder", variants, shards, dtype)


def _clip_tokenizer(tokenizer: Path) -> int:
    """Write a tokenizer, and say how many words it has."""
    letters = _byte_letters()
    merges = _merges(60)
    words = [*letters, *(f"{letter}</w>" for letter in letters), *map("".join, merges)]
    words += ["<|startoftext|>", "<|endoftext|>"]
    tokenizer.mkdir(parents=True, exist_ok=True)
    _json(tokenizer / "vocab.json", {word: index for index, word in enumerate(words)})
    lines = ["#version: 0.2", *map(" ".join, merges)]
    (tokenizer / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    special = {"bos_token": words[-2], "eos_token": words[-1], "unk_token": words[-1], "pad_token": "!"}
    options = {"add_prefix_space": False, "do_lower_case": True, "errors": "replace", "model_max_length": 77}
    _json(tokenizer / "special_tokens_map.json", special)
    _json(tokenizer / "tokenizer_config.json", {**special, **options, "tokenizer_class": "CLIPTokenizer"})
    return len(words)


def _clip_config(words: int) -> dict[str, Any]:
    return {
        "vocab_size": words,
        "hidden_size": CLIP_WIDTH,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 77,
        "hidden_act": "gelu",
        "bos_token_id": 0,  # these three are no better in the real one
        "eos_token_id": 2,
        "pad_token_id": 1,
    }


def _byte_letters() -> list[str]:
    """The 256 letters that stand for bytes, in CLIP's order."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return [chr(byte) for byte in plain] + [chr(256 + i) for i in range(256 - len(plain))]


def _merges(n: int) -> list[tuple[str, str]]:
    """The n most useful byte pairs for the prompts, in order."""
    words = Counter(PROMPTS.split())
    splits = {word: [*word[:-1], f"{word[-1]}</w>"] for word in words}
    merges: list[tuple[str, str]] = []
    for _ in range(n):
        pairs: Counter[tuple[str, str]] = Counter()
        for word, count in words.items():
            for pair in zip(splits[word], splits[word][1:], strict=False):
                pairs[pair] += count
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        for parts in splits.values():
            for i in range(len(parts) - 2, -1, -1):
                if tuple(parts[i : i + 2]) == best:
                    parts[i : i + 2] = ["".join(best)]
    return merges


# Files.


def _save(model: Any, folder: Path, variants: Variants, shards: int = 1, dtype: str | None = None) -> None:
    """Weights and config.json; `dtype` is what a config of transformers says of itself."""
    for variant in sorted(variants, key=bool):  # saving float32 clears the folder of other variants' shards
        weights = model if variant is None else copy.deepcopy(model).half()
        sizes = [tensor.nbytes for tensor in weights.parameters()]
        # Files are filled one after another: each but the last is at most a tensor short of full.
        limit = (sum(sizes) + (shards - 1) * max(sizes)) // shards + 1
        weights.save_pretrained(folder, variant=variant, max_shard_size=limit if shards > 1 else "10GB")
    if dtype is not None:
        config = json.loads((folder / "config.json").read_text())
        config.pop("dtype")
        _json(folder / "config.json", {**config, "torch_dtype": dtype})  # the older name, which the real files have


def _if_scheduler(folder: Path, *, sample_max_value: float) -> None:
    _scheduler(
        folder,
        "DDPMScheduler",
        beta_schedule="squaredcos_cap_v2",
        variance_type="learned_range",
        thresholding=True,
        dynamic_thresholding_ratio=0.95,
        sample_max_value=sample_max_value,
    )


def _scheduler(folder: Path, name: str, subfolder: str = "scheduler", /, **options: Any) -> None:
    import diffusers

    getattr(diffusers, name)(**options).save_pretrained(folder / subfolder)


def _index(folder: Path, pipeline: str, parts: dict[str, Any], **options: Any) -> Path:
    """Write model_index.json: which class, of which library, is in which subfolder."""
    import diffusers

    names = {
        part: what if what is None or isinstance(what, str) else type(what).__name__ for part, what in parts.items()
    }
    classes = {part: [name and _library(name), name] for part, name in names.items()}
    head = {"_class_name": pipeline, "_diffusers_version": diffusers.__version__}
    _json(folder / "model_index.json", {**head, **dict(sorted({**classes, **options}.items()))})
    return folder


def _library(name: str) -> str:
    return "transformers" if name.startswith(("T5", "CLIP")) else "diffusers"


def _json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
