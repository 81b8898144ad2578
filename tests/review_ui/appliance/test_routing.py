"""Routing on the real server: who sees a record, in what order, and how many reviews it gets."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from review_ui.appliance.appliance import Appliance
from tests.review_ui.appliance.conftest import owner_of
from tests.review_ui.appliance.desk import Dataset, Desk, Reviewer, status

pytestmark = pytest.mark.argilla

Invite = Callable[[Dataset, int], list[Reviewer]]
RULES = {"reserve_seconds": 600, "reserve_records": 2, "groups": {}}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("routed") / "argilla"


@pytest.fixture(scope="module")
def routed(home: Path) -> Iterator[Desk]:
    with Appliance(home, routing=RULES) as running, httpx.Client(base_url=running.url, timeout=60) as client:
        yield owner_of(running, client)


@pytest.fixture(scope="module")
def crew(routed: Desk) -> list[Reviewer]:
    """Ten people."""
    elsewhere = routed.dataset()
    return [routed.reviewer(elsewhere) for _ in range(10)]


@pytest.fixture
def invite(routed: Desk, crew: list[Reviewer]) -> Invite:
    """Lets some of them into a dataset."""
    return lambda dataset, count: [routed.invite(person, dataset) for person in crew[:count]]


def rows(count: int, **route: Any) -> list[dict[str, Any]]:
    """Records r0, r1, ... with the same route; without one they are not routed."""
    metadata = {f"redpen_{name}": value for name, value in route.items()}
    return [{"external_id": f"r{number}", "fields": {"prompt": f"Question {number}"}, "metadata": metadata}
            for number in range(count)]


def given(routed: Desk, dataset: Dataset) -> dict[str, int]:
    """Submitted reviews by record."""
    listed = routed.call("GET", f"datasets/{dataset.id}/records", params={"include": "responses", "limit": 1000})["items"]
    return {one["external_id"]: sum(answer["status"] == "submitted" for answer in one["responses"]) for one in listed}


def statuses(routed: Desk, dataset: Dataset) -> dict[str, str]:
    listed = routed.call("GET", f"datasets/{dataset.id}/records", params={"limit": 1000})["items"]
    return {one["external_id"]: one["status"] for one in listed}


def submit(person: Reviewer, record: str) -> httpx.Response:
    return person.ask("POST", f"records/{record}/responses", json={"status": "submitted", "values": {"accuracy": {"value": 3}}})


def work(person: Reviewer, ids: dict[str, str], *, before_each: Any = None) -> Counter[int]:
    """Review until nothing is left for this person, like a page that shows the first pending record."""
    answers: Counter[int] = Counter()
    while person.progress()["pending"]:
        if before_each:
            before_each()
        if found := person.pending():
            answers[submit(person, ids[found[0]]).status_code] += 1
        else:
            time.sleep(0.05)
    return answers


def test_ten_people_at_once_give_every_record_the_two_reviews_that_it_wants(routed: Desk, invite: Invite) -> None:
    dataset = routed.dataset()
    ids = dict(zip((row["external_id"] for row in rows(25)), routed.add(dataset, rows(25, reviews_wanted=2)), strict=True))
    people = invite(dataset, 10)
    with ThreadPoolExecutor(10) as pool:
        answers = sum(pool.map(lambda person: work(person, ids), people), Counter())
    assert answers == {201: 50}
    assert set(given(routed, dataset).values()) == {2}
    assert set(statuses(routed, dataset).values()) == {"completed"}
    assert {person.queue()[1] for person in people} == {0}


def test_ten_people_who_all_send_at_once_what_nobody_served_them_give_two_reviews(routed: Desk, invite: Invite) -> None:
    dataset = routed.dataset()
    [record] = routed.add(dataset, rows(1, reviews_wanted=2))
    people = invite(dataset, 10)
    with ThreadPoolExecutor(10) as pool:
        answers = Counter(answer.status_code for answer in pool.map(lambda person: submit(person, record), people))
    assert answers == {201: 2, 409: 8}
    assert given(routed, dataset) == {"r0": 2}


def test_a_bulk_save_is_refused_record_by_record(routed: Desk, invite: Invite) -> None:
    dataset = routed.dataset()
    ids = routed.add(dataset, rows(3, reviews_wanted=1))
    first, second = invite(dataset, 2)
    first.answer(ids[1])
    items = [{"record_id": one, "status": "submitted", "values": {"accuracy": {"value": 2}}} for one in ids]
    saved = second.call("POST", "me/responses/bulk", json={"items": items})["items"]
    assert [bool(one["item"]) for one in saved] == [True, False, True]
    assert "has all the reviews that it wants" in json.dumps(saved[1]["error"])
    assert given(routed, dataset) == {"r0": 1, "r1": 1, "r2": 1}


def test_what_is_shown_to_one_is_not_shown_to_another(routed: Desk, invite: Invite) -> None:
    dataset = routed.dataset(rows(4, reviews_wanted=1))
    first, second, third = invite(dataset, 3)
    mine, hers = first.pending(), second.pending()
    assert (len(mine), len(hers)) == (4, 2)
    assert set(hers).isdisjoint(mine[:2])
    assert third.queue() == ([], 0)
    assert first.pending() == mine[:2], "her two are hidden from the one who was first as well"


def test_who_discards_or_finishes_makes_room_and_gets_the_next(routed: Desk, invite: Invite) -> None:
    dataset = routed.dataset()
    ids = dict(zip(("r0", "r1", "r2", "r3"), routed.add(dataset, rows(4, reviews_wanted=1)), strict=True))
    first, second = invite(dataset, 2)
    mine = first.pending()
    first.answer(ids[mine[0]], status="discarded")
    assert set(second.pending()) == {mine[0], mine[3]}, "the third moved up for the first person"


def test_a_draft_keeps_the_record_and_its_deletion_frees_it(routed: Desk, invite: Invite) -> None:
    dataset = routed.dataset()
    [record] = routed.add(dataset, rows(1, reviews_wanted=1))
    first, second = invite(dataset, 2)
    draft = first.answer(record, status="draft")
    assert second.pending() == []
    assert submit(second, record).status_code == 409
    assert first.search(filters=[status("draft")]) == (["r0"], 1)
    first.call("DELETE", f"responses/{draft}")
    assert second.pending() == ["r0"]


def test_a_full_record_is_gone_from_everybodys_list_and_the_counts_follow(routed: Desk, invite: Invite) -> None:
    dataset = routed.dataset()
    ids = routed.add(dataset, rows(3, reviews_wanted=1))
    first, second = invite(dataset, 2)
    first.answer(ids[0])
    second.answer(ids[1], status="discarded")
    assert first.progress() == {"total": 3, "submitted": 1, "discarded": 0, "draft": 0, "pending": 2}
    assert second.progress() == {"total": 2, "submitted": 0, "discarded": 1, "draft": 0, "pending": 1}
    whole = routed.call("GET", f"datasets/{dataset.id}/progress")
    assert (whole["total"], whole["completed"], whole["pending"]) == (3, 1, 2)


def test_each_record_is_completed_by_the_number_that_it_wants(routed: Desk, invite: Invite) -> None:
    dataset = routed.dataset(wanted=2)
    one, three = routed.add(dataset, rows(2))
    for record, wanted in ((one, 1), (three, 3)):
        routed.call("PATCH", f"records/{record}", json={"metadata": {"redpen_reviews_wanted": wanted}})
    for person in invite(dataset, 2):
        for record in (one, three):
            submit(person, record)
    assert given(routed, dataset) == {"r0": 1, "r1": 2}
    assert statuses(routed, dataset) == {"r0": "completed", "r1": "pending"}


def test_a_record_that_wants_more_opens_again_for_those_who_have_not_reviewed_it(routed: Desk, invite: Invite) -> None:
    dataset = routed.dataset()
    [record] = routed.add(dataset, rows(1, reviews_wanted=1))
    first, second = invite(dataset, 2)
    first.answer(record)
    changed = routed.call("PATCH", f"records/{record}", json={"metadata": {"redpen_reviews_wanted": 2}})
    assert changed["status"] == "pending"
    assert (first.pending(), second.pending()) == ([], ["r0"])
    routed.call("PATCH", f"records/{record}", json={"metadata": {"redpen_reviews_wanted": 1}})
    assert statuses(routed, dataset) == {"r0": "completed"}


def test_an_own_review_can_be_corrected_when_the_record_is_full(routed: Desk, invite: Invite) -> None:
    dataset = routed.dataset()
    [record] = routed.add(dataset, rows(1, reviews_wanted=1))
    [person] = invite(dataset, 1)
    answer = person.answer(record)
    change = {"status": "submitted", "values": {"accuracy": {"value": 5}}}
    assert person.call("PUT", f"responses/{answer}", json=change)["values"] == {"accuracy": {"value": 5}}


def test_the_highest_priority_comes_first_and_equal_ones_by_chance(routed: Desk, invite: Invite) -> None:
    items = [{**row, "metadata": {"redpen_priority": number % 3}} for number, row in enumerate(rows(60))]
    dataset = routed.dataset(items)
    first, second = invite(dataset, 2)
    found = first.pending(limit=60)
    assert [int(name[1:]) % 3 for name in found] == [2] * 20 + [1] * 20 + [0] * 20
    assert set(second.pending(limit=18)) <= set(found[:20])
    assert first.pending(limit=60) != second.pending(limit=60)


def test_records_without_a_route_are_left_to_argilla(routed: Desk, invite: Invite) -> None:
    dataset = routed.dataset(rows(3))
    first, second = invite(dataset, 2)
    assert set(first.pending()) == set(second.pending()) == {"r0", "r1", "r2"}
    assert first.progress()["total"] == 3


def test_without_rules_the_metadata_means_nothing(desk: Desk) -> None:
    dataset = desk.dataset()
    [record] = desk.add(dataset, rows(1, reviews_wanted=1, assigned=["nobody"]))
    people = [desk.reviewer(dataset) for _ in range(3)]
    assert [person.pending() for person in people] == [["r0"]] * 3
    assert [submit(person, record).status_code for person in people] == [201] * 3
    assert desk.ask("GET", "redpen/routing").status_code == 404
