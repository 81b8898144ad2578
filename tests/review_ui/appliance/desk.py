"""Argilla's HTTP API, in the few calls that the tests make."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import httpx

PASSWORD = "correct horse battery"
FIELDS = {"prompt": {"type": "text", "use_markdown": False}, "chat": {"type": "chat", "use_markdown": False},
          "facts": {"type": "custom", "template": "{{record}}", "advanced_mode": False}, "picture": {"type": "image"}}
LABELS = [{"value": value, "text": value} for value in ("correct", "wrong", "unclear")]
QUESTIONS = {
    "accuracy": {"type": "rating", "options": [{"value": value} for value in range(1, 6)]},
    "verdict": {"type": "label_selection", "options": LABELS, "visible_options": 3},
    "flags": {"type": "multi_label_selection", "options": LABELS, "visible_options": 3},
    "order": {"type": "ranking", "options": LABELS},
    "rewrite": {"type": "text", "use_markdown": False},
    "spans": {"type": "span", "field": "prompt", "allow_overlapping": False, "visible_options": 3, "options": LABELS},
}
METADATA = {"topic": {"type": "terms"}, "length": {"type": "integer"}, "share": {"type": "float"}}


@dataclass(frozen=True)
class Dataset:
    """A published dataset with every kind of field and question."""

    id: str
    questions: dict[str, str]
    """Name -> id."""
    vector: str
    """Id of the vector setting `meaning`."""
    workspace: str


@dataclass(frozen=True)
class Person:
    """Somebody who is signed in."""

    client: httpx.Client
    credentials: dict[str, str]

    def ask(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        return self.client.request(method, f"/api/v1/{path}", headers=self.credentials, **arguments)

    def call(self, method: str, path: str, **arguments: Any) -> Any:
        response = self.ask(method, path, **arguments)
        assert response.is_success, f"{method} {path}: {response.status_code} {response.text}"
        return response.json() if response.content else None


class Desk(Person):
    """What the owner may do."""

    def dataset(self, records: Iterable[dict[str, Any]] = (), *, wanted: int = 1) -> Dataset:
        """A new dataset in a new workspace, holding the records."""
        workspace = self.call("POST", "workspaces", json={"name": f"w-{uuid4().hex[:8]}"})["id"]
        dataset = self.call("POST", "datasets", json={
            "name": "rate", "workspace_id": workspace, "distribution": {"strategy": "overlap", "min_submitted": wanted}})["id"]
        for name, settings in FIELDS.items():
            self.call("POST", f"datasets/{dataset}/fields", json={"name": name, "title": name, "required": name == "prompt",
                                                                 "settings": settings})
        questions = {name: self.call("POST", f"datasets/{dataset}/questions", json={
            "name": name, "title": name, "required": name == "accuracy", "settings": settings})["id"]
            for name, settings in QUESTIONS.items()}
        for name, settings in METADATA.items():
            self.call("POST", f"datasets/{dataset}/metadata-properties", json={
                "name": name, "title": name, "settings": settings, "visible_for_annotators": True})
        vector = self.call("POST", f"datasets/{dataset}/vectors-settings", json={
            "name": "meaning", "title": "meaning", "dimensions": 2})["id"]
        self.call("PUT", f"datasets/{dataset}/publish")
        made = Dataset(dataset, questions, vector, workspace)
        self.add(made, records)
        return made

    def add(self, dataset: Dataset, records: Iterable[dict[str, Any]]) -> list[str]:
        """Record ids, in order."""
        rows = list(records)
        ids: list[str] = []
        for start in range(0, len(rows), 500):
            made = self.call("POST", f"datasets/{dataset.id}/records/bulk", json={"items": rows[start:start + 500]})
            ids += [item["id"] for item in made["items"]]
        return ids

    def reviewer(self, dataset: Dataset, name: str | None = None, *, role: str = "annotator") -> Reviewer:
        """A new person of the dataset's workspace, signed in with a password."""
        name = name or f"sim-{uuid4().hex[:8]}"
        user = self.call("POST", "users", json={"username": name, "password": PASSWORD, "first_name": name, "role": role})
        self.call("POST", f"workspaces/{dataset.workspace}/users", json={"user_id": user["id"]})
        token = self.client.post("/api/v1/token", data={"username": name, "password": PASSWORD}).json()["access_token"]
        return Reviewer(self.client, {"Authorization": f"Bearer {token}"}, dataset, name)

    def invite(self, person: Reviewer, dataset: Dataset) -> Reviewer:
        """The same person in another dataset: signing up takes longer than most tests."""
        me = person.call("GET", "me")["id"]
        self.call("POST", f"workspaces/{dataset.workspace}/users", json={"user_id": me})
        return replace(person, dataset=dataset)

    def search(self, dataset: Dataset, **query: Any) -> tuple[list[str], int]:
        """External ids in order, and the total."""
        return _found(self.call("POST", f"datasets/{dataset.id}/records/search", **_query(query)))


@dataclass(frozen=True)
class Reviewer(Person):
    """What an annotator may do."""

    dataset: Dataset
    name: str

    def search(self, **query: Any) -> tuple[list[str], int]:
        return _found(self.call("POST", f"me/datasets/{self.dataset.id}/records/search", **_query(query)))

    def answer(self, record: str, *, status: str = "submitted", accuracy: int = 3, verdict: str = "correct") -> str:
        values = {"accuracy": {"value": accuracy}, "verdict": {"value": verdict}}
        return str(self.call("POST", f"records/{record}/responses", json={"status": status, "values": values})["id"])

    def pending(self, **query: Any) -> list[str]:
        """External ids of the pending list, as the page asks for it."""
        return self.queue(**query)[0]

    def queue(self, **query: Any) -> tuple[list[str], int]:
        """The pending list and its total, as the page asks for them."""
        return self.search(**{"limit": 10, "filters": OPEN, **query})

    def progress(self) -> dict[str, int]:
        return dict(self.call("GET", f"me/datasets/{self.dataset.id}/metrics")["responses"])


def _query(query: dict[str, Any]) -> dict[str, Any]:
    body = {name: query[name] for name in ("query", "sort") if name in query}
    if "filters" in query:
        body["filters"] = {"and": query["filters"]}
    return {"json": body, "params": {"limit": query.get("limit", 1000), "offset": query.get("offset", 0)}}


def _found(result: dict[str, Any]) -> tuple[list[str], int]:
    return [item["record"]["external_id"] for item in result["items"]], result["total"]


def text(words: str, field: str | None = None) -> dict[str, Any]:
    return {"text": {"q": words, **({"field": field} if field else {})}}


def terms(entity: str, values: list[Any], **scope: str) -> dict[str, Any]:
    return {"type": "terms", "scope": {"entity": entity, **scope}, "values": values}


def between(entity: str, low: Any = None, high: Any = None, **scope: str) -> dict[str, Any]:
    bounds = {name: bound for name, bound in (("ge", low), ("le", high)) if bound is not None}
    return {"type": "range", "scope": {"entity": entity, **scope}, **bounds}


def by(entity: str, order: str = "asc", **scope: str) -> dict[str, Any]:
    return {"scope": {"entity": entity, **scope}, "order": order}


def status(*values: str) -> dict[str, Any]:
    return terms("response", list(values), property="status")


OPEN = [status("pending"), terms("record", ["pending"], property="status")]
"""What the page asks for when it shows what waits."""
