"""How fast the embedded Argilla is with many records, through HTTP, on this machine.

    python -m tests.benchmarks.appliance --records 100000 --json

Records of 1 kB go straight into a new home's database, where the triggers index them; every fifth has three answers. Then
one client asks, then ten simulated reviewers save twenty answers each at once, and last a few thousand records come in through
the SDK's route while one reviewer saves. Milliseconds are percentiles over the requests.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path
from random import Random
from typing import Any

import httpx
import numpy as np

from feedback.terminal import note, print_json, print_table, progress
from review_ui.appliance.appliance import Appliance
from tests.review_ui.appliance.desk import Dataset, Desk, Reviewer, status, text

REQUESTS = 60
PEOPLE, SAVES = 10, 20
INGESTED = 2_000
WORDS = 20_000
"""Of the vocabulary; word k is drawn with a probability that falls as 1/k, as in a language."""
_ANSWER = json.dumps({"accuracy": {"value": 4}, "verdict": {"value": "correct"}})


def sentences(count: int, random: np.random.Generator) -> list[str]:
    """Texts of about 1 kB."""
    share = 1 / np.arange(1, WORDS + 1)
    drawn = random.choice(WORDS, size=(count, 150), p=share / share.sum())
    return [" ".join(f"w{number:x}" for number in row) for row in drawn]


def fill(home: Path, dataset: Dataset, people: list[str], records: int, random: np.random.Generator) -> float:
    """Records and answers, straight into the database of a stopped server; seconds."""
    started = time.perf_counter()
    now = "2026-01-01 00:00:00.000000"
    dataset_id, owners = dataset.id.replace("-", ""), cycle(people)
    connected = sqlite3.connect(home / "argilla.db", isolation_level=None)
    with closing(connected) as database, progress("records", total=records) as advance:
        database.execute("PRAGMA synchronous = OFF")
        for start in range(0, records, 2_000):
            texts = sentences(min(2_000, records - start), random)
            ids = [uuid.uuid4().hex for _ in texts]
            rows = [(id, json.dumps({"prompt": text}), f"r{start + place}", dataset_id, now, now,
                     json.dumps({"topic": f"t{place % 20}", "length": place}),
                     "completed" if (start + place) % 5 == 0 else "pending")
                    for place, (id, text) in enumerate(zip(ids, texts, strict=True))]
            answers = [(uuid.uuid4().hex, _ANSWER, "submitted", id, owner.replace("-", ""), now, now)
                       for id in ids[::5] for owner in islice(owners, 3)]
            database.execute("BEGIN")
            database.executemany("INSERT INTO records (id, fields, external_id, dataset_id, inserted_at, updated_at, metadata, "
                                 "status) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
            database.executemany('INSERT INTO responses (id, "values", status, record_id, user_id, inserted_at, updated_at) '
                                 "VALUES (?, ?, ?, ?, ?, ?, ?)", answers)
            database.execute("COMMIT")
            advance(len(rows))
    return time.perf_counter() - started


@dataclass(frozen=True)
class Timed:
    """One measured request."""

    name: str
    n: int
    p50: float
    """Milliseconds."""
    p95: float
    wanted: float | None
    """Milliseconds that p95 should stay below."""


def timed(name: str, request: Callable[[int], Any], *, wanted: float | None, n: int = REQUESTS) -> Timed:
    """The same kind of request again and again, three more times before to warm up."""
    for place in range(3):
        request(-1 - place)
    seconds = []
    for place in range(n):
        started = time.perf_counter()
        request(place)
        seconds.append(time.perf_counter() - started)
    return _row(name, seconds, wanted)


def _row(name: str, seconds: Iterable[float], wanted: float | None) -> Timed:
    values = np.array(list(seconds)) * 1000
    return Timed(name, len(values), float(np.percentile(values, 50)), float(np.percentile(values, 95)), wanted)


def one_client(desk: Desk, dataset: Dataset, reviewer: Reviewer) -> list[Timed]:
    """What a single reviewer waits for."""
    random = Random(0)

    def words() -> str:
        return f"w{int(random.paretovariate(0.6)) % 3000:x} w{int(random.paretovariate(0.6)) % 3000:x}"

    pending = status("pending")
    rows = [
        timed("search for two words", lambda _: reviewer.search(query=text(words()), limit=10), wanted=50),
        timed("filter by my submitted", lambda _: reviewer.search(filters=[status("submitted")], limit=10), wanted=50),
        timed("first page of pending", lambda _: _annotation_page(reviewer, pending), wanted=100),
        timed("my progress", lambda _: reviewer.progress(), wanted=30),
        timed("progress of the dataset", lambda _: desk.call("GET", f"datasets/{dataset.id}/progress"), wanted=30),
    ]
    waiting = iter(_waiting(desk, dataset, REQUESTS + 3))
    return [*rows, timed("one save", lambda _: reviewer.answer(next(waiting)), wanted=50)]


def _annotation_page(reviewer: Reviewer, pending: dict[str, Any]) -> None:
    """What the page asks for when it opens."""
    reviewer.call("POST", f"me/datasets/{reviewer.dataset.id}/records/search", json={"filters": {"and": [pending]}},
                  params={"include": ["responses", "suggestions"], "limit": 10, "offset": 0})


def _waiting(desk: Desk, dataset: Dataset, count: int) -> list[str]:
    """Ids of records that nobody has answered."""
    found = desk.call("POST", f"datasets/{dataset.id}/records/search", params={"limit": count}, json={
        "filters": {"and": [{"type": "terms", "scope": {"entity": "record", "property": "status"}, "values": ["pending"]}]}})
    return [item["record"]["id"] for item in found["items"]]


def together(desk: Desk, dataset: Dataset) -> tuple[Timed, float]:
    """Ten people save twenty answers each at once; and saves a second."""
    people = [desk.reviewer(dataset) for _ in range(PEOPLE)]
    records = _waiting(desk, dataset, PEOPLE * SAVES)
    seconds: list[float] = []

    def work(place: int) -> None:
        with httpx.Client(base_url=desk.client.base_url, timeout=120) as client:
            person = replace(people[place], client=client)
            for record in records[place * SAVES:(place + 1) * SAVES]:
                started = time.perf_counter()
                person.answer(record)
                seconds.append(time.perf_counter() - started)

    started = time.perf_counter()
    with ThreadPoolExecutor(PEOPLE) as pool:
        list(pool.map(work, range(PEOPLE)))
    return _row(f"a save, {PEOPLE} people at once", seconds, 250), PEOPLE * SAVES / (time.perf_counter() - started)


def ingest(desk: Desk, dataset: Dataset, random: np.random.Generator) -> tuple[float, Timed]:
    """Records a second through the route that the SDK uses, and what a reviewer's saves take meanwhile."""
    rows = [{"external_id": f"new{place}", "fields": {"prompt": text}} for place, text in enumerate(sentences(INGESTED, random))]
    waiting, seconds, over = iter(_waiting(desk, dataset, 400)), list[float](), threading.Event()
    reviewer = desk.reviewer(dataset)

    def save() -> None:
        with httpx.Client(base_url=desk.client.base_url, timeout=120) as client:
            person = replace(reviewer, client=client)
            while not over.is_set():
                started = time.perf_counter()
                person.answer(next(waiting))
                seconds.append(time.perf_counter() - started)
                over.wait(0.2)

    thread = threading.Thread(target=save)
    thread.start()
    started = time.perf_counter()
    for start in range(0, INGESTED, 256):
        desk.call("PUT", f"datasets/{dataset.id}/records/bulk", json={"items": rows[start:start + 256]})
    rate = INGESTED / (time.perf_counter() - started)
    over.set()
    thread.join()
    return rate, _row("a save while records come in", seconds, None)


def resident_mib(home: Path) -> float:
    """Memory of the server's process."""
    state = json.loads((home / "run" / "state.json").read_text(encoding="utf-8"))
    status_of = Path(f"/proc/{state['server']['pid']}/status").read_text(encoding="utf-8")
    return int(next(line for line in status_of.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


def start(home: Path, stack: ExitStack) -> tuple[Desk, float]:
    """A server that has answered its first page, and the seconds until then."""
    started = time.perf_counter()
    running = stack.enter_context(Appliance(home))
    client = stack.enter_context(httpx.Client(base_url=running.url, timeout=120))
    client.get("/sign-in").raise_for_status()
    return Desk(client, {"X-Argilla-Api-Key": running.api_key}), time.perf_counter() - started


def measure(records: int) -> dict[str, Any]:
    """Everything, in a folder that is removed at the end."""
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory(prefix="redpen-benchmark-") as folder:
        home = Path(folder) / "argilla"
        with ExitStack() as stack:
            desk, _ = start(home, stack)
            dataset = desk.dataset(wanted=3)
            reviewer = desk.reviewer(dataset)
            people = [reviewer, *(desk.reviewer(dataset) for _ in range(4))]
            ids = [person.call("GET", "me")["id"] for person in people]
        filled = fill(home, dataset, ids, records, random)
        note(f"{records} records are in")
        with ExitStack() as stack:
            desk, warm = start(home, stack)
            reviewer = replace(reviewer, client=desk.client)
            rows = one_client(desk, dataset, reviewer)
            crowd, saves = together(desk, dataset)
            rate, meanwhile = ingest(desk, dataset, random)
            memory = resident_mib(home)
        result = {"records": records, "requests": [row.__dict__ for row in (*rows, crowd, meanwhile)], "saves_a_second": saves,
                  "ingested_a_second": rate, "straight_into_the_database_a_second": records / filled,
                  "seconds_to_first_page": warm, "server_mib": memory, "load_average": os.getloadavg()[0]}
        return result


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    found = measure(arguments.records)
    if arguments.json:
        print_json(found)
        return
    print_table(("request", "n", "p50 ms", "p95 ms", "wanted"),
                [(row["name"], row["n"], f"{row['p50']:.1f}", f"{row['p95']:.1f}", row["wanted"] or "-")
                 for row in found["requests"]], title=f"{found['records']} records")
    for name, value in found.items():
        if isinstance(value, float):
            note(f"{name}: {value:.1f}")


if __name__ == "__main__":
    main()
