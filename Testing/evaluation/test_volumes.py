"""Bland and Altman's figures by hand, and points where the plot says they are."""

import numpy as np
import pytest
from BladderAutoContourLib.evaluation.chart import HEIGHT, WIDTH, Chart, ticks
from BladderAutoContourLib.evaluation.volumes import volume_agreement, volume_plot
from hypothesis import given
from hypothesis import strategies as st


def test_bias_and_limits():
    found = volume_agreement([(110.0, 100.0), (190.0, 200.0), (306.0, 300.0)])
    assert found.cases == 3
    assert found.bias_ml == pytest.approx(2.0)
    spread = 1.96 * np.std([10.0, -10.0, 6.0], ddof=1)
    assert (found.lower_ml, found.upper_ml) == pytest.approx((2 - spread, 2 + spread))


def test_one_case_has_a_bias_and_no_spread():
    found = volume_agreement([(90.0, 100.0)])
    assert (found.bias_ml, found.lower_ml, found.upper_ml) == (-10, -10, -10)
    assert volume_plot([(90.0, 100.0)]).shape == (HEIGHT, WIDTH, 3)


def test_points_lie_where_the_axes_say():
    chart = Chart("Title", "x", "y", (0.0, 200.0), (-50.0, 50.0))
    before = chart.picture.copy()
    chart.points([50.0], [25.0], (255, 196, 0))
    rows, columns = np.nonzero((chart.picture != before).any(axis=-1))
    assert rows.mean() == pytest.approx(chart.row(25.0), abs=0.6)
    assert columns.mean() == pytest.approx(chart.column(50.0), abs=0.6)
    assert chart.column(0.0) < chart.column(50.0) < chart.column(200.0) < WIDTH
    assert 0 < chart.row(50.0) < chart.row(25.0) < chart.row(-50.0) < HEIGHT


def test_every_case_is_a_point():
    def amber(picture: np.ndarray) -> int:
        return int(((picture[..., 0] > 150) & (picture[..., 2] < 60)).sum())

    pairs = [(100.0, 80.0), (200.0, 230.0), (300.0, 300.0), (400.0, 350.0)]
    assert amber(volume_plot(pairs)) == pytest.approx(2 * amber(volume_plot(pairs[:2])), rel=0.15)


@given(st.floats(-1000, 1000), st.floats(0.01, 5000))
def test_ticks_are_few_round_and_within(low, width):
    marks = ticks((low, low + width))
    assert 2 <= len(marks) <= 8
    assert all(low - 1e-6 * width <= mark <= low + width * (1 + 1e-6) for mark in marks)
    assert np.allclose(np.diff(marks), marks[1] - marks[0])
