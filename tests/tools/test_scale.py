"""Curves of the benchmarks say what their points lie on."""

import pytest
from benchmarks.scale import Curve


def test_points_of_a_line_give_it_back():
    curve = Curve("n", tuple((n, 0.005 + 0.002 * n) for n in (1, 2, 8, 64)), lambda n, s: f"{n / s:.0f}", "a second")
    fit, words = curve.fitted()
    assert words == "5 ms + 2 ms · n"
    assert fit(100) == pytest.approx(0.205)
    assert "nowhere off by more than 0 %" in curve.table()


def test_points_of_a_power_give_it_back():
    points = tuple((n, 3e-4 * n**1.5) for n in (4, 9, 16, 25))
    fit, words = Curve("n", points, lambda n, s: "", "", power=True).fitted()
    assert words == "0.0003 s · n^1.50"
    assert fit(100) == pytest.approx(0.3)


def test_a_point_beside_the_curve_is_told():
    points = tuple((n, 0.1 * n * (2 if n == 4 else 1)) for n in (1, 2, 4, 8))
    worst = int(Curve("n", points, lambda n, s: "", "").table().split("more than ")[1].split(" %")[0])
    assert 20 <= worst <= 60


def test_two_points_are_no_curve():
    told = Curve("n", ((1, 2.0), (2, 1.0)), lambda n, s: f"{1 / s}", "a second").table()
    assert "fitted" not in told
