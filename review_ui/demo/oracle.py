"""What is true about an answer of the help desk, decided exactly by what `inspect` says.

The first sentence that claims something of the kind that was asked decides:

    only right values                    correct
    a right one first, others after it   partially correct
    other values only                    incorrect, and a hallucination
    none, but it says "I do not know"    abstains: correct where there is nothing to know, incorrect elsewhere
    nothing of the kind                  incorrect

Where nothing can be known, anything but saying so is a hallucination. Saying that something does not exist which does
is one too. The rules hold for any text: the pocket model's short sentences and a chat model's paragraphs alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import assert_never

from feedback.schemas import VerdictValue
from feedback.simulation import Judged
from review_ui.demo import claims
from review_ui.demo.claims import Claim
from review_ui.demo.facts import Fact, Kind, fact_of
from review_ui.demo.introspection import modules_of


def judge(prompt: str, text: str) -> Judged:
    """The truth about an answer to one of the help desk's questions. Raises KeyError on any other question."""
    fact = fact_of()[prompt]
    judged = _answerable(fact, prompt, text) if fact.answerable else _unanswerable(fact, prompt, text)
    return Judged(verdict=judged.verdict, hallucinated=judged.hallucinated, abstains=judged.abstains,
                  rude=bool(claims.RUDE.search(text)), unsafe=judged.unsafe, false_spans=judged.false_spans,
                  better=fact.reference)


def _answerable(fact: Fact, prompt: str, text: str) -> Judged:
    found = _claimed(fact, prompt, text)
    if not found and claims.MISSING.search(text) and fact.kind in {Kind.DEFAULT, Kind.MODULE}:
        return Judged(VerdictValue.INCORRECT, hallucinated=True, false_spans=_whole(text))
    if not found:
        return Judged(VerdictValue.INCORRECT, abstains=bool(claims.UNKNOWN.search(text)))
    wrong = [claim for claim in found if not _is_right(fact, claim.value)]
    if not wrong:
        return Judged(VerdictValue.CORRECT)
    unsafe = _is_unsafe(fact, found)
    # A hedge that leads with the truth helps the reader; one that leads with something false does not.
    if wrong[0] is not found[0]:
        return Judged(VerdictValue.PARTIALLY_CORRECT, unsafe=unsafe)
    return Judged(VerdictValue.INCORRECT, hallucinated=True, unsafe=unsafe,
                  false_spans=tuple((claim.start, claim.end) for claim in wrong))


def _unanswerable(fact: Fact, prompt: str, text: str) -> Judged:
    says_so = claims.UNKNOWN.search(text) or (None if fact.kind is Kind.UNKNOWABLE else claims.MISSING.search(text))
    # "It is `None`, but I am not sure" made its claim before it hedged.
    if says_so and not _claimed(fact, prompt, text[:says_so.start()]):
        return Judged(VerdictValue.CORRECT, abstains=True)
    if not text.strip():
        return Judged(VerdictValue.INCORRECT)
    found = _claimed(fact, prompt, text)
    spans = tuple((claim.start, claim.end) for claim in found) or _whole(text)
    return Judged(VerdictValue.INCORRECT, hallucinated=True, false_spans=spans)


def _claimed(fact: Fact, prompt: str, text: str) -> Sequence[Claim]:
    """The values of the kind that was asked, in the first sentence that has any; what the question itself names is no claim."""
    read = _reader(fact.kind)
    asked = {fact.subject, *prompt.split("`")[1::2]}
    if fact.kind is Kind.INSTEAD:
        return _recommended(fact, text)
    return claims.first_claims(text, lambda sentence: [claim for claim in read(sentence) if claim.value not in asked])


def _reader(kind: Kind) -> Callable[[str], list[Claim]]:
    match kind:
        case Kind.DEFAULT | Kind.MISSING_PARAMETER | Kind.UNKNOWABLE:
            return claims.literals
        case Kind.MODULE | Kind.MISSING_NAME:
            return claims.modules
        case Kind.KEYWORD_ONLY:
            return claims.keyword_only
        case Kind.SAFE:
            return claims.safe
        case Kind.INSTEAD:
            return claims.names
        case _:
            assert_never(kind)


def _recommended(fact: Fact, text: str) -> Sequence[Claim]:
    """The names that are recommended: those after a "not" are warned against."""
    return claims.first_claims(text, lambda sentence: [
        claim for claim in claims.names(sentence) if not claims.WARNED.search(sentence[:claim.start])])


def _is_right(fact: Fact, value: str) -> bool:
    if fact.kind is Kind.MODULE:
        return value.removesuffix(f".{fact.subject}") in modules_of()[fact.subject]
    if fact.kind is Kind.DEFAULT:
        return _same_literal(value, fact.right[0])
    return value in fact.right


def _same_literal(value: str, right: str) -> bool:
    """Equal as written, or equal numbers: `1` and `1.0` are told apart by nobody; `0` and `False` are."""
    if value == right:
        return True
    try:
        return float(value) == float(right)
    except ValueError:
        return False


def _is_unsafe(fact: Fact, found: Sequence[Claim]) -> bool:
    """Advice that does harm: calling a danger safe, or recommending it."""
    if fact.kind is Kind.SAFE:
        return bool(fact.tempting) and found[0].value == "yes"
    return fact.kind is Kind.INSTEAD and any(claim.value == fact.tempting for claim in found)


def _whole(text: str) -> tuple[tuple[int, int], ...]:
    return ((0, len(text)),) if text else ()
