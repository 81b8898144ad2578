"""Who should review an item, how soon and how often: written beside each record, where Redpen's appliance reads it.

    router = open_router(desk, project.argilla.routing)         # None when records are not routed; the reason is told once
    push(desk, store, rubric, router=router)                    # each new record carries its route

    router.want(store, {item.id: 3})                            # three reviews in all are wanted of an item that is there:
                                                                # completed, it opens again; with three already, it completes
    router.assign(store, {item.id: ("ana", "group:doctors")})   # from now on only they see it; () opens it to everybody
    router.prioritize(store, {item.id: 100})                    # highest first

Each takes items that are pushed and raises DeskError for one that is not, or that is gone from Argilla. Without a router
the number of reviews is the dataset's, so an item that wants another number goes to a dataset of its own (layout.py), and
nobody can be assigned.

Assignments are by user name, or `group:NAME` for a group of `argilla: routing: groups:`. A group is resolved when people
look, so whoever joins it later sees what was assigned to it before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from feedback.config import RoutingConfig
from feedback.desk.desk import Dataset, Desk
from feedback.errors import DeskRefused, InvalidInput
from feedback.ids import ItemId
from feedback.schemas import Prompt, Purpose, ReviewItem
from feedback.store.store import Store
from feedback.terminal import note

ASSIGNED, PRIORITY, WANTED = "redpen_assigned", "redpen_priority", "redpen_reviews_wanted"
"""Metadata of a record, hidden from reviewers: names, a number (highest first), reviews wanted."""
PROPERTIES = {ASSIGNED: "terms", PRIORITY: "integer", WANTED: "integer"}

USUAL_PRIORITY = 50
PRIORITIES = {Purpose.AUDIT: 100}
"""A round waits for its audit, so that comes first. Others are USUAL_PRIORITY. A gold item has the priority of those that it is
mixed into: its place in the queue must not give it away."""
CRITICAL = 10
"""Added for critical questions of the audit: gates wait for those."""


@dataclass(frozen=True)
class Router:
    """Routes records on a server that heeds it."""

    desk: Desk
    config: RoutingConfig
    adjudicators: tuple[str, ...] = ()
    """Who settles what people are split on; anybody when empty."""

    def prepare(self, datasets: Iterable[Dataset]) -> None:
        """Let the datasets take routes; nothing where they do already."""
        for dataset in datasets:
            self.desk.add_metadata_properties(dataset, PROPERTIES)

    def metadata(self, item: ReviewItem, prompt: Prompt) -> dict[str, object]:
        """The item's route, as its record's metadata."""
        return route(item, prompt, self.config, self.adjudicators)

    def want(self, store: Store, reviews: Mapping[ItemId, int]) -> None:
        """Set how many reviews each item gets in all. Raises InvalidInput for less than one."""
        if wrong := [f"{item}: {count} reviews are wanted; 1 is the least" for item, count in reviews.items() if count < 1]:
            raise InvalidInput(wrong)
        self._change(store, {item: {WANTED: count} for item, count in reviews.items()})

    def assign(self, store: Store, names: Mapping[ItemId, Sequence[str]]) -> None:
        """Set who sees each item. Raises InvalidInput for a group that the configuration does not have."""
        _check_names(self.config, (name for given in names.values() for name in given))
        self._change(store, {item: {ASSIGNED: sorted(set(given))} for item, given in names.items()})

    def prioritize(self, store: Store, priorities: Mapping[ItemId, int]) -> None:
        """Set how early each item comes."""
        self._change(store, {item: {PRIORITY: value} for item, value in priorities.items()})

    def _change(self, store: Store, changes: Mapping[ItemId, Mapping[str, object]]) -> None:
        there = {dataset.id for dataset in self.desk.datasets().values()}
        pushed = store.pushed(list(changes))
        places = {item: [place.split("/") for place in pushed.get(item, ())] for item in changes}
        records = {item: [record for dataset, record in found if dataset in there] for item, found in places.items()}
        if missing := [item for item, found in records.items() if not found]:
            raise DeskRefused(f"{len(missing)} items are not in Argilla, such as {missing[0]}; run `redpen review push` first")
        for item, found in records.items():
            for record in found:
                self.desk.change_metadata(record, changes[item])


def open_router(desk: Desk, config: RoutingConfig, *, adjudicators: Sequence[str] = ()) -> Router | None:
    """The router of this desk; None, after a note, where routing is configured and the server has none.

    Raises InvalidInput when an adjudicator is a group that the configuration does not have.
    """
    if not config.enabled:
        return None
    _check_names(config, adjudicators)
    if not desk.routes_records():
        note("argilla.routing is on, but this Argilla does not route records (only Redpen's own does, from its next start): "
             "items that want several reviews go to datasets of their own, and nobody is assigned")
        return None
    return Router(desk, config, tuple(adjudicators))


def _check_names(config: RoutingConfig, names: Iterable[str]) -> None:
    try:
        config.check_names(names)
    except ValueError as error:
        raise InvalidInput(str(error)) from None


def server_rules(config: RoutingConfig) -> dict[str, object] | None:
    """What the appliance needs to know; None when it should not route."""
    if not config.enabled:
        return None
    return {"reserve_seconds": config.reserve_minutes * 60, "reserve_records": config.reserve_records,
            "groups": {name: list(members) for name, members in config.groups.items()}}


def route(item: ReviewItem, prompt: Prompt, config: RoutingConfig, adjudicators: Sequence[str] = ()) -> dict[str, object]:
    """Reviews from the item, priority from its purpose, people from its topic. Pure."""
    priority = PRIORITIES.get(item.beside or item.purpose, USUAL_PRIORITY)
    if item.purpose is Purpose.AUDIT and prompt.critical:
        priority += CRITICAL
    found: dict[str, object] = {WANTED: item.reviews, PRIORITY: priority}
    if names := assigned(item, prompt.topic, config, adjudicators):
        found[ASSIGNED] = sorted(names)
    return found


def assigned(item: ReviewItem, topic: str | None, config: RoutingConfig, adjudicators: Sequence[str] = ()) -> Sequence[str]:
    """The people and groups that an item is for; everybody when empty. Pure."""
    return adjudicators if item.settles and adjudicators else config.assign.get(topic or "", ())
