"""Label Studio on SQLite, asked to do what the appliance's benchmark does; from an environment of its own.

    python -m venv /tmp/ls && /tmp/ls/bin/pip install label-studio
    python -m tests.benchmarks.appliance --against-label-studio /tmp/ls/bin/python

It is no part of Redpen and nothing of it is imported here.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from tests.benchmarks.appliance_home import sentences
from tests.benchmarks.crowd import PEOPLE, SAVES
from tests.benchmarks.timing import percentiles, rounded, seconds, timed

TASKS = 3_000
BATCH = 1_000
FORM = ('<View><Text name="prompt" value="$prompt"/><Rating name="accuracy" toName="prompt" maxRating="5"/>'
        '<Choices name="verdict" toName="prompt"><Choice value="correct"/><Choice value="wrong"/></Choices></View>')
ANSWER = {"lead_time": 5, "result": [
    {"from_name": "accuracy", "to_name": "prompt", "type": "rating", "value": {"rating": 4}},
    {"from_name": "verdict", "to_name": "prompt", "type": "choices", "value": {"choices": ["correct"]}}]}
_TOKEN = "0123456789abcdef0123456789abcdef01234567"


def measure(python: Path, home: Path) -> dict[str, Any]:
    """Importing tasks of 1 kB, the first page, and answers by one and by ten."""
    with served(python, home) as (client, started):
        project = client.post("/api/projects", json={"title": "rate", "label_config": FORM}).raise_for_status().json()["id"]
        tasks = [{"data": {"prompt": text}} for text in sentences(TASKS, np.random.default_rng(2))]
        rate = TASKS / seconds(lambda: _import(client, project, tasks))
        listed = client.get("/api/tasks", params={"project": project, "page_size": 500, "fields": "task_only"})
        ids = iter([task["id"] for task in listed.raise_for_status().json()["tasks"]])
        view = {"project": project, "page_size": 10, "page": 1}
        rows = [timed("first page of tasks", lambda _: client.get("/api/tasks", params=view).raise_for_status(), wanted=None),
                timed("next task", lambda _: client.get(f"/api/projects/{project}/next").raise_for_status(), wanted=None),
                timed("one save", lambda _: _save(client, next(ids)), wanted=None)]
        begun = time.perf_counter()
        taken = _together(client, [[next(ids) for _ in range(SAVES)] for _ in range(PEOPLE)])
        saves = len(taken) / (time.perf_counter() - begun)
    rows.append(percentiles(f"a save, {PEOPLE} people at once", taken, None))
    return {"tasks": TASKS, "requests": rounded(rows), "saves_a_second": saves, "imported_a_second": rate,
            "seconds_to_first_page": started}


def ratios(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, float]:
    """How many times as fast Redpen is; below 1 it is slower."""
    pairs = {"first page": ("first page of pending", "first page of tasks"), "one save": ("one save", "one save"),
             "a save among ten": (f"a save, {PEOPLE} people at once",) * 2}
    found = {f"{name}, p95": round(_p95(theirs, other) / _p95(ours, own), 2) for name, (own, other) in pairs.items()}
    return {**found, "saves a second": round(ours["saves_a_second"] / theirs["saves_a_second"], 2),
            "import": round(ours["pushed_a_second"] / theirs["imported_a_second"], 2)}


def _p95(measured: dict[str, Any], name: str) -> float:
    return float(next(row["p95"] for row in measured["requests"] if row["name"] == name))


def _import(client: httpx.Client, project: int, tasks: list[dict[str, Any]]) -> None:
    for start in range(0, len(tasks), BATCH):
        client.post(f"/api/projects/{project}/import", json=tasks[start:start + BATCH]).raise_for_status()


def _save(client: httpx.Client, task: int) -> None:
    client.post(f"/api/tasks/{task}/annotations/", json=ANSWER).raise_for_status()


def _together(client: httpx.Client, tasks: list[list[int]]) -> list[float]:
    def one(place: int) -> list[float]:
        with httpx.Client(base_url=client.base_url, headers=client.headers, timeout=120) as own:
            return [seconds(lambda task=task: _save(own, task)) for task in tasks[place]]

    with ThreadPoolExecutor(len(tasks)) as pool:
        return [second for taken in pool.map(one, range(len(tasks))) for second in taken]


@contextmanager
def served(python: Path, home: Path) -> Iterator[tuple[httpx.Client, float]]:
    """A client with a key, and the seconds until a start on an existing database answered its first page."""
    home.mkdir(parents=True)
    with _running(python, home):
        pass
    with _running(python, home) as (client, started):
        yield client, started


@contextmanager
def _running(python: Path, home: Path) -> Iterator[tuple[httpx.Client, float]]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [str(python.parent / "label-studio"), "start", "--no-browser", "--data-dir", str(home), "--port", str(port),
               "--internal-host", "127.0.0.1", "--username", "sim@example.org", "--password", "sim-password", "--user-token",
               _TOKEN, "--enable-legacy-api-token", "--log-level", "ERROR"]
    variables = {**os.environ, "COLLECT_ANALYTICS": "0", "LATEST_VERSION_CHECK": "0", "SENTRY_DSN": "", "FRONTEND_SENTRY_DSN": "",
                 "DJANGO_DB": "sqlite"}
    started = time.perf_counter()
    with (home / "log").open("ab") as log:
        process = subprocess.Popen(command, env=variables, stdout=log, stderr=log)
    try:
        key = {"Authorization": f"Token {_TOKEN}"}
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120, headers=key) as client:
            _wait(client, process, home / "log")
            yield client, time.perf_counter() - started
    finally:
        process.terminate()
        process.wait()


def _wait(client: httpx.Client, process: subprocess.Popen[bytes], log: Path) -> None:
    for tries in count():
        try:
            if client.get("/user/login/").is_success:
                return
        except httpx.TransportError:
            pass
        if process.poll() is not None or tries > 3_000:
            raise RuntimeError(f"Label Studio did not start: {log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.1)
