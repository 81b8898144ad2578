"""What decides what a text says is told apart from its spelling."""

from __future__ import annotations

import time

import pytest

from feedback.curation.wording import exact_words, words


@pytest.mark.parametrize(("one", "other"), [
    ("What is the refund?", "what is refund"), ("Hello, please tell us", "tell us!"), ("don't", "do not"),
    ("can\u2019t", "can not"),
    ("\uff21\uff22\uff23", "abc"), ("Berlin's mayor", "the mayor of Berlin")])
def test_spelling_grammar_and_politeness_do_not_count(one: str, other: str) -> None:
    assert sorted(words(one)) == sorted(words(other))


@pytest.mark.parametrize(("one", "other"), [
    ("json.load", "json.loads"), ("`a`", "a"), ("12 + 13", "12 * 13"), ("-5", "5"), ("C++", "C#"), ("safe", "not safe"),
    ("\u5b89\u5168", "\u4e0d\u5b89\u5168"), ("50 $", "50 \u20ac")])
def test_numbers_signs_code_and_negations_count(one: str, other: str) -> None:
    assert words(one) != words(other)


def test_exact_words_are_those_without_which_a_text_says_something_else() -> None:
    assert sorted(exact_words("It is not 5, use `x` or os.path in Rome")) == ["5", "`x`", "not", "os.path"]


@pytest.mark.parametrize("text", ["`" * 200_000, "a." * 200_000, "n't" * 100_000, "\ud800" * 10_000,
                                  "\u0645\u0631\u062d\u0628\u0627 " * 50_000])
def test_no_text_takes_long(text: str) -> None:
    started = time.process_time()
    words(text)
    assert time.process_time() - started < 30
