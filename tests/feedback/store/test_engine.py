"""Opening a store: new, damaged, foreign, full, or from the future."""

from __future__ import annotations

import sqlite3
from multiprocessing import get_context
from pathlib import Path

import pytest
import sqlalchemy as sa

from feedback.errors import InvalidInput, Locked, StoreError
from feedback.store import engine
from feedback.store.store import Store
from feedback.store.tables import APPEND_ONLY, HEAD, SCHEMA
from tests.people import a_prompt


def run_sql(path: Path, statement: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(path)
    try:
        with connection:
            return connection.execute(statement).fetchall()
    finally:
        connection.close()


def test_a_new_store_is_made_with_wal_and_foreign_keys(tmp_path: Path) -> None:
    with Store.open(tmp_path / "100% store.db") as store:
        assert store.prompts() == []
    assert run_sql(tmp_path / "100% store.db", "PRAGMA journal_mode") == [("wal",)]


def test_the_migrations_make_exactly_the_tables_that_the_code_reads(tmp_path: Path) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    Store.open(tmp_path / "store.db").close()
    with engine.transaction(engine.make_engine(tmp_path / "store.db"), writing=False) as connection:
        assert compare_metadata(MigrationContext.configure(connection), SCHEMA) == []
        assert MigrationContext.configure(connection).get_current_revision() == HEAD
    triggers = {str(name) for (name,) in run_sql(tmp_path / "store.db", "SELECT name FROM sqlite_master WHERE type = 'trigger'")}
    assert triggers == {f"{table}_refuse_{verb}" for table in APPEND_ONLY for verb in ("update", "delete")}


def test_the_schema_suits_postgresql_as_well() -> None:
    from sqlalchemy.dialects import postgresql
    from sqlalchemy.schema import CreateTable

    text = "".join(str(CreateTable(table).compile(dialect=postgresql.dialect())) for table in SCHEMA.sorted_tables)
    assert text.count("BIGSERIAL") == 7


def test_a_store_from_a_newer_redpen_is_refused(tmp_path: Path) -> None:
    Store.open(tmp_path / "store.db").close()
    run_sql(tmp_path / "store.db", "UPDATE alembic_version SET version_num = 'v9999'")
    with pytest.raises(StoreError, match=r"store\.db: its schema 'v9999' is newer .* upgrade redpen-rlhf"):
        Store.open(tmp_path / "store.db")


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_text("kind: project\n" * 100, encoding="utf-8")
    with pytest.raises(StoreError, match=r"store\.db: this file is not a Redpen store"):
        Store.open(tmp_path / "store.db")
    assert (tmp_path / "store.db").read_text(encoding="utf-8").startswith("kind: project")


def test_a_damaged_store_says_so(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with Store.open(path) as store:
        store.add_prompts([a_prompt(number) for number in range(500)])
    content = bytearray(path.read_bytes())
    content[4096:] = b"\x00" * (len(content) - 4096)
    path.write_bytes(bytes(content))
    with pytest.raises(StoreError, match="damaged; restore a copy"), Store.open(path) as store:
        store.prompts()


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"the folder .*nowhere does not exist"):
        Store.open(tmp_path / "nowhere" / "store.db")


def test_a_folder_in_place_of_the_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be opened"):
        Store.open(tmp_path)


@pytest.mark.parametrize("url", ["nosuchdb://host/name", "://"])
def test_an_address_that_is_no_database_is_refused_as_input(url: str) -> None:
    with pytest.raises(InvalidInput, match="postgresql"):
        Store.open(url)


def test_a_full_disk_changes_nothing(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store.db") as store:
        store.add_prompts([a_prompt()])
        # SQLite reports a reached page limit exactly as it reports a full disk.
        sa.event.listen(store._engine, "begin", lambda connection: connection.exec_driver_sql("PRAGMA max_page_count = 1"))
        with pytest.raises(StoreError, match="the disk is full; nothing was changed"):
            store.add_prompts([a_prompt(number) for number in range(2000)])
        assert len(store.prompts()) == 1


def test_a_writer_that_never_ends_is_reported_as_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0)
    with Store.open(tmp_path / "store.db") as store:
        other = sqlite3.connect(store.name, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Locked, match="another process has been writing"):
            store.add_prompts([a_prompt()])
        other.close()


def open_alone(path: str) -> None:
    Store.open(path).close()


def test_processes_that_open_a_new_store_at_once_all_succeed(tmp_path: Path) -> None:
    context = get_context("spawn")
    openers = [context.Process(target=open_alone, args=(str(tmp_path / "store.db"),)) for _ in range(3)]
    for opener in openers:
        opener.start()
    for opener in openers:
        opener.join(60)
    assert [opener.exitcode for opener in openers] == [0, 0, 0]
