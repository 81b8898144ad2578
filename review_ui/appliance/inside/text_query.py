"""The search box's little language, as Elasticsearch's `simple_query_string` reads it, turned into an FTS5 expression.

    word other          both (AND is the default)          "two words"   the phrase
    word + other        both                               wor*          words that begin so
    word | other        either                             ( )           grouping
    -word               records without it                 \\-            the character itself

Operators have no precedence: `a | b c` is `(a | b) and c`, folded from the left as Lucene's SimpleQueryParser does.
Nothing is an error: an operator without operands and a bracket or quote that is never closed are skipped, and what holds
no letter or digit is left out. Where it differs: `word~1` (similar spelling) finds the word alone, and `"two words"~3` finds
them in either order. Chinese characters and Hiragana are words by themselves.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

MAX_TERMS = 256
"""Words and phrases taken from one query; later ones are left out."""
MAX_DEPTH = 30
"""Changes of operator inside one another; FTS5's own parser has a stack of 100, so what is deeper is left out."""
SEPARATOR = "\ue000"
"""Stands between texts that a phrase must not join: a private character, so a token that no query can hold."""

ALONE = "\u3005-\u3007\u3041-\u3096\u309d-\u309f\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002fa1f"
"""Each of these is a word by itself, as Unicode and Elasticsearch have it: Chinese characters and Hiragana. Nothing in their
texts says where a longer word ends."""
_ALONE = re.compile(f"[{ALONE}]")

# Python's \w leaves out marks: an accent that is a character of its own, the vowels of Hindi. They end no word.
_MARKS = "".join(character for character in map(chr, range(0x10000)) if unicodedata.category(character) in ("Mn", "Mc"))
# A word as Unicode's word boundaries see it: an apostrophe or dot between letters or digits does not end it, a hyphen does.
_LETTERS = rf"[\w{_MARKS}]+"
_WORD = re.compile(rf"{_LETTERS}(?:['.\u2019]{_LETTERS}|(?<=\d),(?=\d){_LETTERS})*")
_CLOSING_QUOTE = re.compile(r'((?:[^"\\]|\\.)*)"', re.DOTALL)
_SPACE = " \t\n\r"
_ENDS_WORD = frozenset('"|+()' + _SPACE)
_SAME_FIELD = 1_000_000
"""NEAR distance that means: anywhere in the same field."""


@dataclass(frozen=True, slots=True)
class Hits:
    """The rows an FTS5 expression finds, or all the others when `negated`."""

    expression: str
    kind: Literal["term", "AND", "OR", "NOT"] = "term"
    negated: bool = False
    depth: int = 0

    def inverted(self) -> Hits:
        return Hits(self.expression, self.kind, not self.negated, self.depth)

    def inside(self, operator: str) -> str:
        """The expression as an operand of another operator."""
        return self.expression if self.kind in ("term", operator) and self.kind != "NOT" else f"({self.expression})"


EVERYTHING = Hits('""', negated=True)


def parse(query: str) -> Hits | None:
    """What the query finds; None when it holds no searchable word and so finds nothing."""
    cleaned = query.encode("utf-8", "replace").decode("utf-8").replace("\x00", " ").replace(SEPARATOR, " ")
    if cleaned.strip() == "*":
        return EVERYTHING
    return _Parser(_Query(cleaned, _brackets(cleaned)), 0, len(cleaned)).result()


@dataclass(slots=True)
class _Query:
    text: str
    closed_at: dict[int, int]
    """Where each bracket that is closed is closed."""
    terms: int = 0
    depth: int = 0


def _brackets(text: str) -> dict[int, int]:
    closed_at: dict[int, int] = {}
    opened: list[int] = []
    escaped = False
    for at, character in enumerate(text):
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == "(":
            opened.append(at)
        elif character == ")" and opened:
            closed_at[opened.pop()] = at
    return closed_at


class _Parser:
    """Reads a part of the query, the whole or the inside of a pair of brackets, from left to right."""

    def __init__(self, query: _Query, start: int, end: int) -> None:
        self._query = query
        self._text = query.text
        self._at = start
        self._end = end
        self._top: Hits | None = None
        self._operator: Literal["AND", "OR"] | None = None
        self._negations = 0

    def result(self) -> Hits | None:
        while self._at < self._end:
            character = self._text[self._at]
            if character == "-":
                # Two in a row cancel out; even a space ends what they apply to.
                self._negations += 1
                self._at += 1
                continue
            self._read(character)
            self._negations = 0
        return self._top

    def _read(self, character: str) -> None:
        if character == "(":
            self._group()
        elif character == '"':
            self._phrase()
        elif character in "+|":
            # The first operator counts, and one before any word is skipped.
            if self._operator is None and self._top is not None:
                self._operator = "AND" if character == "+" else "OR"
            self._at += 1
        elif character in _SPACE or character == ")":
            self._at += 1
        else:
            self._word()

    def _group(self) -> None:
        end = self._query.closed_at.get(self._at)
        if end is None or end >= self._end or self._query.depth == MAX_DEPTH:
            self._at += 1
            return
        self._query.depth += 1
        inner = _Parser(self._query, self._at + 1, end).result()
        self._query.depth -= 1
        self._at = end + 1
        self._add(inner)

    def _phrase(self) -> None:
        closed = _CLOSING_QUOTE.match(self._text, self._at + 1, self._end)
        if closed is None:
            self._at += 1
            return
        text = _unescaped(closed[1])
        self._at = closed.end()
        slop = self._tilde()
        words = _words(text)
        if slop and len(words) > 1:
            self._add_term(f"NEAR({' '.join(map(_quoted, words))}, {min(slop, 1000) + len(words) - 2})")
        else:
            self._add_term(_quoted(_spaced(text)) if _searchable(text) else None)

    def _word(self) -> None:
        characters: list[str] = []
        prefix = False
        while self._at < self._end:
            character = self._text[self._at]
            if character == "\\" and self._at + 1 < self._end:
                self._at += 1
                characters.append(self._text[self._at])
                prefix = False
            elif character in _ENDS_WORD or (character == "~" and characters):
                break
            else:
                prefix = character == "*" and bool(characters)
                characters.append(character)
            self._at += 1
        self._tilde()
        self._add_term(_word_expression("".join(characters), prefix=prefix))

    def _tilde(self) -> int:
        """Takes off a `~N` that follows; 0 when there is none or it holds no number."""
        if not self._text.startswith("~", self._at, self._end):
            return 0
        start = self._at + 1
        self._at = start
        while self._at < self._end and self._text[self._at] not in _ENDS_WORD:
            self._at += 1
        number = self._text[start:self._at][:4]
        return int(number) if number.isascii() and number.isdigit() else 0

    def _add_term(self, expression: str | None) -> None:
        if expression is not None and self._query.terms < MAX_TERMS:
            self._query.terms += 1
            self._add(Hits(expression))
        else:
            self._add(None)

    def _add(self, branch: Hits | None) -> None:
        operator, self._operator = self._operator or "AND", None
        if branch is None:
            return
        if self._negations % 2:
            branch = branch.inverted()
        joined = branch if self._top is None else _joined(self._top, branch, operator)
        if joined.depth <= MAX_DEPTH:
            self._top = joined


def _joined(first: Hits, second: Hits, operator: Literal["AND", "OR"]) -> Hits:
    """Both or either as one expression. FTS5 knows `a NOT b` but no `NOT b` alone, so a complement is carried outside it."""
    if operator == "OR" and (first.negated or second.negated):
        return _joined(first.inverted(), second.inverted(), "AND").inverted()
    if first.negated and second.negated:
        return _chain(first.inverted(), second.inverted(), "OR").inverted()
    if first.negated or second.negated:
        kept, left_out = (second, first) if first.negated else (first, second)
        depth = max(kept.depth, left_out.depth) + 1
        return Hits(f"{kept.inside('NOT')} NOT {left_out.inside('NOT')}", "NOT", depth=depth)
    return _chain(first, second, operator)


def _chain(first: Hits, second: Hits, operator: Literal["AND", "OR"]) -> Hits:
    deeper = any(part.kind not in ("term", operator) for part in (first, second))
    depth = max(first.depth, second.depth) + deeper
    return Hits(f"{first.inside(operator)} {operator} {second.inside(operator)}", operator, depth=depth)


def _word_expression(text: str, *, prefix: bool) -> str | None:
    """A word such as `cross-check` is two to the index: both must be in the same field."""
    words = [word for word in _words(text) if _searchable(word)]
    if not words:
        return None
    terms = [_quoted(word) for word in words]
    if prefix:
        terms[-1] += " *"
    return terms[0] if len(terms) == 1 else f"NEAR({' '.join(terms)}, {_SAME_FIELD})"


def _words(text: str) -> list[str]:
    return _WORD.findall(_spaced(text))


def _spaced(text: str) -> str:
    return _ALONE.sub(r" \g<0> ", text)


def _searchable(text: str) -> bool:
    """True when the index keeps something of it: a letter or a number."""
    return any(unicodedata.category(character)[0] in "LN" for character in text)


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
