import json

import pytest
import torch

from sfumato.app.evaluate import evaluate_model, format_evaluation
from sfumato.errors import UsageError
from sfumato.training.data import ImageData


@pytest.fixture(scope="module")
def data():
    images = torch.randint(0, 256, (12, 1, 28, 28), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    return ImageData("noise", images, torch.zeros(12, dtype=torch.long), tuple("0123456789"))


def test_a_class_model(tiny_model, data):
    told = []
    result = evaluate_model(
        tiny_model, data=data, count=4, steps=2, seeds_per_pair=1, anagrams=True, hybrids=True,
        on_progress=lambda *line: told.append(line),
    )  # fmt: skip
    assert json.loads(json.dumps(result)) == result
    assert {"samples", "denoising", "anagrams", "hybrids"} <= set(result)
    assert told
    text = format_evaluation(result)
    assert "6" in text
    assert "None" not in text


def test_the_bundled_denoiser_beats_a_blur(data):
    """On noisy stripes, not noise: pictures with structure."""
    images = torch.zeros(12, 1, 28, 28, dtype=torch.uint8)
    for k in range(12):
        images[k, 0, 6:22, 6 + k : 9 + k] = 255
    stripes = ImageData("stripes", images, torch.zeros(12, dtype=torch.long), ())
    result = evaluate_model("digits/denoiser", data=stripes, count=12)
    row = next(row for row in result["denoising"]["rows"] if row["t"] == 0.5)
    assert row["one_step"]["psnr"] > row["blur"]["psnr"] > row["noisy"]["psnr"]


def test_what_cannot_be_measured_is_told(data):
    with pytest.raises(UsageError, match="denoises in one step"):
        evaluate_model("digits/denoiser", data=data, anagrams=True)
    with pytest.raises(UsageError, match="cannot be judged"):
        evaluate_model("digits/time", data=data, anagrams=True, count=1)
    with pytest.raises(UsageError, match="between 1 and 300"):
        evaluate_model("digits", steps=500)
