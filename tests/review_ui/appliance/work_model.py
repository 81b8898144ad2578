"""What a person sees of a routed dataset, in plain Python; shares no code with the server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.review_ui.appliance.search_model import Row

PROPERTIES = ("redpen_assigned", "redpen_priority", "redpen_reviews_wanted")
WANTED = 2
"""Reviews of a record that does not say how many it wants."""


@dataclass(frozen=True)
class Worker:
    """Somebody who reviews; `names` are their own and their groups'."""

    id: str
    names: frozenset[str]
    manages: bool

    def sees(self, row: Row, body: Mapping[str, Any]) -> bool:
        """Everybody sees what they have worked on; the rest as it is assigned, and as work only what wants more reviews."""
        if any(answer.user == self.id for answer in row.answers):
            return True
        return (self.manages or self.may_have(row)) and (not asks_for_work(body) or _wants_more(row))

    def may_have(self, row: Row) -> bool:
        """Whether it is assigned to nobody or to them."""
        assigned = row.metadata.get("redpen_assigned", [])
        return not assigned or bool(self.names & set(assigned))

    def order(self, row: Row) -> tuple[bool, int]:
        """Highest first: for who manages their own work, then by priority."""
        return (not self.manages or self.may_have(row), row.metadata.get("redpen_priority", 0))


def asks_for_work(body: Mapping[str, Any]) -> bool:
    """Whether records without an answer by the person are among those asked for by their status."""
    filters = (body.get("filters") or {}).get("and", ())
    return any(one["scope"] == {"entity": "response", "property": "status"} and "pending" in one["values"] for one in filters)


def _wants_more(row: Row) -> bool:
    if not any(name in row.metadata for name in PROPERTIES):
        return True
    given = sum(answer.status == "submitted" for answer in row.answers)
    return given < row.metadata.get("redpen_reviews_wanted", WANTED)
