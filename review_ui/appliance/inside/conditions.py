"""Filters and sort orders of the search API as SQL over `redpen_documents AS document` and `records AS record`.

The meaning is the Elasticsearch engine's: a list of values matches when any of them does, a response filter is met by
one and the same response, only rating and label answers can be filtered, and records without a value sort last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from argilla_server.search_engine import (
    AndFilter,
    Filter,
    MetadataFilterScope,
    Order,
    RangeFilter,
    RecordFilterScope,
    ResponseFilterScope,
    SuggestionFilterScope,
    TermsFilter,
)

from .dates import as_stored

_RECORD_COLUMNS = {"id": "document.record_id", "external_id": "record.external_id", "status": "document.status",
                   "inserted_at": "record.inserted_at", "updated_at": "record.updated_at"}
_DATES = {"inserted_at", "updated_at"}
_FILTERABLE = "json_extract(question.settings, '$.type') IN ('rating', 'label_selection', 'multi_label_selection')"


@dataclass(frozen=True, slots=True)
class Clause:
    """A piece of SQL and the values of its question marks."""

    sql: str
    values: tuple[Any, ...] = ()
    reads_record: bool = False
    """Whether it names the `record` table, which is joined only then."""
    reads_route: bool = False
    """Whether it names `route`, a document's row in redpen_routes; its columns are null where there is none."""
    picks: bool = False
    """Whether it lists its documents itself, so that the others need not be looked at."""
    lists: str | None = None
    """SQL that gives just these documents, each once, with the same values; for some of those that pick."""
    excludes: str | None = None
    """When it only leaves documents out: the SQL that lists them, with the same values."""
    new_to: str | None = None
    """When it only leaves out what this person has answered: their id."""
    by_status: bool = False
    """Whether it looks at nothing but the record's status, and its values are those that it lets through."""


def condition(filter: Filter, *, dataset_id: UUID) -> Clause:
    """True for the records that the filter lets through."""
    if isinstance(filter, AndFilter):
        return both(conditions(filter, dataset_id=dataset_id))
    scope = filter.scope
    if isinstance(scope, RecordFilterScope):
        return _record_condition(filter, str(scope.property))
    if isinstance(scope, MetadataFilterScope):
        test = _test(filter, "item.atom")
        return Clause(f"EXISTS (SELECT 1 FROM json_each(record.metadata, ?) AS item WHERE {test.sql})",
                      (_path(scope.metadata_property), *test.values), reads_record=True)
    if isinstance(scope, SuggestionFilterScope):
        return _suggestion_condition(filter, scope, dataset_id)
    if scope.question:
        return _answer_condition(filter, scope, dataset_id)
    return _status_condition(filter, scope, dataset_id)


def conditions(filter: Filter, *, dataset_id: UUID) -> list[Clause]:
    """The parts of the filter, all of which a record must meet."""
    if isinstance(filter, AndFilter):
        return [clause for part in filter.filters for clause in conditions(part, dataset_id=dataset_id)]
    return [condition(filter, dataset_id=dataset_id)]


def both(clauses: Sequence[Clause]) -> Clause:
    """True where all of them are."""
    return _joined(clauses, " AND ") if clauses else Clause("1")


def either(clauses: Sequence[Clause]) -> Clause:
    """True where any of them is."""
    return _joined(clauses, " OR ") if clauses else Clause("0")


def _joined(clauses: Sequence[Clause], operator: str) -> Clause:
    return Clause(operator.join(f"({clause.sql})" for clause in clauses),
                  tuple(value for clause in clauses for value in clause.values),
                  any(clause.reads_record for clause in clauses), any(clause.reads_route for clause in clauses),
                  picks=operator == " AND " and any(clause.picks for clause in clauses))


def _path(name: str) -> str:
    return '$."' + name.replace('"', '\\"') + '"'


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _test(filter: TermsFilter | RangeFilter, column: str) -> Clause:
    """The filter on a JSON value: `3` and `"3"` are the same term, as they are to Elasticsearch."""
    if isinstance(filter, TermsFilter):
        texts = [str(value) for value in filter.values]
        values = (*texts, *(number for text in texts if (number := _number(text)) is not None))
        return Clause(f"{column} IN ({_marks(values)})", values)
    bounds = [(sign, bound) for sign, bound in ((">=", filter.ge), ("<=", filter.le)) if bound is not None]
    numbers = [_number(bound) for _, bound in bounds]
    if None in numbers:
        return both([Clause(f"{column} {sign} ?", (str(bound),)) for sign, bound in bounds])
    # In SQLite any text is greater than any number, so the type is asked for as well.
    return both([Clause(f"typeof({column}) <> 'text'"),
                 *(Clause(f"{column} {sign} ?", (number,)) for (sign, _), number in zip(bounds, numbers, strict=True))])


def _marks(values: Sequence[Any]) -> str:
    return ", ".join("?" * len(values))


def _record_condition(filter: TermsFilter | RangeFilter, name: str) -> Clause:
    column = _RECORD_COLUMNS[name]
    if isinstance(filter, RangeFilter):
        bounds = [(">=", filter.ge, False), ("<=", filter.le, True)]
        return both([Clause(f"{column} {sign} ?", (_record_value(name, bound, latest=latest),), column.startswith("record."))
                     for sign, bound, latest in bounds if bound is not None])
    if name in _DATES:
        return either([Clause(f"{column} BETWEEN ? AND ?", (as_stored(value, latest=False), as_stored(value, latest=True)),
                              reads_record=True) for value in filter.values])
    values = tuple(_record_value(name, value, latest=False) for value in filter.values)
    return Clause(f"{column} IN ({_marks(values)})", values, reads_record=column.startswith("record."),
                  by_status=name == "status")


def _record_value(name: str, value: Any, *, latest: bool) -> str:
    if name in _DATES:
        return as_stored(value, latest=latest)
    if name == "id":
        try:
            return UUID(str(value)).hex
        except ValueError:
            return str(value)
    return str(value)


def _question(dataset_id: UUID, name: str) -> tuple[str, tuple[Any, ...]]:
    return "(SELECT id FROM questions AS q WHERE q.dataset_id = ? AND q.name = ?)", (dataset_id.hex, name)


def _suggestion_condition(filter: TermsFilter | RangeFilter, scope: SuggestionFilterScope, dataset_id: UUID) -> Clause:
    question, names = _question(dataset_id, scope.question)
    found = ("SELECT 1 FROM suggestions AS suggestion WHERE suggestion.record_id = document.record_id "
             f"AND suggestion.question_id = {question}")
    if scope.property in ("agent", "type"):
        test = _test(filter, f"suggestion.{scope.property}")
        return Clause(f"EXISTS ({found} AND {test.sql})", (*names, *test.values))
    test = _test(filter, "item.atom")
    kind = f" AND EXISTS (SELECT 1 FROM questions AS question WHERE question.id = suggestion.question_id AND {_FILTERABLE})"
    column = "score" if scope.property == "score" else "value"
    return Clause(f"EXISTS ({found}{kind if column == 'value' else ''} AND EXISTS "
                  f"(SELECT 1 FROM json_each(suggestion.{column}) AS item WHERE {test.sql}))", (*names, *test.values))


def _answer_condition(filter: TermsFilter | RangeFilter, scope: ResponseFilterScope, dataset_id: UUID) -> Clause:
    test = _test(filter, "item.atom")
    owner, who = _of_user(scope)
    return Clause(
        f"EXISTS (SELECT 1 FROM responses AS response, json_each(response.\"values\", ?) AS item "
        f"WHERE response.record_id = document.record_id {owner} AND {test.sql} AND EXISTS "
        f"(SELECT 1 FROM questions AS question WHERE question.dataset_id = ? AND question.name = ? AND {_FILTERABLE}))",
        (_path(str(scope.question)) + ".value", *who, *test.values, dataset_id.hex, scope.question))


def _of_user(scope: ResponseFilterScope) -> tuple[str, tuple[Any, ...]]:
    return ("AND response.user_id = ?", (scope.user.id.hex,)) if scope.user else ("", ())


def _status_condition(filter: TermsFilter | RangeFilter, scope: ResponseFilterScope, dataset_id: UUID) -> Clause:
    """Pending means: no response by this person, or by anybody when no person is asked about."""
    answered = _answered(dataset_id, scope.user.id.hex if scope.user else None)
    if isinstance(filter, RangeFilter):
        test = _test(filter, "status")
        return Clause(f"document.number IN ({answered.sql} AND {test.sql})", (*answered.values, *test.values))
    statuses = tuple(str(value) for value in filter.values if str(value) != "pending")
    parts = []
    if len(statuses) < len(filter.values):
        parts.append(not_answered(dataset_id, scope.user.id.hex if scope.user else None))
    if statuses:
        listed = f"{answered.sql} AND status IN ({_marks(statuses)})"
        own = scope.user is not None
        parts.append(Clause(f"document.number IN ({listed})", (*answered.values, *statuses), picks=own,
                            lists=listed if own else None))
    return parts[0] if len(parts) == 1 else either(parts)


def not_answered(dataset_id: UUID, user: str | None) -> Clause:
    """True for records without an answer of this person's, or of anybody's."""
    answered = _answered(dataset_id, user)
    return Clause(f"document.number NOT IN ({answered.sql})", answered.values, excludes=answered.sql, new_to=user)


def _answered(dataset_id: UUID, user: str | None) -> Clause:
    owner, who = ("AND user_id = ?", (user,)) if user else ("", ())
    return Clause(f"SELECT document FROM redpen_answers WHERE dataset_id = ? {owner}", (dataset_id.hex, *who))


def ordering(order: Order, *, dataset_id: UUID) -> Clause:
    """A sort key for ORDER BY; of several values the first in the order counts, of several responses the mean."""
    scope = order.scope
    ascending = str(order.order) == "asc"
    first = "min" if ascending else "max"
    if isinstance(scope, RecordFilterScope):
        column = _RECORD_COLUMNS[str(scope.property)]
        key = Clause(column, reads_record=column.startswith("record."))
    elif isinstance(scope, MetadataFilterScope):
        key = Clause(f"(SELECT {first}(item.atom) FROM json_each(record.metadata, ?) AS item)",
                     (_path(scope.metadata_property),), reads_record=True)
    elif isinstance(scope, SuggestionFilterScope):
        question, names = _question(dataset_id, scope.question)
        column = f"suggestion.{scope.property if scope.property in ('agent', 'type', 'score') else 'value'}"
        if scope.property not in ("agent", "type"):
            column = f"(SELECT {first}(item.atom) FROM json_each({column}) AS item)"
        key = Clause(f"(SELECT {column} FROM suggestions AS suggestion WHERE suggestion.record_id = document.record_id "
                     f"AND suggestion.question_id = {question})", names)
    else:
        key = _response_key(scope, first)
    direction = "ASC" if ascending else "DESC"
    return Clause(f"{key.sql} {direction} NULLS LAST", key.values, key.reads_record)


def _response_key(scope: ResponseFilterScope, first: str) -> Clause:
    owner, who = _of_user(scope)
    if not scope.question:
        return Clause(f"(SELECT {first}(response.status) FROM responses AS response "
                      f"WHERE response.record_id = document.record_id {owner})", who)
    return Clause(
        f"(SELECT CASE WHEN max(typeof(item.atom)) = 'text' THEN {first}(item.atom) ELSE avg(item.atom) END "
        f"FROM responses AS response, json_each(response.\"values\", ?) AS item "
        f"WHERE response.record_id = document.record_id {owner})", (_path(scope.question) + ".value", *who))
