"""The search engine `embedded`: answers from the server's own SQLite database, in place of Elasticsearch.

The text index is kept by triggers (schema.py), everything else is read from the server's tables, so the methods that
would write to an index have nothing to do.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence
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

from .conditions import Clause, both, condition, ordering
from .database import Readers, file_of
from .schema import COLUMNS
from .similarity import Vectors
from .text_query import EVERYTHING, Hits, parse

NAME = "embedded"
_MASK = 0x7FFFFFFF


@SearchEngine.register(NAME)
class EmbeddedSearchEngine(SearchEngine):
    """One for the whole process: it holds nothing but its reading connections."""

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
        text = _text_clause(dataset, query)
        if text is None:
            return SearchResponses(items=[], total=0)
        where = both([Clause("document.dataset_id = ?", (dataset.id.hex,)), text,
                      *([condition(filter, dataset_id=dataset.id)] if filter else [])])
        ranked = "MATCH" in text.sql and "NOT IN" not in text.sql
        score = _score(user_id, ranked=ranked)
        orders = [ordering(order, dataset_id=dataset.id) for order in sort or []]
        if not orders and (ranked or user_id):
            orders = [Clause(f"{score} DESC")]
        order_by = ", ".join([*(order.sql for order in orders), "document.number"])
        source = _source(where, *orders, ranked=ranked)
        page_sql = f"SELECT document.record_id, {'NULL' if sort else score} {source} WHERE {where.sql} ORDER BY {order_by} LIMIT ? OFFSET ?"  # noqa: S608
        page_values = (*where.values, *(value for order in orders for value in order.values), limit, offset)
        count_sql = f"SELECT count(*) {_source(where, ranked=ranked)} WHERE {where.sql}"  # noqa: S608

        def read(connection: sqlite3.Connection) -> SearchResponses:
            items = [SearchResponseItem(record_id=UUID(hex=record_id), score=value)
                     for record_id, value in connection.execute(page_sql, page_values)]
            (total,) = connection.execute(count_sql, where.values).fetchone()
            return SearchResponses(items=items, total=total)

        return await self._readers.run(read)

    async def similarity_search(self, dataset: Dataset, vector_settings: VectorSettings, value: list[float] | None = None,
                                record: Record | None = None, query: TextQuery | str | None = None, filter: Filter | None = None,
                                max_results: int = 100, order: SimilarityOrder = SimilarityOrder.most_similar,
                                threshold: float | None = None) -> SearchResponses:
        """The records nearest to a vector or to another record's, or farthest from it; exact."""
        vector = value or (record.vector_value_by_vector_settings(vector_settings) if record else None)
        if not vector or len(vector) != vector_settings.dimensions:
            raise UnprocessableEntityError(f"The vector has {len(vector or [])} numbers; `{vector_settings.name}` needs "
                                           f"{vector_settings.dimensions}")
        if order == SimilarityOrder.least_similar:
            vector = [-number for number in vector]
        text = _text_clause(dataset, query)
        if text is None:
            return SearchResponses(items=[], total=0)
        limits = [text] if text.sql != "1" else []
        limits += [condition(filter, dataset_id=dataset.id)] if filter else []
        limits += [Clause("document.record_id <> ?", (record.id.hex,))] if record else []
        where = both([Clause("document.dataset_id = ?", (dataset.id.hex,)), *limits])
        numbers_sql = f"SELECT document.number {_source(where, ranked='redpen_text MATCH' in where.sql)} WHERE {where.sql}"  # noqa: S608

        def read(connection: sqlite3.Connection) -> SearchResponses:
            among = [number for (number,) in connection.execute(numbers_sql, where.values)] if limits else None
            found = self._vectors.nearest(connection, vector_settings.id, vector, among=among, limit=max_results)
            ids = {number: connection.execute("SELECT record_id FROM redpen_documents WHERE number = ?", (number,)).fetchone()[0]
                   for number, _ in found}
            items = [SearchResponseItem(record_id=UUID(hex=ids[number]), score=score) for number, score in found
                     if threshold is None or score >= threshold]
            return SearchResponses(items=items, total=len(found))

        return await self._readers.run(read)

    async def get_dataset_progress(self, dataset: Dataset) -> dict[str, int]:
        if dataset.is_draft:
            return {}
        rows = await self._readers.rows("SELECT status, count(*) FROM records WHERE dataset_id = ? GROUP BY status", (dataset.id.hex,))
        return {"total": sum(count for _, count in rows), **dict(rows)}

    async def get_dataset_user_progress(self, dataset: Dataset, user: User) -> dict[str, int]:
        if dataset.is_draft:
            return {}
        rows = await self._readers.rows(
            """SELECT response.status, count(*) FROM responses AS response JOIN redpen_documents AS document
               ON document.record_id = response.record_id AND document.dataset_id = ?
               WHERE response.user_id = ? GROUP BY response.status""", (dataset.id.hex, user.id.hex))
        return {"total": sum(count for _, count in rows), **dict(rows)}

    async def compute_metrics_for(self, metadata_property: MetadataProperty) -> MetadataMetrics:
        path = f'$."{metadata_property.name}"'
        values = ("SELECT DISTINCT record.id, item.atom AS value FROM records AS record, json_each(record.metadata, ?) AS item "
                  "WHERE record.dataset_id = ? AND item.atom IS NOT NULL")
        given = (path, metadata_property.dataset_id.hex)
        if metadata_property.type == MetadataPropertyType.terms:
            counts = await self._readers.rows(
                f"SELECT CAST(value AS TEXT), count(*) FROM ({values}) GROUP BY 1 ORDER BY 2 DESC, 1", given)  # noqa: S608
            return TermsMetrics(total=sum(count for _, count in counts),
                                values=[TermsMetrics.TermCount(term=term, count=count) for term, count in counts])
        kind = IntegerMetadataMetrics if metadata_property.type == MetadataPropertyType.integer else FloatMetadataMetrics
        [(low, high)] = await self._readers.rows(f"SELECT min(value), max(value) FROM ({values})", given)  # noqa: S608
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


def _text_clause(dataset: Dataset, query: TextQuery | str | None) -> Clause | None:
    """The condition for a text query; None when it finds nothing, whatever else is asked."""
    if query is None:
        return Clause("1")
    text = TextQuery(q=query) if isinstance(query, str) else query
    hits = parse(text.q)
    if hits is None or hits == EVERYTHING:
        return None if hits is None else Clause("1")
    expression = _in_field(hits, dataset, text.field) if text.field else hits.expression
    if hits.negated:
        return Clause("document.number NOT IN (SELECT rowid FROM redpen_text WHERE redpen_text MATCH ?)", (expression,))
    return Clause("redpen_text MATCH ?", (expression,))


def _in_field(hits: Hits, dataset: Dataset, name: str) -> str:
    place = sorted(field.name for field in dataset.fields).index(name)
    return f"{{c{min(place, COLUMNS - 1)}}} : ({hits.expression})"


def _source(*clauses: Clause, ranked: bool) -> str:
    source = "FROM redpen_text JOIN redpen_documents AS document ON document.number = redpen_text.rowid" if ranked else \
             "FROM redpen_documents AS document"
    if any(clause.reads_record for clause in clauses):
        source += " JOIN records AS record ON record.id = document.record_id"
    return source


def _score(user_id: UUID | str | None, *, ranked: bool) -> str:
    relevance = "-bm25(redpen_text)" if ranked else "1.0"
    return f"{relevance} * {_chance(str(user_id))}" if user_id else relevance


def _chance(seed: str) -> str:
    """SQL for a number from 0 to 1 that depends on the document and the seed alone.

    SQLite has no hash function; three rounds of multiply and shift mix well enough, and stay below its 63 bits.
    """
    start = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:4]) & _MASK
    mixed = f"(((document.number + {start}) * 731599937) & {_MASK})"
    for factor in (604811279, 951274213):
        mixed = f"((({mixed} + ({mixed} >> 15)) * {factor}) & {_MASK})"
    return f"({mixed} / {float(_MASK + 1)})"
