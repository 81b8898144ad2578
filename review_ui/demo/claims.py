"""What an answer claims: values, modules, yes or no, names, and that something is unknown or does not exist.

The pocket model writes values in backticks. Other models write as they like, so plain words count as well where they
cannot be mistaken for English.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass

SENTENCE = re.compile(r"(?<=[.!?:;])\s+|\n+")
LITERAL = re.compile(
    r"`(?P<ticked>[^`\n]+)`"
    r"|(?P<quoted>'[^'\n]{0,20}'|\"[^\"\n]{0,20}\")"
    r"|(?P<word>\b(?:None|True|False|none|true|false|null)\b|(?<![\w.])-?\d+(?:\.\d+)?(?:e-?\d+)?(?![\w]))"
    r"|(?P<empty>\b(?:an )?empty string\b)"
)
VALUE = re.compile(r"None|True|False|-?\d+(?:\.\d+)?(?:e-?\d+)?|'[^']*'")
"""A plain value, spelt as `repr` spells it."""
MODULE = re.compile(
    r"`(?P<ticked>[A-Za-z_][\w.]*)`"
    r"|\bfrom (?P<source>[a-z_][\w.]*) import\b|\bimport (?P<imported>[a-z_][\w.]*)"
    r"|\b(?P<before>[a-z_][\w.]*) (?:module|library|package)\b|\b(?:module|library|package) (?P<after>[a-z_][\w.]*)"
)
NAME = re.compile(
    r"`(?P<ticked>[A-Za-z_][\w.]*)[^`\n]*`|\b(?P<dotted>[a-z_]\w*(?:\.\w+)+)\b|\b(?P<called>(?:eval|exec|input)\b(?=\())")


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE)


UNKNOWN = _any(
    r"\b(?:i|we) (?:do not|don't|cannot|can't|could not) (?:really )?(?:know|say|tell|determine|answer|access|provide)",
    r"\b(?:i am|i'm) (?:not sure|unable|not able|not certain)", r"\bnot (?:possible|able) to (?:know|say|tell|determine|answer)",
    r"\b(?:cannot|can't|can not) be (?:known|said|told|determined|answered|looked up)", r"\bno (?:way to know|idea)\b",
    r"\bnobody (?:knows|can)", r"\bis (?:unknown|not known)\b", r"\bit depends\b", r"\bdepends on (?:your|the|many|several)")
"""Says that something is not known."""
MISSING = _any(
    r"\bno such\b", r"\b(?:does not|doesn't|do not|don't) exist", r"\bnot exist\b", r"\bthere (?:is|are) no\b",
    r"\bthere(?:'s| isn't| is not) (?:no|any|a)\b", r"\bhas no\b", r"\bno (?:parameter|argument|module)\b",
    r"\b(?:does not|doesn't) (?:have|take|accept|support) (?:a|an|any|such|the|`)",
    r"\b(?:is not|isn't) (?:a|an|in|part of) (?:\w+ ){0,3}(?:parameter|argument|function|module|name|library)")
"""Says that something does not exist."""
RUDE = _any(
    r"\bugh\b", r"\bobviously\b", r"\bread the docs\b", r"\brtfm\b", r"\bstupid", r"\bidiot", r"\bdumb\b", r"\blazy\b",
    r"\bduh\b", r"\bsilly question", r"\bwaste my time")
WARNED = _any(r"\b(?:not|n't|never|avoid|instead of|rather than)\b[^.`]{0,20}$")
"""Ends right before a name that is warned against."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A value that an answer states, and where: `text[start:end]`."""

    value: str
    start: int
    end: int


def first_claims(text: str, find: Callable[[str], list[Claim]]) -> tuple[Claim, ...]:
    """The claims of the first sentence that makes any; empty when none does."""
    start = 0
    for sentence in SENTENCE.split(text):
        start = text.index(sentence, start)
        if found := find(sentence):
            return tuple(Claim(claim.value, claim.start + start, claim.end + start) for claim in found)
        start += len(sentence)
    return ()


def literals(sentence: str) -> list[Claim]:
    """Python values, in their repr's spelling: `'r'` for "r" as well, `''` for "an empty string"."""
    found = []
    for match in LITERAL.finditer(sentence):
        # A chat model says "an empty string" where `inspect` says ''.
        text = match["ticked"] or match["quoted"] or match["word"] or "''"
        found.append(Claim(_literal(text.strip()), *match.span()))
    # Code in backticks counts as a value only where no real value stands.
    return [claim for claim in found if _is_literal(claim.value)] or found


def _literal(text: str) -> str:
    spelt = {"none": "None", "null": "None", "true": "True", "false": "False"}.get(text.lower(), text)
    # `indent=None` and `indent: None` claim the value after the sign.
    spelt = re.sub(r"^\w+\s*[=:]\s*", "", spelt)
    if len(spelt) > 1 and spelt[0] == spelt[-1] == '"':
        return repr(spelt[1:-1])
    return spelt


def _is_literal(text: str) -> bool:
    return bool(VALUE.fullmatch(text))


def modules(sentence: str) -> list[Claim]:
    """Modules that the sentence places something in; those that do not exist only where no real one is named."""
    found = [Claim(next(group for group in match.groups() if group).strip("."), *match.span())
             for match in MODULE.finditer(sentence)]
    return [claim for claim in found if claim.value.partition(".")[0] in sys.stdlib_module_names] or found


def names(sentence: str) -> list[Claim]:
    """Dotted names and functions."""
    return [Claim((match["ticked"] or match["dotted"] or match["called"]).strip("."), *match.span())
            for match in NAME.finditer(sentence)]


def yes_or_no(positive: str, negative: str) -> Callable[[str], list[Claim]]:
    """Reads `yes` and `no`, or else the words of two patterns; the negative one is looked for first."""
    # Only near the start: later in a paragraph "no" and "yes" answer something else.
    patterns = ((re.compile(r"^\W*(?:[^,.]{0,40}, )?no\b", re.IGNORECASE), "no"),
                (re.compile(r"^\W*(?:[^,.]{0,40}, )?yes\b", re.IGNORECASE), "yes"),
                (re.compile(negative, re.IGNORECASE), "no"), (re.compile(positive, re.IGNORECASE), "yes"))

    def read(sentence: str) -> list[Claim]:
        for pattern, value in patterns:
            if match := pattern.search(sentence):
                return [Claim(value, *match.span())]
        return []

    return read


keyword_only = yes_or_no(
    positive=r"keyword[- ]only|must be (?:named|passed by keyword|given by name)|by keyword only",
    negative=r"(?:not|n't|nor)\b[^.]{0,25}(?:keyword[- ]only|named|by keyword)|positional|by position")
safe = yes_or_no(
    positive=r"\bsafe(?:ly)?\b|\bfine\b|\bsecure\b|\bgo ahead\b|\byou (?:can|may)\b",
    negative=r"(?:not|n't|never)\b[^.]{0,25}(?:safe|fine|secure|recommended|do|use|ok)|\bunsafe|\binsecure|\bdangerous|\brisky?\b"
             r"|\bvulnerab|\bavoid\b|\bshould(?: not|n't)\b")
