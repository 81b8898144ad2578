"""Records in bulk, as the desk sends them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.review_ui.appliance.desk import Dataset, Desk, text

pytestmark = pytest.mark.argilla


def items(count: int, **more: Any) -> list[dict[str, Any]]:
    return [{"external_id": f"r{place}", "fields": {"prompt": f"word{place} everywhere"}, "metadata": {"topic": "law"}, **more}
            for place in range(count)]


def put(desk: Desk, dataset: Dataset, rows: list[dict[str, Any]]) -> httpx.Response:
    return desk.ask("PUT", f"redpen/datasets/{dataset.id}/records", json={"items": rows})


@pytest.fixture(scope="module")
def dataset(desk: Desk) -> Dataset:
    return desk.dataset()


def test_records_added_in_bulk_are_what_the_servers_own_route_makes_of_them(desk: Desk, dataset: Dataset) -> None:
    suggestion = {"question_id": dataset.questions["verdict"], "value": "wrong", "score": 0.5, "agent": "judge", "type": "model"}
    [ours] = put(desk, dataset, [{**items(1)[0], "suggestions": [suggestion]}]).json()["records"].values()
    [theirs] = desk.add(dataset, [{**items(1)[0], "external_id": "theirs", "suggestions": [suggestion]}])
    one, other = ({**desk.call("GET", f"records/{id}"), "external_id": None} for id in (ours, theirs))
    for record in (one, other):
        for part in (record, *record["suggestions"]):
            for name in ("id", "inserted_at", "updated_at", "record_id"):
                part.pop(name, None)
    assert one == other
    assert desk.search(dataset, query=text("word0"))[1] == 2


def test_what_is_there_already_keeps_its_id_and_content(desk: Desk, dataset: Dataset) -> None:
    first = put(desk, dataset, items(3)).json()["records"]
    again = put(desk, dataset, items(4, fields={"prompt": "another text"})).json()["records"]
    assert {name: again[name] for name in first} == first
    assert desk.search(dataset, query=text("another"))[0] == ["r3"]


def test_the_same_records_from_many_at_once_are_made_once(desk: Desk) -> None:
    dataset = desk.dataset()
    with ThreadPoolExecutor(4) as pool:
        answers = [one.json()["records"] for one in pool.map(lambda _: put(desk, dataset, items(50)), range(4))]
    assert answers[0] == answers[1] == answers[2] == answers[3]
    assert desk.search(dataset)[1] == 50


@pytest.mark.parametrize(("wrong", "why"), [
    ({"fields": {}}, "fields cannot be empty"), ({"fields": {"other": "x"}}, "missing required value"),
    ({"metadata": {"length": "long"}}, "metadata is not valid"),
    ({"vectors": {"meaning": [1, 0]}}, "neither responses nor vectors"),
    ({"external_id": None}, "needs an external id")])
def test_one_wrong_record_is_named_and_none_is_stored(desk: Desk, dataset: Dataset, wrong: dict[str, Any], why: str) -> None:
    before = desk.search(dataset)[1]
    refused = put(desk, dataset, [*items(30)[20:], {**items(1)[0], **wrong}])
    assert refused.status_code == 422
    assert "position 10" in refused.text
    assert why in refused.text
    assert desk.search(dataset)[1] == before


def test_a_reviewer_may_not(desk: Desk, dataset: Dataset) -> None:
    reviewer = desk.reviewer(dataset)
    assert reviewer.ask("PUT", f"redpen/datasets/{dataset.id}/records", json={"items": items(1)}).status_code == 403


def test_a_webhook_hears_of_each_record(desk: Desk, dataset: Dataset) -> None:
    made = desk.call("POST", "webhooks", json={"url": "http://127.0.0.1:9/", "events": ["record.created"], "description": "x"})
    try:
        assert put(desk, dataset, items(42)[40:]).status_code == 200
    finally:
        desk.call("DELETE", f"webhooks/{made['id']}")


def log(desk: Desk, dataset: Dataset, rows: list[dict[str, Any]]) -> httpx.Response:
    """As the SDK does."""
    return desk.ask("PUT", f"datasets/{dataset.id}/records/bulk", json={"items": rows})


def test_many_records_of_one_request_come_back_in_their_order(desk: Desk) -> None:
    dataset = desk.dataset()
    assert [item["external_id"] for item in log(desk, dataset, items(100)).json()["items"]] == [f"r{n}" for n in range(100)]
    again = log(desk, dataset, items(150, fields={"prompt": "changed"})).json()
    assert len(again["items"]) == 150
    assert desk.search(dataset, query=text("changed"))[1] == 150


def test_of_a_request_with_a_mistake_at_its_end_nothing_is_stored(desk: Desk) -> None:
    dataset = desk.dataset()
    answer = log(desk, dataset, [*items(80), {"external_id": "last", "fields": {"other": "x"}}])
    assert (answer.status_code, "position 80" in answer.text) == (422, True)
    assert desk.search(dataset)[1] == 0


def test_an_answer_is_saved_while_a_request_stores_many_records(desk: Desk) -> None:
    dataset = desk.dataset()
    record = desk.add(dataset, [{"external_id": "old", "fields": {"prompt": "x"}}])[0]
    person = desk.reviewer(dataset)
    with ThreadPoolExecutor(1) as pool:
        storing = pool.submit(log, desk, dataset, items(500))
        while desk.search(dataset, limit=1)[1] < 2:
            assert not storing.done(), "the first records are seen before the last are stored"
        person.answer(record)
        assert not storing.done(), "an answer goes first"
        assert storing.result().status_code == 200
