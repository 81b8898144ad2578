"""A mark follows the characters that it marks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from feedback.schemas import Span
from feedback.spans import carried


def marked(old: str, new: str, start: int, end: int) -> list[str]:
    return [new[span.start:span.end] for span in carried([Span(start=start, end=end)], old, new)]


def test_a_mark_moves_with_its_words() -> None:
    assert marked("mail a@b.com, it is 5", "mail <EMAIL_1>, it is 5", 14, 21) == ["it is 5"]
    assert marked("it is 5, mail a@b.com", "it is 5, mail <EMAIL_1>", 0, 7) == ["it is 5"]


def test_a_mark_on_a_replaced_word_covers_the_replacement() -> None:
    assert marked("ask a@b.com now", "ask <EMAIL_1> now", 4, 11) == ["<EMAIL_1>"]


def test_a_mark_on_removed_words_is_left_out() -> None:
    assert marked("keep this", "keep", 4, 9) == []


texts = st.text(alphabet="ab c\u0645", max_size=30)


@given(texts, texts, texts)
def test_a_mark_outside_the_change_marks_the_same_text(before: str, old: str, new: str) -> None:
    first, second = before + old + "MARK", before + new + "MARK"
    assert marked(first, second, len(first) - 4, len(first)) == ["MARK"]
    assert all(span.end <= len(second) for span in carried([Span(start=0, end=len(first))], first, second))
