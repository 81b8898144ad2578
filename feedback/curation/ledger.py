"""What curation did to each row, and the card that sums it up: nothing leaves or changes without an entry."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Literal

from feedback.config import Strict

Kind = Literal["prompt", "completion", "item", "rating"]


class Dropped(Strict):
    """One row that was left out."""

    kind: Kind
    id: str
    step: str
    """The check that found something: `empty`, `over-long` or `duplicate`. Rows that fell with another carry its step."""
    reason: str


class Changed(Strict):
    """One row that was kept in another form. Its id still names the snapshot's row that it was made from."""

    kind: Kind
    id: str
    step: str
    """What was done: `control tokens`, `duplicate`, `empty` or `over-long`."""
    detail: str


class CurationCard(Strict):
    """What a curated folder was made of, in counts. `kept` and `dropped` add up to `read`, kind by kind."""

    kind: Literal["curation card"] = "curation card"
    read: dict[str, int]
    kept: dict[str, int]
    dropped: dict[str, dict[str, int]]
    """Kind of row -> step -> rows."""
    changed: dict[str, dict[str, int]]
    """Kind of row -> step -> rows."""


class Ledger:
    """Collects the entries while rows pass through."""

    def __init__(self) -> None:
        self.dropped: dict[str, Dropped] = {}
        """By the row's id: a row is dropped once, for the first reason found."""
        self.changed: list[Changed] = []

    def drop(self, kind: Kind, id: str, *, step: str, reason: str) -> None:
        """Leave a row out."""
        self.dropped[id] = Dropped(kind=kind, id=id, step=step, reason=reason)

    def drop_with(self, kind: Kind, id: str, cause: Dropped) -> None:
        """Leave a row out because one that it needs is gone."""
        reason = cause.reason if cause.reason.startswith("its ") else f"its {cause.kind} {cause.id}: {cause.reason}"
        self.drop(kind, id, step=cause.step, reason=reason)

    def change(self, kind: Kind, id: str, *, step: str, detail: str) -> None:
        """Keep a row in another form."""
        self.changed.append(Changed(kind=kind, id=id, step=step, detail=detail))

    def card(self, *, read: Mapping[str, int], kept: Mapping[str, int]) -> CurationCard:
        """The entries in counts."""
        return CurationCard(read=dict(read), kept=dict(kept), dropped=_by_kind_and_step(self.dropped.values()),
                            changed=_by_kind_and_step(self.changed))


def _by_kind_and_step(entries: Iterable[Dropped | Changed]) -> dict[str, dict[str, int]]:
    counts = Counter((entry.kind, entry.step) for entry in entries)
    table: dict[str, dict[str, int]] = {}
    for (kind, step), count in sorted(counts.items()):
        table.setdefault(kind, {})[step] = count
    return table
