"""Opening the database: SQLite made safe for several processes, migrations, and errors that say what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from sqlite3 import OperationalError
from time import monotonic, sleep
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError

from feedback.errors import InvalidInput, Locked, MissingPart, StoreError
from feedback.store.tables import HEAD

BUSY_SECONDS = 30
"""How long a writer waits for another process's transaction."""

WRITING = "redpen_writing"
"""Execution option of a connection whose transaction takes the write lock at once."""


def make_engine(where: str | Path) -> sa.Engine:
    """An engine for a SQLite file or a SQLAlchemy URL. Raises StoreError or InvalidInput where that cannot be."""
    url = _url(where)
    try:
        engine = sa.create_engine(url)
    except NoSuchModuleError:
        raise InvalidInput(f"store: {url.drivername!r} is no database that SQLAlchemy knows; use a file name or "
                           "postgresql+psycopg://user@host/name") from None
    except ModuleNotFoundError as error:
        raise MissingPart(f"store: {url.drivername} needs the package {error.name!r}; install it with pip") from None
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _prepare_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _url(where: str | Path) -> sa.URL:
    if isinstance(where, Path) or "://" not in where:
        path = Path(where)
        if not path.parent.is_dir():
            raise StoreError(f"{path}: the folder {path.parent} does not exist; make it, or name another file under `store:`")
        return sa.URL.create("sqlite", database=str(path))
    try:
        return sa.make_url(where)
    except ArgumentError:
        raise InvalidInput("store: not a SQLAlchemy URL; write a file name or postgresql+psycopg://user@host/name") from None


def _prepare_sqlite(connection: Any, record: object) -> None:
    # sqlite3 would commit before DDL and start transactions late; SQLAlchemy's BEGIN below replaces both habits.
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
    _write_ahead(connection)
    for pragma in ("synchronous = NORMAL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _write_ahead(connection: Any) -> None:
    """Switch to the write-ahead log. Of several that open a new store at once SQLite refuses all but one, without waiting."""
    last = monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except OperationalError as error:
            if "locked" not in str(error) or monotonic() > last:
                raise
            sleep(0.01)


def _begin_sqlite(connection: sa.Connection) -> None:
    # A transaction that reads first and writes later cannot wait for another writer; it would fail at once.
    writing = connection.get_execution_options().get(WRITING, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


@contextmanager
def transaction(engine: sa.Engine, *, writing: bool) -> Iterator[sa.Connection]:
    """A connection in one transaction, committed at the end, undone when the block raises."""
    with _explained(engine), engine.connect().execution_options(**{WRITING: writing}) as connection, connection.begin():
        yield connection


def migrate(engine: sa.Engine) -> None:
    """Bring the schema to the newest revision. Raises StoreError when it is newer than this code."""
    if _revision(engine) == HEAD:
        return
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    found = _revision(engine)
    if found is not None and found not in {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}:
        raise StoreError(f"{shown(engine)}: its schema {found!r} is newer than this Redpen knows ({HEAD!r}); "
                         "upgrade redpen-rlhf, or open the store with the version that wrote it")
    with transaction(engine, writing=True) as connection:
        if engine.dialect.name == "postgresql":
            # Two processes that open a new store at once would both create the tables.
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(7305120)"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _revision(engine: sa.Engine) -> str | None:
    with transaction(engine, writing=False) as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return None
        found = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
        return None if found is None else str(found)


def shown(engine: sa.Engine) -> str:
    """The store's name for messages: the file, or the URL without its password."""
    if engine.dialect.name == "sqlite":
        return engine.url.database or "the in-memory store"
    return engine.url.render_as_string(hide_password=True)


@contextmanager
def _explained(engine: sa.Engine) -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        raise StoreError(f"{shown(engine)}: refused ({error.orig}); nothing was changed. Either a row names a prompt that is "
                         "not in the store, or another process wrote the same rows: run the command again") from error
    except DBAPIError as error:
        raise _explain(str(error.orig), shown(engine)) from error


def _explain(reason: str, name: str) -> StoreError | Locked:
    """What a database error means to the person who reads it."""
    if "database is locked" in reason:
        return Locked(f"{name}: another process has been writing for {BUSY_SECONDS} s; nothing was changed, try again")
    advice = {
        "disk is full": "the disk is full; nothing was changed, free some space and run the command again",
        "not a database": "this file is not a Redpen store; move it away, or name another file under `store:`",
        "malformed": "the file is damaged; restore a copy, or save what is readable with `sqlite3 FILE .recover`",
        "unable to open": "the file cannot be opened; check that it is a file and that you may read and write it",
        "readonly": "the file or its folder is read-only; the store must be writable",
    }
    for part, text in advice.items():
        if part in reason:
            return StoreError(f"{name}: {text} ({reason})")
    return StoreError(f"{name}: the database answered: {reason}")
