import math
from collections.abc import Callable
from functools import partial
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from feedback.intervals import (
    JEFFREYS,
    aimed_at,
    bootstrap_mean,
    clopper_pearson,
    clopper_pearson_lower,
    clopper_pearson_upper,
    confidence_sequence,
    log_evidence,
    lower_mean,
    mean_interval,
    paired_difference,
    wilson,
)
from feedback.measures import Figure, Measured, Unscored

counts = st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
ratings = st.lists(st.sampled_from([1.0, 1.5, 2.0, 3.0, 4.0, 4.5, 5.0]), min_size=1, max_size=60)


def measured(figure: Figure) -> Measured:
    assert isinstance(figure, Measured)
    return figure


def test_zero_errors_in_149_are_the_fewest_that_show_less_than_two_percent_with_n_fixed() -> None:
    # 0.98^149 = 0.0493 <= 0.05 < 0.98^148 = 0.0503
    assert measured(clopper_pearson_upper(0, 149)).high == pytest.approx(1 - 0.05 ** (1 / 149))
    assert measured(clopper_pearson_upper(0, 149)).high < 0.02 < measured(clopper_pearson_upper(0, 148)).high


def test_zero_errors_in_177_are_the_fewest_that_show_less_than_two_percent_to_people_who_peek() -> None:
    mixture = aimed_at(0.02)
    assert measured(confidence_sequence(0, 177, mixture=mixture)).high < 0.02
    assert measured(confidence_sequence(0, 176, mixture=mixture)).high > 0.02


def test_zero_errors_in_320_are_the_fewest_with_jeffreys_mixture() -> None:
    # B(1/2, 320.5) / B(1/2, 1/2) is about 1 / sqrt(320 pi) = 0.0315, and 0.98^320 = 0.00156: 0.0315 / 0.00156 = 20.2 >= 1/0.05
    assert measured(confidence_sequence(0, 320)).high < 0.02 < measured(confidence_sequence(0, 319)).high


def test_clopper_pearson_agrees_with_scipy() -> None:
    for k, n in ((0, 20), (1, 20), (12, 20), (20, 20), (3, 997)):
        expected = stats.binomtest(k, n).proportion_ci(0.95, method="exact")
        found = measured(clopper_pearson(k, n))
        assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_one_sided_bounds_agree_with_scipy() -> None:
    for k, n in ((0, 20), (7, 60), (60, 60)):
        upper = stats.binomtest(k, n, alternative="less").proportion_ci(0.95, method="exact").high
        lower = stats.binomtest(k, n, alternative="greater").proportion_ci(0.95, method="exact").low
        assert measured(clopper_pearson_upper(k, n)).high == pytest.approx(upper, abs=1e-12)
        assert measured(clopper_pearson_lower(k, n)).low == pytest.approx(lower, abs=1e-12)


def test_twelve_wins_of_twenty_are_between_39_and_78_percent() -> None:
    found = measured(wilson(12, 20))
    assert (round(found.low, 2), round(found.high, 2)) == (0.39, 0.78)


def test_wilson_agrees_with_scipy() -> None:
    for k, n in ((0, 20), (5, 81), (20, 20)):
        expected = stats.binomtest(k, n).proportion_ci(0.9, method="wilson")
        found = measured(wilson(k, n, level=0.9))
        assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_an_aimed_mixture_has_three_tenths_of_the_threshold_as_its_mean() -> None:
    mixture = aimed_at(0.02)
    assert mixture.a / (mixture.a + mixture.b) == pytest.approx(0.006)


def test_evidence_is_what_a_gambler_who_predicts_each_answer_wins() -> None:
    # Betting Jeffreys' prediction (1/2 + errors so far) / (1 + answers so far) on false, false, true against 0.3:
    # (1/2)/1 for the first error 0.5, (3/2)/2 for the second 0.75, then right with 1 - (5/2)/3 = 1/6.
    won = (0.5 / 0.3) * (0.75 / 0.3) * ((1 / 6) / 0.7)
    assert float(log_evidence(2, 3, rate=0.3, mixture=JEFFREYS)) == pytest.approx(math.log(won))


def test_nothing_counted_is_no_figure() -> None:
    for interval in (clopper_pearson, clopper_pearson_upper, clopper_pearson_lower, wilson, confidence_sequence):
        assert interval(0, 0) == Unscored(reason="nothing was counted (n = 0)")
    assert isinstance(mean_interval([], bounds=(1, 5)), Unscored)
    assert isinstance(bootstrap_mean([], bounds=(1, 5)), Unscored)


def test_impossible_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="counted 3 of 2"):
        clopper_pearson(3, 2)
    with pytest.raises(ValueError, match="counted -1 of 2"):
        confidence_sequence(-1, 2)


def test_a_level_outside_0_to_1_is_refused() -> None:
    with pytest.raises(ValueError, match="level is 95"):
        clopper_pearson(1, 2, level=95)


def test_a_rating_outside_the_scale_is_refused() -> None:
    with pytest.raises(ValueError, match="value 7 lies outside the scale 1 to 5"):
        mean_interval([3, 7], bounds=(1, 5))


@given(counts)
@settings(deadline=None)
def test_every_interval_holds_its_value_and_stays_within_0_to_1(count: tuple[int, int]) -> None:
    for interval in (clopper_pearson, clopper_pearson_upper, clopper_pearson_lower, wilson, confidence_sequence):
        found = measured(interval(*count))
        assert 0 <= found.low <= found.value <= found.high <= 1


@given(counts)
@settings(deadline=None)
def test_one_more_error_never_lowers_an_upper_bound(count: tuple[int, int]) -> None:
    k, n = count
    if k < n:
        for interval in (clopper_pearson, clopper_pearson_upper, wilson, confidence_sequence):
            assert measured(interval(k, n)).high <= measured(interval(k + 1, n)).high


@given(counts)
@settings(deadline=None)
def test_an_anytime_valid_interval_is_wider_than_the_one_for_a_single_look(count: tuple[int, int]) -> None:
    peeking, once = measured(confidence_sequence(*count)), measured(clopper_pearson_upper(*count))
    assert peeking.high >= once.high


def test_the_ends_of_a_confidence_sequence_are_where_the_evidence_reaches_its_limit() -> None:
    found = measured(confidence_sequence(8, 300, level=0.9))
    for end in (found.low, found.high):
        assert float(log_evidence(8, 300, rate=end, mixture=JEFFREYS)) == pytest.approx(math.log(10), abs=1e-6)


def test_a_mean_of_many_spread_ratings_has_the_t_interval() -> None:
    values = [Random(value).choice([1.0, 2, 3, 4, 5]) for value in range(200)]
    expected = stats.t.interval(0.95, 199, loc=sum(values) / 200, scale=stats.sem(values))
    found = measured(mean_interval(values, bounds=(1, 5)))
    assert (found.low, found.high) == pytest.approx(expected, abs=1e-9)


def test_twenty_equal_ratings_do_not_show_that_all_are_equal() -> None:
    # 0.025^(1/20) = 0.8316: 16.84 % of ratings may be unseen, and be 1 instead of 5.
    for interval in (mean_interval, bootstrap_mean):
        found = measured(interval([5.0] * 20, bounds=(1, 5)))
        assert (found.value, found.high) == (5, 5)
        assert found.low == pytest.approx(5 - 4 * (1 - 0.025 ** (1 / 20)), abs=1e-9)


def test_a_single_rating_says_nothing_beyond_the_scale() -> None:
    found = measured(mean_interval([4.0], bounds=(1, 5)))
    assert (found.value, found.low, found.high, found.n) == (4, 1, 5, 1)


def capped_by_search(values: list[float], tail: float) -> float:
    """The highest t bound of the values capped at any of many heights."""
    n, best = len(values), -math.inf
    for step in range(4001):
        capped = [min(value, 1 + step / 1000) for value in values]
        mean = sum(capped) / n
        sem = math.sqrt(sum((value - mean) ** 2 for value in capped) / (n * (n - 1)))
        best = max(best, mean + float(stats.t.ppf(tail, n - 1)) * sem)
    return best


def test_the_monotone_bound_is_the_best_among_all_caps() -> None:
    values = [3.0, 3.0, 3.5, 3.0, 3.0, 2.5, 3.0, 5.0]
    # The scale ends at 2.5 here, so that the unseen tail does not decide.
    found, plain = lower_mean(values, least=2.5, tail=0.05), 3.25 - float(stats.t.ppf(0.95, 7) * stats.sem(values))
    assert found == pytest.approx(capped_by_search(values, 0.05), abs=1e-4)
    assert found > plain + 0.1


def rises_with_every_value(lower: Callable[[list[float]], float], values: list[float], place: int) -> bool:
    better = [*values]
    better[place] = 5.0
    return lower(better) >= lower(values) - 1e-9


@given(ratings, st.randoms(use_true_random=False))
def test_a_higher_rating_never_lowers_the_lower_end_of_a_mean(values: list[float], random: Random) -> None:
    for tail in (0.005, 0.05, 0.2):
        assert rises_with_every_value(partial(lower_mean, least=1, tail=tail), values, random.randrange(len(values)))


def test_the_plain_t_bound_fails_that_property() -> None:
    def plain(values: list[float]) -> float:
        return float(stats.t.interval(0.9, len(values) - 1, loc=sum(values) / len(values), scale=stats.sem(values))[0])

    assert not rises_with_every_value(plain, [3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.1, 3.2], 0)


@given(ratings)
def test_a_mean_interval_mirrors_when_the_scale_is_turned_round(values: list[float]) -> None:
    found = measured(mean_interval(values, bounds=(1, 5)))
    mirrored = measured(mean_interval([6 - value for value in values], bounds=(1, 5)))
    assert (6 - mirrored.high, 6 - mirrored.low) == pytest.approx((found.low, found.high))


def test_a_bootstrap_is_the_same_for_the_same_seed_only() -> None:
    values = [Random(value).random() for value in range(40)]
    first, again, other = (bootstrap_mean(values, bounds=(0, 1), seed=seed, draws=300) for seed in (1, 1, 2))
    assert first == again != other


def test_a_paired_difference_is_the_mean_of_the_differences() -> None:
    # (5-4 + 4-4 + 3-5) / 3 = -1/3, and three pairs show little
    found = measured(paired_difference([5, 4, 3], [4, 4, 5], bounds=(1, 5)))
    assert found.value == pytest.approx(-1 / 3)
    assert found.low < -1 < 1 < found.high


def test_unequal_lists_are_no_pairs() -> None:
    with pytest.raises(ValueError, match="2 values cannot be paired with 1"):
        paired_difference([1, 2], [1], bounds=(1, 5))
