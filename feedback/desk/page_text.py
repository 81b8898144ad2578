"""Texts so that Argilla's pages show their very characters, and positions on the page as positions in the text. Pure.

The stock pages put a field's text into the document as HTML: a tag in a model's answer would be rendered, a script in it
would run as the reviewer. Redpen's appliance puts it there as text. A word joiner, which nobody sees, after each `<` and
`&` that could begin something makes both show the same: HTML takes such a `<` for a plain character.

Browsers count positions in UTF-16 code units, the server checks them against the length in characters, and we store
characters of the original text.
"""

from __future__ import annotations

import re

JOINER = "\N{WORD JOINER}"
NUL = "\N{SYMBOL FOR NULL}"
"""Stands for U+0000, which neither HTML nor PostgreSQL can hold."""

EMPTY = "(the answer is empty)"
"""Shown for an answer without text: Argilla would show nothing at all."""

_BEGINS_MARKUP = re.compile(r"<(?=[A-Za-z/!?])|&(?=[A-Za-z0-9#])")
_JOINED = re.compile(rf"([<&!]){JOINER}")


def shown(text: str) -> str:
    """The text as a field. Line ends become those that HTML would make of them, at the same length."""
    plain = text.replace("\x00", NUL).replace("\r\n", " \n").replace("\r", "\n")
    return _BEGINS_MARKUP.sub(lambda match: match[0] + JOINER, plain)


def shown_markdown(text: str) -> str:
    """The text as a field that is rendered as Markdown: without pictures, which a browser would fetch from anywhere."""
    return shown(text).replace("![", f"!{JOINER}[")


def shown_answer(text: str) -> str:
    """An answer as a field whose words can be marked: long enough for positions that count astral characters twice."""
    astral = 0 if text.isascii() else sum(ord(char) > 0xFFFF for char in text)
    return shown(text or EMPTY) + JOINER * astral


def read_shown(text: str) -> str:
    """What a person reads in a field, or pasted from one: without the joiners that `shown` put there."""
    return _JOINED.sub(r"\1", text).rstrip(JOINER)


class Positions:
    """Where the characters of an answer stand on the page."""

    def __init__(self, text: str) -> None:
        joined = {match.start() for match in _BEGINS_MARKUP.finditer(text)}
        self._units: list[tuple[int, int]] = []
        """For each code unit of the page: the character it begins, and the one after it. Joiners lie between two."""
        for index, char in enumerate(text):
            self._units += [(index, index + 1)] * (2 if ord(char) > 0xFFFF else 1) + [(index + 1, index + 1)] * (index in joined)
        self._starts = {first: unit for unit, (first, after) in reversed(list(enumerate(self._units))) if first < after}
        self.count = len(self._units)
        """Code units on the page."""

    def characters(self, start: int, end: int) -> tuple[int, int] | None:
        """The characters between two positions of the page; None when there are none."""
        if not 0 <= start < end <= self.count:
            return None
        first, after = self._units[start][0], self._units[end - 1][1]
        return (first, after) if first < after else None

    def on_page(self, first: int, after: int) -> tuple[int, int]:
        """Positions on the page that enclose the characters `text[first:after]`."""
        last = self._starts[after - 1]
        wide = last + 1 < self.count and self._units[last + 1] == self._units[last]
        return self._starts[first], last + (2 if wide else 1)
