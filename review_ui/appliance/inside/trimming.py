"""What the server does on every request for nobody, left out: the path of a saved answer gets half as long.

Nothing here changes an answer of the API. Each function is replaced under the names it was imported as.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import brotli_asgi
from argilla_server.webhooks.v1 import datasets, records, responses
from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .replacing import replace

_EVENTS = {datasets: ("build_dataset_event", "notify_dataset_event"), records: ("build_record_event", "notify_record_event"),
           responses: ("build_response_event", "notify_response_event")}
_Notifier = Callable[..., Awaitable[Any]]
_BROTLI_QUALITY, _GZIP_LEVEL = 3, 1
"""The server asks for 7 and 9, which cost more time than a local network needs for the bytes they save."""


class _NoEvent:
    """Stands for an event that no webhook wants."""

    async def notify(self, _db: Any) -> list[Any]:
        return []


def skip_unwanted_events(database: str) -> None:
    """Build events for webhooks only while a webhook is enabled.

    The server reads the dataset, its fields and its questions again for every record it stores, and then finds that there
    is no webhook.
    """
    connection = sqlite3.connect(database, isolation_level=None, check_same_thread=False)

    def wanted() -> bool:
        return connection.execute("SELECT EXISTS (SELECT 1 FROM webhooks WHERE enabled)").fetchone() == (1,)

    for module, (build, notify) in _EVENTS.items():
        replace(getattr(module, build), lambda original: _unless_unwanted(original, wanted, _NoEvent()))
        replace(getattr(module, notify), lambda original: _unless_unwanted(original, wanted, []))


def _unless_unwanted(original: _Notifier, wanted: Callable[[], bool], nothing: Any) -> _Notifier:
    async def ask_first(*arguments: Any, **named: Any) -> Any:
        return await original(*arguments, **named) if wanted() else nothing

    return ask_first


def lighten_middleware(app: FastAPI) -> None:
    """The header that tells the server's time, without the task group that Starlette's function middleware starts for it."""
    for position, middleware in enumerate(app.user_middleware):
        if middleware.cls is BaseHTTPMiddleware:
            app.user_middleware[position] = Middleware(ServerTiming)
        elif "quality" in middleware.kwargs:
            middleware.kwargs["quality"] = _BROTLI_QUALITY
    # For clients that do not read brotli, which are those of Python.
    brotli_asgi.GZipResponder = partial(brotli_asgi.GZipResponder, compresslevel=_GZIP_LEVEL)


class ServerTiming:
    """Adds `Server-Timing`, as the server's own middleware does."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()

        async def timed(message: Message) -> None:
            if message["type"] == "http.response.start":
                duration = (time.perf_counter() - begun) * 1000
                message["headers"] = [*message.get("headers", ()), (b"server-timing", f"total;dur={duration}".encode())]
            await send(message)

        await self._app(scope, receive, timed)
