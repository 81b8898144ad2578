"""What the server has acknowledged survives a power cut, at the price of one disk flush per response instead of per commit.

SQLite's `synchronous = NORMAL` writes a commit to the log without waiting for the disk. Here the answer to a changing
request waits for it instead: everything committed before is flushed by one call, which all answers due at that moment
share. The log is folded back into the database beside the requests, not inside somebody's commit.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
import time
from pathlib import Path

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from . import driver

LOG_BYTES = 4_000_000
"""Size of the write-ahead log from which it is folded back."""
CHECK_SECONDS = 1.0
_READING = frozenset({"GET", "HEAD", "OPTIONS"})


class Flusher:
    """Flushes the write-ahead log for everybody who waits at once."""

    def __init__(self, database: Path) -> None:
        self._log = database.with_name(database.name + "-wal")
        self._flushed = 0
        self._flush: asyncio.Task[None] | None = None

    async def reach(self, commits: int) -> None:
        """Return once that many of this process's commits are on the disk. Raises OSError when the disk refuses."""
        while self._flushed < commits:
            if self._flush is None:
                self._flush = asyncio.create_task(self._run())
            # A client that goes away must not take the others' flush with it.
            await asyncio.shield(self._flush)

    async def _run(self) -> None:
        try:
            commits = driver.commits()
            await asyncio.to_thread(_sync, self._log)
            self._flushed = commits
        finally:
            self._flush = None


def _sync(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        # The log is removed only after its content was flushed into the database.
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class AcknowledgeDurably:
    """Holds back the answer to a changing request until its changes are on the disk."""

    def __init__(self, app: ASGIApp, *, flusher: Flusher) -> None:
        self._app = app
        self._flusher = flusher

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in _READING:
            await self._app(scope, receive, send)
            return

        async def durably(message: Message) -> None:
            if message["type"] == "http.response.start":
                await self._flusher.reach(driver.commits())
            await send(message)

        await self._app(scope, receive, durably)


def fold_log(database: Path) -> None:
    """Keep the write-ahead log short, in a thread that ends with the process."""
    threading.Thread(target=_fold_for_ever, args=(database,), daemon=True, name="checkpoint").start()


def _fold_for_ever(database: Path) -> None:
    log = database.with_name(database.name + "-wal")
    connection = sqlite3.connect(database, isolation_level=None)
    while True:
        time.sleep(CHECK_SECONDS)
        if log.exists() and log.stat().st_size > LOG_BYTES:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
