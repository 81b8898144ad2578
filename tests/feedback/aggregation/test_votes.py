"""The plurality of equal votes, with its probability worked out by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback.aggregation.votes import majority, tally

LABELS = ("a", "b", "c")


def test_one_vote_is_as_sure_as_an_unknown_reviewer() -> None:
    # r = 0.8, K = 3: odds 0.8 * 2 / 0.2 = 8 a vote; 8 / (8 + 1 + 1) = 0.8
    result = tally(["b"], labels=LABELS)
    assert result.outcome == "b"
    assert result.probability == pytest.approx(0.8)


def test_two_agreeing_votes_make_it_surer() -> None:
    # 8^2 / (8^2 + 1 + 1) = 64 / 66
    assert tally(["a", "a"], labels=LABELS).probability == pytest.approx(64 / 66)


def test_a_shared_lead_stays_undecided() -> None:
    # 8 / (8 + 8 + 1)
    result = tally(["a", "b"], labels=LABELS)
    assert result.outcome is None
    assert result.most_likely == "a"
    assert result.probability == pytest.approx(8 / 17)


def test_the_most_votes_hold_without_more_than_half() -> None:
    # a 2, b 1, c 1: 64 / (64 + 8 + 8)
    result = tally(["a", "b", "c", "a"], labels=LABELS)
    assert result.outcome == "a"
    assert result.probability == pytest.approx(64 / 80)


@given(st.lists(st.sampled_from(LABELS), min_size=1), st.randoms())
def test_votes_in_any_order_give_the_same_tally(votes: list[str], chance: object) -> None:
    shuffled = list(votes)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert tally(shuffled, labels=LABELS) == tally(votes, labels=LABELS)
    assert 1 / 3 - 1e-9 <= tally(votes, labels=LABELS).probability <= 1


def test_ten_thousand_votes_do_not_overflow() -> None:
    assert tally(["a"] * 10_000, labels=LABELS).probability == 1


@pytest.mark.parametrize(("votes", "said"), [([], None), ([True], True), ([False, True], None), ([True, False, False], False)])
def test_an_even_split_says_neither_yes_nor_no(votes: list[bool], said: bool | None) -> None:
    assert majority(votes) is said
