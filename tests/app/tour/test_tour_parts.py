"""Formulas and charts of a page."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sfumato.app.report.chart import Axis, Series, chart, smoothed
from sfumato.app.report.figures import Row, Tile, figure, side_by_side, text
from sfumato.app.report.formula import formula
from sfumato.app.tour.texts import TEXTS


def test_formulas():
    assert "<msub><mi>x</mi><mi>t</mi></msub>" in formula("x_t")
    assert "<mfrac>" in formula("frac{1}{2}")
    assert '<mover accent="true"><mi>α</mi><mo>¯</mo></mover>' in formula("ᾱ")
    assert "<msub><mo>∑</mo><mi>i</mi></msub>" in formula("Σ_i")
    assert "&lt;" in formula("a < b")
    for about in TEXTS.values():
        for line in about.formula.splitlines():
            formula(line)
    for broken in ("frac{1}", "{x", "x}", "x_"):
        with pytest.raises(ValueError, match="formula"):
            formula(broken)


def test_charts():
    drawn = chart([Series("loss", ((1, 1.0), (10, 0.1), (100, 0.01)))], "step", "loss", "It falls.", log_y=True)
    assert "1 at 1 to 0.01 at 100" in drawn
    assert drawn.count("<circle") == 3
    assert chart([Series("nothing", ())], "x", "y", "") == ""
    flat = chart([Series("flat", ((0, 2.0), (1, 2.0)))], "x", "y", "")
    assert "nan" not in flat
    many = chart([Series("many", tuple((float(k), float(k)) for k in range(50)))], "x", "y", "")
    assert "<circle" not in many
    assert Axis("x", 0, 10, False, 0, 100).ticks() == [0, 2, 4, 6, 8, 10]
    assert Axis("x", 0.1, 10, True, 0, 100).ticks() == pytest.approx([0.1, 0.2, 0.5, 1, 2, 5, 10])
    assert Axis("x", 0.7, 1.35, True, 0, 100).ticks() == pytest.approx([0.8, 1, 1.2])


@given(low=st.floats(1e-6, 1e6), ratio=st.floats(1.01, 1e6), log=st.booleans())
def test_an_axis_has_two_values_to_read_it_by(low, ratio, log):
    values = Axis("x", low, low * ratio, log, 0, 100).ticks()
    assert 2 <= len(values) <= 12
    assert values == sorted(set(values))


def test_large_pictures_are_smooth_and_small_ones_square():
    small, large = (figure([Row([Tile(torch.zeros(1, n, n), "black")])], "") for n in (28, 256))
    assert 'class="pixels"' in small
    assert "--tile:112px" in small
    assert 'class="pixels"' not in large
    assert "--tile:256px" in large


def test_figures_side_by_side():
    assert side_by_side([]) == ""
    assert side_by_side(["<p>one</p>"]) == "<p>one</p>"
    assert side_by_side(["<p>one</p>", "<p>two</p>"]).startswith('<div class="pair">')


def test_text_is_escaped():
    assert text('<"&') == "&lt;&quot;&amp;"


def test_a_smoothed_curve_starts_where_the_curve_does_and_does_not_lag():
    fall = [(float(k), 100.0 - k) for k in range(50)]
    assert all(ours == pytest.approx(line) for ours, line in zip(smoothed(fall, 9)[:-4], fall, strict=False))
    noisy = [(x, y + (-1) ** k) for k, (x, y) in enumerate(fall)]
    assert smoothed(noisy, 9)[0] == noisy[0]
    assert max(abs(y - line) for (_, y), (_, line) in zip(smoothed(noisy, 9)[4:-4], fall[4:-4], strict=True)) < 0.12
    assert smoothed(noisy, 1) == tuple(noisy)
    assert smoothed([], 3) == ()
