"""The people of a home: who there is, new ones, new passwords; whether its server runs or not."""

from __future__ import annotations

import json
import secrets
import subprocess
from pathlib import Path
from typing import Any, Literal

from feedback.config import PasswordPolicy, Strict
from feedback.errors import InvalidInput, NothingToDo, RedpenError
from review_ui.appliance import environment
from review_ui.appliance.supervisor import inside_variables

Role = Literal["annotator", "admin", "owner"]


class Person(Strict):
    """Somebody who can sign in."""

    username: str
    name: str
    role: Role
    workspaces: tuple[str, ...]
    since: str


def everybody(home: Path) -> tuple[Person, ...]:
    """All users, the first one first."""
    return tuple(Person.model_validate(row) for row in _ask(home, {"do": "list"}))


def add(home: Path, username: str, *, role: Role, workspaces: tuple[str, ...], password: str | None = None,
        rules: PasswordPolicy | None = None) -> str:
    """Make a user and return the password, a random one unless it is given. Raises InvalidInput with the server's reason."""
    chosen = password or secrets.token_urlsafe(12)
    _ask(home, {"do": "add", "username": username, "name": username, "role": role, "password": chosen,
                "workspaces": list(workspaces)}, rules=rules)
    return chosen


def set_password(home: Path, username: str, *, password: str | None = None, rules: PasswordPolicy | None = None) -> str:
    """Change a password and return it, a random one unless it is given. Whoever is signed in stays so."""
    chosen = password or secrets.token_urlsafe(12)
    _ask(home, {"do": "passwd", "username": username, "password": chosen}, rules=rules)
    return chosen


def _ask(home: Path, request: dict[str, Any], *, rules: PasswordPolicy | None = None) -> Any:
    if not (home / "argilla.db").exists():
        raise NothingToDo(f"{home}: no server was started here yet; `redpen serve` makes it")
    command = [str(environment.ensure()), "-s", "-m", "inside.people", str(home), rules.model_dump_json() if rules else ""]
    done = subprocess.run(command, input=json.dumps(request), capture_output=True, text=True, env=inside_variables())
    if done.returncode:
        raise RedpenError(f"{home}: the server's own code failed:\n{done.stderr.strip()[-2000:]}")
    answer = json.loads(done.stdout.splitlines()[-1])
    if isinstance(answer, dict) and "problem" in answer:
        raise InvalidInput(answer["problem"])
    return answer
