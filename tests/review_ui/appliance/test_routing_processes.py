"""As many reviews as are wanted, with two server processes on one home and `kill -9` in between."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from review_ui.appliance import environment, supervisor
from review_ui.appliance.appliance import Appliance, Running
from tests.benchmarks.load import pid_of
from tests.review_ui.appliance.conftest import owner_of
from tests.review_ui.appliance.desk import Desk, Reviewer, status

pytestmark = pytest.mark.argilla

RULES = {"reserve_seconds": 600, "reserve_records": 2, "groups": {}}
RECORDS, PEOPLE, WANTED = 40, 10, 2


@contextmanager
def second_server(home: Path, running: Running) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Another server process on the same home, and its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener, (home / "second.log").open("wb") as log:
        inside = [str(environment.ensure()), "-s", "-m", "inside.server", "--home", str(home), "--url", running.url]
        [redis] = {str(path) for path in (home / "run").glob("*.sock")} or {_socket(home)}
        process = subprocess.Popen([*inside, "--redis", f"unix://{redis}", "--descriptor", str(listener.fileno())],
                                   pass_fds=(listener.fileno(),), stderr=log,
                                   env={**os.environ, "PYTHONPATH": str(Path(supervisor.__file__).parent)})
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", process
        finally:
            process.kill()
            process.wait()


def _socket(home: Path) -> str:
    """Where Valkey listens when the home's path is too long for a socket."""
    pid = json.loads((home / "run" / "state.json").read_text(encoding="utf-8"))["valkey"]["pid"]
    words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    return words[words.index("--unixsocket") + 1]


def review(person: Reviewer, ids: dict[str, str], *, hurdles: Counter[str]) -> None:
    """Review until nothing waits, through lost connections: open, sometimes save a draft first, submit, go on."""
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        try:
            found = person.pending() or person.search(filters=[status("draft")])[0]
            if not found and not person.progress()["pending"]:
                return
            for name in found[:1]:
                items = [{"record_id": ids[name], "status": kind, "values": {"accuracy": {"value": 3}}}
                         for kind in (("draft", "submitted") if hash(name) % 3 == 0 else ("submitted",))]
                saved = person.call("POST", "me/responses/bulk", json={"items": items})["items"][-1]
                if saved["error"]:
                    hurdles["refused"] += 1
                    person.call("POST", "me/responses/bulk", json={"items": [{"record_id": ids[name], "status": "discarded"}]})
        except (httpx.TransportError, AssertionError):
            hurdles["lost"] += 1
            time.sleep(0.2)
    raise AssertionError("not done in time")


def given(desk: Desk, dataset: str) -> int:
    return sum(one["completed"].get("submitted", 0) + one["pending"].get("submitted", 0)
               for one in desk.call("GET", f"datasets/{dataset}/users/progress")["users"])


def test_two_processes_and_kills_leave_every_record_with_the_reviews_that_it_wants(tmp_path: Path) -> None:
    home = tmp_path / "argilla"
    hurdles: Counter[str] = Counter()
    with Appliance(home, routing=RULES) as running, httpx.Client(base_url=running.url, timeout=60) as client:
        desk = owner_of(running, client)
        dataset = desk.dataset()
        rows = [{"external_id": f"r{number}", "fields": {"prompt": f"Question {number}"},
                 "metadata": {"redpen_reviews_wanted": WANTED}} for number in range(RECORDS)]
        ids = dict(zip((str(row["external_id"]) for row in rows), desk.add(dataset, rows), strict=True))
        people = [desk.reviewer(dataset) for _ in range(PEOPLE)]
        with second_server(home, running) as (url, second), httpx.Client(base_url=url, timeout=60) as other, \
                ThreadPoolExecutor(PEOPLE) as pool:
            crowd = [replace(person, client=other) if place % 2 else person for place, person in enumerate(people)]
            done: list[Future[None]] = [pool.submit(review, person, ids, hurdles=hurdles) for person in crowd]
            for threshold in (20, 50):
                while given(desk, dataset.id) < threshold:
                    time.sleep(0.1)
                os.kill(pid_of(home, "server"), signal.SIGKILL)
                while _is_away(desk, dataset.id):
                    time.sleep(0.2)
            for one in done:
                one.result()
            second.kill()
        listed = desk.call("GET", f"datasets/{dataset.id}/records", params={"include": "responses", "limit": 1000})["items"]
    submitted = [[answer["user_id"] for answer in one["responses"] if answer["status"] == "submitted"] for one in listed]
    assert Counter(len(users) for users in submitted) == {WANTED: RECORDS}
    assert all(len(set(users)) == WANTED for users in submitted)
    assert {one["status"] for one in listed} == {"completed"}
    assert hurdles["lost"] > 0, "the kills disturbed nobody, so they proved nothing"


def _is_away(desk: Desk, dataset: str) -> bool:
    try:
        given(desk, dataset)
    except (httpx.TransportError, AssertionError):
        return True
    return False
