"""The pages that a reviewer is served of a routed dataset, and the reservations that come with them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from argilla_server.search_engine import (
    AndFilter,
    Filter,
    RecordFilterScope,
    ResponseFilterScope,
    SearchResponseItem,
    SearchResponses,
    TermsFilter,
)

from . import routing
from .conditions import Clause, both, not_answered
from .database import Readers
from .matching import Matching, matching, scattered
from .schema import BEGUN

if TYPE_CHECKING:
    from argilla_server.models import Dataset

TRIES = 5
"""How often a page is made anew when others reserve its records meanwhile; then those are left out."""

MOST_RANKED = 15_000
"""More records than this are not sorted by relevance: words that are in so many of them rank none before the others, and
computing it takes two milliseconds for every thousand. They come in the order in which they were added."""

searcher: ContextVar[str | None] = ContextVar("searcher", default=None)
"""Who searches in this request: the engine is not told in a search by vector."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A page of what a search finds."""

    found: Matching
    orders: Sequence[Clause]
    seed: str | None
    limit: int
    offset: int
    first: Sequence[Clause] = ()
    """Keys that come before all others."""
    classes: Callable[[sqlite3.Connection], Iterable[Clause]] = lambda connection: (Clause("1"),)
    """The same order as parts of the dataset, one after the other."""

    def read(self, connection: sqlite3.Connection, total: int | None = None) -> SearchResponses:
        """The page and how many there are in all, which is counted unless it is known."""
        if total is None:
            (total,) = connection.execute(*self.found.count()).fetchone()
        by_chance = self.seed and not self.orders and self.found.is_scattered
        rows = self._by_chance(connection, str(self.seed)) if by_chance else self._page(connection, total)
        items = [SearchResponseItem(record_id=UUID(hex=record_id), score=score) for record_id, score in rows]
        return SearchResponses(items=items, total=total)

    def _page(self, connection: sqlite3.Connection, total: int) -> list[tuple[str, float | None]]:
        relevant = total <= MOST_RANKED or not self.found.ranked
        return connection.execute(*self.found.page(
            self.orders, seed=self.seed if relevant else None, limit=self.limit, offset=self.offset, first=self.first,
            relevant=relevant)).fetchall()

    def _by_chance(self, connection: sqlite3.Connection, seed: str) -> list[tuple[str, float | None]]:
        """As much of the random order as the page needs: the whole dataset need not be sorted for its first ten."""
        rows: list[tuple[str, float | None]] = []
        for kind in self.classes(connection):
            for part in [kind] if kind.picks else (both([kind, some]) for some in scattered(seed)):
                most = self.offset + self.limit - len(rows)
                if most <= 0:
                    return rows[self.offset:]
                rows += connection.execute(*self.found.page((), seed=seed, limit=most, offset=0, within=part))
        return rows[self.offset:]


def asks_for_pending(filter: Filter | None) -> bool:
    """Whether the filter lets records through that the person has not answered, and only through their status."""
    if isinstance(filter, AndFilter):
        return any(asks_for_pending(part) for part in filter.filters)
    return (isinstance(filter, TermsFilter) and isinstance(filter.scope, ResponseFilterScope) and not filter.scope.question
            and "pending" in map(str, filter.values))


class Queue:
    """One person's view of one routed dataset."""

    def __init__(self, readers: Readers, routes: routing.Routing, dataset: Dataset, *, user: str, pending: bool) -> None:
        self._readers = readers
        self._routes = routes
        self._dataset = dataset
        self._user = user
        self._pending = pending
        """Whether the page is of records to review; then it is ordered by priority and its first records are reserved."""

    async def page(self, asked: Asked) -> SearchResponses:
        """What this person may see of the page."""
        for _ in range(TRIES):
            served = await self._readers.run(partial(self._read, asked=asked))
            lost = await self._readers.run(partial(self._reserve, served=served)) if self._pending else set()
            if not lost:
                break
        items = [item for item in served.items if item.record_id.hex not in lost]
        return SearchResponses(items=items, total=served.total - len(served.items) + len(items))

    async def size(self, *statuses: str) -> int:
        """How many records wait for this person, whoever they are reserved for; only those of these statuses, if any."""
        status = TermsFilter(RecordFilterScope("status"), list(statuses)) if statuses else None
        found = matching(self._dataset, query=None, filter=status)
        assert found is not None
        new = found.and_only(not_answered(self._dataset.id, self._user))

        def count(connection: sqlite3.Connection) -> int:
            return self._count(connection, new, self._routes.person(connection, self._user), taken=set())

        return await self._readers.run(count)

    def _read(self, connection: sqlite3.Connection, asked: Asked) -> SearchResponses:
        visit = self._routes.visit(self._dataset.id.hex, self._user)
        # First who holds what, then who has submitted (the first look at the database decides which state of it is seen):
        # whoever goes from one to the other in between is counted.
        holders = self._routes.reservations.holders(visit) if self._pending else {}
        person = self._routes.person(connection, self._user)
        others = routing.taken(connection, visit, holders)
        seen = replace(asked, found=self._seen(asked.found, person, taken=others))
        if not self._pending or asked.orders:
            return seen.read(connection)
        total = self._count(connection, asked.found, person, taken=others)
        return replace(seen, first=routing.first(person),
                       classes=partial(routing.classes, person=person, dataset=self._dataset.id.hex)).read(connection, total)

    def _seen(self, found: Matching, person: routing.Person, *, taken: set[int]) -> Matching:
        if not_answered(self._dataset.id, self._user) in found.parts:
            return found.and_only(routing.new_to(person, self._dataset, taken=taken))
        seen = found.and_only(routing.visible(person, self._dataset.id.hex))
        return seen.and_only(routing.open_to(person, self._dataset, taken=taken)) if self._pending else seen

    def _count(self, connection: sqlite3.Connection, found: Matching, person: routing.Person, *, taken: set[int]) -> int:
        """How many of them this person may see. A plain queue is counted by what is closed to them, along an index."""
        new = not_answered(self._dataset.id, self._user)
        seen = self._seen(found, person, taken=taken)
        by_status = [part for part in found.parts if part != new]
        if new not in found.parts or not all(part.by_status for part in by_status):
            return int(connection.execute(*seen.count()).fetchone()[0])
        queries = [found.count(), *self._closed(by_status, new, person, taken=taken)]
        all_of_them, *closed = (connection.execute(*query).fetchone()[0] for query in queries)
        return int(all_of_them - sum(closed))

    def _closed(self, by_status: Sequence[Clause], new: Clause, person: routing.Person, *,
                taken: set[int]) -> Iterator[tuple[str, tuple[Any, ...]]]:
        """SQL that counts the unanswered records that are closed to this person: first those with an assignment or a review,
        then those that are closed only because others hold them."""
        open = routing.new_to(person, self._dataset, taken=taken)
        asked = [*(replace(part, sql=part.sql.replace("document.", "route.")) for part in by_status),
                 Clause(f"route.document NOT IN ({new.excludes})", new.values)]
        begun = both([Clause("route.dataset_id = ?", (self._dataset.id.hex,)), *asked,
                      replace(open, sql=f"NOT ({open.sql})")])
        yield (f"SELECT count(*) FROM redpen_routes AS route INDEXED BY redpen_routes_begun WHERE {BEGUN} "
               f"AND {begun.sql}", begun.values)
        held = both([Clause("+route.dataset_id = ?", (self._dataset.id.hex,)), *asked,
                     Clause("route.document IN (SELECT value FROM json_each(?))", (json.dumps(sorted(taken)),))])
        yield f"SELECT count(*) FROM redpen_routes AS route WHERE NOT ({BEGUN}) AND {held.sql}", held.values

    def _reserve(self, connection: sqlite3.Connection, served: SearchResponses) -> set[str]:
        visit = self._routes.visit(self._dataset.id.hex, self._user)
        return self._routes.reservations.serve(visit, [item.record_id.hex for item in served.items],
                                               self._routes.reservable(connection, self._user))
