"""The text index inside the server's own database: tables, and the triggers that keep them equal to the records.

Triggers run inside the server's own transactions, so the index can neither lag behind the records nor survive a
rollback, and the engine's write methods have nothing to do.

    redpen_documents    one integer per record: the row of the text index, and the order in which records came
    redpen_text         FTS5, one row per record, one column per field, so that a phrase never crosses two fields and
                        "both words" may be found in two
"""

from __future__ import annotations

import sqlite3

VERSION = 1
"""Raised when the tables or triggers change; an index of another version is dropped and built anew."""
COLUMNS = 32
"""Fields of a dataset with a column of their own; later ones share the last."""

BATCH = 1000
"""Records indexed by one statement when an index is built."""

_COLUMN_NAMES = ", ".join(f"c{number}" for number in range(COLUMNS))

_TABLES = (
    """CREATE TABLE IF NOT EXISTS redpen_documents (
        number INTEGER PRIMARY KEY, record_id CHAR(32) NOT NULL UNIQUE, dataset_id CHAR(32) NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS redpen_documents_of_dataset ON redpen_documents (dataset_id, number)",
    f"""CREATE VIRTUAL TABLE IF NOT EXISTS redpen_text USING fts5(
        {_COLUMN_NAMES}, tokenize = "unicode61 remove_diacritics 2")""",
    "CREATE INDEX IF NOT EXISTS redpen_records_by_status ON records (dataset_id, status)",
    "CREATE INDEX IF NOT EXISTS redpen_responses_by_user ON responses (user_id, record_id, status)",
)


def _texts(condition: str) -> str:
    """SQL for the index rows of the documents that meet the condition.

    A field's column is its place among the dataset's field names; neither changes once records exist. Images are left
    out. Keys inside a custom field are found as well, as Elasticsearch finds them in its printed form.
    """
    picked = ", ".join(f"max(CASE found.place WHEN {number} THEN found.words END)" for number in range(COLUMNS))
    return f"""
        SELECT document.number, {picked} FROM redpen_documents AS document LEFT JOIN (
            SELECT record.id AS record_id,
                   min({COLUMNS - 1}, (SELECT count(*) FROM fields AS earlier
                                       WHERE earlier.dataset_id = field.dataset_id AND earlier.name < field.name)) AS place,
                   group_concat(CASE WHEN typeof(leaf.key) = 'text' AND json_extract(field.settings, '$.type') = 'custom'
                                     THEN leaf.key || ' ' ELSE '' END || leaf.atom, ' ' || char(57344) || ' ') AS words
            FROM redpen_documents AS document JOIN records AS record ON record.id = document.record_id
            JOIN json_each(record.fields) AS part
            JOIN fields AS field ON field.dataset_id = record.dataset_id AND field.name = part.key
            JOIN json_tree(record.fields, part.fullkey) AS leaf
            WHERE {condition} AND leaf.atom IS NOT NULL AND json_extract(field.settings, '$.type') <> 'image'
            GROUP BY record.id, place
        ) AS found ON found.record_id = document.record_id
        WHERE {condition} GROUP BY document.number"""


_TRIGGERS = (
    f"""CREATE TRIGGER IF NOT EXISTS redpen_record_added AFTER INSERT ON records BEGIN
        INSERT INTO redpen_documents (record_id, dataset_id) VALUES (new.id, new.dataset_id);
        INSERT INTO redpen_text (rowid, {_COLUMN_NAMES}) {_texts("document.record_id = new.id")};
    END""",
    f"""CREATE TRIGGER IF NOT EXISTS redpen_record_changed AFTER UPDATE OF fields ON records
        WHEN old.fields IS NOT new.fields BEGIN
        DELETE FROM redpen_text WHERE rowid = (SELECT number FROM redpen_documents WHERE record_id = old.id);
        INSERT INTO redpen_text (rowid, {_COLUMN_NAMES}) {_texts("document.record_id = new.id")};
    END""",
    """CREATE TRIGGER IF NOT EXISTS redpen_record_removed AFTER DELETE ON records BEGIN
        DELETE FROM redpen_text WHERE rowid = (SELECT number FROM redpen_documents WHERE record_id = old.id);
        DELETE FROM redpen_documents WHERE record_id = old.id;
    END""",
)


def ensure(path: str) -> bool:
    """Make the index exist and agree with the records; True when it had to be built anew."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=60)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("BEGIN IMMEDIATE")
        stale = not _is_sound(connection)
        if stale:
            _build(connection)
        connection.execute("COMMIT")
        return stale
    finally:
        connection.close()


def _is_sound(connection: sqlite3.Connection) -> bool:
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE name LIKE 'redpen_%'")}
    needed = {"redpen_index", "redpen_documents", "redpen_text", "redpen_record_added", "redpen_record_changed",
              "redpen_record_removed", "redpen_records_by_status", "redpen_responses_by_user"}
    if not needed <= names or connection.execute("SELECT version FROM redpen_index").fetchone() != (VERSION,):
        return False
    counts = connection.execute("""SELECT (SELECT count(*) FROM records), (SELECT count(*) FROM redpen_documents),
                                          (SELECT count(*) FROM redpen_text_docsize)""").fetchone()
    return len(set(counts)) == 1


def _build(connection: sqlite3.Connection) -> None:
    for name in ("redpen_record_added", "redpen_record_changed", "redpen_record_removed"):
        connection.execute(f"DROP TRIGGER IF EXISTS {name}")
    for name in ("redpen_text", "redpen_documents", "redpen_index"):
        connection.execute(f"DROP TABLE IF EXISTS {name}")
    for statement in (*_TABLES, *_TRIGGERS):
        connection.execute(statement)
    connection.execute("""INSERT INTO redpen_documents (record_id, dataset_id)
                          SELECT id, dataset_id FROM records ORDER BY inserted_at, rowid""")
    (last,) = connection.execute("SELECT max(number) FROM redpen_documents").fetchone()
    for first in range(1, (last or 0) + 1, BATCH):
        condition = f"document.number BETWEEN {first} AND {first + BATCH - 1}"
        connection.execute(f"INSERT INTO redpen_text (rowid, {_COLUMN_NAMES}) {_texts(condition)}")
    connection.execute("CREATE TABLE redpen_index (version INTEGER NOT NULL)")
    connection.execute("INSERT INTO redpen_index VALUES (?)", (VERSION,))
