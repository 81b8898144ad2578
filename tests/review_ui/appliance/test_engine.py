"""The embedded search engine, asked through the server's own API."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import pytest

from tests.review_ui.appliance.desk import Dataset, Desk, between, by, status, terms, text

pytestmark = pytest.mark.argilla

WORDS = ("alpha", "beta", "gamma", "delta")


def rows(count: int) -> list[dict[str, Any]]:
    """Record r<i>: the words of its number, a topic and a length; every third has no metadata."""
    return [{"external_id": f"r{number}",
             "fields": {"prompt": f"What is {WORDS[number % 4]} number{number}?",
                        "chat": [{"role": "user", "content": f"Please explain {WORDS[number % 3]}"}]},
             "metadata": {"topic": WORDS[number % 2], "length": number, "share": number / 8} if number % 3 else {}}
            for number in range(count)]


@pytest.fixture(scope="module")
def twelve(desk: Desk) -> Dataset:
    """Twelve records that no test changes."""
    return desk.dataset(rows(12))


@pytest.mark.parametrize(("query", "numbers"), [
    (text("alpha"), {0, 3, 4, 6, 8, 9}),
    (text("alpha", "prompt"), {0, 4, 8}),
    (text("alpha", "chat"), {0, 3, 6, 9}),
    (text("alpha -please"), set()),
    (text("number7 | number8"), {7, 8}),
    (text('"explain beta" what'), {1, 4, 7, 10}),
    (text("NUMBER1*"), {1, 10, 11}),
    (text("user"), set(range(12))),
    (text("..."), set()),
])
def test_a_text_is_searched_in_all_fields_or_in_one(desk: Desk, twelve: Dataset, query: Any, numbers: set[int]) -> None:
    found, total = desk.search(twelve, query=query)
    assert set(found) == {f"r{number}" for number in numbers}
    assert total == len(numbers)


@pytest.mark.parametrize("words", ['"', "((((", "a\u0000b", "-", "*" * 99, "a|" * 4000, "(" * 9999, "'; DROP TABLE records", "\\",
                                   "NEAR(", "{c0}:x", "x" * 10_000, "🙂", "模型", "a~99999999999999999999"])
def test_a_hostile_query_is_answered(desk: Desk, twelve: Dataset, words: str) -> None:
    found, total = desk.search(twelve, query=text(words))
    assert len(found) == total


def test_an_unknown_field_is_refused(desk: Desk, twelve: Dataset) -> None:
    answer = desk.ask("POST", f"datasets/{twelve.id}/records/search", json={"query": text("alpha", "nothing")})
    assert answer.status_code == 422


@pytest.mark.parametrize(("filters", "numbers"), [
    ([terms("metadata", ["beta"], metadata_property="topic")], {1, 5, 7, 11}),
    ([terms("metadata", ["alpha", "beta"], metadata_property="topic")], {1, 2, 4, 5, 7, 8, 10, 11}),
    ([terms("metadata", ["4"], metadata_property="length")], {4}),
    ([between("metadata", 4, 7, metadata_property="length")], {4, 5, 7}),
    ([between("metadata", None, 0.5, metadata_property="share")], {1, 2, 4}),
    ([between("metadata", 5, metadata_property="length"), terms("metadata", ["beta"], metadata_property="topic")], {5, 7, 11}),
    ([terms("record", ["r3", "r9"], property="external_id")], {3, 9}),
    ([terms("record", ["pending"], property="status")], set(range(12))),
    ([terms("record", ["completed"], property="status")], set()),
    ([between("record", "2020-01-01", property="inserted_at")], set(range(12))),
    ([between("record", "2020-01-01", "2020-12-31", property="updated_at")], set()),
])
def test_filters_narrow_the_records(desk: Desk, twelve: Dataset, filters: list[Any], numbers: set[int]) -> None:
    found, total = desk.search(twelve, filters=filters)
    assert (set(found), total) == ({f"r{number}" for number in numbers}, len(numbers))


def test_a_date_that_is_none_is_refused(desk: Desk, twelve: Dataset) -> None:
    answer = desk.ask("POST", f"datasets/{twelve.id}/records/search",
                      json={"filters": {"and": [between("record", "soon", property="inserted_at")]}})
    assert (answer.status_code, "'soon' is no date" in answer.text) == (422, True)


def test_records_without_a_value_sort_last_in_both_directions(desk: Desk, twelve: Dataset) -> None:
    up, _ = desk.search(twelve, sort=[by("metadata", metadata_property="length")])
    down, _ = desk.search(twelve, sort=[by("metadata", "desc", metadata_property="length")])
    assert up == [f"r{number}" for number in (1, 2, 4, 5, 7, 8, 10, 11, 0, 3, 6, 9)]
    assert down == [f"r{number}" for number in (11, 10, 8, 7, 5, 4, 2, 1, 0, 3, 6, 9)]


def test_a_second_key_orders_what_the_first_leaves_equal(desk: Desk, twelve: Dataset) -> None:
    keys = [by("metadata", "desc", metadata_property="topic"), by("record", "desc", property="inserted_at")]
    found, _ = desk.search(twelve, sort=keys)
    assert found[:4] == ["r11", "r7", "r5", "r1"]


def test_metadata_metrics_count_and_bound(desk: Desk, twelve: Dataset) -> None:
    properties = desk.call("GET", f"me/datasets/{twelve.id}/metadata-properties")["items"]
    metrics = {entry["name"]: desk.call("GET", f"metadata-properties/{entry['id']}/metrics") for entry in properties}
    assert metrics["topic"]["total"] == 8
    assert Counter({entry["term"]: entry["count"] for entry in metrics["topic"]["values"]}) == {"alpha": 4, "beta": 4}
    assert (metrics["length"]["min"], metrics["length"]["max"]) == (1, 11)
    assert (metrics["share"]["min"], metrics["share"]["max"]) == (0.125, 1.375)


def test_pages_of_the_random_order_make_up_the_whole_and_its_scores_fall(desk: Desk) -> None:
    dataset = desk.dataset(rows(300))
    person = desk.reviewer(dataset)
    whole = person.call("POST", f"me/datasets/{dataset.id}/records/search", params={"limit": 300}, json={})["items"]
    scores = [item["query_score"] for item in whole]
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) == 300
    pages = [name for start in range(0, 300, 70) for name in person.search(limit=70, offset=start)[0]]
    assert pages == [item["record"]["external_id"] for item in whole]
    assert person.search(limit=10, offset=295)[0] == pages[295:]


def test_everybody_gets_an_order_of_their_own_that_stays(desk: Desk) -> None:
    dataset = desk.dataset(rows(60))
    first, second = desk.reviewer(dataset), desk.reviewer(dataset)
    order, total = first.search()
    assert total == 60
    assert order == first.search()[0] != second.search()[0]
    assert sorted(order) == sorted(row["external_id"] for row in rows(60)) != order


def test_pages_hold_every_record_once(desk: Desk) -> None:
    reviewer = desk.reviewer(dataset := desk.dataset(rows(23)))
    pages = [reviewer.search(limit=5, offset=offset) for offset in range(0, 30, 5)]
    assert Counter(name for names, _ in pages for name in names) == {f"r{number}": 1 for number in range(23)}
    assert {total for _, total in pages} == {23}
    assert desk.search(dataset, offset=20)[0] == ["r20", "r21", "r22"]


def test_the_queues_of_a_reviewer_follow_their_answers(desk: Desk) -> None:
    dataset = desk.dataset(wanted=2)
    ids = desk.add(dataset, rows(5))
    reviewer, other = desk.reviewer(dataset), desk.reviewer(dataset)
    reviewer.answer(ids[0])
    reviewer.answer(ids[1], status="discarded")
    draft = reviewer.answer(ids[2], status="draft")
    other.answer(ids[3])
    assert set(reviewer.search(filters=[status("pending")])[0]) == {"r3", "r4"}
    assert reviewer.search(filters=[status("submitted")]) == (["r0"], 1)
    assert set(reviewer.search(filters=[status("draft", "discarded", "pending")])[0]) == {"r1", "r2", "r3", "r4"}
    assert desk.search(dataset, filters=[status("pending")]) == (["r4"], 1)
    reviewer.call("DELETE", f"responses/{draft}")
    assert set(reviewer.search(filters=[status("pending")])[0]) == {"r2", "r3", "r4"}


def test_progress_counts_people_and_records(desk: Desk) -> None:
    dataset = desk.dataset(wanted=2)
    ids = desk.add(dataset, rows(5))
    first, second = desk.reviewer(dataset), desk.reviewer(dataset)
    for record in ids[:3]:
        first.answer(record)
    second.answer(ids[0])
    second.answer(ids[1], status="discarded")
    assert first.progress() == {"total": 5, "submitted": 3, "discarded": 0, "draft": 0, "pending": 2}
    assert second.progress() == {"total": 5, "submitted": 1, "discarded": 1, "draft": 0, "pending": 3}
    whole = desk.call("GET", f"datasets/{dataset.id}/progress")
    assert {name: whole[name] for name in ("total", "completed", "pending")} == {"total": 5, "completed": 1, "pending": 4}
    assert desk.search(dataset, filters=[terms("record", ["completed"], property="status")]) == (["r0"], 1)


def test_answers_are_filtered_and_sorted_by_value(desk: Desk) -> None:
    ids = desk.add(dataset := desk.dataset(), rows(4))
    first, second = desk.reviewer(dataset), desk.reviewer(dataset)
    for record, rating in zip(ids[:3], (1, 5, 3), strict=True):
        first.answer(record, accuracy=rating, verdict="wrong" if rating == 1 else "correct")
    second.answer(ids[0], accuracy=5)
    assert first.search(filters=[terms("response", ["1"], question="accuracy")]) == (["r0"], 1)
    assert set(desk.search(dataset, filters=[between("response", 4, question="accuracy")])[0]) == {"r0", "r1"}
    assert second.search(filters=[terms("response", ["wrong"], question="verdict")]) == ([], 0)
    assert first.search(sort=[by("response", "desc", question="accuracy")])[0] == ["r1", "r2", "r0", "r3"]
    # Over all people it is the mean: r0 has (1 + 5) / 2 = 3, as r2 has.
    assert desk.search(dataset, sort=[by("response", "desc", question="accuracy")])[0] == ["r1", "r0", "r2", "r3"]


def test_suggestions_are_filtered_and_sorted(desk: Desk) -> None:
    dataset = desk.dataset()
    suggested = rows(4)
    for row, (rating, score, agent) in zip(suggested, ((2, 0.9, "judge"), (5, 0.1, "judge"), (4, 0.5, "other")), strict=False):
        row["suggestions"] = [{"question_id": dataset.questions["accuracy"], "value": rating, "score": score, "agent": agent,
                               "type": "model"},
                              {"question_id": dataset.questions["flags"], "value": ["wrong", "unclear"], "score": [score, score]}]
    desk.add(dataset, suggested)
    scope = {"question": "accuracy"}
    assert set(desk.search(dataset, filters=[terms("suggestion", ["judge"], property="agent", **scope)])[0]) == {"r0", "r1"}
    assert desk.search(dataset, filters=[between("suggestion", 4, property="value", **scope)])[1] == 2
    assert desk.search(dataset, filters=[between("suggestion", None, 0.5, property="score", **scope)])[1] == 2
    assert desk.search(dataset, filters=[terms("suggestion", ["unclear"], property="value", question="flags")])[1] == 3
    assert desk.search(dataset, sort=[by("suggestion", "desc", property="score", **scope)])[0] == ["r0", "r2", "r1", "r3"]


def test_similar_records_come_by_cosine(desk: Desk) -> None:
    dataset = desk.dataset()
    angles = [0, 10, 45, 90, 180]
    vectors = [[math.cos(math.radians(angle)), math.sin(math.radians(angle))] for angle in angles]
    ids = desk.add(dataset, [{**row, "vectors": {"meaning": vector}} for row, vector in zip(rows(5), vectors, strict=True)])
    near = {"vector": {"name": "meaning", "value": [2.0, 0.0]}}
    answer = desk.call("POST", f"datasets/{dataset.id}/records/search", json={"query": near})
    scores = [(item["record"]["external_id"], round(item["query_score"], 4)) for item in answer["items"]]
    # (1 + cosine) / 2: cos 45 degrees is 0.7071.
    assert scores == [("r0", 1.0), ("r1", 0.9924), ("r2", 0.8536), ("r3", 0.5), ("r4", 0.0)]
    like = {"vector": {"name": "meaning", "record_id": ids[0], "order": "least_similar"}}
    assert desk.search(dataset, query=like, limit=2) == (["r4", "r3"], 2)
    assert desk.search(dataset, query={**near, **text("number1 | number4")})[0] == ["r1", "r4"]


def test_a_vector_of_the_wrong_size_is_refused(desk: Desk, twelve: Dataset) -> None:
    answer = desk.ask("POST", f"datasets/{twelve.id}/records/search",
                      json={"query": {"vector": {"name": "meaning", "value": [1.0, 2.0, 3.0]}}})
    assert (answer.status_code, "needs 2" in answer.text) == (422, True)


def test_changed_and_deleted_records_change_what_is_found(desk: Desk) -> None:
    first, second = desk.add(dataset := desk.dataset(), rows(2))
    desk.call("PATCH", f"records/{first}", json={"fields": {"prompt": "something else"}})
    desk.call("DELETE", f"datasets/{dataset.id}/records", params={"ids": second})
    assert desk.search(dataset, query=text("something")) == (["r0"], 1)
    assert desk.search(dataset, query=text("number0 | number1")) == ([], 0)
    desk.call("DELETE", f"datasets/{dataset.id}")


def test_who_has_left_a_workspace_sees_none_of_it_from_then_on(desk: Desk) -> None:
    dataset = desk.dataset(rows(3))
    person = desk.reviewer(dataset)
    assert person.search()[1] == 3
    me = person.call("GET", "me")["id"]
    desk.call("DELETE", f"workspaces/{dataset.workspace}/users/{me}")
    answer = person.ask("POST", f"me/datasets/{dataset.id}/records/search", json={})
    assert answer.status_code == 403
