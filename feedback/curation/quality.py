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

    step: Literal["empty", "over-long"]
    reason: str


def shows_nothing(text: str) -> bool:
    """True when a reader would see an empty page: only spaces, controls and zero-width characters."""
    return all(unicodedata.category(character) in _INVISIBLE for character in text)


def flaw(text: str, *, longest: int) -> Flaw | None:
    """What is wrong with `text`: nothing to see in it, or more than `longest` characters. None when it will do."""
    if len(text) > longest:
        return Flaw("over-long", f"{len(text)} characters, allowed {longest}")
    if shows_nothing(text):
        return Flaw("empty", "nothing in it can be seen")
    return None
