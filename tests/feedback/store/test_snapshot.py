"""Snapshots: the same ratings, the same bytes; and nothing that was not rated."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from feedback.errors import LineageError, NothingToDo
from feedback.ids import PromptId
from feedback.schemas import Deleted, Purpose, ReviewItem
from feedback.store.snapshot import contents_now, read_snapshot, seal
from feedback.store.store import Store
from tests.people import START, a_completion, a_prompt, a_rank_item, a_ranking, a_rate_item, a_rating, a_reviewer, a_rubric

ANNA = a_reviewer("sim-anna")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store.db") as opened:
        yield opened


def queue(store: Store, number: int, *, purpose: Purpose = Purpose.TRAIN, round: int = 1) -> ReviewItem:
    prompt = a_prompt(number)
    store.add_prompts([prompt])
    store.add_completions([a_completion(prompt)])
    item = a_rate_item(a_completion(prompt), purpose=purpose, round=round)
    store.add_items([item])
    store.add_reviewers([ANNA])
    return item


def test_a_snapshot_reads_back_what_was_sealed(store: Store, tmp_path: Path) -> None:
    prompt = a_prompt()
    pair = [a_completion(prompt, 0), a_completion(prompt, 1)]
    item = a_rank_item(pair)
    store.add_prompts([prompt])
    store.add_completions(pair)
    store.add_items([item])
    store.add_reviewers([ANNA])
    rating = a_rating(item.id, ANNA, a_ranking([pair[1].id], [pair[0].id]))
    store.append_ratings([rating])
    manifest = seal(store, purpose=Purpose.TRAIN, rounds=[1], rubric=a_rubric(), out=tmp_path / "01")
    snapshot = read_snapshot(tmp_path / "01")
    assert snapshot.hash == manifest.hash
    assert snapshot.ratings == (rating,)
    assert snapshot.prompt(prompt.id) == prompt
    assert snapshot.item(item.id).completion_ids == item.completion_ids
    assert [snapshot.completion(one.id) for one in pair] == pair
    assert (snapshot.reviewer(ANNA.id), snapshot.rubric) == (ANNA, a_rubric())


def test_sealing_the_same_ratings_twice_gives_the_same_hash(store: Store, tmp_path: Path) -> None:
    store.append_ratings([a_rating(queue(store, number).id, ANNA) for number in (2, 0, 1)])
    first = seal(store, purpose=None, rounds=None, rubric=a_rubric(), out=tmp_path / "a", until=START + timedelta(hours=1))
    queue(store, 7)
    store.append_ratings([a_rating(queue(store, 8).id, ANNA, minutes=90)])
    second = seal(store, purpose=None, rounds=None, rubric=a_rubric(), out=tmp_path / "b", until=START + timedelta(minutes=80))
    assert first.hash == second.hash
    assert [record.sha256 for record in first.outputs] == [record.sha256 for record in second.outputs]


def test_only_the_rounds_and_the_purpose_asked_for_are_sealed(store: Store, tmp_path: Path) -> None:
    train = queue(store, 0, round=1)
    audit = queue(store, 1, purpose=Purpose.AUDIT, round=2)
    queue(store, 2, round=1)
    store.append_ratings([a_rating(item.id, ANNA) for item in (train, audit)])
    seal(store, purpose=Purpose.AUDIT, rounds=[2], rubric=a_rubric(), out=tmp_path / "audit")
    seal(store, purpose=Purpose.TRAIN, rounds=None, rubric=a_rubric(), out=tmp_path / "train")
    assert [item.id for item in read_snapshot(tmp_path / "audit").items] == [audit.id]
    assert [item.id for item in read_snapshot(tmp_path / "train").items] == [train.id]


def test_tombstones_are_left_out_and_counted(store: Store, tmp_path: Path) -> None:
    kept, gone = queue(store, 0), queue(store, 1)
    store.append_ratings([a_rating(kept.id, ANNA), a_rating(gone.id, ANNA), a_rating(gone.id, ANNA, Deleted(), version=2)])
    manifest = seal(store, purpose=None, rounds=None, rubric=a_rubric(), out=tmp_path / "01")
    assert (manifest.counts["ratings"], manifest.counts["ratings_deleted"]) == (1, 1)
    assert [item.id for item in read_snapshot(tmp_path / "01").items] == [kept.id]


def test_no_ratings_yet_is_not_an_empty_snapshot(store: Store, tmp_path: Path) -> None:
    with pytest.raises(NothingToDo, match="no train items of round 1 to review yet"):
        seal(store, purpose=Purpose.TRAIN, rounds=[1], rubric=a_rubric(), out=tmp_path / "01")
    queue(store, 0)
    with pytest.raises(NothingToDo, match=r"no ratings yet; train items of round 1 .*: 1; .*redpen review pull"):
        seal(store, purpose=Purpose.TRAIN, rounds=[1], rubric=a_rubric(), out=tmp_path / "01")
    assert not (tmp_path / "01").exists()


def test_a_project_without_reviews_is_told_in_words(store: Store) -> None:
    with pytest.raises(NothingToDo, match="no items to review yet; queue some"):
        contents_now(store, a_rubric())
    queue(store, 0)
    with pytest.raises(NothingToDo, match="no ratings yet; items that wait for some: 1;"):
        contents_now(store, a_rubric())


def test_one_changed_byte_is_named(store: Store, tmp_path: Path) -> None:
    store.append_ratings([a_rating(queue(store, 0).id, ANNA)])
    seal(store, purpose=None, rounds=None, rubric=a_rubric(), out=tmp_path / "01")
    path = tmp_path / "01" / "ratings.jsonl"
    path.write_text(path.read_text(encoding="utf-8").replace("correct", "correcd"), encoding="utf-8")
    with pytest.raises(LineageError, match=r"ratings\.jsonl: altered"):
        read_snapshot(tmp_path / "01")


def test_what_a_snapshot_does_not_hold_is_an_error_and_not_a_none(store: Store, tmp_path: Path) -> None:
    store.append_ratings([a_rating(queue(store, 0).id, ANNA)])
    seal(store, purpose=None, rounds=None, rubric=a_rubric(), out=tmp_path / "01")
    with pytest.raises(LineageError, match=r"prompts\.jsonl: no prompt-none"):
        read_snapshot(tmp_path / "01").prompt(PromptId("prompt-none"))
