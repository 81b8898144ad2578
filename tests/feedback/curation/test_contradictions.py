"""Answers that cannot both be right are pointed out, and dates that have passed."""

from __future__ import annotations

from datetime import date

import pytest

from feedback.curation.contradictions import disagreements, outdated

TODAY = date(2026, 1, 1)


@pytest.mark.parametrize(("one", "other"), [
    ("Yes, you can.", "No, that is impossible."), ("It takes 5 days.", "Usually 14 days, I think."),
    ("The default is `None`.", "It is `True` by default."), ("You may open the box.", "You may not open the box."),
    ("Ask <EMAIL_123456>, 5 days.", "We need 14 days, my name is Ann.")])
def test_answers_that_cannot_both_be_right_disagree(one: str, other: str) -> None:
    assert len(list(disagreements([one, other]))) == 1


@pytest.mark.parametrize(("one", "other"), [
    ("It takes 5 days.", "5 days it takes"), ("Ask our support.", "Write a letter to Berlin."), ("Yes.", "Yes, always."),
    ("Use 5 or 6.", "Take whichever you like of 7, 8 and 9")])
def test_answers_that_may_both_be_right_do_not(one: str, other: str) -> None:
    assert list(disagreements([one, other])) == []


def test_a_disagreement_says_what_it_is_about() -> None:
    assert [found.reason for found in disagreements(["It is 5.", "It is 6."])] == ["5 against 6"]


@pytest.mark.parametrize("text", ["valid until 2025-12-31", "The offer expires on 31 December 2025", 
                                  "open till December 31, 2025", "g\u00fcltig bis 31.12.2025"])
def test_a_date_that_has_passed_is_found_in_any_spelling(text: str) -> None:
    assert outdated(text, today=TODAY) == date(2025, 12, 31)


@pytest.mark.parametrize("text", ["valid until 2026-12-31", "founded on 2001-01-01", "valid until 31 Foo 2025",
                                  "valid until 2025-02-31", ""])
def test_other_dates_are_not(text: str) -> None:
    assert outdated(text, today=TODAY) is None
