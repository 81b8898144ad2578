"""From the reviewers to the store: what was submitted, each change a new version, each withdrawal a tombstone.

A dataset in which nobody did anything since the last pull is not read again. Otherwise Redpen's own server gives the answers
that changed, with their number, so that a deletion is noticed; then, and on any other server, the whole dataset is listed
and only what is new is decoded.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pydantic import AwareDatetime, ValidationError

from feedback.config import Strict
from feedback.desk.desk import Answers, Dataset, Desk, Record, Response, is_simulated
from feedback.desk.layout import is_review_dataset
from feedback.desk.reading import Key, Known, Reading, Rejected, read_records, tombstone, withdrawn
from feedback.desk.rubrics import remember, rubric_of
from feedback.errors import DeskRefused
from feedback.ids import ItemId
from feedback.rubric import Rubric
from feedback.schemas import Rating, Reviewer
from feedback.store.rubrics import versions
from feedback.store.store import Store
from feedback.terminal import progress

OVERLAP = timedelta(minutes=2)
"""Answers of so long before the last pull are asked for again: one may have been dated before it and saved after."""


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


class _Mark(Strict):
    """Where the last pull of a dataset got to."""

    state: dict[str, Any]
    """The dataset as it was then: while it stays so there is nothing to read."""
    rejected: tuple[Rejected, ...]
    unknown: tuple[str, ...]
    kept: int = 0
    submitted: int | None = None
    """Submitted answers in it; None when the server does not tell answers apart."""
    at: AwareDatetime | None = None
    """When they were read, by the server's clock."""


class _Pull:
    """One pull: both ends, and what the store knew when it began."""

    def __init__(self, desk: Desk, store: Store, rubric: Rubric, tally: _Tally) -> None:
        self._desk, self._store, self._rubric, self._tally = desk, store, rubric, tally
        self._rubrics = versions(store)
        self._names = desk.users()
        self._latest: dict[Key, Rating] = {}

    def bring_in(self, dataset: Dataset, *, full: bool) -> None:
        """Store what happened in one dataset, unless nothing did."""
        name = f"pull/{dataset.id}"
        state = {"active_at": dataset.active_at.isoformat(), "records": self._desk.size(dataset), "rubric": self._rubric.hash}
        known = _read_mark(self._store.mark(name))
        if full or known is None or known.state != state:
            self._tally.read.append(dataset.name)
            found = self._changes(dataset, known, state) if known and not full else None
            known, whole = (found, True) if found else self._everything(dataset, state)
            if whole:
                self._store.set_mark(name, known.model_dump_json())
        # What could not be read in an earlier pull still cannot: it is told again and not forgotten.
        self._tally.rejected += known.rejected
        self._tally.unknown.update(known.unknown)
        self._tally.kept += known.kept

    def _changes(self, dataset: Dataset, known: _Mark, state: dict[str, Any]) -> _Mark | None:
        """Store what changed since the last pull; None when that does not lead to what the server holds: something was
        deleted there, or cannot be told apart."""
        if known.at is None or known.submitted is None or known.unknown or known.state["rubric"] != state["rubric"]:
            return None
        if dataset.active_at < datetime.fromisoformat(known.state["active_at"]):
            # The server's clock was set back: what changed since then looks older than the last pull.
            return None
        pages = self._desk.answers(dataset, since=known.at - OVERLAP)
        if pages is None:
            return None
        rubric = rubric_of(dataset, self._rubrics)
        told = {(one.record_id, one.reviewer) for one in known.rejected}
        rejected, submitted, last = {(one.record_id, one.reviewer): one for one in known.rejected}, known.submitted, None
        for page in pages:
            self._remember(page.records)
            changed = [(record, response) for record in page.records for response in record.responses]
            submitted += sum(self._came(record, response, told, dataset) for record, response in changed)
            for record, response in changed:
                rejected.pop((record.id, self._name(response)), None)
            reading = read_records(page.records, dataset=dataset, known=self._known(page.records, rubric))
            if reading.unknown:
                return None
            rejected |= {(one.record_id, one.reviewer): one for one in reading.rejected}
            self._store_ratings([*reading.ratings, *self._taken_back(changed, dataset)])
            last = page
        if last is None or last.submitted != submitted:
            return None
        return _Mark(state=state, rejected=tuple(rejected.values()), unknown=(), kept=known.kept, submitted=submitted, at=last.at)

    def _came(self, record: Record, response: Response, told: set[tuple[str, str]], dataset: Dataset) -> int:
        """1 for an answer that is submitted now and was not at the last pull, -1 the other way round."""
        before = self._latest.get((ItemId(record.item_id or ""), response.user_id))
        was = (record.id, self._name(response)) in told or (
            before is not None and before.answer.kind != "deleted" and before.source.split("/")[0] == dataset.id)
        return (response.status == "submitted") - was

    def _taken_back(self, changed: Iterable[tuple[Record, Response]], dataset: Dataset) -> list[Rating]:
        found = [self._latest.get((ItemId(record.item_id or ""), response.user_id)) for record, response in changed
                 if response.status != "submitted"]
        return [tombstone(rating, at=dataset.active_at) for rating in found
                if rating and rating.answer.kind != "deleted" and rating.source.split("/")[0] == dataset.id]

    def _name(self, response: Response) -> str:
        return self._names.get(response.user_id, response.user_id)

    def _remember(self, records: Iterable[Record]) -> None:
        ids = {ItemId(record.item_id) for record in records if record.item_id}
        self._latest |= {(row.item_id, row.reviewer_id): row for row in self._store.latest_of(ids)}

    def _everything(self, dataset: Dataset, state: dict[str, Any]) -> tuple[_Mark, bool]:
        """Store what the dataset holds; False when it changed meanwhile, so that some may not have been seen."""
        self._latest = {(row.item_id, row.reviewer_id): row for row in self._store.latest_ratings()}
        answers = self._desk.answers(dataset, since=None)
        reading, rubric = Reading(), rubric_of(dataset, self._rubrics)
        if answers is None:
            whole, submitted, at = self._listed(dataset, reading, rubric), None, None
        else:
            whole, submitted, at = self._answered(dataset, answers, reading, rubric)
        kept = self._withdraw(dataset, reading)
        return _Mark(state=state, rejected=tuple(reading.rejected), unknown=tuple(sorted(reading.unknown)), kept=kept,
                     submitted=submitted, at=at), whole

    def _answered(self, dataset: Dataset, pages: Iterable[Answers], into: Reading, rubric: Rubric,
                  ) -> tuple[bool, int, datetime | None]:
        """Read all answers: whether as many came as there are, how many, and since when they are known."""
        came, first, there = 0, None, 0
        with progress(f"Pulling {dataset.name}") as advance:
            for page in pages:
                first, there = first or page.at, page.submitted
                came += sum(response.status == "submitted" for record in page.records for response in record.responses)
                self._take(page.records, dataset, into, rubric)
                advance(len(page.records))
        return came == there, there, first

    def _listed(self, dataset: Dataset, into: Reading, rubric: Rubric) -> bool:
        """Read all records: whether as many were seen as there are."""
        seen, total = set[str](), 0
        with progress(f"Pulling {dataset.name}") as advance:
            for page in self._desk.pages(dataset):
                self._take(page.records, dataset, into, rubric)
                seen |= {record.id for record in page.records}
                total = page.total
                advance(len(page.records))
        return len(seen) == total

    def _take(self, records: Sequence[Record], dataset: Dataset, into: Reading, rubric: Rubric) -> None:
        reading = read_records(records, dataset=dataset, known=self._known(records, rubric))
        self._store_ratings(reading.ratings)
        into.submitted |= reading.submitted
        into.rejected += reading.rejected
        into.unknown |= reading.unknown

    def _known(self, records: Iterable[Record], rubric: Rubric) -> Known:
        ids = {ItemId(record.item_id) for record in records if record.item_id and record.responses}
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

    def _withdraw(self, dataset: Dataset, reading: Reading) -> int:
        """End what is not submitted any more; the number of ratings kept since their reviewer's account is gone."""
        ended, kept = [], 0
        for rating in withdrawn(self._latest, dataset=dataset, submitted=reading.submitted):
            if rating.reviewer_id not in self._names:
                kept += 1
            elif not self._still_submitted(rating):
                ended.append(tombstone(rating, at=dataset.active_at))
        self._store_ratings(ended)
        return kept

    def _still_submitted(self, rating: Rating) -> bool:
        # A listing may miss a record while others are deleted; what looks withdrawn is asked for by name.
        record = self._desk.record(rating.source.split("/")[1])
        responses = record.responses if record else ()
        return any(one.user_id == rating.reviewer_id and one.status == "submitted" for one in responses)


def _read_mark(text: str | None) -> _Mark | None:
    """What the last pull noted; None when there was none, or it was an older Redpen's."""
    try:
        return _Mark.model_validate_json(text or "{}")
    except ValidationError:
        return None
