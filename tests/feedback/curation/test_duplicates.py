"""Equal texts are found under any Unicode spelling, and different ones never."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback.curation.duplicates import normalised, stand_ins
from tests.feedback.reviewed import Bench


@pytest.mark.parametrize(("one", "other"), [("caf\u00e9", "cafe\u0301"), ("a\r\nb", "a\nb"), (" a", "a\n"), ("a  \nb", "a\nb")])
def test_two_spellings_of_one_text_are_equal(one: str, other: str) -> None:
    assert normalised(one) == normalised(other)


@pytest.mark.parametrize(("one", "other"), [("x\u00b2", "x2"), ("a b", "a  b"), ("a\n  b", "a\nb"), ("Yes", "yes")])
def test_texts_that_a_reader_can_tell_apart_differ(one: str, other: str) -> None:
    assert normalised(one) != normalised(other)


@given(st.text())
def test_normalising_is_idempotent_and_blind_to_composition(text: str) -> None:
    assert normalised(normalised(text)) == normalised(text)
    assert normalised(unicodedata.normalize("NFD", text)) == normalised(text)


def test_one_completion_stands_for_all_with_its_text_whatever_the_order() -> None:
    bench = Bench()
    rows = [bench.completion("q", text) for text in ("same", "same ", "other", "same")]
    prompts = {prompt.id: prompt for prompt in bench.prompts.values()}
    first, *rest = sorted((rows[0], rows[1], rows[3]), key=lambda row: row.id)
    for order in (rows, rows[::-1]):
        assert stand_ins(order, prompts) == {row.id: first for row in rest}


def test_the_same_text_to_another_question_is_no_repetition() -> None:
    bench = Bench()
    rows = [bench.completion("q1", "yes"), bench.completion("q2", "yes")]
    assert stand_ins(rows, {prompt.id: prompt for prompt in bench.prompts.values()}) == {}
