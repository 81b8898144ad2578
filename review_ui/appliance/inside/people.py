"""`python -m inside.people HOME RULES`: users of one server, read and changed in its database while the server runs or not.

RULES is the JSON of PasswordRules, or empty. One JSON request on stdin, one JSON answer on stdout: arguments can be read by
other users of the machine, and requests hold passwords.

    {"do": "list"}                                                        -> [{username, name, role, workspaces, since}]
    {"do": "add", "username", "name", "role", "password", "workspaces"}   -> {username}
    {"do": "passwd", "username", "password"}                              -> {username}

A request that cannot be done is answered by {"problem": "..."}.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from .server import configure
from .signing_in import PasswordRules, enforce_rules


def main() -> None:
    """Answer the request."""
    home = Path(sys.argv[1])
    request = json.loads(sys.stdin.read())
    configure(home, url="http://127.0.0.1", redis="redis://127.0.0.1:1")
    from .database import FLUSHED_AT_COMMIT, configure_connections

    configure_connections(FLUSHED_AT_COMMIT)
    if sys.argv[2]:
        enforce_rules(PasswordRules(**json.loads(sys.argv[2])))
    sys.stdout.write(json.dumps(asyncio.run(_answer(request))) + "\n")


async def _answer(request: dict[str, Any]) -> Any:
    from argilla_server.database import AsyncSessionLocal, async_engine
    from argilla_server.errors.future import NotUniqueError, UnprocessableEntityError

    try:
        async with AsyncSessionLocal() as session:
            match request.pop("do"):
                case "list":
                    return await _everybody(session)
                case "add":
                    return await _add(session, **request)
                case _:
                    return await _set_password(session, **request)
    except (NotUniqueError, UnprocessableEntityError) as error:
        return {"problem": str(error)}
    finally:
        await async_engine.dispose()


async def _everybody(session: Any) -> list[dict[str, Any]]:
    from argilla_server.contexts import accounts

    users = await accounts.list_users(session)
    return [{"username": user.username, "name": user.first_name, "role": user.role.value,
             "workspaces": sorted(workspace.name for workspace in user.workspaces),
             "since": user.inserted_at.isoformat(timespec="seconds")} for user in users]


async def _add(session: Any, *, username: str, name: str, role: str, password: str, workspaces: list[str]) -> dict[str, Any]:
    from argilla_server.api.schemas.v1.users import UserCreate
    from argilla_server.contexts import accounts
    from pydantic import ValidationError

    try:
        wanted = UserCreate(username=username, first_name=name, role=role, password=password)
    except ValidationError as error:
        return {"problem": "; ".join(f"{detail['loc'][0]}: {detail['msg']}" for detail in error.errors(include_input=False))}
    user = await accounts.create_user(session, wanted.model_dump(), workspaces)
    return {"username": user.username}


async def _set_password(session: Any, *, username: str, password: str) -> dict[str, Any]:
    from argilla_server.contexts import accounts

    user = await accounts.get_user_by_username(session, username)
    if user is None:
        return {"problem": f"there is no user {username!r}; `redpen server users list` shows who there is"}
    await accounts.update_user(session, user, {"password": password})
    return {"username": username}


if __name__ == "__main__":
    main()
