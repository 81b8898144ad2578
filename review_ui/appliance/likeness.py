"""What makes a record of one server the same as a record of another: everything but ids and times."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from feedback.ids import content_hash
from review_ui.appliance.remote import Remote


@dataclass(frozen=True)
class Names:
    """What a server's ids stand for."""

    users: Mapping[str, str]
    """User id -> username."""
    questions: Mapping[str, str]
    """Question id -> name."""


@dataclass
class Holdings:
    """A dataset's records by external id, each as the hash of its content, and how many of each thing there are."""

    records: dict[str, str] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, record: Mapping[str, Any], names: Names) -> None:
        """Count one in."""
        self.records[name_of(record)] = content_hash("record", likeness(record, names))
        self.counts["records"] += 1
        for kind in ("responses", "suggestions", "vectors"):
            self.counts[kind] += len(record.get(kind) or ())


def holdings(remote: Remote, dataset_id: str, names: Names) -> Holdings:
    """Everything in a dataset."""
    found = Holdings()
    for page in remote.records(dataset_id):
        for record in page:
            found.add(record, names)
    return found


def name_of(record: Mapping[str, Any]) -> str:
    """Its external id; the record's own where it has none, which becomes the external id of its copy."""
    return str(record.get("external_id") or record["id"])


def likeness(record: Mapping[str, Any], names: Names) -> dict[str, Any]:
    """The content in a form that two servers share."""
    return {
        "fields": record["fields"], "metadata": record.get("metadata") or {}, "status": record["status"],
        "responses": sorted(([names.users.get(answer["user_id"], answer["user_id"]), answer["status"], answer.get("values") or {}]
                             for answer in record.get("responses") or ()), key=lambda answer: answer[0]),
        "suggestions": sorted(([names.questions[row["question_id"]], *map(row.get, ("value", "score", "agent", "type"))]
                               for row in record.get("suggestions") or ()), key=lambda row: row[0]),
        "vectors": record.get("vectors") or {},
    }
