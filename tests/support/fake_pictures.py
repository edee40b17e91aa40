"""Pictures, readings and a greeting such as the studio's server gives, for pages that are tested without a model."""

from __future__ import annotations

import base64
import hashlib
import io
import math

from PIL import Image, ImageChops, ImageDraw, ImageFont

DIGITS = list("0123456789")
COURSE = {"epochs": 20, "steps": None, "width": 64, "batch_size": 64, "lr": 0.001, "lr_decay": 0.1, "seed": 0}
VIEWS = [
    "identity",
    "flip",
    "mirror",
    "rotate:90",
    "negate",
    "roll:dx=0.25",
    "skew:1.5",
    "permute:8:seed=3",
    "pixel-permute:64",
    "circle:180:r=0.375",
    "hinge:3",
    "jigsaw:seed=4522",
]


def hello() -> dict:
    """What /api/hello says."""
    model = {"shape": [1, 28, 28], "most_steps": 300, "times": 300, "larger": None, "low_res": None, "judge": True}
    return {
        "version": "0.1.0",
        "device": "cpu",
        "folder": "/home/ada/.local/share/sfumato/studio",
        "models": [
            {
                **model,
                "name": "digits",
                "title": "Digits, by class",
                "conditions": "classes",
                "classes": DIGITS,
                "steps": 50,
                "guidance": 2.0,
                "illusion_guidance": 5.0,
            },
            {
                **model,
                "name": "digits/time",
                "title": "Digits, unconditional",
                "conditions": "none",
                "classes": [],
                "steps": 50,
                "guidance": 1.0,
                "illusion_guidance": 1.0,
                "judge": True,
            },
            {
                **model,
                "name": "digits/flow",
                "title": "Digits, by class, a flow",
                "conditions": "classes",
                "classes": DIGITS,
                "steps": 20,
                "guidance": 2.0,
                "illusion_guidance": 5.0,
                "most_steps": 1000,
                "times": 1,
            },
            {
                **model,
                "name": "emoji",
                "title": "Emoji, by words",
                "shape": [3, 64, 64],
                "conditions": "words",
                "classes": [],
                "steps": 25,
                "guidance": 4.0,
                "illusion_guidance": 4.0,
                "most_steps": 1000,
                "times": 1000,
                "judge": False,
            },
        ],
        "views": [{"text": text, "about": f"About {text.partition(':')[0]}."} for text in VIEWS],
        "factors": [
            {"text": "frequency", "about": "Low and high frequencies, parted by a Gaussian.", "parts": 2},
            {"text": "triple", "about": "Low, middle and high frequencies.", "parts": 3},
            {"text": "colour", "about": "Greyness and colour.", "parts": 2},
            {"text": "motion", "about": "What stays under a motion blur, and what it takes away.", "parts": 2},
            {"text": "scale", "about": "Weights that sum to 1.", "parts": 2},
        ],
        "samplers": ["ddpm", "ddim", "euler", "heun", "dpmpp-2m"],
        "spacings": ["strided", "leading", "trailing", "linspace"],
        "recipes": [
            {
                "name": "class",
                "summary": "B2.4: a time- and class-conditioned diffusion model",
                "settings": {**COURSE, "condition_dropout": 0.1, "keep_best": True, "sigmas": [0.5]},
            },
            {"name": "time", "summary": "B2.1: a time-conditioned diffusion model", "settings": COURSE},
        ],
        "data": [
            {"name": "typeset", "about": "digits drawn from the fonts of this machine"},
            {"name": "mnist", "about": "70,000 written digits; downloaded"},
        ],
        "limits": {"upload": 32_000_000, "count": 64, "steps": 1000, "queue": 200},
    }


def png(image: Image.Image) -> bytes:
    """Its bytes."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def data_url(image: Image.Image) -> str:
    """A picture inside an answer."""
    return f"data:image/png;base64,{base64.b64encode(png(image)).decode()}"


def letter(text: str | None, side: int = 28, turned: int = 0) -> Image.Image:
    """Light on dark, as the digits are."""
    image = Image.new("L", (side, side), 0)
    font = ImageFont.load_default(size=side * 0.8)
    ImageDraw.Draw(image).text((side / 2, side / 2), (text or "?")[:1], fill=235, font=font, anchor="mm")
    return image.rotate(turned)


def noisy(image: Image.Image, share: float, seed: int = 0) -> Image.Image:
    """A picture on its way from noise; `share` of it is noise."""
    noise = Image.frombytes("L", image.size, hashlib.shake_256(str(seed).encode()).digest(image.width * image.height))
    return Image.blend(image, noise, max(0.0, min(1.0, share)))


def title_of(job: dict) -> str:
    """What it is of."""
    match job["kind"]:
        case "anagram":
            return ", ".join(f"{r['prompt']} ({r.get('view', 'identity')})" for r in job["readings"])
        case "hybrid":
            return ", ".join(map(str, job["parts"]))
        case "denoise" if "method" in job:
            return f"{job['method']} {job['image']['name']} at t {job['t']:g}"
    return str(job.get("prompt") or "anything")


def drawn(job: dict) -> tuple[Image.Image, list[dict]]:
    """The picture of a job, and what a judge would say: seeds that 3 divides fail in their last look."""
    if job["kind"] == "denoise":
        image = Image.open(io.BytesIO(base64.b64decode(job["image"]["png"]))).convert("L")
        share = job.get("t", 290) / 300
        how = {"noised": share, "blur": share / 1.6, "one-step": share / 3, "iterative": share / 9}
        return noisy(image, how[job.get("method", "iterative")], job["seed"]), []
    looks = {
        "anagram": [(r.get("view", "identity"), r["prompt"]) for r in job.get("readings", [])],
        "hybrid": list(zip(("from afar", "from near"), job.get("parts", []), strict=False)),
    }.get(job["kind"], [("as it is", job["prompt"])] if job.get("prompt") else [])
    image = Image.new("L", (28, 28))
    for look, prompt in looks or [("as it is", "8")]:
        image = ImageChops.lighter(image, letter(prompt, turned=180 if look == "rotate:180" else 0))
    readings = []
    for k, (look, prompt) in enumerate(looks):
        wrong = job["seed"] % 3 == 0 and k == len(looks) - 1
        probability = 0.08 if wrong else 0.6 + 0.39 * math.sin(1 + job["seed"] + k) ** 2
        read = "5" if wrong else prompt
        readings.append(
            {"look": look, "prompt": prompt, "read": read, "probability": probability, "right": read == prompt}
        )
    return image, readings if job["model"] != "emoji" else []
