"""Labelled texts: what experts chose and marked in a user's own texts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from feedback.aggregation.agreement import agreement
from feedback.aggregation.labelled import LabelledText, labelled_texts
from feedback.rubric import Choice, Mark, Option, Rubric
from feedback.schemas import Purpose, RateAnswer, Span, VerdictValue
from tests.feedback.reviewed import Bench, a_person
from tests.people import a_rating

TEXT = "Ana ordered a Kite 2 on Monday."
TOPIC = Choice(name="topic", title="Topic", options=(Option(value="orders"), Option(value="billing"), Option(value="other")))
FOUND = Choice(name="found", title="Found", many=True, options=(Option(value="date"), Option(value="price")))
FORM = Rubric(title="Texts", verdict=False, flags=False, choices=(TOPIC, FOUND), spans=(Mark(value="product", entity=True),))


def said(topic: str, *found: str, product: tuple[int, int] | None = (14, 20), comment: str | None = None) -> RateAnswer:
    spans = () if product is None else (Span(start=product[0], end=product[1], label="product", entity=True),)
    choices: dict[str, str | tuple[str, ...]] = {"topic": topic} | ({"found": found} if found else {})
    return RateAnswer(criteria={}, verdict=VerdictValue.CANNOT_TELL, choices=choices, spans=spans, comment=comment)


def only(bench: Bench) -> LabelledText:
    [row] = labelled_texts(bench.contents)
    return row


def test_a_text_has_what_most_experts_chose_and_marked() -> None:
    bench = Bench(FORM)
    bench.rated("A mail", TEXT, purpose=Purpose.TEXTS, by=[
        said("orders", "date"), said("orders", "date"), said("billing", product=(14, 18), comment="Which Kite?")])
    row = only(bench)
    assert (row.text, row.source, row.read_by, row.comments) == (TEXT, "A mail", 3, ("Which Kite?",))
    assert {name: (one.outcome, one.majority, one.n) for name, one in row.choices.items()} == {
        "topic": ("orders", "orders", 3), "found: date": (True, True, 3), "found: price": (False, False, 3)}
    assert [(one.words, one.marked_by, one.agreed) for one in row.marks] == [("Kite", 1, False), ("Kite 2", 2, True)]
    assert (len(row.sources.reviewers), len(row.sources.ratings)) == (3, 3)


def test_how_many_of_those_who_read_a_text_are_programs_is_told() -> None:
    bench = Bench(FORM)
    bench.rated("Texts", TEXT, purpose=Purpose.TEXTS, by=[said("orders"), said("orders"), said("orders")])
    people = bench.contents.reviewers
    contents = replace(bench.contents, reviewers=(people[0].model_copy(update={"simulated": True}),
                                                  *(one.model_copy(update={"simulated": False}) for one in people[1:])))
    [row] = labelled_texts(contents)
    assert (row.read_by, row.simulated) == (3, 1)


def test_one_against_one_is_open_and_both_are_told() -> None:
    bench = Bench(FORM)
    bench.rated("Texts", TEXT, purpose=Purpose.TEXTS, by=[said("orders"), said("billing", product=None)])
    row = only(bench)
    assert row.source is None
    assert (row.choices["topic"].outcome, row.choices["topic"].majority) == (None, None)
    assert [(one.marked_by, one.agreed) for one in row.marks] == [(1, False)]


def test_who_is_right_elsewhere_decides_where_two_disagree() -> None:
    bench = Bench(FORM)
    for number in range(30):
        right, wrong = (("orders", "billing", "other")[(number + step) % 3] for step in (0, 1))
        bench.rated("Texts", f"text {number:02d}", purpose=Purpose.TEXTS, by=[said(right), said(wrong), said(right)])
    bench.rated("Texts", "zz", purpose=Purpose.TEXTS, by=[said("billing"), said("other")])
    last = labelled_texts(bench.contents)[-1].choices["topic"]
    assert (last.outcome, last.majority) == ("billing", None)
    assert last.probability > 0.95


def test_a_text_that_was_asked_again_has_the_answers_of_both_times() -> None:
    bench = Bench(FORM)
    shown = bench.rated("Texts", TEXT, purpose=Purpose.TEXTS, by=[said("orders")])
    again = bench.items[-1].model_copy(update={"id": "again", "again": 1})
    bench.items.append(again)
    bench.ratings.append(a_rating(again.id, a_person("sim-7"), said("billing"), rubric=FORM))
    row = only(bench)
    assert (row.read_by, row.choices["topic"].n, row.sources.completions) == (2, 2, (shown.id,))


def test_answers_of_a_model_are_no_labelled_texts() -> None:
    bench = Bench(FORM)
    bench.rated("Texts", TEXT, by=[said("orders")])
    assert labelled_texts(bench.contents) == ()


def test_agreement_is_told_of_each_choice() -> None:
    bench = Bench(FORM)
    for number in range(6):
        form = said("orders" if number % 2 else "billing", "date")
        bench.rated("Texts", f"text {number}", purpose=Purpose.TEXTS, by=[form, form])
    found = agreement(bench.contents)
    topic, date = found["topic"], found["found: date"]
    assert topic.kind == "measured"
    assert topic.value == pytest.approx(1.0)
    assert date.kind == "unscored"
    assert "all ratings of 6 items are" in date.reason
