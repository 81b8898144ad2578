"""Which records a search finds and in what order, as SQL with bound values."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from argilla_server.models import Dataset
from argilla_server.search_engine import Filter, Order, TextQuery

from .conditions import Clause, both, conditions, ordering
from .schema import COLUMNS
from .text_query import EVERYTHING, Hits, parse

_MASK = 0x7FFFFFFF
_LAST = 255
"""The last bucket; see schema.py."""


@dataclass(frozen=True, slots=True)
class Matching:
    """The records of one dataset that a text and a filter find."""

    dataset: str
    parts: tuple[Clause, ...]
    """All of which a record meets."""
    ranked: bool
    """Whether the text index is joined, so that a relevance exists."""

    @property
    def narrowed(self) -> bool:
        """False when it is simply the whole dataset."""
        return bool(self.parts)

    def count(self) -> tuple[str, tuple[Any, ...]]:
        """SQL for how many. What is left out is counted and taken away: people have answered less than there is."""
        people = {part.new_to for part in self.parts if part.new_to}
        if len(people) <= 1 and all(part.by_status or part.new_to for part in self.parts):
            return self._kept_count(people)
        if len(self.parts) == 1 and self.parts[0].lists:
            return f"SELECT count(*) FROM ({self.parts[0].lists})", self.parts[0].values
        excluding = next((part for part in self.parts if part.excludes), None)
        if self.ranked or excluding is None:
            return self._count(self._where())
        rest = replace(self, parts=tuple(part for part in self.parts if part is not excluding))
        left_out = Clause(f"document.number IN ({excluding.excludes})", excluding.values, picks=True)
        (all_sql, all_values), (out_sql, out_values) = rest.count(), rest.and_only(left_out).count()
        return f"SELECT ({all_sql}) - ({out_sql})", (*all_values, *out_values)

    def _kept_count(self, people: Collection[str]) -> tuple[str, tuple[Any, ...]]:
        """From the counts that are kept: records by their status, less those that somebody has answered."""
        by_status = both([replace(part, sql=part.sql.replace("document.status", "record"))
                          for part in self.parts if part.by_status])
        sql = f"SELECT coalesce(sum(number), 0) FROM redpen_counts WHERE dataset_id = ? AND user_id = ? AND {by_status.sql}"
        queries = [(sql, (self.dataset, user, *by_status.values)) for user in ("", *people)]
        return f"SELECT {' - '.join(f'({one})' for one, _ in queries)}", tuple(value for _, values in queries for value in values)

    def _count(self, where: Clause) -> tuple[str, tuple[Any, ...]]:
        return f"SELECT count(*) {_source(self.ranked, where)} WHERE {where.sql}", where.values

    def numbers(self) -> tuple[str, tuple[Any, ...]]:
        where = self._where()
        return f"SELECT document.number {_source(self.ranked, where)} WHERE {where.sql}", where.values

    def and_only(self, clause: Clause) -> Matching:
        """Those of them that meet the clause as well."""
        return replace(self, parts=(*self.parts, clause))

    @property
    def is_scattered(self) -> bool:
        """Whether a page in random order is found by looking at a few buckets of the dataset first."""
        return not self.ranked and not any(part.picks for part in self.parts)

    def page(self, orders: Sequence[Clause], *, seed: str | None, limit: int, offset: int, first: Sequence[Clause] = (),
             within: Clause | None = None, relevant: bool = True) -> tuple[str, tuple[Any, ...]]:
        """SQL for record ids and scores of one page.

        `first` are keys that come before all others and leave the score alone. Without a sort the order is by score:
        relevance, times chance when there is a seed. With one there is no score, as Elasticsearch gives none. The document's
        number makes every order total. `within` looks at a part of the records only; without `relevant` their relevance
        counts for nothing.
        """
        ranked = self.ranked and relevant
        score = _score(seed, ranked=ranked)
        if not orders and (ranked or seed):
            orders, shown = [Clause(f"{score} DESC")], score
        else:
            shown = "NULL" if orders else "1.0"
        orders = [*first, *orders]
        where = self._where(within)
        # The same number; in this one's order the text index can be read as it is.
        order_by = ", ".join([*(order.sql for order in orders), "redpen_text.rowid" if self.ranked else "document.number"])
        sql = (f"SELECT document.record_id, {shown} {_source(self.ranked, where, *orders)} WHERE {where.sql} "
               f"ORDER BY {order_by} LIMIT ? OFFSET ?")
        return sql, (*where.values, *(value for order in orders for value in order.values), limit, offset)

    def _where(self, within: Clause | None = None) -> Clause:
        # The plus sign keeps SQLite from walking through the dataset where the documents are listed already.
        parts = [*([within] if within else []), *self.parts]
        plus = "+" if any(part.picks for part in parts) else ""
        return both([Clause(f"{plus}document.dataset_id = ?", (self.dataset,)), *parts])


def _score(seed: str | None, *, ranked: bool) -> str:
    relevance = "-bm25(redpen_text)" if ranked else "1.0"
    return f"{relevance} * {_chance(seed)}" if seed else relevance


def _source(ranked: bool, *clauses: Clause) -> str:
    source = "FROM redpen_documents AS document"
    if ranked:
        # CROSS JOIN is an order to SQLite: text first. It would rather ask the text index once per document.
        source = "FROM redpen_text CROSS JOIN redpen_documents AS document ON document.number = redpen_text.rowid"
    if any(clause.reads_record for clause in clauses):
        source += " JOIN records AS record ON record.id = document.record_id"
    if any(clause.reads_route for clause in clauses):
        source += " LEFT JOIN redpen_routes AS route ON route.document = document.number"
    return source


def matching(dataset: Dataset, *, query: TextQuery | str | None, filter: Filter | None,
             without: UUID | None = None) -> Matching | None:
    """What a search asks for; None when its text holds no searchable word, which finds nothing."""
    text = TextQuery(q=query) if isinstance(query, str) else query
    hits = parse(text.q) if text is not None else EVERYTHING
    if hits is None:
        return None
    parts: list[Clause] = []
    if hits != EVERYTHING:
        parts.append(_text_condition(hits, _expression(hits, dataset, text.field if text is not None else None)))
    if filter is not None:
        parts += conditions(filter, dataset_id=dataset.id)
    if without is not None:
        parts.append(Clause("document.record_id <> ?", (without.hex,)))
    return Matching(dataset.id.hex, tuple(parts), ranked=hits != EVERYTHING and not hits.negated)


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


def _start(seed: str) -> int:
    return int.from_bytes(hashlib.sha256(seed.encode()).digest()[:4]) & _MASK


def _chance(seed: str) -> str:
    """SQL for a number from 0 to 1 that depends on the document and the seed alone.

    Its first eight bits are the document's bucket, mixed with the seed, so that the highest are found bucket by bucket. The
    rest: SQLite has no hash function; two rounds of multiply and shift mix well enough, and stay below its 63 bits.
    """
    start = _start(seed)
    mixed = f"(((document.number + {start}) * 731599937) & {_MASK})"
    bucket = f"((document.bucket | {start & _LAST}) - (document.bucket & {start & _LAST}))"
    return f"(({bucket} + ((({mixed} + ({mixed} >> 15)) * 604811279) & {_MASK}) / {float(_MASK + 1)}) / {float(_LAST + 1)})"


def scattered(seed: str) -> Iterator[Clause]:
    """Parts of a dataset, those first whose chance is highest: 1, 1, 2, 4 ... of 256 buckets, all of them in the end."""
    turned, width = _start(seed) & _LAST, 1
    best = _LAST
    while best >= 0:
        # Exclusive or keeps an aligned range of buckets together.
        low = (best - width + 1) ^ (turned & ~(width - 1))
        yield Clause("document.bucket BETWEEN ? AND ?", (low, low + width - 1))
        best -= width
        width = _LAST - best
