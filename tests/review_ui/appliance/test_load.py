"""People at work while the server, the worker and Valkey are killed; the long form is `python -m tests.benchmarks.load`."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from review_ui.appliance.inside import schema
from tests.benchmarks.load import Ledger, compare, measure
from tests.benchmarks.load import Place as At


def test_nothing_acknowledged_is_lost_when_the_processes_are_killed(tmp_path: Path) -> None:
    found = measure(tmp_path / "argilla", reviewers=4, datasets=2, records=30, seconds=12, kills=4)
    assert (found["problems"], found["faults"]) == ([], {})
    assert found["acknowledged"] >= 10
    assert sum(found["killed"].values()) == 4


def test_a_lost_a_changed_and_a_doubled_response_are_each_counted() -> None:
    ledger = Ledger(person=None, told={"a": ("submitted", 4), "b": ("draft", 2)}, either={"c": {None, ("submitted", 1)}})  # type: ignore[arg-type]
    places = [At(None, ("a", "b", "c"))]

    def of(**held: list[tuple[str, int]]) -> dict[str, int]:
        return compare({"ana": ledger}, places, {("ana", record): list(states) for record, states in held.items()})

    sound = {"a": [("submitted", 4)], "b": [("draft", 2)]}
    assert not any(of(**sound).values())
    assert not any(of(**sound, c=[("submitted", 1)]).values())
    assert of(a=[("submitted", 4)])["lost_or_changed"] == 1
    assert of(**sound | {"b": [("draft", 3)]})["lost_or_changed"] == 1
    assert of(**sound | {"a": [("submitted", 4)] * 2})["doubled"] == 1
    assert compare({}, places, {("bo", "a"): [("draft", 1)]})["of_nobody"] == 1


def test_an_index_that_misses_a_response_is_told(tmp_path: Path) -> None:
    measure(home := tmp_path / "argilla", reviewers=1, datasets=1, records=5, seconds=3, kills=0)
    with closing(sqlite3.connect(home / "argilla.db")) as database:
        assert schema.disagreements(database) == []
        database.execute("DELETE FROM redpen_answers WHERE document = (SELECT min(document) FROM redpen_answers)")
        assert len(schema.disagreements(database)) == 1
