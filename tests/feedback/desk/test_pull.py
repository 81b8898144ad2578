"""Pulling: what was submitted, each change a version, each withdrawal a tombstone, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from feedback.desk.codec import RecordDraft
from feedback.desk.pull import PullReport, pull
from feedback.desk.push import push
from feedback.errors import DeskRefused, StoreError
from feedback.ids import ItemId
from feedback.schemas import Queue, RankAnswer, ReviewItem, VerdictValue
from feedback.store.store import Store
from tests.desk_in_memory import DeskInMemory
from tests.people import a_rate_answer, a_reviewer, a_rubric

WRONG = a_rate_answer(VerdictValue.INCORRECT)


@pytest.fixture
def rated(store: Store, desk: DeskInMemory) -> ReviewItem:
    """Everything pushed; the first rate item answered by sim-anna and pulled."""
    push(desk, store, a_rubric())
    item = store.items(queue=Queue.RATE)[0]
    desk.submit("sim-anna", item, a_rate_answer())
    pull(desk, store, a_rubric())
    return item


def told(report: PullReport) -> tuple[int, int, int]:
    return (report.new, report.changed, report.deleted)


def test_a_submitted_answer_is_stored_with_who_when_and_where(store: Store, desk: DeskInMemory, rated: ReviewItem) -> None:
    (rating,) = store.ratings()
    assert (rating.item_id, rating.version, rating.answer) == (rated.id, 1, a_rate_answer())
    assert rating.submitted_at == desk.now
    assert rating.source.split("/")[1:] == [f"record-{rated.id}", f"response-{rated.id}-user-sim-anna"]
    assert [(person.name, person.simulated) for person in store.reviewers()] == [("sim-anna", True)]


def test_people_are_not_called_simulated(store: Store, desk: DeskInMemory, rated: ReviewItem) -> None:
    desk.submit("owner", rated, a_rate_answer())
    pull(desk, store, a_rubric())
    assert {person.name: person.simulated for person in store.reviewers()} == {"sim-anna": True, "owner": False}


def test_a_ranking_is_stored_by_completion_and_not_by_place(store: Store, desk: DeskInMemory) -> None:
    push(desk, store, a_rubric())
    (item,) = store.items(queue=Queue.RANK)
    one, two, three, four = item.completion_ids
    answer = RankAnswer(tiers=((three,), tuple(sorted((one, four))), (two,)), rewrite="Better.")
    desk.submit("sim-anna", item, answer)
    assert told(pull(desk, store, a_rubric())) == (1, 0, 0)
    assert store.ratings()[0].answer == answer


def test_drafts_and_discarded_answers_are_never_stored(store: Store, desk: DeskInMemory, rated: ReviewItem) -> None:
    desk.save_draft("sim-boris", rated, a_rate_answer())
    desk.discard("sim-carla", rated)
    assert told(pull(desk, store, a_rubric())) == (0, 0, 0)
    assert len(store.ratings()) == 1


def test_pulling_twice_equals_once(store: Store, desk: DeskInMemory, rated: ReviewItem) -> None:
    before = store.ratings()
    assert told(pull(desk, store, a_rubric(), full=True)) == (0, 0, 0)
    assert store.ratings() == before


def test_a_dataset_without_activity_is_not_listed_again(store: Store, desk: DeskInMemory, rated: ReviewItem) -> None:
    desk.reads.clear()
    assert pull(desk, store, a_rubric()).datasets_read == ()
    assert desk.reads == []
    desk.submit("sim-boris", rated, WRONG)
    assert pull(desk, store, a_rubric()).datasets_read == ("rate",)


def test_a_changed_answer_is_a_new_version(store: Store, desk: DeskInMemory, rated: ReviewItem) -> None:
    desk.submit("sim-anna", rated, WRONG)
    assert told(pull(desk, store, a_rubric())) == (0, 1, 0)
    assert [(rating.version, rating.answer) for rating in store.ratings()] == [(1, a_rate_answer()), (2, WRONG)]
    assert [rating.version for rating in store.live_ratings()] == [2]


@pytest.mark.parametrize("jump", [timedelta(hours=-3), timedelta(days=400)])
def test_a_server_whose_clock_jumps_keeps_no_change_from_the_store(store: Store, desk: DeskInMemory, rated: ReviewItem,
                                                                  jump: timedelta) -> None:
    desk.now += jump
    desk.submit("sim-anna", rated, WRONG)
    assert told(pull(desk, store, a_rubric())) == (0, 1, 0)
    desk.now -= jump
    desk.submit("sim-anna", rated, a_rate_answer())
    assert told(pull(desk, store, a_rubric())) == (0, 1, 0)


def test_the_same_answer_submitted_again_is_no_new_version(store: Store, desk: DeskInMemory, rated: ReviewItem) -> None:
    desk.submit("sim-anna", rated, a_rate_answer())
    assert told(pull(desk, store, a_rubric())) == (0, 0, 0)


@pytest.mark.parametrize("withdraw", [
    lambda desk, item: desk.delete_response("sim-anna", item),
    lambda desk, item: desk.delete_record(item),
    lambda desk, item: desk.save_draft("sim-anna", item, a_rate_answer()),
    lambda desk, item: desk.discard("sim-anna", item),
], ids=["response deleted", "record deleted", "back to draft", "discarded"])
def test_a_withdrawn_answer_ends_in_one_tombstone(
        store: Store, desk: DeskInMemory, rated: ReviewItem, withdraw: Callable[[DeskInMemory, ReviewItem], None]) -> None:
    withdraw(desk, rated)
    assert told(pull(desk, store, a_rubric())) == (0, 0, 1)
    assert told(pull(desk, store, a_rubric(), full=True)) == (0, 0, 0)
    assert store.live_ratings() == []
    assert [rating.answer.kind for rating in store.ratings()] == ["rate", "deleted"]


def test_an_answer_given_again_after_its_deletion_lives_again(store: Store, desk: DeskInMemory, rated: ReviewItem) -> None:
    desk.delete_response("sim-anna", rated)
    pull(desk, store, a_rubric())
    desk.submit("sim-anna", rated, a_rate_answer())
    pull(desk, store, a_rubric())
    assert [(rating.version, rating.answer) for rating in store.live_ratings()] == [(3, a_rate_answer())]


def test_ratings_of_a_deleted_account_are_kept(store: Store, desk: DeskInMemory, rated: ReviewItem) -> None:
    desk.delete_user("sim-anna")
    report = pull(desk, store, a_rubric(), full=True)
    assert (report.deleted, report.kept) == (0, 1)
    assert len(store.live_ratings()) == 1


def test_an_unreadable_answer_is_rejected_by_name_and_the_rest_is_stored(
        store: Store, desk: DeskInMemory, rated: ReviewItem) -> None:
    good, bad = store.items(queue=Queue.RATE)[1:3]
    desk.submit("sim-anna", bad, {"accuracy": 99})
    desk.submit("sim-anna", good, WRONG)
    report = pull(desk, store, a_rubric())
    assert (report.new, [one.record_id for one in report.rejected]) == (1, [f"record-{bad.id}"])
    assert report.rejected[0].reviewer == "sim-anna"
    assert any("accuracy: found 99" in problem for problem in report.rejected[0].problems)
    assert pull(desk, store, a_rubric()).rejected == report.rejected


def test_a_change_that_cannot_be_read_leaves_the_version_before_it(
        store: Store, desk: DeskInMemory, rated: ReviewItem) -> None:
    desk.submit("sim-anna", rated, {"verdict": "correct"})
    assert len(pull(desk, store, a_rubric()).rejected) == 1
    assert [rating.answer for rating in store.live_ratings()] == [a_rate_answer()]


def test_an_answered_record_that_is_no_item_is_told(store: Store, desk: DeskInMemory, rated: ReviewItem) -> None:
    stranger = rated.model_copy(update={"id": ItemId("item-stranger")})
    desk.upsert(desk.datasets()["rate"], [RecordDraft(item_id=stranger.id, fields={"answer": "x"}, metadata={})])
    desk.submit("sim-anna", stranger, a_rate_answer())
    assert pull(desk, store, a_rubric()).unknown_items == ("item-stranger",)


def test_a_listing_that_misses_a_record_withdraws_nothing(
        store: Store, desk: DeskInMemory, rated: ReviewItem, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = desk.pages
    monkeypatch.setattr(desk, "pages", lambda dataset: list(whole(dataset))[1:])
    desk.submit("sim-boris", store.items(queue=Queue.RATE)[1], WRONG)
    assert pull(desk, store, a_rubric(), full=True).deleted == 0
    monkeypatch.undo()
    assert pull(desk, store, a_rubric()).datasets_read == ("rate",)


def test_a_pull_stopped_half_way_ends_with_the_same_ratings(
        store: Store, desk: DeskInMemory, monkeypatch: pytest.MonkeyPatch) -> None:
    push(desk, store, a_rubric())
    items = store.items(queue=Queue.RATE)
    for item in items:
        desk.submit("sim-anna", item, a_rate_answer())
    append, calls = store.append_ratings, []
    monkeypatch.setattr(store, "append_ratings", lambda ratings: append(ratings) if not calls and not calls.append(1) else stop())
    with pytest.raises(StoreError, match="stopped"):
        pull(desk, store, a_rubric())
    monkeypatch.undo()
    pull(desk, store, a_rubric())
    assert {(rating.item_id, rating.version) for rating in store.ratings()} == {(item.id, 1) for item in items}


def stop() -> int:
    raise StoreError("stopped")


def test_other_datasets_of_the_workspace_are_left_alone(store: Store, desk: DeskInMemory, rated: ReviewItem) -> None:
    dataset, records = desk.held["rate"]
    desk.held["my-own-notes"] = (replace(dataset, name="my-own-notes", id="notes"), records)
    desk.reads.clear()
    pull(desk, store, a_rubric(), full=True)
    assert desk.reads == ["rank", "rate", "rate-2"]


def test_without_a_workspace_it_says_to_run_setup(store: Store) -> None:
    with pytest.raises(DeskRefused, match="run `redpen review setup` first"):
        pull(DeskInMemory(), store, a_rubric())


@pytest.fixture
def telling(desk: DeskInMemory) -> DeskInMemory:
    """A server that tells which answers changed."""
    desk.tells_answers = True
    return desk


def test_a_server_that_tells_answers_apart_is_asked_only_for_what_changed(store: Store, telling: DeskInMemory) -> None:
    one, two, *_ = store.items(queue=Queue.RATE)
    push(telling, store, a_rubric())
    telling.submit("sim-anna", one, a_rate_answer())
    assert pull(telling, store, a_rubric()).new == 1
    telling.reads.clear()
    telling.submit("sim-anna", two, a_rate_answer())
    telling.submit("sim-anna", one, a_rate_answer(VerdictValue.INCORRECT))
    report = pull(telling, store, a_rubric())
    assert (report.new, report.changed, telling.reads) == (1, 1, ["rate since"])


def test_what_was_taken_back_or_deleted_is_noticed_there_as_well(store: Store, telling: DeskInMemory) -> None:
    one, two, three = [item for item in store.items(queue=Queue.RATE) if item.reviews == 1]
    push(telling, store, a_rubric())
    for item in (one, two, three):
        telling.submit("sim-anna", item, a_rate_answer())
    pull(telling, store, a_rubric())
    telling.reads.clear()
    telling.save_draft("sim-anna", one, a_rate_answer())
    assert (pull(telling, store, a_rubric()).deleted, telling.reads) == (1, ["rate since"])
    telling.delete_response("sim-anna", two)
    assert (pull(telling, store, a_rubric()).deleted, telling.reads) == (1, ["rate since", "rate since", "rate"])
    telling.delete_record(three)
    assert pull(telling, store, a_rubric()).deleted == 1
    assert store.live_ratings() == []


def test_an_answer_that_could_not_be_read_is_told_until_it_is_mended(store: Store, telling: DeskInMemory) -> None:
    one, two, *_ = store.items(queue=Queue.RATE)
    push(telling, store, a_rubric())
    telling.submit("sim-anna", one, {"verdict": "correct", "accuracy": 99})
    assert len(pull(telling, store, a_rubric()).rejected) == 1
    telling.submit("sim-ben", two, a_rate_answer())
    assert len(pull(telling, store, a_rubric()).rejected) == 1
    telling.submit("sim-anna", one, a_rate_answer())
    report = pull(telling, store, a_rubric())
    assert (report.new, report.rejected, telling.reads[-1]) == (1, (), "rate since")


def test_a_renamed_or_deleted_reviewer_keeps_their_ratings(store: Store, telling: DeskInMemory) -> None:
    one, two, *_ = store.items(queue=Queue.RATE)
    push(telling, store, a_rubric())
    telling.submit("sim-anna", one, a_rate_answer())
    pull(telling, store, a_rubric())
    telling.accounts[a_reviewer("sim-anna").id] = "sim-anna-maria"
    telling.submit("sim-anna", two, a_rate_answer())
    pull(telling, store, a_rubric())
    assert [reviewer.name for reviewer in store.reviewers()] == ["sim-anna-maria"]
    telling.delete_user("sim-anna")
    telling.submit("sim-ben", one, a_rate_answer())
    report = pull(telling, store, a_rubric())
    assert (report.new, report.deleted, report.kept, len(store.live_ratings())) == (1, 0, 2, 3)
