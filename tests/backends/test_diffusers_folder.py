"""Models in folders as diffusers writes them: any pixel-space UNet, by what its files say, and nothing else."""

import json
import pickle
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from sfumato.app import api
from sfumato.backends import memory
from sfumato.backends.activations import ROOM, peak_bytes, rows_that_fit
from sfumato.backends.embeddings import StoredPrompts, write_embeddings
from sfumato.backends.memory import explain, place
from sfumato.backends.parts import Part
from sfumato.backends.registry import load
from sfumato.backends.unet import UNetDenoiser
from sfumato.core.estimates import guided
from sfumato.core.loop import Canvas, sample
from sfumato.errors import SfumatoError, UsageError

pytestmark = pytest.mark.usefixtures("offline")

CLOSE = 1e-4
CAT, MAN = "a photo of a cat", "an oil painting of an old man"
CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def apart(a: torch.Tensor, b: torch.Tensor) -> float:
    assert a.shape == b.shape
    return (a - b).abs().max().item()


def ours(model: UNetDenoiser, steps: int = 10, condition: str | None = None, **guidance: Any) -> torch.Tensor:
    """One picture of seed 5, as the model's scheduler would have it."""
    loop = model.defaults.loop
    tree = loop.thresholded(guided(condition, **{"scale": 1, **guidance}), model.pixel_range)
    return sample(model, [Canvas(tree, 5)], loop.path(model.schedule, steps), loop.solver())


@torch.no_grad()
def theirs(folder: Path, answer: Callable[..., torch.Tensor], steps: int = 10) -> torch.Tensor:
    """The same by diffusers' own scheduler, with what a network says.

    Where the last time is above 0, DDPMScheduler puts noise on the finished picture; what it is put on is taken.
    """
    import diffusers

    said = folder / "scheduler" / "scheduler_config.json"
    config = json.loads(said.read_text()) if said.is_file() else {"_class_name": "DDPMScheduler"}
    scheduler = getattr(diffusers, config["_class_name"]).from_config(config)
    scheduler.set_timesteps(steps)
    # The noise of a step is what the clipped x₀ implies; in DDPM's formula there is none.
    clipped = {"use_clipped_model_output": True} if config["_class_name"] == "DDIMScheduler" else {}
    stream = torch.Generator().manual_seed(5)
    x = torch.randn(1, 3, 16, 16, generator=stream)
    for t in scheduler.timesteps:
        step = scheduler.step(answer(x, t), t, x, generator=stream, **clipped)
        x = step.prev_sample
    return step.pred_original_sample if "DDPM" in config["_class_name"] else x


def unet(folder: Path, kind: str = "UNet2DModel") -> Callable[..., torch.Tensor]:
    """What a network of diffusers says."""
    import diffusers

    subfolder = {"subfolder": "unet"} if (folder / "unet").is_dir() else {}
    network = getattr(diffusers, kind).from_pretrained(folder, local_files_only=True, **subfolder)
    return lambda *told, **more: network(*told, **more, return_dict=False)[0]


def changed(folder: Path, to: Path, file: str, **changes: Any) -> Path:
    """A copy of a folder in which a file of JSON says something else; what is None is left out of it."""
    shutil.copytree(folder, to)
    content = {**json.loads((to / file).read_text()), **changes}
    (to / file).write_text(json.dumps({key: value for key, value in content.items() if value is not None}))
    return to


def close(got: torch.Tensor, expected: torch.Tensor) -> bool:
    assert expected.isfinite().all()
    return apart(got, expected) < CLOSE * max(1.0, expected.abs().max().item())


# What a scheduler's configuration says is done.


@pytest.mark.parametrize(
    ("prediction", "variance_type", "timestep_spacing", "clip_sample", "beta_schedule"),
    [
        ("epsilon", "fixed_small", "leading", True, "linear"),
        ("epsilon", "fixed_small_log", "trailing", False, "scaled_linear"),
        ("epsilon", "fixed_large", "linspace", False, "linear"),
        ("epsilon", "learned_range", "trailing", True, "linear"),
        ("epsilon", "fixed_small", "trailing", True, "squaredcos_cap_v2"),
        ("v_prediction", "fixed_large", "leading", True, "linear"),
        ("v_prediction", "learned_range", "linspace", True, "sigmoid"),
        ("v_prediction", "fixed_small", "trailing", False, "squaredcos_cap_v2"),
        ("sample", "fixed_small", "linspace", True, "linear"),
        ("sample", "fixed_large", "trailing", False, "linear"),
        ("sample", "learned_range", "leading", False, "squaredcos_cap_v2"),
    ],
)
def test_ddpm(tiny, prediction, variance_type, timestep_spacing, clip_sample, beta_schedule):
    how = {"timestep_spacing": timestep_spacing, "clip_sample": clip_sample, "beta_schedule": beta_schedule}
    folder = tiny("unconditional", prediction=prediction, variance_type=variance_type, **how)
    assert close(ours(load(str(folder))), theirs(folder, unet(folder)))


@pytest.mark.parametrize(
    ("prediction", "spacing", "clip"),
    [
        ("epsilon", "leading", True),
        ("epsilon", "trailing", False),
        ("v_prediction", "trailing", True),
        ("sample", "leading", False),
    ],
)
def test_ddim(tiny, prediction, spacing, clip):
    how = {"prediction": prediction, "timestep_spacing": spacing, "clip_sample": clip}
    folder = tiny("unconditional", scheduler="DDIMScheduler", **how)
    assert close(ours(load(str(folder))), theirs(folder, unet(folder)))


@pytest.mark.parametrize(
    ("scheduler", "said"),
    [
        ("DDPMScheduler", {"thresholding": True, "dynamic_thresholding_ratio": 0.9, "sample_max_value": 1.3}),
        ("DDIMScheduler", {"thresholding": True, "sample_max_value": 2.0}),
        ("DDPMScheduler", {"num_train_timesteps": 500, "beta_end": 0.04}),
        ("DDPMScheduler", {"trained_betas": [0.0002 * (k + 1) for k in range(100)], "num_train_timesteps": 100}),
        ("DDPMScheduler", {"timestep_spacing": None, "variance_type": None, "prediction_type": None}),
    ],
)
def test_what_else_a_scheduler_says(tiny, tmp_path, scheduler, said):
    whole = tiny("unconditional", scheduler=scheduler)
    folder = changed(whole, tmp_path / "changed", "scheduler/scheduler_config.json", **said)
    assert close(ours(load(str(folder))), theirs(folder, unet(folder)))


# What a network is told.


@pytest.mark.parametrize("scheduler", [True, False])
def test_classes(tiny, scheduler):
    """A bare network; without a scheduler's folder its scheduler is DDPMScheduler as it comes."""
    folder = tiny("classes", scheduler=scheduler)
    model, network = load(str(folder)), unet(folder)
    assert model.classes == ("0", "1", "2", "3")
    assert close(ours(model, condition="2"), theirs(folder, lambda x, t: network(x, t, torch.tensor([2]))))

    def guide(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        away, to = network(torch.cat([x, x]), t, torch.tensor([1, 3])).chunk(2)
        return away + 2.5 * (to - away)

    assert close(ours(model, condition="3", scale=2.5, negative="1"), theirs(folder, guide))
    for refused in (None, "4", "cat"):
        with pytest.raises(UsageError, match="0"):
            model.check(refused)


@pytest.mark.parametrize(("text", "length"), [("clip", 77), ("t5", 512)])
def test_text(tiny, text, length):
    from transformers import AutoTokenizer, CLIPTextModel, T5EncoderModel

    folder = tiny("text_unet", text=text)
    network = unet(folder, "UNet2DConditionModel")
    tokenizer = AutoTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True)
    encoder = {"clip": CLIPTextModel, "t5": T5EncoderModel}[text].from_pretrained(folder / "text_encoder")
    prompt = "A photo of a Cat"  # of which only T5 sees the capitals
    tokens = tokenizer(["", prompt], padding="max_length", max_length=length, return_tensors="pt")
    with torch.no_grad():
        vectors = encoder(tokens.input_ids, tokens.attention_mask if text == "t5" else None)[0]

    def guide(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        away, to = network(torch.cat([x, x]), t, vectors).chunk(2)
        return away + 3 * (to - away)

    assert close(ours(load(str(folder)), 5, prompt, scale=3), theirs(folder, guide, 5))


def test_a_model_of_nothing_cannot_be_asked(tiny):
    with pytest.raises(UsageError, match="cannot be asked for 'cat'"):
        load(str(tiny("unconditional"))).check("cat")


def test_a_prompt_that_is_too_long_is_refused(tiny):
    with pytest.raises(UsageError, match="tokens long; the model reads 77"):
        load(str(tiny("if_stage_one"))).prepare(["cat " * 60])


# Files.


def test_half_precision_is_read_where_it_is_asked_for_and_there(tiny):
    """And the float32 of a folder that has only half precision is what that says."""
    both, full, half = (tiny("unconditional", variants=which) for which in (("fp16", None), (None,), ("fp16",)))

    def weights(folder: Path, dtype: str) -> tuple[str, torch.dtype, torch.Tensor]:
        part = load(str(folder), dtype=dtype).part
        (file,) = part.files
        weight = next(part.network.parameters())
        assert {other.dtype for other in part.network.parameters()} == {weight.dtype}
        return file.name.split(".")[1], weight.dtype, weight

    exact = weights(full, "float32")[2]
    for dtype in (torch.float16, torch.bfloat16):
        name = str(dtype).removeprefix("torch.")
        for folder, file in ((both, "fp16"), (full, "safetensors"), (half, "fp16")):
            got = weights(folder, name)
            assert got[:2] == (file, dtype)
            assert torch.equal(got[2], (exact.half() if file == "fp16" else exact).to(dtype))
    assert weights(both, "float32")[0] == "safetensors"
    assert torch.equal(weights(half, "float32")[2], exact.half().float())
    model = load(str(both), dtype="float16")
    assert 0 < apart(ours(model, 3), ours(load(str(both)), 3)) < 0.02


def test_shards_are_one_model(tiny):
    one, many = tiny("text_unet"), tiny("text_unet", unet_shards=3, text_shards=2)
    model, sharded = load(str(one)), load(str(many))
    assert [len(model.part.files), len(sharded.part.files)] == [1, 3]
    assert len(sharded.conditions.reader.files) == 2
    assert model.sha256 != sharded.sha256
    for name, weight in model.part.network.state_dict().items():
        assert torch.equal(weight, sharded.part.network.state_dict()[name])
    # Where weights lie in memory can change a rounding.
    assert apart(ours(model, 3, CAT), ours(sharded, 3, CAT)) < CLOSE / 10


def rewritten(path: Path, change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> None:
    from safetensors.torch import load_file, save_file

    save_file(change(load_file(path)), path)


UNET = "unet/diffusion_pytorch_model.safetensors"


def edit(file: str, **changes: Any) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        content = {**json.loads((folder / file).read_text()), **changes}
        (folder / file).write_text(json.dumps({key: value for key, value in content.items() if value is not None}))

    return damage


def cut(folder: Path) -> None:
    path = sorted(folder.glob("unet/*.safetensors"))[-1]
    path.write_bytes(path.read_bytes()[:-100])


def only_pickles(folder: Path) -> None:
    (folder / UNET).unlink()
    (folder / "unet/diffusion_pytorch_model.bin").write_bytes(pickle.dumps({}))


@pytest.mark.parametrize(
    ("kind", "damage", "error", "said"),
    [
        (
            "x4",
            edit("model_index.json", low_res_scheduler=None),
            UsageError,
            "works in latents; choose a model of pixels",
        ),
        (
            "plain",
            edit("unet/config.json", _class_name="UNet3DModel"),
            UsageError,
            "holds UNet3DModel; what can be run",
        ),
        ("plain", edit("unet/config.json", _class_name=None), UsageError, "holds something else"),
        ("plain", lambda at: (at / "unet/config.json").unlink(), UsageError, "no readable config.json"),
        ("plain", lambda at: (at / "unet/config.json").write_text("{"), UsageError, "config.json is damaged"),
        ("plain", lambda at: (at / "unet/config.json").write_text("[]"), UsageError, "it holds no table"),
        ("plain", lambda at: shutil.rmtree(at / "unet"), UsageError, "no readable config.json"),
        ("plain", only_pickles, UsageError, "diffusion_pytorch_model.bin is a pickle, which could run any code"),
        ("plain", lambda at: (at / UNET).unlink(), UsageError, "has no weights in .safetensors files; get it again"),
        ("plain", cut, SfumatoError, "is cut short"),
        ("shards", cut, SfumatoError, "is cut short"),
        ("shards", lambda at: min(at.glob("unet/*.safetensors")).unlink(), SfumatoError, "lacks .*00001-of-00003"),
        (
            "plain",
            lambda at: rewritten(at / UNET, lambda has: dict(sorted(has.items())[1:])),
            SfumatoError,
            "are not those of its config.json: they have no ",
        ),
        (
            "plain",
            lambda at: rewritten(at / UNET, lambda has: {**has, "more.weight": torch.zeros(1)}),
            SfumatoError,
            "they have more.weight, which it does not",
        ),
        ("plain", edit("unet/config.json", block_out_channels=[16, 16]), SfumatoError, "not those of its config.json"),
        ("plain", edit("unet/config.json", block_out_channels=[16, 48]), SfumatoError, "not those of config.json"),
        (
            "plain",
            edit("scheduler/scheduler_config.json", _class_name="NoScheduler"),
            UsageError,
            "'NoScheduler' is not one of diffusers",
        ),
        (
            "plain",
            edit("scheduler/scheduler_config.json", _class_name="FlowMatchEulerDiscreteScheduler"),
            UsageError,
            "has no alphas_cumprod",
        ),
        (
            "plain",
            edit("scheduler/scheduler_config.json", prediction_type="flow_prediction"),
            UsageError,
            "predicts 'flow_prediction'",
        ),
        ("plain", edit("unet/config.json", out_channels=1), UsageError, "no model of pixels"),
        ("if_stage_two", edit("model_index.json", image_noising_scheduler=None), UsageError, "that says how"),
    ],
)
def test_what_cannot_be_run_is_one_line(tiny, tmp_path, kind, damage, error, said):
    kinds = {"plain": ("unconditional", {}), "shards": ("unconditional", {"unet_shards": 3})}
    name, options = kinds.get(kind, (kind, {}))
    folder = tmp_path / "model"
    shutil.copytree(tiny(name, **options), folder)
    damage(folder)
    with pytest.raises(error, match=said) as told:
        ours(load(str(folder)), 1)
    assert type(told.value) is error
    assert "\n" not in str(told.value)


def test_a_model_without_its_text_encoder_says_how_to_go_on(tiny, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(tiny("text_unet"), folder, ignore=shutil.ignore_patterns("text_encoder"))
    with pytest.raises(UsageError, match="no text encoder; give --embeddings FILE"):
        ours(load(str(folder)), 1, CAT)


# Memory.


@pytest.mark.parametrize(("kind", "condition"), [("if_stage_one", CAT), ("classes", "1"), ("text_unet", CAT)])
def test_streamed_from_the_disk_is_the_same_to_the_bit(tiny, kind, condition):
    folder = str(tiny(kind))
    model = load(folder, memory="lowest")
    assert model.part.residence == "streamed"
    assert not model.keep
    assert torch.equal(ours(model, 2, condition), ours(load(folder), 2, condition))
    weights = list(model.part.network.parameters())
    assert {weight.device.type for weight in weights} == {"meta"}
    model.rest()
    assert model.part._network is None
    assert torch.equal(ours(model, 2, condition), ours(load(folder), 2, condition))


@pytest.mark.parametrize("text", ["clip", "t5"])
def test_text_encoders_in_8_bits_say_nearly_the_same(tiny, text):
    pytest.importorskip("bitsandbytes")
    from bitsandbytes.nn import Linear8bitLt

    reader = load(str(tiny("text_unet", text=text))).conditions.reader
    eight = replace(reader, residence="8-bit")
    prompts, seen = [CAT, MAN, ""], []
    with pytest.MonkeyPatch.context() as patch:
        release = Part.release
        patch.setattr(Part, "release", lambda part: (seen.extend(part._network.modules()), release(part)))
        got = eight.read(prompts)
    layers = [module for module in seen if isinstance(module, Linear8bitLt)]
    assert len(layers) >= 10
    assert {layer.weight.dtype for layer in layers} == {torch.int8}
    for exact, rounded in zip(reader.read(prompts), got, strict=True):
        error = (exact - rounded).norm() / exact.norm()
        assert 0 < error < 0.05


def test_the_peak_of_a_forward_is_what_lives_at_once():
    def forward(rows: int, device: str = "cpu") -> torch.Tensor:
        a = torch.zeros(rows, 1000, device=device)  # 4000 bytes a row
        b = a + 1  # 4000 more
        b += 1
        del a
        c = torch.cat([b, b], dim=1)  # 8000 beside b's
        return c.view(-1)[::2]

    for rows in (1, 7):
        assert peak_bytes(lambda n=rows: forward(n)) == 12_000 * rows
        assert peak_bytes(lambda n=rows: forward(n, "meta")) == 12_000 * rows
    there = torch.zeros(1000)
    assert peak_bytes(lambda: there.mul_(2)) == 0
    assert peak_bytes(lambda: there.reshape(10, 100).t()) == 0
    assert rows_that_fit(lambda: forward(1), 12_000 * 100) == int(100 * ROOM)
    assert rows_that_fit(lambda: forward(1), 12_000) == 0


def test_rows_are_as_many_as_fit(tiny, monkeypatch):
    folder = str(tiny("unconditional"))
    x = torch.zeros(1, 3, 16, 16)
    one = load(folder)
    network = one.part.network
    with torch.no_grad():
        a_row, three = (peak_bytes(lambda n=n: network(x.expand(n, -1, -1, -1), 0)) for n in (1, 3))
    assert three == pytest.approx(3 * a_row, rel=0.1)
    for free, rows in ((0, 1), (a_row / ROOM * 5.5, 5), (2**40, 64)):
        monkeypatch.setattr("sfumato.backends.unet.free_bytes", lambda device, free=free: int(free))
        assert load(folder).row_limit() == rows


@pytest.mark.parametrize(("dtype", "variants"), [("float32", (None,)), ("float32", ("fp16",)), ("float16", (None,))])
def test_weights_are_placed_by_their_size_in_memory(tiny, monkeypatch, dtype, variants):
    from sfumato.backends import diffusers_folder

    asked = []
    monkeypatch.setattr(diffusers_folder, "place", lambda *said: (asked.append(said[2:4]), place(*said))[1])
    model = load(str(tiny("if_stage_one", variants=variants)), dtype=dtype)
    monkeypatch.setattr(Part, "release", lambda part: None)
    parts: list[Part] = []
    network = Part.network.fget
    monkeypatch.setattr(Part, "network", property(lambda part: (parts.append(part), network(part))[1]))
    model.prepare([CAT])
    text, unet = parts[-1].network, model.part.network
    for size, part in zip([max(sizes) for sizes in zip(*asked, strict=True)], (unet, text), strict=True):
        each = {weight.data_ptr(): weight.nbytes for weight in part.parameters()}  # T5's embedding has two names
        assert size == pytest.approx(sum(each.values()), rel=0.02)


GB = 10**9


@pytest.mark.parametrize(
    ("mode", "device", "cpu", "cuda", "expected"),
    [
        # IF-I-XL and T5-XXL in half precision: 8.6 and 9.5 GB.
        ("auto", CPU, 64, 0, ("resident", "resident", "cpu", True)),
        ("auto", CPU, 16, 0, ("resident", "resident", "cpu", False)),
        ("auto", CPU, 11, 0, ("resident", "streamed", "cpu", False)),
        ("auto", CPU, 8, 0, ("streamed", "streamed", "cpu", False)),
        ("auto", CUDA, 64, 80, ("resident", "resident", "cuda", True)),
        ("auto", CUDA, 64, 12, ("resident", "resident", "cuda", False)),
        ("auto", CUDA, 64, 11, ("resident", "resident", "cpu", False)),
        ("auto", CUDA, 8, 11, ("resident", "streamed", "cuda", False)),
        ("auto", CUDA, 64, 8, ("streamed", "resident", "cpu", False)),
        ("low", CPU, 64, 0, ("resident", "resident", "cpu", False)),
        ("low", CUDA, 64, 80, ("resident", "8-bit", "cuda", False)),
        ("low", CUDA, 64, 6, ("streamed", "streamed", "cuda", False)),
        ("low without bitsandbytes", CUDA, 64, 80, ("resident", "resident", "cpu", False)),
        ("lowest", CPU, 64, 0, ("streamed", "streamed", "cpu", False)),
        ("lowest", CUDA, 64, 80, ("streamed", "streamed", "cuda", False)),
    ],
)
def test_the_fastest_place_that_fits(monkeypatch, mode, device, cpu, cuda, expected):
    bitsandbytes = "without" not in mode
    monkeypatch.setattr(memory.importlib.util, "find_spec", lambda name: object() if bitsandbytes else None)
    free = {"cpu": cpu * GB, "cuda": cuda * GB}
    monkeypatch.setattr(memory, "free_bytes", lambda device: free[device.type])
    mode, network, text = mode.split()[0], int(8.6 * GB), int(9.5 * GB)
    got = place(mode, device, network, text)
    assert (got.network, got.text, got.text_device.type, got.keep) == expected
    line = explain(got, mode, device, network, text)
    as_fast_as_can_be = got.network == got.text == "resident" and got.text_device == device
    assert (line is None) == as_fast_as_can_be
    assert line is None or "\n" not in line


def test_memory_that_is_told_is_not_measured(monkeypatch):
    monkeypatch.setattr(memory, "free_bytes", lambda device: pytest.fail("measured"))
    place("auto", CUDA, GB, GB, {"cpu": GB, "cuda": 8 * GB})


# Prompts as vectors in a file.


@pytest.fixture
def vectors() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {prompt: torch.randn(77, 32, generator=generator) for prompt in (CAT, MAN, "")}


def test_embeddings_are_what_was_written(tmp_path, vectors):
    path = tmp_path / "prompts.safetensors"
    write_embeddings(path, vectors, "f" * 64, "deepfloyd")
    stored = StoredPrompts(path)
    for got, prompt in zip(stored.read([MAN, CAT, CAT]), (MAN, CAT, CAT), strict=True):
        assert torch.equal(got, vectors[prompt])
    with pytest.raises(UsageError, match=r"has no prompt 'a photo'; it has .*'a photo of a cat'") as told:
        stored.read([CAT, "a photo"])
    assert "\n" not in str(told.value)
    before = stored.sha256
    write_embeddings(path, {**vectors, CAT: -vectors[CAT]}, "f" * 64, "deepfloyd")
    assert StoredPrompts(path).sha256 != before


def test_the_dictionary_of_the_course_is_read(tmp_path, vectors):
    path = tmp_path / "prompt_embeds_dict.pth"
    torch.save({prompt: value[None].half() for prompt, value in vectors.items()}, path)
    for got, value in zip(StoredPrompts(path).read(list(vectors)), vectors.values(), strict=True):
        assert torch.equal(got, value.half().float())


class Malicious:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return Path.touch, (self.marker,)


@pytest.mark.parametrize(
    "how",
    ["torch", "old torch", "2", "4"],
)
def test_no_code_in_a_file_is_run(tmp_path, vectors, how):
    path, marker = tmp_path / "prompts.pth", tmp_path / "marker"
    data = {**vectors, "more": Malicious(marker)}
    if how.isdecimal():
        path.write_bytes(pickle.dumps(data, protocol=int(how)))
    else:
        torch.save(data, path, _use_new_zipfile_serialization=how == "torch")
    with pytest.raises(UsageError, match="no dictionary of tensors that can be read safely"):
        StoredPrompts(path).read([CAT])
    assert not marker.exists()
    pickle.loads(path.read_bytes()) if how.isdecimal() else torch.load(path, weights_only=False)
    assert marker.exists(), "it would have run"


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("kept", [0, 5, 100, 0.5, -1])
def test_a_cut_file_is_one_line(tmp_path, vectors, suffix, kept):
    path = tmp_path / f"prompts{suffix}"
    if suffix == ".pth":
        torch.save(vectors, path)
    else:
        write_embeddings(path, vectors, "f" * 64, "deepfloyd")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole)) if isinstance(kept, float) else kept])
    with pytest.raises(UsageError, match="prompts") as told:
        StoredPrompts(path).read([CAT])
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    "data", [{}, [1], {CAT: 1}, {1: torch.zeros(2, 2)}, {CAT: torch.zeros(3)}, {CAT: torch.zeros(2, 77, 32)}]
)
def test_what_is_no_dictionary_of_prompts_is_refused(tmp_path, data):
    torch.save(data, tmp_path / "prompts.pth")
    with pytest.raises(UsageError, match="prompt"):
        StoredPrompts(tmp_path / "prompts.pth").read([CAT])


def test_vectors_of_a_file_make_the_picture_of_the_text_encoder(tiny, tmp_path, vectors):
    folder, path = tiny("if_stage_one"), tmp_path / "prompts.safetensors"
    model = load(str(folder))
    prompts = [CAT, MAN]
    write_embeddings(path, dict(zip(prompts, model.conditions.reader.read(prompts), strict=True)), "f" * 64, "it")
    told = load(str(folder), embeddings=path)
    guidance = {"scale": 3, "negative": MAN}
    assert torch.equal(ours(told, 2, CAT, **guidance), ours(model, 2, CAT, **guidance))
    assert told.text_sha256 != model.text_sha256
    write_embeddings(path, {CAT: torch.zeros(77, 31)}, "f" * 64, "it")
    with pytest.raises(UsageError, match="have 31 numbers and the model takes 32"):
        ours(load(str(folder), embeddings=path), 2, CAT)


def test_a_file_needs_no_prompt_that_is_not_asked_for(tiny, tmp_path, vectors):
    path = tmp_path / "prompts.safetensors"
    write_embeddings(path, {CAT: vectors[CAT]}, "f" * 64, "it")
    model = load(str(tiny("if_stage_one")), embeddings=path)
    assert api.sample(model, guided(CAT, scale=1), steps=2).isfinite().all()
