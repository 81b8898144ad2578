"""A home of the embedded Argilla with many records, for benchmarks: filled once, copied for each run.

Records of 1 kB go straight into the database of a stopped server, where the triggers index them; every fifth has three
answers, each has a vector, and each a route that counts only once the server routes.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from feedback.terminal import progress
from review_ui.appliance.appliance import Appliance
from tests.review_ui.appliance.conftest import owner_of
from tests.review_ui.appliance.desk import PASSWORD, Dataset, Desk, Reviewer

WORDS = 20_000
"""Of the vocabulary; word k is drawn with a probability that falls as 1/k, as in a language."""
PEOPLE = 10
BATCH = 2_000
RULES = {"reserve_seconds": 900, "reserve_records": 5, "groups": {"doctors": []}}
NOW = "2026-01-01 00:00:00.000000"
VECTOR = "wide"
_ANSWER = json.dumps({"accuracy": {"value": 4}, "verdict": {"value": "correct"}})
_NOTE = "benchmark.json"
_INSERTS = (
    "INSERT INTO records (id, fields, external_id, dataset_id, inserted_at, updated_at, metadata, status) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    'INSERT INTO responses (id, "values", status, record_id, user_id, inserted_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?)',
    "INSERT INTO vectors (id, value, record_id, vector_settings_id, inserted_at, updated_at) VALUES (?, ?, ?, ?, ?, ?)",
)


@dataclass(frozen=True)
class Filled:
    """A home with records, and who works in it."""

    dataset: Dataset
    people: list[str]
    """User names."""
    records: int
    dimensions: int
    """Of each record's vector; 0: there are none."""
    setting: str
    """Id of the vector setting."""
    seconds: float
    """What filling took."""

    def reviewer(self, desk: Desk, place: int) -> Reviewer:
        """One of the people, signed in."""
        name = self.people[place]
        token = desk.client.post("/api/v1/token", data={"username": name, "password": PASSWORD}).json()["access_token"]
        return Reviewer(desk.client, {"Authorization": f"Bearer {token}"}, self.dataset, name)


def sentences(count: int, random: np.random.Generator) -> list[str]:
    """Texts of about 1 kB."""
    share = 1 / np.arange(1, WORDS + 1)
    drawn = random.choice(WORDS, size=(count, 150), p=share / share.sum())
    return [" ".join(f"w{number:x}" for number in row) for row in drawn]


def vectors(count: int, dimensions: int) -> np.ndarray:
    """The records' vectors in their order, as the database holds them."""
    return np.random.default_rng(1).normal(size=(count, dimensions)).astype(np.float32).round(5)


def filled(home: Path, *, records: int, dimensions: int) -> Filled:
    """The home as it is, when it holds so many records; filled anew otherwise."""
    found = _found(home)
    if found is not None and (found.records, found.dimensions) == (records, dimensions):
        return found
    shutil.rmtree(home, ignore_errors=True)
    made, owners = _prepared(home, dimensions)
    started = time.perf_counter()
    _fill(home / "argilla.db", made, owners, records)
    made = replace(made, records=records, seconds=time.perf_counter() - started)
    (home / _NOTE).write_text(json.dumps(asdict(made)), encoding="utf-8")
    return made


def _found(home: Path) -> Filled | None:
    try:
        given = json.loads((home / _NOTE).read_text(encoding="utf-8"))
    except OSError:
        return None
    return Filled(**{**given, "dataset": Dataset(**given["dataset"])})


def _prepared(home: Path, dimensions: int) -> tuple[Filled, list[str]]:
    with serving(home) as desk:
        dataset = desk.dataset(wanted=3)
        setting = desk.call("POST", f"datasets/{dataset.id}/vectors-settings", json={
            "name": VECTOR, "title": VECTOR, "dimensions": dimensions})["id"] if dimensions else ""
        people = [desk.reviewer(dataset) for _ in range(PEOPLE)]
        ids = [uuid.UUID(person.call("GET", "me")["id"]).hex for person in people]
    return Filled(dataset, [person.name for person in people], 0, dimensions, setting, 0.0), ids


@contextmanager
def serving(home: Path, *, routing: dict[str, Any] | None = None) -> Iterator[Desk]:
    """The owner's desk on a running appliance."""
    with ExitStack() as stack:
        running = stack.enter_context(Appliance(home, routing=routing))
        client = stack.enter_context(httpx.Client(base_url=running.url, timeout=120))
        yield owner_of(running, client)


def _fill(path: Path, made: Filled, owners: list[str], records: int) -> None:
    random = np.random.default_rng(0)
    vectors_VD = vectors(records, made.dimensions)
    turns = cycle(owners[:5])
    connected = sqlite3.connect(path, isolation_level=None)
    with closing(connected) as database, progress("records", total=records) as advance:
        database.execute("PRAGMA synchronous = OFF")
        for start in range(0, records, BATCH):
            texts = sentences(min(BATCH, records - start), random)
            ids = [uuid.UUID(bytes=random.bytes(16)).hex for _ in texts]
            answers = [(uuid.uuid4().hex, _ANSWER, "submitted", id, owner, NOW, NOW)
                       for id in ids[::5] for owner in islice(turns, 3)]
            numbers = [(uuid.uuid4().hex, json.dumps(row.round(5).tolist()), id, uuid.UUID(made.setting).hex, NOW, NOW)
                       for id, row in zip(ids, vectors_VD[start:].astype(float), strict=False)] if made.setting else []
            database.execute("BEGIN")
            for sql, rows in zip(_INSERTS, (_records(made, ids, texts, start), answers, numbers), strict=True):
                database.executemany(sql, rows)
            database.execute("COMMIT")
            advance(len(texts))


def _records(made: Filled, ids: list[str], texts: list[str], start: int) -> list[tuple[Any, ...]]:
    dataset = uuid.UUID(made.dataset.id).hex
    return [(id, json.dumps({"prompt": text}), f"r{place}", dataset, NOW, NOW, json.dumps(_metadata(place)),
             "completed" if place % 5 == 0 else "pending")
            for place, (id, text) in enumerate(zip(ids, texts, strict=True), start)]


def _metadata(place: int) -> dict[str, Any]:
    """Every tenth record is assigned to others than the people of the benchmark."""
    route = {"redpen_reviews_wanted": 3 if place % 5 == 0 else 1 + place % 2, "redpen_priority": 100 if place % 7 == 0 else 50}
    assigned = {"redpen_assigned": ["group:doctors"]} if place % 10 == 3 else {}
    return {"topic": f"t{place % 20}", "length": place % BATCH, **route, **assigned}
