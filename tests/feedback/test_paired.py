import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from feedback.measures import Unscored
from feedback.paired import PairedTest, Sided, mcnemar_exact, sign_test

few = st.integers(0, 60)
SIDES: dict[Sided, str] = {"better": "greater", "worse": "less", "two": "two-sided"}
"""Ours and scipy's word."""


def p_value(test: PairedTest | Unscored) -> float:
    assert isinstance(test, PairedTest)
    return test.p_value


def test_five_pairs_gained_and_none_lost_are_one_in_thirty_two() -> None:
    assert p_value(mcnemar_exact(better=5, worse=0)) == pytest.approx(1 / 32)


def test_the_two_sided_test_doubles_the_smaller_tail() -> None:
    # 9 or more heads of 10: (10 + 1) / 1024, doubled
    assert p_value(sign_test(wins=9, losses=1)) == pytest.approx(22 / 1024)
    assert p_value(sign_test(wins=1, losses=9)) == pytest.approx(22 / 1024)


@given(few, few)
def test_the_tests_agree_with_scipys_binomial_test(better: int, worse: int) -> None:
    if better + worse:
        for sided, alternative in SIDES.items():
            expected = stats.binomtest(better, better + worse, alternative=alternative).pvalue
            assert p_value(mcnemar_exact(better=better, worse=worse, sided=sided)) == pytest.approx(expected)


@given(few, few, few)
def test_ties_are_told_and_change_nothing(wins: int, losses: int, ties: int) -> None:
    with_ties, without = sign_test(wins=wins, losses=losses, ties=ties), sign_test(wins=wins, losses=losses)
    if isinstance(with_ties, PairedTest):
        assert (with_ties.p_value, with_ties.ties) == (p_value(without), ties)
    else:
        assert isinstance(without, Unscored)


def test_only_ties_are_no_test_and_say_why() -> None:
    assert sign_test(wins=0, losses=0, ties=7) == Unscored(reason="every pair is a tie")
    assert isinstance(mcnemar_exact(better=0, worse=0), Unscored)


def test_equal_losses_and_gains_never_look_like_an_improvement() -> None:
    assert p_value(mcnemar_exact(better=20, worse=20)) > 0.5


def test_negative_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="a count is at least 0"):
        mcnemar_exact(better=-1, worse=3)
