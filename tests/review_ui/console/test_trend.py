"""The trend's geometry: what is drawn where, and nothing where there is no figure."""

from __future__ import annotations

import pytest

from feedback.measures import Figure, Unscored
from review_ui.console.trend import BOTTOM, HEIGHT, TOP, Panel, TrendPoint, panel, percent
from tests.review_ui.console.rows import NONE, share


def drawn(*figures: Figure) -> Panel:
    return panel("correct", "Correct", hint="higher is better",
                 points=[TrendPoint(number, figure, promoted=True) for number, figure in enumerate(figures)])


def test_zero_is_the_bottom_and_the_axis_end_is_the_top() -> None:
    (mark,) = drawn(share(0.5, low=0.0, high=1.0)).marks
    assert mark.low_y == HEIGHT - BOTTOM
    assert mark.high_y == TOP
    assert mark.y == (TOP + HEIGHT - BOTTOM) / 2


def test_a_higher_share_stands_higher() -> None:
    first, second = drawn(share(0.5, low=0.4, high=0.6), share(0.6, low=0.5, high=0.7)).marks
    assert second.y < first.y
    assert second.x > first.x


def test_a_round_without_a_figure_leaves_a_gap_and_no_line_crosses_it() -> None:
    figure = share(0.5, low=0.4, high=0.6)
    shown = drawn(figure, NONE, figure)
    assert len(shown.marks) == 2
    assert shown.lines == ()
    assert [tick.label for tick in shown.x_ticks] == ["0", "1", "2"]


def test_the_description_says_every_figure_and_every_missing_one() -> None:
    text = drawn(share(0.5, low=0.4, high=0.6), NONE).description
    assert text == "round 0: 50%, 95% interval 40% to 60%, n = 300; round 1: no figure: 163 reviews are still missing"


def test_no_round_draws_axes_alone() -> None:
    shown = drawn()
    assert (shown.marks, shown.lines, shown.x_ticks) == ((), (), ())
    assert shown.description == "no round yet"
    assert [tick.label for tick in shown.y_ticks] == ["0%", "25%", "50%", "75%", "100%"]


def test_the_axis_ends_above_the_highest_interval() -> None:
    assert drawn(share(0.01, low=0.0, high=0.04)).y_ticks[-1].label == "5%"
    assert drawn(share(0.3, low=0.2, high=0.51)).y_ticks[-1].label == "100%"


def test_many_rounds_name_only_some_of_themselves() -> None:
    figures = [share(0.5, low=0.4, high=0.6)] * 40
    labels = [tick.label for tick in drawn(*figures).x_ticks]
    assert labels == ["0", "4", "8", "12", "16", "20", "24", "28", "32", "36"]


def test_only_missing_figures_draw_no_mark() -> None:
    assert drawn(NONE, Unscored(reason="nothing reviewed")).marks == ()


@pytest.mark.parametrize(("value", "text"), [(0, "0%"), (0.0004, "0.04%"), (0.0123, "1.2%"), (0.0996, "10%"), (1, "100%")])
def test_a_small_share_keeps_its_decimals(value: float, text: str) -> None:
    assert percent(value) == text
