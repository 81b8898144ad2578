"""The search engine `embedded`: answers from the server's own SQLite database, in place of Elasticsearch.

The text index is kept by triggers (schema.py), everything else is read from the server's tables, so the methods that
would write to an index have nothing to do.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from argilla_server.enums import MetadataPropertyType, SimilarityOrder
from argilla_server.errors.future import UnprocessableEntityError
from argilla_server.models import Dataset, MetadataProperty, Record, User, VectorSettings
from argilla_server.search_engine import (
    Filter,
    FloatMetadataMetrics,
    IntegerMetadataMetrics,
    MetadataMetrics,
    Order,
    SearchEngine,
    SearchResponseItem,
    SearchResponses,
    TermsMetrics,
    TextQuery,
)
from argilla_server.settings import settings

from .database import Readers, file_of
from .matching import Matching, matching, orders
from .queue import Asked, Queue, asks_for_pending, searcher
from .routing import Routing, is_routed, may_open, visible
from .similarity import Vectors

NAME = "embedded"


@SearchEngine.register(NAME)
class EmbeddedSearchEngine(SearchEngine):
    """One for the whole process: it holds nothing but its reading connections."""

    routes: Routing | None = None
    """None while records are not routed: then everything is as Argilla has it."""
    _instance: EmbeddedSearchEngine | None = None

    def __init__(self, readers: Readers) -> None:
        self._readers = readers
        self._vectors = Vectors()

    @classmethod
    async def new_instance(cls) -> SearchEngine:
        if cls._instance is None:
            cls._instance = cls(Readers(file_of(str(settings.database_url))))
        return cls._instance

    async def close(self) -> None:
        """The server closes the engine after each request; the connections stay open for the next."""

    async def ping(self) -> bool:
        return await self._readers.rows("SELECT 1") == [(1,)]

    async def info(self) -> dict[str, Any]:
        return {"name": NAME, "sqlite": sqlite3.sqlite_version}

    async def search(self, dataset: Dataset, query: TextQuery | str | None = None, filter: Filter | None = None,
                     sort: list[Order] | None = None, offset: int = 0, limit: int = 100,
                     user_id: UUID | str | None = None) -> SearchResponses:
        """One page. Without a sort the order is by relevance, or random but fixed for a user when one is given."""
        found = matching(dataset, query=query, filter=filter)
        if found is None:
            return SearchResponses(items=[], total=0)
        asked = Asked(found, orders(sort, dataset), seed=str(user_id) if user_id else None, limit=limit, offset=offset)
        if user_id and self.routes and await self._readers.run(lambda connection: is_routed(connection, dataset.id.hex)):
            queue = Queue(self._readers, self.routes, dataset, user=UUID(str(user_id)).hex, pending=asks_for_pending(filter))
            return await queue.page(asked)
        return await self._readers.run(asked.read)

    async def similarity_search(self, dataset: Dataset, vector_settings: VectorSettings, value: list[float] | None = None,
                                record: Record | None = None, query: TextQuery | str | None = None,
                                filter: Filter | None = None, max_results: int = 100,
                                order: SimilarityOrder = SimilarityOrder.most_similar,
                                threshold: float | None = None) -> SearchResponses:
        """The records nearest to a vector or to another record's, or farthest from it; exact."""
        vector = value or (record.vector_value_by_vector_settings(vector_settings) if record else None) or []
        if len(vector) != vector_settings.dimensions:
            raise UnprocessableEntityError(f"The vector has {len(vector)} numbers; `{vector_settings.name}` needs "
                                           f"{vector_settings.dimensions}")
        if order == SimilarityOrder.least_similar:
            vector = [-number for number in vector]
        matched = matching(dataset, query=query, filter=filter, without=record.id if record else None)
        if matched is None:
            return SearchResponses(items=[], total=0)

        # A thread does not see the request's own variables.
        user = searcher.get()

        def read(connection: sqlite3.Connection) -> SearchResponses:
            found = self._seen(connection, matched, dataset, record, user=user)
            among = [number for (number,) in connection.execute(*found.numbers())] if found.narrowed else None
            nearest = self._vectors.nearest(connection, vector_settings.id, vector, among=among, limit=max_results)
            items = [SearchResponseItem(record_id=_record_id(connection, number), score=score) for number, score in nearest
                     if threshold is None or score >= threshold]
            return SearchResponses(items=items, total=len(nearest))

        return await self._readers.run(read)

    def _seen(self, connection: sqlite3.Connection, found: Matching, dataset: Dataset, record: Record | None, *,
              user: str | None) -> Matching:
        """What the person who searches may see of it. Raises for a record to compare with that they may not."""
        if user is None or self.routes is None or not is_routed(connection, dataset.id.hex):
            return found
        person = self.routes.person(connection, user)
        if record is not None and not may_open(connection, person, record.id.hex):
            raise UnprocessableEntityError(f"Record with id `{record.id}` not found in dataset `{dataset.id}`.")
        return found.and_only(visible(person, dataset.id.hex))

    async def open_records(self, dataset: Dataset, user: str) -> int | None:
        """How many records wait for this person, reserved for others or not; None when the dataset is not routed."""
        if self.routes is None or not await self._readers.run(lambda connection: is_routed(connection, dataset.id.hex)):
            return None
        return await Queue(self._readers, self.routes, dataset, user=user, pending=True).size()

    async def get_dataset_progress(self, dataset: Dataset) -> dict[str, int]:
        if dataset.is_draft:
            return {}
        return await self._counts("record", dataset, user="")

    async def get_dataset_user_progress(self, dataset: Dataset, user: User) -> dict[str, int]:
        return {} if dataset.is_draft else await self._counts("status", dataset, user=user.id.hex)

    async def _counts(self, whose: str, dataset: Dataset, *, user: str) -> dict[str, int]:
        rows = await self._readers.rows(f"SELECT {whose}, sum(number) FROM redpen_counts WHERE dataset_id = ? AND user_id = ? "
                                        "GROUP BY 1 HAVING sum(number) > 0", (dataset.id.hex, user))
        return {"total": sum(count for _, count in rows), **dict(rows)}

    async def compute_metrics_for(self, metadata_property: MetadataProperty) -> MetadataMetrics:
        path = f'$."{metadata_property.name}"'
        values = ("SELECT DISTINCT record.id, item.atom AS value FROM records AS record, json_each(record.metadata, ?) AS item "
                  "WHERE record.dataset_id = ? AND item.atom IS NOT NULL")
        given = (path, metadata_property.dataset_id.hex)
        if metadata_property.type == MetadataPropertyType.terms:
            counts = await self._readers.rows(
                f"SELECT CAST(value AS TEXT), count(*) FROM ({values}) GROUP BY 1 ORDER BY 2 DESC, 1", given)
            return TermsMetrics(total=sum(count for _, count in counts),
                                values=[TermsMetrics.TermCount(term=term, count=count) for term, count in counts])
        kind = IntegerMetadataMetrics if metadata_property.type == MetadataPropertyType.integer else FloatMetadataMetrics
        [(low, high)] = await self._readers.rows(f"SELECT min(value), max(value) FROM ({values})", given)
        return kind(min=low, max=high)

    async def create_index(self, dataset: Dataset) -> None: ...

    async def delete_index(self, dataset: Dataset) -> None: ...

    async def configure_metadata_property(self, dataset: Dataset, metadata_property: MetadataProperty) -> None: ...

    async def configure_index_vectors(self, vector_settings: VectorSettings) -> None: ...

    async def index_records(self, dataset: Dataset, records: Sequence[Record]) -> None: ...

    async def partial_record_update(self, record: Record, **update: Any) -> None: ...

    async def delete_records(self, dataset: Dataset, records: Sequence[Record]) -> None: ...

    async def update_record_response(self, response: Any) -> None: ...

    async def delete_record_response(self, response: Any) -> None: ...

    async def update_record_suggestion(self, suggestion: Any) -> None: ...

    async def delete_record_suggestion(self, suggestion: Any) -> None: ...


def route(home: Path) -> None:
    """Route records by the rules in the home; before the server answers."""
    from .gate import Gate, follow_wanted_reviews

    routes = Routing(home)
    EmbeddedSearchEngine.routes = routes
    Gate(routes, Readers(str(home / "argilla.db"))).install()
    follow_wanted_reviews()


def _record_id(connection: sqlite3.Connection, number: int) -> UUID:
    (found,) = connection.execute("SELECT record_id FROM redpen_documents WHERE number = ?", (number,)).fetchone()
    return UUID(hex=found)
