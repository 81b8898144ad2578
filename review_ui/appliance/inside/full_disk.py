"""What a request gets while the disk is full: which disk, that nothing of it was saved, and what to do."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path

from argilla_server.api.routes import api_v1
from sqlalchemy.exc import OperationalError
from starlette.requests import Request
from starlette.responses import JSONResponse

STATUS = 507
"""Insufficient Storage (RFC 4918, section 11.5)."""


def mount(home: Path) -> None:
    """Answer 507 instead of an error without a reason. SQLite has undone what the request began."""
    told = (f"The disk that holds {home} is full, so nothing of this request was saved; what was saved before is safe. "
            "Free some space there, and send it again.")

    async def answer(_request: Request, error: Exception) -> JSONResponse:
        if not is_full(error):
            raise error
        return JSONResponse({"detail": told}, status_code=STATUS)

    api_v1.add_exception_handler(OperationalError, answer)
    api_v1.add_exception_handler(sqlite3.OperationalError, answer)
    api_v1.add_exception_handler(OSError, answer)


def is_full(error: BaseException) -> bool:
    """Whether it says that no space is left."""
    cause = getattr(error, "orig", None) or error
    if isinstance(cause, sqlite3.OperationalError):
        return getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL or "disk is full" in str(cause)
    return isinstance(cause, OSError) and cause.errno in {errno.ENOSPC, errno.EDQUOT}
