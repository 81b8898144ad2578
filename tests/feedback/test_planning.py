from random import Random

import pytest

from feedback.intervals import aimed_at, clopper_pearson_upper, confidence_sequence
from feedback.measures import Measured, Unscored
from feedback.planning import Method, Plan, chance_of_passing, errors_allowed, fewest_reviews, reviews_needed


def plan(rate: float, power: float, method: Method) -> Plan:
    found = reviews_needed(rate, 0.02, power=power, method=method)
    assert isinstance(found, Plan)
    return found


def test_the_fewest_reviews_without_an_error_are_149_planned_and_177_peeking() -> None:
    assert (fewest_reviews(0.02, method="fixed"), fewest_reviews(0.02)) == (149, 177)


def test_eighty_percent_power_takes_386_reviews_at_half_a_percent_and_969_at_one() -> None:
    assert (plan(0.005, 0.8, "fixed").reviews, plan(0.01, 0.8, "fixed").reviews) == (386, 969)


def test_the_median_to_pass_while_peeking_is_328_at_half_a_percent_and_987_at_one() -> None:
    assert (plan(0.005, 0.5, "anytime").reviews, plan(0.01, 0.5, "anytime").reviews) == (328, 987)


def test_three_errors_pass_among_386() -> None:
    # P(at most 3 of 386 at 2 %) = 0.049
    assert errors_allowed(386, 0.02, method="fixed") == plan(0.005, 0.8, "fixed").errors_allowed == 3


@pytest.mark.parametrize("method", ["fixed", "anytime"])
def test_the_planner_and_the_bounds_agree_on_what_passes(method: Method) -> None:
    for reviews in (100, 149, 150, 177, 178, 329, 400, 900):
        allowed = errors_allowed(reviews, 0.02, method=method)
        for errors in (max(allowed, 0), allowed + 1):
            bound = (clopper_pearson_upper(errors, reviews) if method == "fixed"
                     else confidence_sequence(errors, reviews, mixture=aimed_at(0.02)))
            assert isinstance(bound, Measured)
            assert (bound.high < 0.02) == (errors <= allowed)


def test_the_chance_of_passing_while_peeking_agrees_with_played_runs() -> None:
    chance, runs, random = chance_of_passing(0.005, 0.02, reviews=400), 2000, Random(5)
    needed = [fewest_reviews(0.02, errors=errors) for errors in range(9)]
    passed = 0
    for _ in range(runs):
        errors = 0
        for n in range(1, 401):
            errors += random.random() < 0.005
            if errors < 9 and n >= needed[errors]:
                passed += 1
                break
    assert passed / runs == pytest.approx(chance, abs=3 * (chance * (1 - chance) / runs) ** 0.5)


def test_a_candidate_on_the_threshold_seldom_passes_however_long_one_watches() -> None:
    assert chance_of_passing(0.02, 0.02, reviews=5000) <= 0.05


def test_no_reviews_never_pass() -> None:
    assert chance_of_passing(0.0, 0.02, reviews=0) == 0


def test_a_hope_that_is_not_below_the_threshold_has_no_plan() -> None:
    found = reviews_needed(0.02, 0.02)
    assert isinstance(found, Unscored)
    assert "not below" in found.reason


def test_a_hope_too_near_the_threshold_is_given_up() -> None:
    found = reviews_needed(0.0195, 0.02, method="fixed")
    assert isinstance(found, Unscored)
    assert "50000" in found.reason
