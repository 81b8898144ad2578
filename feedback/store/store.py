"""The store: what was asked, answered, shown and rated, and what was decided.

Ratings and events are only ever appended. Prompts, completions and items are added once by id; a prompt's particulars
(family, topic, reference) and a reviewer's name follow what was added last.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self, TypeVar

import sqlalchemy as sa
from pydantic import AwareDatetime, BaseModel, Field

from feedback.config import Strict
from feedback.ids import CompletionId, ItemId, PromptId, ReviewerId, canonical_json
from feedback.jsonl import raise_problems
from feedback.schemas import (
    Completion,
    Deleted,
    GoldAnswer,
    Prompt,
    Purpose,
    Queue,
    RankAnswer,
    RateAnswer,
    Rating,
    Reviewer,
    ReviewItem,
)
from feedback.store import tables
from feedback.store.engine import make_engine, migrate, shown, transaction

Value = TypeVar("Value", bound=BaseModel)

WANTED = "reviews_wanted"
"""Event: items that get more reviews than they were made for."""

CHUNK = 500
"""Ids in one SQL statement; SQLite of old takes 999."""


class Event(Strict):
    """Something that was decided or asked for: a promotion, an approval, a requested round."""

    number: int = Field(ge=1)
    """Position in the store's history, from 1."""
    kind: str
    payload: dict[str, Any]
    actor: str
    """Who: a user name, or the command that acted by itself."""
    reason: str
    at: AwareDatetime


class Store:
    """One project's store. Safe to use from several threads and processes."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    @classmethod
    def open(cls, where: str | Path) -> Self:
        """Open a SQLite file (made when missing) or a SQLAlchemy URL, its schema brought up to date.

        Raises StoreError when it is damaged, not a store, or newer than this code.
        """
        engine = make_engine(where)
        migrate(engine)
        return cls(engine)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    @property
    def name(self) -> str:
        """The file, or the URL without its password."""
        return shown(self._engine)

    # -- what is asked

    def add_prompts(self, prompts: Iterable[Prompt]) -> int:
        """Add the prompts that are new and return how many; a known prompt takes over the particulars given here."""
        return self._add(tables.prompts, prompts, lambda prompt: {}, replace=True)

    def add_completions(self, completions: Iterable[Completion]) -> int:
        """Add the completions that are new and return how many. Their prompts must be there."""
        return self._add(tables.completions, completions, lambda row: {"prompt_id": row.prompt_id, "policy_id": row.policy_id})

    def add_items(self, items: Iterable[ReviewItem]) -> int:
        """Add the items that are new and return how many. Their prompts must be there."""
        return self._add(tables.items, items, lambda row: {
            "queue": row.queue.value, "purpose": row.purpose.value, "round": row.round, "prompt_id": row.prompt_id,
            "reviews": row.reviews})

    def add_reviewers(self, reviewers: Iterable[Reviewer]) -> int:
        """Add the reviewers that are new and return how many; a known one takes over the name given here."""
        return self._add(tables.reviewers, reviewers, lambda row: {}, replace=True)

    def prompts(self, ids: Collection[PromptId] | None = None) -> list[Prompt]:
        """All prompts, or those with the ids, in the order in which they were added."""
        return self._by_ids(tables.prompts, Prompt, ids)

    def completions(self, ids: Collection[CompletionId] | None = None) -> list[Completion]:
        """All completions, or those with the ids, in the order in which they were added."""
        return self._by_ids(tables.completions, Completion, ids)

    def items(self, purpose: Purpose | None = None, round: int | None = None, *, queue: Queue | None = None,
              ids: Collection[ItemId] | None = None) -> list[ReviewItem]:
        """The items of a purpose, a round and a queue (each: any, when not given), in the order in which they were added."""
        found = self._by_ids(tables.items, ReviewItem, ids)
        return [item for item in found if (purpose is None or item.purpose is purpose)
                and (round is None or item.round == round) and (queue is None or item.queue is queue)]

    def append_gold(self, answers: Iterable[GoldAnswer]) -> int:
        """Append known answers that differ from what is known of their item, and return how many. The items must be there."""
        rows = list(answers)
        known = {answer.item_id: answer for answer in self.gold()}
        new = {row.item_id: row for row in rows if known.get(row.item_id) != row}
        with transaction(self._engine, writing=True) as connection:
            if new:
                connection.execute(sa.insert(tables.gold), [{"item_id": row.item_id, "body": _body(row)} for row in new.values()])
        return len(new)

    def gold(self, item_ids: Collection[ItemId] | None = None) -> list[GoldAnswer]:
        """What is known of gold items, the last word on each, in the order in which the items were first added."""
        told = self._read(sa.select(tables.gold.c.body).order_by(tables.gold.c.number), GoldAnswer)
        latest = {answer.item_id: answer for answer in told}
        return [answer for item, answer in latest.items() if item_ids is None or item in item_ids]

    def reviewers(self) -> list[Reviewer]:
        """Everyone whose rating was ever stored."""
        return self._by_ids(tables.reviewers, Reviewer, None)

    # -- what was answered

    def append_ratings(self, ratings: Iterable[Rating]) -> int:
        """Append the ratings that are new and return how many. All of them are stored, or none.

        Raises InvalidInput when a rating's item or reviewer is unknown, its id is not its content's, or the same version
        of the same answer is stored with other content.
        """
        rows = list(ratings)
        with transaction(self._engine, writing=True) as connection:
            known = self._known(connection, tables.ratings, [row.id for row in rows])
            new = {row.id: row for row in rows if row.id not in known}
            self._check(connection, list(new.values()))
            if new:
                connection.execute(sa.insert(tables.ratings), [_rating_row(row) for row in new.values()])
        return len(new)

    def ratings(self, until: datetime | None = None) -> list[Rating]:
        """Every version of every rating submitted until then, tombstones included, in the order in which they were stored."""
        query = sa.select(tables.ratings.c.body).order_by(tables.ratings.c.number)
        return self._read(query.where(*_submitted(tables.ratings, until)), Rating)

    def count_ratings(self) -> int:
        """How many versions of ratings there are; it only grows."""
        with transaction(self._engine, writing=False) as connection:
            return int(connection.execute(sa.select(sa.func.count()).select_from(tables.ratings)).scalar_one())

    def latest_of(self, ids: Collection[ItemId]) -> list[Rating]:
        """The highest version of each reviewer's answer to these items, tombstones included."""
        rated, latest = tables.ratings, dict[tuple[ItemId, ReviewerId], Rating]()
        query = sa.select(rated.c.body).order_by(rated.c.version)
        for part in _chunks(ids):
            latest |= {(row.item_id, row.reviewer_id): row for row in self._read(query.where(rated.c.item_id.in_(part)), Rating)}
        return list(latest.values())

    def latest_ratings(self, until: datetime | None = None, *, purpose: Purpose | None = None,
                       rounds: Sequence[int] | None = None) -> list[Rating]:
        """The highest version of each (item, reviewer) submitted until then, tombstones included; filtered by its item."""
        rated, items = tables.ratings, tables.items
        newest = sa.select(rated.c.item_id, rated.c.reviewer_id, sa.func.max(rated.c.version).label("version"))
        newest = newest.where(*_submitted(rated, until)).group_by(rated.c.item_id, rated.c.reviewer_id)
        top = newest.subquery()
        query = sa.select(rated.c.body).order_by(rated.c.number).join(top, sa.and_(
            rated.c.item_id == top.c.item_id, rated.c.reviewer_id == top.c.reviewer_id, rated.c.version == top.c.version))
        query = query.join(items, items.c.id == rated.c.item_id)
        if purpose is not None:
            query = query.where(items.c.purpose == purpose.value)
        if rounds is not None:
            query = query.where(items.c.round.in_(list(rounds)))
        return self._read(query, Rating)

    def live_ratings(self, until: datetime | None = None, *, purpose: Purpose | None = None,
                     rounds: Sequence[int] | None = None) -> list[Rating]:
        """`latest_ratings` without those that end in a tombstone: what counts now."""
        return [row for row in self.latest_ratings(until, purpose=purpose, rounds=rounds) if row.answer.kind != "deleted"]

    def answers_to(self, ids: Collection[ItemId]) -> dict[ItemId, tuple[RateAnswer | RankAnswer, ...]]:
        """What counts now of what was said of these items, in an order that follows from no name and no time."""
        found: dict[ItemId, tuple[RateAnswer | RankAnswer, ...]] = {}
        for rating in sorted(self.live_ratings(), key=lambda row: row.id) if ids else []:
            if rating.item_id in ids and not isinstance(rating.answer, Deleted):
                found[rating.item_id] = (*found.get(rating.item_id, ()), rating.answer)
        return found

    def want_reviews(self, counts: Mapping[ItemId, int], *, reason: str = "the verdict is not sharp yet",
                     at: datetime | None = None) -> None:
        """Note how many reviews these items get in all, where that is more than they were made for."""
        if counts:
            self.append_event(WANTED, {str(item): count for item, count in counts.items()}, actor="redpen review",
                              reason=reason, at=at or datetime.now(UTC))

    def reviews_wanted(self, items: Iterable[ReviewItem]) -> dict[ItemId, int]:
        """How many reviews each of these items gets in all."""
        later: dict[str, int] = {}
        for event in self.events(WANTED):
            later |= event.payload
        return {item.id: max(item.reviews, later.get(item.id, 0)) for item in items}

    def missing_reviews(self, items: Iterable[ReviewItem]) -> dict[ItemId, int]:
        """How many reviews each of these items still lacks, items that lack none left out."""
        given: dict[ItemId, int] = {}
        for rating in self.live_ratings():
            given[rating.item_id] = given.get(rating.item_id, 0) + 1
        missing = {item: count - given.get(item, 0) for item, count in self.reviews_wanted(items).items()}
        return {item_id: count for item_id, count in missing.items() if count > 0}

    # -- what was decided

    def append_event(self, kind: str, payload: Mapping[str, Any], *, actor: str, reason: str, at: datetime) -> Event:
        """Append an event; the same one twice is two events."""
        draft = Event(number=1, kind=kind, payload=dict(payload), actor=actor, reason=reason, at=at)
        body = canonical_json(draft.model_dump(mode="json", exclude={"number"}))
        with transaction(self._engine, writing=True) as connection:
            made = connection.execute(sa.insert(tables.events).values(kind=kind, body=body)).inserted_primary_key
        return draft.model_copy(update={"number": made[0]} if made else {})

    def events(self, kind: str | None = None) -> list[Event]:
        """Events of a kind, or all, oldest first."""
        query = sa.select(tables.events.c.number, tables.events.c.body).order_by(tables.events.c.number)
        if kind is not None:
            query = query.where(tables.events.c.kind == kind)
        with transaction(self._engine, writing=False) as connection:
            return [Event(number=number, **json.loads(body)) for number, body in connection.execute(query)]

    # -- what stands in Argilla

    def pushed(self, item_ids: Collection[ItemId] | None = None) -> dict[ItemId, tuple[str, ...]]:
        """Record ids that items were pushed as. Items that never were are left out."""
        query = sa.select(tables.pushes.c.item_id, tables.pushes.c.record_id).order_by(tables.pushes.c.record_id)
        found: dict[ItemId, tuple[str, ...]] = {}
        with transaction(self._engine, writing=False) as connection:
            for item_id, record_id in connection.execute(query):
                found[item_id] = (*found.get(item_id, ()), record_id)
        return found if item_ids is None else {item: found[item] for item in item_ids if item in found}

    def mark_pushed(self, item_id: ItemId, record_id: str) -> None:
        """Note that an item stands in Argilla as a record."""
        self.mark_all_pushed({item_id: record_id})

    def mark_all_pushed(self, records: Mapping[ItemId, str]) -> None:
        """Note which items stand in Argilla as which records; repeating it changes nothing."""
        with transaction(self._engine, writing=True) as connection:
            known = {(row.item_id, row.record_id) for ids in _chunks(records) for row in connection.execute(
                sa.select(tables.pushes).where(tables.pushes.c.item_id.in_(ids)))}
            new = [{"item_id": item, "record_id": record} for item, record in records.items() if (item, record) not in known]
            if new:
                connection.execute(sa.insert(tables.pushes), new)

    def mark(self, name: str) -> str | None:
        """Where an incremental pull got to, or None when it never ran."""
        query = sa.select(tables.desk_marks.c.value).where(tables.desk_marks.c.name == name)
        with transaction(self._engine, writing=False) as connection:
            found = connection.execute(query).scalar()
        return None if found is None else str(found)

    def set_mark(self, name: str, value: str) -> None:
        """Note where an incremental pull got to."""
        with transaction(self._engine, writing=True) as connection:
            connection.execute(sa.delete(tables.desk_marks).where(tables.desk_marks.c.name == name))
            connection.execute(sa.insert(tables.desk_marks).values(name=name, value=value))

    # -- rows

    def _add(self, table: sa.Table, values: Iterable[Value], columns: Callable[[Value], dict[str, Any]], *,
             replace: bool = False) -> int:
        rows = [{"id": value.id, "body": _body(value), **columns(value)} for value in values]  # type: ignore[attr-defined]
        with transaction(self._engine, writing=True) as connection:
            known = self._known(connection, table, [row["id"] for row in rows])
            new = {row["id"]: row for row in rows if row["id"] not in known}
            if new:
                connection.execute(sa.insert(table), list(new.values()))
            changed = [row for row in rows if known.get(row["id"], row["body"]) != row["body"]] if replace else []
            for row in changed:
                connection.execute(sa.update(table).where(table.c.id == row["id"]).values(body=row["body"]))
        return len(new)

    def _known(self, connection: sa.Connection, table: sa.Table, ids: Collection[str]) -> dict[str, str]:
        query = sa.select(table.c.id, table.c.body)
        return {row.id: row.body for part in _chunks(ids) for row in connection.execute(query.where(table.c.id.in_(part)))}

    def _check(self, connection: sa.Connection, ratings: Sequence[Rating]) -> None:
        """Refuse ratings that cannot be what they say, all of them named."""
        items = self._known(connection, tables.items, {row.item_id for row in ratings})
        reviewers = self._known(connection, tables.reviewers, {row.reviewer_id for row in ratings})
        problems = [f"rating {row.id}: its id is not its content's ({row.content_id()}); make ratings with Rating.of"
                    for row in ratings if row.id != row.content_id()]
        problems += [f"rating {row.id}: item {row.item_id} is not in {self.name}; add its prompt, completions and item first"
                     for row in ratings if row.item_id not in items]
        problems += [f"rating {row.id}: reviewer {row.reviewer_id} is not in {self.name}; add the reviewer first"
                     for row in ratings if row.reviewer_id not in reviewers]
        raise_problems(problems)

    def _by_ids(self, table: sa.Table, row: type[Value], ids: Collection[str] | None) -> list[Value]:
        query = sa.select(table.c.body).order_by(table.c.number)
        if ids is None:
            return self._read(query, row)
        return [value for part in _chunks(ids) for value in self._read(query.where(table.c.id.in_(part)), row)]

    def _read(self, query: sa.Select[Any], row: type[Value]) -> list[Value]:
        with transaction(self._engine, writing=False) as connection:
            return [row.model_validate_json(body) for body in connection.execute(query).scalars()]


def located(name: str, project: Path) -> Path | str:
    """Where `store:` of a project's redpen.yaml lies: a database's address as it stands, else a file of the project."""
    return name if "://" in name else project / name


def _body(value: BaseModel) -> str:
    return canonical_json(value.model_dump(mode="json"))


def _rating_row(rating: Rating) -> dict[str, Any]:
    return {"id": rating.id, "item_id": rating.item_id, "reviewer_id": rating.reviewer_id, "version": rating.version,
            "kind": rating.answer.kind, "submitted_at": _moment(rating.submitted_at), "body": _body(rating)}


def _moment(at: datetime) -> str:
    """A time as text that sorts as the times do."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _submitted(table: sa.Table, until: datetime | None) -> tuple[sa.ColumnElement[bool], ...]:
    return () if until is None else (table.c.submitted_at <= _moment(until),)


def _chunks(ids: Collection[str]) -> Iterator[list[str]]:
    ordered = sorted(set(ids))
    yield from (ordered[start:start + CHUNK] for start in range(0, len(ordered), CHUNK))
