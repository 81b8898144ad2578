"""Refuses JSON that the server would keep and then choke on: half a character, or a number that is none.

JSON may spell one half of a surrogate pair as `\\ud800`. The server stores it, cannot write it into any answer, and from then on
no page that holds the record can be read. Python's parser also takes NaN and Infinity, which no JSON is, and an index of them
orders nothing. Both are seen by a search through the bytes; only a body that has such bytes is parsed here.
"""

from __future__ import annotations

import json
import re
from typing import NoReturn

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SUSPECT = re.compile(rb"\\u[dD][89a-fA-F]|NaN|Infinity")
_BODILESS = frozenset({"GET", "HEAD", "OPTIONS", "DELETE"})


class RefuseWhatCannotBeKept:
    """Middleware that answers 422 to such a body, before anything of it is kept."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, its body replayed."""
        if scope["type"] != "http" or scope["method"] in _BODILESS or not _is_json(scope):
            await self._app(scope, receive, send)
            return
        messages = [await receive()]
        while messages[-1].get("more_body", False):
            messages.append(await receive())
        if problem := trouble(b"".join(message.get("body", b"") for message in messages)):
            await JSONResponse({"detail": problem}, status_code=422)(scope, receive, send)
            return
        replay = iter(messages)

        async def again() -> Message:
            return next(replay, None) or await receive()

        await self._app(scope, again, send)


def _is_json(scope: Scope) -> bool:
    kind = dict(scope["headers"]).get(b"content-type", b"application/json")
    return b"json" in kind


def trouble(body: bytes) -> str | None:
    """Why the body cannot be kept; None for a good one, and for one that is no JSON at all, which the server refuses itself."""
    if not _SUSPECT.search(body):
        return None
    try:
        parsed = json.loads(body, parse_constant=_refuse)
        json.dumps(parsed, ensure_ascii=False).encode()
    except _NoNumberError as error:
        return f"the body holds {error}, which is no JSON number; leave the value out where there is none"
    except UnicodeEncodeError as error:
        half = error.object[error.start]
        return (f"the body holds \\u{ord(half):04x}, one half of a character; send the whole character, or the replacement "
                "character \\ufffd")
    except ValueError:
        return None
    return None


class _NoNumberError(ValueError):
    pass


def _refuse(constant: str) -> NoReturn:
    raise _NoNumberError(constant)
