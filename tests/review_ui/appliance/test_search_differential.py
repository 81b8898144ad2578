"""Random searches, asked of the engine on a real server's database and of a model in plain Python."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from review_ui.appliance.appliance import Running
from tests.review_ui.appliance.desk import OPEN, Dataset, Desk
from tests.review_ui.appliance.search_cases import Both, bodies, door, neighbours, populated
from tests.review_ui.appliance.search_model import found
from tests.review_ui.appliance.work_model import Worker

pytestmark = pytest.mark.argilla

EXAMPLES = 150
RECORDS = 45


@pytest.fixture(scope="module")
def both(desk: Desk, running: Running) -> Iterator[Both]:
    dataset, rows, people = populated(desk, seed=0, count=RECORDS)
    with door(running.owner_file.parent, dataset) as opened:
        yield Both(opened, rows, [None, *(person.call("GET", "me")["id"] for person in people)])


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_the_engine_finds_what_the_model_finds(both: Both, data: st.DataObject) -> None:
    body = data.draw(bodies(both.rows))
    both.agree(body, user=data.draw(st.sampled_from(both.users)), size=data.draw(st.sampled_from((7, 20))))


def test_words_in_too_many_records_to_rank_leave_them_in_their_order(both: Both, running: Running) -> None:
    body = {"query": {"text": {"q": "red | apple"}}}
    expected = [row.id for row in found(both.rows, body, user=None)]
    with door(running.owner_file.parent, Dataset(both.door.dataset, {}, "", ""), most_ranked=len(expected) - 1) as opened:
        for user in both.users:
            assert opened.ask(body, user=user) == (expected, len(expected))
    assert both.door.ask(body, user=None)[0] != expected, "fewer are sorted by relevance"


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_the_nearest_are_those_of_the_model(both: Both, data: st.DataObject) -> None:
    body = {name: part for name, part in data.draw(bodies(both.rows)).items() if name != "sort"}
    body["query"] = {**body.get("query", {}), "vector": data.draw(neighbours)}
    both.agree_on_neighbours(body, user=data.draw(st.sampled_from(both.users)), limit=data.draw(st.sampled_from((1, 7, 50))))


@pytest.fixture(scope="module")
def work(desk: Desk, running: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Both, list[Worker]]]:
    """A routed dataset as an engine sees that routes it, where nobody's records are kept for them."""
    dataset, rows, people = populated(desk, seed=1, count=RECORDS, routed=True)
    home = tmp_path_factory.mktemp("routing")
    (home / "argilla.db").symlink_to(running.owner_file.parent / "argilla.db")
    (home / "routing.json").write_text(json.dumps(
        {"reserve_seconds": 60, "reserve_records": 0, "groups": {"doctors": [people[0].name]}}), encoding="utf-8")
    doctors = {people[0].name}
    accounts = [person.call("GET", "me") for person in (*people, desk)]
    workers = [Worker(one["id"], frozenset({one["username"], *(["group:doctors"] if one["username"] in doctors else [])}),
                      manages=one["role"] == "owner") for one in accounts]
    with door(home, dataset) as opened:
        yield Both(opened, rows, [worker.id for worker in workers]), workers


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_each_person_sees_what_the_model_lets_them_see(work: tuple[Both, list[Worker]], data: st.DataObject) -> None:
    both, workers = work
    body = data.draw(bodies(both.rows))
    if data.draw(st.booleans()):
        body["filters"] = {"and": [*body.get("filters", {"and": []})["and"], *data.draw(st.sampled_from((OPEN, OPEN[:1])))]}
    both.agree_on_work(body, data.draw(st.sampled_from(workers)), size=data.draw(st.sampled_from((7, 20))))


def test_a_model_of_work_that_is_wrong_is_noticed(work: tuple[Both, list[Worker]]) -> None:
    both, (doctor, *_) = work
    both.agree_on_work({"filters": {"and": OPEN}}, doctor, size=7)
    for wrong in (replace(doctor, names=frozenset({"nobody"})), replace(doctor, manages=True)):
        with pytest.raises(AssertionError):
            both.agree_on_work({"filters": {"and": OPEN}}, wrong, size=7)


def test_a_model_that_is_wrong_is_noticed(both: Both) -> None:
    by_length = {"sort": [{"scope": {"entity": "metadata", "metadata_property": "length"}, "order": "desc"}]}
    alpha = {"query": {"text": {"q": "unheard"}}}
    both.agree({}, user=None, size=7)
    both.agree(by_length, user=None, size=7)
    both.agree(alpha, user=None, size=7)
    changed = replace(both.rows[0], metadata={"length": 99}, texts={"prompt": ["unheard"]})
    for wrong, body in (([*both.rows[1:], both.rows[0]], {}), ([changed, *both.rows[1:]], by_length),
                        ([changed, *both.rows[1:]], alpha), (both.rows[:-1], {})):
        with pytest.raises((AssertionError, KeyError)):
            replace(both, rows=wrong).agree(body, user=None, size=7)
