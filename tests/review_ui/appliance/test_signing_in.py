"""Guessing passwords: how many attempts there are, and which passwords are refused."""

from __future__ import annotations

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from review_ui.appliance.inside.signing_in import (
    FAILURES_OF_NAME_AND_ADDRESS,
    MOST_KEYS,
    WINDOW_SECONDS,
    Failures,
    GuardSignIn,
    PasswordRules,
)

RIGHT = "correct horse battery"


class Clock:
    """Time that passes when a test says so."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


async def token(request: Request) -> JSONResponse:
    """Stands for the server: lets in who knows the password."""
    knows = RIGHT.encode() in (await request.body()).replace(b"+", b" ")
    return JSONResponse({}, 201 if knows else 401)


def guarded(clock: Clock, rules: PasswordRules | None = None) -> GuardSignIn:
    app = Starlette(routes=[Route("/api/v1/token", token, methods=["POST"]), Route("/api/v1/me", token, methods=["POST"])])
    return GuardSignIn(app, failures=Failures(clock), rules=rules)


async def attempt(app: GuardSignIn, name: str, password: str, *, address: str = "10.0.0.1", path: str = "/api/v1/token",
                  multipart: bool = False) -> httpx.Response:
    form = {"username": name, "password": password}
    sent = {"files": {key: (None, value) for key, value in form.items()}} if multipart else {"data": form}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app, client=(address, 1)), base_url="http://here") as client:
        return await client.post(path, **sent)


def answers(app: GuardSignIn, *attempts: tuple[str, str], **how: object) -> list[int]:
    import asyncio

    async def all_of_them() -> list[int]:
        return [(await attempt(app, name, password, **how)).status_code for name, password in attempts]

    return asyncio.run(all_of_them())


@pytest.mark.parametrize("multipart", [False, True])
def test_after_five_failures_even_the_right_password_has_to_wait(multipart: bool) -> None:
    clock = Clock()
    app = guarded(clock)
    assert answers(app, *[("ann", "wrong")] * 5, ("ann", RIGHT), multipart=multipart) == [401] * 5 + [429]
    clock.now += WINDOW_SECONDS
    assert answers(app, ("ann", RIGHT), multipart=multipart) == [201]


def test_one_persons_failures_keep_nobody_else_out() -> None:
    app = guarded(Clock())
    assert answers(app, *[("ann", "wrong")] * 6)[-1] == 429
    assert answers(app, ("ben", RIGHT)) == [201]
    assert answers(app, ("ann", RIGHT), address="10.0.0.2") == [201]


def test_an_address_that_tries_many_names_is_stopped() -> None:
    app = guarded(Clock())
    said = answers(app, *[(f"user-{number}", "wrong") for number in range(40)])
    assert (said.count(401), said.count(429)) == (30, 10)
    assert answers(app, ("ann", RIGHT), address="10.0.0.2") == [201]


def test_a_name_that_is_tried_from_many_addresses_is_closed() -> None:
    clock = Clock()
    failures = Failures(clock)
    for number in range(100):
        failures.add("ann", f"10.0.{number}.1")
    assert failures.wait_seconds("ann", "10.9.9.9") == WINDOW_SECONDS
    assert failures.wait_seconds("ben", "10.9.9.9") == 0


def test_signing_in_forgives_the_failures_before() -> None:
    app = guarded(Clock())
    tries = [*[("ann", "wrong")] * (FAILURES_OF_NAME_AND_ADDRESS - 1), ("ann", RIGHT)] * 3
    assert set(answers(app, *tries)) == {401, 201}


def test_what_is_remembered_does_not_grow_without_end() -> None:
    failures = Failures(Clock())
    for number in range(MOST_KEYS):
        failures.add(f"user-{number}", f"10.1.{number // 250}.{number % 250}")
    assert len(failures._times) == MOST_KEYS


def test_a_refusal_says_when_to_try_again() -> None:
    import asyncio

    app = guarded(Clock())
    answers(app, *[("ann", "wrong")] * 5)
    refused = asyncio.run(attempt(app, "ann", RIGHT))
    assert refused.headers["retry-after"] == "901"
    assert refused.json() == {"detail": "Too many failed attempts; try again in 15 minutes."}


def test_other_requests_are_let_through_unread() -> None:
    assert answers(guarded(Clock()), *[("ann", "wrong")] * 40, path="/api/v1/me") == [401] * 40


def test_a_sign_in_too_long_to_be_one_is_refused() -> None:
    assert answers(guarded(Clock()), ("ann", "x" * 20_000)) == [413]


def test_a_password_that_the_rules_no_longer_allow_opens_nothing() -> None:
    assert answers(guarded(Clock(), PasswordRules(min_length=40, min_different=5)), ("ann", RIGHT)) == [401]
    assert answers(guarded(Clock(), PasswordRules(min_length=12, min_different=5)), ("ann", RIGHT)) == [201]


@pytest.mark.parametrize(("password", "problem"), [
    ("short", "has 5 characters; this server asks for 12"),
    ("aaaaaaaaaaaaab", "has 2 different characters"),
    ("my name is Ann-Marie", "contains the username"),
    (RIGHT, None),
])
def test_the_rules_say_what_is_wrong_with_a_password(password: str, problem: str | None) -> None:
    said = PasswordRules(min_length=12, min_different=5).problem(password, "ann-marie")
    assert said is None if problem is None else problem in str(said)
