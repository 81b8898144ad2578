"""The text index inside the server's own database: tables, and the triggers that keep them equal to the records.

Triggers run inside the server's own transactions, so the index can neither lag behind the records nor survive a
rollback, and the engine's write methods have nothing to do.

    redpen_documents    one integer per record: the row of the text index, and the order in which records came; its status
    redpen_answers      who has answered which document, with which status, and the record's own
    redpen_text         FTS5, one row per record, one column per field, so that a phrase never crosses two fields and
                        "both words" may be found in two
    redpen_routes       the records whose metadata says who should review them, how soon and how often (see routing.py),
                        with the number of reviews they have
    redpen_assigned     the people and groups that a record is assigned to; none: everybody
    redpen_counts       how many records a dataset has in each status, and how many answers of each person to them

The first two repeat what the server's tables say, in the order and with the small keys that a page of a hundred thousand
records needs.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from random import Random

from .text_query import ALONE

VERSION = 10
"""Raised when the tables or triggers change; an index of another version is dropped and built anew."""
ASSIGNED, PRIORITY, WANTED = "redpen_assigned", "redpen_priority", "redpen_reviews_wanted"
"""Metadata that routes a record: names of people and `group:NAME`; a number, highest first; reviews wanted, 1 or more."""
BEGUN = "(assigned OR submitted > 0)"
"""True of a route's row when its record is assigned to somebody or has a review."""
COLUMNS = 32
"""Fields of a dataset with a column of their own; later ones share the last."""

BATCH = 1000
"""Records indexed by one statement when an index is built."""
SAMPLE = 50
"""Records whose content is compared at each start: so many of the newest, and as many by chance."""

_COLUMN_NAMES = ", ".join(f"c{number}" for number in range(COLUMNS))

_TABLES = (
    """CREATE TABLE redpen_documents (
        number INTEGER PRIMARY KEY, record_id CHAR(32) NOT NULL UNIQUE, dataset_id CHAR(32) NOT NULL, status VARCHAR NOT NULL,
        bucket INTEGER GENERATED ALWAYS AS ((number * 731599937 >> 11) & 255) VIRTUAL)""",
    "CREATE INDEX redpen_documents_of_dataset ON redpen_documents (dataset_id, status)",
    # A page in random order looks at a few buckets, in an order of the person's own (matching.py).
    "CREATE INDEX redpen_documents_by_chance ON redpen_documents (dataset_id, bucket, status)",
    """CREATE TABLE redpen_answers (
        dataset_id CHAR(32) NOT NULL, user_id CHAR(32) NOT NULL, document INTEGER NOT NULL, status VARCHAR NOT NULL,
        record VARCHAR NOT NULL, PRIMARY KEY (dataset_id, user_id, document)) WITHOUT ROWID""",
    "CREATE INDEX redpen_answers_to_document ON redpen_answers (document, status)",
    "CREATE INDEX redpen_answers_of_user ON redpen_answers (dataset_id, user_id, status)",
    # Without it SQLite looks up one record's submitted answers among everybody's submitted answers.
    "CREATE INDEX redpen_responses_of_record ON responses (record_id, status)",
    """CREATE TABLE redpen_routes (
        document INTEGER PRIMARY KEY, dataset_id CHAR(32) NOT NULL, status VARCHAR NOT NULL, priority INTEGER NOT NULL,
        wanted INTEGER, assigned INTEGER NOT NULL, submitted INTEGER NOT NULL)""",
    # What is closed to somebody is counted along it: nothing else can be, but for what others hold.
    f"""CREATE INDEX redpen_routes_begun ON redpen_routes (dataset_id, status, assigned, wanted, submitted)
        WHERE {BEGUN}""",
    "CREATE INDEX redpen_routes_by_priority ON redpen_routes (dataset_id, priority)",
    """CREATE TABLE redpen_assigned (
        name TEXT NOT NULL, document INTEGER NOT NULL, PRIMARY KEY (name, document)) WITHOUT ROWID""",
    "CREATE INDEX redpen_assigned_documents ON redpen_assigned (document)",
    # Progress and totals are asked for with every page. An empty user stands for the records themselves.
    """CREATE TABLE redpen_counts (
        dataset_id CHAR(32) NOT NULL, user_id CHAR(32) NOT NULL, record VARCHAR NOT NULL, status VARCHAR NOT NULL,
        number INTEGER NOT NULL, PRIMARY KEY (dataset_id, user_id, record, status)) WITHOUT ROWID""",
    # Whether a vector has changed is asked before each search for neighbours; the rows themselves are long.
    "CREATE INDEX redpen_vectors_of_setting ON vectors (vector_settings_id, updated_at)",
    f"""CREATE VIRTUAL TABLE redpen_text USING fts5({_COLUMN_NAMES}, tokenize = "unicode61 remove_diacritics 2")""",
)


_PIECE = 256
"""Characters of a text that are looked at one by one: SQLite finds the n-th by counting from the first."""


def _spaced(text: str) -> str:
    """SQL for a text in which every character that is a word by itself (text_query.py) stands by itself."""
    pieces = f"'[' || substr(replace(hex(zeroblob((length({text}) + {_PIECE - 1}) / {_PIECE})), '00', ',0'), 2) || ']'"
    return f"""
        CASE WHEN {text} GLOB '*[{ALONE}]*' AND instr({text}, char(0)) = 0 THEN (
            SELECT group_concat(CASE WHEN one GLOB '[{ALONE}]' THEN ' ' || one || ' ' ELSE one END, '') FROM (
                SELECT substr(piece.text, 1 + place.key, 1) AS one
                FROM (SELECT substr({text}, 1 + {_PIECE} * key, {_PIECE}) AS text FROM json_each({pieces}) LIMIT -1) AS piece
                CROSS JOIN json_each('[{", ".join(_PIECE * "0")}]') AS place))
        ELSE {text} END"""


def _texts(condition: str) -> str:
    """SQL for the index rows of the documents that meet the condition.

    A field's column is its place among the dataset's field names; neither changes once records exist. Images are left
    out. Keys inside a custom field are found as well, as Elasticsearch finds them in its printed form.
    """
    picked = ", ".join(f"max(CASE found.place WHEN {number} THEN found.words END)" for number in range(COLUMNS))
    return f"""
        SELECT document.number, {picked} FROM redpen_documents AS document LEFT JOIN (
            SELECT record_id, place, {_spaced("words")} AS words FROM (
            SELECT record.id AS record_id,
                   min({COLUMNS - 1}, (SELECT count(*) FROM fields AS earlier
                                       WHERE earlier.dataset_id = field.dataset_id AND earlier.name < field.name)) AS place,
                   group_concat(CASE WHEN typeof(leaf.key) = 'text' AND json_extract(field.settings, '$.type') = 'custom'
                                     THEN leaf.key || ' ' ELSE '' END
                                || CASE WHEN leaf.type IN ('true', 'false') THEN leaf.type ELSE leaf.atom END,
                                ' ' || char(57344) || ' ') AS words
            FROM redpen_documents AS document JOIN records AS record ON record.id = document.record_id
            JOIN json_each(record.fields) AS part
            JOIN fields AS field ON field.dataset_id = record.dataset_id AND field.name = part.key
            JOIN json_tree(record.fields, part.fullkey) AS leaf
            WHERE {condition} AND leaf.atom IS NOT NULL AND json_extract(field.settings, '$.type') <> 'image'
            GROUP BY record.id, place)
        ) AS found ON found.record_id = document.record_id
        WHERE {condition} GROUP BY document.number"""


_ROUTED = " OR ".join(f"json_type(record.metadata, '$.{name}') IS NOT NULL" for name in (ASSIGNED, PRIORITY, WANTED))


def _routes(condition: str) -> str:
    """SQL for the routes of the documents that meet the condition. A value of the wrong type counts as none."""
    number = "typeof(json_extract(record.metadata, '$.{0}')) = 'integer' AND json_extract(record.metadata, '$.{0}') {1}"
    value = "json_extract(record.metadata, '$.{0}')"
    return f"""
        SELECT document.number, document.dataset_id, document.status,
               CASE WHEN {number.format(PRIORITY, "IS NOT NULL")} THEN {value.format(PRIORITY)} ELSE 0 END,
               CASE WHEN {number.format(WANTED, ">= 1")} THEN {value.format(WANTED)} END,
               EXISTS (SELECT 1 FROM json_each(record.metadata, '$.{ASSIGNED}') AS name WHERE name.type = 'text'),
               (SELECT count(*) FROM redpen_answers AS answer
                WHERE answer.document = document.number AND answer.status = 'submitted')
        FROM redpen_documents AS document JOIN records AS record ON record.id = document.record_id
        WHERE {condition} AND ({_ROUTED})"""


def _assignments(condition: str) -> str:
    return f"""
        SELECT DISTINCT name.value, document.number
        FROM redpen_documents AS document JOIN records AS record ON record.id = document.record_id
        JOIN json_each(record.metadata, '$.{ASSIGNED}') AS name
        WHERE {condition} AND name.type = 'text'"""


_NEW_AND_ROUTED = "instr(new.metadata, 'redpen_') AND document.record_id = new.id"
"""Most records have no route, and are seen not to before anything is looked up."""

_DOCUMENT = "(SELECT number FROM redpen_documents WHERE record_id = {row}.{column})"


def _counted(row: str) -> str:
    """SQL that counts the reviews of a routed record anew."""
    document = _DOCUMENT.format(row=row, column="record_id")
    return f"""UPDATE redpen_routes SET submitted = (
            SELECT count(*) FROM redpen_answers WHERE document = redpen_routes.document AND status = 'submitted')
        WHERE document = {document};"""


_KEPT = {"redpen_documents": "{0}dataset_id, '', {0}status, ''",
         "redpen_answers": "{0}dataset_id, {0}user_id, {0}record, {0}status"}
"""What is counted: dataset, person, the record's status and the answer's."""
_COUNTED = " UNION ALL ".join(f"SELECT {keys.format('')}, count(*) FROM {table} GROUP BY 1, 2, 3, 4"
                              for table, keys in _KEPT.items())


def _counting(table: str, keys: str) -> dict[str, str]:
    """Triggers that keep the counts of a table."""

    def change(row: str, by: int) -> str:
        return f"""INSERT INTO redpen_counts VALUES ({keys.format(row)}, {by})
                   ON CONFLICT DO UPDATE SET number = number + {by};"""

    changed = "status, record" if "record" in keys else "status"
    return {f"{table}_counted": f"AFTER INSERT ON {table} BEGIN {change('new.', 1)} END",
            f"{table}_recounted": f"AFTER UPDATE OF {changed} ON {table} BEGIN {change('old.', -1)} {change('new.', 1)} END",
            f"{table}_uncounted": f"AFTER DELETE ON {table} BEGIN {change('old.', -1)} END"}


_TRIGGERS = {
    **_counting("redpen_documents", _KEPT["redpen_documents"]),
    **_counting("redpen_answers", _KEPT["redpen_answers"]),
    "redpen_record_added": f"""AFTER INSERT ON records BEGIN
        INSERT INTO redpen_documents (record_id, dataset_id, status) VALUES (new.id, new.dataset_id, new.status);
        INSERT INTO redpen_text (rowid, {_COLUMN_NAMES}) {_texts("document.record_id = new.id")};
        INSERT INTO redpen_routes {_routes(_NEW_AND_ROUTED)};
        INSERT INTO redpen_assigned {_assignments(_NEW_AND_ROUTED)};
    END""",
    "redpen_record_routed": f"""AFTER UPDATE OF metadata ON records WHEN old.metadata IS NOT new.metadata BEGIN
        DELETE FROM redpen_assigned WHERE document = {_DOCUMENT.format(row="new", column="id")};
        DELETE FROM redpen_routes WHERE document = {_DOCUMENT.format(row="new", column="id")};
        INSERT INTO redpen_routes {_routes("document.record_id = new.id")};
        INSERT INTO redpen_assigned {_assignments("document.record_id = new.id")};
    END""",
    "redpen_record_changed": f"""AFTER UPDATE OF fields ON records WHEN old.fields IS NOT new.fields BEGIN
        DELETE FROM redpen_text WHERE rowid = {_DOCUMENT.format(row="new", column="id")};
        INSERT INTO redpen_text (rowid, {_COLUMN_NAMES}) {_texts("document.record_id = new.id")};
    END""",
    "redpen_record_moved": f"""AFTER UPDATE OF status ON records WHEN old.status IS NOT new.status BEGIN
        UPDATE redpen_documents SET status = new.status WHERE record_id = new.id;
        UPDATE redpen_routes SET status = new.status WHERE document = {_DOCUMENT.format(row="new", column="id")};
        UPDATE redpen_answers SET record = new.status WHERE document = {_DOCUMENT.format(row="new", column="id")};
    END""",
    "redpen_record_removed": f"""AFTER DELETE ON records BEGIN
        DELETE FROM redpen_answers WHERE document = {_DOCUMENT.format(row="old", column="id")};
        DELETE FROM redpen_text WHERE rowid = {_DOCUMENT.format(row="old", column="id")};
        DELETE FROM redpen_assigned WHERE document = {_DOCUMENT.format(row="old", column="id")};
        DELETE FROM redpen_routes WHERE document = {_DOCUMENT.format(row="old", column="id")};
        DELETE FROM redpen_documents WHERE record_id = old.id;
    END""",
    "redpen_answer_added": f"""AFTER INSERT ON responses BEGIN
        INSERT INTO redpen_answers (dataset_id, user_id, document, status, record)
        SELECT dataset_id, new.user_id, number, new.status, status FROM redpen_documents WHERE record_id = new.record_id;
        {_counted("new")}
    END""",
    "redpen_answer_moved": f"""AFTER UPDATE OF status ON responses WHEN old.status IS NOT new.status BEGIN
        UPDATE redpen_answers SET status = new.status
        WHERE document = {_DOCUMENT.format(row="new", column="record_id")} AND user_id = new.user_id;
        {_counted("new")}
    END""",
    "redpen_answer_removed": f"""AFTER DELETE ON responses BEGIN
        DELETE FROM redpen_answers WHERE document = {_DOCUMENT.format(row="old", column="record_id")} AND user_id = old.user_id;
        {_counted("old")}
    END""",
}
_OBJECTS = {"redpen_index", "redpen_documents", "redpen_documents_of_dataset", "redpen_documents_by_chance", "redpen_answers",
            "redpen_answers_to_document", "redpen_answers_of_user", "redpen_routes", "redpen_routes_begun",
            "redpen_routes_by_priority", "redpen_assigned", "redpen_assigned_documents", "redpen_counts", "redpen_text",
            "redpen_responses_of_record", "redpen_vectors_of_setting", *_TRIGGERS}


_KNOWN_SIZES = {("records", "ix_records_dataset_id"): "1000000 100000", ("records", "ix_records_status"): "1000000 500000",
                ("records", "sqlite_autoindex_records_1"): "1000000 1"}
"""What SQLite is told of the server's own indexes: rows in all, and for each key. Without it thirty records that are asked for
by their ids and their dataset are looked for among all of the dataset. Fixed, so that plans do not change overnight."""

Tell = Callable[[int, int], None]
"""Told how many of how many records are indexed."""


def ensure(path: str, *, tell: Tell = lambda done, total: None, seed: str = "") -> bool:
    """Make the index exist and agree with the records; True when it had to be built anew. `seed` picks the sample."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=60)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("BEGIN IMMEDIATE")
        stale = not _is_sound(connection, Random(seed))
        if stale:
            _build(connection, tell)
        _tell_sizes(connection)
        connection.execute("COMMIT")
        return stale
    finally:
        connection.close()


def _tell_sizes(connection: sqlite3.Connection) -> None:
    # Makes the table of sizes when there is none, and measures nothing.
    connection.execute("ANALYZE sqlite_schema")
    wanted = {(table, index, size) for (table, index), size in _KNOWN_SIZES.items()}
    if set(connection.execute("SELECT tbl, idx, stat FROM sqlite_stat1")) != wanted:
        connection.execute("DELETE FROM sqlite_stat1")
        connection.executemany("INSERT INTO sqlite_stat1 VALUES (?, ?, ?)", sorted(wanted))


def _is_sound(connection: sqlite3.Connection, chance: Random) -> bool:
    present = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE name LIKE 'redpen_%'")}
    if not present >= _OBJECTS or connection.execute("SELECT version FROM redpen_index").fetchone() != (VERSION,):
        return False
    counts = [connection.execute(f"SELECT count(*) FROM {table}").fetchone() for table in
              ("records", "redpen_documents", "redpen_text_docsize", "responses", "redpen_answers")]
    if not len(set(counts[:3])) == len(set(counts[3:])) == 1:
        return False
    try:
        sample = _sample(connection, chance)
        different = any(connection.execute(sql).fetchone() for sql in _differences(sample))
        return _finds_its_words(connection, sample) and not different and not _miscounted(connection)
    except sqlite3.DatabaseError:
        # Pages of the text index that cannot be read.
        return False


def _miscounted(connection: sqlite3.Connection) -> list[tuple[object, ...]]:
    """Counts that are kept and not found, or the other way round."""
    kept = "SELECT * FROM redpen_counts WHERE number <> 0"
    return [row for one, other in ((_COUNTED, kept), (kept, _COUNTED))
            for row in connection.execute(f"SELECT * FROM ({one}) EXCEPT SELECT * FROM ({other})")]


def _sample(connection: sqlite3.Connection, chance: Random) -> str:
    """SQL for the newest documents and some by chance: what a trigger missed last, and what was damaged anywhere."""
    (last,) = connection.execute("SELECT coalesce(max(number), 0) FROM redpen_documents").fetchone()
    newest = range(max(1, last - SAMPLE + 1), last + 1)
    picked = {*newest, *(chance.randint(1, last) for _ in range(SAMPLE if last else 0))}
    return f"document.number IN ({', '.join(map(str, sorted(picked))) or 'NULL'})"


def _finds_its_words(connection: sqlite3.Connection, condition: str) -> bool:
    """Whether each sampled document is found by its first word; by a plain one, which every version of SQLite splits alike."""
    texts = connection.execute(f"SELECT rowid, {_COLUMN_NAMES} FROM redpen_text WHERE rowid IN "
                               f"(SELECT number FROM redpen_documents AS document WHERE {condition})").fetchall()
    words = {number: next((word for word in " ".join(filter(None, fields)).split() if word.isascii() and word.isalnum()), None)
             for number, *fields in texts}
    match = "SELECT EXISTS (SELECT 1 FROM redpen_text WHERE redpen_text MATCH ? AND rowid = ?)"
    return all(connection.execute(match, (f'"{word}"', number)).fetchone() == (1,) for number, word in words.items() if word)


def disagreements(connection: sqlite3.Connection) -> list[tuple[object, ...]]:
    """Every row in which the whole index and the server's tables do not agree; none when it is sound. Takes a while."""
    return [*_miscounted(connection), *(row for query in _differences("1") for row in connection.execute(query))]


def _differences(condition: str) -> tuple[str, ...]:
    """SQL that finds something where the sampled documents and the server's tables do not agree."""
    document = f"SELECT number FROM redpen_documents AS document WHERE {condition}"
    text = f"SELECT rowid, {_COLUMN_NAMES} FROM redpen_text WHERE rowid IN ({document})"
    routes = f"SELECT * FROM redpen_routes WHERE document IN ({document})"
    assigned = f"SELECT name, document FROM redpen_assigned WHERE document IN ({document})"
    held = f"""SELECT document.record_id, answer.user_id, answer.status, answer.record FROM redpen_documents AS document
               JOIN redpen_answers AS answer ON answer.document = document.number WHERE {condition}"""
    given = f"""SELECT response.record_id, response.user_id, response.status, record.status FROM redpen_documents AS document
                JOIN responses AS response ON response.record_id = document.record_id
                JOIN records AS record ON record.id = document.record_id WHERE {condition}"""
    own = f"SELECT record_id, dataset_id, status FROM redpen_documents AS document WHERE {condition}"
    theirs = f"""SELECT record.id, record.dataset_id, record.status FROM records AS record
                 WHERE record.id IN (SELECT record_id FROM redpen_documents AS document WHERE {condition})"""
    pairs = ((_texts(condition), text), (_routes(condition), routes), (_assignments(condition), assigned), (given, held),
             (theirs, own))
    return tuple(f"SELECT * FROM ({one}) EXCEPT SELECT * FROM ({other})" for pair in pairs
                 for one, other in (pair, reversed(pair)))


def _build(connection: sqlite3.Connection, tell: Tell) -> None:
    for trigger in _TRIGGERS:
        connection.execute(f"DROP TRIGGER IF EXISTS {trigger}")
    for table in ("redpen_text", "redpen_documents", "redpen_answers", "redpen_routes", "redpen_assigned", "redpen_counts",
                  "redpen_index"):
        connection.execute(f"DROP TABLE IF EXISTS {table}")
    for index in ("redpen_responses_of_record", "redpen_vectors_of_setting"):
        connection.execute(f"DROP INDEX IF EXISTS {index}")
    for statement in _TABLES:
        connection.execute(statement)
    connection.execute("""INSERT INTO redpen_documents (record_id, dataset_id, status)
                          SELECT id, dataset_id, status FROM records ORDER BY inserted_at, rowid""")
    connection.execute("""INSERT INTO redpen_answers (dataset_id, user_id, document, status, record)
                          SELECT document.dataset_id, response.user_id, document.number, response.status, document.status
                          FROM responses AS response
                          JOIN redpen_documents AS document ON document.record_id = response.record_id""")
    connection.execute(f"INSERT INTO redpen_routes {_routes('1')}")
    connection.execute(f"INSERT INTO redpen_assigned {_assignments('1')}")
    connection.execute(f"INSERT INTO redpen_counts {_COUNTED}")
    (last,) = connection.execute("SELECT max(number) FROM redpen_documents").fetchone()
    for first in range(1, (last or 0) + 1, BATCH):
        condition = f"document.number BETWEEN {first} AND {first + BATCH - 1}"
        connection.execute(f"INSERT INTO redpen_text (rowid, {_COLUMN_NAMES}) {_texts(condition)}")
        tell(min(first + BATCH - 1, last), last)
    for trigger, body in _TRIGGERS.items():
        connection.execute(f"CREATE TRIGGER {trigger} {body}")
    connection.execute("CREATE TABLE redpen_index (version INTEGER NOT NULL)")
    connection.execute("INSERT INTO redpen_index VALUES (?)", (VERSION,))
