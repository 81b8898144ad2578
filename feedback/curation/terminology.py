"""`terminology.yaml`: the words that a house uses, and those that it does not.

    kind: terminology
    terms:
      - preferred: e-mail
        instead_of: [email, electronic mail]
        replace: true           # without this, answers are only pointed out
      - instead_of: [guys]      # forbidden: there is no preferred word

Whole words alone: `emails` is not `email`, so inflected forms stay unless they are listed. A replacement takes over the case of
the first letter, or of all. Only answers and rewrites are looked at: a question is what somebody asked. Code in backticks,
addresses and dotted names stay as they are: `email = 1` is not written with a hyphen.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from feedback.config import Strict, read_yaml

_VERBATIM = (r"(?:```|~~~)[\s\S]*?(?:```|~~~|\Z)"     # code in a fence, also one that is never closed
             r"|`[^`\n]+`"
             r"|(?<!\w)\w{1,20}://\S+|[^\s@]{1,64}@[^\s@]{1,255}\.\w+"     # addresses
             r"|(?<!\w)\w+(?:\.\w+)+")                    # dotted names
"""What is written letter by letter, and no prose."""


class Term(Strict):
    """One word or phrase, and what it stands instead of."""

    preferred: str | None = Field(default=None, min_length=1)
    """What to write. Without it the others are forbidden, and only pointed out."""
    instead_of: tuple[str, ...] = Field(min_length=1)
    """What not to write."""
    replace: bool = False
    """Write the preferred word instead; otherwise the text is only pointed out."""
    match_case: bool = False
    """`US` is not `us`."""


class Terminology(Strict):
    """The terms of a house, none of which undoes another."""

    kind: Literal["terminology"]
    terms: tuple[Term, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _is_sound(self) -> Self:
        problems = [*_impossible(self.terms), *_repeated(self.terms), *_undoing(self.terms)]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def __call__(self, text: str) -> Termed:
        """`text` in the house's words."""
        replaced: Counter[str] = Counter()
        flagged: Counter[str] = Counter()

        def write(match: re.Match[str]) -> str:
            # A term may itself be an address or a dotted name, such as Node.js.
            found = match if match.lastgroup != "kept" else self._found.fullmatch(match.group())
            if found is None:
                return match.group()
            term = self._terms[int((found.lastgroup or "t0")[1:])]
            if term.preferred is None or not term.replace:
                flagged[f"{match.group()}" + (f" (use {term.preferred})" if term.preferred else "")] += 1
                return match.group()
            replaced[f"{match.group()} -> {term.preferred}"] += 1
            return term.preferred if term.match_case else _cased(match.group(), term.preferred)

        return Termed(text=self._found_or_kept.sub(write, text), replaced=dict(sorted(replaced.items())),
                      flagged=dict(sorted(flagged.items())))

    @cached_property
    def _phrases(self) -> list[tuple[str, Term]]:
        """Longest first, so that a phrase is found before a word of it."""
        every = [(phrase, term) for term in self.terms for phrase in term.instead_of]
        return sorted(every, key=lambda pair: (-len(pair[0]), pair[0]))

    @cached_property
    def _terms(self) -> list[Term]:
        return [term for _, term in self._phrases]

    @cached_property
    def _found(self) -> re.Pattern[str]:
        terms = "|".join(f"(?P<t{at}>{_phrase(phrase, term)})" for at, (phrase, term) in enumerate(self._phrases))
        return re.compile(_as_words(terms))

    @cached_property
    def _found_or_kept(self) -> re.Pattern[str]:
        return re.compile(f"(?P<kept>{_VERBATIM})|{self._found.pattern}")


@dataclass(frozen=True)
class Termed:
    """A text in the house's words."""

    text: str
    replaced: Mapping[str, int]
    """`found -> written`, and how often."""
    flagged: Mapping[str, int]
    """What was found and left."""


def read_terminology(path: Path) -> Terminology:
    """The terms of a file. Raises InvalidInput with every problem: a term twice, one that undoes another, nothing to write."""
    return read_yaml(path, Terminology)


def _phrase(phrase: str, term: Term) -> str:
    spaced = r"\s+".join(re.escape(word) for word in phrase.split())
    return spaced if term.match_case else f"(?i:{spaced})"


def _as_words(pattern: str) -> str:
    return rf"(?<![\w-])(?:{pattern})(?![\w-])"


def _cased(found: str, preferred: str) -> str:
    if len(found) > 1 and found.isupper():
        return preferred.upper()
    return preferred[0].upper() + preferred[1:] if found[0].isupper() else preferred


def _impossible(terms: Iterable[Term]) -> list[str]:
    empty = [f"terms[{at}].instead_of holds an empty text" for at, term in enumerate(terms)
             if not all(map(str.strip, term.instead_of))]
    nothing = [f"terms[{at}].replace is true, and `preferred` is missing: there is nothing to write"
               for at, term in enumerate(terms) if term.replace and term.preferred is None]
    return empty + nothing


def _repeated(terms: Iterable[Term]) -> list[str]:
    counts = Counter(" ".join(phrase.casefold().split()) for term in terms for phrase in term.instead_of)
    return [f"{phrase!r} stands in `instead_of` {count} times; keep one" for phrase, count in counts.items() if count > 1]


def _undoing(terms: Iterable[Term]) -> list[str]:
    """Preferred words that another term, or the same, tells not to write: a circle, a chain, or a phrase that grows each time."""
    every = list(terms)
    return [f"terms[{at}] writes {term.preferred!r}, in which {phrase!r} is told not to be written (terms[{where}]); "
            "name the final word in both, or remove one"
            for at, term in enumerate(every) if term.preferred for where, other in enumerate(every) for phrase in other.instead_of
            if phrase.strip() and re.search(_as_words(_phrase(phrase, other)), term.preferred)
            and not (term is other and phrase != term.preferred and phrase.casefold() == term.preferred.casefold())]
