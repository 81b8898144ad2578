"""A very small Argilla: users, tokens, one dataset's pending records and responses, over real HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

OWNER_KEY = "owner.key"


@dataclass
class TinyArgilla:
    """What the server holds."""

    reviews: int = 1
    records: dict[str, dict[str, str]] = field(default_factory=dict)
    """Record id -> fields."""
    users: dict[str, str] = field(default_factory=dict)
    """User name -> password."""
    members: list[str] = field(default_factory=list)
    responses: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    """(record, user) -> values."""
    refusal: str | None = None
    """Said to every submitted answer, when it is set."""
    lock: Lock = field(default_factory=Lock)

    def pending(self, user: str) -> list[str]:
        """Records that wait for this user."""
        counts = {record: sum(key[0] == record for key in self.responses) for record in self.records}
        return [record for record in self.records if counts[record] < self.reviews and (record, user) not in self.responses]

    def answer(self, method: str, path: str, user: str, query: dict[str, list[str]], body: Any) -> Any:
        """The JSON that answers a request."""
        match method, path:
            case "GET", "me/datasets":
                return {"items": [{"id": "d", "status": "ready", "distribution": {"min_submitted": self.reviews}},
                                  {"id": "unfinished", "status": "draft", "distribution": {"min_submitted": 1}}]}
            case "POST", "me/datasets/d/records/search":
                start, count = int(query["offset"][0]), int(query["limit"][0])
                shown = self.pending(user)[start:start + count]
                return {"items": [{"record": {"id": record, "fields": self.records[record]}} for record in shown]}
            case "POST", "me/responses/bulk":
                return {"items": [self._take(user, item) for item in body["items"]]}
            case "GET", "users":
                return {"items": [{"id": name, "username": name} for name in self.users]}
            case "POST", "users":
                self.users[body["username"]] = body["password"]
                return {"id": body["username"]}
            case "GET", "me/workspaces":
                return {"items": [{"id": "w", "name": "redpen"}]}
            case "GET", "workspaces/w/users":
                return {"items": [{"username": name} for name in self.members]}
            case "POST", "workspaces/w/users":
                self.members.append(body["user_id"])
                return {}
        raise AssertionError(f"nobody should ask for {method} {path}")

    def _take(self, user: str, item: dict[str, Any]) -> dict[str, Any]:
        if self.refusal:
            return {"item": None, "error": {"detail": self.refusal}}
        assert item["status"] == "submitted"
        assert (item["record_id"], user) not in self.responses
        self.responses[item["record_id"], user] = {name: value["value"] for name, value in item["values"].items()}
        return {"item": {}, "error": None}

    @contextmanager
    def served(self) -> Iterator[str]:
        """Serve on a free port of this machine; the URL."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def _handler(argilla: TinyArgilla) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._respond("GET")

        def do_POST(self) -> None:
            self._respond("POST")

        def _respond(self, method: str) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            url = urlsplit(self.path)
            path = url.path.removeprefix("/api/v1/")
            if path == "token":
                form = parse_qs(body.decode())
                name, password = form["username"][0], form["password"][0]
                known = argilla.users.get(name) == password
                self._send(201 if known else 401, {"access_token": f"token-{name}"} if known else {"detail": "no"})
                return
            user = self.headers.get("Authorization", "").removeprefix("Bearer token-")
            if not user and self.headers.get("X-Argilla-Api-Key") != OWNER_KEY:
                self._send(401, {"detail": "who are you?"})
                return
            with argilla.lock:
                found = argilla.answer(method, path, user, parse_qs(url.query), json.loads(body) if body else None)
            self._send(200, found)

        def _send(self, status: int, content: Any) -> None:
            data = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    return Handler
