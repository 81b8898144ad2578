"""What a server's absence, refusal and confusion look like to a person."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from feedback.config import DeskConfig
from feedback.desk import argilla_server
from feedback.desk.argilla_desk import ArgillaDesk, connect
from feedback.errors import DeskRefused, DeskUnreachable

ME = {"id": "0975b56d-9ffa-4a8b-93d1-4a54dc6f41d4", "username": "owner", "role": "owner", "first_name": "o", "last_name": None,
      "inserted_at": "2026-01-01T00:00:00", "updated_at": "2026-01-01T00:00:00"}

Answers = dict[str, list[tuple[int, Any]]]
"""Path -> what is answered, one after the other, the last one again and again."""


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(argilla_server.time, "sleep", lambda seconds: None)


@pytest.fixture
def serve() -> Iterator[Callable[[Answers], str]]:
    """Starts a server that gives the answers, and returns its URL."""
    servers: list[HTTPServer] = []

    def start(answers: Answers) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                given = answers.get(self.path.split("?")[0], [(404, {"detail": "none"})])
                status, content = given.pop(0) if len(given) > 1 else given[0]
                body = content.encode() if isinstance(content, str) else json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET

            def log_message(self, format: str, *args: object) -> None:
                """Be quiet."""

        servers.append(HTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def desk(url: str) -> ArgillaDesk:
    return connect(DeskConfig(), url=url, api_key="key", advice="run `redpen serve`")


def test_nobody_listening_is_unreachable_and_says_what_to_do() -> None:
    with pytest.raises(DeskUnreachable, match=r"http://127.0.0.1:9: no Argilla answers .*; run `redpen serve`"):
        desk("http://127.0.0.1:9")


@pytest.mark.parametrize("answer", [(200, "<html>hello</html>"), (200, {"hello": "world"}), (404, "no such page")])
def test_another_kind_of_server_is_not_taken_for_argilla(serve: Callable[[Answers], str], answer: tuple[int, Any]) -> None:
    with pytest.raises(DeskUnreachable, match=r"not an Argilla 2.x server; run `redpen serve`"):
        desk(serve({"/api/v1/me": [answer]}))


def test_a_refused_key_says_whose_key_is_needed(serve: Callable[[Answers], str]) -> None:
    with pytest.raises(DeskRefused, match="the API key is refused; copy the key of an owner"):
        desk(serve({"/api/v1/me": [(401, {"detail": "Unauthorized"})]}))


def test_a_role_that_may_not_says_whose_key_is_needed(serve: Callable[[Answers], str]) -> None:
    there = desk(serve({"/api/v1/me": [(200, ME)], "/api/v1/users": [(403, {"detail": "forbidden"})]}))
    with pytest.raises(DeskRefused, match="use the key of an owner"):
        there.users()


def test_a_question_is_asked_again_while_the_server_restarts(serve: Callable[[Answers], str]) -> None:
    users = [(503, "starting"), (502, ""), (200, {"items": [ME]})]
    there = desk(serve({"/api/v1/me": [(200, ME)], "/api/v1/users": users}))
    assert there.users() == {ME["id"]: "owner"}


def test_a_server_that_keeps_failing_is_named_with_its_answer(serve: Callable[[Answers], str]) -> None:
    there = desk(serve({"/api/v1/me": [(200, ME)], "/api/v1/users": [(500, "Traceback")]}))
    with pytest.raises(DeskUnreachable, match=r"the Argilla server failed .HTTP 500.; look into its log"):
        there.users()


def test_what_the_server_says_no_to_is_passed_on(serve: Callable[[Answers], str]) -> None:
    there = desk(serve({"/api/v1/me": [(200, ME)], "/api/v1/workspaces": [(409, {"detail": "name taken"})]}))
    with pytest.raises(DeskRefused, match=r"Argilla refused .HTTP 409.: .*name taken"):
        there.create_workspace()
