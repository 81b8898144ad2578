"""One exchange with the reviewers: what waits goes out, what was answered comes in, and what that leaves open goes out again."""

from __future__ import annotations

from dataclasses import dataclass

from feedback.config import QueueConfig
from feedback.desk.desk import Desk
from feedback.desk.follow_up import FollowUp, follow_up
from feedback.desk.pull import PullReport, pull
from feedback.desk.push import PushReport, push
from feedback.desk.routing import Router
from feedback.rubric import Rubric
from feedback.store.quarantine import quarantined
from feedback.store.store import Store

FOLLOWED_UP = "follow_up"
"""The store's mark of the ratings, settings and people in quarantine for which everything was asked; written last, so that a
stop loses nothing."""


@dataclass(frozen=True)
class Exchanged:
    """What went to and fro."""

    pushed: PushReport
    pulled: PullReport
    asked: FollowUp


def sync(desk: Desk, store: Store, rubric: Rubric, queues: QueueConfig, *, router: Router | None = None) -> Exchanged:
    """Push, pull, and ask for further reviews where those that came in leave a verdict open."""
    pushed, pulled = push(desk, store, rubric, router=router), pull(desk, store, rubric)
    out = ",".join(row.reviewer_id for row in quarantined(store))
    seen = f"{store.count_ratings()} {queues.model_dump_json()}" + (f" without {out}" if out else "")
    if store.mark(FOLLOWED_UP) == seen:
        return Exchanged(pushed, pulled, FollowUp(again=0, to_settle=0))
    asked = follow_up(store, rubric, queues, router=router)
    new = [item for item in store.items() if item.settles or item.again] if asked.to_settle or asked.again else []
    if new:
        push(desk, store, rubric, new, router=router)
    if router is not None and queues.adjudicators and asked.to_settle:
        router.assign(store, {item.id: queues.adjudicators for item in new if item.settles})
    store.set_mark(FOLLOWED_UP, seen)
    return Exchanged(pushed, pulled, asked)
