"""Texts that nothing can be learned from."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Literal

_INVISIBLE = {"Cc", "Cf", "Cs", "Zl", "Zp", "Zs"}
"""Unicode categories that draw nothing: controls, format characters, lone surrogates, separators. Unassigned ones are
not among them: they may be newer than this Python's tables."""


@dataclass(frozen=True, slots=True)
class Flaw:
    """Why a text is of no use."""

    step: Literal["empty", "over-long", "too short", "language", "repetition"]
    reason: str


def shows_nothing(text: str) -> bool:
    """True when a reader would see an empty page: only spaces, controls and zero-width characters."""
    return all(unicodedata.category(character) in _INVISIBLE for character in text)


def flaw(text: str, *, longest: int, shortest: int = 1) -> Flaw | None:
    """What is wrong with `text`: nothing to see in it, or more than `longest` or fewer than `shortest` characters. None when it
    will do.
    """
    if len(text) > longest:
        return Flaw("over-long", f"{len(text)} characters, allowed {longest}")
    if shows_nothing(text):
        return Flaw("empty", "nothing in it can be seen")
    if len(text.strip()) < shortest:
        return Flaw("too short", f"{len(text.strip())} characters, wanted {shortest}")
    return None


FEWEST_WORDS, PASSAGE = 20, 4
"""Words from which a text can repeat itself, and words in a row that count as a passage."""
FEWEST_LETTERS, LETTERS = 200, 8
"""The same for a text without spaces, in characters."""


def repeated_share(text: str) -> float:
    """Share of a text that stands in a passage which was there before, 0 to 1; 0 for a short text."""
    units: list[str] | str = text.split()
    size, fewest = PASSAGE, FEWEST_WORDS
    if len(units) < FEWEST_WORDS and len(text) >= FEWEST_LETTERS:
        units, size, fewest = text, LETTERS, FEWEST_LETTERS
    if len(units) < fewest:
        return 0.0
    seen: set[int] = set()
    repeated = bytearray(len(units))
    for start in range(len(units) - size + 1):
        passage = hash(units[start:start + size] if isinstance(units, str) else tuple(units[start:start + size]))
        if passage in seen:
            repeated[start:start + size] = b"\x01" * size
        seen.add(passage)
    return sum(repeated) / len(units)
