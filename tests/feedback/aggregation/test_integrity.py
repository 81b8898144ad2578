"""Profiles: what is planted is noticed, and who is only strict, few or in a minority is not proposed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from feedback.aggregation.cliques import cliques
from feedback.aggregation.integrity import Profile, doubted, profiles
from feedback.aggregation.reviewers import figures
from feedback.aggregation.verdicts import weighed_contents
from feedback.errors import InvalidInput
from feedback.ids import ReviewerId
from feedback.measures import Measured, Unscored
from feedback.schemas import Purpose, Quarantine
from tests.feedback.reviewed import Bench, rate
from tests.people import START

TRUTHS = ("correct", "incorrect", "partially correct")


def panel(odd: Callable[[int], str], *, answers: int = 40) -> Bench:
    """Answers of all kinds, rated rightly by sim-0 to sim-2, who slip one time in ten, and by sim-3 as `odd` says."""
    bench, chance = Bench(), np.random.default_rng(0)
    for number in range(answers):
        slips = (chance.random(3) < 0.1).astype(int)
        bench.rated(f"q{number}", "a", by=[*(TRUTHS[(number + slip) % 3] for slip in slips), odd(number)])
    return bench


def profile_of(bench: Bench, number: int = 3, **options: object) -> Profile:
    return profiles(weighed_contents(bench.contents), **options)[number]  # type: ignore[arg-type]


def signs(profile: Profile) -> set[str]:
    return {finding.sign for finding in profile.findings}


def test_one_verdict_throughout_is_noticed_and_proposed() -> None:
    found = profile_of(panel(lambda number: "correct"))
    assert "one answer throughout" in signs(found)
    assert found.proposed


def test_who_is_always_against_is_proposed_and_the_others_are_not() -> None:
    bench = panel(lambda number: TRUTHS[(number + 1) % 3])
    everybody = profiles(weighed_contents(bench.contents))
    assert [row.name for row in everybody if row.proposed] == ["sim-3"]
    assert "no bearing on the truth" in (everybody[3].proposed or "")


def test_who_rates_well_is_not_proposed() -> None:
    assert profile_of(panel(lambda number: TRUTHS[number % 3])).findings == ()


def test_a_strict_reviewer_has_a_severity_and_no_proposal() -> None:
    bench = Bench()
    for number in range(30):
        fair, strict = (rate(criteria={"tone": 2 + number % 4 - less}) for less in (0, 1))
        bench.rated(f"q{number}", "a", by=[fair, fair, strict])
    weighing = weighed_contents(bench.contents)
    severity = figures(weighing)[2].severity["tone"]
    assert isinstance(severity, Measured)
    assert severity.high < 0
    assert profiles(weighing)[2].proposed is None


def test_with_few_ratings_nobody_is_proposed() -> None:
    assert profile_of(panel(lambda number: TRUTHS[(number + 1) % 3], answers=6)).proposed is None


def test_hurried_reviews_are_noticed_where_seconds_are_known() -> None:
    bench = panel(lambda number: TRUTHS[number % 3])
    seconds = {row.id: 2.0 if row.reviewer_id == "sim-3" else 40.0 for row in bench.ratings}
    found = profile_of(bench, seconds=seconds)
    # the usual review takes 40 s, and a quarter of that is 10 s
    assert [finding.said for finding in found.findings] == ["40 of 40 rate reviews in under 10 s; 40 s are usual"]


def test_who_fails_gold_is_proposed_and_the_share_is_told() -> None:
    bench = Bench()
    for number in range(12):
        bench.known(bench.rated(f"q{number}", "a", by=["correct", "incorrect"], purpose=Purpose.GOLD), "correct")
    right, wrong = profiles(weighed_contents(bench.contents))
    assert right.proposed is None
    assert "fails gold: right on 0% of 12 known answers" in (wrong.proposed or "")


def test_contradicting_oneself_on_repeated_answers_is_noticed() -> None:
    bench = Bench()
    for number in range(12):
        bench.rated(f"q{number}", "a", by=["correct"])
        bench.rated(f"q{number}", "a", by=["incorrect"])
        first, second = bench.items[-2:]
        bench.items[-1] = second.model_copy(update={"completion_ids": first.completion_ids})
    assert "contradicts themselves" in signs(profile_of(bench, 0))


def test_two_who_share_their_mistakes_are_a_clique() -> None:
    bench, chance = Bench(), np.random.default_rng(1)
    for number in range(120):
        slips = [int(slip) for slip in chance.random(5) < np.array([0.1, 0.1, 0.1, 0.1, 0.4])]
        bench.rated(f"q{number}", "a", by=[TRUTHS[(number + slip) % 3] for slip in [*slips, slips[4]]])
    found, = cliques(weighed_contents(bench.contents).asked["verdict"])
    assert found.reviewers == ("sim-4", "sim-5")
    assert found.agreed == found.shared == 120


def test_independent_reviewers_are_no_clique() -> None:
    assert cliques(weighed_contents(panel(lambda number: TRUTHS[number % 3]).contents).asked["verdict"]) == []


def test_ratings_that_a_model_doubts_are_counted_by_reviewer() -> None:
    bench = panel(lambda number: TRUTHS[(number + (number < 12)) % 3])
    weighing = weighed_contents(bench.contents)
    completions = [row.id for row in weighing.contents.completions]
    of = {item.completion_ids[0]: number for number, item in enumerate(bench.items)}
    given = {id: {value: 0.9 if value == TRUTHS[of[id] % 3] else 0.05 for value in TRUTHS} for id in completions}
    assert sum(doubted(weighing, given).values()) <= 4
    with pytest.raises(InvalidInput, match="no model probabilities for 39 of 40 rated answers"):
        doubted(weighing, {completions[0]: given[completions[0]]})


def test_who_is_in_quarantine_is_not_proposed_again_and_keeps_the_figures_that_gold_gave() -> None:
    bench = panel(lambda number: "correct")
    out = Quarantine(reviewer_id=ReviewerId("sim-3"), reason="one answer", actor="lead", at=START)
    found = profiles(weighed_contents(replace(bench.contents, quarantined=(out,))))[3]
    assert (found.quarantined, found.proposed, found.ratings) == ("one answer", None, 40)


def test_figures_say_why_there_are_none() -> None:
    bench = Bench()
    bench.rated("q", "a", by=["correct"])
    only, = figures(weighed_contents(bench.contents))
    assert isinstance(only.accuracy, Measured)
    assert isinstance(only.gold, Unscored)
    assert isinstance(only.with_majority, Unscored)
    assert only.ranking == Unscored(reason="ranked nothing that counts")
