"""`GET /healthz`: may this server be given work? For a person's monitor; no sign-in, and nothing that anybody may not know."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from pathlib import Path

from fastapi import FastAPI
from starlette.responses import JSONResponse

LEAST_FREE_BYTES = 50_000_000
"""Below this a save may soon fail."""


def mount(app: FastAPI, database: Path) -> None:
    """Add the route. 200 when everything answers, else 503 with which does not."""

    @app.get("/healthz", include_in_schema=False)
    async def healthz() -> JSONResponse:
        checks = await asyncio.to_thread(_checks, database)
        return JSONResponse(checks, status_code=200 if all(checks.values()) else 503, headers={"cache-control": "no-store"})


def _checks(database: Path) -> dict[str, bool]:
    return {"database": _reads(database), "queue": _answers(), "disk": shutil.disk_usage(database.parent).free > LEAST_FREE_BYTES}


def _reads(database: Path) -> bool:
    try:
        connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=5)
        try:
            return connection.execute("SELECT count(*) FROM alembic_version").fetchone() == (1,)
        finally:
            connection.close()
    except sqlite3.Error:
        return False


def _answers() -> bool:
    from argilla_server.jobs.queues import REDIS_CONNECTION
    from redis.exceptions import RedisError

    try:
        return bool(REDIS_CONNECTION.ping())
    except RedisError:
        return False
