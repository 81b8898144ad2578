"""How the server's SQLite database is opened: durable, with readers that never wait for writers."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from sqlalchemy import event, text
from sqlalchemy.engine import Engine, make_url

Value = TypeVar("Value")
BUSY_TIMEOUT_MS = 60_000
READERS = 4
"""Threads that answer searches at once; each holds a connection of its own."""


FLUSHED_AT_COMMIT = ("journal_mode = WAL", "synchronous = FULL", f"busy_timeout = {BUSY_TIMEOUT_MS}")
"""Pragmas of the worker: people read while one writes, and a commit is on the disk."""
FLUSHED_AT_RESPONSE = ("journal_mode = WAL", "synchronous = NORMAL", "wal_autocheckpoint = 0", "busy_timeout = 0",
                       "cache_size = -16000")
"""Pragmas of the server, where durability.py flushes and driver.py waits."""
WRITE_LOCK = text("UPDATE records SET id = id WHERE 0")
"""Changes nothing, and takes the lock that only one writer can have."""


def configure_connections(pragmas: Sequence[str]) -> None:
    """Set the pragmas on every connection that SQLAlchemy opens from now on."""

    def set_pragmas(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    event.listen(Engine, "connect", set_pragmas)


def file_of(database_url: str) -> str:
    """The path in an SQLAlchemy URL of an SQLite file."""
    path = make_url(database_url).database
    if not path:
        raise ValueError(f"{database_url} names no SQLite file")
    return path


class Clamping(sqlite3.Connection):
    """A number that SQLite has no room for counts as its largest or smallest: nothing stored lies beyond it."""

    def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
        """As ever; numbers are looked at only when SQLite refuses one."""
        try:
            return super().execute(sql, parameters)
        except OverflowError:
            named = isinstance(parameters, dict)
            return super().execute(sql, {name: _clamped(value) for name, value in parameters.items()} if named else
                                   tuple(map(_clamped, parameters)))


def _clamped(value: Any) -> Any:
    return max(-2**63, min(2**63 - 1, value)) if isinstance(value, int) else value


class Readers:
    """Read-only connections to one SQLite file, each in a thread of its own, so that a search blocks nobody."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._local = threading.local()
        self._pool = ThreadPoolExecutor(READERS, thread_name_prefix="search")

    async def run(self, work: Callable[[sqlite3.Connection], Value]) -> Value:
        """What `work` returns for one consistent state of the database."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._read, work)

    async def rows(self, sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> list[tuple[Any, ...]]:
        return await self.run(lambda connection: connection.execute(sql, parameters).fetchall())

    def _read(self, work: Callable[[sqlite3.Connection], Value]) -> Value:
        connection = self._connection()
        connection.execute("BEGIN")
        try:
            return work(connection)
        finally:
            connection.execute("ROLLBACK")

    def _connection(self) -> sqlite3.Connection:
        if not hasattr(self._local, "connection"):
            connection = sqlite3.connect(self._path, isolation_level=None, timeout=BUSY_TIMEOUT_MS / 1000, factory=Clamping)
            connection.execute("PRAGMA query_only = ON")
            # Each thread has a cache of its own; what is not in it is in the operating system's.
            connection.execute("PRAGMA cache_size = -16000")
            self._local.connection = connection
        return self._local.connection
