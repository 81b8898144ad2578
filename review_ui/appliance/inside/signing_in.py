"""Signing in, made hard to guess: few attempts, and passwords that follow the project's rules.

Failures are counted for a name from one address, for an address and for a name. The last is generous, so that nobody can
keep a person out by failing in that person's name from one place. Counts are kept in memory: a restart forgets them.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

WINDOW_SECONDS = 900.0
"""Failures are remembered this long."""
FAILURES_OF_NAME_AND_ADDRESS = 5
FAILURES_OF_ADDRESS = 30
FAILURES_OF_NAME = 100
MOST_KEYS = 10_000
"""Remembered at once; the oldest are forgotten first."""
BODY_BYTES = 16_384
_PATH = "/api/v1/token"

Key = tuple[str | None, str | None]


class Failures:
    """Failed attempts by (name, address), by address and by name."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._times: dict[Key, deque[float]] = {}

    def wait_seconds(self, name: str, address: str) -> float:
        """How long until another attempt is looked at; 0 when now."""
        now = self._clock()
        return max(self._wait(key, limit, now) for key, limit in _keys(name, address))

    def add(self, name: str, address: str) -> None:
        """An attempt failed."""
        now = self._clock()
        for key, limit in _keys(name, address):
            times = self._times.pop(key, None) or deque(maxlen=limit)
            times.append(now)
            # Put last: a dict keeps the order, and the first is the one that is forgotten.
            self._times[key] = times
        while len(self._times) > MOST_KEYS:
            del self._times[next(iter(self._times))]

    def forgive(self, name: str, address: str) -> None:
        """The person signed in."""
        self._times.pop((name, address), None)

    def _wait(self, key: Key, limit: int, now: float) -> float:
        times = self._times.get(key, ())
        recent = [at for at in times if now - at < WINDOW_SECONDS]
        return recent[0] + WINDOW_SECONDS - now if len(recent) >= limit else 0.0


def _keys(name: str, address: str) -> tuple[tuple[Key, int], ...]:
    return (((name, address), FAILURES_OF_NAME_AND_ADDRESS), ((None, address), FAILURES_OF_ADDRESS),
            ((name, None), FAILURES_OF_NAME))


@dataclass(frozen=True)
class PasswordRules:
    """What a password must be like."""

    min_length: int
    min_different: int
    """Different characters."""

    def problem(self, password: str, username: str) -> str | None:
        """What is wrong with the password, for the person who chose it; None when nothing is."""
        if len(password) < self.min_length:
            return f"The password has {len(password)} characters; this server asks for {self.min_length} or more."
        if len(set(password)) < self.min_different:
            return f"The password has {len(set(password))} different characters; {self.min_different} or more are asked for."
        if len(username) > 2 and username.lower() in password.lower():
            return "The password contains the username; choose one that does not."
        return None


def enforce_rules(rules: PasswordRules) -> None:
    """Refuse new passwords that break the rules, whoever sets them."""
    from argilla_server.contexts import accounts
    from argilla_server.errors.future import UnprocessableEntityError

    create, update = accounts.create_user, accounts.update_user

    def check(password: str, username: str) -> None:
        if problem := rules.problem(password, username):
            raise UnprocessableEntityError(problem)

    async def create_checked(db: Any, user_attrs: dict[str, Any], *others: Any, **named: Any) -> Any:
        check(user_attrs["password"], user_attrs["username"])
        return await create(db, user_attrs, *others, **named)

    async def update_checked(db: Any, user: Any, user_attrs: dict[str, Any]) -> Any:
        if "password" in user_attrs:
            check(user_attrs["password"], user_attrs.get("username") or user.username)
        return await update(db, user, user_attrs)

    accounts.create_user, accounts.update_user = create_checked, update_checked


def guard(app: FastAPI, rules: dict[str, int] | None) -> None:
    """Limit the attempts and, where there are rules, hold passwords to them."""
    made = PasswordRules(**rules) if rules else None
    if made:
        enforce_rules(made)
    app.add_middleware(GuardSignIn, failures=Failures(), rules=made)


class GuardSignIn:
    """Answers 429 to too many failed attempts, and 401 to a password that the rules no longer allow."""

    def __init__(self, app: ASGIApp, *, failures: Failures, rules: PasswordRules | None = None) -> None:
        self._app = app
        self._failures = failures
        self._rules = rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or not scope["path"].rstrip("/").endswith(_PATH):
            await self._app(scope, receive, send)
            return
        body = await _body(receive)
        if body is None:
            await _refuse(send, 413, "A sign-in is shorter than this.")
            return
        name, password = _credentials(body, scope)
        address = (scope.get("client") or ("",))[0]
        if wait := self._failures.wait_seconds(name, address):
            await _refuse(send, 429, f"Too many failed attempts; try again in {round(wait / 60) or 1} minutes.", retry_after=wait)
        elif self._rules and (problem := self._rules.problem(password, name)):
            self._failures.add(name, address)
            await _refuse(send, 401, f"{problem} Ask an owner to set a new one with `redpen server users passwd`.")
        else:
            await self._app(scope, _again(body, receive), self._counting(send, name, address))

    def _counting(self, send: Send, name: str, address: str) -> Send:
        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                if message["status"] == 401:
                    self._failures.add(name, address)
                elif message["status"] < 300:
                    self._failures.forgive(name, address)
            await send(message)

        return counted


async def _body(receive: Receive) -> bytes | None:
    """The whole body; None when it is too long for a sign-in."""
    parts: list[bytes] = []
    more = True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = bool(message.get("more_body"))
        if sum(map(len, parts)) > BODY_BYTES:
            return None
    return b"".join(parts)


def _credentials(body: bytes, scope: Scope) -> tuple[str, str]:
    kind = dict(scope["headers"]).get(b"content-type", b"").decode("latin-1")
    if kind.startswith("multipart/form-data"):
        from email.parser import BytesParser
        from email.policy import HTTP

        parsed = BytesParser(policy=HTTP).parsebytes(b"Content-Type: " + kind.encode("latin-1") + b"\r\n\r\n" + body)
        parts = {part.get_param("name", header="content-disposition"): part.get_content() for part in parsed.iter_parts()}
        return str(parts.get("username", "")), str(parts.get("password", ""))
    form = parse_qs(body.decode("utf-8", errors="replace"), keep_blank_values=True)
    return form.get("username", [""])[0], form.get("password", [""])[0]


def _again(body: bytes, receive: Receive) -> Receive:
    """The body once more, for the application."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


async def _refuse(send: Send, status: int, detail: str, *, retry_after: float | None = None) -> None:
    headers = [(b"content-type", b"application/json")]
    if retry_after is not None:
        headers.append((b"retry-after", str(int(retry_after) + 1).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps({"detail": detail}).encode()})
