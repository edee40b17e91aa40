"""`sfumato views`: which there are, and whether one can make an anagram."""

import json

import numpy as np
import pytest

from sfumato.core.views import VIEWS


def test_every_view_is_listed_with_an_example_and_a_line(sfumato):
    done = sfumato("views", "list")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert [line.split()[0] for line in lines] == [kind.example for kind in VIEWS.values()]
    assert all(len(line) < 150 for line in lines)
    assert "flip                       Upside down: rows in reverse order." in lines
    assert [line.split()[0] for line in lines if "Cannot work" in line] == ["blur:2", "white-balance:1.5,1,0.75"]
    rows = json.loads(sfumato("views", "list", "--json").out)
    assert [row["name"] for row in rows] == list(VIEWS)
    assert rows[1] == {
        "name": "flip",
        "example": "flip",
        "summary": "Upside down: rows in reverse order.",
        "sound": True,
    }


def test_sound_views_are_told_with_exit_0(sfumato):
    done = sfumato("views", "check", "rotate:90+negate", "jigsaw", "--size", "16")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[:5] == [
        "rotate:90+negate at 16 px: it is linear, white noise stays white, and the way back is exact, bit for bit",
        "  linear       A(ax + by) − aAx − bAy: 0",
        "  undone       A⁻¹Ax − x: 0, condition number 1",
        "  orthogonal   AAᵀ − 1: 0",
        "  white noise  σ: 1.00, 1.00, 1.00; neighbours correlate by 0.002",
    ]
    assert len(done.out.splitlines()) == 10


def test_views_that_cannot_work_are_told_with_exit_1(sfumato):
    done = sfumato("views", "check", "flip", "circle:135", "blur:2", "white-balance:1.5", "--size", "16")
    assert done.code == 1
    assert done.err == "error: circle:135:r=0.375, blur:2, white-balance:1.5: no views of an anagram\n"
    told = "\n".join(line for line in done.out.splitlines() if not line.startswith(" "))
    assert "circle:135:r=0.375 at 16 px: white noise seen through it has standard deviation 0.87" in told
    assert "blur:2 at 16 px: white noise seen through it has standard deviation 0.17" in told
    assert "white-balance:1.5 at 16 px: white noise seen through it has standard deviation 1.50, which" in told
    assert "undone       A⁻¹Ax − x: off by 0.97, condition number" in done.out


def test_a_check_as_json(sfumato):
    done = sfumato("views", "check", "hinge", "blur:1", "--size", "16", "--json")
    assert done.code == 1
    sound, blur = json.loads(done.out)
    assert sound["view"] == "hinge:3"
    assert sound["shape"] == [3, 16, 16]
    assert sound["sound"] is True
    assert sound["orthogonality_error"] == 0
    assert blur["sound"] is False
    assert blur["inverse_error"] > 0.5


def test_a_file_is_checked_and_not_told_in_full(sfumato, tmp_path):
    np.save(tmp_path / "view.npy", np.arange(28 * 28, 0, -1))
    done = sfumato("views", "check", f"file:{tmp_path / 'view.npy'}", "--size", "28")
    assert (done.code, done.err) == (0, "")
    first = done.out.splitlines()[0]
    assert first.startswith("signed:28:28:")
    assert "…" in first
    assert len(first) < 200


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("twist",), "unknown view 'twist'; choose one of identity"),
        (("permute:7",), "permute:7:seed=0 cannot cut 64 pixels into 7 patches; choose one of 1, 2, 4, 8, 16, 32, 64"),
        (("white-balance:1,2",), "white-balance:1,2 has 2 gains for 3 channels"),
        (("file:nowhere.npy",), "cannot read nowhere.npy: No such file or directory"),
        (("flip", "--size", "0"), "'--size'"),
        ((), "Missing argument"),
    ],
)
def test_requests_that_cannot_be_meant(sfumato, arguments, message):
    done = sfumato("views", "check", *arguments)
    assert done.code == 2
    assert message in done.err
    assert done.err.count("\n") == 1
