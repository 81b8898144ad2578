from pathlib import Path

import pytest

from alignment import registry
from feedback.errors import InvalidInput, LineageError
from feedback.ids import PolicyId
from feedback.store.store import Store


@pytest.fixture
def store(tmp_path: Path):
    with Store.open(tmp_path / "store.db") as opened:
        yield opened


def promote(store: Store, *, round: int, policy: str) -> None:
    registry.decide(store, registry.PROMOTION, round=round, policy_id=PolicyId(policy), actor="sim-lead", reason="better")


def test_nobody_is_champion_before_the_first_promotion(store):
    assert registry.champion(store) is None


def test_the_champion_is_the_newest_promotion(store):
    promote(store, round=1, policy="policy-a")
    promote(store, round=2, policy="policy-b")
    assert registry.champion(store) == "policy-b"
    assert registry.champion(store, before_round=2) == "policy-a"
    assert [event.policy_id for event in registry.promotions(store)] == ["policy-a", "policy-b"]


def test_a_declined_candidate_leaves_the_champion(store):
    promote(store, round=1, policy="policy-a")
    registry.decide(store, registry.DECLINED, round=2, policy_id=PolicyId("policy-b"), actor="sim-lead", reason="too terse")
    assert registry.champion(store) == "policy-a"
    assert registry.decided(store, 2) == "declined"


def test_a_round_is_decided_once(store):
    promote(store, round=1, policy="policy-a")
    with pytest.raises(InvalidInput, match="round 1 was decided already: promotion by sim-lead"):
        registry.decide(store, registry.DECLINED, round=1, policy_id=PolicyId("policy-a"), actor="sim-lead", reason="no")
    assert len(store.events()) == 1


def test_a_decision_without_a_reason_is_refused_and_changes_nothing(store):
    with pytest.raises(InvalidInput, match="needs a reason"):
        registry.decide(store, registry.PROMOTION, round=1, policy_id=PolicyId("policy-a"), actor="sim-lead", reason="  ")
    assert store.events() == []


def test_shipping_and_advancing_are_decided_apart(store):
    promote(store, round=1, policy="policy-a")
    registry.decide(store, registry.SHIPMENT, round=1, policy_id=PolicyId("policy-a"), actor="sim-lead", reason="bound met")
    assert registry.champion(store) == "policy-a"


def adapter_at(folder: Path, policy: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "policy.json").write_text(f'{{"policy_id": "{policy}", "parent": null, "stage": "sft", "base": "tiny"}}')
    return folder


def test_registering_twice_equals_once(tmp_path, store):
    adapter = adapter_at(tmp_path / "adapter", "policy-a")
    assert registry.register(tmp_path / "policies", adapter) == registry.register(tmp_path / "policies", adapter) == "policy-a"
    assert [row.policy_id for row in registry.listed(tmp_path / "policies", store)] == ["policy-a"]


def test_a_folder_without_a_record_is_no_adapter(tmp_path):
    with pytest.raises(LineageError, match=r"policy\.json: cannot be read"):
        registry.register(tmp_path / "policies", tmp_path)


def test_an_unknown_policy_is_named_with_those_that_exist(tmp_path):
    registry.register(tmp_path / "policies", adapter_at(tmp_path / "adapter", "policy-a"))
    with pytest.raises(InvalidInput, match="no such policy; registered: policy-a"):
        registry.adapter_of(tmp_path / "policies", PolicyId("policy-z"))
    assert registry.adapter_of(tmp_path / "policies", None) is None
