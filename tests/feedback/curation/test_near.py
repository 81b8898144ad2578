"""Near duplicates are found among many texts, whatever their script; what a number, a sign or a negation sets apart is none."""

from __future__ import annotations

from random import Random

import pytest

from feedback.curation.near import alike, near_duplicates

pytest.importorskip("rensa", reason="rensa comes with the `curation` extra")

LONG = "The parcel is delivered within four working days after the payment has arrived at our bank in Berlin"


def test_each_repetition_names_the_first_of_its_group() -> None:
    texts = ["another thing", LONG, LONG + ".", LONG.replace("four", "fuor"), "something else", LONG]
    assert near_duplicates(texts) == {2: 1, 3: 1, 5: 1}


@pytest.mark.parametrize(("one", "other"), [
    (LONG, LONG.replace("is delivered", "is not delivered")), (LONG + " in 2024", LONG + " in 2025"),
    (LONG + " for 5 $", LONG + " for 5 \u20ac"), (LONG + " `None`", LONG + " `True`"), (LONG, LONG[:60])])
def test_what_decides_sets_texts_apart(one: str, other: str) -> None:
    assert near_duplicates([one, other]) == {}


@pytest.mark.parametrize("text", [
    "\u0627\u0644\u0637\u0631\u062f \u0633\u064a\u0635\u0644 \u062e\u0644\u0627\u0644 \u0623\u0631\u0628\u0639\u0629",
    "\u5305\u88f9\u5c06\u5728\u56db\u4e2a\u5de5\u4f5c\u65e5\u5185\u9001\u8fbe"])
def test_any_script_will_do(text: str) -> None:
    assert near_duplicates([text, "something else", text + " !"]) == {2: 0}


def test_empty_and_broken_texts_are_compared_like_others() -> None:
    assert near_duplicates(["", " ", "\ud800", "x", "\ud800"]) == {1: 0, 4: 2}
    assert near_duplicates([]) == {}


def test_planted_repetitions_are_found_among_others() -> None:
    chance = Random(0)
    words = ["".join(chance.choices("abcdefghijklmnoprstuvw", k=7)) for _ in range(800)]
    texts = [" ".join(chance.choices(words, k=12)) for _ in range(2_000)]
    texts += [text.capitalize() + "!" for text in texts[:50]] + [text[:-1] for text in texts[50:100]]
    assert set(near_duplicates(texts)) == set(range(2_000, 2_100))


def test_similarity_is_jaccard_of_four_grams() -> None:
    # "abcdefgh" has the 5 grams abcd..efgh; "abcdefgx" shares abcd, bcde, cdef, defg: 4 of 6.
    assert alike("abcdefgh", "abcdefgx", similarity=4 / 6)
    assert not alike("abcdefgh", "abcdefgx", similarity=4 / 6 + 0.01)
