"""CLIP as a judge, against transformers' own way from a picture and texts to probabilities."""

from functools import cache

import pytest
import torch
from transformers import CLIPModel, CLIPTokenizer

from sfumato.app.jobs import Anagram
from sfumato.app.search import best_of
from sfumato.backends.clip import load_clip
from sfumato.backends.registry import load
from sfumato.errors import UsageError
from sfumato.evaluation.judges import judge_of

pytestmark = pytest.mark.usefixtures("offline")
PROMPTS = ("a lion", "a rocket ship", "an oil painting of a village")


@pytest.fixture(scope="module")
def folder(tiny):
    return tiny("clip")


def test_it_says_what_transformers_says(folder):
    pictures = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    got = load_clip(str(folder)).probabilities(pictures, PROMPTS)
    network, tokenizer = CLIPModel.from_pretrained(folder).eval(), CLIPTokenizer.from_pretrained(folder)
    mean, std = (torch.tensor(v)[:, None, None] for v in ((0.4, 0.5, 0.6), (0.2, 0.25, 0.3)))
    texts = tokenizer(list(PROMPTS), padding=True, return_tensors="pt")
    with torch.no_grad():
        expected = network(**texts, pixel_values=(pictures - mean) / std).logits_per_image.softmax(1)
    assert (got - expected).abs().max() < 1e-6
    assert (got[0] - got[1]).abs().max() > 1e-4


def test_pictures_of_other_sizes_and_grey_ones_are_read_too(folder):
    judge = judge_of(f"clip:{folder}", (1, 28, 28), PROMPTS)
    assert judge.classes == PROMPTS
    read = judge.probabilities(torch.rand(2, 1, 28, 28))
    assert torch.allclose(read.sum(1), torch.ones(2))


def test_a_search_with_it(folder, tiny):
    model = str(tiny("if_stage_one"))
    views = [{"prompt": "a lion"}, {"prompt": "a rocket ship", "view": "rotate:180"}]
    job = Anagram(model=model, readings=views, steps=2, guidance=3.0)
    once = cache(lambda name, dtype: load(name, "cpu", dtype))
    found = best_of(job, 3, once, lambda prompts: judge_of(f"clip:{folder}", (3, 16, 16), prompts))
    assert len(found.weakest) == 3
    assert 0 < found.kept[0].weakest <= 0.5 + 1e-6  # two readings compete
    with pytest.raises(UsageError, match="give --judge clip:FOLDER"):
        judge_of("auto", (1, 16, 16), PROMPTS)


def test_what_is_no_clip_is_refused(tiny, tmp_path):
    with pytest.raises(UsageError, match="is no CLIP but"):
        load_clip(str(tiny("if_stage_one") / "text_encoder"))
    with pytest.raises(UsageError, match=r"no readable config\.json"):
        load_clip(str(tmp_path))
