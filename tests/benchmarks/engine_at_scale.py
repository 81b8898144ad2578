"""Searches at scale: pages of a routed queue and nearest vectors, timed at the engine.

    python -m tests.benchmarks.engine_at_scale --records 100000 --vectors 100000 --dimensions 384 --json

A real appliance makes the database; records, routes, answers and vectors are then written into its tables, where the triggers
index them. Each search is asked of the engine in a process of its own, one after the other. Prints percentiles in
milliseconds, and that the nearest vectors are those that a plain sum over all of them finds.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID, uuid4

import httpx
import numpy as np

from feedback.terminal import note, print_json
from review_ui.appliance.appliance import Appliance
from tests.review_ui.appliance.conftest import owner_of
from tests.review_ui.appliance.desk import Dataset, status, terms
from tests.review_ui.appliance.search_cases import Door, door

RULES = {"reserve_seconds": 900, "reserve_records": 5, "groups": {"doctors": []}}
WORDS = tuple(f"word{number}" for number in range(2000))
ROUNDS = 30


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(prog="tests.benchmarks.engine_at_scale")
    for name, default in (("--records", 100_000), ("--vectors", 100_000), ("--dimensions", 384)):
        parser.add_argument(name, type=int, default=default)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "argilla"
        dataset, user, setting = _made(home, options.dimensions)
        begun = time.perf_counter()
        ids, vectors_VD = _fill(home / "argilla.db", dataset, user, setting, options)
        note(f"filled in {time.perf_counter() - begun:.0f} s")
        begun = time.perf_counter()
        with Appliance(home, routing=RULES):
            started = time.perf_counter() - begun
        with door(home, dataset) as opened:
            _check(opened, ids, vectors_VD)
            result = {"records": options.records, "vectors": options.vectors, "dimensions": options.dimensions,
                      "start with index check, s": round(started, 1), **_times(opened, user, vectors_VD)}
    if options.json:
        print_json(result)
    else:
        note(str(result))
    return 0


def _made(home: Path, dimensions: int) -> tuple[Dataset, str, str]:
    with Appliance(home, routing=RULES) as running, httpx.Client(base_url=running.url, timeout=60) as client:
        desk = owner_of(running, client)
        dataset = desk.dataset(wanted=1)
        setting = desk.call("POST", f"datasets/{dataset.id}/vectors-settings", json={
            "name": "wide", "title": "wide", "dimensions": dimensions})["id"]
        return dataset, desk.reviewer(dataset).call("GET", "me")["id"], setting


def _fill(path: Path, dataset: Dataset, user: str, setting: str, options: argparse.Namespace,
          ) -> tuple[list[str], np.ndarray]:
    chance = Random(0)
    vectors_VD = np.random.default_rng(0).normal(size=(options.vectors, options.dimensions)).astype(np.float32)
    ids = [uuid4().hex for _ in range(options.records)]
    connection = sqlite3.connect(path)
    at = "2026-01-01 00:00:00.000000"
    hexed = UUID(dataset.id).hex
    connection.executemany(
        "INSERT INTO records (id, fields, metadata, external_id, dataset_id, status, inserted_at, updated_at) VALUES "
        "(?, ?, ?, ?, ?, 'pending', ?, ?)",
        ((id, json.dumps({"prompt": " ".join(chance.choices(WORDS, k=150))}), json.dumps(_route(chance)), f"r{number}", hexed,
          at, at) for number, id in enumerate(ids)))
    connection.executemany(
        "INSERT INTO responses (id, \"values\", record_id, user_id, status, inserted_at, updated_at) VALUES "
        "(?, '{}', ?, ?, ?, ?, ?)",
        ((uuid4().hex, id, UUID(user).hex, chance.choice(("submitted", "draft")), at, at) for id in ids[::5]))
    connection.executemany(
        "INSERT INTO vectors (id, value, record_id, vector_settings_id, inserted_at, updated_at) VALUES (?, ?, ?, ?, ?, ?)",
        ((uuid4().hex, json.dumps(vector_D.tolist()), id, UUID(setting).hex, at, at)
         for vector_D, id in zip(vectors_VD, ids, strict=False)))
    connection.commit()
    connection.close()
    return ids, vectors_VD


def _check(opened: Door, ids: list[str], vectors_VD: np.ndarray) -> None:
    """Raise AssertionError unless the nearest are those that double precision finds."""
    asked_D = vectors_VD[0].astype(np.float64) + 0.1
    cosines_V = vectors_VD.astype(np.float64) @ asked_D / np.linalg.norm(vectors_VD, axis=1) / np.linalg.norm(asked_D)
    for order, sign in (("most_similar", -1), ("least_similar", 1)):
        query = {"vector": {"name": "wide", "value": asked_D.tolist(), "order": order}}
        found, _ = opened.ask({"query": query}, user=None, limit=20)
        assert [UUID(id).hex for id in found] == [ids[place] for place in np.argsort(sign * cosines_V)[:20]]


def _route(chance: Random) -> dict[str, Any]:
    route: dict[str, Any] = {"redpen_reviews_wanted": chance.choice((1, 1, 2)), "redpen_priority": chance.choice((50, 100))}
    return {**route, "redpen_assigned": ["group:doctors"]} if chance.random() < 0.1 else route


def _times(opened: Door, user: str, vectors_VD: np.ndarray) -> dict[str, Any]:
    pending = {"filters": {"and": [status("pending"), terms("record", ["pending"], property="status")]}}
    chance = Random(1)

    def near(order: str = "most_similar", **more: Any) -> dict[str, Any]:
        vector_D = vectors_VD[chance.randrange(len(vectors_VD))] + 0.1
        return {"query": {"vector": {"name": "wide", "value": vector_D.tolist(), "order": order}}, **more}

    def words() -> dict[str, Any]:
        return {"query": {"text": {"q": " ".join(chance.sample(WORDS, 2))}}}

    begun = time.perf_counter()
    opened.ask(near(), user=None, limit=50)
    first = time.perf_counter() - begun
    return {
        "first page of a routed queue, ms": _percentiles(lambda: opened.ask(pending, user=user, limit=10)),
        "two words, ms": _percentiles(lambda: opened.ask(words(), user=None, limit=10)),
        "vectors read the first time, s": round(first, 1),
        "50 most similar, ms": _percentiles(lambda: opened.ask(near(), user=None, limit=50)),
        "50 least similar, ms": _percentiles(lambda: opened.ask(near("least_similar"), user=None, limit=50)),
        "50 most similar among the pending, ms": _percentiles(lambda: opened.ask(near(**pending), user=user, limit=50)),
    }


def _percentiles(ask: Callable[[], Any]) -> dict[str, float]:
    taken = sorted(_seconds(ask) for _ in range(ROUNDS))
    return {"p50": round(1000 * taken[ROUNDS // 2], 1), "p95": round(1000 * taken[int(ROUNDS * 0.95)], 1)}


def _seconds(ask: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    ask()
    return time.perf_counter() - begun


if __name__ == "__main__":
    sys.exit(main())
