"""Verdicts on rated completions and ranked items, and what they rest on."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedback.aggregation.conclusions import Verdict
from feedback.aggregation.verdicts import aggregate
from feedback.ids import ReviewerId
from feedback.schemas import Flag, Purpose, Quarantine, VerdictValue
from feedback.store.snapshot import Contents
from tests.feedback.reviewed import Bench, rate
from tests.people import START

forms = st.builds(lambda verdict, flags, tone: rate(verdict, flags=sorted(flags), criteria={"tone": tone}),
                  st.sampled_from([value.value for value in VerdictValue]), st.sets(st.sampled_from(list(Flag))),
                  st.integers(1, 5))


def only(bench: Bench) -> Verdict:
    verdict, = aggregate(bench.contents).rate
    return verdict


def test_reviewers_who_are_split_decide_nothing() -> None:
    bench = Bench()
    bench.rated("q", "a", by=[rate("correct"), rate("incorrect", flags=[Flag.HALLUCINATED])])
    assert only(bench).outcome is None
    assert only(bench).hallucinated is None
    assert only(bench).abstains is False


def test_cannot_tell_is_counted_and_decides_nothing() -> None:
    bench = Bench()
    bench.rated("q", "a", by=["cannot tell", rate("incorrect", flags=[Flag.HALLUCINATED]), "cannot tell"])
    assert only(bench).outcome is VerdictValue.INCORRECT
    assert only(bench).hallucinated is True
    assert len(only(bench).sources.ratings) == 3


def test_when_nobody_can_tell_that_is_the_outcome() -> None:
    bench = Bench()
    bench.rated("q", "a", by=["cannot tell", "cannot tell"])
    assert only(bench).outcome is VerdictValue.CANNOT_TELL
    assert only(bench).hallucinated is None


def test_criteria_are_means_over_those_who_rated_them() -> None:
    bench = Bench()
    bench.rated("q", "a", by=[rate(criteria={"tone": 2}), rate(criteria={"tone": 5})])
    # (2 + 5) / 2
    assert only(bench).criteria == {"accuracy": 5, "tone": pytest.approx(3.5), "safety": 5}


def test_a_verdict_names_every_item_rating_and_reviewer_it_rests_on() -> None:
    bench = Bench()
    bench.ranked("q", ["a", "b"], by=[[[0], [1]], [[0], [1]]])
    verdict, = aggregate(bench.contents).rank
    assert verdict.sources.ratings == tuple(row.id for row in bench.contents.ratings)
    assert verdict.sources.reviewers == ("sim-0", "sim-1")
    assert verdict.sources.items == (bench.items[0].id,)
    assert verdict.sources.completions == tuple(row.id for row in bench.contents.completions)


def test_a_reviewer_who_met_one_answer_twice_counts_once_by_the_later_rating() -> None:
    bench = Bench()
    bench.rated("q", "a", by=["incorrect"])
    bench.rated("q", "a", by=["correct"])
    first, second = bench.items
    bench.items[1] = second.model_copy(update={"completion_ids": first.completion_ids})
    assert [row.outcome for row in aggregate(bench.contents).rate] == [VerdictValue.CORRECT]
    assert len(only(bench).sources.ratings) == 1


def test_a_reviewer_whom_gold_shows_to_be_wrong_does_not_outvote_one_who_is_right() -> None:
    bench = Bench()
    for number in range(12):
        shown = bench.rated(f"known {number}", "a", by=["correct", "incorrect"], purpose=Purpose.GOLD)
        bench.known(shown, "correct")
    judged = bench.rated("q", "a", by=["correct", "incorrect"])
    verdict, = aggregate(bench.contents).rate
    assert (verdict.completion_id, verdict.outcome) == (judged.id, VerdictValue.CORRECT)
    assert verdict.probability > 0.9


def test_nothing_is_concluded_about_an_answer_that_is_known() -> None:
    bench = Bench()
    bench.known(bench.rated("known", "a", by=["incorrect"], purpose=Purpose.GOLD), "correct")
    assert aggregate(bench.contents).rate == ()


def test_one_word_stands_however_rare_it_is() -> None:
    bench = Bench()
    for number in range(30):
        bench.rated(f"q{number}", "a", by=["correct", "correct"])
    rare = bench.rated("rare", "a", by=[rate("incorrect", flags=[Flag.HALLUCINATED])])
    verdict, = (row for row in aggregate(bench.contents).rate if row.completion_id == rare.id)
    assert (verdict.outcome, verdict.hallucinated) == (VerdictValue.INCORRECT, True)


def test_a_severe_reviewers_rating_alone_is_read_without_the_severity() -> None:
    bench = Bench()
    for number in range(25):
        fair, strict = (rate(criteria={"tone": tone}) for tone in (2 + number % 4, 1 + number % 4))
        bench.rated(f"q{number}", "a", by=[strict, fair, fair])
    alone = bench.rated("alone", "a", by=[rate(criteria={"tone": 3})])
    verdict, = (row for row in aggregate(bench.contents).rate if row.completion_id == alone.id)
    # one point strict, so 3 means about 4; the reviewer's own shrinkage leaves less than the whole point
    assert 3.4 <= verdict.criteria["tone"] <= 4.1


def test_where_everybody_gives_the_best_to_everything_that_is_the_rating() -> None:
    bench = Bench()
    for number in range(25):
        bench.rated(f"q{number}", "a", by=["correct", "correct"])
    assert {row.criteria["safety"] for row in aggregate(bench.contents).rate} == {5.0}


def test_ratings_of_a_reviewer_in_quarantine_count_for_nothing_and_are_counted() -> None:
    bench = Bench()
    bench.rated("q", "a", by=["incorrect", "correct"])
    out = Quarantine(reviewer_id=ReviewerId("sim-0"), reason="one label throughout", actor="lead", at=START)
    made = aggregate(replace(bench.contents, quarantined=(out,)))
    assert made.rate[0].outcome is VerdictValue.CORRECT
    assert made.rate[0].sources.reviewers == ("sim-1",)
    assert made.left_out == {"its reviewer is in quarantine: one label throughout": 1}


def test_an_adjudication_counts_in_the_place_of_what_it_settles() -> None:
    bench = Bench()
    bench.rated("q", "a", by=["incorrect", "correct", "incorrect"])
    bench.rated("q", "a", by=["correct"])
    split, settling = bench.items
    bench.items[1] = settling.model_copy(update={"completion_ids": split.completion_ids, "settles": split.id})
    assert [row.outcome for row in aggregate(bench.contents).rate] == [VerdictValue.CORRECT]
    assert len(only(bench).sources.ratings) == 1


def test_how_the_verdicts_differ_from_a_plain_majority_is_counted() -> None:
    bench = Bench()
    bench.rated("q", "a", by=["incorrect", "correct"])
    bench.rated("q", "b", by=["correct", "correct"])
    counts = aggregate(bench.contents).beside_majority
    assert (counts["as the majority"], counts["undecided as the majority"]) == (1, 1)
    assert sum(counts.values()) == 2


def renamed(contents: Contents) -> Contents:
    names = {reviewer.id: ReviewerId(f"sim-z{9 - number}") for number, reviewer in enumerate(contents.reviewers)}
    return replace(contents, ratings=tuple(row.model_copy(update={"reviewer_id": names[row.reviewer_id]})
                                           for row in contents.ratings))


@settings(max_examples=15)
@given(st.lists(st.lists(forms, min_size=1, max_size=4), max_size=4))
def test_verdicts_ignore_row_order_and_reviewer_names(answers: list[list[object]]) -> None:
    bench = Bench()
    for number, by in enumerate(answers):
        bench.rated(f"q{number}", "a", by=by)  # type: ignore[arg-type]
    contents = bench.contents
    turned = replace(contents, ratings=contents.ratings[::-1], items=contents.items[::-1], completions=contents.completions[::-1])
    assert aggregate(turned) == aggregate(contents)
    plain = [row.model_copy(update={"sources": None}) for row in aggregate(contents).rate]
    assert [row.model_copy(update={"sources": None}) for row in aggregate(renamed(contents)).rate] == plain
