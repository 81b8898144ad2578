"""Many simulated reviewers at once on the embedded Argilla, with its processes killed meanwhile if asked to.

    python -m tests.benchmarks.load --reviewers 50 --datasets 4 --minutes 5 --json
    python -m tests.benchmarks.load --reviewers 50 --datasets 4 --minutes 5 --kill 50 --json

Each submits, edits, discards and searches as fast as answers come back, and keeps a ledger of what the server acknowledged.
At the end the database is held against the ledgers: `lost` and `doubled` responses, totals that are not exact, SQLite's own
integrity check, and the search index against the tables. Exit code 0 when all of it is as it should be.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sqlite3
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import httpx
import numpy as np

from feedback.terminal import note, print_json
from review_ui.appliance.appliance import Appliance
from review_ui.appliance.inside import schema
from tests.review_ui.appliance.desk import OPEN, Desk, Reviewer, status, text

STILL_SECONDS = 10.0
VICTIMS = ("server", "worker", "valkey")
WORDS = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa")
State = tuple[str, int] | None
"""(status, accuracy) of a person's response to a record; None for no response."""


@dataclass
class Ledger:
    """What one person was told, and what they cannot know because the connection broke."""

    person: Reviewer
    told: dict[str, State] = field(default_factory=dict)
    """Record -> what was acknowledged last."""
    either: dict[str, set[State]] = field(default_factory=dict)
    """Record -> what it may be, where no answer came; left alone from then on."""
    ids: dict[str, str] = field(default_factory=dict)
    """Record -> id of the response."""
    save_seconds: list[float] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def allowed(self, record: str) -> set[State]:
        """What the database may hold."""
        return self.either.get(record, {self.told.get(record)})


@dataclass(frozen=True)
class Place:
    """A dataset and its records' ids."""

    dataset: Any
    records: tuple[str, ...]


def work(ledger: Ledger, places: Sequence[Place], over: threading.Event, *, seed: int) -> None:
    """One person's share, until it is over."""
    chance = Random(seed)
    with httpx.Client(base_url=ledger.person.client.base_url, timeout=120) as client:
        while not over.is_set():
            place = chance.choice(places)
            person = replace(ledger.person, client=client, dataset=place.dataset)
            (look if chance.random() < 0.4 else save)(ledger, person, place, chance)


def look(ledger: Ledger, person: Reviewer, place: Place, chance: Random) -> None:
    """The pending list, a search in what was submitted, or one's progress."""
    filters = OPEN if chance.random() < 0.5 else [status("submitted", "discarded")]
    body = {"filters": {"and": filters}} | ({"query": text(chance.choice(WORDS))} if chance.random() < 0.5 else {})
    ask = [("POST", f"me/datasets/{place.dataset.id}/records/search", {"json": body, "params": {"limit": 10, "offset": 0}}),
           ("GET", f"me/datasets/{place.dataset.id}/metrics", {})][chance.random() < 0.3]
    answered(ledger, person, *ask)
    ledger.counts["looked"] += 1


def save(ledger: Ledger, person: Reviewer, place: Place, chance: Random) -> None:
    """A new response to some record, or another state for the one it has."""
    record = chance.choice(place.records)
    if record in ledger.either:
        return
    before = ledger.told.get(record)
    state = (chance.choice(("submitted", "submitted", "draft", "discarded")), chance.randint(1, 5))
    body = {"status": state[0], "values": {"accuracy": {"value": state[1]}, "verdict": {"value": "correct"}}}
    path = ("PUT", f"responses/{ledger.ids[record]}") if before else ("POST", f"records/{record}/responses")
    begun = time.perf_counter()
    answer = answered(ledger, person, *path, {"json": body})
    if answer is None:
        ledger.either[record] = {before, state}
        return
    ledger.save_seconds.append(time.perf_counter() - begun)
    ledger.told[record], ledger.ids[record] = state, answer["id"]
    ledger.counts["edited" if before else "answered"] += 1


def answered(ledger: Ledger, person: Reviewer, method: str, path: str, arguments: dict[str, Any]) -> Any:
    """The answer; None when the connection broke or the server did not do it, which is a fault."""
    try:
        response = person.ask(method, path, **arguments)
    except httpx.TransportError as error:
        ledger.counts[f"connection: {type(error).__name__}"] += 1
        time.sleep(0.2)
        return None
    if response.is_success:
        return response.json()
    ledger.faults.append(f"{method} {path.partition('/')[0]}: {response.status_code} {response.text[:200]}")
    return None


def kill(home: Path, times: int, *, seconds: float) -> Counter[str]:
    """`kill -9` of a child by chance, spread over `seconds`; longer where the supervisor's back-off leaves none to kill."""
    chance, killed, until = Random(7), Counter[str](), time.monotonic() + seconds
    for left in range(times, 0, -1):
        time.sleep(max(0.5, (until - time.monotonic()) / (left + 1)))
        killed[kill_one(home, chance)] += 1
    time.sleep(max(0.0, until - time.monotonic()))
    return killed


def kill_one(home: Path, chance: Random) -> str:
    """The name of the child that was killed, as soon as one runs."""
    while True:
        for name in chance.sample(VICTIMS, len(VICTIMS)):
            if pid := pid_of(home, name):
                try:
                    os.kill(pid, signal.SIGKILL)
                    return name
                except ProcessLookupError:
                    continue
        time.sleep(0.2)


def pid_of(home: Path, name: str) -> int:
    """A child's process id; 0 while it has none."""
    try:
        state = json.loads((home / "run" / "state.json").read_text(encoding="utf-8"))
    except ValueError:  # just being written
        return 0
    return int(state[name]["pid"] or 0)


def held(home: Path) -> tuple[dict[tuple[str, str], list[State]], list[str]]:
    """((user, record) -> states, problems) in the database: what it holds, and what SQLite and the index say of it."""
    with closing(sqlite3.connect(f"file:{home / 'argilla.db'}?mode=ro", uri=True)) as database:
        found: dict[tuple[str, str], list[State]] = {}
        for user, record, kind, values in database.execute('SELECT user_id, record_id, status, "values" FROM responses'):
            accuracy = json.loads(values or "{}").get("accuracy", {}).get("value", 0)
            found.setdefault((str(UUID(user)), str(UUID(record))), []).append((kind, accuracy))
        (sound,) = database.execute("PRAGMA integrity_check").fetchone()
        problems = [] if sound == "ok" else [f"integrity_check: {sound}"]
        return found, problems + [f"index: {row}" for row in schema.disagreements(database)]


def compare(ledgers: dict[str, Ledger], places: Sequence[Place], found: dict[tuple[str, str], list[State]]) -> dict[str, int]:
    """How many responses are lost (not what was acknowledged), doubled, or of nobody."""
    records = [record for place in places for record in place.records]
    wrong = sum((found.get((user, record)) or [None])[-1] not in ledger.allowed(record)
                for user, ledger in ledgers.items() for record in records)
    return {"lost_or_changed": wrong, "doubled": sum(len(states) > 1 for states in found.values()),
            "of_nobody": sum(user not in ledgers for user, _ in found)}


def inexact(ledgers: dict[str, Ledger], places: Sequence[Place], found: dict[tuple[str, str], list[State]]) -> list[str]:
    """Totals that the server gives and the database does not bear out."""
    wrong: list[str] = []
    for user, ledger in ledgers.items():
        for place in places:
            person = replace(ledger.person, dataset=place.dataset)
            own = Counter(found[user, record][0][0] for record in place.records if (user, record) in found)
            told = person.progress()
            wanted = {"submitted": own["submitted"], "draft": own["draft"], "discarded": own["discarded"]}
            if {name: told[name] for name in wanted} != wanted:
                wrong.append(f"progress of {person.name}: {told}, held {wanted}")
            if (total := person.search(filters=[status("submitted")], limit=1)[1]) != own["submitted"]:
                wrong.append(f"search of {person.name}: {total} submitted, held {own['submitted']}")
    return wrong


def prepare(desk: Desk, *, reviewers: int, datasets: int, records: int) -> tuple[list[Place], dict[str, Ledger]]:
    """Datasets with records, and people who are in all of them."""
    chance, places = Random(1), []
    for _ in range(datasets):
        made = desk.dataset(wanted=3)
        rows = [{"external_id": f"r{n}", "fields": {"prompt": " ".join(chance.choices(WORDS, k=40))}} for n in range(records)]
        places.append(Place(made, tuple(desk.add(made, rows))))
    ledgers = {}
    for _ in range(reviewers):
        person = desk.reviewer(places[0].dataset)
        for place in places[1:]:
            desk.invite(person, place.dataset)
        ledgers[str(person.call("GET", "me")["id"])] = Ledger(person)
    return places, ledgers


def measure(home: Path, *, reviewers: int, datasets: int, records: int, seconds: float, kills: int) -> dict[str, Any]:
    """The whole run on a new home."""
    with Appliance(home) as running, httpx.Client(base_url=running.url, timeout=120) as client:
        desk = Desk(client, {"X-Argilla-Api-Key": running.api_key})
        places, ledgers = prepare(desk, reviewers=reviewers, datasets=datasets, records=records)
        note(f"{reviewers} simulated reviewers in {datasets} datasets")
        begun, over = time.monotonic(), threading.Event()
        with ThreadPoolExecutor(reviewers) as pool:
            working = [pool.submit(work, ledger, places, over, seed=seed) for seed, ledger in enumerate(ledgers.values())]
            try:
                killed = kill(home, kills, seconds=seconds)
            finally:
                over.set()
            for each in working:
                each.result()
        seconds = time.monotonic() - begun
        wait_for(desk)
        wait_until_still(home)
        found, problems = held(home)
        problems += inexact(ledgers, places, found)
        problems += [f"{name}: {count} responses" for name, count in compare(ledgers, places, found).items() if count]
    return summary(list(ledgers.values()), problems, killed, seconds)


def wait_for(desk: Desk) -> None:
    """Until a killed server answers again."""
    for _ in range(240):
        try:
            if desk.ask("GET", "me").is_success:
                return
        except httpx.TransportError:
            time.sleep(0.5)
    raise TimeoutError("the server did not come back within two minutes")


def wait_until_still(home: Path) -> None:
    """A server that comes back answers even those who gave up waiting for it: until nothing has changed for a while."""
    before, still_since = None, time.monotonic()
    while time.monotonic() - still_since < STILL_SECONDS:
        with closing(sqlite3.connect(f"file:{home / 'argilla.db'}?mode=ro", uri=True)) as database:
            now = database.execute("SELECT count(*), max(updated_at) FROM responses").fetchone()
        if now != before:
            before, still_since = now, time.monotonic()
        time.sleep(0.5)


def summary(ledgers: Sequence[Ledger], problems: Sequence[str], killed: Counter[str], seconds: float) -> dict[str, Any]:
    """The figures of all people together."""
    counts = sum((ledger.counts for ledger in ledgers), Counter[str]())
    faults = Counter(fault for ledger in ledgers for fault in ledger.faults)
    saves = [spent for ledger in ledgers for spent in ledger.save_seconds]
    return {"reviewers": len(ledgers), "seconds": seconds, "killed": dict(killed), "counts": dict(counts),
            "acknowledged": sum(len(ledger.told) for ledger in ledgers), "unsure": sum(len(ledger.either) for ledger in ledgers),
            "saves_a_second": len(saves) / seconds, "save_p95_ms": float(np.percentile(saves, 95)) * 1000 if saves else None,
            "faults": dict(faults.most_common(20)), "problems": list(problems[:20])}


def main() -> int:
    """0 when nothing was lost, doubled, inexact or refused."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reviewers", type=int, default=50)
    parser.add_argument("--datasets", type=int, default=4)
    parser.add_argument("--records", type=int, default=500, help="of each dataset")
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--kill", type=int, default=0, help="so many times one of server, worker and Valkey is killed")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="redpen-benchmark-") as folder:
        found = measure(Path(folder) / "argilla", reviewers=asked.reviewers, datasets=asked.datasets, records=asked.records,
                        seconds=asked.minutes * 60, kills=asked.kill)
    if asked.json:
        print_json(found)
    else:
        for name, value in found.items():
            note(f"{name}: {value}")
    return 1 if found["faults"] or found["problems"] else 0


if __name__ == "__main__":
    sys.exit(main())
