"""The desk's own tool, Argilla's SDK, on the embedded server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from review_ui.appliance.appliance import Running
from tests.review_ui.appliance.desk import Desk

pytestmark = pytest.mark.argilla

RECORDS = 50


@pytest.fixture(scope="module")
def dataset(running: Running) -> Iterator[Any]:
    """All kinds of fields and questions, and fifty records."""
    import argilla as rg

    client = rg.Argilla(api_url=running.url, api_key=running.api_key)
    workspace = rg.Workspace(name="sdk", client=client).create()
    settings = rg.Settings(
        guidelines="Rate the answer.",
        fields=[rg.TextField(name="prompt"), rg.ChatField(name="chat"), rg.ImageField(name="image", required=False),
                rg.CustomField(name="table", template="{{record.fields.table.a}}", required=False)],
        questions=[rg.RatingQuestion(name="accuracy", values=[1, 2, 3, 4, 5]),
                   rg.LabelQuestion(name="verdict", labels=["correct", "wrong"]),
                   rg.MultiLabelQuestion(name="flags", labels=["rude", "unsafe", "long"], required=False),
                   rg.RankingQuestion(name="order", values=["a", "b"], required=False),
                   rg.TextQuestion(name="rewrite", required=False),
                   rg.SpanQuestion(name="wrong_parts", field="prompt", labels=["hallucinated"], required=False)],
        metadata=[rg.TermsMetadataProperty(name="topic"), rg.IntegerMetadataProperty(name="number")],
        vectors=[rg.VectorField(name="meaning", dimensions=2)],
        distribution=rg.TaskDistribution(min_submitted=2))
    made = rg.Dataset(name="everything", workspace=workspace, settings=settings, client=client).create()
    made.records.log([_record(rg, number) for number in range(RECORDS)])
    yield made
    client.http_client.close()


def _record(rg: Any, number: int) -> Any:
    return rg.Record(
        id=f"r{number}", vectors={"meaning": [1.0, number]},
        metadata={"topic": "odd" if number % 2 else "even", "number": number},
        fields={"prompt": f"Question {number}", "chat": [{"role": "user", "content": "hello"}], "table": {"a": number},
                "image": "https://example.com/picture.png"},
        suggestions=[rg.Suggestion("verdict", "correct", score=0.5, agent="judge")])


def test_records_are_logged_and_listed_in_order(dataset: Any) -> None:
    listed = list(dataset.records(with_suggestions=True, with_vectors=True))
    assert [record.id for record in listed] == [f"r{number}" for number in range(RECORDS)]
    assert listed[7].suggestions["verdict"].value == "correct"
    assert listed[7].vectors["meaning"] == [1.0, 7.0]


def test_queries_filters_and_similarity_work(dataset: Any) -> None:
    import argilla as rg

    assert [record.id for record in dataset.records(query=rg.Query(query="question 17"))] == ["r17"]
    odd = rg.Query(filter=rg.Filter([("metadata.topic", "==", "odd"), ("metadata.number", ">=", 45)]))
    assert [record.id for record in dataset.records(query=odd)] == ["r45", "r47", "r49"]
    near = list(dataset.records(query=rg.Query(similar=rg.Similar("meaning", [1.0, 0.0])), limit=2))
    assert [record.id for record, _ in near] == ["r0", "r1"]


def test_a_logged_record_is_updated_not_doubled(dataset: Any) -> None:
    import argilla as rg

    dataset.records.log([{"id": "r3", "prompt": "Changed entirely", "chat": [{"role": "user", "content": "hello"}]}])
    assert [record.id for record in dataset.records(query=rg.Query(query="entirely"))] == ["r3"]
    assert len(list(dataset.records)) == RECORDS


def test_what_reviewers_submit_is_pulled_with_their_progress(dataset: Any, desk: Desk, running: Running) -> None:
    import argilla as rg

    user = rg.User(username="sim-sdk", password="a long password", role="annotator", client=dataset._client).create()
    user.add_to_workspace(dataset.workspace)
    form = {"username": "sim-sdk", "password": "a long password"}
    token = httpx.post(f"{running.url}/api/v1/token", data=form, timeout=60).json()["access_token"]
    record = next(iter(dataset.records(limit=1)))
    answer = {"status": "submitted", "values": {"accuracy": {"value": 4}, "verdict": {"value": "wrong"}}}
    httpx.post(f"{running.url}/api/v1/records/{record._server_id}/responses", json=answer, timeout=60,
               headers={"Authorization": f"Bearer {token}"}).raise_for_status()
    mine = rg.Query(filter=rg.Filter([("response.status", "==", "submitted")]))
    [pulled] = list(dataset.records(query=mine, with_responses=True))
    assert {response.question_name: response.value for response in pulled.responses} == {"accuracy": 4, "verdict": "wrong"}
    assert dataset.progress() == {"total": RECORDS, "completed": 0, "pending": RECORDS}
