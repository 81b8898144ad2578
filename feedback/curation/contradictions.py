"""Accepted answers to one question that cannot both be right, and answers whose date has passed. Pointed out, never dropped.

Two accepted answers disagree when one says yes and the other no, when each names one number or one piece of code and these
differ, or when they are worded alike (two thirds of their words) and differ in a number, a sign, code or a negation. Answers that
differ in other ways may both be right, and are left to people.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import combinations

from feedback.curation.wording import NEGATIONS, exact_words, word_counts, words

ALIKE = 2 / 3
MOST_ANSWERS = 50
"""Accepted answers to one question that are compared with each other."""
_YES = frozenset({"yes", "yeah", "correct", "true", "ja", "oui", "s\u00ed"})
_NO = frozenset({"no", "nope", "incorrect", "false", "nein", "non"})
_MONTHS = {name: number for number, name in enumerate(
    ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"),
    start=1)}
_UNTIL = re.compile(
    r"\b(?:valid|good|available|open|offered|applies|runs|g\u00fcltig)\s+(?:un)?(?:til|till|through|bis)\b"
    r"|\bexpir(?:es|y date|ed) (?:on\s+)?|\bvalid_until\b|\bends on\b", re.IGNORECASE)
_DATE = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})|(\d{1,2})(?:st|nd|rd|th)?\s+([A-Za-z]+),?\s+(\d{4})"
                   r"|([A-Za-z]+)\s+(\d{1,2}),?\s+(\d{4})|(\d{1,2})\.(\d{1,2})\.(\d{4})")
_REACH = 40
"""Characters after the words in which the date stands."""


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Two texts that cannot both be right."""

    one: int
    other: int
    reason: str


def disagreements(texts: Sequence[str]) -> Iterator[Disagreement]:
    """Every pair of answers to one question that disagree, by index, with what they differ in."""
    for one, other in combinations(range(min(len(texts), MOST_ANSWERS)), 2):
        if reason := _difference(texts[one], texts[other]):
            yield Disagreement(one, other, reason)


def _difference(one: str, other: str) -> str | None:
    first, second = _stance(one), _stance(other)
    if first and second and first != second:
        return f"{first} against {second}"
    exact, against = exact_words(one), exact_words(other)
    if exact == against:
        return None
    told, retold = _told(exact), _told(against)
    if len(told) == len(retold) == 1 and told != retold:
        return f"{_said(told)} against {_said(retold)}"
    return f"{_said(exact - against)} against {_said(against - exact)}" if _alike(word_counts(one), word_counts(other)) else None


def _stance(text: str) -> str | None:
    start = words(text[:200])[:1]
    return "yes" if start and start[0] in _YES else "no" if start and start[0] in _NO else None


def _told(exact: Counter[str]) -> Counter[str]:
    """The numbers and code alone, without what was masked."""
    return Counter({word: 1 for word in exact
                    if word not in NEGATIONS and not word.startswith("<") and any(each.isalnum() for each in word)})


def _said(counts: Mapping[str, int]) -> str:
    return ", ".join(sorted(counts)[:3]) or "nothing"


def _alike(one: Counter[str], other: Counter[str]) -> bool:
    return (one & other).total() >= ALIKE * max(one.total(), other.total())


def outdated(text: str, *, today: date) -> date | None:
    """The earliest date in `text` until which something in it holds and which lies before `today`; None without one."""
    passed = [day for match in _UNTIL.finditer(text) for day in _dates(text[match.end():match.end() + _REACH]) if day < today]
    return min(passed, default=None)


def _dates(text: str) -> Iterable[date]:
    for match in _DATE.finditer(text):
        year, month, day, d2, m2, y2, m3, d3, y3, d4, m4, y4 = match.groups()
        parts = [(year, month, day), (y2, str(_MONTHS.get((m2 or "").casefold(), "")), d2),
                 (y3, str(_MONTHS.get((m3 or "").casefold(), "")), d3), (y4, m4, d4)]
        for y, m, d in parts:
            try:
                yield date(int(y), int(m), int(d))
            except (TypeError, ValueError):
                continue
