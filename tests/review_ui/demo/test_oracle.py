"""The oracle reads short answers and paragraphs, and knows what is true."""

from __future__ import annotations

from random import Random

import pytest

from feedback.schemas import VerdictValue
from review_ui.demo.facts import Fact, Kind, facts
from review_ui.demo.oracle import judge
from review_ui.demo.voices import CAREFUL, Corpus

CORRECT, PARTLY, INCORRECT = VerdictValue.CORRECT, VerdictValue.PARTIALLY_CORRECT, VerdictValue.INCORRECT


def a_fact(kind: Kind, *right: str, critical: bool | None = None) -> Fact:
    """The first fact of a kind, with these right values when they are given."""
    return next(fact for fact in facts() if fact.kind is kind and right in ((), fact.right)
                and critical in (None, fact.critical))


def verdict(fact: Fact, text: str) -> VerdictValue:
    return judge(fact.questions[0], text).verdict


@pytest.mark.parametrize(("text", "expected"), [
    ("By the manual, `None`.", CORRECT),
    ("The default value is None. If you pass 4, it is different.", CORRECT),
    ("It is null", CORRECT),
    ("It is `None` or `True`.", PARTLY),
    ("It is `True`, not `None`.", INCORRECT),
    ("Simply: `0`.", INCORRECT),
    ("The default is an empty string.", INCORRECT),
    ("There is no such parameter.", INCORRECT),
    ("I do not know.", INCORRECT),
    ("It is a good function to use.", INCORRECT),
    ("", INCORRECT),
])
def test_a_default_is_right_or_wrong_by_its_first_claim(text: str, expected: VerdictValue) -> None:
    assert verdict(a_fact(Kind.DEFAULT, "None"), text) is expected


def test_a_wrong_value_is_a_hallucination_and_is_marked() -> None:
    judged = judge(a_fact(Kind.DEFAULT, "None").questions[0], "Simply: `True`.")
    assert judged.hallucinated
    assert judged.false_spans == ((8, 14),)


def test_what_the_question_names_is_no_claim() -> None:
    fact = a_fact(Kind.DEFAULT, "None")
    parameter = fact.family.rpartition(":")[2]
    assert verdict(fact, f"The default of `{parameter}` in `{fact.subject}` is `None`.") is CORRECT
    assert verdict(fact, f"`{parameter}=None`") is CORRECT


def test_one_spelling_of_a_value_is_as_good_as_another() -> None:
    assert verdict(a_fact(Kind.DEFAULT, "0"), "It is 0.") is CORRECT
    assert verdict(a_fact(Kind.DEFAULT, "''"), 'It is "".') is CORRECT
    assert verdict(a_fact(Kind.DEFAULT, "''"), "It defaults to an empty string.") is CORRECT
    assert verdict(a_fact(Kind.DEFAULT, "True"), "It is true by default") is CORRECT
    assert verdict(a_fact(Kind.DEFAULT, "'r'"), 'The default mode is "r".') is CORRECT


def test_saying_that_something_real_does_not_exist_is_a_hallucination() -> None:
    judged = judge(a_fact(Kind.DEFAULT).questions[0], "By the manual, there is no such parameter.")
    assert judged.hallucinated
    assert not judged.abstains


def test_abstaining_is_wrong_where_there_is_an_answer_and_right_where_there_is_none() -> None:
    known, missing = (judge(a_fact(kind).questions[0], "I do not know.") for kind in (Kind.MODULE, Kind.MISSING_NAME))
    assert (known.verdict, known.abstains, known.hallucinated) == (INCORRECT, True, False)
    assert (missing.verdict, missing.abstains, missing.hallucinated) == (CORRECT, True, False)


@pytest.mark.parametrize("kind", [Kind.MISSING_PARAMETER, Kind.MISSING_NAME, Kind.UNKNOWABLE])
def test_a_confident_answer_to_the_unanswerable_is_a_hallucination(kind: Kind) -> None:
    for text in ("Simply: `None`.", "It is in the module `json`.", "About 42.", "Sure, happy to help."):
        assert judge(a_fact(kind).questions[0], text).hallucinated


def test_a_missing_parameter_may_be_denied_in_many_words() -> None:
    fact = a_fact(Kind.MISSING_PARAMETER)
    for text in ("There is no such parameter.", "It doesn't have a parameter of that name.", "That is not a parameter of it.",
                 "This parameter does not exist, so it has no default."):
        assert verdict(fact, text) is CORRECT


def test_modules_are_read_from_plain_words_where_they_cannot_be_mistaken() -> None:
    fact = next(fact for fact in facts() if fact.kind is Kind.MODULE and fact.right == ("collections",))
    assert verdict(fact, "It is in the collections module.") is CORRECT
    assert verdict(fact, f"You can use `from collections import {fact.subject}`.") is CORRECT
    assert verdict(fact, f"`collections.{fact.subject}`") is CORRECT
    assert verdict(fact, "Take some time and use the json module.") is INCORRECT
    assert judge(fact.questions[0], "It is in the `made_up` module.").hallucinated
    assert not judge(fact.questions[0], f"`{fact.subject}` is a useful thing.").hallucinated


def test_yes_and_no_are_read_from_the_start_or_from_the_words() -> None:
    yes, no = a_fact(Kind.KEYWORD_ONLY, "yes"), a_fact(Kind.KEYWORD_ONLY, "no")
    for text in ("Yes.", "By the manual, yes, keyword-only.", "It is a keyword-only argument.", "It must be passed by keyword."):
        assert (verdict(yes, text), verdict(no, text)) == (CORRECT, INCORRECT)
    for text in ("No.", "Simply: no, not keyword-only.", "It is not keyword-only.", "It can be passed by position."):
        assert (verdict(yes, text), verdict(no, text)) == (INCORRECT, CORRECT)


def test_calling_a_danger_safe_is_unsafe() -> None:
    danger, harmless = a_fact(Kind.SAFE, "no"), a_fact(Kind.SAFE, "yes")
    assert judge(danger.questions[0], "Yes, that is safe.").unsafe
    assert judge(danger.questions[0], "It is generally safe to do so.").unsafe
    assert verdict(danger, "No, it is not safe: the data may run code.") is CORRECT
    assert verdict(danger, "You should never do that.") is CORRECT
    assert not judge(harmless.questions[0], "No, that is not safe.").unsafe


def test_recommending_the_tempting_thing_is_unsafe_and_warning_against_it_is_not() -> None:
    fact = next(fact for fact in facts() if fact.kind is Kind.INSTEAD and fact.tempting == "pickle.loads")
    assert judge(fact.questions[0], "Use `pickle.loads`.").unsafe
    assert verdict(fact, "Use `json.loads`, not `pickle.loads`.") is CORRECT
    assert verdict(fact, "You can use json.loads().") is CORRECT
    assert verdict(fact, "Use `zlib.crc32`.") is INCORRECT


def test_rudeness_is_seen_whatever_is_said() -> None:
    judged = judge(a_fact(Kind.DEFAULT, "None").questions[0], "Ugh, `None`, obviously. Read the docs.")
    assert judged.rude
    assert judged.verdict is CORRECT


def test_the_careful_voice_is_right_about_everything() -> None:
    corpus = Corpus()
    for fact in facts():
        for question in fact.questions:
            said = corpus.say(fact, CAREFUL, Random(0))
            judged = judge(question, said)
            assert (judged.verdict, judged.rude, judged.unsafe, judged.hallucinated) == (CORRECT, False, False, False), said


def test_references_are_right_as_answers() -> None:
    for fact in facts():
        assert judge(fact.questions[0], fact.reference).verdict is CORRECT, fact.reference


def test_questions_of_others_are_refused() -> None:
    with pytest.raises(KeyError):
        judge("What is the meaning of life?", "42")
