"""`GET /api/v1/redpen/datasets/{id}/responses`: everybody's answers, read from the tables as they are.

Argilla lists whole records, and nothing tells which answers changed. Here only answers are sent, 20,000 in one reply, and
only those since a moment when one is given; with them how many submitted ones there are, so that whoever asks notices
when some were deleted.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from argilla_server.api.policies.v1 import DatasetPolicy, authorize
from argilla_server.api.routes import api_v1
from argilla_server.database import get_async_db
from argilla_server.models import Dataset, User
from argilla_server.security import auth
from fastapi import Depends, Query, Security
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from .database import Readers

MOST = 20_000
"""Answers in one reply."""

_SELECT = """
SELECT responses.id, responses.status, responses."values", responses.user_id, responses.updated_at, records.id,
       records.external_id
FROM records JOIN responses ON responses.record_id = records.id
WHERE records.dataset_id = :dataset AND responses.updated_at >= :since AND responses.id > :after
ORDER BY responses.id LIMIT :most
"""
_COUNT = """
SELECT count(*) FROM records JOIN responses ON responses.record_id = records.id
WHERE records.dataset_id = ? AND responses.status = 'submitted'
"""


def mount(readers: Readers) -> None:
    """Add the route. Called once, before the server answers."""

    async def answers(dataset_id: UUID, db: Annotated[AsyncSession, Depends(get_async_db)],
                      user: Annotated[User, Security(auth.get_current_user)], since: datetime | None = None,
                      after: UUID | None = None, most: Annotated[int, Query(ge=1, le=MOST)] = MOST) -> Response:
        dataset = await Dataset.get_or_raise(db, dataset_id)
        await authorize(user, DatasetPolicy.list_records_with_all_responses(dataset))
        found = await readers.run(_reading(dataset_id.hex, since=since, after=after, most=most))
        return Response(found, media_type="application/json")

    api_v1.add_api_route("/redpen/datasets/{dataset_id}/responses", answers, methods=["GET"], include_in_schema=False)


def _reading(dataset: str, *, since: datetime | None, after: UUID | None, most: int) -> Callable[[sqlite3.Connection], bytes]:
    def read(connection: sqlite3.Connection) -> bytes:
        # Taken before the answers are read, so that none submitted meanwhile is passed over by who asks from here on.
        now = datetime.now(UTC)
        rows = connection.execute(_SELECT, {
            "dataset": dataset, "since": _stored(since) if since else "", "after": after.hex if after else "", "most": most})
        items = [_item(row) for row in rows]
        (submitted,) = connection.execute(_COUNT, (dataset,)).fetchone()
        return json.dumps({"at": now.isoformat(), "submitted": submitted, "items": items}, ensure_ascii=False).encode()

    return read


def _stored(at: datetime) -> str:
    """A time as the tables hold it."""
    plain = at.astimezone(UTC).replace(tzinfo=None) if at.tzinfo else at
    return plain.isoformat(sep=" ", timespec="microseconds")


def _item(row: tuple[Any, ...]) -> dict[str, Any]:
    response, status, values, user, updated_at, record, external_id = row
    return {"id": str(UUID(response)), "status": status, "values": json.loads(values or "{}"), "user_id": str(UUID(user)),
            "updated_at": updated_at, "record_id": str(UUID(record)), "external_id": external_id}
