"""The stock web pages, made safe to show what a model wrote, and without what they ask of other hosts.

The pages put plain texts into the document as HTML, so an answer such as `<img src=x onerror=...>` runs in the browser of
the reviewer who is signed in. The scripts are changed in the copy that the server makes of them at each start; the
installed package stays as it is.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path

from fastapi import FastAPI
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    # No attribute such as onerror runs, wherever it comes from; nobody else's page frames this one.
    (b"content-security-policy", b"script-src-attr 'none'; object-src 'none'; base-uri 'self'; frame-ancestors 'self'"),
)

_STYLES = {"Google's fonts": (re.compile(r'@import url\(["\']?https://fonts\.googleapis\.com/[^)]*\);?'), "")}
_SCRIPTS = {
    "a text is text": (re.compile(r"domProps:\{innerHTML:(\w\._s\(\w\.fieldText\))\}"), r"domProps:{textContent:\1}"),
    "a message of a chat is text": (
        re.compile(r'(markdown:(\w)\}\}\):\w\("span",\{domProps:\{)innerHTML(:\w\._s\(\2\)\}\})'), r"\1textContent\3"),
    "a text with tags is shown in a frame without scripts": (
        re.compile(r'(isHTML\?\w\("Sandbox",\{attrs:\{content:\w\.fieldText)'), r'\1,sandbox:"allow-same-origin"'),
    "a record ends no script of a custom field's template": (
        re.compile(r'\.replace\("#RECORD_OBJECT#",(\w)\)'),
        r'.replace("#RECORD_OBJECT#",function(){return \1.replace(/</g,"\\\\u003c")})'),
}
"""What each change achieves -> the pattern in the built scripts and what it becomes."""


def make_safe(app: FastAPI) -> None:
    """Change the served copy of the pages; a change that finds nothing to change is logged as an error."""
    for route in app.routes:
        if isinstance(route, Mount) and isinstance(route.app, StaticFiles):
            folder = Path(str(route.app.directory))
            _rewrite(folder, "*.css", _STYLES)
            _rewrite(folder, "*.js", _SCRIPTS)


def _rewrite(folder: Path, names: str, changes: dict[str, tuple[re.Pattern[str], str]]) -> None:
    made = dict.fromkeys(changes, 0)
    for path in folder.rglob(names):
        text = path.read_text(encoding="utf-8")
        changed = text
        for purpose, (pattern, replacement) in changes.items():
            changed, count = pattern.subn(replacement, changed)
            made[purpose] += count
        if changed != text:
            path.write_text(changed, encoding="utf-8")
    for purpose in [purpose for purpose, count in made.items() if not count]:
        logging.getLogger(__name__).error("The web pages are not as expected, so this does not hold: %s", purpose)


class SafeHeaders:
    """Adds to every response what browsers should be told."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            await send(message)

        await self._app(scope, receive, with_headers if scope["type"] == "http" else send)
