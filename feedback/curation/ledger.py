"""What curation did to each row, and the card that sums it up: nothing leaves or changes without an entry."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Literal

from feedback.config import Strict

EXAMPLES = 8
"""Changes of one step that the report shows."""

Kind = Literal["prompt", "completion", "item", "rating", "document"]


class Dropped(Strict):
    """One row that was left out."""

    kind: Kind
    id: str
    step: str
    """The check that found something, such as `empty`, `over-long`, `duplicate` or `contamination`. Rows that fell with another
    carry its step."""
    reason: str


class Changed(Strict):
    """One row that was kept in another form. Its id still names the snapshot's row that it was made from."""

    kind: Kind
    id: str
    step: str
    """What was done, such as `unicode`, `pii`, `terminology`, `control tokens` or `duplicate`."""
    detail: str
    """Never holds personal data: of what was masked only the kinds are told."""


class Flagged(Strict):
    """Something in a kept row that a person should look at."""

    kind: Kind
    id: str
    step: str
    """The check: `language`, `repetition`, `near duplicate`, `contradiction`, `outdated`, `terminology`, `pii`, `moderation`,
    `contamination`, or `empty`, which stays for what a reviewer wrote in its place."""
    reason: str


class Example(Strict):
    """One change as a reader sees it, for the report."""

    step: str
    kind: Kind
    id: str
    before: str
    """A stretch of the text as it was, personal data masked."""
    after: str


class CurationCard(Strict):
    """What a curated folder was made of, in counts. `kept` and `dropped` add up to `read`, kind by kind."""

    kind: Literal["curation card"] = "curation card"
    read: dict[str, int]
    kept: dict[str, int]
    dropped: dict[str, dict[str, int]]
    """Kind of row -> step -> rows."""
    changed: dict[str, dict[str, int]]
    """Kind of row -> step -> rows."""
    flagged: dict[str, dict[str, int]] = {}
    """Kind of row -> step -> rows that are kept and pointed out."""
    masked: dict[str, int] = {}
    """Kind of personal data -> texts with a placeholder for it, put there when the snapshot was sealed, or here."""
    said: tuple[str, ...] = ()
    """What a person should know first."""

    @property
    def acts(self) -> dict[str, dict[str, dict[str, int]]]:
        """The three tables under what was done."""
        return {"dropped": self.dropped, "changed": self.changed, "pointed out": self.flagged}


class Ledger:
    """Collects the entries while rows pass through."""

    def __init__(self) -> None:
        self.dropped: dict[str, Dropped] = {}
        """By the row's id: a row is dropped once, for the first reason found."""
        self.changed: list[Changed] = []
        self.flagged: list[Flagged] = []
        self.examples: list[Example] = []

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

    def flag(self, kind: Kind, id: str, *, step: str, reason: str) -> None:
        """Keep a row and point it out."""
        self.flagged.append(Flagged(kind=kind, id=id, step=step, reason=reason))

    def show(self, kind: Kind, id: str, *, step: str, before: str, after: str) -> None:
        """Remember how a change looks, a few times a step."""
        if sum(example.step == step for example in self.examples) < EXAMPLES:
            self.examples.append(Example(step=step, kind=kind, id=id, before=before, after=after))

    def card(self, *, read: Mapping[str, int], kept: Mapping[str, int], masked: Mapping[str, int],
             said: tuple[str, ...]) -> CurationCard:
        """The entries in counts."""
        return CurationCard(read=dict(read), kept=dict(kept), dropped=_by_kind_and_step(self.dropped.values()),
                            changed=_by_kind_and_step(self.changed), flagged=_by_kind_and_step(self.flagged), masked=dict(masked),
                            said=said)


def _by_kind_and_step(entries: Iterable[Dropped | Changed | Flagged]) -> dict[str, dict[str, int]]:
    # A row of several texts may have an entry for each.
    counts = Counter((kind, step) for kind, step, _ in {(entry.kind, entry.step, entry.id) for entry in entries})
    table: dict[str, dict[str, int]] = {}
    for (kind, step), count in sorted(counts.items()):
        table.setdefault(kind, {})[step] = count
    return table
