"""Who stores many records lets everybody else go first.

The server stores a request's records in one go: for half a second nobody's answer is saved. Here they are stored a few at a
time, and between two handfuls whoever else is waiting is served. All are validated before the first is stored, so a request
with a mistake in it stores none, as ever.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from argilla_server.api.schemas.v1.records_bulk import RecordsBulkUpsert, RecordsBulkWithUpdatedItemIds
from argilla_server.bulk.records_bulk import UpsertRecordsBulk
from argilla_server.errors.future import UnprocessableEntityError
from argilla_server.models import Dataset
from argilla_server.validators.records import RecordUpsertValidator
from starlette.types import ASGIApp, Receive, Scope, Send

HANDFUL = 32
"""Records stored in one transaction."""
LONGEST_SECONDS = 0.1
"""How long a handful waits for others at most: with people who never pause, records still come in."""
_LOOK_SECONDS = 0.001
_MANY = re.compile(r"/api/v1/(redpen/)?datasets/[^/]+/records(/bulk)?$")

_others = SimpleNamespace(waiting=0)


class CountWaiting:
    """Counts the requests that are being answered, those that store many records left out."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _MANY.match(scope["path"]):
            await self._app(scope, receive, send)
            return
        _others.waiting += 1
        try:
            await self._app(scope, receive, send)
        finally:
            _others.waiting -= 1


async def give_way() -> None:
    """Return once nobody else waits, or after a while."""
    last = time.monotonic() + LONGEST_SECONDS
    # Requests that have arrived are seen only once the event loop has had its turn.
    await asyncio.sleep(0)
    while _others.waiting and time.monotonic() < last:
        await asyncio.sleep(_LOOK_SECONDS)


def install() -> None:
    """Store records in handfuls. Called once, before the server answers."""
    store = UpsertRecordsBulk.upsert_records_bulk

    async def upsert(self: UpsertRecordsBulk, dataset: Dataset, bulk: RecordsBulkUpsert,
                     raise_on_error: bool = True) -> RecordsBulkWithUpdatedItemIds:
        if raise_on_error and len(bulk.items) > HANDFUL:
            await _validate(self, dataset, bulk.items)
        stored: list[RecordsBulkWithUpdatedItemIds] = []
        for items in handfuls(bulk.items):
            await give_way()
            stored.append(await store(self, dataset, RecordsBulkUpsert.model_construct(items=items), raise_on_error))
        return RecordsBulkWithUpdatedItemIds.model_construct(
            items=[record for part in stored for record in part.items],
            updated_item_ids=[id for part in stored for id in part.updated_item_ids])

    UpsertRecordsBulk.upsert_records_bulk = upsert


def handfuls(items: Sequence[Any], size: int = HANDFUL) -> list[Sequence[Any]]:
    """The items in their order, a few at a time."""
    return [items[start:start + size] for start in range(0, len(items), size)]


async def _validate(bulk: UpsertRecordsBulk, dataset: Dataset, items: Sequence[Any]) -> None:
    """Raise what keeps a record from being stored, with its position, in the server's words."""
    found = await bulk._fetch_existing_dataset_records(dataset, items)
    for place, item in enumerate(items):
        if place % HANDFUL == 0:
            await give_way()
        try:
            await RecordUpsertValidator.validate(item, dataset, found.get(item.id) or found.get(item.external_id))
        except Exception as error:
            raise UnprocessableEntityError(f"Record at position {place} is not valid because {error}") from error
