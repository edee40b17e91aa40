"""Pictures of other programs: what they say is shown, whatever it is, and never believed."""

import json
import random
import zlib

import pytest
from PIL import Image, PngImagePlugin

from sfumato.app.foreign import LONGEST, read_foreign

A1111 = """a castle, (oil painting:1.2),
at dawn
Negative prompt: blurry,
text
Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7.5, Seed: 1234567890123, Size: 512x768, \
Model hash: 6ce0161689, Model: "v1,5", Lora hashes: "a: 1, Seed: 2", Version: v1.10.1"""

KSAMPLER = {
    "3": {
        "class_type": "KSampler",
        "inputs": {
            "seed": 42,
            "steps": 25,
            "cfg": 8.0,
            "sampler_name": "euler",
            "scheduler": "normal",
            "denoise": 1,
            "model": ["10", 0],
            "positive": ["20", 0],
            "negative": ["7", 0],
            "latent_image": ["5", 0],
        },
    },
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sd.safetensors"}},
    "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 512, "height": 640, "batch_size": 1}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a castle", "clip": ["10", 1]}},
    "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "blurry", "clip": ["10", 1]}},
    "8": {"class_type": "SaveImage", "inputs": {"images": ["9", 0], "is_changed": float("nan")}},
    "10": {"class_type": "LoraLoader", "inputs": {"lora_name": "x", "model": ["4", 0], "clip": ["4", 1]}},
    "20": {"class_type": "ControlNetApplyAdvanced", "inputs": {"positive": ["6", 0], "negative": ["7", 0]}},
}


def png(path, **texts):
    info = PngImagePlugin.PngInfo()
    for name, text in texts.items():
        info.add_itxt(name.replace("__", "-"), text if isinstance(text, str) else json.dumps(text))
    Image.new("RGB", (8, 8)).save(path, pnginfo=info)
    return path


def said(path) -> dict:
    found = read_foreign(path)
    return {name: value for name, value in found.rows().items() if value is not None}


def test_automatic1111(tmp_path):
    assert said(png(tmp_path / "a.png", parameters=A1111)) == {
        "program": "AUTOMATIC1111 or one that writes as it does, v1.10.1",
        "prompt": "a castle, (oil painting:1.2),\nat dawn",
        "negative": "blurry,\ntext",
        "steps": "20",
        "sampler": "DPM++ 2M Karras",
        "guidance": "7.5",
        "seed": "1234567890123",
        "size": "512×768",
        "model": "v1,5",
    }


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
@pytest.mark.parametrize("coding", ["utf-16-be", "utf-16-le", None])
def test_automatic1111_in_exif(tmp_path, suffix, coding):
    comment = b"UNICODE\0" + A1111.encode(coding) if coding else b"ASCII\0\0\0" + A1111.encode()
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = comment
    path = tmp_path / f"a{suffix}"
    Image.new("RGB", (8, 8)).save(path, exif=exif)
    assert said(path) == said(png(tmp_path / "a.png", parameters=A1111))


def test_a_comment_about_something_else_says_nothing(tmp_path):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = b"ASCII\0\0\0Holiday, 2024: the beach"
    path = tmp_path / "a.jpg"
    Image.new("RGB", (8, 8)).save(path, exif=exif)
    assert read_foreign(path) is None
    assert said(png(tmp_path / "b.png", parameters="Holiday")) == {"program": "another program"}
    assert said(png(tmp_path / "c.png", parameters={"sui_image_params": {}})) == {"program": "another program"}


COMFY = {
    "program": "ComfyUI",
    "prompt": "a castle",
    "negative": "blurry",
    "steps": "25",
    "sampler": "euler",
    "guidance": "8",
    "seed": "42",
    "size": "512×640",
    "model": "sd.safetensors",
}


def test_comfyui(tmp_path):
    assert said(png(tmp_path / "a.png", prompt=KSAMPLER, workflow={"nodes": []})) == COMFY
    assert said(png(tmp_path / "b.png", workflow={"nodes": []})) == {"program": "ComfyUI"}
    exif = Image.Exif()
    exif[0x0110], exif[0x010F] = "prompt:" + json.dumps(KSAMPLER), 'workflow:{"nodes": []}'
    Image.new("RGB", (8, 8)).save(tmp_path / "c.webp", exif=exif)
    assert said(tmp_path / "c.webp") == COMFY
    assert read_foreign(png(tmp_path / "d.png", prompt="a castle")) is None


def test_comfyui_with_a_second_sampler_says_what_both_do(tmp_path):
    again = {**KSAMPLER["3"]["inputs"], "seed": 43, "steps": 10, "latent_image": ["31", 0]}
    graph = {
        **KSAMPLER,
        "30": {"class_type": "KSampler", "inputs": again},
        "31": {"class_type": "LatentUpscaleBy", "inputs": {"samples": ["3", 0], "scale_by": 1.5}},
    }
    assert said(png(tmp_path / "a.png", prompt=graph)) == {**COMFY, "steps": "25 | 10", "seed": "42 | 43"}


def test_comfyui_with_the_parts_of_a_sampler_in_nodes_of_their_own(tmp_path):
    graph = {
        "1": {
            "class_type": "SamplerCustomAdvanced",
            "inputs": {
                "noise": ["2", 0],
                "guider": ["3", 0],
                "sampler": ["4", 0],
                "sigmas": ["5", 0],
                "latent_image": ["6", 0],
            },
        },
        "2": {"class_type": "RandomNoise", "inputs": {"noise_seed": ["12", 0]}},
        "3": {"class_type": "BasicGuider", "inputs": {"model": ["8", 0], "conditioning": ["9", 0]}},
        "4": {"class_type": "KSamplerSelect", "inputs": {"sampler_name": "euler"}},
        "5": {"class_type": "BasicScheduler", "inputs": {"steps": 20, "model": ["8", 0]}},
        "6": {"class_type": "EmptySD3LatentImage", "inputs": {"width": ["13", 0], "height": 64}},
        "8": {"class_type": "UNETLoader", "inputs": {"unet_name": "flux.safetensors"}},
        "9": {"class_type": "FluxGuidance", "inputs": {"guidance": 3.5, "conditioning": ["10", 0]}},
        "10": {"class_type": "CLIPTextEncode", "inputs": {"text": ["11", 0], "clip": ["8", 0]}},
        "11": {"class_type": "PrimitiveString", "inputs": {"value": "a castle"}},
        "12": {"class_type": "PrimitiveInt", "inputs": {"value": 7}},
        "13": {"class_type": "PrimitiveInt", "inputs": {"value": 64}},
    }
    expected = {"prompt": "a castle", "steps": "20", "sampler": "euler", "guidance": "3.5", "seed": "7"}
    expected |= {"program": "ComfyUI", "model": "flux.safetensors"}
    assert said(png(tmp_path / "a.png", prompt=graph)) == expected


def test_a_prompt_that_is_zeroed_out_is_no_negative_prompt(tmp_path):
    graph = {**KSAMPLER, "7": {"class_type": "ConditioningZeroOut", "inputs": {"conditioning": ["6", 0]}}}
    assert "negative" not in said(png(tmp_path / "a.png", prompt=graph))


INVOKE = {
    "prompt": "a castle",
    "negative": "blurry",
    "steps": "30",
    "sampler": "euler",
    "guidance": "7.5",
    "seed": "99",
    "size": "512×768",
}


def test_invokeai(tmp_path):
    facts = {
        "app_version": "5.4.0",
        "positive_prompt": "a castle",
        "negative_prompt": "blurry",
        "steps": 30,
        "scheduler": "euler",
        "cfg_scale": 7.5,
        "seed": 99,
        "width": 512,
        "height": 768,
        "model": {"key": "0d", "name": "sdxl", "base": "sdxl"},
    }
    expected = {**INVOKE, "program": "InvokeAI 5.4.0", "model": "sdxl"}
    assert said(png(tmp_path / "a.png", invokeai_metadata=facts)) == expected


def test_older_invokeai(tmp_path):
    image = {"prompt": [{"prompt": "a castle [blurry]", "weight": 1}], "steps": 30, "sampler": "euler"}
    image |= {"cfg_scale": 7.5, "seed": 99, "width": 512, "height": 768}
    facts = {"app_version": "2.3.5", "model_weights": "sd-1.5", "image": image}
    expected = {**INVOKE, "program": "InvokeAI 2.3.5", "model": "sd-1.5"}
    assert said(png(tmp_path / "a.png", sd__metadata=facts)) == expected
    for k, prompt in enumerate(['"a castle [blurry]"', "a castle [blurry]"]):
        dream = f"{prompt} -s 30 -S99 -W 512 -H 768 -C 7.5 -A euler"
        assert said(png(tmp_path / f"{k}.png", Dream=dream)) == {**INVOKE, "program": "InvokeAI"}


def test_inspect_shows_a_table_and_rerun_refuses(sfumato, tmp_path):
    path = png(tmp_path / "a.png", parameters=A1111)
    lines = sfumato("inspect", path).out.splitlines()
    assert lines[0] == "program    AUTOMATIC1111 or one that writes as it does, v1.10.1"
    assert lines[1:3] == ["prompt     a castle, (oil painting:1.2),", "           at dawn"]
    assert "seed       1234567890123" in lines
    told = json.loads(sfumato("inspect", path, "--json").out)
    assert told["steps"] == "20"
    assert told["text"] == {"parameters": A1111}
    for more in ((), ("--verify",), ("--set", "seed=3")):
        done = sfumato("rerun", path, "-o", tmp_path / "out", *more)
        assert (done.code, done.out) == (2, "")
        assert done.err.count("\n") == 1
        assert "was made by AUTOMATIC1111" in done.err
        assert "cannot make another program's pictures again" in done.err


def test_what_is_not_said_is_told(sfumato, tmp_path):
    done = sfumato("inspect", png(tmp_path / "a.png", workflow={"nodes": []}))
    assert "seed       not said" in done.out.splitlines()


def test_our_own_pictures_are_ours(sfumato, tiny_model, tmp_path):
    sfumato("generate", "3", "--steps", "2", "--model", tiny_model, "-o", tmp_path / "a")
    (path,) = (tmp_path / "a").glob("*.png")
    assert read_foreign(path) is None
    assert json.loads(sfumato("inspect", path, "--json").out)["job"]["prompt"] == "3"


def test_a_picture_without_a_word_is_told_in_one_line(sfumato, tmp_path):
    done = sfumato("inspect", png(tmp_path / "a.png"))
    assert (done.code, done.out) == (2, "")
    assert "carries no sfumato job" in done.err


# What would do harm


def test_nothing_that_a_terminal_obeys_is_printed(sfumato, tmp_path):
    path = png(tmp_path / "a.png", parameters=f"\x1b]0;owned\x07\x1b[2J\x9b31m\u202ecastle\n{A1111.splitlines()[-1]}")
    done = sfumato("inspect", path)
    assert done.code == 0
    assert all(c.isprintable() or c == "\n" for c in done.out)
    graph = {**KSAMPLER, "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "\ud800 castle"}}}
    for option in ((), ("--json",)):
        done = sfumato("inspect", png(tmp_path / "b.png", prompt=graph), *option)
        assert done.code == 0
        done.out.encode()


def test_a_chunk_that_unpacks_without_end_is_refused(sfumato, tmp_path):
    path = png(tmp_path / "a.png", parameters=A1111)
    data, packed = path.read_bytes(), b"workflow\0\0" + zlib.compress(bytes(50_000_000))
    chunk = len(packed).to_bytes(4, "big") + b"zTXt" + packed + zlib.crc32(b"zTXt" + packed).to_bytes(4, "big")
    path.write_bytes(data[:33] + chunk + data[33:])
    done = sfumato("inspect", path)
    assert done.code == 2
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    "text",
    [
        "x" * (LONGEST + 1),
        "[" * 100_000,
        '{"a":' * 100_000,
        "a " * 500_000,
        "Steps: 1, " + 'ab:"\\' * 200_000,
        "\n" * 1_000_000 + "Steps: 1",
        "Negative prompt:" * 50_000,
        '{"1": {"class_type": "X", "inputs": {"latent_image": ["1", 0], "positive": ["1", 0], "seed": ["1", 0]}}}',
        '{"1": {"class_type": [], "inputs": {"latent_image": [[], {}], "width": true, "steps": {}}}}',
        '{"image": {"prompt": [[], 3, {"prompt": {}}], "seed": 1e999}}',
        '{"model": [], "seed": -1e400, "app_version": {}}',
        '"' + "[" * 10_000,
        '{"seed": ' + "9" * 10_000 + "}",
    ],
    ids=lambda text: text[:12],
)
@pytest.mark.parametrize("name", ["parameters", "prompt", "workflow", "invokeai_metadata", "sd__metadata", "Dream"])
def test_odd_texts_are_read_quickly_or_not_at_all(sfumato, tmp_path, name, text):
    done = sfumato("inspect", png(tmp_path / "a.png", **{name: text}))
    assert done.code in {0, 2}
    assert len(done.out) < 200_000
    assert done.code == 0 or done.err.startswith("error: ")


@pytest.mark.filterwarnings("ignore:.*corrupt EXIF", "ignore:Corrupt EXIF")  # of Pillow, in read_provenance
def test_each_of_many_damaged_files_is_an_answer_or_one_line(sfumato, tmp_path):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + A1111.encode("utf-16-be")
    Image.new("RGB", (8, 8)).save(tmp_path / "a.webp", exif=exif)
    Image.new("RGB", (8, 8)).save(tmp_path / "a.jpg", exif=exif)
    png(tmp_path / "a.png", prompt=KSAMPLER)
    chance = random.Random(0)
    for file in ("a.webp", "a.jpg", "a.png"):
        whole = (tmp_path / file).read_bytes()
        for _ in range(20):
            data = bytearray(whole)
            for _ in range(chance.randrange(1, 8)):
                data[chance.randrange(len(data))] = chance.randrange(256)
            broken = tmp_path / f"b-{file}"
            broken.write_bytes(data[: chance.choice([len(data), chance.randrange(len(data))])])
            for command in ("inspect", "rerun"):
                done = sfumato(command, broken)
                assert done.code in {0, 2}, done.err
                assert done.err.count("\n") <= 1
