"""Further reviews go where a verdict is open; people's disagreement goes to one person, whose word stands."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from feedback.aggregation.agreement import agreement
from feedback.aggregation.verdicts import aggregate
from feedback.config import QueueConfig
from feedback.desk.pull import pull
from feedback.desk.sync import Exchanged, sync
from feedback.schemas import Queue, RateAnswer, ReviewItem, VerdictValue
from feedback.store.quarantine import decide
from feedback.store.snapshot import gather
from feedback.store.store import Store
from tests.desk_in_memory import DeskInMemory
from tests.people import a_ranking, a_rate_answer, a_rubric

RIGHT, WRONG = a_rate_answer(VerdictValue.CORRECT), a_rate_answer(VerdictValue.INCORRECT)
NOW = datetime(2026, 11, 25, tzinfo=UTC)
MORE = QueueConfig(most_reviews=3, sure=0.85)


def go(desk: DeskInMemory, store: Store, queues: QueueConfig = MORE) -> Exchanged:
    desk.invite(*(f"sim-{name}" for name in (0, 1, 2, 9, "other")))
    return sync(desk, store, a_rubric(), queues)


@pytest.fixture
def single(store: Store) -> ReviewItem:
    """One answer to be rated by one person."""
    return next(item for item in store.items(queue=Queue.RATE) if item.reviews == 1)


@pytest.fixture
def double(store: Store) -> ReviewItem:
    """One answer to be rated by two people."""
    return next(item for item in store.items(queue=Queue.RATE) if item.reviews == 2)


def answer(desk: DeskInMemory, item: ReviewItem, *answers: RateAnswer) -> None:
    for number, given in enumerate(answers):
        desk.submit(f"sim-{number}", item, given)


def test_one_more_review_is_asked_for_once_and_only_where_the_verdict_is_not_sharp(
        desk: DeskInMemory, store: Store, single: ReviewItem) -> None:
    go(desk, store)
    answer(desk, single, RIGHT)
    assert go(desk, store).asked.again == 1  # one word is right in 0.8, below 0.85
    (more,) = [item for item in store.items() if item.again]
    assert (more.completion_ids, more.again, store.missing_reviews([more])) == (single.completion_ids, 1, {more.id: 1})
    assert go(desk, store).asked.again == 0
    desk.submit("sim-other", more, RIGHT)
    assert go(desk, store).asked.again == 0  # two agree


def test_nobody_is_asked_for_more_unless_the_project_says_so(desk: DeskInMemory, store: Store, single: ReviewItem) -> None:
    go(desk, store)
    answer(desk, single, RIGHT)
    assert go(desk, store, QueueConfig()).asked.model_dump() == {"again": 0, "to_settle": 0}


def test_a_review_that_does_not_count_any_more_is_asked_for_again_once(
        desk: DeskInMemory, store: Store, double: ReviewItem) -> None:
    go(desk, store, QueueConfig())
    answer(desk, double, RIGHT, RIGHT)
    assert go(desk, store, QueueConfig()).asked.again == 0
    decide(store, "sim-1", lift=False, actor="lead", reason="guesses", at=NOW)
    assert go(desk, store, QueueConfig()).asked.again == 1
    (more,) = [item for item in store.items() if item.again]
    assert store.missing_reviews([double, more]) == {more.id: 1}
    assert go(desk, store, QueueConfig()).asked.again == 0
    desk.submit("sim-2", more, RIGHT)
    assert go(desk, store, QueueConfig()).asked.again == 0


def test_a_ranking_asked_again_is_one_with_its_first(desk: DeskInMemory, store: Store) -> None:
    (item,) = store.items(queue=Queue.RANK)
    again = ReviewItem.of(queue=Queue.RANK, purpose=item.purpose, round=item.round, prompt_id=item.prompt_id,
                          completion_ids=item.completion_ids, again=1)
    store.add_items([again])
    go(desk, store, QueueConfig())
    best, *others = item.completion_ids
    for name, one in (("sim-0", item), ("sim-1", again)):
        desk.submit(name, one, a_ranking([best], others))
    pull(desk, store, a_rubric())
    (verdict,) = aggregate(gather(store, store.live_ratings(), a_rubric())).rank
    assert (verdict.item_id, verdict.best, len(verdict.sources.reviewers)) == (item.id, best, 2)


def test_by_chance_a_sharp_verdict_gets_a_second_review(desk: DeskInMemory, store: Store, single: ReviewItem) -> None:
    go(desk, store)
    answer(desk, single, RIGHT)
    assert go(desk, store, QueueConfig(second_review_share=1.0, sure=0.6)).asked.again == 1


def test_what_people_are_split_on_is_settled_by_one_who_sees_what_was_said_and_no_names(
        desk: DeskInMemory, store: Store, double: ReviewItem) -> None:
    go(desk, store)
    desk.submit("sim-0", double, RIGHT.model_copy(update={"comment": "All there."}))
    desk.submit("sim-1", double, WRONG)
    assert go(desk, store, QueueConfig()).asked.to_settle == 1
    (settling,) = [item for item in store.items() if item.settles == double.id]
    told = desk.held["settle-rate"][1][settling.id].draft.fields["earlier"]
    assert "Reviewer A" in told
    assert "comment: All there." in told
    assert "sim-" not in told
    desk.submit("sim-9", settling, WRONG)
    go(desk, store, QueueConfig())
    (verdict,) = aggregate(gather(store, store.live_ratings(), a_rubric())).rate
    assert (verdict.outcome, len(verdict.sources.ratings)) == (VerdictValue.INCORRECT, 1)


def test_an_item_may_be_settled_once_and_a_settled_one_is_not_asked_about_again(
        desk: DeskInMemory, store: Store, double: ReviewItem) -> None:
    go(desk, store)
    answer(desk, double, RIGHT, WRONG)
    go(desk, store, QueueConfig())
    answer(desk, double, WRONG, RIGHT)  # both change their minds
    assert go(desk, store, QueueConfig()).asked.model_dump() == {"again": 0, "to_settle": 0}
    assert len([item for item in store.items() if item.settles]) == 1


def test_a_split_ranking_is_settled_with_the_rankings_before_it_in_sight(desk: DeskInMemory, store: Store) -> None:
    (item,) = store.items(queue=Queue.RANK)
    two = ReviewItem.of(queue=Queue.RANK, purpose=item.purpose, round=1, prompt_id=item.prompt_id, reviews=2,
                        completion_ids=item.completion_ids[:2])
    store.add_items([two])
    go(desk, store)
    first, second = two.completion_ids
    desk.submit("sim-0", two, a_ranking([first], [second]))
    desk.submit("sim-1", two, a_ranking([second], [first]))
    assert go(desk, store, QueueConfig()).asked.to_settle == 1
    (settling,) = [one for one in store.items() if one.settles]
    assert ", then " in desk.held["settle-rank-of-2"][1][settling.id].draft.fields["earlier"]


def test_a_stop_between_pull_and_follow_up_loses_nothing(desk: DeskInMemory, store: Store, double: ReviewItem) -> None:
    go(desk, store)
    answer(desk, double, RIGHT, WRONG)
    pull(desk, store, a_rubric())  # and then the process ends
    assert go(desk, store, QueueConfig()).asked.to_settle == 1


def test_who_settles_an_item_counts_for_no_agreement(desk: DeskInMemory, store: Store, double: ReviewItem) -> None:
    go(desk, store)
    answer(desk, double, RIGHT, WRONG)
    go(desk, store, QueueConfig())
    before = agreement(gather(store, store.live_ratings(), a_rubric()))
    (settling,) = [item for item in store.items() if item.settles]
    desk.submit("sim-9", settling, WRONG)
    pull(desk, store, a_rubric())
    assert agreement(gather(store, store.live_ratings(), a_rubric())) == before
