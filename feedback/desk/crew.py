"""Who may review what, and who of them has not yet: nobody waits for a review that nobody is left to give."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from feedback.config import RoutingConfig
from feedback.desk.desk import Desk
from feedback.desk.routing import Router, assigned
from feedback.ids import CompletionId, ItemId, ReviewerId
from feedback.schemas import ReviewItem
from feedback.store.quarantine import quarantined
from feedback.store.store import Store


@dataclass(frozen=True)
class Crew:
    """The people of a workspace."""

    names: Mapping[ReviewerId, str]
    """Every account's user name."""
    reviewers: frozenset[str]
    managers: frozenset[str]
    """Owners and admins who review as well: they see whatever is assigned to others."""
    routing: RoutingConfig | None = None
    """None where everybody is shown everything."""
    adjudicators: tuple[str, ...] = ()

    def meant_for(self, item: ReviewItem, topic: str | None) -> frozenset[str]:
        """Who is shown an item on such a topic."""
        if self.routing is None:
            return self.reviewers | self.managers
        named = assigned(item, topic, self.routing, self.adjudicators)
        return (self.reviewers & self._resolved(named) if named else self.reviewers) | self.managers

    def _resolved(self, named: Iterable[str]) -> frozenset[str]:
        groups = self.routing.groups if self.routing else {}
        return frozenset(one for name in named for one in groups.get(name.removeprefix("group:"), (name,)))

    def left(self, store: Store, items: Iterable[ReviewItem]) -> dict[ItemId, frozenset[str]]:
        """Who could still review each item: it is meant for them, they have said nothing of its answers, and they are not in
        quarantine. Who settles an item may be one who has reviewed it before."""
        wanted = list(items)
        topics = {prompt.id: prompt.topic for prompt in store.prompts({item.prompt_id for item in wanted})}
        said, out = self._said(store), {self.names.get(row.reviewer_id, "") for row in quarantined(store)}
        return {item.id: self.meant_for(item, topics.get(item.prompt_id)) - said.get(_asked(item), set()) - out
                for item in wanted}

    def _said(self, store: Store) -> dict[tuple[CompletionId | ItemId, ...], set[str]]:
        asked = {item.id: _asked(item) for item in store.items()}
        said: dict[tuple[CompletionId | ItemId, ...], set[str]] = {}
        for rating in store.live_ratings():
            said.setdefault(asked[rating.item_id], set()).add(self.names.get(rating.reviewer_id, ""))
        return said


def _asked(item: ReviewItem) -> tuple[CompletionId | ItemId, ...]:
    """The same for items that ask the same: one of its own for what settles another."""
    return (item.id,) if item.settles else tuple(sorted(item.completion_ids))


def crew_of(desk: Desk, store: Store, router: Router | None) -> Crew:
    """The people as the server has them now; of owners and admins those who ever reviewed something."""
    people = desk.people()
    rated = {people.names[one.id] for one in store.reviewers() if one.id in people.names}
    return Crew(names=people.names, reviewers=people.reviewers, managers=people.managers & rated,
                routing=router.config if router else None, adjudicators=router.adjudicators if router else ())
