"""Routes: from the item and the configuration, beside each record; changed when the item is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from feedback.config import QueueConfig, RoutingConfig, validate
from feedback.desk.push import push
from feedback.desk.routing import ASSIGNED, PRIORITY, PROPERTIES, WANTED, Router, open_router, route, server_rules
from feedback.desk.setup import setup
from feedback.desk.status import status
from feedback.errors import DeskRefused, InvalidInput
from feedback.gold import read_gold
from feedback.schemas import Purpose
from feedback.store.store import Store
from tests.desk_in_memory import DeskInMemory
from tests.people import a_completion, a_prompt, a_rate_answer, a_rate_item, a_rubric

ON = RoutingConfig(enabled=True, groups={"doctors": ("ana", "bo")}, assign={"medicine": ("group:doctors", "cem")})


@pytest.fixture
def router(desk: DeskInMemory) -> Router:
    desk.routing = True
    made = open_router(desk, ON)
    assert made is not None
    return made


def metadata(desk: DeskInMemory, item: str) -> dict[str, object]:
    return dict(next(held[item].draft.metadata for _, held in desk.held.values() if item in held))


def test_an_item_says_how_many_reviews_it_wants_and_its_topic_who_gives_them() -> None:
    item = a_rate_item(a_completion(a_prompt()), reviews=3)
    prompt = a_prompt().model_copy(update={"topic": "medicine"})
    assert route(item, prompt, ON) == {WANTED: 3, PRIORITY: 50, ASSIGNED: ["cem", "group:doctors"]}
    assert route(item, prompt.model_copy(update={"topic": "law"}), ON) == {WANTED: 3, PRIORITY: 50}


def test_the_audit_comes_first_and_its_critical_questions_before_the_rest() -> None:
    item = a_rate_item(a_completion(a_prompt())).model_copy(update={"purpose": Purpose.AUDIT})
    critical = a_prompt().model_copy(update={"critical": True})
    assert [route(item, prompt, ON)[PRIORITY] for prompt in (critical, a_prompt())] == [110, 100]
    assert route(item.model_copy(update={"purpose": Purpose.TRAIN}), critical, ON)[PRIORITY] == 50


def test_a_gold_item_stands_where_the_items_stand_that_it_is_mixed_into(tmp_path: Path) -> None:
    (tmp_path / "gold.jsonl").write_text('{"prompt": "a", "completion": "b", "verdict": "correct"}', encoding="utf-8")
    (gold,) = read_gold(tmp_path / "gold.jsonl", rubric=a_rubric())
    for beside in (Purpose.AUDIT, Purpose.TRAIN):
        other = a_rate_item(a_completion(a_prompt()), purpose=beside, reviews=2)
        known = gold.item(round=1, reviews=2, beside=beside)
        assert route(known, gold.prompt, ON) == route(other, a_prompt(), ON)


def test_routed_items_share_a_dataset_whatever_number_of_reviews_they_want(
        store: Store, desk: DeskInMemory, router: Router) -> None:
    assert push(desk, store, a_rubric(), router=router).datasets == {"rank": 1, "rate": 5}
    assert desk.properties == {name: set(PROPERTIES) for name in ("rank", "rate")}
    assert {metadata(desk, item.id)[WANTED] for item in store.items()} == {1, 2}
    assert status(desk, store).reviews_missing == sum(item.reviews for item in store.items())


def test_setup_makes_one_dataset_per_queue(desk: DeskInMemory, router: Router) -> None:
    setup(desk, a_rubric(), QueueConfig(audit_reviews=2), router=router)
    assert set(desk.held) == {"rank", "rate"}


def test_whoever_switches_routing_on_or_off_sees_no_item_twice(store: Store, desk: DeskInMemory, router: Router) -> None:
    push(desk, store, a_rubric(), store.items()[:3])
    push(desk, store, a_rubric(), store.items()[:5], router=router)
    push(desk, store, a_rubric())
    assert sorted(item for _, held in desk.held.values() for item in held) == sorted(item.id for item in store.items())


def test_an_item_that_is_there_can_want_more_reviews(store: Store, desk: DeskInMemory, router: Router) -> None:
    push(desk, store, a_rubric(), router=router)
    item = next(item for item in store.items() if item.queue == "rate" and item.reviews == 1)
    desk.submit("ana", item, a_rate_answer())
    before = status(desk, store).reviews_missing
    router.want(store, {item.id: 3})
    assert status(desk, store).reviews_missing == before + 2
    assert metadata(desk, item.id) == {"redpen_item": item.id, WANTED: 3, PRIORITY: 50}


def test_an_item_can_be_assigned_and_opened_again(store: Store, desk: DeskInMemory, router: Router) -> None:
    push(desk, store, a_rubric(), router=router)
    item = store.items()[0].id
    router.assign(store, {item: ("bo", "group:doctors", "bo")})
    assert metadata(desk, item)[ASSIGNED] == ["bo", "group:doctors"]
    router.assign(store, {item: ()})
    router.prioritize(store, {item: 7})
    assert (metadata(desk, item)[ASSIGNED], metadata(desk, item)[PRIORITY]) == ([], 7)


def test_what_cannot_be_routed_is_named_and_nothing_changes(store: Store, desk: DeskInMemory, router: Router) -> None:
    first, second = (item.id for item in store.items()[:2])
    push(desk, store, a_rubric(), store.items()[:1], router=router)
    before = metadata(desk, first)
    with pytest.raises(DeskRefused, match=f"{second}; run `redpen review push` first"):
        router.want(store, {first: 2, second: 2})
    with pytest.raises(InvalidInput, match="0 reviews are wanted; 1 is the least"):
        router.want(store, {first: 0})
    with pytest.raises(InvalidInput, match="'group:lawyers' is no group; `routing: groups:` has group:doctors"):
        router.assign(store, {first: ("group:lawyers",)})
    assert metadata(desk, first) == before


def test_a_server_that_does_not_route_is_told_about_and_used_as_it_is(
        store: Store, desk: DeskInMemory, capsys: pytest.CaptureFixture[str]) -> None:
    assert open_router(desk, RoutingConfig()) is None
    assert capsys.readouterr().err == ""
    assert open_router(desk, ON) is None
    assert "this Argilla does not route records" in capsys.readouterr().err
    assert push(desk, store, a_rubric()).datasets == {"rank": 1, "rate": 3, "rate-2": 2}


def test_the_configuration_names_a_group_that_is_not_there() -> None:
    with pytest.raises(InvalidInput, match="'group:lawyers' is no group; `routing: groups:` has none"):
        validate({"enabled": True, "assign": {"law": ["group:lawyers"]}}, RoutingConfig, source="redpen.yaml")


def test_the_server_is_told_its_rules_in_seconds() -> None:
    assert server_rules(RoutingConfig()) is None
    assert server_rules(ON) == {"reserve_seconds": 900, "reserve_records": 5, "groups": {"doctors": ["ana", "bo"]}}
