"""Nearest vectors while vectors come, change and go."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from uuid import UUID

import pytest

from review_ui.appliance.inside.similarity import Vectors

SETTING = UUID(int=7)


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    opened = sqlite3.connect(":memory:")
    opened.executescript("""
        CREATE TABLE vectors_settings (id, dimensions);
        CREATE TABLE vectors (record_id TEXT, vector_settings_id TEXT, value JSON, updated_at INTEGER);
        CREATE TABLE redpen_documents (number INTEGER PRIMARY KEY, record_id TEXT)""")
    opened.execute("INSERT INTO vectors_settings VALUES (?, 2)", (SETTING.hex,))
    yield opened
    opened.close()


def add(connection: sqlite3.Connection, number: int, vector: list[float]) -> None:
    connection.execute("INSERT INTO redpen_documents VALUES (?, ?)", (number, f"r{number}"))
    connection.execute("INSERT INTO vectors VALUES (?, ?, ?, ?)", (f"r{number}", SETTING.hex, json.dumps(vector), number))


def nearest(vectors: Vectors, connection: sqlite3.Connection, among: list[int] | None = None) -> list[tuple[int, float]]:
    found = vectors.nearest(connection, SETTING, [1.0, 0.0], among=among, limit=10)
    return [(number, round(score, 3)) for number, score in found]


def test_the_score_is_the_cosine_moved_to_between_zero_and_one(connection: sqlite3.Connection) -> None:
    for number, vector in enumerate(([0.0, 5.0], [-1.0, 0.0], [1e-3, 0.0], [0.0, 0.0]), start=1):
        add(connection, number, vector)
    assert nearest(Vectors(), connection) == [(3, 1.0), (1, 0.5), (4, 0.5), (2, 0.0)]
    assert nearest(Vectors(), connection, among=[2, 1, 99]) == [(1, 0.5), (2, 0.0)]
    assert nearest(Vectors(), connection, among=[]) == []


def test_new_changed_and_removed_vectors_are_seen(connection: sqlite3.Connection) -> None:
    vectors = Vectors()
    assert nearest(vectors, connection) == []
    add(connection, 1, [0.0, 1.0])
    add(connection, 2, [1.0, 0.0])
    assert nearest(vectors, connection) == [(2, 1.0), (1, 0.5)]
    add(connection, 3, [-1.0, 0.0])
    assert nearest(vectors, connection) == [(2, 1.0), (1, 0.5), (3, 0.0)]
    connection.execute("UPDATE vectors SET value = '[1.0, 0.0]', updated_at = 9 WHERE record_id = 'r3'")
    assert nearest(vectors, connection) == [(2, 1.0), (3, 1.0), (1, 0.5)]
    connection.execute("DELETE FROM vectors WHERE record_id = 'r2'")
    assert nearest(vectors, connection) == [(3, 1.0), (1, 0.5)]


def test_a_stored_vector_of_the_wrong_size_is_left_out(connection: sqlite3.Connection) -> None:
    add(connection, 1, [1.0, 0.0, 0.0])
    add(connection, 2, [1.0, 1e-05])
    assert nearest(Vectors(), connection) == [(2, 1.0)]
