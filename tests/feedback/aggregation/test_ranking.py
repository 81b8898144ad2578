"""Pairs from rankings: ties stay ties, circles stay undecided, and doubt is worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback.aggregation.conclusions import Outcome, PairVerdict
from feedback.aggregation.ranking import best_of, compare, margin, reversed_probability
from feedback.ids import CompletionId
from feedback.schemas import RankAnswer

A, B, C = CompletionId("a"), CompletionId("b"), CompletionId("c")


def ranking(text: str) -> RankAnswer:
    """`"a > b=c"` as an answer."""
    return RankAnswer(tiers=tuple(tuple(CompletionId(name) for name in tier.strip().split("=")) for tier in text.split(">")))


def outcomes(*texts: str, among: Sequence[CompletionId] = (A, B, C)) -> dict[str, Outcome]:
    return {f"{pair.first}{pair.second}": pair.outcome for pair in compare([ranking(text) for text in texts], among)}


def test_every_pair_of_a_ranking_gets_its_outcome() -> None:
    assert outcomes("b > a=c") == {"ab": Outcome.SECOND, "ac": Outcome.TIE, "bc": Outcome.FIRST}


def test_one_against_one_is_undecided() -> None:
    assert outcomes("a > b", "b > a", among=(A, B)) == {"ab": Outcome.UNDECIDED}


def test_a_preference_against_a_tie_is_undecided() -> None:
    assert outcomes("a > b", "a=b", among=(A, B)) == {"ab": Outcome.UNDECIDED}


def test_two_of_three_decide() -> None:
    assert outcomes("a > b", "b > a", "a > b", among=(A, B)) == {"ab": Outcome.FIRST}
    assert outcomes("a=b", "b > a", "a=b", among=(A, B)) == {"ab": Outcome.TIE}


def test_preferences_in_a_circle_are_undecided() -> None:
    # a over b: 2 of 3; b over c: 2 of 3; c over a: 2 of 3
    assert set(outcomes("a > b > c", "b > c > a", "c > a > b").values()) == {Outcome.UNDECIDED}


def test_a_circle_leaves_the_pairs_outside_it_alone() -> None:
    d = CompletionId("d")
    circle = outcomes("d > a > b > c", "d > b > c > a", "d > c > a > b", among=(A, B, C, d))
    assert {name: outcome for name, outcome in circle.items() if "d" in name} == dict.fromkeys(("ad", "bd", "cd"), Outcome.SECOND)


def test_an_answer_that_curation_dropped_is_not_compared() -> None:
    assert outcomes("a > b > c", among=(A, C)) == {"ac": Outcome.FIRST}


def test_the_doubt_after_one_vote_is_that_of_jeffreys_posterior() -> None:
    # Beta(3/2, 1/2) below 1/2: (arcsin(sqrt(x)) - sqrt(x (1 - x))) * 2/pi at x = 1/2 = (pi/4 - 1/2) * 2/pi = 1/2 - 1/pi
    assert reversed_probability(1, 0) == pytest.approx(1 / 2 - 1 / math.pi)


def test_even_votes_leave_no_more_than_an_even_chance() -> None:
    assert reversed_probability(2, 2) == pytest.approx(0.5)
    assert reversed_probability(0, 3) == 0.5


def test_a_vote_for_a_tie_adds_doubt() -> None:
    sure, = compare([ranking("a > b"), ranking("a > b")], (A, B))
    less, = compare([ranking("a > b"), ranking("a > b"), ranking("a=b")], (A, B))
    assert less.reversed_probability == pytest.approx(reversed_probability(2.5, 0.5))
    assert less.reversed_probability > sure.reversed_probability


def test_ties_and_undecided_pairs_have_no_direction_to_doubt() -> None:
    pairs = compare([ranking("a=b > c"), ranking("c > a=b")], (A, B, C))
    assert [pair.reversed_probability for pair in pairs] == [0, 0, 0]


def test_the_margin_is_the_mean_distance_in_tiers_of_those_who_prefer() -> None:
    # two tiers, one tier, and one who disagrees: (2 + 1) / 2
    answers = [ranking("a > b > c"), ranking("a=b > c"), ranking("c > a > b")]
    assert margin(answers, better=A, worse=C) == pytest.approx(1.5)


@pytest.mark.parametrize(("text", "best"), [("a > b > c", A), ("b > a=c", B), ("a=b > c", None), ("a=b=c", None)])
def test_the_best_is_the_only_unbeaten_one(text: str, best: CompletionId | None) -> None:
    assert best_of(compare([ranking(text)], (A, B, C)), (A, B, C)) == best


def test_an_undecided_pair_leaves_neither_best() -> None:
    assert best_of(compare([ranking("a > b"), ranking("b > a")], (A, B)), (A, B)) is None


@st.composite
def rankings(draw: st.DrawFn) -> list[RankAnswer]:
    answers = []
    for _ in range(draw(st.integers(1, 5))):
        tier = {name: draw(st.integers(0, 2)) for name in (A, B, C)}
        levels = sorted(set(tier.values()))
        answers.append(RankAnswer(tiers=tuple(tuple(name for name in tier if tier[name] == level) for level in levels)))
    return answers


@given(rankings(), st.permutations([A, B, C]))
def test_verdicts_ignore_the_order_of_reviewers_and_of_display(answers: list[RankAnswer], shown: list[CompletionId]) -> None:
    assert compare(answers[::-1], shown) == compare(answers, (A, B, C))


@given(rankings())
def test_turning_every_ranking_round_turns_every_preference_round(answers: list[RankAnswer]) -> None:
    def turned(pair: PairVerdict) -> Outcome:
        return {Outcome.FIRST: Outcome.SECOND, Outcome.SECOND: Outcome.FIRST}.get(pair.outcome, pair.outcome)

    upside_down = [RankAnswer(tiers=answer.tiers[::-1]) for answer in answers]
    assert [turned(pair) for pair in compare(upside_down, (A, B, C))] == [pair.outcome for pair in compare(answers, (A, B, C))]
