"""The tiny models are real ones to diffusers, steady from batch to batch, and sensitive to everything they are told."""

import hashlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tiny_models
import torch
from tiny_models import PROMPTS, into_hub_cache

REPO = "DeepFloyd/IF-I-XL-v1.0"
CAT, MAN = "a photo of a cat", "an oil painting of an old man"
IF, IF2, X4 = "IFPipeline", "IFSuperResolutionPipeline", "StableDiffusionUpscalePipeline"
WRITERS = {
    IF: tiny_models.write_if_stage_one,
    IF2: tiny_models.write_if_stage_two,
    X4: tiny_models.write_x4,
    "DDPMPipeline": tiny_models.write_unconditional,
    "classes": tiny_models.write_classes,
    "clip": tiny_models.write_text_unet,
}
SEVERAL = list(range(4))
"""The seeds of a batch."""

pytestmark = pytest.mark.usefixtures("offline")


@pytest.fixture(scope="module")
def offline() -> Iterator[None]:
    """Nothing is downloaded, and without the libraries there is nothing to test."""
    for library in ("diffusers", "transformers", "sentencepiece", "google.protobuf"):
        pytest.importorskip(library)

    def refuse(*args: object) -> None:
        raise AssertionError("this test wants something from the net")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", refuse)
        yield


@pytest.fixture(scope="module")
def home(offline, tmp_path_factory) -> Path:
    """One of each."""
    home = tmp_path_factory.mktemp("tiny")
    for name, write in WRITERS.items():
        write(home / name)
    return home


def load(name: str, folder: Path, **options: Any) -> Any:
    import diffusers

    options = {"dtype": torch.float32, "local_files_only": True, **options}
    pipeline = getattr(diffusers, name).from_pretrained(folder, **options)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.fixture(scope="module")
def pipelines(home) -> dict[str, Any]:
    return {name: load(name, home / name) for name in (IF, IF2, X4, "DDPMPipeline")}


@pytest.fixture
def draw(pipelines) -> Callable[..., torch.Tensor]:
    """Pictures of these seeds, and for the later stages of guides that belong to the seeds."""

    def draw(name: str, seeds: list[int], prompt: str = CAT, *, guides: list[int] | None = None, **options: Any) -> Any:
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        options = {"generator": generators, "num_inference_steps": 3, "output_type": "pt", **options}
        if name == "DDPMPipeline":
            return pipelines[name](batch_size=len(seeds), **options).images
        if name != X4:
            options["clean_caption"] = False
        if name != IF:
            pictures = torch.stack([guide(seed) for seed in guides or seeds])
            options["image"] = pictures if name == X4 else pictures * 2 - 1
        return pipelines[name]([prompt] * len(seeds), **options).images

    return draw


def guide(seed: int, size: int = 16) -> torch.Tensor:
    """A smooth picture in [0, 1]."""
    coarse = torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(1000 + seed))
    return torch.nn.functional.interpolate(coarse, (size, size), mode="bilinear")[0]


def apart(a: torch.Tensor, b: torch.Tensor) -> float:
    return (a - b).abs().max().item()


# Pictures.


@pytest.mark.parametrize(("name", "size"), [(IF, 16), (IF2, 32), (X4, 64), ("DDPMPipeline", 16)])
def test_diffusers_makes_finite_pictures(draw, name, size):
    pictures = draw(name, SEVERAL)
    assert pictures.shape == (4, 3, size, size)
    assert pictures.isfinite().all()
    assert pictures.abs().max() <= 1
    assert 0.1 < pictures.std() < 0.9
    assert apart(pictures[0], pictures[1]) > 0.1


@pytest.mark.parametrize(("name", "rounding"), [(IF, 1e-5), (IF2, 5e-5), (X4, 1e-5), ("DDPMPipeline", 1e-5)])
def test_a_picture_is_the_same_in_any_batch(draw, name, rounding):
    together = draw(name, SEVERAL, num_inference_steps=10)
    alone = torch.cat([draw(name, [seed], num_inference_steps=10) for seed in SEVERAL])
    assert apart(together, alone) < rounding
    assert (together - alone).abs().mean() < 2e-6


@pytest.mark.parametrize("name", [IF, IF2, X4])
def test_the_text_matters(draw, name):
    cat = draw(name, SEVERAL)
    assert (cat - draw(name, SEVERAL, MAN)).abs().mean() > 1e-2
    assert apart(cat, draw(name, SEVERAL, negative_prompt=[MAN] * 4)) > 1e-2
    assert apart(cat, draw(name, SEVERAL, guidance_scale=5)) > 1e-2


@pytest.mark.parametrize(("name", "level", "other"), [(IF2, 250, 240), (X4, 20, 25)])
def test_the_guide_and_its_noise_level_matter(draw, name, level, other):
    pictures = draw(name, SEVERAL, noise_level=level)
    assert (pictures - draw(name, SEVERAL, noise_level=other)).abs().mean() > 5e-3
    assert (pictures - draw(name, SEVERAL, noise_level=level, guides=SEVERAL[::-1])).abs().mean() > 1e-2


@pytest.mark.parametrize("name", [IF, IF2])
def test_the_times_matter(draw, name):
    a, b = (draw(name, SEVERAL, timesteps=times) for times in ([900, 600, 300, 0], [905, 605, 305, 5]))
    assert (a - b).abs().mean() > 1e-2


# What a network is told. Each by itself: in a picture one may hide another.


def encode(pipeline: Any, text: str) -> torch.Tensor:
    options = {"device": torch.device("cpu"), "num_images_per_prompt": 1, "do_classifier_free_guidance": False}
    return pipeline.encode_prompt(text, **options)[0]


@torch.no_grad()
def answer(pipeline: Any, t: int = 500, label: int = 20, text: str = CAT) -> torch.Tensor:
    """What a pipeline's UNet says to a canvas that is always the same."""
    unet, name = pipeline.unet, type(pipeline).__name__
    x = torch.randn(1, unet.config.in_channels, 16, 16, generator=torch.Generator().manual_seed(7))
    options = {"class_labels": torch.tensor([label])} if name in {IF2, X4} else {}
    if name != "DDPMPipeline":
        options["encoder_hidden_states"] = encode(pipeline, text)
    return unet(x, t, **options).sample


@pytest.mark.parametrize("name", [IF, IF2, X4, "DDPMPipeline"])
def test_a_network_notices_all_it_is_told(pipelines, name):
    pipeline = pipelines[name]
    first = answer(pipeline)
    assert apart(first, answer(pipeline)) == 0
    assert apart(first, answer(pipeline, t=499)) > 2e-3
    if name in {IF2, X4}:
        assert apart(first, answer(pipeline, label=21)) > 2e-3
    if name != "DDPMPipeline":
        assert apart(first, answer(pipeline, text=MAN)) > 1e-2


@pytest.mark.parametrize("name", [IF, IF2])
@pytest.mark.parametrize("path", ["add_embedding", "encoder_hid_proj"])
def test_either_way_of_the_text_into_a_network_matters(pipelines, name, path):
    pipeline = pipelines[name]
    module = getattr(pipeline.unet, path)
    with torch.no_grad():
        said = module(encode(pipeline, CAT))
    cat = answer(pipeline)
    with module.register_forward_hook(lambda *_: said):  # the other way alone hears of the man
        assert apart(cat, answer(pipeline)) == 0
        assert apart(cat, answer(pipeline, text=MAN)) > 1e-2


def test_classes_and_times_matter_to_a_model_of_classes(home):
    from diffusers import UNet2DModel

    unet = UNet2DModel.from_pretrained(home / "classes", local_files_only=True)
    x = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(7))
    with torch.no_grad():
        answers = [unet(x, t, torch.tensor([label])).sample for t in (500, 499) for label in range(4)]
    assert min(apart(a, b) for k, a in enumerate(answers) for b in answers[:k]) > 2e-3


@pytest.mark.parametrize("text", ["clip", "t5"])
def test_text_matters_to_a_model_from_text_to_pixels(tmp_path, text):
    from diffusers import DDPMScheduler, UNet2DConditionModel
    from transformers import AutoTokenizer, CLIPTextModel, T5EncoderModel

    folder = tiny_models.write_text_unet(tmp_path / text, text=text)
    unet = UNet2DConditionModel.from_pretrained(folder, subfolder="unet", local_files_only=True)
    tokenizer = AutoTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True)
    encoder = {"clip": CLIPTextModel, "t5": T5EncoderModel}[text].from_pretrained(folder / "text_encoder")
    assert DDPMScheduler.from_pretrained(folder, subfolder="scheduler").config.prediction_type == "v_prediction"
    tokens = tokenizer([CAT, MAN], padding="max_length", max_length=77, truncation=True, return_tensors="pt")
    with torch.no_grad():
        states = encoder(tokens.input_ids, tokens.attention_mask)[0]
        x = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(7)).expand(2, -1, -1, -1)
        cat, man = unet(x, 500, states).sample
        sooner = unet(x, 499, states).sample[0]
    assert cat.shape == (3, 16, 16)
    assert apart(cat, man) > 1e-2
    assert apart(cat, sooner) > 2e-3


# Texts.


def test_t5s_tokenizer_pads_masks_and_agrees_with_sentencepiece(home):
    from sentencepiece import SentencePieceProcessor
    from transformers import AutoTokenizer, T5Tokenizer

    folder = home / IF / "tokenizer"
    prompts = [CAT, "", "A photo"]
    for kind in (T5Tokenizer, AutoTokenizer):
        tokenizer = kind.from_pretrained(folder, local_files_only=True)
        tokens = tokenizer(prompts, padding="max_length", max_length=77, truncation=True, return_tensors="pt")
        assert tokens.input_ids.shape == tokens.attention_mask.shape == (3, 77)
        assert [tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id] == [0, 1, 2]
        assert tokens.input_ids[1].tolist() == [1] + [0] * 76
        assert tokens.attention_mask.sum(1).tolist() == [(row != 0).sum() for row in tokens.input_ids]
        assert 2 in tokens.input_ids[2]  # it knows no capitals
        pieces = SentencePieceProcessor(str(folder / "spiece.model"))
        for prompt in PROMPTS.split("\n")[1:-1]:
            assert tokenizer(prompt).input_ids == [*pieces.encode(prompt), 1]
            assert 2 not in tokenizer(prompt).input_ids


def test_clips_tokenizer_reads_any_text_and_pads_with_an_exclamation_mark(home):
    from transformers import CLIPTokenizer

    tokenizer = CLIPTokenizer.from_pretrained(home / X4 / "tokenizer", local_files_only=True)
    tokens = tokenizer([CAT, "Žluťoučký kůň!"], padding="max_length", truncation=True, return_tensors="pt")
    assert tokens.input_ids.shape == (2, 77)
    assert tokenizer.pad_token_id == 0
    assert tokens.input_ids[0, -1] == 0
    assert tokenizer.decode(tokens.input_ids[1], skip_special_tokens=True).startswith("žluťoučký kůň")
    assert len(tokenizer(CAT).input_ids) < len(CAT)


def test_both_stages_read_text_alike_and_the_mask_matters(pipelines):
    one, two = (encode(pipelines[name], CAT) for name in (IF, IF2))
    assert torch.equal(one, two)
    tokens = pipelines[IF].tokenizer(CAT, padding="max_length", max_length=77, return_tensors="pt")
    with torch.no_grad():
        assert apart(one, pipelines[IF].text_encoder(tokens.input_ids)[0]) > 0.1


# Folders.


def contents(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize("name", [IF, IF2, X4, "DDPMPipeline"])
def test_a_folder_is_laid_out_as_diffusers_lays_it_out(pipelines, home, tmp_path, name):
    pipelines[name].save_pretrained(tmp_path)
    ours, theirs = contents(home / name), contents(tmp_path)
    parts = [{file for file in files if not file.startswith("tokenizer/")} for files in (ours, theirs)]
    assert parts[0] == parts[1]
    weights = [file for file in ours if file.endswith(".safetensors")]
    assert [ours[file] for file in weights] == [theirs[file] for file in weights]
    assert json.loads((home / name / "model_index.json").read_text()) == {
        key: value
        for key, value in json.loads((tmp_path / "model_index.json").read_text()).items()
        if key != "_name_or_path"
    }


@pytest.mark.parametrize("name", WRITERS)
def test_a_folder_follows_from_its_seed_and_leaves_torchs_generator_alone(home, tmp_path, name):
    before = torch.get_rng_state()
    WRITERS[name](tmp_path / "again")
    WRITERS[name](tmp_path / "other", seed=77)
    assert torch.equal(torch.get_rng_state(), before)
    first, again, other = contents(home / name), contents(tmp_path / "again"), contents(tmp_path / "other")
    assert first == again
    changed = {file for file in first if first[file] != other[file]}
    assert changed
    assert all(file.endswith(".safetensors") and not file.startswith("text_encoder") for file in changed)


def test_half_precision_and_shards_beside_and_instead(tmp_path):
    both = tiny_models.write_if_stage_one(tmp_path / "both", variants=("fp16", None), unet_shards=3, text_shards=2)
    half = tiny_models.write_if_stage_one(tmp_path / "half", variants=["fp16"])
    files = set(contents(both))
    assert {f"unet/diffusion_pytorch_model.fp16-0000{k}-of-00003.safetensors" for k in (1, 2, 3)} < files
    assert {f"unet/diffusion_pytorch_model-0000{k}-of-00003.safetensors" for k in (1, 2, 3)} < files
    assert {f"text_encoder/model{end}-0000{k}-of-00002.safetensors" for k in (1, 2) for end in ("", ".fp16")} < files
    assert {"text_encoder/model.safetensors.index.json", "unet/diffusion_pytorch_model.safetensors.index.json"} < files
    assert {"text_encoder/model.fp16.safetensors", "unet/diffusion_pytorch_model.fp16.safetensors"} < set(
        contents(half)
    )
    assert "unet/diffusion_pytorch_model.safetensors" not in contents(half)
    full = load(IF, both)
    for folder in (both, half):
        rounded = load(IF, folder, variant="fp16", dtype=torch.float16)
        for a, b in zip(rounded.unet.parameters(), full.unet.parameters(), strict=True):
            assert torch.equal(a, b.half())
        # The encoder's last projections stay in float32 whatever one asks for.
        assert {weight.dtype for weight in rounded.text_encoder.parameters()} == {torch.float16, torch.float32}


def test_a_text_encoder_is_loaded_as_its_config_says_unless_told_otherwise(tmp_path):
    from transformers import T5EncoderModel

    folder = tiny_models.write_if_stage_one(tmp_path, text_dtype="float16")
    assert T5EncoderModel.from_pretrained(folder / "text_encoder").dtype == torch.float16
    assert load(IF, folder).text_encoder.dtype == torch.float32


@pytest.mark.parametrize("scheduler", ["DDPMScheduler", "DDIMScheduler"])
@pytest.mark.parametrize("variance_type", ["fixed_small", "learned_range"])
def test_options_of_an_unconditional_model(tmp_path, scheduler, variance_type):
    options = {"prediction_type": "v_prediction", "timestep_spacing": "trailing", "clip_sample": False}
    folder = tiny_models.write_unconditional(
        tmp_path,
        prediction="v_prediction",
        timestep_spacing="trailing",
        clip_sample=False,
        scheduler=scheduler,
        variance_type=variance_type,
        channels=1,
        size=8,
    )
    written = json.loads((folder / "scheduler/scheduler_config.json").read_text())
    assert options.items() <= written.items()
    assert written.get("variance_type", variance_type) == variance_type
    pipeline = load(scheduler.replace("Scheduler", "Pipeline"), folder)
    assert type(pipeline.scheduler).__name__ == scheduler
    if scheduler == "DDPMScheduler" or variance_type == "fixed_small":
        assert pipeline(num_inference_steps=2, output_type="np").images.shape == (1, 8, 8, 1)


def test_a_model_of_classes_is_bare(home, tmp_path):
    bare = {"config.json", "diffusion_pytorch_model.safetensors"}
    assert set(contents(home / "classes")) == bare
    folder = tiny_models.write_classes(tmp_path, scheduler=True, classes=7)
    assert set(contents(folder)) == {*bare, "scheduler/scheduler_config.json"}
    assert json.loads((folder / "config.json").read_text())["num_class_embeds"] == 7


# The cache.


@pytest.mark.parametrize("links", [True, False])
def test_the_hub_finds_a_folder_in_its_cache(home, tmp_path, links):
    from huggingface_hub import snapshot_download, try_to_load_from_cache

    snapshot = into_hub_cache(tmp_path, REPO, home / IF, links=links)
    assert snapshot.parent == tmp_path / "hub" / "models--DeepFloyd--IF-I-XL-v1.0" / "snapshots"
    found = snapshot_download(REPO, local_files_only=True, cache_dir=tmp_path / "hub")
    assert Path(found) == snapshot
    assert contents(snapshot) == contents(home / IF)
    weights = snapshot / "unet/diffusion_pytorch_model.safetensors"
    assert weights.is_symlink() == links
    if links:
        assert weights.resolve().name == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert try_to_load_from_cache(REPO, "unet/config.json", tmp_path / "hub") == str(snapshot / "unet/config.json")
    assert load(IF, REPO, cache_dir=tmp_path / "hub").unet.config.sample_size == 16


def test_the_cache_is_found_by_its_environment_variable(home, tmp_path):
    snapshot = into_hub_cache(tmp_path, REPO, home / IF)
    code = f"import huggingface_hub as hub; print(hub.snapshot_download({REPO!r}, local_files_only=True), end='')"
    environment = {**os.environ, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        environment.pop(name, None)
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == str(snapshot)
