"""The desk's routes on Redpen's own Argilla: what is written there is what reviewers meet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from feedback.config import DeskConfig, QueueConfig, RoutingConfig
from feedback.desk.argilla_desk import ArgillaDesk, connect
from feedback.desk.codec import encode_answer
from feedback.desk.pull import pull
from feedback.desk.push import push
from feedback.desk.routing import Router, open_router, server_rules
from feedback.desk.setup import setup
from feedback.desk.status import status
from feedback.errors import DeskRefused
from feedback.schemas import RateAnswer, ReviewItem
from feedback.store.store import Store
from review_ui.appliance.appliance import Appliance, Running
from tests.feedback.desk.people_of_argilla import new_annotator
from tests.people import a_rate_answer, a_rubric

pytestmark = pytest.mark.argilla

ROUTING = RoutingConfig(enabled=True, groups={"doctors": ("ana",)})


@pytest.fixture(scope="module")
def routing_appliance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with Appliance(tmp_path_factory.mktemp("desk") / "argilla", routing=server_rules(ROUTING)) as running:
        yield running


@pytest.fixture(scope="module")
def routed(routing_appliance: Running) -> Iterator[ArgillaDesk]:
    made = connect(DeskConfig(), url=routing_appliance.url, api_key=routing_appliance.api_key)
    yield made
    made.close()


@pytest.fixture(scope="module")
def people(routing_appliance: Running, routed: ArgillaDesk) -> Iterator[dict[str, httpx.Client]]:
    """Ana and Bo."""
    address = f"{routing_appliance.url}/api/v1"
    routed.create_workspace()
    with httpx.Client(base_url=address, headers={"X-Argilla-Api-Key": routing_appliance.api_key}, timeout=60) as owner:
        keys = {name: new_annotator(owner, name, routed.workspace)["api_key"] for name in ("ana", "bo")}
        clients = {name: httpx.Client(base_url=address, headers={"X-Argilla-Api-Key": key}, timeout=60)
                   for name, key in keys.items()}
        yield clients
        for client in clients.values():
            client.close()


def router_of(desk: ArgillaDesk) -> Router:
    found = open_router(desk, ROUTING)
    assert found is not None
    return found


def record_of(store: Store, item: ReviewItem) -> str:
    (place,) = store.pushed([item.id])[item.id]
    return place.split("/")[1]


def submit(client: httpx.Client, store: Store, item: ReviewItem, answer: RateAnswer) -> int:
    completions = {one.id: one for one in store.completions(item.completion_ids)}
    values = {key: {"value": value} for key, value in encode_answer(answer, item=item, completions=completions).items()}
    return client.post(f"/records/{record_of(store, item)}/responses", json={"status": "submitted", "values": values}).status_code


def test_a_desk_with_routing_from_setup_to_the_ratings(
        routed: ArgillaDesk, people: dict[str, httpx.Client], store: Store) -> None:
    router = router_of(routed)
    setup(routed, a_rubric(), QueueConfig(audit_reviews=2), router=router)
    assert push(routed, store, a_rubric(), router=router).datasets == {"rank": 1, "rate": 5}
    assert push(routed, store, a_rubric(), router=router).pushed == 0
    assert status(routed, store).reviews_missing == 8

    one, two = (next(item for item in store.items() if item.queue == "rate" and item.reviews == count) for count in (1, 2))
    assert [submit(people[name], store, one, a_rate_answer()) for name in ("ana", "bo")] == [201, 409]
    assert [submit(people[name], store, two, a_rate_answer()) for name in ("ana", "bo")] == [201, 201]
    assert status(routed, store).reviews_missing == 5

    router.want(store, {one.id: 2})
    assert status(routed, store).reviews_missing == 6
    assert submit(people["bo"], store, one, a_rate_answer()) == 201

    other = next(item for item in store.items() if item.queue == "rate" and item.id not in {one.id, two.id})
    router.assign(store, {other.id: ("group:doctors",)})
    assert [people[name].get(f"/records/{record_of(store, other)}").status_code for name in ("ana", "bo")] == [200, 403]
    # Four records want reviews, one of them only ana's.
    assert {one.name: one.waiting for one in status(routed, store).reviewers if one.name in people} == {"ana": 4, "bo": 3}
    router.assign(store, {other.id: ()})
    assert people["bo"].get(f"/records/{record_of(store, other)}").status_code == 200
    assert pull(routed, store, a_rubric()).new == 4


def test_a_record_that_is_gone_is_named(routed: ArgillaDesk, people: dict[str, httpx.Client]) -> None:
    with pytest.raises(DeskRefused, match="is gone from Argilla; run `redpen review push`"):
        routed.change_metadata("00000000-0000-0000-0000-000000000000", {"redpen_priority": 1})


def test_the_owner_of_a_stock_server_is_told_that_it_does_not_route(real: ArgillaDesk, tmp_path: Path) -> None:
    assert open_router(real, ROUTING) is None
