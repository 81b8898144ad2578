"""The stock web pages, made safe to show what a model wrote, and without what they ask of other hosts.

The pages put plain texts into the document as HTML, so an answer such as `<img src=x onerror=...>` runs in the browser of
the reviewer who is signed in. A changed copy of them is made once per environment; the server itself would copy all 1,300
files at every start.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

from argilla_server.static_rewrite import RewriteStaticFiles
from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    # No attribute such as onerror runs, wherever it comes from; nobody else's page frames this one.
    (b"content-security-policy", b"script-src-attr 'none'; object-src 'none'; base-uri 'self'; frame-ancestors 'self'"),
)

_OWN = ("review.css", "review.js")
"""Our part of the review pages, served beside the stock files."""

_LINKS = '<link rel="stylesheet" href="/review.css"><script src="/review.js" defer></script></head>'

_CHANGES = {
    ".css": {"Google's fonts": (re.compile(r'@import url\(["\']?https://fonts\.googleapis\.com/[^)]*\);?'), "")},
    ".html": {"the path below which the pages are": (re.compile("@@baseUrl@@"), ""),
              "our part of the review pages is loaded": (re.compile("</head>"), _LINKS)},
    ".js": {
        "the path below which the pages are": (re.compile("@@baseUrl@@"), ""),
        "a text is text": (re.compile(r"domProps:\{innerHTML:(\w\._s\(\w\.fieldText\))\}"), r"domProps:{textContent:\1}"),
        "a message of a chat is text": (
            re.compile(r'(markdown:(\w)\}\}\):\w\("span",\{domProps:\{)innerHTML(:\w\._s\(\2\)\}\})'), r"\1textContent\3"),
        "a text with tags is shown in a frame without scripts": (
            re.compile(r'(isHTML\?\w\("Sandbox",\{attrs:\{content:\w\.fieldText)'), r'\1,sandbox:"allow-same-origin"'),
        "a record ends no script of a custom field's template": (
            re.compile(r'\.replace\("#RECORD_OBJECT#",(\w)\)'),
            r'.replace("#RECORD_OBJECT#",function(){return \1.replace(/</g,"\\\\u003c")})'),
        "marks of one form have colours that differ: a golden angle between them, not whatever their names hash to": (
            re.compile(r"(colorGenerator\((\w)\)\{.{0,400}?)Math\.abs\(\w%360\)"),
            r"\1(function(t){return t[\2]===undefined&&(t[\2]=Math.round(307+137.508*Object.keys(t).length)%360),t[\2]})"
            r"(window.redpenHues=window.redpenHues||Object.create(null))"),
    },
}
"""Kind of file -> what each change achieves -> the pattern in the built files and what it becomes."""


def mount(app: FastAPI) -> None:
    """Serve the changed pages, making them when this environment has none yet."""
    app.mount("/", RewriteStaticFiles(directory=_prepared(Path(sys.prefix)), html=True, check_dir=False), name="static")


def _prepared(environment: Path) -> Path:
    stock = environment / "stock-pages"
    own = {name: (Path(__file__).parent / name).read_text(encoding="utf-8") for name in _OWN}
    version = hashlib.sha256(repr((_CHANGES, own)).encode()).hexdigest()[:12]
    final = environment / f"pages-{version}"
    if final.exists():
        return final
    partial = Path(tempfile.mkdtemp(prefix="pages-", dir=environment))
    shutil.copytree(stock, partial, dirs_exist_ok=True)
    _change(partial)
    for name, text in own.items():
        (partial / name).write_text(text, encoding="utf-8")
    try:
        os.rename(partial, final)
    except OSError:
        # Another server was faster; its copy is the same.
        shutil.rmtree(partial)
    return final


def _change(folder: Path) -> None:
    for suffix, changes in _CHANGES.items():
        made = dict.fromkeys(changes, 0)
        for path in folder.rglob(f"*{suffix}"):
            text = path.read_text(encoding="utf-8")
            for purpose, (pattern, replacement) in changes.items():
                text, count = pattern.subn(replacement, text)
                made[purpose] += count
            path.write_text(text, encoding="utf-8")
        for purpose in [purpose for purpose, count in made.items() if not count]:
            logging.getLogger(__name__).error("The web pages are not as expected, so this is not done: %s", purpose)


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
