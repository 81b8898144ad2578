"""Reviewers in quarantine: events only, proposed by figures, approved by a person, and lifted by a newer event.

Their ratings stay in the store and in every snapshot; the aggregation leaves them out and counts them.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from feedback.errors import InvalidInput
from feedback.ids import ReviewerId
from feedback.schemas import Quarantine, Reviewer

if TYPE_CHECKING:
    from feedback.store.store import Event, Store

QUARANTINED, LIFTED = "quarantine", "quarantine lifted"


def quarantined(store: Store, until: datetime | None = None) -> tuple[Quarantine, ...]:
    """Who is in quarantine, now or at a moment, sorted by reviewer."""
    standing: dict[str, Quarantine] = {}
    for event in sorted((event for kind in (QUARANTINED, LIFTED) for event in store.events(kind)), key=lambda row: row.number):
        if until is not None and event.at > until:
            continue
        reviewer = str(event.payload["reviewer_id"])
        if event.kind == LIFTED:
            standing.pop(reviewer, None)
        else:
            standing[reviewer] = Quarantine(reviewer_id=ReviewerId(reviewer), reason=event.reason, actor=event.actor, at=event.at)
    return tuple(standing[reviewer] for reviewer in sorted(standing))


def decide(store: Store, named: str, *, lift: bool, actor: str, reason: str, at: datetime) -> Event:
    """Put a reviewer (a name or an id) into quarantine, or lift it.

    Raises InvalidInput without a reason, for an unknown reviewer, and where nothing would change.
    """
    if not reason.strip():
        raise InvalidInput("a quarantine, and lifting one, needs a reason; say why with --reason")
    reviewer = _named(store.reviewers(), named)
    standing = {row.reviewer_id: row for row in quarantined(store)}
    if lift and reviewer.id not in standing:
        raise InvalidInput(f"{reviewer.name} is not in quarantine; `redpen feedback integrity` lists who is")
    if not lift and (found := standing.get(reviewer.id)):
        raise InvalidInput(f"{reviewer.name} is in quarantine already, since {found.at:%Y-%m-%d} by {found.actor} "
                           f"({found.reason}); lift it with --lift")
    return store.append_event(LIFTED if lift else QUARANTINED, {"reviewer_id": reviewer.id}, actor=actor, reason=reason, at=at)


def _named(reviewers: Iterable[Reviewer], named: str) -> Reviewer:
    everybody = list(reviewers)
    found = [row for row in everybody if named in (row.id, row.name)]
    if len(found) == 1:
        return found[0]
    listed = ", ".join(sorted(row.name for row in everybody)) or "nobody"
    if found:
        raise InvalidInput(f"{named!r} names {len(found)} reviewers; use one of the ids {', '.join(row.id for row in found)}")
    raise InvalidInput(f"{named!r} is no reviewer of this project; rated so far: {listed}")
