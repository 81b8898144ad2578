"""How fast the embedded Argilla is with many records, through HTTP, on this machine.

    python -m tests.benchmarks.appliance --records 100000 --home /tmp/filled --json
    python -m tests.benchmarks.appliance --records 100000 --against-label-studio PYTHON

A home with records of 1 kB, three answers on every fifth, a vector and a route on each is filled (kept in `--home` for the next
run) and copied. On the copy one client asks, then ten simulated reviewers save twenty answers each at once, from the same
machine; then records come in through the SDK's route while one reviewer saves, and from a project's store through `push`.
Last the copy is started again with routing. Beside it the stock server is measured: its own middleware and SQLite driver, a
search engine that does nothing. Milliseconds are percentiles over the requests. `--against-label-studio` names the Python of an
environment that holds label-studio, which is then asked to do the same.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import httpx
import numpy as np

from feedback.terminal import note, print_json
from tests.benchmarks import label_studio, stock_argilla
from tests.benchmarks.appliance_desk import pushed_a_second
from tests.benchmarks.appliance_home import RULES, VECTOR, Filled, filled, sentences, serving, vectors
from tests.benchmarks.crowd import PEOPLE, SAVES, queueing, together, waiting
from tests.benchmarks.timing import Timed, percentiles, rounded, seconds, show, timed
from tests.review_ui.appliance.desk import OPEN, Desk, Reviewer, status, text

INGESTED, PUSHED = 2_000, 5_000


def searching(reviewer: Reviewer, filled: Filled) -> list[Timed]:
    """What a single reviewer waits for who reads."""
    random = Random(0)

    def words() -> str:
        return f"w{int(random.paretovariate(0.6)) % 3000:x} w{int(random.paretovariate(0.6)) % 3000:x}"

    def rare() -> str:
        return f"w{random.randrange(200, 20_000):x} w{random.randrange(200, 20_000):x}"

    rows = [timed("search for two frequent words", lambda _: reviewer.search(query=text(words()), limit=10), wanted=50),
            timed("search for two rare words", lambda _: reviewer.search(query=text(rare()), limit=10), wanted=50),
            timed("filter by my submitted", lambda _: reviewer.search(filters=[status("submitted")], limit=10), wanted=50)]
    return [*rows, *(_similar(reviewer, filled) if filled.dimensions else [])]


def _similar(reviewer: Reviewer, filled: Filled) -> Iterator[Timed]:
    vectors_VD = vectors(filled.records, filled.dimensions)

    def near(place: int, **more: Any) -> tuple[list[str], int]:
        vector = {"name": VECTOR, "value": (vectors_VD[place * 997 % len(vectors_VD)] + 0.01).tolist(), "order": "most_similar"}
        return reviewer.search(query={"vector": vector, **more.pop("query", {})}, limit=10, **more)

    note(f"vectors read for the first time: {seconds(lambda: near(0)):.1f} s")
    assert near(3)[0][0] == f"r{3 * 997 % len(vectors_VD)}", "the nearest record is the one whose vector was asked for"
    yield timed("10 most similar", near, wanted=None)
    yield timed("10 most similar of my pending", lambda place: near(place, filters=OPEN), wanted=None)
    yield timed("10 most similar with a word", lambda place: near(place, query=text("w64")), wanted=None)


def reviewing(desk: Desk, reviewer: Reviewer) -> list[Timed]:
    """What a single reviewer waits for who works."""
    dataset = reviewer.dataset.id
    ids = iter(waiting(reviewer, 200))
    return [timed("first page of pending", lambda _: _annotation_page(reviewer), wanted=100),
            timed("my progress", lambda _: reviewer.progress(), wanted=30),
            timed("progress of the dataset", lambda _: desk.call("GET", f"datasets/{dataset}/progress"), wanted=30),
            timed("one save", lambda _: reviewer.answer(next(ids)), wanted=50)]


def _annotation_page(reviewer: Reviewer) -> None:
    """What the page asks for when it opens."""
    found = reviewer.call("POST", f"me/datasets/{reviewer.dataset.id}/records/search", json={"filters": {"and": OPEN}},
                          params={"include": ["responses", "suggestions"], "limit": 10, "offset": 0})
    assert len(found["items"]) == 10


def ingest(desk: Desk, reviewer: Reviewer) -> tuple[float, Timed]:
    """Records a second through the route that the SDK uses, and what a reviewer's saves take meanwhile."""
    rows = [{"external_id": f"new{place}", "fields": {"prompt": text}}
            for place, text in enumerate(sentences(INGESTED, np.random.default_rng(2)))]
    with _saving(desk, reviewer) as taken:
        rate = INGESTED / seconds(lambda: _put(desk, reviewer.dataset.id, rows))
    return rate, percentiles("a save while records come in", taken, None)


def _put(desk: Desk, dataset: str, rows: list[dict[str, Any]]) -> None:
    for start in range(0, len(rows), 256):
        desk.call("PUT", f"datasets/{dataset}/records/bulk", json={"items": rows[start:start + 256]})


@contextmanager
def _saving(desk: Desk, reviewer: Reviewer) -> Iterator[list[float]]:
    """Somebody who saves five times a second meanwhile; what each save took."""
    ids, taken, over = iter(waiting(reviewer, 1000)), list[float](), threading.Event()

    def save() -> None:
        with httpx.Client(base_url=desk.client.base_url, timeout=120) as client:
            person = replace(reviewer, client=client)
            while not over.is_set():
                taken.append(seconds(lambda: person.answer(next(ids))))
                over.wait(0.2)

    thread = threading.Thread(target=save)
    thread.start()
    try:
        yield taken
    finally:
        over.set()
        thread.join()


def resident_mib(home: Path) -> list[float]:
    """Memory of each process of the server: with what was asked so far, the vectors included."""
    state = json.loads((home / "run" / "state.json").read_text(encoding="utf-8"))
    statuses = [Path(f"/proc/{child['pid']}/status").read_text(encoding="utf-8") for name, child in state.items()
                if name.startswith("server")]
    return [int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024 for status in statuses]


def measure(home: Path, filled: Filled) -> dict[str, Any]:
    """The appliance, as most people have it."""
    result: dict[str, Any] = {}
    started = time.perf_counter()
    with serving(home) as desk:
        desk.client.get("/sign-in").raise_for_status()
        result["seconds_to_first_page"] = time.perf_counter() - started
        people = [filled.reviewer(desk, place) for place in range(PEOPLE)]
        rows = reviewing(desk, people[0])
        result["server_mib_without_vectors"] = resident_mib(home)
        rows += searching(people[0], filled)
        ids = waiting(people[0], PEOPLE * SAVES)
        crowd, result["saves_a_second"] = together(people, [ids[place * SAVES:(place + 1) * SAVES] for place in range(PEOPLE)])
        result["ingested_a_second"], meanwhile = ingest(desk, people[1])
        with _saving(desk, people[2]) as taken:
            result["pushed_a_second"] = pushed_a_second(desk, PUSHED)
        pushing = percentiles("a save while a store is pushed", taken, None)
        result["server_mib"] = resident_mib(home)
    return {"requests": rounded([*rows, crowd, meanwhile, pushing]), **result}


def measure_routed(home: Path, filled: Filled) -> dict[str, Any]:
    """The same home with routing on."""
    with serving(home, routing=RULES) as desk:
        people = [filled.reviewer(desk, place) for place in range(PEOPLE)]
        rows = reviewing(desk, people[0])
        crowd, rate = queueing(people)
    return {"requests": rounded([*rows, crowd]), "saves_a_second": rate}


def run(options: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """Everything, in a folder that is removed at the end."""
    kept = options.home or scratch / "filled"
    filling = filled(kept, records=options.records, dimensions=options.dimensions)
    note(f"{options.records} records are in")
    home = scratch / "argilla"
    shutil.copytree(kept, home)
    result = {"records": options.records, "dimensions": options.dimensions, "load_average": os.getloadavg()[0],
              "redpen": measure(home, filling), "routed": measure_routed(home, filling)}
    if not options.only_redpen:
        result["stock"] = stock_argilla.measure(scratch / "stock")
        result["ratios_to_stock"] = _ratios(result["redpen"], result["stock"])
    if options.against_label_studio:
        result["label_studio"] = label_studio.measure(options.against_label_studio, scratch / "label-studio")
        result["ratios_to_label_studio"] = label_studio.ratios(result["redpen"], result["label_studio"])
    return result


def _ratios(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, float]:
    """How many times as fast."""
    return {name: round(ours[name] / theirs[name], 2) for name in ("ingested_a_second", "saves_a_second")}


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--dimensions", type=int, default=384, help="of each record's vector; 0: none")
    parser.add_argument("--home", type=Path, help="keep the filled home here, and use it again when it fits")
    parser.add_argument("--only-redpen", action="store_true", help="leave the stock server out")
    parser.add_argument("--against-label-studio", type=Path, metavar="PYTHON")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="redpen-benchmark-") as folder:
        found = run(options, Path(folder))
    if options.json:
        print_json(found)
        return
    for name in ("redpen", "routed", "stock", "label_studio"):
        if name in found:
            show(found[name].pop("requests"), f"{name}, {found['records']} records")
            note(f"{name}: {found[name]}")
    for name in ("ratios_to_stock", "ratios_to_label_studio"):
        note(f"{name}: {found.get(name)}")


if __name__ == "__main__":
    main()
