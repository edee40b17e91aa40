import json

import pytest
import torch

from sfumato.app import evaluate
from sfumato.app.evaluate import Wanted, evaluate_model, format_evaluation
from sfumato.app.evaluate_text import TextMeasures
from sfumato.backends.network import Defaults, NetworkDenoiser
from sfumato.core.predictions import Prediction
from sfumato.core.schedules import shifted_cosine
from sfumato.errors import SfumatoError, UsageError
from sfumato.evaluation.matcher import Matcher
from sfumato.evaluation.samples import Sampling, silent
from sfumato.models.matcher import MatcherConfig, MatcherNet
from sfumato.models.text import Vocabulary
from sfumato.models.text_unet import TextUNetConfig
from sfumato.training.captions import Record
from sfumato.training.data import ImageData
from sfumato.training.datasets.captioned import CaptionedData

NAMES = ("cat", "dog", "lion", "rocket")
WORDS = ("3d", "a", *NAMES, "of", "render")
SUBJECTS = [["lion", ["3D render"]], ["rocket", []], ["unicorn", ["3D render"]], ["cat", ["3D render", "doodle"]]]


def model(subjects=SUBJECTS) -> NetworkDenoiser:
    torch.manual_seed(0)
    network = TextUNetConfig(WORDS, size=16, widths=(32,), text_width=32).build().eval()
    torch.nn.init.normal_(network.last.weight, std=0.05)
    facts = {"data": {"subjects": subjects}}
    defaults = Defaults(2, 2.0, 1.0)
    schedule = shifted_cosine(50)
    return NetworkDenoiser(
        "tiny", network, schedule, Prediction.V, facts=facts, pixel_range=(-1.0, 1.0), defaults=defaults
    )


@pytest.fixture
def judge(monkeypatch) -> Matcher:
    torch.manual_seed(1)
    net = MatcherNet(MatcherConfig(WORDS, size=16, widths=(8, 16), blocks=(0, 1)))
    matcher = Matcher(net, NAMES)
    monkeypatch.setattr(evaluate, "load_matcher", lambda: matcher)
    return matcher


def held_out() -> CaptionedData:
    records = (Record(("rocket",), styles=("3D render",)), Record(("walrus",)))
    pictures = torch.zeros(2, 4, 32, 32, dtype=torch.uint8)
    return CaptionedData("test", pictures, records, Vocabulary(WORDS), ("rocket", "walrus"), torch.tensor([0, 1]))


def test_every_measure_of_a_text_model(judge):
    told = []
    wanted = Wanted(count=7, anagrams=True, hybrids=True, views=("flip", "negate"), pairs=1, seeds_per_pair=2)
    result = evaluate_model(model(), held_out(), wanted, lambda *line: told.append(line))
    assert json.loads(json.dumps(result)) == result
    assert set(result["anagrams"]) == {"flip", "negate"}
    assert [pair["wanted"] for pair in result["hybrids"]["pairs"]] == [["lion", "rocket"]]
    assert told
    text = format_evaluation(result)
    assert all(set(row) == {"level", "own", "none", "other", "heard"} for row in result["conditioning"]["rows"])
    for words in ("Held-out pairs", "Anagrams, upright and under flip", "lion / rocket", "Hybrids", "top-1"):
        assert words in text
    assert "What a caption tells of 2 noised pictures" in text


def test_subjects_are_asked_for_in_turn_in_the_styles_they_were_seen_in(judge):
    asked = TextMeasures(model(), judge, Sampling(2), 0, lambda what: silent).asked(9)
    assert asked[:3] == [("lion", "3D render"), ("rocket", None), ("cat", "3D render")]
    assert [style for name, style in asked if name == "cat"] == ["3D render", "doodle", "3D render"]
    assert "unicorn" not in dict(asked)  # the judge does not know it


def test_what_cannot_be_measured_is_told(judge):
    with pytest.raises(SfumatoError, match="does not say what it was trained to draw"):
        evaluate_model(model(subjects=None), None, Wanted(count=1))
    with pytest.raises(UsageError, match="the judge knows nothing of what tiny was trained to draw"):
        evaluate_model(model(subjects=[["walrus", []]]), None, Wanted(count=1))
    with pytest.raises(UsageError, match="2 pairs take 4 subjects, and the model and its judge share 3"):
        evaluate_model(model(), None, Wanted(count=1, hybrids=True, pairs=2))
    pictures = ImageData("noise", torch.zeros(2, 3, 16, 16, dtype=torch.uint8), torch.zeros(2, dtype=torch.long))
    with pytest.raises(UsageError, match="is measured with captioned pictures"):
        evaluate_model(model(), pictures, Wanted(count=1))
