"""The text index follows the records, on the few columns of the server's tables that it reads."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from review_ui.appliance.inside import schema

SERVER_TABLES = """
    CREATE TABLE datasets (id CHAR(32) PRIMARY KEY);
    CREATE TABLE fields (id INTEGER PRIMARY KEY, name VARCHAR, settings JSON, dataset_id CHAR(32));
    CREATE TABLE records (
        id CHAR(32) NOT NULL PRIMARY KEY, fields JSON, dataset_id CHAR(32), status VARCHAR, inserted_at DATETIME, metadata JSON,
        FOREIGN KEY (dataset_id) REFERENCES datasets (id) ON DELETE CASCADE);
    CREATE TABLE responses (id INTEGER PRIMARY KEY, user_id CHAR(32), record_id CHAR(32), status VARCHAR,
        FOREIGN KEY (record_id) REFERENCES records (id) ON DELETE CASCADE);
    CREATE TABLE vectors (id INTEGER PRIMARY KEY, vector_settings_id CHAR(32), updated_at DATETIME);
    INSERT INTO datasets VALUES ('d');
"""
FIELDS = {"prompt": "text", "answer": "text", "chat": "chat", "table": "custom", "picture": "image"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    database = tmp_path / "argilla.db"
    connection = sqlite3.connect(database)
    connection.executescript(SERVER_TABLES)
    connection.executemany("INSERT INTO fields (name, settings, dataset_id) VALUES (?, ?, 'd')",
                           [(name, json.dumps({"type": kind})) for name, kind in FIELDS.items()])
    connection.commit()
    connection.close()
    return database


@pytest.fixture
def connection(path: Path) -> Iterator[sqlite3.Connection]:
    assert schema.ensure(str(path))
    opened = sqlite3.connect(path, isolation_level=None)
    opened.execute("PRAGMA foreign_keys = ON")
    yield opened
    opened.close()


def add(connection: sqlite3.Connection, record: str, **fields: object) -> None:
    connection.execute("INSERT INTO records VALUES (?, ?, 'd', 'pending', '2026-01-01', NULL)", (record, json.dumps(fields)))


def found(connection: sqlite3.Connection, expression: str) -> set[str]:
    return {record for (record,) in connection.execute(
        """SELECT document.record_id FROM redpen_text JOIN redpen_documents AS document ON document.number = redpen_text.rowid
           WHERE redpen_text MATCH ?""", (expression,))}


def test_a_record_is_found_as_soon_as_it_is_stored(connection: sqlite3.Connection) -> None:
    add(connection, "r1", prompt="What is Größe?", answer="A size")
    assert found(connection, "grosse") == set()
    assert found(connection, "GROßE") == found(connection, "size") == {"r1"}


def test_a_field_has_a_column_of_its_own_by_its_name(connection: sqlite3.Connection) -> None:
    add(connection, "r1", prompt="alpha", answer="beta")
    # By name: answer is c0, chat c1, picture c2, prompt c3, table c4.
    assert found(connection, "{c0} : beta") == found(connection, "{c3} : alpha") == {"r1"}
    assert found(connection, "{c3} : beta") == set()


def test_chat_custom_and_nested_texts_are_found_and_images_are_not(connection: sqlite3.Connection) -> None:
    add(connection, "r1", chat=[{"role": "user", "content": "hello"}, {"role": "assistant", "content": "welcome"}],
        table={"rows": [{"city": "Łódź"}]}, picture="data:image/png;base64,secret")
    assert found(connection, "hello AND welcome") == found(connection, "city AND łodz") == {"r1"}
    assert found(connection, "secret") == set()


def test_chinese_characters_and_hiragana_are_words_by_themselves(connection: sqlite3.Connection) -> None:
    add(connection, "r1", prompt="大语言模型。GPT模型v2", answer="ひらがなとカタカナ")
    add(connection, "r2", prompt="a" * 200 + "模" + "b" * 200)
    assert found(connection, "模") == {"r1", "r2"}
    assert found(connection, '"语 言 模 型"') == found(connection, "gpt AND v2") == found(connection, "カタカナ") == {"r1"}
    assert found(connection, '"言 语"') == found(connection, "カタ") == set()
    connection.execute("UPDATE records SET fields = ? WHERE id = 'r1'", (json.dumps({"prompt": "\u6a21\u0000\u578b"}),))
    assert found(connection, "gpt") == set()


def test_a_phrase_does_not_join_two_messages(connection: sqlite3.Connection) -> None:
    add(connection, "r1", chat=[{"role": "user", "content": "hello"}, {"role": "user", "content": "there"}])
    assert found(connection, '"hello there"') == set()


def test_a_changed_record_is_found_by_its_new_words_only(connection: sqlite3.Connection) -> None:
    add(connection, "r1", prompt="before")
    connection.execute("UPDATE records SET fields = ? WHERE id = 'r1'", (json.dumps({"prompt": "after"}),))
    assert (found(connection, "before"), found(connection, "after")) == (set(), {"r1"})


def test_a_rolled_back_record_leaves_nothing_in_the_index(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN")
    add(connection, "r1", prompt="ghost")
    connection.execute("ROLLBACK")
    assert found(connection, "ghost") == set()


def test_records_deleted_with_their_dataset_leave_the_index(connection: sqlite3.Connection) -> None:
    add(connection, "r1", prompt="gone")
    connection.execute("DELETE FROM datasets")
    assert found(connection, "gone") == set()
    assert connection.execute("SELECT count(*) FROM redpen_documents").fetchone() == (0,)


def test_answers_and_statuses_follow_the_servers_tables(connection: sqlite3.Connection) -> None:
    def answers() -> list[tuple[str, str]]:
        return connection.execute("SELECT user_id, status FROM redpen_answers ORDER BY user_id").fetchall()

    add(connection, "r1", prompt="x")
    connection.execute("INSERT INTO responses (user_id, record_id, status) VALUES ('u', 'r1', 'draft'), ('v', 'r1', 'draft')")
    connection.execute("UPDATE responses SET status = 'submitted' WHERE user_id = 'u'")
    connection.execute("UPDATE records SET status = 'completed'")
    assert answers() == [("u", "submitted"), ("v", "draft")]
    assert connection.execute("SELECT status FROM redpen_documents").fetchone() == ("completed",)
    connection.execute("DELETE FROM responses WHERE user_id = 'v'")
    assert answers() == [("u", "submitted")]
    connection.execute("DELETE FROM records")
    assert answers() == []


def test_records_and_answers_are_counted_by_status(connection: sqlite3.Connection) -> None:
    def counts() -> set[tuple[str, str, str, int]]:
        return set(connection.execute("SELECT user_id, record, status, number FROM redpen_counts WHERE number <> 0"))

    for id in ("r1", "r2", "r3"):
        add(connection, id, prompt="x")
    connection.execute("INSERT INTO responses (user_id, record_id, status) VALUES ('u', 'r1', 'draft'), ('u', 'r2', 'submitted')")
    assert counts() == {("", "pending", "", 3), ("u", "pending", "draft", 1), ("u", "pending", "submitted", 1)}
    connection.execute("UPDATE records SET status = 'completed' WHERE id = 'r2'")
    connection.execute("UPDATE responses SET status = 'discarded' WHERE record_id = 'r1'")
    assert counts() == {("", "pending", "", 2), ("", "completed", "", 1), ("u", "pending", "discarded", 1),
                        ("u", "completed", "submitted", 1)}
    connection.execute("DELETE FROM records WHERE id IN ('r1', 'r2')")
    assert counts() == {("", "pending", "", 1)}


def test_routes_follow_the_metadata_and_the_reviews(connection: sqlite3.Connection, path: Path) -> None:
    def routes() -> list[tuple[int, int | None, int, int]]:
        return connection.execute("SELECT priority, wanted, assigned, submitted FROM redpen_routes").fetchall()

    add(connection, "r1", prompt="x")
    assert routes() == []
    route(connection, "r1", redpen_priority=7, redpen_reviews_wanted=2, redpen_assigned=["ana", "ana", "group:doctors"])
    connection.execute("INSERT INTO responses (user_id, record_id, status) VALUES ('u', 'r1', 'submitted'), ('v', 'r1', 'draft')")
    assert routes() == [(7, 2, 1, 1)]
    assert connection.execute("SELECT name FROM redpen_assigned").fetchall() == [("ana",), ("group:doctors",)]
    connection.execute("UPDATE responses SET status = 'submitted' WHERE user_id = 'v'")
    assert routes() == [(7, 2, 1, 2)]
    connection.execute("UPDATE redpen_index SET version = 0")
    assert schema.ensure(str(path))
    assert routes() == [(7, 2, 1, 2)]
    connection.execute("DELETE FROM responses WHERE user_id = 'u'")
    route(connection, "r1", redpen_priority="high", redpen_reviews_wanted=0, redpen_assigned=[])
    assert routes() == [(0, None, 0, 1)]
    connection.execute("DELETE FROM records")
    assert routes() == connection.execute("SELECT * FROM redpen_assigned").fetchall() == []


def route(connection: sqlite3.Connection, record: str, **metadata: object) -> None:
    connection.execute("UPDATE records SET metadata = ? WHERE id = ?", (json.dumps(metadata), record))


def test_an_index_is_built_for_records_that_were_there_before(path: Path) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN")
    for number in range(schema.BATCH + 5):
        add(connection, f"r{number}", prompt=f"word{number}")
    connection.execute("COMMIT")
    assert schema.ensure(str(path))
    assert found(connection, f"word{schema.BATCH + 3}") == {f"r{schema.BATCH + 3}"}
    connection.close()


def test_a_sound_index_is_left_alone(path: Path) -> None:
    assert schema.ensure(str(path))
    assert not schema.ensure(str(path))


def test_a_sound_index_of_every_kind_of_record_is_left_alone(connection: sqlite3.Connection, path: Path) -> None:
    add(connection, "r0", prompt="x")
    add(connection, "r1", prompt="Größe", chat=[{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}])
    add(connection, "r2", table={"rows": [{"city": "Łódź", "big": True}, 1.5, None]}, picture="data:")
    add(connection, "r3")
    route(connection, "r1", redpen_priority=1, redpen_assigned=["ana", "bo"])
    connection.execute("INSERT INTO responses (user_id, record_id, status) VALUES ('u', 'r1', 'draft'), ('v', 'r2', 'submitted')")
    assert not any(schema.ensure(str(path), seed=str(seed)) for seed in range(3))
    assert found(connection, "big AND true") == {"r2"}


def test_how_far_an_index_is_is_told(path: Path) -> None:
    connection = sqlite3.connect(path)
    for number in range(schema.BATCH + 5):
        add(connection, f"r{number}", prompt="x")
    connection.commit()
    connection.close()
    told: list[tuple[int, int]] = []
    schema.ensure(str(path), tell=lambda done, total: told.append((done, total)))
    assert told == [(schema.BATCH, schema.BATCH + 5), (schema.BATCH + 5, schema.BATCH + 5)]


@pytest.mark.parametrize("damage", ["DELETE FROM redpen_text WHERE rowid = 1", "DROP TRIGGER redpen_record_changed",
                                    "UPDATE redpen_index SET version = 0", "DROP TABLE redpen_text",
                                    "DROP INDEX redpen_answers_to_document", "DELETE FROM redpen_answers",
                                    "UPDATE redpen_text SET c3 = 'other' WHERE rowid = 1", "DELETE FROM redpen_routes",
                                    "UPDATE redpen_answers SET status = 'draft'",
                                    "UPDATE redpen_documents SET status = 'completed'",
                                    "UPDATE redpen_counts SET number = 7", "DELETE FROM redpen_counts WHERE user_id = ''",
                                    "UPDATE redpen_answers SET record = 'completed'",
                                    "UPDATE redpen_routes SET submitted = 0", "UPDATE redpen_assigned SET name = 'bo'",
                                    "UPDATE redpen_text_data SET block = x'00' WHERE id > 10"])
def test_a_damaged_index_is_built_anew(connection: sqlite3.Connection, path: Path, damage: str) -> None:
    add(connection, "r1", prompt="kept")
    route(connection, "r1", redpen_reviews_wanted=1, redpen_assigned=["ana"])
    connection.execute("INSERT INTO responses (user_id, record_id, status) VALUES ('u', 'r1', 'submitted')")
    connection.execute(damage)
    assert schema.ensure(str(path))
    assert found(connection, "kept") == {"r1"}
    assert connection.execute("SELECT document, user_id FROM redpen_answers").fetchall() == [(1, "u")]
