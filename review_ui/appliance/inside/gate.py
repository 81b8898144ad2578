"""Routing on the routes that the search engine never sees: those that read one record, and those that save an answer.

Who asks is known only inside the server, and records are named in paths and in bodies, so the gate stands where every
such route passes: in the server's own policies, and around the functions that save an answer. No spelling of an address
leads around it.

The number of reviews is settled in the transaction that saves one. It takes SQLite's write lock first, then counts, then
saves: no other request, no other process and no kill can come in between.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from uuid import UUID

from argilla_server.api.policies.v1 import DatasetPolicy, RecordPolicy, authorize
from argilla_server.api.routes import api_v1
from argilla_server.contexts import datasets, distribution, records
from argilla_server.database import get_async_db
from argilla_server.enums import RecordStatus
from argilla_server.errors import ForbiddenOperationError
from argilla_server.errors.future import NotUniqueError
from argilla_server.models import Dataset, Record, Response, User
from argilla_server.search_engine import SearchEngine
from argilla_server.security import auth
from fastapi import Depends, Security
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from . import routing
from .database import WRITE_LOCK, Readers
from .queue import Queue, searcher
from .replacing import replace
from .schema import WANTED

Saver = Callable[..., Awaitable[Any]]


class Gate:
    """Puts routing into the running server."""

    def __init__(self, routes: routing.Routing, readers: Readers) -> None:
        self._routes = routes
        self._readers = readers

    def install(self) -> None:
        """Guard what people do. Called once, before the server answers."""
        for name in ("get", "create_response", "get_suggestions"):
            setattr(RecordPolicy, name, self._guarded(getattr(RecordPolicy, name)))
        DatasetPolicy.search_records = _remembering(DatasetPolicy.search_records)
        replace(datasets.create_response, self._creating)
        replace(datasets.upsert_response, self._creating)
        replace(datasets.update_response, self._updating)
        replace(datasets.delete_response, self._deleting)
        replace(datasets.get_user_dataset_metrics, self._counting)
        api_v1.add_api_route("/redpen/routing", self._describe, methods=["GET"], include_in_schema=False)
        api_v1.add_api_route("/redpen/datasets/{dataset_id}/waiting", self._waiting, methods=["GET"], include_in_schema=False)

    async def _describe(self) -> dict[str, Any]:
        """How a client sees that this server routes records."""
        rules = self._routes.rules
        return {"version": 1, "reserve_seconds": rules.reserve_seconds, "reserve_records": rules.reserve_records,
                "groups": sorted(rules.groups)}

    async def _waiting(self, dataset_id: UUID, db: Annotated[AsyncSession, Depends(get_async_db)],
                       user: Annotated[User, Security(auth.get_current_user)]) -> dict[str, int]:
        """How many records that want reviews each person may review, by user name; for owners and admins."""
        dataset = await Dataset.get_or_raise(db, dataset_id)
        await authorize(user, DatasetPolicy.list_records_with_all_responses(dataset))
        people = await db.execute(select(User.username, User.id))
        return {name: await Queue(self._readers, self._routes, dataset, user=id.hex, pending=True).size(RecordStatus.pending)
                for name, id in people}

    def _guarded(self, policy: Callable[[Record], Any]) -> Callable[[Record], Any]:
        def guard(record: Record) -> Any:
            allowed = policy(record)

            async def is_allowed(actor: User) -> bool:
                return await allowed(actor) and await self._ask(routing.may_open, actor.id.hex, record.id.hex)

            return is_allowed

        return guard

    async def _ask(self, question: Callable[[sqlite3.Connection, routing.Person, str], bool], user: str, record: str) -> bool:
        return await self._readers.run(lambda connection: question(connection, self._routes.person(connection, user), record))

    def _creating(self, save: Saver) -> Saver:
        async def create(db: AsyncSession, engine: SearchEngine, record: Record, user: User, answer: Any) -> Any:
            await self._before(db, record, user.id.hex, answer.status)
            response = await save(db, engine, record, user, answer)
            await self._after(record, user.id.hex, answer.status)
            return response

        return create

    def _updating(self, save: Saver) -> Saver:
        async def update(db: AsyncSession, engine: SearchEngine, response: Response, change: Any) -> Any:
            record, user = response.record, response.user_id.hex
            await self._before(db, record, user, change.status)
            saved = await save(db, engine, response, change)
            await self._after(record, user, change.status)
            return saved

        return update

    def _deleting(self, delete: Saver) -> Saver:
        async def remove(db: AsyncSession, engine: SearchEngine, response: Response) -> Any:
            record, user = response.record, response.user_id.hex
            deleted = await delete(db, engine, response)
            await self._readers.run(lambda _: self._routes.reservations.release(self._visit(record, user), record.id.hex))
            return deleted

        return remove

    async def _before(self, db: AsyncSession, record: Record, user: str, status: str) -> None:
        """Raise what keeps this review from being saved, or go on with the write lock held."""
        if status != "submitted":
            return
        connection = await db.connection()
        await connection.execute(WRITE_LOCK)
        driver = (await connection.get_raw_connection()).driver_connection
        if refusal := self._refusal(driver._conn, record, user):
            # Nothing was changed. A rollback would make the session forget the other records of a bulk request.
            await db.commit()
            raise refusal

    def _refusal(self, connection: sqlite3.Connection, record: Record, user: str) -> Exception | None:
        room = routing.rooms(connection, [record.id.hex]).get(record.id.hex)
        if room is None:
            return None
        person = self._routes.person(connection, user)
        if not routing.may_submit(connection, person, record.id.hex):
            return ForbiddenOperationError("This record is assigned to somebody else")
        if user in room.submitted:
            return None
        if not room.has_place_for(user, holders=frozenset()):
            return NotUniqueError("This record has all the reviews that it wants; nothing was saved. Go on with the next")
        visit = self._visit(record, user)
        holders = self._routes.reservations.holders(visit).get(record.id.hex, frozenset())
        if not room.has_place_for(user, holders=holders) and not self._routes.reservations.holds(visit, record.id.hex):
            return NotUniqueError("This record was reserved for somebody else meanwhile; nothing was saved. Go on with the next")
        return None

    async def _after(self, record: Record, user: str, status: str) -> None:
        def settle(connection: sqlite3.Connection) -> None:
            change = self._routes.reservations.touch if status == "draft" else self._routes.reservations.done
            change(self._visit(record, user), record.id.hex, self._routes.reservable(connection, user))

        await self._readers.run(settle)

    def _visit(self, record: Record, user: str) -> Any:
        return self._routes.visit(record.dataset_id.hex, user)

    def _counting(self, count: Saver) -> Saver:
        async def counted(db: AsyncSession, engine: Any, user: User, dataset: Any) -> dict[str, int]:
            metrics = await count(db, engine, user, dataset)
            pending = await engine.open_records(dataset, user.id.hex)
            if pending is None:
                return dict(metrics)
            answered = {status: metrics[status] for status in ("submitted", "discarded", "draft")}
            return {"total": sum(answered.values()) + pending, **answered, "pending": pending}

        return counted


def _remembering(policy: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def remember(dataset: Any) -> Any:
        allowed = policy(dataset)

        async def is_allowed(actor: User) -> bool:
            searcher.set(actor.id.hex)
            return bool(await allowed(actor))

        return is_allowed

    return remember


def follow_wanted_reviews() -> None:
    """Complete a record when it has the reviews that it wants itself; for the server and for its worker."""
    replace(distribution._update_record_status_with_overlap_strategy, lambda _: _update_status)
    replace(records.update_record, _updating_record)


async def _update_status(db: AsyncSession, record: Record) -> Record:
    wanted = (record.metadata_ or {}).get(WANTED)
    if not isinstance(wanted, int) or isinstance(wanted, bool) or wanted < 1:
        wanted = record.dataset.distribution["min_submitted"]
    record.status = RecordStatus.completed if len(record.responses_submitted) >= wanted else RecordStatus.pending
    return await record.save(db, autocommit=False)


def _updating_record(update: Saver) -> Saver:
    async def updated(db: AsyncSession, engine: SearchEngine, record: Record, change: Any) -> Record:
        saved = await update(db, engine, record, change)
        if change.is_set("metadata"):
            # The server expects that a record's status depends on its answers alone.
            await distribution.update_record_status(engine, record.id)
            await db.refresh(saved, attribute_names=["status", "updated_at"])
        return saved

    return updated
