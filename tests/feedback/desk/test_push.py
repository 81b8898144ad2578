"""Pushing: every item once, whatever is interrupted."""

from __future__ import annotations

import pytest

from feedback.desk import push as pushing
from feedback.desk.push import push
from feedback.errors import DeskRefused, DeskUnreachable, StoreError
from feedback.store.store import Store
from tests.desk_in_memory import DeskInMemory
from tests.people import a_completion, a_prompt, a_rate_item, a_rubric


def records(desk: DeskInMemory) -> list[str]:
    return sorted(item for _, held in desk.held.values() for item in held)


def test_every_item_goes_to_the_dataset_of_its_kind(store: Store, desk: DeskInMemory) -> None:
    report = push(desk, store, a_rubric())
    assert report.datasets == {"rank": 1, "rate": 3, "rate-2": 2}
    assert records(desk) == sorted(item.id for item in store.items())


def test_pushing_twice_equals_once(store: Store, desk: DeskInMemory) -> None:
    push(desk, store, a_rubric())
    again = push(desk, store, a_rubric())
    assert (again.pushed, again.already) == (0, 6)
    assert records(desk) == sorted(item.id for item in store.items())


def test_a_push_that_was_interrupted_goes_on_and_makes_no_second_record(
        store: Store, desk: DeskInMemory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pushing, "BATCH", 1)
    desk.upserts_left = 3
    with pytest.raises(DeskUnreachable):
        push(desk, store, a_rubric())
    assert len(records(desk)) == len(store.pushed()) == 3
    desk.upserts_left = None
    assert push(desk, store, a_rubric()).pushed == 3
    assert records(desk) == sorted(item.id for item in store.items())


def test_a_record_that_was_made_but_not_noted_is_found_again(store: Store, desk: DeskInMemory) -> None:
    push(desk, store, a_rubric(), store.items()[:1])
    made = store.items()[1]
    desk.upsert(desk.datasets()["rate"], pushing.drafts(store, [made]))
    assert push(desk, store, a_rubric()).pushed == 5
    assert list(store.pushed()[made.id]) == [f"{desk.datasets()['rate'].id}/record-{made.id}"]
    assert len(records(desk)) == 6


def test_items_go_again_to_a_dataset_that_was_made_anew(store: Store, desk: DeskInMemory) -> None:
    push(desk, store, a_rubric())
    desk.delete_dataset(desk.datasets()["rate"])
    assert push(desk, store, a_rubric()).datasets == {"rate": 3}


def test_only_the_items_asked_for_are_pushed(store: Store, desk: DeskInMemory) -> None:
    assert push(desk, store, a_rubric(), store.items()[:1]).pushed == 1
    assert set(desk.datasets()) == {"rate"}


def test_without_a_workspace_it_says_to_run_setup(store: Store) -> None:
    with pytest.raises(DeskRefused, match="run `redpen review setup` first"):
        push(DeskInMemory(), store, a_rubric())


def test_an_item_whose_answer_is_not_in_the_store_is_named(store: Store, desk: DeskInMemory) -> None:
    missing = a_completion(a_prompt(), 7)
    store.add_items([a_rate_item(missing)])
    with pytest.raises(StoreError, match=missing.id):
        push(desk, store, a_rubric())


def test_reviewers_cannot_tell_an_audit_item_from_its_place_in_the_queue(store: Store, desk: DeskInMemory) -> None:
    push(desk, store, a_rubric())
    for _, held in desk.held.values():
        assert list(held) == sorted(held)
        assert all(set(one.draft.metadata) == {"redpen_item"} for one in held.values())
