"""The first owner: made with a random password when a database has no users."""

from __future__ import annotations

import asyncio
import json
import secrets
from pathlib import Path

from argilla_server.contexts import accounts
from argilla_server.database import AsyncSessionLocal, async_engine
from argilla_server.enums import UserRole
from argilla_server.models import User
from sqlalchemy import select

from .secrets import write_private

USERNAME = "owner"


def ensure(home: Path, *, url: str) -> None:
    """Leave `owner.json` (username, password, api_key, url; mode 0600) and a user that it opens.

    The file is written before the user, so a kill in between is made good by the next start. When the file was taken
    away from a database that has users, the password is not known any more and is null.
    """
    asyncio.run(_ensure(home / "owner.json", url))


async def _ensure(path: Path, url: str) -> None:
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    async with AsyncSessionLocal() as session:
        owner = await session.scalar(select(User).where(User.role == UserRole.owner).order_by(User.inserted_at).limit(1))
        if owner is not None:
            same = known.get("username") == owner.username
            entry = {"username": owner.username, "password": known.get("password") if same else None, "api_key": owner.api_key}
        else:
            entry = {"username": USERNAME, "password": known.get("password") or secrets.token_urlsafe(12),
                     "api_key": known.get("api_key") or secrets.token_urlsafe(48)}
        wanted = {**entry, "url": url}
        if wanted != known:
            write_private(path, json.dumps(wanted, indent=1) + "\n")
        if owner is None:
            await User.create(session, first_name=USERNAME, username=USERNAME, role=UserRole.owner, api_key=entry["api_key"],
                              password_hash=accounts.hash_password(entry["password"]))
    # The pool belongs to this event loop; the server makes its own.
    await async_engine.dispose()
