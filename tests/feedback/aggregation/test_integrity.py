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
from feedback.schemas import Purpose, Quarantine, Queue, RankAnswer, ReviewItem
from tests.feedback.reviewed import Bench, a_person, rate
from tests.people import START, a_rating

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


@pytest.mark.parametrize(("same", "proposed"), [(("accuracy",), False), (("accuracy", "tone", "safety"), True)])
def test_one_value_throughout_is_noticed_and_proposed_where_every_scale_has_it(same: tuple[str, ...], proposed: bool) -> None:
    bench, chance = Bench(), np.random.default_rng(0)
    for number in range(40):
        fair = {name: int(chance.integers(1, 6)) for name in ("accuracy", "tone", "safety")}
        honest = [rate(criteria={name: int(np.clip(value + chance.integers(-1, 2), 1, 5)) for name, value in fair.items()})
                  for _ in range(3)]
        bench.rated(f"q{number}", "a", by=[*honest, rate(criteria=fair | dict.fromkeys(same, 4))])
    everybody = profiles(weighed_contents(bench.contents))
    assert [row.name for row in everybody if "one answer throughout" in signs(row)] == ["sim-3"]
    assert ("one answer throughout: accuracy `4` on 40 of 40 answers" in (everybody[3].proposed or "")) is proposed


@pytest.mark.parametrize(("reviewers", "answers"), [(1, 40), (3, 40), (3, 400)])
def test_the_best_value_for_answers_that_are_all_good_is_no_habit(reviewers: int, answers: int) -> None:
    bench = Bench()
    for number in range(answers):
        bench.rated(f"q{number}", "a", by=["correct"] * reviewers)
    assert all(row.findings == () for row in profiles(weighed_contents(bench.contents)))


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
    with pytest.raises(InvalidInput, match=f"probabilities of {completions[3]} add up to 0 over correct, partially correct"):
        doubted(weighing, given | {completions[3]: {"right": 1.0}})


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


def rankings(odd: Callable[[list[int]], list[list[int]]], *, items: int = 30) -> Bench:
    """Answers that sim-0 to sim-2 rank as they are, with now and then two neighbours exchanged, and sim-3 as `odd` says.

    `odd` gets the answers in the order shown.
    """
    bench, chance = Bench(), np.random.default_rng(0)
    for number in range(items):
        orders = [[0, 1, 2, 3] for _ in range(3)]
        for order in orders:
            if chance.random() < 0.3:
                at = int(chance.integers(3))
                order[at:at + 2] = order[at:at + 2][::-1]
        texts = [f"a{number}", f"b{number}", f"c{number}", f"d{number}"]
        shown = bench.ranked(f"q{number}", texts, by=[[[at] for at in order] for order in orders])
        item = bench.items[-1]
        mine = odd([[row.id for row in shown].index(id) for id in item.completion_ids])
        named = tuple(tuple(shown[at].id for at in tier) for tier in mine)
        bench.ratings.append(a_rating(item.id, a_person("sim-3"), RankAnswer(tiers=named), minutes=len(bench.ratings)))
    return bench


@pytest.mark.parametrize(("odd", "said"), [
    (lambda shown: [shown], "all answers tied in 30 of 30 rankings, others in 0%"),
    (lambda shown: [[at] for at in shown], "the order shown, in 30 of 30 rankings"),
    (lambda shown: [[at] for at in reversed(shown)], "the order shown, from the last to the first, in 30 of 30 rankings"),
    (lambda shown: [[shown[2]], [shown[0], shown[1]], [shown[3]]], "the places 2, 2, 1, 3 in the order shown in 30 of 30")])
def test_the_same_places_throughout_are_noticed_and_proposed(odd: Callable[[list[int]], list[list[int]]], said: str) -> None:
    everybody = profiles(weighed_contents(rankings(odd).contents))
    assert [row.name for row in everybody if "one answer throughout" in signs(row)] == ["sim-3"]
    assert said in (everybody[3].proposed or "")


@pytest.mark.parametrize("items", [30, 200])
def test_ties_of_answers_that_everybody_ties_are_no_habit(items: int) -> None:
    bench = Bench()
    for number in range(items):
        bench.ranked(f"q{number}", [f"a{number}", f"b{number}"], by=[[[0, 1]]] * 3)
    assert all(row.findings == () for row in profiles(weighed_contents(bench.contents)))


@pytest.mark.parametrize(("turned", "noticed"), [(0, False), (3, False), (6, True), (12, True)])
def test_who_turns_their_rankings_round_at_the_second_look_is_noticed(turned: int, noticed: bool) -> None:
    bench = Bench()
    for number in range(12):
        bench.ranked(f"q{number}", [f"a{number}", f"b{number}", f"c{number}"], by=[[[0], [1], [2]]])
        first, rating = bench.items[-1], bench.ratings[-1]
        again = ReviewItem.of(queue=Queue.RANK, purpose=Purpose.TRAIN, round=1, prompt_id=first.prompt_id,
                              completion_ids=first.completion_ids, again=1)
        bench.items.append(again)
        tiers = rating.answer.tiers[::-1] if number < turned else rating.answer.tiers  # type: ignore[union-attr]
        bench.ratings.append(a_rating(again.id, a_person("sim-0"), RankAnswer(tiers=tiers), minutes=100 + number))
    found = profile_of(bench, 0)
    assert ("contradicts themselves" in signs(found)) is noticed
    assert ("mostly the other order at the second look in 12 of 12 repeated rankings" in (found.proposed or "")) is (turned == 12)
