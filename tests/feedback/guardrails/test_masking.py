"""A sealed snapshot holds no personal data, and its ids and marks still fit."""

from __future__ import annotations

import json
import re

import pytest

from feedback.guardrails.masking import SnapshotMask
from feedback.guardrails.pii import Masker
from feedback.schemas import RateAnswer, Span
from feedback.store.snapshot import Contents
from tests.feedback.reviewed import Bench, rate

pytest.importorskip("presidio_analyzer", reason="presidio-analyzer comes with the `curation` extra")

MASK = SnapshotMask(Masker(key=b"k" * 32, mask=frozenset({"email"}), flag=frozenset()))


def written(contents: Contents) -> str:
    return json.dumps([row.model_dump(mode="json") for name in ("prompts", "completions", "items", "ratings")
                       for row in getattr(contents, name)])


def bench() -> Bench:
    made = Bench()
    answer = rate(rewrite="Write to b@example.com").model_copy(
        update={"comment": "c@example.com complained", "spans": (Span(start=26, end=30),)})
    made.rated("Is a@example.com right?", "It is a@example.com, says Anna.", by=[answer])
    return made


def test_no_address_is_left_in_any_row() -> None:
    before, after = bench().contents, MASK(bench().contents)
    assert "@example.com" in written(before)
    assert "@example.com" not in written(after)


def test_ids_stay_those_of_the_store() -> None:
    before, after = bench().contents, MASK(bench().contents)
    for name in ("prompts", "completions", "items", "ratings"):
        assert [row.id for row in getattr(before, name)] == [row.id for row in getattr(after, name)]


def test_marks_move_with_their_words() -> None:
    after = MASK(bench().contents)
    answer = after.ratings[0].answer
    assert isinstance(answer, RateAnswer)
    assert [after.completions[0].text[span.start:span.end] for span in answer.spans] == ["Anna"]


def test_question_answer_and_rewrite_agree_on_a_placeholder() -> None:
    made = Bench()
    made.rated("Is a@example.com right?", "It is a@example.com", by=[rate(rewrite="a@example.com it is")])
    after = MASK(made.contents)
    texts = (after.prompts[0].text, after.completions[0].text, str(after.ratings[0].answer))
    assert len({word for text in texts for word in re.findall(r"<EMAIL_\d+>", text)}) == 1


def test_masking_masked_contents_changes_nothing() -> None:
    once = MASK(bench().contents)
    assert MASK(once) == once
