"""Records as Argilla holds them, compared with what the store knows: which ratings are new. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from feedback.config import Strict
from feedback.desk.codec import decode_answer
from feedback.desk.desk import Dataset, Record, Response
from feedback.errors import InvalidInput
from feedback.ids import CompletionId, ItemId, ReviewerId
from feedback.rubric import Rubric
from feedback.schemas import Completion, Deleted, RankAnswer, RateAnswer, Rating, ReviewItem

Key = tuple[ItemId, ReviewerId]
"""What has versions: one reviewer's answer to one item."""


class Rejected(Strict):
    """A submitted answer that cannot be read; it was not stored."""

    record_id: str
    item_id: str
    reviewer: str
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Known:
    """What the store knows of some records."""

    items: Mapping[ItemId, ReviewItem]
    completions: Mapping[CompletionId, Completion]
    latest: Mapping[Key, Rating]
    """The highest version of each answer, tombstones included."""
    names: Mapping[ReviewerId, str]
    rubric: Rubric

    @cached_property
    def rubric_hash(self) -> str:
        """Taken once: for each of a hundred thousand answers it would be a third of the work."""
        return self.rubric.hash


@dataclass
class Reading:
    """What some records hold."""

    ratings: list[Rating] = field(default_factory=list)
    """New ones and new versions."""
    submitted: set[Key] = field(default_factory=set)
    """Everything that is submitted now, readable or not."""
    rejected: list[Rejected] = field(default_factory=list)
    unknown: set[str] = field(default_factory=set)
    """External ids of answered records that are no items of the store."""


def read_records(records: Iterable[Record], *, dataset: Dataset, known: Known) -> Reading:
    """The ratings in these records that the store does not hold yet. Drafts and discarded answers are passed over."""
    reading = Reading()
    for record in records:
        for response in record.responses:
            if response.status != "submitted":
                continue
            item = known.items.get(ItemId(record.item_id or ""))
            if item is None:
                reading.unknown.add(record.item_id or f"record {record.id}")
                continue
            reading.submitted.add((item.id, response.user_id))
            _read_response(response, item=item, source=f"{dataset.id}/{record.id}/{response.id}", known=known, into=reading)
    return reading


def _read_response(response: Response, *, item: ReviewItem, source: str, known: Known, into: Reading) -> None:
    before = known.latest.get((item.id, response.user_id))
    if before is not None and (before.submitted_at, before.source) == (response.updated_at, source):
        return
    try:
        answer = decode_answer(response.values, item=item, completions=known.completions, rubric=known.rubric)
    except InvalidInput as error:
        into.rejected.append(Rejected(record_id=source.split("/")[1], item_id=item.id, problems=error.problems,
                                      reviewer=known.names.get(response.user_id, response.user_id)))
        return
    if before is None or before.answer != answer:
        into.ratings.append(_next_version(before, answer, item.id, response, source=source, rubric=known.rubric_hash))


def _next_version(before: Rating | None, answer: RateAnswer | RankAnswer, item_id: ItemId, response: Response, *,
                  source: str, rubric: str) -> Rating:
    return Rating.of(item_id=item_id, reviewer_id=response.user_id, version=before.version + 1 if before else 1, answer=answer,
                     rubric=rubric, submitted_at=response.updated_at, source=source)


def withdrawn(latest: Mapping[Key, Rating], *, dataset: Dataset, submitted: set[Key]) -> list[Rating]:
    """Live ratings that came from this dataset and are not submitted in it any more."""
    return [rating for key, rating in latest.items() if rating.answer.kind != "deleted" and key not in submitted
            and rating.source.split("/")[0] == dataset.id]


def tombstone(rating: Rating, *, at: datetime) -> Rating:
    """The version that ends a rating. It is never dated before the version it ends."""
    return Rating.of(item_id=rating.item_id, reviewer_id=rating.reviewer_id, version=rating.version + 1, answer=Deleted(),
                     rubric=rating.rubric, submitted_at=max(at, rating.submitted_at), source=rating.source)
