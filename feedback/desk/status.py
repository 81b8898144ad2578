"""How far the reviewers are: what waits, and for whom."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime

from feedback.config import Strict
from feedback.desk.crew import Crew, crew_of
from feedback.desk.desk import Counts, Dataset, Desk, Progress, is_simulated
from feedback.desk.layout import is_review_dataset
from feedback.desk.pace import Pace, pace
from feedback.desk.routing import Router
from feedback.errors import DeskRefused
from feedback.schemas import ReviewItem
from feedback.store.store import Store


class DatasetStatus(Strict):
    """One dataset."""

    name: str
    items: int
    """Records in Argilla."""
    pending: int
    """Records that wait for more reviews."""
    reviews_missing: int
    """Reviews until no record waits."""


class ReviewerStatus(Strict):
    """One reviewer, over all datasets."""

    name: str
    simulated: bool
    submitted: int
    waiting: int
    """Records that wait for reviews, that this person may review and has neither submitted nor set aside."""
    unfinished: int
    """Drafts and discarded answers on records that wait."""


class DeskStatus(Strict):
    """The whole desk."""

    workspace: str
    datasets: tuple[DatasetStatus, ...]
    reviewers: tuple[ReviewerStatus, ...]
    unpushed: int
    """Items of the store that no reviewer can see yet: run `redpen review push`."""
    gone: int
    """Items whose records were deleted in Argilla: nobody is asked about them any more."""
    stuck: int
    """Reviews that nobody is left to give: everybody whom the item is for has given one already."""
    kept: int
    """Ratings of people whose account is gone: Argilla asks for as many reviews anew, and no round waits for those."""
    to_settle: int
    """Items on which reviewers are split that still wait for one person's word."""
    pace: Pace

    @property
    def reviews_missing(self) -> int:
        """Reviews until nothing waits."""
        return sum(dataset.reviews_missing for dataset in self.datasets)


def status(desk: Desk, store: Store, *, router: Router | None = None, now: datetime | None = None) -> DeskStatus:
    """Where the reviews stand, by dataset and by reviewer, as Argilla counts them now; the pace is that of the ratings pulled."""
    if not desk.has_workspace():
        raise DeskRefused(f"workspace {desk.workspace!r} does not exist in Argilla; run `redpen review setup` first")
    found = {dataset.name: dataset for dataset in desk.datasets().values() if dataset.ready and is_review_dataset(dataset.name)}
    counted = {name: desk.progress(dataset) for name, dataset in found.items()}
    waiting = {name: desk.waiting(dataset) for name, dataset in found.items()}
    crew = crew_of(desk, store, router)
    people = sorted(crew.reviewers | {user for one in counted.values() for user in one.users})
    there = {dataset.id for dataset in found.values()}
    shown = {item_id for item_id, records in store.pushed().items() if any(one.split("/")[0] in there for one in records)}
    held = Counter(one.split("/")[0] for records in store.pushed().values() for one in records)
    datasets, items = tuple(_dataset(found[name], counted[name]) for name in sorted(found)), store.items()
    missing = sum(dataset.reviews_missing for dataset in datasets)
    by_id, at = {item.id: item for item in items}, now or datetime.now(UTC)
    return DeskStatus(workspace=desk.workspace, datasets=datasets,
                      reviewers=tuple(_reviewer(name, [(counted[one], waiting[one]) for one in found]) for name in people),
                      gone=sum(max(0, held[one.id] - counted[name].records) for name, one in found.items()),
                      unpushed=sum(item.id not in shown for item in items),
                      stuck=_stuck(crew, store, [item for item in items if item.id in shown]),
                      kept=_kept(crew, store),
                      to_settle=len(store.missing_reviews(item for item in items if item.settles)),
                      pace=pace(store.ratings(), by_id, missing=missing, now=at))


def _stuck(crew: Crew, store: Store, items: Iterable[ReviewItem]) -> int:
    by_id = {item.id: item for item in items}
    missing = store.missing_reviews(by_id.values())
    left = crew.left(store, (by_id[item] for item in missing)) if missing else {}
    return sum(max(0, count - len(left[item])) for item, count in missing.items())


def _kept(crew: Crew, store: Store) -> int:
    gone = {reviewer.id for reviewer in store.reviewers()} - crew.names.keys()
    return sum(rating.reviewer_id in gone for rating in store.live_ratings()) if gone else 0


def _dataset(dataset: Dataset, progress: Progress) -> DatasetStatus:
    given = sum(counts.submitted_on_pending for counts in progress.users.values())
    return DatasetStatus(name=dataset.name, items=progress.records, pending=progress.pending,
                         reviews_missing=progress.reviews_wanted - given)


def _reviewer(name: str, datasets: list[tuple[Progress, dict[str, int] | None]]) -> ReviewerStatus:
    counts = [progress.users.get(name, Counts(0, 0, 0)) for progress, _ in datasets]
    waiting = [_untouched(progress, own) if routed is None else routed.get(name, 0)
               for (progress, routed), own in zip(datasets, counts, strict=True)]
    return ReviewerStatus(name=name, simulated=is_simulated(name),
                          submitted=sum(one.submitted_on_pending + one.submitted_on_completed for one in counts),
                          waiting=sum(waiting), unfinished=sum(one.unfinished_on_pending for one in counts))


def _untouched(progress: Progress, counts: Counts) -> int:
    return progress.pending - counts.submitted_on_pending - counts.unfinished_on_pending
