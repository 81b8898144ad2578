"""How long a pull takes: `python -m tests.benchmarks.pull --responses 100000 --json`.

A real appliance, with one dataset of answers that simulated reviewers gave. Records and responses are copied straight into its
database, since sending them one by one would take an hour; what is measured is the pull alone: everything the first time,
nothing when nothing happened, and one answer more. Nothing here asserts a time.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import httpx

from feedback.config import DeskConfig
from feedback.desk.argilla_desk import connect
from feedback.desk.codec import encode_answer
from feedback.desk.pull import pull
from feedback.desk.push import push
from feedback.ids import ItemId
from feedback.schemas import Completion, Decoding, Queue, RateAnswer, ReviewItem
from feedback.store.store import Store
from review_ui.appliance.appliance import Appliance, Running
from tests.people import BASE, a_prompt, a_rate_answer, a_rate_item, a_rubric

ANSWER = "A careful answer of usual length, with `code`, a number such as 42 and a reason. " * 6


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--responses", type=int, default=100_000)
    parser.add_argument("--reviewers", type=int, default=5, help="each answers every record")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def items_of(count: int) -> tuple[list[Completion], list[ReviewItem]]:
    """So many answers to one question, and their items."""
    answers = [Completion.of(prompt_id=a_prompt().id, policy_id=BASE, index=number, text=f"{ANSWER}{number}", decoding=Decoding())
               for number in range(count)]
    return answers, [a_rate_item(one) for one in answers]


def fill(database: Path, items: list[ReviewItem], answer: RateAnswer, answers: dict[ItemId, Completion],
         people: list[str]) -> None:
    """Copy the first record for each further item, and an answer of each person to every record."""
    with closing(sqlite3.connect(database, timeout=60)) as connection, connection:
        first = connection.execute("SELECT * FROM records").fetchone()
        names = [row[1] for row in connection.execute("PRAGMA table_info(records)")]
        record = dict(zip(names, first, strict=True))
        ids = {items[0].id: record["id"], **{item.id: uuid4().hex for item in items[1:]}}
        rows = [tuple({**record, "id": ids[item.id], "external_id": item.id}.values()) for item in items[1:]]
        connection.executemany(f"INSERT INTO records VALUES ({', '.join('?' * len(names))})", rows)
        at = time.strftime("%Y-%m-%d %H:%M:%S.000000", time.gmtime(time.time() - 600))
        given = [(uuid4().hex, json.dumps(_values(answer, item, answers[item.id])), "submitted", ids[item.id], person, at, at)
                 for item in items for person in people]
        connection.executemany('INSERT INTO responses (id, "values", status, record_id, user_id, inserted_at, updated_at) '
                               "VALUES (?, ?, ?, ?, ?, ?, ?)", given)
        connection.execute("UPDATE datasets SET last_activity_at = ?", (at,))


def _values(answer: RateAnswer, item: ReviewItem, completion: Completion) -> dict[str, dict[str, object]]:
    said = encode_answer(answer, item=item, completions={completion.id: completion})
    return {name: {"value": value} for name, value in said.items()}


def reviewers_of(server: Running, workspace: str, count: int) -> list[dict[str, str]]:
    """New accounts: their ids and keys."""
    with httpx.Client(base_url=f"{server.url}/api/v1", headers={"X-Argilla-Api-Key": server.api_key}, timeout=60) as owner:
        place = next(one["id"] for one in owner.get("/me/workspaces").json()["items"] if one["name"] == workspace)
        made = [owner.post("/users", json={"username": f"sim-{number}", "first_name": "sim", "role": "annotator",
                                           "password": uuid4().hex}).raise_for_status().json() for number in range(count)]
        for one in made:
            owner.post(f"/workspaces/{place}/users", json={"user_id": one["id"]}).raise_for_status()
    return [dict(one) for one in made]


def change_one(server: Running, person: dict[str, str], record: str, values: dict[str, dict[str, object]]) -> None:
    """One person changes one answer, as their browser would."""
    with httpx.Client(base_url=f"{server.url}/api/v1", headers={"X-Argilla-Api-Key": person["api_key"]}, timeout=60) as client:
        sent = {"items": [{"record_id": record, "status": "submitted", "values": values}]}
        client.post("/me/responses/bulk", json=sent).raise_for_status()


def timed(work: Callable[[], object]) -> tuple[dict[str, float], object]:
    """Wall seconds, CPU seconds of this process without the server's, and what came of it."""
    wall, own = time.perf_counter(), time.process_time()
    found = work()
    return {"wall_seconds": round(time.perf_counter() - wall, 2), "own_cpu_seconds": round(time.process_time() - own, 2)}, found


def main() -> None:
    """Measure and print."""
    asked = arguments()
    completions, items = items_of(asked.responses // asked.reviewers)
    by_item = dict(zip((item.id for item in items), completions, strict=True))
    with tempfile.TemporaryDirectory() as folder, Appliance(Path(folder) / "argilla") as server, \
            Store.open(Path(folder) / "store.db") as store:
        store.add_prompts([a_prompt()])
        store.add_completions(completions)
        store.add_items(items)
        desk = connect(DeskConfig(), url=server.url, api_key=server.api_key)
        desk.create_workspace()
        push(desk, store, a_rubric(), items[:1])
        people = reviewers_of(server, desk.workspace, asked.reviewers)
        ids = [one["id"].replace("-", "") for one in people]
        fill(Path(folder) / "argilla" / "argilla.db", items, a_rate_answer(), by_item, ids)
        measured: dict[str, object] = {"responses": asked.responses, "reviewers": asked.reviewers}
        for name in ("first", "nothing_new", "one_changed"):
            if name == "one_changed":
                (place,) = store.pushed()[items[0].id]
                change_one(server, people[0], place.split("/")[1], _values(a_rate_answer(value=2), items[0], completions[0]))
            seconds, report = timed(lambda: pull(desk, store, a_rubric()))
            measured[name] = seconds | {"new": report.new, "changed": report.changed}  # type: ignore[attr-defined]
        assert len(store.items(queue=Queue.RATE)) == len(items)
    print(json.dumps(measured) if asked.json else "\n".join(f"{name}: {value}" for name, value in measured.items()))


if __name__ == "__main__":
    main()
