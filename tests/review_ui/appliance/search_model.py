"""What a search must find, in plain Python: the documented meaning of Elasticsearch's queries over a list of records.

Slow and simple on purpose, and shares no code with the engine. Where the engine's own documentation says that it differs
(`word~1` finds the word alone, `"two words"~3` finds them in either order, words are split at every sign), this follows it.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

FILTERED = {"accuracy", "verdict", "flags"}
"""Questions whose values Elasticsearch is told to index: ratings and labels."""
GAP = "\x00"
"""A token that no query can hold: between two texts of one field."""


@dataclass(frozen=True)
class Answer:
    """One person's response."""

    user: str
    status: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Suggestion:
    value: Any
    score: Any = None
    agent: str | None = None
    type: str | None = None


@dataclass(frozen=True)
class Row:
    """One record as the model sees it; rows stand in the order in which they were added."""

    name: str
    """External id."""
    id: str
    texts: Mapping[str, Sequence[str]]
    """Field -> its texts: one, or one for each role and message of a chat."""
    metadata: Mapping[str, Any]
    suggestions: Mapping[str, Suggestion]
    answers: Sequence[Answer]
    status: str
    inserted_at: datetime
    updated_at: datetime
    vector: Sequence[float] | None


def found(rows: Sequence[Row], body: Mapping[str, Any], *, user: str | None) -> list[Row]:
    """The rows that a search body finds, in its order; without a sort in the order of the rows."""
    text = (body.get("query") or {}).get("text")
    filters = (body.get("filters") or {}).get("and", ())
    kept = [row for row in rows if (text is None or matches(row, text["q"], text.get("field")))
            and all(passes(row, one, user=user) for one in filters)]
    for key in reversed(body.get("sort") or ()):
        kept = _sorted(kept, key, user=user)
    return kept


def nearest(rows: Sequence[Row], asked: Mapping[str, Any]) -> list[Row]:
    """Those with a vector, by the cosine to the one that is asked for; equal ones stand as they stood."""
    sign = -1 if asked["order"] == "least_similar" else 1

    def cosine(row: Row) -> float:
        assert row.vector is not None
        return sum(one * other for one, other in zip(row.vector, asked["value"], strict=True)) / math.hypot(*row.vector)

    return sorted((row for row in rows if row.vector is not None), key=lambda row: -sign * cosine(row))


# -- text


def tokens(text: str) -> list[str]:
    """Words: runs of letters and digits, without case and accents."""
    plain = "".join(one for one in unicodedata.normalize("NFD", _apart(text)) if not unicodedata.combining(one))
    return "".join(one if unicodedata.category(one)[0] in "LN" else " " for one in plain.lower()).split()


def _apart(text: str) -> str:
    """Chinese characters and Hiragana are words by themselves."""
    alone = ("CJK UNIFIED", "HIRAGANA LETTER")
    return "".join(f" {one} " if unicodedata.name(one, "").startswith(alone) else one for one in text)


def words(text: str) -> list[list[str]]:
    """What Unicode calls words, each as its tokens: `don't`, `foo_bar` and `3.14` are one, `cross-check` is two."""
    text = _apart(text)
    marks = [at for at, one in enumerate(text) if _joins(text, at)]
    joined = "".join("\x01" if at in marks else one if _belongs(one) else " " for at, one in enumerate(text))
    return [found for word in joined.split() if (found := tokens(word))]


def _joins(text: str, at: int) -> bool:
    if not 0 < at < len(text) - 1:
        return False
    before, mark, after = text[at - 1:at + 2]
    if mark == ",":
        return before.isdecimal() and after.isdecimal()
    return mark in "'.\u2019" and _belongs(before) and _belongs(after)


def _belongs(one: str) -> bool:
    return one.isalnum() or one == "_" or unicodedata.category(one) in ("Mn", "Mc")


def matches(row: Row, query: str, field: str | None) -> bool:
    if query.replace("\x00", " ").strip() == "*":
        return True
    fields = [row.texts[field]] if field is not None and field in row.texts else [] if field is not None else row.texts.values()
    words = [[token for text in texts for token in (*tokens(text), GAP)] for texts in fields]
    answer = _Reader(query.replace("\x00", " "), words).answer()
    return bool(answer)


class _Reader:
    """Reads `simple_query_string` from left to right, as its reference page and Lucene's parser describe it."""

    def __init__(self, query: str, fields: Sequence[Sequence[str]]) -> None:
        self._query = query
        self._fields = fields

    def answer(self) -> bool | None:
        """Whether the fields match; None when the query holds nothing to look for."""
        top: bool | None = None
        operator: str | None = None
        negations, at = 0, 0
        while at < len(self._query):
            character = self._query[at]
            if character == "-":
                negations, at = negations + 1, at + 1
                continue
            if character in "+|":
                operator = operator or ("and" if character == "+" else "or") if top is not None else operator
                at += 1
            elif character in " \t\n\r)":
                at += 1
            else:
                found, after = self._operand(at)
                if after > at + 1 or found is not None or character not in '("':
                    top, operator = _combined(top, found if not negations % 2 or found is None else not found, operator), None
                at = after
            negations = 0
        return top

    def _operand(self, at: int) -> tuple[bool | None, int]:
        if self._query[at] == "(":
            end = self._closing(at)
            return (None, at + 1) if end is None else (_Reader(self._query[at + 1:end], self._fields).answer(), end + 1)
        if self._query[at] == '"':
            end = self._quote(at + 1)
            return (None, at + 1) if end is None else self._phrase(_plain(self._query[at + 1:end]), end + 1)
        return self._word(at)

    def _closing(self, at: int) -> int | None:
        depth = 0
        for place, character in self._unescaped(at):
            depth += (character == "(") - (character == ")")
            if depth == 0:
                return place
        return None

    def _quote(self, at: int) -> int | None:
        return next((place for place, character in self._unescaped(at) if character == '"'), None)

    def _unescaped(self, at: int) -> Iterator[tuple[int, str]]:
        escaped = False
        for place in range(at, len(self._query)):
            if not escaped and self._query[place] != "\\":
                yield place, self._query[place]
            escaped = not escaped and self._query[place] == "\\"

    def _phrase(self, text: str, at: int) -> tuple[bool | None, int]:
        slop, at = self._tilde(at)
        wanted = tokens(text)
        if not wanted:
            return None, at
        parts = words(text)
        if not slop or len(parts) == 1:
            return any(_run(field, wanted) for field in self._fields), at
        return any(_near(field, parts, slop) for field in self._fields), at

    def _word(self, at: int) -> tuple[bool | None, int]:
        letters: list[str] = []
        prefix = False
        while at < len(self._query):
            character = self._query[at]
            if character == "\\" and at + 1 < len(self._query):
                at += 1
                letters.append(self._query[at])
                prefix = False
            elif character in '"|+() \t\n\r' or (character == "~" and letters):
                break
            else:
                prefix = character == "*" and bool(letters)
                letters.append(character)
            at += 1
        _, at = self._tilde(at)
        wanted = words("".join(letters))
        if not wanted:
            return None, at
        ends = [prefix and place == len(wanted) for place in range(1, len(wanted) + 1)]
        parts = list(zip(wanted, ends, strict=True))
        return any(all(_run(field, word, prefix=end) for word, end in parts) for field in self._fields), at

    def _tilde(self, at: int) -> tuple[int, int]:
        if not self._query.startswith("~", at):
            return 0, at
        end = at + 1
        while end < len(self._query) and self._query[end] not in '"|+() \t\n\r':
            end += 1
        number = self._query[at + 1:end][:4]
        return (int(number) if number.isascii() and number.isdigit() else 0), end


def _plain(text: str) -> str:
    out, escaped = [], False
    for character in text:
        if character != "\\" or escaped:
            out.append(character)
        escaped = character == "\\" and not escaped
    return "".join(out)


def _combined(top: bool | None, branch: bool | None, operator: str | None) -> bool | None:
    if branch is None or top is None:
        return top if branch is None else branch
    return (top or branch) if operator == "or" else (top and branch)


def _run(field: Sequence[str], wanted: Sequence[str], *, prefix: bool = False) -> bool:
    """All of them one after the other; the last may be only the beginning of a word."""
    *first, last = wanted
    starts = range(len(field) - len(first))
    return any(list(field[at:at + len(first)]) == first and _is(field[at + len(first)], last, prefix=prefix) for at in starts)


def _near(field: Sequence[str], wanted: Sequence[Sequence[str]], slop: int) -> bool:
    """All of them, in any order, with at most so many other words between the first and the last."""
    places = [[at for at in range(len(field)) if list(field[at:at + len(word)]) == list(word)] for word in wanted]

    def fits(chosen: tuple[int, ...], left: int) -> bool:
        if left == len(places):
            ends = [at + len(word) for at, word in zip(chosen, wanted, strict=True)]
            return max(chosen) - min(ends) <= min(slop, 1000) + len(wanted) - 2
        return any(fits((*chosen, place), left + 1) for place in places[left])

    return fits((), 0)


def _is(token: str, word: str, *, prefix: bool) -> bool:
    return token.startswith(word) if prefix else token == word


# -- filters


def passes(row: Row, filter: Mapping[str, Any], *, user: str | None) -> bool:
    scope = filter["scope"]
    test: Callable[[Any], bool] = partial(_is_in, filter) if filter["type"] == "terms" else partial(_is_between, filter)
    match scope["entity"]:
        case "metadata":
            return any(map(test, _many(row.metadata.get(scope["metadata_property"]))))
        case "suggestion":
            return any(map(test, _suggested(row, scope)))
        case "record":
            return _record(row, filter, scope["property"])
        case _ if scope.get("question"):
            return any(test(value) for answer in _of(row, user) for value in _answered(answer, scope["question"]))
        case _:
            return _status(row, filter["values"], user)


def _record(row: Row, filter: Mapping[str, Any], name: str) -> bool:
    if name not in ("inserted_at", "updated_at"):
        value = {"id": row.id, "external_id": row.name, "status": row.status}[name]
        return value in filter["values"]
    value = getattr(row, name)
    low, high = (_moment(filter[bound]) if filter.get(bound) else None for bound in ("ge", "le"))
    return (low is None or value >= low) and (high is None or value <= high)


def _moment(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _status(row: Row, values: Sequence[str], user: str | None) -> bool:
    given = _of(row, user)
    return ("pending" in values and not given) or any(answer.status in values for answer in given)


def _of(row: Row, user: str | None) -> list[Answer]:
    return [answer for answer in row.answers if user is None or answer.user == user]


def _answered(answer: Answer, question: str) -> list[Any]:
    return _many(answer.values.get(question)) if question in FILTERED else []


def _suggested(row: Row, scope: Mapping[str, Any]) -> list[Any]:
    one = row.suggestions.get(scope["question"])
    name = scope.get("property") or "value"
    if one is None or (name == "value" and scope["question"] not in FILTERED):
        return []
    return _many(getattr(one, name))


def _many(value: Any) -> list[Any]:
    return [] if value is None else list(value) if isinstance(value, list) else [value]


def _is_in(filter: Mapping[str, Any], value: Any) -> bool:
    return any(value == wanted or (not isinstance(value, str) and value == _number(wanted)) for wanted in filter["values"])


def _is_between(filter: Mapping[str, Any], value: Any) -> bool:
    low, high = filter.get("ge"), filter.get("le")
    return not isinstance(value, str) and (low is None or value >= low) and (high is None or value <= high)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


# -- order


def _sorted(rows: Sequence[Row], key: Mapping[str, Any], *, user: str | None) -> list[Row]:
    """Stable; rows without a value come last in either direction."""
    down = key.get("order") == "desc"
    values = {id(row): _key(row, key["scope"], down=down, user=user) for row in rows}
    valued = [row for row in rows if values[id(row)] is not None]
    # `reverse` keeps equal ones in their order.
    valued.sort(key=lambda row: _bytes(values[id(row)]), reverse=down)
    return valued + [row for row in rows if values[id(row)] is None]


def _key(row: Row, scope: Mapping[str, Any], *, down: bool, user: str | None) -> Any:
    pick = max if down else min
    match scope["entity"]:
        case "record":
            return {"id": row.id, "external_id": row.name, "status": row.status, "inserted_at": row.inserted_at,
                    "updated_at": row.updated_at}[scope["property"]]
        case "metadata":
            values = _many(row.metadata.get(scope["metadata_property"]))
        case "suggestion":
            one = row.suggestions.get(scope["question"])
            values = _many(getattr(one, scope.get("property") or "value")) if one else []
        case _ if scope.get("question"):
            values = [value for answer in _of(row, user) for value in _many(answer.values.get(scope["question"]))]
            if values and not isinstance(values[0], str):
                return sum(values) / len(values)
        case _:
            values = [answer.status for answer in _of(row, user)]
    return pick(values, key=_bytes) if values else None


def _bytes(value: Any) -> Any:
    return value.encode() if isinstance(value, str) else value
