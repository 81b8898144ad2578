"""`python -m inside.revisions DATABASE`: which migration a database is at, as JSON; standard library only, so it answers at once.

Read from the migrations' text: importing Alembic would take a third of a second at every start.
"""

from __future__ import annotations

import importlib.util
import json
import re
import sqlite3
import sys
from pathlib import Path


def of_database(database: Path) -> str | None:
    """The migration that the database is at; None for a new or empty one."""
    connection = sqlite3.connect(database)
    try:
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        return row[0] if row else None
    except sqlite3.OperationalError:
        return None
    finally:
        connection.close()


def known() -> dict[str, str | None]:
    """Every migration of the installed server -> the one before it."""
    found = importlib.util.find_spec("argilla_server")
    assert found is not None
    assert found.origin is not None
    texts = [path.read_text(encoding="utf-8") for path in (Path(found.origin).parent / "alembic" / "versions").glob("*.py")]
    pairs = [(_named("revision", text), _named("down_revision", text)) for text in texts]
    return {revision: before for revision, before in pairs if revision}


def newest(revisions: dict[str, str | None]) -> str:
    """The migration that no other follows."""
    [last] = set(revisions) - set(revisions.values())
    return last


def _named(name: str, text: str) -> str | None:
    found = re.search(rf'^{name} = "(\w+)"', text, re.MULTILINE)
    return found[1] if found else None


if __name__ == "__main__":
    revisions = known()
    at = of_database(Path(sys.argv[1]))
    print(json.dumps({"at": at, "known": at is None or at in revisions, "newest": newest(revisions)}))  # noqa: T201
