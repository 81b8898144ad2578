"""`PYTHON stock_server.py HOME PORT REDIS`: Argilla as it comes, with a search engine that does nothing.

Runs in the appliance's environment. The server's own middleware, events and SQLite driver; nothing of Redpen's is put into
it, except that its database is migrated and its first owner made without its command line, which does not run there.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from inside import server


def main() -> None:
    home, port, redis = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    url = f"http://127.0.0.1:{port}"
    server.configure(home, url=url, redis=redis)
    os.environ["ARGILLA_SEARCH_ENGINE"] = "nothing"
    os.environ["ARGILLA_DATABASE_URL"] = f"sqlite+aiosqlite:///{home / 'argilla.db'}?check_same_thread=False"
    server.migrate(home / "argilla.db")
    import uvicorn
    from argilla_server import app
    from argilla_server.search_engine import SearchEngine
    from inside import owner

    SearchEngine.register("nothing")(engine(SearchEngine))
    owner.ensure(home, url=url)
    uvicorn.run(app, port=port, log_level="warning", access_log=False)


def engine(base: type) -> type:
    """An engine all of whose methods return at once."""

    async def nothing(*_arguments: Any, **_named: Any) -> None: ...

    async def info(_engine: Any) -> dict[str, str]:
        return {"name": "nothing"}

    methods = dict.fromkeys(base.__abstractmethods__, nothing)
    made = type("DoesNothing", (base,), {**methods, "ping": info, "info": info})

    async def new_instance(_class: type) -> Any:
        return made()

    made.new_instance = classmethod(new_instance)
    return made


if __name__ == "__main__":
    main()
