"""Verdicts on rated completions and ranked items, and what they rest on."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback.aggregation.verdicts import aggregate
from feedback.ids import ReviewerId
from feedback.schemas import Flag, Verdict, VerdictValue
from feedback.store.snapshot import Contents
from tests.feedback.reviewed import Bench, rate

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


def renamed(contents: Contents) -> Contents:
    names = {reviewer.id: ReviewerId(f"sim-z{9 - number}") for number, reviewer in enumerate(contents.reviewers)}
    return replace(contents, ratings=tuple(row.model_copy(update={"reviewer_id": names[row.reviewer_id]})
                                           for row in contents.ratings))


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
