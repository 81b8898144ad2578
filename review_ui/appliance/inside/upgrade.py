"""`python -m inside.upgrade HOME`: bring the tables and the index of a database that nobody serves to this server's version."""

from __future__ import annotations

import sys
from pathlib import Path


def main() -> None:
    """Migrate, then check the index and mend it."""
    from .server import configure, migrate

    home = Path(sys.argv[1])
    configure(home, url="http://127.0.0.1", redis="redis://127.0.0.1:1")
    from .database import FLUSHED_AT_COMMIT, configure_connections

    configure_connections(FLUSHED_AT_COMMIT)
    migrate(home / "argilla.db")
    from . import schema

    schema.ensure(str(home / "argilla.db"))


if __name__ == "__main__":
    main()
