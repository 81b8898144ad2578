"""Routing: who may see a record, in what order, and how many reviews it gets.

A record is routed when its metadata holds one of three properties, which annotators are not shown:

    redpen_assigned         names of people, or `group:NAME`: only they see it; none: everybody in the workspace
    redpen_priority         a number: the pending list begins with the highest
    redpen_reviews_wanted   after so many submitted reviews it is completed and gone from everybody's pending list;
                            none: what the dataset's overlap says

Owners and admins see every record, those assigned to others last. Records with none of the three are left to Argilla.
The properties are kept by triggers in small tables (schema.py); this module asks them, in SQL with bound values.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .conditions import Clause, both, either
from .reservations import FILE, Reservations, Room, Rooms, Visit
from .rules import Rules, RulesFile

if TYPE_CHECKING:
    from argilla_server.models import Dataset

_MANAGERS = frozenset({"owner", "admin"})


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who reviews."""

    id: str
    """As the tables hold it: 32 hexadecimal digits."""
    names: tuple[str, ...]
    """Their own and their groups'."""
    manages: bool
    """Owners and admins."""


class Routing:
    """The rules, the reservations and the clock of one home."""

    def __init__(self, home: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._rules = RulesFile(home)
        self._clock = clock
        self.reservations = Reservations(home / FILE)

    @property
    def rules(self) -> Rules:
        return self._rules.now()

    def visit(self, dataset: str, user: str) -> Visit:
        """This person in this dataset, now."""
        rules = self.rules
        return Visit(dataset, user, now=self._clock(), seconds=rules.reserve_seconds, records=rules.reserve_records)

    def person(self, connection: sqlite3.Connection, user: str) -> Person:
        """The account with this id; somebody without names when it is gone."""
        found = connection.execute("SELECT username, role FROM users WHERE id = ?", (user,)).fetchone()
        username, role = found or ("", "")
        return Person(user, self.rules.names_of(username), manages=role in _MANAGERS)

    def reservable(self, connection: sqlite3.Connection, user: str) -> Rooms:
        """Reads the room of those records that can be reserved for this person: routed ones not assigned to others.

        It looks at the database when it is called, not before: under the lock of the reservations.
        """
        def room(records: Sequence[str]) -> dict[str, Room]:
            person = self.person(connection, user)
            return {record: room for record, room in rooms(connection, records).items() if _is_theirs(connection, person, record)}

        return room


def is_routed(connection: sqlite3.Connection, dataset: str) -> bool:
    """Whether any record of the dataset is routed."""
    return connection.execute("SELECT EXISTS (SELECT 1 FROM redpen_routes WHERE dataset_id = ?)", (dataset,)).fetchone() == (1,)


def visible(person: Person, dataset: str) -> Clause:
    """True for the records that this person may see: unassigned ones, their own, and those they have already worked on."""
    if person.manages:
        return Clause("1")
    return either([_not_of_others(person), _answered(person, dataset)])


def open_to(person: Person, dataset: Dataset, *, taken: Collection[int]) -> Clause:
    """True for records that this person has answered, that want more reviews and are not taken, or that are not routed."""
    return either([_open(dataset, taken), _answered(person, dataset.id.hex)])


def new_to(person: Person, dataset: Dataset, *, taken: Collection[int]) -> Clause:
    """Of the records that this person has not answered: those that they may see and that are open to them."""
    wants_more = _open(dataset, taken)
    return wants_more if person.manages else both([_not_of_others(person), wants_more])


def _open(dataset: Dataset, taken: Collection[int]) -> Clause:
    wants_more = Clause("route.document IS NULL OR route.submitted < coalesce(route.wanted, ?)", (min_submitted(dataset),),
                        reads_route=True)
    free = Clause("route.document IS NULL OR route.document NOT IN (SELECT value FROM json_each(?))",
                  (json.dumps(sorted(taken)),), reads_route=True)
    # In the order of what decides most often: this is asked of every record of a queue.
    return both([wants_more, free] if taken else [wants_more])


def first(person: Person) -> list[Clause]:
    """The order in which pending records come, before chance: one's own work, then by priority."""
    priority = Clause("coalesce(route.priority, 0) DESC", reads_route=True)
    if not person.manages:
        return [priority]
    own = _not_of_others(person)
    return [Clause(f"({own.sql}) DESC", own.values, reads_route=True), priority]


def _not_of_others(person: Person) -> Clause:
    mine = Clause("route.document IN (SELECT document FROM redpen_assigned "
                  f"WHERE name IN ({_marks(person.names)}))", person.names)
    nobodys = Clause("route.assigned IS NOT 1", reads_route=True)
    return either([nobodys, mine])


def _answered(person: Person, dataset: str) -> Clause:
    return Clause("document.number IN (SELECT document FROM redpen_answers WHERE dataset_id = ? AND user_id = ?)",
                  (dataset, person.id))


def min_submitted(dataset: Dataset) -> int:
    return int(dataset.distribution["min_submitted"])


def may_open(connection: sqlite3.Connection, person: Person, record: str) -> bool:
    """Whether this person may read the record and save a draft for it."""
    return person.manages or _is_theirs(connection, person, record) or _answer(connection, person.id, record) is not None


def may_submit(connection: sqlite3.Connection, person: Person, record: str) -> bool:
    """Whether this person may review the record: a draft begun before it was assigned to others does not count."""
    return person.manages or _is_theirs(connection, person, record) or _answer(connection, person.id, record) == "submitted"


def _is_theirs(connection: sqlite3.Connection, person: Person, record: str) -> bool:
    sql = f"""SELECT NOT route.assigned OR EXISTS (
                  SELECT 1 FROM redpen_assigned AS assigned
                  WHERE assigned.document = route.document AND assigned.name IN ({_marks(person.names)}))
              FROM redpen_routes AS route JOIN redpen_documents AS document ON document.number = route.document
              WHERE document.record_id = ?"""
    found = connection.execute(sql, (*person.names, record)).fetchone()
    return found is None or bool(found[0])


def _answer(connection: sqlite3.Connection, user: str, record: str) -> str | None:
    found = connection.execute("SELECT status FROM responses WHERE record_id = ? AND user_id = ?", (record, user)).fetchone()
    return found[0] if found else None


def rooms(connection: sqlite3.Connection, records: Sequence[str]) -> dict[str, Room]:
    """How many reviews each routed record wants and who has given one."""
    rows = connection.execute(
        """SELECT document.record_id, coalesce(route.wanted, json_extract(dataset.distribution, '$.min_submitted')),
                  answer.user_id
           FROM json_each(?) AS asked JOIN redpen_documents AS document ON document.record_id = asked.value
           JOIN redpen_routes AS route ON route.document = document.number
           JOIN datasets AS dataset ON dataset.id = document.dataset_id
           LEFT JOIN redpen_answers AS answer ON answer.document = document.number AND answer.status = 'submitted'""",
        (json.dumps(list(records)),))
    found: dict[str, tuple[int, set[str]]] = {}
    for record, wanted, user in rows:
        given = found.setdefault(record, (int(wanted), set()))[1]
        if user is not None:
            given.add(user)
    return {record: Room(wanted, frozenset(given)) for record, (wanted, given) in found.items()}


def taken(connection: sqlite3.Connection, visit: Visit, holders: Mapping[str, frozenset[str]]) -> set[int]:
    """Of the records that others hold, the documents of those without room for one more."""
    known = rooms(connection, sorted(holders))
    found = [record for record, room in known.items() if not room.has_place_for(visit.user, holders=holders[record])]
    return {number for (number,) in connection.execute(
        "SELECT number FROM redpen_documents WHERE record_id IN (SELECT value FROM json_each(?))", (json.dumps(found),))}


_FEW = 2_000
"""Of a priority with no more records than this, all are looked at at once."""


def classes(connection: sqlite3.Connection, person: Person, dataset: str) -> Iterator[Clause]:
    """Parts of the dataset in the order of `first`: everything in one comes before everything in the next."""
    own = _not_of_others(person)
    others = Clause(f"NOT ({own.sql})", own.values, reads_route=True)
    for whose in ([own, others] if person.manages else [Clause("1")]):
        for priority in _priorities(connection, dataset):
            yield both([whose, _of_priority(connection, dataset, priority)])


def _priorities(connection: sqlite3.Connection, dataset: str) -> list[int]:
    """Highest first; zero is that of records without a route."""
    found = connection.execute(
        """WITH RECURSIVE next(priority) AS (
               SELECT max(priority) FROM redpen_routes WHERE dataset_id = :dataset UNION ALL
               SELECT (SELECT max(priority) FROM redpen_routes WHERE dataset_id = :dataset AND priority < next.priority)
               FROM next WHERE next.priority IS NOT NULL)
           SELECT priority FROM next WHERE priority IS NOT NULL""", {"dataset": dataset})
    return sorted({0, *(priority for (priority,) in found)}, reverse=True)


def _of_priority(connection: sqlite3.Connection, dataset: str, priority: int) -> Clause:
    listed = "SELECT document FROM redpen_routes WHERE dataset_id = ? AND priority = ?"
    if priority:
        (count,) = connection.execute(f"SELECT count(*) FROM ({listed} LIMIT ?)", (dataset, priority, _FEW + 1)).fetchone()
        if count <= _FEW:
            return Clause(f"document.number IN ({listed})", (dataset, priority), picks=True)
    return Clause("coalesce(route.priority, 0) = ?", (priority,), reads_route=True)


def _marks(values: Sequence[Any]) -> str:
    return ", ".join("?" * len(values))
