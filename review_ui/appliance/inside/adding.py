"""`PUT /api/v1/redpen/datasets/{id}/records`: new records in bulk, for the desk.

The server's own route makes an object of every record, reads it back twice and answers with all of it. Here the same
validation is followed by one statement for the records and one for their suggestions, and the answer is their ids. Records
that are there already, by their external id, are left as they are. People's saves go on in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID, uuid4

from argilla_server.api.policies.v1 import DatasetPolicy, authorize
from argilla_server.api.routes import api_v1
from argilla_server.api.schemas.v1.records_bulk import RecordsBulkUpsert
from argilla_server.database import get_async_db
from argilla_server.errors.future import UnprocessableEntityError
from argilla_server.models import Dataset, Record, Suggestion, User, Webhook
from argilla_server.security import auth
from argilla_server.validators.records import RecordCreateValidator, RecordsBulkCreateValidator
from argilla_server.webhooks.v1.enums import RecordEvent
from argilla_server.webhooks.v1.records import notify_record_event
from fastapi import Depends, Security
from fastapi.encoders import jsonable_encoder
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload

from .courtesy import give_way, handfuls
from .database import WRITE_LOCK

HANDFUL = 100
"""Records stored in one transaction: it holds SQLite's write lock for some tens of milliseconds."""

_LOADED = (Dataset.fields, Dataset.questions, Dataset.metadata_properties, Dataset.vectors_settings)


def mount() -> None:
    """Add the route. Called once, before the server answers."""
    api_v1.add_api_route("/redpen/datasets/{dataset_id}/records", add, methods=["PUT"], include_in_schema=False)


async def add(dataset_id: UUID, records: RecordsBulkUpsert, db: Annotated[AsyncSession, Depends(get_async_db)],
              user: Annotated[User, Security(auth.get_current_user)]) -> dict[str, dict[str, UUID]]:
    """The ids of all the records by their external ids, those that were there before included."""
    dataset = await Dataset.get_or_raise(db, dataset_id, options=[selectinload(part) for part in _LOADED])
    await authorize(user, DatasetPolicy.upsert_records(dataset))
    await _validate(records, dataset)
    stored: dict[str, UUID] = {}
    for items in handfuls(records.items, HANDFUL):
        await give_way()
        stored |= await _store(db, dataset_id, items)
    return {"records": stored}


async def _store(db: AsyncSession, dataset_id: UUID, items: Sequence[Any]) -> dict[str, UUID]:
    # Before it is asked which are there, so that two requests with the same records make each once.
    await db.execute(WRITE_LOCK)
    found = await _ids(db, dataset_id, [str(item.external_id) for item in items])
    new = {str(item.external_id): item for item in items if item.external_id not in found}
    ids = {name: uuid4() for name in new}
    if new:
        await db.execute(insert(Record), [_record(item, ids[name], dataset_id) for name, item in new.items()])
    suggestions = [{**one.model_dump(), "record_id": ids[name]} for name, item in new.items() for one in item.suggestions or ()]
    if suggestions:
        await db.execute(insert(Suggestion), suggestions)
    await db.commit()
    await _notify(db, list(ids.values()))
    return {**found, **ids}


async def _validate(records: RecordsBulkUpsert, dataset: Dataset) -> None:
    """Raise what keeps a record from being stored, with its position."""
    RecordsBulkCreateValidator._validate_dataset_is_ready(dataset)
    for place, item in enumerate(records.items):
        try:
            if item.external_id is None or item.fields is None or item.responses or item.vectors:
                raise UnprocessableEntityError("it needs an external id and fields, and may have neither responses nor vectors")
            await RecordCreateValidator.validate(item, dataset)
        except (UnprocessableEntityError, ValueError) as error:
            raise UnprocessableEntityError(f"Record at position {place} is not valid because {error}") from error


def _record(item: Any, id: UUID, dataset_id: UUID) -> dict[str, Any]:
    plain = all(isinstance(value, str) for value in item.fields.values())
    return {"id": id, "fields": item.fields if plain else jsonable_encoder(item.fields), "metadata_": item.metadata,
            "external_id": item.external_id, "dataset_id": dataset_id}


async def _ids(db: AsyncSession, dataset_id: UUID, names: list[str]) -> dict[str, UUID]:
    found = await db.execute(select(Record.external_id, Record.id).where(Record.dataset_id == dataset_id,
                                                                        Record.external_id.in_(names)))
    return {str(name): id for name, id in found}


async def _notify(db: AsyncSession, ids: list[UUID]) -> None:
    if await db.scalar(select(Webhook.id).where(Webhook.enabled).limit(1)) is None:
        return
    for id in ids:
        await notify_record_event(db, RecordEvent.created, await Record.get_or_raise(db, id))
