"""Laws of the table that says whether pictures show what they were asked for."""

import json
from dataclasses import replace

import pytest
import torch

from sfumato.errors import UsageError
from sfumato.evaluation.matcher import Matcher
from sfumato.evaluation.retrieval import RetrievalTable, retrieved
from sfumato.evaluation.samples import wilson_interval
from sfumato.models.matcher import MatcherConfig, MatcherNet

NAMES = ("cat", "cat face", "dog", "house", "lion", "rocket")
TABLE = RetrievalTable(
    candidates=NAMES,
    asked=(0, 0, 0, 1, 1, 2, 3, 3),
    read=(0, 1, 1, 0, 1, 2, 5, 4),
    ranks=(0, 1, 1, 2, 0, 0, 5, 3),
    styles=("3D", "flat", "flat", "3D", "flat", "flat", "3D", "flat"),
)


def matcher() -> Matcher:
    torch.manual_seed(0)
    config = MatcherConfig(("cat", "dog", "face", "house", "lion", "rocket"), size=16, widths=(8, 16), blocks=(0, 1))
    return Matcher(MatcherNet(config), NAMES)


def noise(rows: int) -> torch.Tensor:
    return torch.rand(rows, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def test_shares_of_the_first_names():
    assert [TABLE.top(k) for k in (1, 2, 3, 5, 6)] == [3, 5, 6, 7, 8]
    assert TABLE.interval(5) == wilson_interval(7, 8)
    assert TABLE.summary()["top5"] == {"count": 7, "share": 7 / 8, "interval": list(wilson_interval(7, 8))}


def test_groups_add_up():
    for groups in (TABLE.by_style, TABLE.by_concept):
        for k in (1, 5):
            assert sum(rows.top(k) for rows in groups.values()) == TABLE.top(k)
        assert sum(rows.count for rows in groups.values()) == TABLE.count
    assert list(TABLE.by_style) == ["3D", "flat"]
    assert {name: (rows.top(), rows.count) for name, rows in TABLE.by_concept.items()} == {
        "cat": (1, 3),
        "cat face": (1, 2),
        "dog": (1, 1),
        "house": (0, 2),
    }


def test_the_worst_come_first_and_the_good_not_at_all():
    assert list(TABLE.worst()) == ["house", "cat", "cat face"]
    assert list(TABLE.worst(1)) == ["house"]


def test_confusions_count_both_ways():
    assert TABLE.confused() == [("cat", "cat face", 3), ("house", "lion", 1), ("house", "rocket", 1)]
    assert TABLE.confused(1) == [("cat", "cat face", 3)]


def test_a_table_comes_back_from_json():
    assert RetrievalTable.from_dict(json.loads(json.dumps(TABLE.to_dict()))) == TABLE


def test_markdown_says_all_of_it():
    text = TABLE.to_markdown(worst=2)
    assert text.startswith("3 of 8 samples (37.5 %, 95 % interval 13.7–69.4 %) are read as what was asked for")
    assert "out of 6 names; of 7 of 8 samples (87.5 %" in text
    assert "| flat  |        5 |" in text
    assert "| house" in text
    assert "cat face" in text
    assert "dog" not in text
    one_style = replace(TABLE, styles=("3D",) * 8)
    assert "| style" not in one_style.to_markdown()


def test_columns_are_equally_long():
    with pytest.raises(ValueError, match="equally long"):
        RetrievalTable(NAMES, (0, 1), (0,), (0, 0), ("", ""))


def test_a_judge_fills_the_table():
    judge, x = matcher(), noise(5)
    asked = ["dog", "lion", "cat", "cat", "rocket"]
    table = retrieved(x, asked, judge)
    probabilities = judge.probabilities(x, NAMES)
    assert table.candidates == NAMES
    assert [NAMES[k] for k in table.asked] == asked
    assert list(table.read) == probabilities.argmax(dim=1).tolist()
    orders = probabilities.argsort(dim=1, descending=True).tolist()
    assert list(table.ranks) == [order.index(NAMES.index(name)) for order, name in zip(orders, asked, strict=True)]
    assert list(table.by_style) == [""]
    some = retrieved(x[:2], asked[:2], judge, styles=["a", "b"], candidates=("lion", "dog"))
    assert (some.candidates, some.asked, list(some.by_style)) == (("lion", "dog"), (1, 0), ["a", "b"])


@pytest.mark.parametrize(
    ("asked", "styles", "message"),
    [
        ([], None, "at least one: 0 names and 0 styles for 2 pictures"),
        (["cat"], None, "a name and a style for each picture"),
        (["cat", "dog"], ["flat"], "2 names and 1 styles for 2 pictures"),
        (["cat", "hipster"], None, "unknown concept of the judge 'hipster'; choose one of "),
    ],
)
def test_what_cannot_be_judged_is_one_line(asked, styles, message):
    with pytest.raises(UsageError, match=message) as caught:
        retrieved(noise(2), asked, matcher(), styles=styles)
    assert "\n" not in str(caught.value)
