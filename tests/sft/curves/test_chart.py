"""Curves become lines between round numbers."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sft.curves.chart import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Series, chart, short

NUMBERS = st.floats(-1e6, 1e6).map(lambda value: round(value, 4))


def test_a_line_goes_from_the_first_point_to_the_last():
    drawn = chart("Loss", [Series("loss", ((0.0, 0.0), (10.0, 1.0)))], hint="low is good")
    assert drawn is not None
    assert drawn.series[0].path == f"M{LEFT}.0 {HEIGHT - BOTTOM}.0L{WIDTH - RIGHT}.0 {TOP}.0".replace(".0.0", ".0")
    assert [tick.label for tick in drawn.y_ticks] == ["0", "0.2", "0.4", "0.6", "0.8", "1"]
    assert drawn.description == "loss: from 0 to 1"


def test_nothing_to_draw_is_no_picture():
    assert chart("Loss", [Series("loss", ())], hint="") is None


def test_a_value_to_compare_with_lies_inside_the_picture():
    drawn = chart("Loss", [Series("loss", ((0.0, 0.1), (1.0, 0.2)))], hint="", compare=math.log(2))
    assert drawn is not None
    assert drawn.line_at is not None
    assert TOP <= drawn.line_at <= HEIGHT - BOTTOM


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=20))
def test_every_point_lies_inside_and_the_axes_are_named(points):
    drawn = chart("any", [Series("any", tuple(sorted(points)), dots=True)], hint="")
    assert drawn is not None
    for x, y in drawn.series[0].dots:
        assert LEFT - 0.1 <= x <= WIDTH - RIGHT + 0.1
        assert TOP - 0.1 <= y <= HEIGHT - BOTTOM + 0.1
    assert 2 <= len(drawn.y_ticks) <= 8


@pytest.mark.parametrize(("value", "shown"), [(0.0, "0"), (-1.5, "\N{MINUS SIGN}1.5"), (2e-5, "2.0e-5"), (1234.0, "1234")])
def test_numbers_are_short(value, shown):
    assert short(value) == shown
