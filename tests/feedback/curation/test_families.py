"""Families that ask one question in nearly the same words are joined, whatever the order; siblings of a template never are."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback.curation.families import merged_families
from feedback.schemas import Message, Prompt

LONG = "My parcel was marked as delivered yesterday but nobody in our house has seen it"


def asked(*texts: str) -> list[Prompt]:
    """One prompt, and so one family, a text."""
    return [Prompt.of([Message(role="user", content=text)], family=f"family-{number}") for number, text in enumerate(texts)]


def joined(one: str, other: str) -> bool:
    return len(set(merged_families(asked(one, other)).values())) == 1


@pytest.mark.parametrize(("one", "other"), [
    ("How do I return a parcel?", "how do i return the parcel"),
    ("How do I return a parcel?", "Hello, how do I return a parcel please"),
    ("How do I cancel my subscription?", "How do I cancel my subscripton?"),
    ("Where is the neighbour?", "Where is the neighbor?"),
    ("Is Tokyo far from Kyoto", "Is Kyoto far from Tokyo"),
    (LONG, LONG + " today"),
    ("?!", "?! "), ("\u5982\u4f55\u9000\u8d27", "\u5982\u4f55\u9000\u8d27\uff1f")])
def test_near_duplicates_are_joined(one: str, other: str) -> None:
    assert joined(one, other)


@pytest.mark.parametrize(("one", "other"), [
    ("What does `indent` default to in json.dump?", "What does `indent` default to in json.dumps?"),
    ("What is 12 + 13?", "What is 12 + 14?"), ("What is 12 + 13?", "What is 12 - 13?"),
    ("Is this medicine safe?", "Is this medicine not safe?"), (LONG, LONG.replace("has", "has not")),
    ("Who painted Guernica?", "Who bought Guernica?"), ("Is it typical?", "Is it atypical?"),
    ("What is a cat?", "What is a car?"), ("How do I pay?", "How do I pay later?"),
    ("?", "!"), ("\u5b89\u5168\u5417", "\u4e0d\u5b89\u5168\u5417")])
def test_other_questions_stay_apart(one: str, other: str) -> None:
    assert not joined(one, other)


def test_the_slots_of_a_template_never_join_its_questions() -> None:
    names = ("apple", "banana", "cherry", "grape", "lemon", "orange", "peach", "plum")
    prompts = asked(*(f"How many calories does one {name} have, and is it good for children under ten?" for name in names))
    assert all(family == leader for family, leader in merged_families(prompts).items())


def test_another_system_message_asks_another_question() -> None:
    spoken = [Prompt.of([Message(role="system", content=f"You speak {language}."), Message(role="user", content="Greet me.")],
                        family=language) for language in ("French", "German")]
    assert len(set(merged_families(spoken).values())) == 2


SLOTS = ["please", "is", "the", "subscription", "subscripton", "red", "not", "5", "6"]
questions = st.lists(st.lists(st.sampled_from(SLOTS), max_size=4).map(" ".join), max_size=7)


@given(questions, st.randoms())
def test_the_order_of_prompts_does_not_matter(texts: Sequence[str], chance) -> None:
    prompts = asked(*texts)
    turned = list(prompts)
    chance.shuffle(turned)
    assert dict(merged_families(prompts)) == dict(merged_families(turned))


@given(questions, questions)
def test_more_prompts_join_families_and_part_none(texts: Sequence[str], more: Sequence[str]) -> None:
    before, after = merged_families(asked(*texts)), merged_families(asked(*texts, *more))
    together = {(one, other) for one in before for other in before if before[one] == before[other]}
    assert all(after[one] == after[other] for one, other in together)


def test_the_family_whose_id_comes_first_stands_for_all() -> None:
    prompts = asked("Return a parcel?", "Anything else", "return parcel", "RETURN PARCEL!")
    assert dict(merged_families(prompts)) == {"family-0": "family-0", "family-1": "family-1", "family-2": "family-0",
                                              "family-3": "family-0"}
