"""Which records a search finds and in what order, as SQL with bound values."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from argilla_server.models import Dataset
from argilla_server.search_engine import Filter, Order, TextQuery

from .conditions import Clause, both, condition, ordering
from .schema import COLUMNS
from .text_query import EVERYTHING, Hits, parse

_MASK = 0x7FFFFFFF


@dataclass(frozen=True, slots=True)
class Matching:
    """The records of one dataset that a text and a filter find."""

    where: Clause
    ranked: bool
    """Whether the text index is joined, so that a relevance exists."""
    narrowed: bool
    """False when it is simply the whole dataset."""

    def count(self) -> tuple[str, tuple[Any, ...]]:
        return f"SELECT count(*) {self._source()} WHERE {self.where.sql}", self.where.values

    def numbers(self) -> tuple[str, tuple[Any, ...]]:
        return f"SELECT document.number {self._source()} WHERE {self.where.sql}", self.where.values

    def and_only(self, clause: Clause) -> Matching:
        """Those of them that meet the clause as well."""
        return Matching(both([self.where, clause]), ranked=self.ranked, narrowed=True)

    def page(self, orders: Sequence[Clause], *, seed: str | None, limit: int, offset: int,
             first: Sequence[Clause] = ()) -> tuple[str, tuple[Any, ...]]:
        """SQL for record ids and scores of one page.

        `first` are keys that come before all others and leave the score alone. Without a sort the order is by score:
        relevance, times chance when there is a seed. With one there is no score, as Elasticsearch gives none. The document's
        number makes every order total.
        """
        score = self._score(seed)
        if not orders and (self.ranked or seed):
            orders, shown = [Clause(f"{score} DESC")], score
        else:
            shown = "NULL" if orders else "1.0"
        orders = [*first, *orders]
        order_by = ", ".join([*(order.sql for order in orders), "document.number"])
        sql = (f"SELECT document.record_id, {shown} {self._source(*orders)} WHERE {self.where.sql} "
               f"ORDER BY {order_by} LIMIT ? OFFSET ?")
        return sql, (*self.where.values, *(value for order in orders for value in order.values), limit, offset)

    def _score(self, seed: str | None) -> str:
        relevance = "-bm25(redpen_text)" if self.ranked else "1.0"
        return f"{relevance} * {_chance(seed)}" if seed else relevance

    def _source(self, *orders: Clause) -> str:
        source = "FROM redpen_documents AS document"
        if self.ranked:
            # CROSS JOIN is an order to SQLite: text first. It would rather ask the text index once per document.
            source = "FROM redpen_text CROSS JOIN redpen_documents AS document ON document.number = redpen_text.rowid"
        if self.where.reads_record or any(order.reads_record for order in orders):
            source += " JOIN records AS record ON record.id = document.record_id"
        if self.where.reads_route or any(order.reads_route for order in orders):
            source += " LEFT JOIN redpen_routes AS route ON route.document = document.number"
        return source


def matching(dataset: Dataset, *, query: TextQuery | str | None, filter: Filter | None,
             without: UUID | None = None) -> Matching | None:
    """What a search asks for; None when its text holds no searchable word, which finds nothing."""
    text = TextQuery(q=query) if isinstance(query, str) else query
    hits = parse(text.q) if text is not None else EVERYTHING
    if hits is None:
        return None
    parts = [Clause("document.dataset_id = ?", (dataset.id.hex,))]
    if hits != EVERYTHING:
        parts.append(_text_condition(hits, _expression(hits, dataset, text.field if text is not None else None)))
    if filter is not None:
        parts.append(condition(filter, dataset_id=dataset.id))
    if without is not None:
        parts.append(Clause("document.record_id <> ?", (without.hex,)))
    return Matching(both(parts), ranked=hits != EVERYTHING and not hits.negated, narrowed=len(parts) > 1)


def orders(sort: Sequence[Order] | None, dataset: Dataset) -> list[Clause]:
    return [ordering(order, dataset_id=dataset.id) for order in sort or ()]


def _expression(hits: Hits, dataset: Dataset, field: str | None) -> str:
    if field is None:
        return hits.expression
    place = sorted(known.name for known in dataset.fields).index(field)
    return f"{{c{min(place, COLUMNS - 1)}}} : ({hits.expression})"


def _text_condition(hits: Hits, expression: str) -> Clause:
    if hits.negated:
        return Clause("document.number NOT IN (SELECT rowid FROM redpen_text WHERE redpen_text MATCH ?)", (expression,))
    return Clause("redpen_text MATCH ?", (expression,))


def _chance(seed: str) -> str:
    """SQL for a number from 0 to 1 that depends on the document and the seed alone.

    SQLite has no hash function; two rounds of multiply and shift mix well enough, and stay below its 63 bits. It is
    computed for every record of a queue, so each operation counts.
    """
    start = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:4]) & _MASK
    mixed = f"(((document.number + {start}) * 731599937) & {_MASK})"
    return f"(((({mixed} + ({mixed} >> 15)) * 604811279) & {_MASK}) / {float(_MASK + 1)})"
