"""SQLite for asyncio without a thread per connection; takes the place of `aiosqlite` under SQLAlchemy.

aiosqlite hands every call to a thread and waits for it: about 170 hops for one saved answer, each of which wakes the
whole stack of middleware. Most statements take less time than one hop, so here they run where they are called, and only
what took long the last time goes to a thread. A commit does not wait for the disk; see durability.py.

One writer at a time is SQLite's own rule. Within the process writers queue up in order (`_Turn`) before their first
change, so none meets a locked database; a writer of another process is waited for without holding up anybody.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from sqlite3 import (  # noqa: F401  (SQLAlchemy reads them here)
    DatabaseError,
    Error,
    IntegrityError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    sqlite_version,
    sqlite_version_info,
)
from types import SimpleNamespace
from typing import Any, TypeVar

Value = TypeVar("Value")
SLOW_SECONDS = 0.01
"""A statement that took longer runs in a thread the next time."""
WAIT_SECONDS = 60.0
"""How long a writer waits for others before it gives up as SQLite would."""
_RETRY_SECONDS = 0.01
_REMEMBERED = 500
_CHANGES = ("INSERT", "UPDATE", "DELETE", "REPLACE")

__version__ = "0.22.1"
"""The aiosqlite release whose interface this is."""

_threads = ThreadPoolExecutor(4, thread_name_prefix="sqlite")
_slow: OrderedDict[str, None] = OrderedDict()


_commits = SimpleNamespace(total=0)


def commits() -> int:
    """How many transactions this process has committed."""
    return int(_commits.total)


def install() -> None:
    """Make `import aiosqlite` find this module."""
    sys.modules["aiosqlite"] = sys.modules[__name__]


class _Turn:
    """Whose turn it is to write to a file; first come, first served."""

    def __init__(self) -> None:
        self._locks: dict[tuple[int, str], asyncio.Lock] = {}

    def of(self, path: str) -> asyncio.Lock:
        # A lock belongs to the event loop that waits on it; a start-up step and the server have one each.
        return self._locks.setdefault((id(asyncio.get_running_loop()), path), asyncio.Lock())


_turn = _Turn()


class Connection:
    """What SQLAlchemy's aiosqlite dialect uses of `aiosqlite.Connection`."""

    def __init__(self, path: str, options: dict[str, Any]) -> None:
        self._path = path
        self._options = {**options, "check_same_thread": False, "timeout": 0}
        self._connection: sqlite3.Connection | None = None
        self._turn: asyncio.Lock | None = None
        self._thread = SimpleNamespace(daemon=True)
        self._tx = SimpleNamespace(put_nowait=self._run_now)

    def __await__(self) -> Any:
        return self._open().__await__()

    async def _open(self) -> Connection:
        self._connection = sqlite3.connect(self._path, **self._options)
        return self

    @property
    def _conn(self) -> sqlite3.Connection:
        if self._connection is None:
            raise ValueError("no active connection")
        return self._connection

    @property
    def isolation_level(self) -> str | None:
        return self._conn.isolation_level

    @property
    def in_transaction(self) -> bool:
        return self._conn.in_transaction

    def _run_now(self, item: tuple[asyncio.Future[Any], Callable[[], Any]]) -> None:
        future, function = item
        future.set_result(function())

    def cursor(self) -> Cursor:
        return Cursor(self)

    async def create_function(self, *arguments: Any, **named: Any) -> None:
        self._conn.create_function(*arguments, **named)

    async def run(self, sql: str, work: Callable[[], Value]) -> Value:
        """Run a statement, after waiting for the turn to write when it opens a transaction."""
        opens = not self._conn.in_transaction and sql.lstrip()[:7].upper().startswith(_CHANGES)
        if not opens or self._conn.isolation_level is None:
            return await _timed(sql, work)
        if self._turn is None:
            await self._take_turn()
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                return await _timed(sql, work)
            except OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
                # Another process writes; nothing has been changed yet, so the statement can simply be tried again.
                self._conn.rollback()
                await asyncio.sleep(_RETRY_SECONDS)

    async def _take_turn(self) -> None:
        turn = _turn.of(self._path)
        try:
            if turn.locked():
                await asyncio.wait_for(turn.acquire(), WAIT_SECONDS)
            else:
                await turn.acquire()
        except TimeoutError:
            raise OperationalError("database is locked") from None
        self._turn = turn

    def _give_turn(self) -> None:
        turn, self._turn = self._turn, None
        if turn is not None:
            turn.release()

    async def commit(self) -> None:
        if not self._conn.in_transaction:
            self._give_turn()
            return
        # When it fails the turn is kept until the rollback.
        await _timed("COMMIT", self._conn.commit)
        _commits.total += 1
        self._give_turn()

    async def rollback(self) -> None:
        try:
            self._conn.rollback()
        finally:
            self._give_turn()

    async def close(self) -> None:
        self.stop()

    def stop(self) -> None:
        connection, self._connection = self._connection, None
        try:
            if connection is not None:
                connection.close()
        finally:
            self._give_turn()


class Cursor:
    """What SQLAlchemy uses of `aiosqlite.Cursor`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._cursor = connection._conn.cursor()

    async def __aenter__(self) -> Cursor:
        return self

    @property
    def description(self) -> Any:
        return self._cursor.description

    @property
    def rowcount(self) -> int:
        return self._cursor.rowcount

    @property
    def lastrowid(self) -> int | None:
        return self._cursor.lastrowid

    @property
    def arraysize(self) -> int:
        return self._cursor.arraysize

    @arraysize.setter
    def arraysize(self, value: int) -> None:
        self._cursor.arraysize = value

    async def execute(self, sql: str, parameters: Sequence[Any] = ()) -> Cursor:
        await self._connection.run(sql, lambda: self._cursor.execute(sql, parameters))
        return self

    async def executemany(self, sql: str, parameters: Sequence[Sequence[Any]]) -> Cursor:
        await self._connection.run(sql, lambda: self._cursor.executemany(sql, parameters))
        return self

    async def fetchone(self) -> Any:
        return self._cursor.fetchone()

    async def fetchmany(self, size: int | None = None) -> list[Any]:
        return self._cursor.fetchmany(size or self._cursor.arraysize)

    async def fetchall(self) -> list[Any]:
        return self._cursor.fetchall()

    async def close(self) -> None:
        self._cursor.close()

    async def __aiter__(self) -> AsyncIterator[Any]:
        for row in self._cursor:
            yield row


def connect(path: str, **options: Any) -> Connection:
    """A connection, open once it is awaited."""
    return Connection(path, options)


async def _timed(sql: str, work: Callable[[], Value]) -> Value:
    begun = time.perf_counter()
    try:
        return await _in_thread(work) if sql in _slow else work()
    finally:
        if time.perf_counter() - begun < SLOW_SECONDS:
            _slow.pop(sql, None)
        else:
            _slow[sql] = None
            while len(_slow) > _REMEMBERED:
                _slow.popitem(last=False)


async def _in_thread(work: Callable[[], Value]) -> Value:
    """Runs to its end even when the caller is cancelled: a connection must not be used while a thread still has it."""
    future = asyncio.get_running_loop().run_in_executor(_threads, work)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        await asyncio.wait([future])
        raise
