"""What is kept from reviewers: what others answered, and metadata that annotators are not shown.

The stock server leaves both out of its lists. It gives both away where one record is read, and its search filters and sorts by
any metadata. So a reviewer could read the answers of those before, and pick the gold items out by how they are routed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

from argilla_server.api.policies.v1 import DatasetPolicy, RecordPolicy
from argilla_server.contexts import search
from argilla_server.models import Dataset, Record, User
from sqlalchemy.orm.attributes import set_committed_value

from .replacing import replace

Policy = Callable[[Any], Callable[[User], Awaitable[bool]]]

_reviewer_asks: ContextVar[bool] = ContextVar("reviewer asks", default=False)


def keep_from_reviewers() -> None:
    """Change the running server. Called once, before it answers."""
    RecordPolicy.get = _with_what_is_theirs(RecordPolicy.get)
    DatasetPolicy.search_records = _noting_who_asks(DatasetPolicy.search_records)
    replace(search.validate_search_records_query, _by_what_they_see)


def _with_what_is_theirs(policy: Policy) -> Policy:
    def get(record: Record) -> Callable[[User], Awaitable[bool]]:
        allowed = policy(record)

        async def is_allowed(actor: User) -> bool:
            if not await allowed(actor):
                return False
            if actor.is_annotator:
                # As loaded, not as changed: the session must never write this.
                set_committed_value(record, "responses", [one for one in record.responses if one.user_id == actor.id])
                seen = await _seen(record.dataset) if record.metadata_ else set()
                metadata = {name: value for name, value in (record.metadata_ or {}).items() if name in seen}
                set_committed_value(record, "metadata_", metadata if record.metadata_ is not None else None)
            return True

        return is_allowed

    return get


def _noting_who_asks(policy: Policy) -> Policy:
    def search_records(dataset: Dataset) -> Callable[[User], Awaitable[bool]]:
        allowed = policy(dataset)

        async def is_allowed(actor: User) -> bool:
            _reviewer_asks.set(actor.is_annotator)
            return await allowed(actor)

        return is_allowed

    return search_records


def _by_what_they_see(validate: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    async def validated(db: Any, query: Any, dataset: Dataset) -> None:
        await validate(db, query, dataset)
        if not _reviewer_asks.get():
            return
        scopes = [*(one.scope for one in (query.filters and query.filters.and_) or ()), *(one.scope for one in query.sort or ())]
        named = {scope.metadata_property for scope in scopes if scope.entity == "metadata"}
        if hidden := sorted(named - await _seen(dataset)):
            raise ValueError(f"reviewers cannot search by the metadata {', '.join(hidden)}, which they are not shown")

    return validated


async def _seen(dataset: Dataset) -> set[str]:
    return {one.name for one in await dataset.awaitable_attrs.metadata_properties if one.visible_for_annotators}
