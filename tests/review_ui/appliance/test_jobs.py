"""Background jobs: the worker does what the server puts off."""

from __future__ import annotations

import base64
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from email.message import Message
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from tests.review_ui.appliance.desk import Desk, terms

pytestmark = pytest.mark.argilla

COMPLETED = [terms("record", ["completed"], property="status")]


class Listener(HTTPServer):
    """Takes webhooks; refuses the first `refusals`."""

    def __init__(self, refusals: int = 0) -> None:
        self.heard: list[dict[str, Any]] = []
        self.signed: list[tuple[Message, bytes]] = []
        """Headers and body of each delivery."""
        self.refusals = refusals
        super().__init__(("127.0.0.1", 0), Answer)


class Answer(BaseHTTPRequestHandler):
    server: Listener

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.heard.append(json.loads(body))
        self.server.signed.append((self.headers, body))
        self.send_response(200 if len(self.server.heard) > self.server.refusals else 503)
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Quiet."""


@pytest.fixture
def listener() -> Iterator[Listener]:
    server = Listener(refusals=1)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def wait_until(condition: Callable[[], bool], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.2)


def signature(secret: str, headers: Message, body: bytes) -> str:
    """What https://www.standardwebhooks.com asks for: version 1 is an HMAC-SHA256 with the secret's decoded bytes."""
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


def test_a_change_of_the_reviews_wanted_is_worked_into_the_records(desk: Desk) -> None:
    dataset = desk.dataset(wanted=2)
    [record, _] = desk.add(dataset, [{"external_id": name, "fields": {"prompt": name}} for name in ("r0", "r1")])
    desk.reviewer(dataset).answer(record)
    assert desk.search(dataset, filters=COMPLETED)[1] == 0
    desk.call("PATCH", f"datasets/{dataset.id}", json={"distribution": {"strategy": "overlap", "min_submitted": 1}})
    wait_until(lambda: desk.search(dataset, filters=COMPLETED) == (["r0"], 1))


def test_a_webhook_is_signed_and_tried_again(desk: Desk, listener: Listener) -> None:
    dataset = desk.dataset()
    wanted = {"url": f"http://127.0.0.1:{listener.server_port}/", "events": ["record.created"]}
    webhook = desk.call("POST", "webhooks", json=wanted)
    try:
        desk.add(dataset, [{"external_id": "r0", "fields": {"prompt": "heard"}}])
        wait_until(lambda: len(listener.heard) == 2)
    finally:
        desk.call("DELETE", f"webhooks/{webhook['id']}")
    assert [event["data"]["fields"]["prompt"] for event in listener.heard] == ["heard", "heard"]
    assert [headers["webhook-signature"] for headers, _ in listener.signed] == [
        signature(webhook["secret"], headers, body) for headers, body in listener.signed]
    first, second = [int(headers["webhook-timestamp"]) for headers, _ in listener.signed]
    assert second - first >= 9, "the server waits ten seconds before it tries again"
