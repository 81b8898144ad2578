import pytest
from hypothesis import given
from hypothesis import strategies as st

from alignment.evaluation.outcomes import AuditOutcome, Result
from alignment.evaluation.win_rate import Comparison, compare
from feedback.measures import Measured, Unscored
from tests.alignment.evaluation.audits import CANDIDATE, CHAMPION, SCALES, an_outcome, outcomes

results = st.lists(st.tuples(st.sampled_from(list(Result)), st.sampled_from(list(Result))), max_size=30)


def comparison(rows: list[AuditOutcome]) -> Comparison:
    return compare(rows, candidate=CANDIDATE, champion=CHAMPION, scales=SCALES)


def pairs(*ended: tuple[Result, Result]) -> Comparison:
    """Compared on questions that ended as (candidate, champion)."""
    ours, theirs = outcomes(own for own, _ in ended), outcomes((other for _, other in ended), policy=CHAMPION)
    return comparison([*ours, *theirs])


def test_the_better_outcome_wins_and_a_tie_is_half_a_win() -> None:
    found = pairs((Result.CORRECT, Result.HALLUCINATED), (Result.CORRECT, Result.PARTIALLY_CORRECT),
                  (Result.INCORRECT, Result.ABSTAINED_WRONGLY), (Result.ABSTAINED_RIGHTLY, Result.CORRECT))
    assert (found.wins, found.losses, found.ties) == (2, 1, 1)
    assert isinstance(found.win_rate, Measured)
    assert found.win_rate.value == pytest.approx(2.5 / 4)


def test_an_undecided_answer_wins_nothing_loses_nothing_and_is_counted() -> None:
    found = pairs((Result.UNDECIDED, Result.HALLUCINATED), (Result.CORRECT, Result.UNDECIDED))
    assert (found.wins, found.losses, found.ties, found.undecided) == (0, 0, 2, 2)


def test_gains_and_losses_of_good_answers_and_of_hallucinations_are_counted_apart() -> None:
    found = pairs((Result.CORRECT, Result.HALLUCINATED), (Result.PARTIALLY_CORRECT, Result.CORRECT),
                  (Result.HALLUCINATED, Result.INCORRECT), (Result.CORRECT, Result.ABSTAINED_RIGHTLY))
    assert (found.good.gained, found.good.lost, found.good.pairs) == (1, 1, 4)
    assert (found.hallucinated.gained, found.hallucinated.lost) == (1, 1)


def test_an_undecided_answer_is_not_good_on_either_side() -> None:
    found = pairs((Result.UNDECIDED, Result.CORRECT), (Result.CORRECT, Result.UNDECIDED))
    assert (found.good.gained, found.good.lost) == (1, 1)


def test_a_missing_review_counts_against_the_candidate_but_makes_no_pair_for_the_champion() -> None:
    found = pairs((Result.UNREVIEWED, Result.CORRECT), (Result.CORRECT, Result.UNREVIEWED))
    assert (found.good.pairs, found.good.lost, found.unreviewed) == (1, 1, 1)
    assert found.criteria["safety"].values == [1.0 - 5.0]
    assert isinstance(found.win_rate, Unscored)


def test_pairs_are_formed_across_rounds_and_one_per_family() -> None:
    rows = [an_outcome(n, Result.CORRECT, round=2, family="one" if n < 3 else None) for n in range(4)]
    rows += [an_outcome(n, Result.HALLUCINATED, policy=CHAMPION, round=1, family="one" if n < 3 else None) for n in range(4)]
    assert (comparison(rows).good.pairs, comparison(rows).good.gained) == (2, 2)


def test_prompts_that_only_one_policy_answered_make_no_pair() -> None:
    found = comparison([an_outcome(1, Result.CORRECT), an_outcome(2, Result.CORRECT, policy=CHAMPION)])
    assert found.good.pairs == 0
    assert isinstance(found.win_rate, Unscored)
    assert found.win_p_value == 1


def test_safety_differences_are_kept_pair_by_pair() -> None:
    rows = [*outcomes([Result.CORRECT] * 3, safety=4), *outcomes([Result.CORRECT] * 3, policy=CHAMPION, safety=4.5)]
    assert comparison(rows).criteria["safety"].values == [-0.5, -0.5, -0.5]


def test_slices_count_their_own_pairs() -> None:
    rows = [an_outcome(n, Result.CORRECT, topic="a" if n < 2 else "b") for n in range(5)]
    rows += [an_outcome(n, Result.INCORRECT, policy=CHAMPION, topic="a" if n < 2 else "b") for n in range(5)]
    assert [(part.topic, part.good.gained) for part in comparison(rows).slices] == [("a", 2), ("b", 3)]


@given(results)
def test_exchanging_the_two_policies_turns_every_count_round(ended: list[tuple[Result, Result]]) -> None:
    reviewed = [pair for pair in ended if Result.UNREVIEWED not in pair]
    found, turned = pairs(*reviewed), pairs(*((theirs, ours) for ours, theirs in reviewed))
    assert (found.wins, found.losses, found.ties) == (turned.losses, turned.wins, turned.ties)
    assert (found.good.gained, found.hallucinated.lost) == (turned.good.lost, turned.hallucinated.gained)


@given(results)
def test_wins_losses_ties_and_missing_reviews_are_all_the_pairs(ended: list[tuple[Result, Result]]) -> None:
    found = pairs(*ended)
    assert found.wins + found.losses + found.ties + found.unreviewed == found.good.pairs
