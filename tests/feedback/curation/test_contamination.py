"""Held-out texts are found again in training rows, and what many share is not."""

from __future__ import annotations

from feedback.curation.contamination import HeldOutTexts
from feedback.ids import FamilyId
from feedback.schemas import Message, Prompt

SECRET = "How many days does a customer have to send back a damaged washing machine"
KNOWN = "A customer has thirty days to send back a damaged washing machine and pays nothing for it"


def held_out(*others: tuple[str, str]) -> HeldOutTexts:
    prompt = Prompt.of([Message(role="user", content=SECRET)], reference=KNOWN, critical=True)
    return HeldOutTexts([prompt], everything=[(FamilyId(family), text) for family, text in others], size=8)


def test_a_question_inside_another_text_is_found() -> None:
    found = held_out().overlap(f"Somebody wrote: {SECRET.upper()}? What do I say?", share=0.5)
    assert found is not None
    assert (found.part, found.share) == ("question", 1.0)


def test_an_answer_that_holds_the_reference_is_found() -> None:
    found = held_out().overlap(f"Well. {KNOWN}", share=0.5)
    assert found is not None
    assert found.part == "reference"
    assert "holds 100% of the reference of prompt-" in str(found)


def test_half_a_question_is_found_at_half_and_not_above() -> None:
    # 11 words without little ones make 4 passages of 8; the first 9 of them hold 2.
    text = " ".join(SECRET.split()[:12])
    assert held_out().overlap(text, share=0.5) is not None
    assert held_out().overlap(text, share=0.9) is None


def test_another_question_about_the_same_thing_is_not() -> None:
    assert held_out().overlap("How many days does a customer wait for a new washing machine", share=0.5) is None
    assert held_out().overlap("", share=0.5) is None


def test_a_short_question_about_another_thing_is_not() -> None:
    asked = Prompt.of([Message(role="user", content="`os.popen`: how many people read its source last week?")])
    index = HeldOutTexts([asked], everything=[], size=8)
    assert index.overlap("`copy.copy`: how many people read its source last week?", share=0.5) is None
    assert index.overlap("Tell me, `os.popen`: how many people read its source last week?", share=0.5) is not None


def test_what_more_than_ten_families_say_is_common() -> None:
    shared = [(f"family-{at}", SECRET) for at in range(11)]
    assert held_out(*shared[:10]).overlap(SECRET, share=0.5) is not None
    assert held_out(*shared).overlap(SECRET, share=0.5) is None


def test_a_short_question_counts_as_one_passage_and_three_words_do_not() -> None:
    def asked(text: str) -> HeldOutTexts:
        return HeldOutTexts([Prompt.of([Message(role="user", content=text)])], everything=[], size=8)

    assert asked("Cancel my yearly subscription").overlap("Please cancel my yearly subscription now", share=0.5) is not None
    assert asked("Cancel it now").overlap("Cancel it now", share=0.5) is None
