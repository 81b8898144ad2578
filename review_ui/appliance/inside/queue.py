"""The pages that a reviewer is served of a routed dataset, and the reservations that come with them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING
from uuid import UUID

from argilla_server.search_engine import (
    AndFilter,
    Filter,
    ResponseFilterScope,
    SearchResponseItem,
    SearchResponses,
    TermsFilter,
)

from . import routing
from .conditions import Clause, both
from .database import Readers
from .matching import Matching, matching

if TYPE_CHECKING:
    from argilla_server.models import Dataset

TRIES = 5
"""How often a page is made anew when others reserve its records meanwhile; then those are left out."""

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

    def read(self, connection: sqlite3.Connection) -> SearchResponses:
        page = self.found.page(self.orders, seed=self.seed, limit=self.limit, offset=self.offset, first=self.first)
        items = [SearchResponseItem(record_id=UUID(hex=record_id), score=score) for record_id, score in connection.execute(*page)]
        (total,) = connection.execute(*self.found.count()).fetchone()
        return SearchResponses(items=items, total=total)


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

    async def size(self) -> int:
        """How many records wait for this person, whoever they are reserved for."""
        everything = matching(self._dataset, query=None, filter=None)
        assert everything is not None

        def count(connection: sqlite3.Connection) -> int:
            person = self._routes.person(connection, self._user)
            answered = Clause("document.number NOT IN (SELECT document FROM redpen_answers WHERE dataset_id = ? AND user_id = ?)",
                              (self._dataset.id.hex, person.id))
            found = everything.and_only(both([answered, self._limits(person, taken=set())]))
            return int(connection.execute(*found.count()).fetchone()[0])

        return await self._readers.run(count)

    def _read(self, connection: sqlite3.Connection, asked: Asked) -> SearchResponses:
        visit = self._routes.visit(self._dataset.id.hex, self._user)
        # First who holds what, then who has submitted (the first look at the database decides which state of it is seen):
        # whoever goes from one to the other in between is counted.
        holders = self._routes.reservations.holders(visit) if self._pending else {}
        person = self._routes.person(connection, self._user)
        limits = self._limits(person, taken=routing.taken(connection, visit, holders))
        first = routing.first(person) if self._pending and not asked.orders else ()
        return replace(asked, found=asked.found.and_only(limits), first=first).read(connection)

    def _limits(self, person: routing.Person, *, taken: set[str]) -> Clause:
        seen = routing.visible(person, self._dataset.id.hex)
        return both([seen, routing.open_to(person, self._dataset, taken=taken)]) if self._pending else seen

    def _reserve(self, connection: sqlite3.Connection, served: SearchResponses) -> set[str]:
        visit = self._routes.visit(self._dataset.id.hex, self._user)
        return self._routes.reservations.serve(visit, [item.record_id.hex for item in served.items],
                                               self._routes.reservable(connection, self._user))
