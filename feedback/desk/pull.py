"""From the reviewers to the store: what was submitted, each change a new version, each withdrawal a tombstone.

A dataset in which nobody did anything since the last pull is not read again. Argilla tells when a reviewer last acted in
a dataset, not in which record, so otherwise the whole dataset is listed, and only what is new is decoded.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from feedback.config import Strict
from feedback.desk.desk import Dataset, Desk, Page, is_simulated
from feedback.desk.layout import is_review_dataset
from feedback.desk.reading import Key, Known, Reading, Rejected, read_records, tombstone, withdrawn
from feedback.desk.rubrics import remember, rubric_of, versions
from feedback.errors import DeskRefused
from feedback.ids import ItemId
from feedback.rubric import Rubric
from feedback.schemas import Rating, Reviewer
from feedback.store.store import Store
from feedback.terminal import progress


class PullReport(Strict):
    """What a pull did, and what stands in Argilla that could not be used."""

    new: int
    changed: int
    """Answers that differ from the version stored before."""
    deleted: int
    """Answers withdrawn or deleted in Argilla: tombstones."""
    rejected: tuple[Rejected, ...]
    unknown_items: tuple[str, ...]
    """External ids of answered records that are no items of this store."""
    kept: int
    """Ratings kept though their reviewer's account, and with it the answer, is gone from Argilla."""
    datasets_read: tuple[str, ...]
    """Datasets in which something had happened since the last pull."""


@dataclass
class _Tally:
    new: int = 0
    changed: int = 0
    deleted: int = 0
    kept: int = 0
    rejected: list[Rejected] = field(default_factory=list)
    unknown: set[str] = field(default_factory=set)
    read: list[str] = field(default_factory=list)


def pull(desk: Desk, store: Store, rubric: Rubric, *, full: bool = False) -> PullReport:
    """Store every submitted answer that is new, changed or gone; drafts and discarded ones never.

    An answer that cannot be read is rejected with its record's id, and the others are still stored. With `full`, datasets
    without activity are read as well. Stopped at any point and run again it ends with the same ratings.
    """
    if not desk.has_workspace():
        raise DeskRefused(f"workspace {desk.workspace!r} does not exist in Argilla; run `redpen review setup` first")
    remember(store, rubric)
    tally = _Tally()
    one = _Pull(desk, store, rubric, tally)
    for dataset in desk.datasets().values():
        if dataset.ready and is_review_dataset(dataset.name):
            one.bring_in(dataset, full=full)
    return PullReport(new=tally.new, changed=tally.changed, deleted=tally.deleted, kept=tally.kept,
                      rejected=tuple(tally.rejected), unknown_items=tuple(sorted(tally.unknown)), datasets_read=tuple(tally.read))


class _Pull:
    """One pull: both ends, and what the store knew when it began."""

    def __init__(self, desk: Desk, store: Store, rubric: Rubric, tally: _Tally) -> None:
        self._desk, self._store, self._rubric, self._tally = desk, store, rubric, tally
        self._rubrics = versions(store)
        self._names = desk.users()
        self._latest: dict[Key, Rating] = {(row.item_id, row.reviewer_id): row for row in store.latest_ratings()}

    def bring_in(self, dataset: Dataset, *, full: bool) -> None:
        """Store what happened in one dataset, unless nothing did."""
        name = f"pull/{dataset.id}"
        state = {"active_at": dataset.active_at.isoformat(), "records": self._desk.size(dataset), "rubric": self._rubric.hash}
        before = json.loads(self._store.mark(name) or "{}")
        if full or before.get("state") != state:
            whole, reading = self._read(dataset)
            before = {"rejected": [one.model_dump(mode="json") for one in reading.rejected], "unknown": sorted(reading.unknown)}
            self._withdraw(dataset, reading)
            self._tally.read.append(dataset.name)
            if whole:
                self._store.set_mark(name, json.dumps({"state": state, **before}))
        # What could not be read in an earlier pull still cannot: it is told again and not forgotten.
        self._tally.rejected += [Rejected(**one) for one in before["rejected"]]
        self._tally.unknown.update(before["unknown"])

    def _read(self, dataset: Dataset) -> tuple[bool, Reading]:
        """Everything in the dataset; False when records came or went meanwhile, so that some may not have been seen."""
        found, seen, total, rubric = Reading(), set[str](), 0, rubric_of(dataset, self._rubrics)
        with progress(f"Pulling {dataset.name}") as advance:
            for page in self._desk.pages(dataset):
                reading = read_records(page.records, dataset=dataset, known=self._known(page, rubric))
                self._store_ratings(reading.ratings)
                found.submitted |= reading.submitted
                found.rejected += reading.rejected
                found.unknown |= reading.unknown
                seen |= {record.id for record in page.records}
                total = page.total
                advance(len(page.records))
        return len(seen) == total, found

    def _known(self, page: Page, rubric: Rubric) -> Known:
        ids = {ItemId(record.item_id) for record in page.records if record.item_id and record.responses}
        items = {item.id: item for item in self._store.items(ids=ids)}
        wanted = {completion for item in items.values() for completion in item.completion_ids}
        completions = {completion.id: completion for completion in self._store.completions(wanted)}
        return Known(items=items, completions=completions, latest=self._latest, names=self._names, rubric=rubric)

    def _store_ratings(self, ratings: list[Rating]) -> None:
        people = {rating.reviewer_id: self._names.get(rating.reviewer_id, rating.reviewer_id) for rating in ratings}
        self._store.add_reviewers(Reviewer(id=id, name=name, simulated=is_simulated(name)) for id, name in people.items())
        self._store.append_ratings(ratings)
        for rating in ratings:
            key = (rating.item_id, rating.reviewer_id)
            ended = rating.answer.kind == "deleted"
            self._tally.deleted += ended
            self._tally.changed += not ended and key in self._latest
            self._tally.new += key not in self._latest
            self._latest[key] = rating

    def _withdraw(self, dataset: Dataset, reading: Reading) -> None:
        ended = []
        for rating in withdrawn(self._latest, dataset=dataset, submitted=reading.submitted):
            if rating.reviewer_id not in self._names:
                self._tally.kept += 1
            elif not self._still_submitted(rating):
                ended.append(tombstone(rating, at=dataset.active_at))
        self._store_ratings(ended)

    def _still_submitted(self, rating: Rating) -> bool:
        # A listing may miss a record while others are deleted; what looks withdrawn is asked for by name.
        record = self._desk.record(rating.source.split("/")[1])
        responses = record.responses if record else ()
        return any(one.user_id == rating.reviewer_id and one.status == "submitted" for one in responses)
