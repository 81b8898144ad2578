"""A record that is assigned is seen by those it is assigned to: asked of every route of the server that touches one record."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from review_ui.appliance.appliance import Appliance
from tests.review_ui.appliance.conftest import owner_of
from tests.review_ui.appliance.desk import Dataset, Desk, Person, status

pytestmark = pytest.mark.argilla

RULES = {"reserve_seconds": 600, "reserve_records": 5, "groups": {"doctors": ["ana"], "lawyers": ["bo"]}}
ANSWER = {"status": "submitted", "values": {"accuracy": {"value": 3}}}
NO_VECTOR = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True)
class Place:
    """A dataset with one record for the doctors, and everybody who may knock."""

    owner: Desk
    dataset: Dataset
    people: dict[str, Person]
    """`nobody`, `wrong` (bo, a lawyer), `right` (ana, a doctor), `admin`, `owner`."""

    def record(self, *assigned: str) -> str:
        """A new record."""
        item = {"fields": {"prompt": "secret"}, "metadata": {"redpen_assigned": list(assigned)}, "vectors": {"meaning": [1, 0]}}
        return self.owner.add(self.dataset, [item])[0]


@pytest.fixture(scope="module")
def appliance_of_two_groups(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Appliance, Desk]]:
    appliance = Appliance(tmp_path_factory.mktemp("assigned") / "argilla", routing=RULES)
    with appliance as running, httpx.Client(base_url=running.url, timeout=60) as client:
        yield appliance, owner_of(running, client)


@pytest.fixture(scope="module")
def place(appliance_of_two_groups: tuple[Appliance, Desk]) -> Place:
    owner = appliance_of_two_groups[1]
    dataset = owner.dataset()
    people: dict[str, Person] = {"right": owner.reviewer(dataset, "ana"), "wrong": owner.reviewer(dataset, "bo"),
                                 "admin": owner.reviewer(dataset, "chief", role="admin"), "owner": owner,
                                 "nobody": Person(owner.client, {})}
    return Place(owner, dataset, people)


def bulk(record: str) -> dict[str, Any]:
    return {"json": {"items": [{**ANSWER, "record_id": record}]}}


# Who: the status each gets. Where Argilla keeps annotators out anyway, the right person is kept out as well.
FOR_REVIEWERS = {"nobody": 401, "wrong": 403}
FOR_MANAGERS = {"nobody": 401, "wrong": 403, "right": 403}
ROUTES: dict[str, tuple[dict[str, int], Callable[[Person, Place, str], httpx.Response]]] = {
    "GET /records/{record_id}": (FOR_REVIEWERS, lambda who, place, record: who.ask("GET", f"records/{record}")),
    "POST /records/{record_id}/responses": (
        FOR_REVIEWERS, lambda who, place, record: who.ask("POST", f"records/{record}/responses", json=ANSWER)),
    "GET /records/{record_id}/suggestions": (
        FOR_REVIEWERS, lambda who, place, record: who.ask("GET", f"records/{record}/suggestions")),
    "PATCH /records/{record_id}": (
        FOR_MANAGERS, lambda who, place, record: who.ask("PATCH", f"records/{record}", json={"vectors": {"meaning": [0, 1]}})),
    "PUT /records/{record_id}/suggestions": (
        FOR_MANAGERS, lambda who, place, record: who.ask("PUT", f"records/{record}/suggestions", json={
            "question_id": place.dataset.questions["accuracy"], "value": 3})),
    "DELETE /records/{record_id}/suggestions": (
        FOR_MANAGERS, lambda who, place, record: who.ask("DELETE", f"records/{record}/suggestions", params={"ids": NO_VECTOR})),
    "DELETE /records/{record_id}": (FOR_MANAGERS, lambda who, place, record: who.ask("DELETE", f"records/{record}")),
}
ELSEWHERE = {"PUT /responses/{response_id}", "DELETE /responses/{response_id}", "DELETE /suggestions/{suggestion_id}"}
"""Routes with tests of their own below."""


@pytest.mark.parametrize("who", ["nobody", "wrong", "right", "admin", "owner"])
@pytest.mark.parametrize("route", ROUTES)
def test_only_those_it_is_assigned_to_reach_a_record(place: Place, route: str, who: str) -> None:
    refused, ask = ROUTES[route]
    record = place.record("group:doctors")
    answer = ask(place.people[who], place, record)
    expected = {refused[who]} if who in refused else {200, 201, 204}
    assert answer.status_code in expected, answer.text
    assert who not in refused or "secret" not in answer.text


def test_no_route_of_the_server_that_touches_one_record_is_left_out(place: Place) -> None:
    paths = place.owner.client.get("/api/v1/openapi.json").json()["paths"]
    touching = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods
                if any(f"{{{name}_id}}" in path for name in ("record", "response", "suggestion"))}
    assert touching == set(ROUTES) | ELSEWHERE


@pytest.mark.parametrize("spelled", [lambda record: record.replace("-", ""), lambda record: record.upper(),
                                     lambda record: "{" + record + "}", lambda record: record.replace("-", "%2D")])
def test_no_spelling_of_a_records_id_leads_around_it(place: Place, spelled: Callable[[str], str]) -> None:
    record = spelled(place.record("ana"))
    assert place.people["wrong"].ask("GET", f"records/{record}").status_code in {403, 404, 422}


def test_a_bulk_save_takes_only_what_is_assigned(place: Place) -> None:
    hers, his = place.record("ana"), place.record("group:lawyers")
    items = [{**ANSWER, "record_id": record} for record in (hers, his)]
    assert place.people["nobody"].ask("POST", "me/responses/bulk", json={"items": items}).status_code == 401
    saved = place.people["wrong"].call("POST", "me/responses/bulk", json={"items": items})["items"]
    assert [bool(one["item"]) for one in saved] == [False, True]
    assert place.owner.call("GET", f"records/{hers}")["responses"] == []


def test_drafts_and_discards_are_kept_to_those_it_is_assigned_to_as_well(place: Place) -> None:
    record = place.record("ana")
    for kind in ("draft", "discarded"):
        assert place.people["wrong"].ask("POST", f"records/{record}/responses", json={"status": kind}).status_code == 403
        items = [{"status": kind, "record_id": record}]
        assert place.people["wrong"].call("POST", "me/responses/bulk", json={"items": items})["items"][0]["item"] is None
    assert place.owner.call("GET", f"records/{record}")["responses"] == []


def test_an_answer_belongs_to_whoever_gave_it(place: Place) -> None:
    record = place.record("ana")
    answer = place.people["right"].call("POST", f"records/{record}/responses", json=ANSWER)["id"]
    for who, code in (("nobody", 401), ("wrong", 403)):
        assert place.people[who].ask("PUT", f"responses/{answer}", json=ANSWER).status_code == code
        assert place.people[who].ask("DELETE", f"responses/{answer}").status_code == code
    assert place.people["admin"].ask("PUT", f"responses/{answer}", json=ANSWER).status_code == 200
    assert place.people["right"].ask("DELETE", f"responses/{answer}").status_code == 200


def test_a_draft_from_before_the_assignment_can_be_read_and_not_submitted(place: Place) -> None:
    record = place.record()
    draft = place.people["wrong"].call("POST", f"records/{record}/responses", json={**ANSWER, "status": "draft"})["id"]
    place.owner.call("PATCH", f"records/{record}", json={"metadata": {"redpen_assigned": ["ana"]}})
    assert place.people["wrong"].ask("GET", f"records/{record}").status_code == 200
    assert place.people["wrong"].ask("PUT", f"responses/{draft}", json=ANSWER).status_code == 403
    saved = place.people["wrong"].call("POST", "me/responses/bulk", **bulk(record))["items"][0]
    assert (saved["item"], "assigned to somebody else" in json.dumps(saved["error"])) == (None, True)


def test_suggestions_are_deleted_by_managers_alone(place: Place) -> None:
    record = place.record("ana")
    made = place.owner.call("PUT", f"records/{record}/suggestions", json={"question_id": place.dataset.questions["accuracy"],
                                                                          "value": 3})["id"]
    codes = [place.people[who].ask("DELETE", f"suggestions/{made}").status_code for who in ("nobody", "wrong", "right", "admin")]
    assert codes == [401, 403, 403, 200]


def test_lists_hold_what_a_person_may_see_and_managers_see_their_own_first(place: Place) -> None:
    dataset = place.owner.dataset([
        {"external_id": name, "fields": {"prompt": name}, "vectors": {"meaning": [1, place_in_row]}, "metadata": {
            "redpen_assigned": assigned, "redpen_reviews_wanted": 3}} for place_in_row, (name, assigned) in enumerate(
                {"hers": ["ana"], "doctors": ["group:doctors"], "his": ["bo"], "both": ["ana", "bo"], "free": []}.items())])
    ana, bo = (place.owner.invite(place.people[who], dataset) for who in ("right", "wrong"))  # type: ignore[arg-type]
    chief = place.owner.invite(place.people["admin"], dataset)  # type: ignore[arg-type]
    assert set(ana.pending()) == {"hers", "doctors", "both", "free"}
    assert set(bo.search()[0]) == set(bo.pending()) == {"his", "both", "free"}
    assert bo.queue()[1] == bo.progress()["pending"] == bo.progress()["total"] == 3
    assert chief.pending()[0] == "free"
    assert len(chief.pending()) == 5
    near = {"vector": {"name": "meaning", "value": [1, 0]}}
    assert set(bo.search(query=near)[0]) == {"his", "both", "free"}
    assert len(place.owner.search(dataset, query=near)[0]) == 5


def test_what_resembles_a_record_that_one_may_not_see_is_not_told(place: Place) -> None:
    record = place.record("ana")
    query = {"query": {"vector": {"name": "meaning", "record_id": record}}}
    codes = {who: place.people[who].ask("POST", f"me/datasets/{place.dataset.id}/records/search", json=query).status_code
             for who in ("nobody", "wrong", "right", "admin")}
    assert codes == {"nobody": 401, "wrong": 422, "right": 200, "admin": 200}


def test_the_properties_themselves_are_not_shown_to_annotators(place: Place) -> None:
    place.record("ana")
    found = place.people["right"].call("POST", f"me/datasets/{place.dataset.id}/records/search",
                                       json={"filters": {"and": [status("pending")]}})
    assert found["items"]
    assert "redpen_assigned" not in json.dumps(found)


def test_whoever_joins_a_group_sees_at_once_what_was_assigned_to_it(
        place: Place, appliance_of_two_groups: tuple[Appliance, Desk]) -> None:
    appliance, _ = appliance_of_two_groups
    record = place.record("group:doctors")
    assert place.people["wrong"].ask("GET", f"records/{record}").status_code == 403
    try:
        appliance.routing = {**RULES, "groups": {"doctors": ["ana", "bo"]}}
        appliance.write_routing()
        assert place.people["wrong"].ask("GET", f"records/{record}").status_code == 200
    finally:
        appliance.routing = RULES
        appliance.write_routing()
