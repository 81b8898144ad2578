"""The search box's language, asked of a real FTS5 table whose right answers are counted by hand."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from review_ui.appliance.inside.text_query import EVERYTHING, MAX_TERMS, parse

TEXTS = {
    1: ("red apple", "sweet fruit"),
    2: ("green apple", "sour fruit"),
    3: ("red brick", "building material"),
    4: ("Größe and café", "example.com 3.14 don't cross-check"),
    5: ("大 语 言 模 型", "GPT 模 カタカナ"),
}
"""Row -> its two fields."""


@pytest.fixture
def index() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:")
    connection.execute('CREATE VIRTUAL TABLE t USING fts5(c0, c1, tokenize = "unicode61 remove_diacritics 2")')
    connection.executemany("INSERT INTO t (rowid, c0, c1) VALUES (?, ?, ?)", [(row, *texts) for row, texts in TEXTS.items()])
    yield connection
    connection.close()


def found(index: sqlite3.Connection, query: str) -> set[int]:
    hits = parse(query)
    if hits is None:
        return set()
    if hits == EVERYTHING:
        return set(TEXTS)
    rows = {row for (row,) in index.execute("SELECT rowid FROM t WHERE t MATCH ?", (hits.expression,))}
    return set(TEXTS) - rows if hits.negated else rows


@pytest.mark.parametrize(("query", "rows"), [
    ("apple", {1, 2}),
    ("red apple", {1}),
    ("red + apple", {1}),
    ("red fruit", {1}),                      # the words may be in two fields
    ("brick | sour", {2, 3}),
    ("red | green fruit", {1, 2}),           # (red | green) and fruit: folded from the left
    ("fruit red | green", {1, 2}),           # (fruit and red) | green
    ("red (apple | brick)", {1, 3}),
    ("-red", {2, 4, 5}),
    ("fruit -red", {2}),
    ("--red", {1, 3}),
    ("sour | -fruit", {2, 3, 4, 5}),
    ("-apple -brick", {4, 5}),
    ('"red apple"', {1}),
    ('"apple red"', set()),
    ('"apple sweet"', set()),                # a phrase does not cross two fields
    ("app*", {1, 2}),
    ("b*", {3}),
    ("*", {1, 2, 3, 4, 5}),
    ("größe", {4}),
    ("GROSSE", set()),                       # a sharp s is a letter of its own
    ("GRÖẞE", {4}),
    ("grösse | CAFE", {4}),
    ("模型", {5}),                            # both characters, each a word
    ("型模", {5}),
    ('"语言模型"', {5}),
    ('"模语"', set()),
    ("GPT模", {5}),
    ("カタ*", {5}),
    ("cross-check", {4}),
    ("check-cross", {4}),                    # both words, not the phrase
    ("example.com", {4}),
    ("com.example", set()),                  # one word, so the order counts
    ("3.14", {4}),
    ("don't", {4}),
    ("", set()),
    ("!!! ...", set()),
    ("!!! apple", {1, 2}),                   # what holds no letter is left out
    ("apple~2", {1, 2}),
    ('"building material"~5', {3}),
    ('"red apple', {1}),                     # an open quote is skipped
    ("red (apple", {1}),
    ("red) apple", {1}),
    ("| red", {1, 3}),
    ("red | ", {1, 3}),
    ("red \\| apple", {1}),
    ("NOT red", set()),                      # the words of other languages are words
    ("c1 : fruit", set()),
    ("apple AND", set()),
])
def test_a_query_finds_what_elasticsearch_would(index: sqlite3.Connection, query: str, rows: set[int]) -> None:
    assert found(index, query) == rows


@pytest.mark.parametrize("query", [
    "(" * 5000 + "red", "a|b+" * 3000, "-" * 9999 + "red", '"' * 999, "\\" * 501, "red\x00apple", "\ud800", "~" * 50, "*" * 50,
    "(a | (b + (c | (d " * 500, "x" * 10_000, " ".join(f"w{number}" for number in range(10_000)), "NEAR(a b)", "^red",
    '{c0} : "x"',
])
def test_a_hostile_query_is_a_query(index: sqlite3.Connection, query: str) -> None:
    assert found(index, query) <= set(TEXTS)


@given(st.text(alphabet=st.sampled_from('ab é"-+|()~*\\ .\x00\ud800^:{}'), max_size=60) | st.text(max_size=40))
@settings(max_examples=400, deadline=None)
def test_no_text_is_a_syntax_error(query: str) -> None:
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute('CREATE VIRTUAL TABLE t USING fts5(c0, c1, tokenize = "unicode61 remove_diacritics 2")')
        hits = parse(query)
        if hits is not None:
            assert connection.execute("SELECT rowid FROM t WHERE t MATCH ?", (hits.expression,)).fetchall() == []
    finally:
        connection.close()


def test_words_beyond_the_limit_are_left_out(index: sqlite3.Connection) -> None:
    assert found(index, "red " * MAX_TERMS + "nowhere") == {1, 3}


@pytest.mark.parametrize(("text", "query", "hit"), [
    ("e\u0301tude", "étude", True), ("étude", "e\u0301tude", True), ("étude", "e\u0301tud*", True),
    ("हिन्दी में लिखा", "हिन्दी", True), ("हद न", "हिन्दी", False)])
def test_an_accent_or_vowel_that_is_a_character_of_its_own_ends_no_word(text: str, query: str, hit: bool) -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute('CREATE VIRTUAL TABLE t USING fts5(c0, tokenize = "unicode61 remove_diacritics 2")')
    connection.execute("INSERT INTO t VALUES (?)", (text,))
    hits = parse(query)
    assert hits is not None
    assert (connection.execute("SELECT count(*) FROM t WHERE t MATCH ?", (hits.expression,)).fetchone() == (1,)) is hit
    connection.close()
