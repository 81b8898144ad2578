"""Nobody waits for a review that nobody is left to give."""

from __future__ import annotations

from dataclasses import replace

import pytest

from feedback.config import QueueConfig, RoutingConfig
from feedback.desk.crew import Crew, crew_of
from feedback.desk.pull import pull
from feedback.desk.routing import ASSIGNED, WANTED, Router, open_router
from feedback.desk.status import status
from feedback.desk.sync import sync
from feedback.errors import InvalidInput
from feedback.schemas import Prompt, Queue, ReviewItem, VerdictValue
from feedback.store.quarantine import decide
from feedback.store.store import Store
from tests.desk_in_memory import DeskInMemory
from tests.people import a_completion, a_prompt, a_rate_answer, a_rate_item, a_rubric

RIGHT, WRONG = a_rate_answer(VerdictValue.CORRECT), a_rate_answer(VerdictValue.INCORRECT)
MORE = QueueConfig(most_reviews=4, sure=0.99)
ROUTING = RoutingConfig(enabled=True, groups={"doctors": ("ana", "bo")}, assign={"medicine": ("group:doctors",)})


@pytest.fixture
def medical(store: Store) -> ReviewItem:
    """One answer for the doctors, to be rated by two people."""
    prompt: Prompt = a_prompt(9).model_copy(update={"topic": "medicine"})
    item = a_rate_item(a_completion(prompt), reviews=2)
    store.add_prompts([prompt])
    store.add_completions([a_completion(prompt)])
    store.add_items([item])
    return item


@pytest.fixture
def router(desk: DeskInMemory) -> Router:
    desk.routing = True
    found = open_router(desk, ROUTING, adjudicators=("cem",))
    assert found is not None
    return found


def wanted(desk: DeskInMemory, item: ReviewItem) -> object:
    return desk.held["rate"][1][item.id].draft.metadata[WANTED]


def test_an_item_is_left_to_those_it_is_for_who_said_nothing_of_it(desk: DeskInMemory, store: Store, medical: ReviewItem) -> None:
    desk.invite("ana", "bo", "cem", "chief")
    desk.chiefs = {"chief"}
    people = desk.people()
    crew = Crew(people.names, people.reviewers, frozenset(), ROUTING)
    assert crew.left(store, [medical]) == {medical.id: {"ana", "bo"}}
    sync(desk, store, a_rubric(), QueueConfig())
    desk.submit("ana", medical, RIGHT)
    desk.submit("chief", store.items(queue=Queue.RATE)[0], RIGHT)
    pull(desk, store, a_rubric())
    open_to_all = crew_of(desk, store, None)
    assert open_to_all.left(store, [medical]) == {medical.id: {"bo", "cem", "chief"}}
    assert replace(open_to_all, routing=ROUTING).left(store, [medical]) == {medical.id: {"bo", "chief"}}
    decide(store, "chief", lift=False, actor="lead", reason="guesses", at=desk.now)
    assert replace(open_to_all, routing=ROUTING).left(store, [medical]) == {medical.id: {"bo"}}


def test_no_third_review_is_asked_of_two_doctors_and_what_they_are_split_on_is_settled(
        desk: DeskInMemory, store: Store, medical: ReviewItem, router: Router) -> None:
    desk.invite("ana", "bo", "cem")
    sync(desk, store, a_rubric(), MORE, router=router)
    desk.submit("ana", medical, RIGHT)
    desk.submit("bo", medical, WRONG)
    asked = sync(desk, store, a_rubric(), MORE, router=router).asked
    assert (asked.again, asked.to_settle, wanted(desk, medical)) == (0, 1, 2)
    (settling,) = [item for item in store.items() if item.settles]
    assert desk.held["settle-rate"][1][settling.id].draft.metadata[ASSIGNED] == ["cem"]
    assert status(desk, store, router=router).stuck == 0


def test_a_further_review_is_asked_for_once_somebody_joins_who_can_give_it(
        desk: DeskInMemory, store: Store, medical: ReviewItem) -> None:
    desk.invite("ana", "bo")
    sync(desk, store, a_rubric(), MORE)
    desk.submit("ana", medical, RIGHT)
    desk.submit("bo", medical, RIGHT)
    assert sync(desk, store, a_rubric(), MORE).asked.again == 0
    desk.invite("cem")
    assert sync(desk, store, a_rubric(), MORE).asked.again == 1


def test_a_further_review_is_taken_back_when_the_one_who_could_give_it_is_gone(
        desk: DeskInMemory, store: Store, router: Router) -> None:
    item = next(item for item in store.items(queue=Queue.RATE) if item.reviews == 1)
    desk.invite("ana", "bo")
    sync(desk, store, a_rubric(), MORE, router=router)
    desk.submit("ana", item, RIGHT)
    assert sync(desk, store, a_rubric(), MORE, router=router).asked.again == 1
    assert (wanted(desk, item), store.missing_reviews([item])) == (2, {item.id: 1})
    desk.delete_user("bo")
    sync(desk, store, a_rubric(), MORE, router=router)
    assert (wanted(desk, item), store.missing_reviews([item])) == (1, {})


def test_status_counts_the_reviews_that_nobody_is_left_to_give(
        desk: DeskInMemory, store: Store, medical: ReviewItem, router: Router) -> None:
    desk.invite("ana", "cem")
    sync(desk, store, a_rubric(), QueueConfig(), router=router)
    assert status(desk, store, router=router).stuck == 1  # two reviews are wanted of the doctors; Bo has no account
    desk.submit("ana", medical, RIGHT)
    pull(desk, store, a_rubric())
    assert status(desk, store, router=router).stuck == 1
    assert status(desk, store).stuck == 0  # where nothing is assigned Cem may give it


def test_an_adjudicator_who_is_no_group_is_named(desk: DeskInMemory) -> None:
    desk.routing = True
    with pytest.raises(InvalidInput, match=r"'group:judges' is no group; `routing: groups:` has group:doctors"):
        open_router(desk, ROUTING, adjudicators=("group:judges",))
