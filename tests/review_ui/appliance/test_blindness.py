"""What reviewers are not shown they cannot ask for either: others' answers, and metadata that is hidden from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from tests.review_ui.appliance.desk import Dataset, Desk, Reviewer

pytestmark = pytest.mark.argilla


@dataclass(frozen=True)
class Place:
    """A record that two people review, with a metadata property that is shown to them and one that is not."""

    dataset: Dataset
    record: str
    first: Reviewer
    second: Reviewer


@pytest.fixture
def place(desk: Desk) -> Place:
    dataset = desk.dataset(wanted=2)
    desk.call("POST", f"datasets/{dataset.id}/metadata-properties", json={
        "name": "secret", "title": "secret", "settings": {"type": "integer"}, "visible_for_annotators": False})
    (record,) = desk.add(dataset, [{"fields": {"prompt": "a"}, "metadata": {"secret": 2, "length": 1, "unnamed": "gold"}}])
    return Place(dataset, record, desk.reviewer(dataset), desk.reviewer(dataset))


def test_nobody_reads_what_another_answered(desk: Desk, place: Place) -> None:
    for person, value in ((place.first, 1), (place.second, 5)):
        before = person.call("GET", f"records/{place.record}")["responses"]
        assert before == []
        person.call("POST", f"records/{place.record}/responses", json={
            "status": "submitted", "values": {"accuracy": {"value": value}}})
        (own,) = person.call("GET", f"records/{place.record}")["responses"]
        assert own["values"] == {"accuracy": {"value": value}}
    assert len(desk.call("GET", f"records/{place.record}")["responses"]) == 2


def test_hidden_metadata_is_not_in_a_record_that_is_read_alone_and_stays_in_it(desk: Desk, place: Place) -> None:
    assert place.first.call("GET", f"records/{place.record}")["metadata"] == {"length": 1}
    assert desk.call("GET", f"records/{place.record}")["metadata"] == {"secret": 2, "length": 1, "unnamed": "gold"}


@pytest.mark.parametrize("wish", [
    {"filters": {"and": [{"type": "range", "scope": {"entity": "metadata", "metadata_property": "secret"}, "ge": 1}]}},
    {"sort": [{"scope": {"entity": "metadata", "metadata_property": "secret"}, "order": "asc"}]}])
def test_no_reviewer_searches_by_hidden_metadata(desk: Desk, place: Place, wish: dict[str, Any]) -> None:
    path = f"me/datasets/{place.dataset.id}/records/search"
    refused = place.first.ask("POST", path, json=wish)
    assert (refused.status_code, "secret" in refused.text) == (422, True)
    assert desk.call("POST", path, json=wish)["total"] == 1
    shown = {"sort": [{"scope": {"entity": "metadata", "metadata_property": "length"}, "order": "asc"}]}
    assert place.first.call("POST", path, json=shown)["total"] == 1
