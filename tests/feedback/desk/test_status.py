"""How far the reviewers are."""

from __future__ import annotations

import pytest

from feedback.config import QueueConfig
from feedback.desk.push import push
from feedback.desk.status import status
from feedback.desk.sync import sync
from feedback.errors import DeskRefused
from feedback.measures import Measured
from feedback.schemas import Queue, VerdictValue
from feedback.store.store import Store
from tests.desk_in_memory import DeskInMemory
from tests.people import a_rate_answer, a_rubric


def test_reviews_missing_are_counted_by_dataset(store: Store, desk: DeskInMemory) -> None:
    push(desk, store, a_rubric())
    double = next(item for item in store.items() if item.reviews == 2)
    desk.submit("sim-anna", double, a_rate_answer())
    desk.submit("sim-anna", store.items(queue=Queue.RATE)[0], a_rate_answer())
    found = {one.name: (one.items, one.pending, one.reviews_missing) for one in status(desk, store).datasets}
    # rate-2: two records of two reviews, one given; rate: three of one, one given.
    assert found == {"rank": (1, 1, 1), "rate": (3, 2, 2), "rate-2": (2, 2, 3)}
    assert status(desk, store).reviews_missing == 6


def test_each_reviewer_has_what_waits_for_them(store: Store, desk: DeskInMemory) -> None:
    push(desk, store, a_rubric())
    one, two, *_ = store.items(queue=Queue.RATE)
    desk.submit("sim-anna", one, a_rate_answer())
    desk.save_draft("sim-anna", two, a_rate_answer())
    desk.accounts[desk.users().popitem()[0]] = "sim-anna"
    (anna,) = status(desk, store).reviewers
    assert (anna.name, anna.simulated, anna.submitted, anna.unfinished, anna.waiting) == ("sim-anna", True, 1, 1, 4)


def test_items_that_no_reviewer_can_see_are_counted(store: Store, desk: DeskInMemory) -> None:
    assert status(desk, store).unpushed == 6
    push(desk, store, a_rubric(), store.items()[:2])
    assert status(desk, store).unpushed == 4
    desk.delete_dataset(desk.datasets()["rate"])
    assert status(desk, store).unpushed == 6


def test_records_that_somebody_deleted_in_argilla_are_counted(store: Store, desk: DeskInMemory) -> None:
    push(desk, store, a_rubric())
    assert status(desk, store).gone == 0
    desk.delete_record(store.items(queue=Queue.RATE)[0])
    assert (status(desk, store).gone, status(desk, store).unpushed) == (1, 0)


def test_ratings_of_people_who_are_gone_are_counted_apart_from_what_is_missing(store: Store, desk: DeskInMemory) -> None:
    item = store.items(queue=Queue.RATE)[0]
    sync(desk, store, a_rubric(), QueueConfig())
    desk.submit("sim-anna", item, a_rate_answer())
    sync(desk, store, a_rubric(), QueueConfig())
    before = status(desk, store)
    desk.delete_user("sim-anna")
    found = status(desk, store)
    assert (before.kept, found.kept) == (0, 1)
    assert found.reviews_missing == before.reviews_missing + item.reviews
    assert store.missing_reviews([item]) == {}


def test_without_a_workspace_it_says_to_run_setup(store: Store) -> None:
    with pytest.raises(DeskRefused, match="run `redpen review setup` first"):
        status(DeskInMemory(), store)


def test_it_tells_the_pace_and_what_is_to_be_settled(store: Store, desk: DeskInMemory) -> None:
    double = next(item for item in store.items() if item.reviews == 2)
    sync(desk, store, a_rubric(), QueueConfig())
    desk.submit("sim-anna", double, a_rate_answer(VerdictValue.CORRECT))
    desk.submit("sim-ben", double, a_rate_answer(VerdictValue.INCORRECT))
    sync(desk, store, a_rubric(), QueueConfig())
    found = status(desk, store, now=desk.now)
    assert (found.to_settle, [(one.round, one.ratings) for one in found.pace.rounds]) == (1, [(1, 2)])
    assert isinstance(found.pace.reviews_per_day, Measured)
    assert found.pace.reviews_per_day.n == 2
