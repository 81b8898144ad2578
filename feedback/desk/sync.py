"""One exchange with the reviewers: what waits goes out, what was answered comes in, and what that leaves open goes out again."""

from __future__ import annotations

from dataclasses import dataclass

from feedback.config import QueueConfig
from feedback.desk.crew import Crew, crew_of
from feedback.desk.desk import Desk
from feedback.desk.follow_up import FollowUp, follow_up
from feedback.desk.pull import PullReport, pull
from feedback.desk.push import PushReport, push
from feedback.desk.routing import Router
from feedback.rubric import Rubric
from feedback.store.quarantine import quarantined
from feedback.store.store import Store

FOLLOWED_UP = "follow_up"
"""The store's mark of the ratings, settings and people for which everything was asked; written last, so that a stop loses
nothing."""


@dataclass(frozen=True)
class Exchanged:
    """What went to and fro."""

    pushed: PushReport
    pulled: PullReport
    asked: FollowUp


def sync(desk: Desk, store: Store, rubric: Rubric, queues: QueueConfig, *, router: Router | None = None) -> Exchanged:
    """Push, pull, and ask for further reviews where those that came in leave a verdict open."""
    pushed, pulled = push(desk, store, rubric, router=router), pull(desk, store, rubric)
    crew = crew_of(desk, store, router)
    seen = _seen(store, queues, crew)
    if store.mark(FOLLOWED_UP) == seen:
        return Exchanged(pushed, pulled, FollowUp(again=0, to_settle=0))
    asked = follow_up(store, rubric, queues, crew=crew, router=router)
    if asked.to_settle or asked.again:
        push(desk, store, rubric, [item for item in store.items() if item.settles or item.again], router=router)
    store.set_mark(FOLLOWED_UP, seen)
    return Exchanged(pushed, pulled, asked)


def _seen(store: Store, queues: QueueConfig, crew: Crew) -> str:
    out = ",".join(row.reviewer_id for row in quarantined(store))
    people = ",".join(sorted(crew.reviewers | crew.managers))
    routing = crew.routing.model_dump_json() if crew.routing else ""
    return f"{store.count_ratings()} {queues.model_dump_json()} of {people} {routing} without {out}"
