"""Which records are kept for whom for a while: an SQLite file of its own in the appliance's home.

A reservation keeps two people from doing what one is asked for. It is a courtesy and decides nothing for good: how many
reviews a record gets is settled where they are saved (gate.py). So the file may be lost; it is made anew.

A row is a record that a person was shown. Those at the front of the page are reserved, the ones behind wait and move up as
the person goes on. Times are the wall clock's, since a reservation outlives a restart and holds in every process; one that
seems to come from the future belongs to a clock that was set back, and has ended.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

FILE = "reservations.db"
CLOCK_SLACK_SECONDS = 5.0
"""How far two readings of the clock may differ without a jump."""
_WAIT_SECONDS = 30.0

_TABLE = """CREATE TABLE IF NOT EXISTS shown (
    record_id TEXT NOT NULL, user_id TEXT NOT NULL, dataset_id TEXT NOT NULL, place INTEGER NOT NULL, reserved_at REAL,
    PRIMARY KEY (record_id, user_id)) WITHOUT ROWID"""
_INDEX = "CREATE INDEX IF NOT EXISTS shown_of_dataset ON shown (dataset_id, user_id)"
_LIVE = "reserved_at IS NOT NULL AND reserved_at <= :now + :slack AND reserved_at + :seconds > :now"


@dataclass(frozen=True, slots=True)
class Room:
    """How many reviews a record wants, and who has given one."""

    wanted: int
    submitted: frozenset[str]

    def has_place_for(self, user: str, *, holders: frozenset[str]) -> bool:
        """True when this person's review would not be one too many, everybody who holds a reservation counted as done."""
        return len((self.submitted | holders) - {user}) < self.wanted


Rooms = Callable[[Sequence[str]], Mapping[str, Room]]
"""Reads the room of records, by record id; a record without one is not routed, and never reserved."""


@dataclass(frozen=True, slots=True)
class Visit:
    """A person in a dataset, at a moment."""

    dataset: str
    user: str
    now: float
    """Seconds since 1970."""
    seconds: float
    """How long a reservation holds."""
    records: int
    """Reservations that a page gives."""

    def values(self) -> dict[str, object]:
        """For the question marks of `_LIVE` and what stands around it."""
        return {"dataset": self.dataset, "user": self.user, "now": self.now, "seconds": self.seconds,
                "slack": CLOCK_SLACK_SECONDS}


class Reservations:
    """The file. Every change is one short transaction; processes wait for each other."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        try:
            self._connection()
        except sqlite3.DatabaseError:
            # Damaged, or not a database at all.
            for suffix in ("", "-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            self._connection()

    def holders(self, visit: Visit) -> dict[str, frozenset[str]]:
        """Record id -> the other people for whom it is reserved now."""
        rows = self._connection().execute(
            f"SELECT record_id, user_id FROM shown WHERE dataset_id = :dataset AND user_id <> :user AND {_LIVE}", visit.values())
        found: dict[str, set[str]] = {}
        for record, user in rows:
            found.setdefault(record, set()).add(user)
        return {record: frozenset(users) for record, users in found.items()}

    def holds(self, visit: Visit, record: str) -> bool:
        """Whether the record is reserved for this person now."""
        (held,) = self._connection().execute(
            f"SELECT EXISTS (SELECT 1 FROM shown WHERE record_id = :record AND user_id = :user AND {_LIVE})",
            {**visit.values(), "record": record}).fetchone()
        return bool(held)

    def serve(self, visit: Visit, page: Sequence[str], rooms: Rooms) -> set[str]:
        """Reserve the first records of a page and let the rest wait; the records that others were faster to reserve."""
        with self._changing() as connection:
            self._clear(connection, visit)
            connection.execute("DELETE FROM shown WHERE dataset_id = :dataset AND user_id = :user AND reserved_at IS NULL",
                               visit.values())
            taken = self._reserve(connection, visit, list(page), rooms)
            self._keep_newest(connection, visit)
            return taken

    def touch(self, visit: Visit, record: str, rooms: Rooms) -> None:
        """The person works on this record: theirs are kept for longer, and this one is reserved where there is room."""
        with self._changing() as connection:
            self._clear(connection, visit)
            connection.execute(f"UPDATE shown SET reserved_at = :now WHERE dataset_id = :dataset AND user_id = :user AND {_LIVE}",
                               visit.values())
            self._reserve(connection, visit, [record], rooms)

    def done(self, visit: Visit, record: str, rooms: Rooms) -> None:
        """The person is through with this record: it is released, theirs are kept for longer, and the next one moves up."""
        with self._changing() as connection:
            self._clear(connection, visit)
            connection.execute("DELETE FROM shown WHERE record_id = :record AND user_id = :user",
                               {**visit.values(), "record": record})
            connection.execute(f"UPDATE shown SET reserved_at = :now WHERE dataset_id = :dataset AND user_id = :user AND {_LIVE}",
                               visit.values())
            waiting = [record for (record,) in connection.execute(
                "SELECT record_id FROM shown WHERE dataset_id = :dataset AND user_id = :user AND reserved_at IS NULL "
                "ORDER BY place", visit.values())]
            # A few at a time: after a long page there are hundreds.
            while waiting and (missing := visit.records - self._reserved(connection, visit)) > 0:
                self._reserve(connection, visit, waiting[:visit.records], rooms, most=missing)
                del waiting[:visit.records]

    def _reserved(self, connection: sqlite3.Connection, visit: Visit) -> int:
        (count,) = connection.execute("SELECT count(*) FROM shown WHERE dataset_id = :dataset AND user_id = :user "
                                      "AND reserved_at IS NOT NULL", visit.values()).fetchone()
        return int(count)

    def release(self, visit: Visit, record: str) -> None:
        """Nobody keeps the record for this person any more."""
        with self._changing() as connection:
            connection.execute("DELETE FROM shown WHERE record_id = :record AND user_id = :user",
                               {**visit.values(), "record": record})

    def _reserve(self, connection: sqlite3.Connection, visit: Visit, records: list[str], rooms: Rooms, *,
                 most: int | None = None) -> set[str]:
        holders = self.holders(visit)
        known = rooms(records)
        left = visit.records if most is None else most
        taken = set()
        for place, record in enumerate(records):
            if (room := known.get(record)) is None:
                continue
            if not room.has_place_for(visit.user, holders=holders.get(record, frozenset())):
                taken.add(record)
                connection.execute("DELETE FROM shown WHERE record_id = ? AND user_id = ?", (record, visit.user))
                continue
            reserved_at = visit.now if left > 0 else None
            left -= 1
            connection.execute(
                """INSERT INTO shown VALUES (?, ?, ?, ?, ?) ON CONFLICT (record_id, user_id)
                   DO UPDATE SET place = excluded.place, reserved_at = coalesce(excluded.reserved_at, reserved_at)""",
                (record, visit.user, visit.dataset, place, reserved_at))
        return taken

    def _clear(self, connection: sqlite3.Connection, visit: Visit) -> None:
        connection.execute(f"DELETE FROM shown WHERE dataset_id = :dataset AND reserved_at IS NOT NULL AND NOT ({_LIVE})",
                           visit.values())

    def _keep_newest(self, connection: sqlite3.Connection, visit: Visit) -> None:
        # Two pages' worth: a second browser tab does not take away what is open in the first.
        connection.execute(
            """DELETE FROM shown WHERE user_id = :user AND record_id IN (
                   SELECT record_id FROM shown WHERE dataset_id = :dataset AND user_id = :user AND reserved_at IS NOT NULL
                   ORDER BY reserved_at DESC, place LIMIT -1 OFFSET :most)""", {**visit.values(), "most": 2 * visit.records})

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        connection = self._connection()
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise

    def _connection(self) -> sqlite3.Connection:
        if not hasattr(self._local, "connection"):
            connection = sqlite3.connect(self._path, isolation_level=None, timeout=_WAIT_SECONDS)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(_TABLE)
            connection.execute(_INDEX)
            self._local.connection = connection
        return self._local.connection
