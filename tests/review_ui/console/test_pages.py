"""The rounds page: what a lead reads at its head, and that no data is never a number."""

from __future__ import annotations

from dataclasses import replace

from review_ui.console.pages import NO_FIGURE, RoundsPage, cell, rounds_page
from tests.review_ui.console.rows import NONE, judged, share, waiting


def tile(page: RoundsPage, name: str) -> str:
    return next(tile.value for tile in page.tiles if tile.name == name)


def test_an_empty_project_has_a_page_without_figures() -> None:
    page = rounds_page("desk", ())
    assert (page.rows, page.tiles, page.notes) == ((), (), ())
    assert [panel.marks for panel in page.panels] == [(), (), ()]


def test_the_newest_round_stands_first() -> None:
    assert [row.number for row in rounds_page("desk", (judged(0), judged(1))).rows] == [1, 0]


def test_the_champion_is_the_last_promoted_round_not_the_last_round() -> None:
    page = rounds_page("desk", (judged(0), judged(1, hallucination=0.1), judged(2, promoted=False), waiting(3)))
    assert tile(page, "Champion") == "policy-00000000"
    assert tile(page, "Champion hallucinates") == "10%"
    assert tile(page, "Round 3") == "waiting: 163 reviews"


def test_before_the_base_is_judged_there_is_no_champion_to_show() -> None:
    assert [tile.name for tile in rounds_page("desk", (replace(waiting(0), promoted=True),)).tiles] == ["Round 0"]


def test_nothing_is_shipped_until_a_lead_says_so() -> None:
    assert tile(rounds_page("desk", (judged(0), judged(1))), "Shipped") == "none yet"
    assert tile(rounds_page("desk", (judged(0), judged(1, shipped=True), judged(2))), "Shipped") == "round 1"


def test_a_figure_is_shown_with_its_interval_and_count() -> None:
    shown = cell(share(0.2, low=0.15, high=0.26))
    assert (shown.value, shown.detail) == ("20%", "15% to 26%, n = 300")


def test_no_data_is_a_dash_with_its_reason_never_a_zero() -> None:
    shown = cell(NONE)
    assert (shown.value, shown.detail) == (NO_FIGURE, "163 reviews are still missing")


def test_one_reason_for_all_three_shares_is_said_once() -> None:
    assert waiting(1).why_no_figures == "163 reviews are still missing"
    assert judged(1).why_no_figures is None


def test_simulated_reviewers_are_called_so_before_any_figure() -> None:
    assert rounds_page("desk", (judged(0),)).warning is None
    warning = rounds_page("desk", (judged(0, simulated=True), judged(1), judged(2, simulated=True))).warning
    assert warning is not None
    assert "Simulated reviewers" in warning
    assert "rounds 0, 2" in warning
