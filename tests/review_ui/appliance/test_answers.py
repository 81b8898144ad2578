"""What changed since a moment, with how many answers there are: for owners and admins, and nobody else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from review_ui.appliance.appliance import Running
from tests.review_ui.appliance.desk import Dataset, Desk

pytestmark = pytest.mark.argilla


def ask(desk: Desk, dataset: Dataset, **params: Any) -> dict[str, Any]:
    return dict(desk.call("GET", f"redpen/datasets/{dataset.id}/responses", params=params))


@pytest.fixture
def answered(desk: Desk) -> tuple[Dataset, list[str]]:
    """Three records, each answered by one person, and their ids."""
    dataset = desk.dataset([{"external_id": f"r{number}", "fields": {"prompt": "?"}} for number in range(3)])
    person = desk.reviewer(dataset)
    records = [one["id"] for one in desk.call("GET", f"datasets/{dataset.id}/records")["items"]]
    for record in records:
        person.answer(record, accuracy=4)
    return dataset, records


def test_every_answer_is_listed_in_parts_with_its_record(desk: Desk, answered: tuple[Dataset, list[str]]) -> None:
    dataset, records = answered
    first = ask(desk, dataset, most=2)
    rest = ask(desk, dataset, most=2, after=first["items"][-1]["id"])
    found = [*first["items"], *rest["items"]]
    assert (len(first["items"]), first["submitted"]) == (2, 3)
    assert {(one["record_id"], one["status"], one["values"]["accuracy"]["value"]) for one in found} == {
        (record, "submitted", 4) for record in records}
    assert {one["external_id"] for one in found} == {"r0", "r1", "r2"}


def test_only_what_changed_since_is_listed_when_asked_so(desk: Desk, answered: tuple[Dataset, list[str]]) -> None:
    dataset, records = answered
    later = datetime.now(UTC) + timedelta(seconds=1)
    assert ask(desk, dataset, since=later.isoformat())["items"] == []
    assert len(ask(desk, dataset, since=(later - timedelta(hours=1)).isoformat())["items"]) == 3
    desk.call("DELETE", f"datasets/{dataset.id}/records", params={"ids": records[0]})
    assert ask(desk, dataset, since=later.isoformat())["submitted"] == 2


def test_neither_reviewers_nor_strangers_may_read_others_answers(
        desk: Desk, running: Running, answered: tuple[Dataset, list[str]]) -> None:
    path = f"redpen/datasets/{answered[0].id}/responses"
    assert desk.reviewer(answered[0]).ask("GET", path).status_code == 403
    assert desk.client.get(f"{running.url}/api/v1/{path}").status_code == 401
    assert desk.ask("GET", "redpen/datasets/00000000-0000-0000-0000-000000000000/responses").status_code == 404
