"""Who holds an API key: a decision is recorded under the name of the person whose key it was made with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from feedback.config import DeskConfig
from feedback.desk.argilla_server import Server
from feedback.desk.project import Connection, connection
from feedback.errors import DeskRefused


@dataclass(frozen=True)
class DeskUser:
    """An account of the project's Argilla."""

    name: str
    role: str
    """`owner`, `admin` or `annotator`."""
    in_workspace: bool
    """Owners are in every workspace."""


def own_key(folder: Path, config: DeskConfig, *, environ: Mapping[str, str]) -> Connection:
    """The project's Argilla, with the key of the person at the keyboard and never the one that the project keeps.

    Raises DeskRefused when the environment holds no key.
    """
    key = environ.get(config.api_key_env, "").strip()
    if not key:
        raise DeskRefused(f"no API key: put your own into the environment variable {config.api_key_env}; it stands in Argilla "
                          "under your user settings. A decision is recorded under your name, so nobody else's key will do")
    return replace(connection(folder, config, environ=environ), api_key=key)


def who_is(there: Connection, *, workspace: str) -> DeskUser:
    """The account that the key belongs to. Raises DeskUnreachable or DeskRefused."""
    server = Server.open(there.url, there.api_key, advice=there.advice)
    me = server.send("GET", "me")
    workspaces = {one["name"] for one in server.send("GET", "me/workspaces")["items"]}
    return DeskUser(name=me["username"], role=me["role"], in_workspace=workspace in workspaces)
