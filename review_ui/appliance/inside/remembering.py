"""What the server finds out again and again, found out once: settings by kind, and within a request the person who asks.

Nothing here changes an answer of the API. A session lives as long as one request, so what it remembers is never old.
"""

from __future__ import annotations

from functools import cache
from typing import Any
from uuid import UUID

from argilla_server.contexts import accounts
from argilla_server.models import User
from argilla_server.models import database as models
from pydantic import TypeAdapter
from sqlalchemy import inspect
from sqlalchemy.ext.asyncio import AsyncSession

from .replacing import replace

_READ = "people who were read"


def install() -> None:
    """Called once, before the server answers."""
    # Of four types in all; the server builds a validator for each question and each metadata property that it checks.
    models.TypeAdapter = cache(TypeAdapter)
    replace(accounts.get_user_by_api_key, _remembering)
    replace(accounts.get_user_by_username, _remembered)
    _use_membership()


def _remembering(original: Any) -> Any:
    """A person found by their key, whom the server then asks for by name."""

    async def read(db: AsyncSession, api_key: str) -> User | None:
        return _kept(db, await original(db, api_key))

    return read


def _remembered(original: Any) -> Any:
    async def read(db: AsyncSession, username: str) -> User | None:
        return db.info.get(_READ, {}).get(username) or _kept(db, await original(db, username))

    return read


def _kept(db: AsyncSession, user: User | None) -> User | None:
    if user is not None:
        db.info.setdefault(_READ, {})[user.username] = user
    return user


def _use_membership() -> None:
    """The workspaces of the person who asks were read with them; the server asks for each metadata value of each record."""
    original = User.is_member

    async def is_member(user: User, workspace_id: UUID) -> bool:
        if "workspaces" in inspect(user).unloaded:
            return await original(user, workspace_id)
        return any(workspace.id == workspace_id for workspace in user.workspaces)

    User.is_member = is_member
