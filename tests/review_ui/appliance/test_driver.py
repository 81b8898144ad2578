"""SQLite for asyncio: writers take turns, a second process is waited for, and nothing is left locked."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from review_ui.appliance.inside import driver


async def opened(path: Path) -> driver.Connection:
    return await driver.connect(str(path))


def run(path: Path, work: Callable[[Path], Awaitable[None]]) -> list[tuple[str]]:
    """The table's rows after the work."""
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE t (name TEXT)")
    asyncio.run(work(path))
    rows = connection.execute("SELECT name FROM t ORDER BY rowid").fetchall()
    connection.close()
    return rows


def test_a_second_writer_waits_for_the_first_to_commit(tmp_path: Path) -> None:
    async def work(path: Path) -> None:
        first, second = await opened(path), await opened(path)
        await first.cursor().execute("INSERT INTO t VALUES ('first')")
        waiting = asyncio.create_task(second.cursor().execute("INSERT INTO t VALUES ('second')"))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        await first.commit()
        await waiting
        await second.commit()
        await first.close()
        await second.close()

    assert run(tmp_path / "db", work) == [("first",), ("second",)]


@pytest.mark.parametrize("end", ["rollback", "close"])
def test_a_writer_that_gives_up_lets_the_next_one_in(tmp_path: Path, end: str) -> None:
    async def work(path: Path) -> None:
        first, second = await opened(path), await opened(path)
        await first.cursor().execute("INSERT INTO t VALUES ('first')")
        await getattr(first, end)()
        await second.cursor().execute("INSERT INTO t VALUES ('second')")
        await second.commit()
        await first.close()
        await second.close()

    assert run(tmp_path / "db", work) == [("second",)]


def test_a_cancelled_wait_does_not_keep_the_turn(tmp_path: Path) -> None:
    async def work(path: Path) -> None:
        first, second, third = await opened(path), await opened(path), await opened(path)
        await first.cursor().execute("INSERT INTO t VALUES ('first')")
        waiting = asyncio.create_task(second.cursor().execute("INSERT INTO t VALUES ('second')"))
        await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await first.commit()
        await third.cursor().execute("INSERT INTO t VALUES ('third')")
        await third.commit()
        for connection in (first, second, third):
            await connection.close()

    assert run(tmp_path / "db", work) == [("first",), ("third",)]


def test_a_writer_of_another_process_is_waited_for_without_holding_up_readers(tmp_path: Path) -> None:
    async def work(path: Path) -> None:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        other.execute("INSERT INTO t VALUES ('other')")
        mine = await opened(path)
        waiting = asyncio.create_task(mine.cursor().execute("INSERT INTO t VALUES ('mine')"))
        begun = time.monotonic()
        await asyncio.sleep(0.05)
        assert time.monotonic() - begun < 1
        other.execute("COMMIT")
        await waiting
        await mine.commit()
        await mine.close()
        other.close()

    assert run(tmp_path / "db", work) == [("other",), ("mine",)]


def test_readers_do_not_wait(tmp_path: Path) -> None:
    async def work(path: Path) -> None:
        writer, reader = await opened(path), await opened(path)
        await writer.cursor().execute("INSERT INTO t VALUES ('unseen')")
        cursor = await reader.cursor().execute("SELECT count(*) FROM t")
        assert await cursor.fetchone() == (0,)
        await writer.rollback()
        await writer.close()
        await reader.close()

    assert run(tmp_path / "db", work) == []


def test_commits_are_counted_for_those_who_wait_for_the_disk(tmp_path: Path) -> None:
    async def work(path: Path) -> None:
        before = driver.commits()
        connection = await opened(path)
        await connection.commit()
        assert driver.commits() == before
        await connection.cursor().execute("INSERT INTO t VALUES ('one')")
        await connection.commit()
        assert driver.commits() == before + 1
        await connection.close()

    assert run(tmp_path / "db", work) == [("one",)]
