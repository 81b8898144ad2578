"""Rankings weighed by who gave them: by hand where two answers are compared, by construction where more are."""

from __future__ import annotations

from itertools import combinations, permutations

import numpy as np
import pytest

from feedback.aggregation.orders import NEIGHBOURS, Ranking, apart, likelihood, orders, weigh_rankings


def ranking(item: int, reviewer: int, *places: int) -> Ranking:
    """The answers' places as pair votes: a lower place is better."""
    votes = tuple(float(np.sign(places[second] - places[first])) for first, second in combinations(range(len(places)), 2))
    return Ranking(item=item, reviewer=reviewer, votes=votes)


def test_three_answers_have_six_orders_and_three_pairs() -> None:
    assert orders(3).shape == (6, 3)
    # the first order is 0 1 2: neighbours are one place apart, the ends two
    assert apart(3)[0].tolist() == [1, 2, 1]


@pytest.mark.parametrize("size", [2, 3, 4])
def test_the_probabilities_of_all_rankings_add_up_to_one(size: int) -> None:
    every = [ranking(0, 0, *places).votes for places in permutations(range(size))]
    total = sum(likelihood(votes, size) for votes in every)
    assert np.allclose(total, 1)


def test_one_vote_is_doubted_as_much_as_an_unknown_reviewer() -> None:
    # Beta(6, 2) has the mean 0.75; a slip of 2 in 100 at random leaves 0.98 * 0.75 + 0.01 = 0.745
    better = weigh_rankings([ranking(0, 0, 0, 1)], answers={0: 2}, reviewers=1).better[0]
    assert better[0] == pytest.approx(0.745, abs=0.01)


def test_one_against_one_is_even_and_a_tie_takes_no_side() -> None:
    split = weigh_rankings([ranking(0, 0, 0, 1), ranking(0, 1, 1, 0)], answers={0: 2}, reviewers=2)
    tie = weigh_rankings([ranking(0, 0, 0, 0)], answers={0: 2}, reviewers=1)
    assert split.better[0][0] == pytest.approx(0.5)
    assert tie.better[0][0] == pytest.approx(0.5)


@pytest.mark.parametrize("places", [(0, 1, 1, 2), (0, 0, 1, 1), (0, 1, 1, 1), (0, 0, 0, 0)])
def test_ties_make_nobody_a_guesser(places: tuple[int, ...]) -> None:
    # One ranking an item: nothing shows how often anybody is right, so everybody is believed as one who is unknown.
    given = [ranking(item, item % 3, *places) for item in range(60)]
    alone = weigh_rankings(given, answers=dict.fromkeys(range(60), 4), reviewers=3)
    unknown = weigh_rankings([ranking(0, 0, 0, 1, 2, 3)], answers={0: 4}, reviewers=1)
    assert np.allclose(alone.accuracy, unknown.accuracy[0])
    untied = [at for at, vote in enumerate(ranking(0, 0, *places).votes) if vote]
    assert all(alone.better[0][at] > 0.7 for at in untied)


def test_preferences_in_a_circle_are_all_but_even() -> None:
    circle = [ranking(0, 0, 0, 1, 2), ranking(0, 1, 2, 0, 1), ranking(0, 2, 1, 2, 0)]
    assert weigh_rankings(circle, answers={0: 3}, reviewers=3).better[0] == pytest.approx([0.5, 0.5, 0.5], abs=0.02)


def test_the_ends_of_a_ranking_are_surer_than_its_neighbours() -> None:
    first_second, first_third, _ = weigh_rankings([ranking(0, 0, 0, 1, 2)], answers={0: 3}, reviewers=1).better[0]
    assert first_third > first_second > 0.6


def test_a_reviewer_who_ranks_upside_down_is_found_and_read_the_other_way_round() -> None:
    chance, rows = np.random.default_rng(0), []
    for item in range(30):
        places = chance.permutation(3)
        rows += [ranking(item, reviewer, *places) for reviewer in range(3)] + [ranking(item, 3, *(2 - places))]
    weighed = weigh_rankings([*rows, ranking(30, 3, 0, 1)], answers=dict.fromkeys(range(30), 3) | {30: 2}, reviewers=4)
    assert weighed.accuracy[3] < 0.3 < 0.8 < weighed.accuracy[0]
    assert weighed.attention[3] < 0.1
    assert weighed.better[30][0] < 0.3


def test_more_answers_than_can_be_added_up_are_refused() -> None:
    with pytest.raises(ValueError, match="7 answers ranked side by side; from 2 to 6"):
        weigh_rankings([], answers={0: 7}, reviewers=0)


def test_the_accuracies_rise() -> None:
    assert (np.diff(NEIGHBOURS) > 0).all()
