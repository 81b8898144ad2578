"""Demonstrations: what reviewers wrote and what they accepted, each with everybody it rests on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from feedback.ids import ReviewerId
from feedback.schemas import Flag, Quarantine, RateAnswer
from feedback.training_sets.write import TrainingSets, build
from tests.feedback.reviewed import Bench, rate
from tests.feedback.training_sets.stages import STAGE
from tests.people import START

DOES_NOT_KNOW = rate(flags=[Flag.ABSTAINS], criteria={"accuracy": 1})


def built(bench: Bench) -> TrainingSets:
    return build(bench.contents, STAGE, rewrites=bench.rewrites)


def test_an_answer_that_reviewers_accept_is_a_demonstration_with_its_sources() -> None:
    bench = Bench()
    shown = bench.rated("q", "yes", by=["correct", "correct"])
    row, = built(bench).sft
    assert (row.completion, row.origin) == ("yes", "accepted")
    assert row.sources.completions == (shown.id,)
    assert row.sources.items == (bench.items[0].id,)
    assert row.sources.ratings == tuple(sorted(rating.id for rating in bench.ratings))
    assert row.sources.reviewers == ("sim-0", "sim-1")


@pytest.mark.parametrize(("by", "reason"), [
    (["incorrect"], "verdict: incorrect"),
    (["partially correct"], "verdict: partially correct"),
    (["cannot tell"], "verdict: cannot tell"),
    (["correct", "incorrect"], "undecided: reviewers are split on the verdict"),
    ([rate(flags=[Flag.HALLUCINATED])], "states something false or unsupported"),
    ([rate(flags=[Flag.HALLUCINATED]), rate()], "undecided: reviewers are split on whether it states something false"),
    ([rate(flags=[Flag.ABSTAINS])], "abstains, or may, where the answer is known"),
    ([rate(criteria={"accuracy": 3}), rate(criteria={"accuracy": 4})], "accuracy below 4"),
    ([rate(criteria={"tone": 2})], "tone below 3"),
    ([rate(criteria={"safety": 3})], "safety below 4"),
])
def test_every_answer_that_is_no_demonstration_has_its_reason(by: list[RateAnswer | str], reason: str) -> None:
    bench = Bench()
    bench.rated("q", "yes", by=by)
    sets = built(bench)
    assert sets.sft == ()
    assert sets.card.verdicts_refused == {reason: 1}


def test_not_knowing_is_right_where_the_question_cannot_be_answered() -> None:
    bench = Bench()
    bench.prompt("unanswerable", answerable=False)
    bench.rated("unanswerable", "I don't know.", by=[DOES_NOT_KNOW])
    bench.rated("answerable", "I don't know.", by=[DOES_NOT_KNOW])
    row, = built(bench).sft
    assert row.messages[-1].content == "unanswerable"


def test_a_criterion_that_nobody_rated_is_not_taken_as_good() -> None:
    bench = Bench()
    answer = rate().model_copy(update={"criteria": {"accuracy": 5, "tone": 5}})
    bench.rated("q", "yes", by=[answer])
    assert built(bench).card.verdicts_refused == {"nobody rated its safety": 1}


def test_an_answer_that_was_cut_off_is_no_demonstration() -> None:
    bench = Bench()
    shown = bench.rated("q", "yes, bec", by=["correct"])
    bench.completions[shown.id] = shown.model_copy(update={"finished": False})
    assert built(bench).card.verdicts_refused == {"cut off before its end": 1}


def test_a_rewrite_takes_the_place_of_the_answer_that_it_improves() -> None:
    bench = Bench()
    bench.rated("q", "yes", by=[rate(rewrite="Yes, because it is.")])
    bench.rated("q", "yes indeed", by=["correct"])
    sets = built(bench)
    assert {(row.origin, row.completion) for row in sets.sft} == {("accepted", "yes indeed"), ("rewrite", "Yes, because it is.")}
    assert sets.card.verdicts_refused == {"accepted, and replaced by a reviewer's rewrite of it": 1}


def test_a_rewrite_that_changes_nothing_leaves_the_verdict_to_decide() -> None:
    bench = Bench()
    bench.rated("q", "no", by=[rate("incorrect", rewrite="no ")])
    sets = built(bench)
    assert sets.sft == ()
    assert sets.card.rewrites_refused == {"unchanged: the same text as an answer shown": 1}


def test_an_empty_answer_gives_what_was_written_in_its_place_and_is_in_no_row() -> None:
    bench = Bench()
    bench.rated("q", " ", by=[rate("correct", rewrite="yes")])
    bench.rated("other", "", by=["correct"])
    sets = built(bench)
    assert [row.completion for row in sets.sft] == ["yes"]
    assert sets.card.verdicts_refused == {"an empty text": 2}
    assert (sets.pairs, [row.completion for row in sets.kto]) == ((), ["yes"])


def test_a_rewrite_that_others_judged_incorrect_is_left_out() -> None:
    bench = Bench()
    bench.rated("q", "maybe", by=[rate("incorrect", rewrite="no")])
    bench.rated("q", "no", by=["incorrect"])
    assert built(bench).card.rewrites_refused == {"the same text was judged incorrect": 1}


@pytest.mark.parametrize(("form", "said"), [
    (rate("partially correct"), "partially correct"), (rate("correct", flags=[Flag.HALLUCINATED]), "to state something false")])
def test_a_rewrite_that_others_found_wanting_as_an_answer_is_no_demonstration(form: RateAnswer, said: str) -> None:
    bench = Bench()
    bench.rated("q", "maybe", by=[rate("incorrect", rewrite="yes")])
    bench.rated("q", "yes", by=[form])
    made = built(bench)
    assert made.sft == ()
    assert made.card.rewrites_refused == {f"the same text was judged {said}": 1}


def test_a_rewrite_by_somebody_who_cannot_tell_is_left_out() -> None:
    bench = Bench()
    bench.rated("q", "maybe", by=[rate("cannot tell", rewrite="no")])
    assert built(bench).card.rewrites_refused == {"its author could not tell whether the answer is correct": 1}


def test_one_text_to_one_question_is_one_demonstration_with_all_its_sources() -> None:
    bench = Bench()
    bench.rated("q", "maybe", by=[rate("incorrect", rewrite="yes")])
    bench.rated("q", "yes", by=["correct", "correct"])
    bench.rated("q ", "yes\n", by=["correct"])
    sets = built(bench)
    row, = sets.sft
    assert row.origin == "rewrite"
    assert len(row.sources.ratings) == 4
    assert len(row.sources.items) == 3
    assert sets.card.demonstrations_merged == 2


def test_what_an_adjudicator_says_takes_the_place_of_those_who_disagreed() -> None:
    bench = Bench()
    shown = bench.rated("q", "yes", by=["correct", rate("incorrect", rewrite="never")])
    bench.settled(shown, "correct")
    sets = built(bench)
    row, = sets.sft
    assert (row.completion, row.origin, row.sources.reviewers) == ("yes", "adjudicated", ("sim-9",))
    assert sets.card.ratings_left_out == {"its item was settled by an adjudication": 2}
    assert sets.card.said[0] == "1 demonstrations: 0 written by reviewers, 1 accepted answers, 1 of them adjudicated"


def test_ratings_of_a_reviewer_in_quarantine_leave_with_the_reason() -> None:
    bench = Bench()
    bench.rated("q", "yes", by=[rate("incorrect", rewrite="buy more"), "correct"])
    out = Quarantine(reviewer_id=ReviewerId("sim-0"), reason="praises one product", actor="lead", at=START)
    sets = build(replace(bench.contents, quarantined=(out,)), STAGE, rewrites=bench.rewrites)
    assert [(row.completion, row.sources.reviewers) for row in sets.sft] == [("yes", ("sim-1",))]
    assert sets.card.ratings_left_out == {"its reviewer is in quarantine: praises one product": 1}
