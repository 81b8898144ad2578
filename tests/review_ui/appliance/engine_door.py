"""`PYTHON engine_door.py HOME [MOST_RANKED]`: the search engine of an appliance, asked in lines of JSON.

Runs in the appliance's environment. MOST_RANKED takes the place of the engine's own, which few tests have the records for.

Each line is {"dataset", "user" (or null), "body", "limit", "offset"}; each answer {"ids", "total"} or {"error"}. It
reads the home's database beside the server, in the words of the server's own search handler.
"""

from __future__ import annotations

import asyncio
import json
import sys
import traceback
from pathlib import Path
from typing import Any
from uuid import UUID

from inside import driver, server


async def serve(home: Path, lines: Any) -> None:
    from argilla_server.api.handlers.v1.datasets import records as handler
    from argilla_server.api.schemas.v1.records import SearchRecordsQuery
    from argilla_server.database import AsyncSessionLocal
    from argilla_server.models import Dataset, User
    from inside.engine import EmbeddedSearchEngine
    from inside.routing import Routing
    from inside.rules import RulesFile
    from sqlalchemy.orm import selectinload

    engine = await EmbeddedSearchEngine.new_instance()
    if RulesFile(home).exists():
        EmbeddedSearchEngine.routes = Routing(home)
    datasets: dict[str, Any] = {}
    for line in lines:
        asked = json.loads(line)
        async with AsyncSessionLocal() as db:
            if asked["dataset"] not in datasets:
                datasets[asked["dataset"]] = await Dataset.get_or_raise(db, UUID(asked["dataset"]), options=[
                    selectinload(Dataset.fields), selectinload(Dataset.metadata_properties)])
            user = await User.get(db, UUID(asked["user"])) if asked["user"] else None
            try:
                body = SearchRecordsQuery.model_validate(asked["body"])
                found = await handler._get_search_responses(db, engine, datasets[asked["dataset"]], asked["limit"],
                                                            asked["offset"], body, user=user)
                answer: dict[str, Any] = {"ids": [str(item.record_id) for item in found.items], "total": found.total}
            except Exception:  # noqa: BLE001  (whatever it is, the test that asked shows it)
                answer = {"error": traceback.format_exc()}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    home = Path(sys.argv[1])
    server.configure(home, url="http://127.0.0.1", redis="redis://127.0.0.1:1")
    driver.install()
    if sys.argv[2:]:
        from inside import queue

        queue.MOST_RANKED = int(sys.argv[2])
    asyncio.run(serve(home, sys.stdin))
