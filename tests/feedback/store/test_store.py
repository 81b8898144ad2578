"""The store: appended once, never changed, and clear when it cannot."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path

import pytest

from feedback.errors import InvalidInput, StoreError
from feedback.ids import ItemId, RatingId
from feedback.schemas import Deleted, Purpose, Queue, Rating, VerdictValue
from feedback.store.store import Store
from tests.people import START, a_completion, a_prompt, a_rank_item, a_rate_answer, a_rate_item, a_rating, a_reviewer

ANNA, BORIS = a_reviewer("sim-anna"), a_reviewer("sim-boris")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store.db") as opened:
        yield opened


def fill(store: Store, count: int = 3, *, purpose: Purpose = Purpose.TRAIN, round: int = 1) -> list[ItemId]:
    """`count` prompts with one rate item each, and two reviewers."""
    prompts = [a_prompt(number) for number in range(count)]
    completions = [a_completion(prompt) for prompt in prompts]
    items = [a_rate_item(completion, purpose=purpose, round=round) for completion in completions]
    store.add_prompts(prompts)
    store.add_completions(completions)
    store.add_items(items)
    store.add_reviewers([ANNA, BORIS])
    return [item.id for item in items]


def test_what_was_added_comes_back_equal_and_in_order(store: Store) -> None:
    prompts = [a_prompt(number) for number in range(700)]
    assert store.add_prompts(prompts) == 700
    assert store.prompts() == prompts
    assert {prompt.id for prompt in store.prompts({prompt.id for prompt in prompts[:600]})} == {p.id for p in prompts[:600]}


def test_adding_again_adds_nothing(store: Store) -> None:
    fill(store)
    before = (store.prompts(), store.completions(), store.items(), store.reviewers())
    fill(store)
    assert (store.prompts(), store.completions(), store.items(), store.reviewers()) == before


def test_a_mended_reference_replaces_the_old_one(store: Store) -> None:
    store.add_prompts([a_prompt(reference="wrong")])
    assert store.add_prompts([a_prompt(reference="right")]) == 0
    assert [prompt.reference for prompt in store.prompts()] == ["right"]


def test_a_renamed_reviewer_keeps_the_id_and_shows_the_new_name(store: Store) -> None:
    store.add_reviewers([ANNA])
    store.add_reviewers([ANNA.model_copy(update={"name": "sim-anne"})])
    assert [(reviewer.id, reviewer.name) for reviewer in store.reviewers()] == [(ANNA.id, "sim-anne")]


def test_items_are_found_by_purpose_round_and_queue(store: Store) -> None:
    fill(store, 2, purpose=Purpose.AUDIT, round=3)
    prompt = a_prompt(9)
    pair = [a_completion(prompt, 0), a_completion(prompt, 1)]
    store.add_prompts([prompt])
    store.add_completions(pair)
    store.add_items([a_rank_item(pair, round=3)])
    assert len(store.items(Purpose.AUDIT, 3)) == 2
    assert [item.queue for item in store.items(round=3, queue=Queue.RANK)] == [Queue.RANK]
    assert store.items(Purpose.AUDIT, 4) == []


def test_a_rating_is_stored_once_however_often_it_is_appended(store: Store) -> None:
    ratings = [a_rating(item, ANNA) for item in fill(store)]
    assert store.append_ratings(ratings + ratings[:1]) == 3
    assert store.append_ratings(ratings) == 0
    assert store.ratings() == ratings


def test_the_highest_version_counts_and_a_tombstone_ends_it(store: Store) -> None:
    first, second, third = fill(store)
    changed = a_rating(second, ANNA, a_rate_answer(VerdictValue.INCORRECT), version=2, minutes=1)
    store.append_ratings([a_rating(first, ANNA), a_rating(second, ANNA), changed, a_rating(third, BORIS),
                          a_rating(third, BORIS, Deleted(), version=2, minutes=2)])
    assert [(rating.item_id, rating.version) for rating in store.live_ratings()] == [(first, 1), (second, 2)]
    assert len(store.ratings()) == 5


def test_until_shows_the_ratings_as_they_were_then(store: Store) -> None:
    item = fill(store)[0]
    store.append_ratings([a_rating(item, ANNA, minutes=0), a_rating(item, ANNA, Deleted(), version=2, minutes=10)])
    assert len(store.live_ratings(START + timedelta(minutes=5))) == 1
    assert store.live_ratings(START + timedelta(minutes=10)) == []
    assert store.live_ratings(START - timedelta(minutes=1)) == []


def test_missing_reviews_count_live_ratings_only(store: Store) -> None:
    prompt = a_prompt()
    item = a_rate_item(a_completion(prompt), reviews=2)
    store.add_prompts([prompt])
    store.add_completions([a_completion(prompt)])
    store.add_items([item])
    store.add_reviewers([ANNA, BORIS])
    store.append_ratings([a_rating(item.id, ANNA), a_rating(item.id, BORIS), a_rating(item.id, BORIS, Deleted(), version=2)])
    assert store.missing_reviews(store.items()) == {item.id: 1}


def test_a_rating_of_an_unknown_item_or_reviewer_is_refused_and_nothing_is_stored(store: Store) -> None:
    item = fill(store)[0]
    with pytest.raises(InvalidInput, match=r"item item-unknown is not in .*store\.db") as refusal:
        store.append_ratings([a_rating(item, ANNA), a_rating(ItemId("item-unknown"), ANNA),
                              a_rating(item, a_reviewer("sim-zoe"))])
    assert len(refusal.value.problems) == 2
    assert store.ratings() == []


def test_an_altered_rating_is_refused(store: Store) -> None:
    rating = a_rating(fill(store)[0], ANNA).model_copy(update={"version": 7})
    with pytest.raises(InvalidInput, match="its id is not its content's"):
        store.append_ratings([rating])


def test_one_version_cannot_have_two_contents(store: Store) -> None:
    item = fill(store)[0]
    store.append_ratings([a_rating(item, ANNA)])
    with pytest.raises(StoreError, match="nothing was changed"):
        store.append_ratings([a_rating(item, ANNA, a_rate_answer(VerdictValue.INCORRECT))])
    assert len(store.ratings()) == 1


@pytest.mark.parametrize("statement", ["UPDATE ratings SET version = 9", "DELETE FROM ratings", "UPDATE events SET kind = 'x'",
                                       "DELETE FROM events"])
def test_the_database_itself_refuses_to_change_ratings_and_events(store: Store, statement: str) -> None:
    store.append_ratings([a_rating(fill(store)[0], ANNA)])
    store.append_event("promotion", {}, actor="sim-lead", reason="better", at=START)
    with sqlite3.connect(store.name) as connection, pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute(statement)
    connection.close()
    assert len(store.ratings()) == len(store.events()) == 1


def test_events_come_back_in_order_with_everything_in_them(store: Store) -> None:
    made = [store.append_event(kind, {"n": n}, actor="sim-lead", reason="why", at=START) for n, kind in enumerate("aba")]
    assert store.events() == made
    assert [event.payload for event in store.events("a")] == [{"n": 0}, {"n": 2}]


def test_pushed_items_are_remembered_with_their_record(store: Store) -> None:
    first, second, _ = fill(store)
    store.mark_pushed(first, "dataset/record")
    store.mark_all_pushed({first: "dataset/record", second: "dataset/other"})
    assert store.pushed([first]) == {first: ("dataset/record",)}
    assert set(store.pushed()) == {first, second}


def test_a_mark_is_replaced(store: Store) -> None:
    assert store.mark("pull") is None
    store.set_mark("pull", "1")
    store.set_mark("pull", "2")
    assert store.mark("pull") == "2"


def append_alone(path: str, ratings: list[Rating]) -> None:
    with Store.open(path) as store:
        for rating in ratings:
            store.append_ratings([rating])


def test_two_processes_write_at_once_and_nothing_is_lost(store: Store) -> None:
    ratings = [a_rating(item, reviewer) for item in fill(store, 40) for reviewer in (ANNA, BORIS)]
    context = get_context("spawn")
    writers = [context.Process(target=append_alone, args=(store.name, part)) for part in (ratings[:60], ratings[20:])]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert {rating.id for rating in store.ratings()} == {rating.id for rating in ratings}


def test_text_of_any_kind_survives(store: Store) -> None:
    text = "nul \x00 bell \x07 crlf \r\n ''\"; DROP TABLE prompts; -- 漢字 🙂 \u2028 " + "long " * 20_000
    prompt = a_prompt()
    store.add_prompts([prompt])
    store.add_completions([a_completion(prompt, text=text)])
    assert store.completions()[0].text == text


def test_an_id_that_is_not_there_is_simply_not_found(store: Store) -> None:
    fill(store)
    assert store.items(ids=[ItemId("item-none")]) == []
    assert RatingId("rating-none") not in {rating.id for rating in store.ratings()}
