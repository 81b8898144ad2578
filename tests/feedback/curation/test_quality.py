"""Texts that nothing can be learned from are told apart from short ones."""

from __future__ import annotations

import pytest

from feedback.curation.quality import Flaw, flaw, repeated_share


@pytest.mark.parametrize("text", ["", " \n\t", "\u200b\u200d", "\u00a0\u2003", "\ufeff"])
def test_a_text_that_shows_nothing_is_empty(text: str) -> None:
    found = flaw(text, longest=10)
    assert found is not None
    assert found.step == "empty"


@pytest.mark.parametrize("text", ["0", ".", "\u0645\u0631\u062d\u0628\u0627", "\U0001f44d", "\u4f60\u597d"])
def test_a_short_text_in_any_script_will_do(text: str) -> None:
    assert flaw(text, longest=10) is None


def test_the_limit_itself_is_allowed_and_one_more_is_not() -> None:
    assert flaw("a" * 10, longest=10) is None
    assert flaw("a" * 11, longest=10) == Flaw("over-long", "11 characters, allowed 10")


def test_a_million_characters_are_judged_by_their_length() -> None:
    found = flaw(" " * 1_000_000, longest=20_000)
    assert found == Flaw("over-long", "1000000 characters, allowed 20000")


def test_a_text_below_the_shortest_length_is_too_short() -> None:
    assert flaw(" ab ", longest=10, shortest=3) == Flaw("too short", "2 characters, wanted 3")


def test_the_repeated_share_counts_what_stood_there_before() -> None:
    # 20 different words, then the same 20 again: half of the 40 stand in passages that were there.
    words = " ".join(f"word{number}" for number in range(20))
    assert repeated_share(words) == 0
    assert repeated_share(f"{words} {words}") == 0.5
    assert repeated_share("again " * 100) > 0.9


def test_a_text_without_spaces_is_looked_at_by_characters() -> None:
    assert repeated_share("\u597d" * 1_000) > 0.9
    assert repeated_share("short") == 0
