"""The reward model orders answers as people did, and is refused when its head learned nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from alignment import reward
from alignment.config import RewardConfig
from feedback.errors import BaseMismatch, StageRefused
from feedback.schemas import Message, Prompt
from sft.adapters import read_policy
from sft.config import LoraConfig
from tests.rows import pair, training_sets
from tests.tiny import tiny_base, tiny_config

PAIRS = [pair(f"q{i}", "yes " * (1 + i % 3), "no " * (1 + i % 2), margin=1.0 + i % 2) for i in range(16)]
ASKED = Prompt.of([Message(role="user", content="q50")])


def stage(base: Path, **trainer: object) -> reward.RewardStage:
    settings = {"learning_rate": 5e-3, "max_steps": 20} | trainer
    return reward.RewardStage(model=tiny_config(base), lora=LoraConfig(r=4), reward=RewardConfig(trainer=settings), seed=1)


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return training_sets(tmp_path_factory.mktemp("sets") / "03", pairs=PAIRS)


@pytest.fixture(scope="module")
def trained(base: Path, sets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("reward") / "06_reward"
    reward.run(stage(base), training_sets=sets, out=out)
    return out


def test_preferred_answers_get_the_higher_reward_on_questions_never_seen(base, trained):
    good, bad, better, worse = reward.score(trained / "adapter", tiny_config(base),
                                            [(ASKED, "yes"), (ASKED, "no"), (ASKED, "yes yes"), (ASKED, "no no")])
    assert min(good, better) > max(bad, worse) + 1
    assert reward.read_metrics(trained) == reward.RewardMetrics(pairs=16, train_accuracy=1.0, warning=None)


def test_a_reward_depends_neither_on_the_order_nor_on_the_batch(base, trained):
    rows = [(ASKED, "yes" * (1 + i)) for i in range(9)]
    forward = reward.score(trained / "adapter", tiny_config(base), rows, batch_size=2)
    backward = reward.score(trained / "adapter", tiny_config(base), rows[::-1], batch_size=4)
    assert forward == pytest.approx(backward[::-1], abs=1e-4)
    assert reward.score(trained / "adapter", tiny_config(base), []) == []


def test_the_margin_of_a_pair_enters_the_loss(base, tmp_path):
    def first_loss(margin: float) -> float:
        sets = training_sets(tmp_path / f"sets-{margin}", pairs=[row.model_copy(update={"margin": margin}) for row in PAIRS])
        out = tmp_path / f"out-{margin}"
        reward.run(stage(base, max_steps=1), training_sets=sets, out=out)
        return json.loads((out / "logs" / "curve.jsonl").read_text().splitlines()[0])["loss"]

    # -log sigmoid(d - margin) rises by nearly as much as the margin does, once that is well above the difference d.
    assert first_loss(8.0) - first_loss(4.0) == pytest.approx(4.0, abs=0.3)


def test_the_same_work_gives_the_same_bytes_and_another_seed_another_head(base, sets, trained, tmp_path):
    again = reward.run(stage(base), training_sets=sets, out=tmp_path / "again")
    assert read_policy(tmp_path / "again" / "adapter") == read_policy(trained / "adapter")
    other = stage(base).model_copy(update={"seed": 2})
    assert reward.run(other, training_sets=sets, out=tmp_path / "other").outputs != again.outputs


def test_a_head_that_was_never_trained_is_refused(base, sets, tmp_path, monkeypatch):
    def frozen(*arguments, real=reward.start_adapter, **named):
        model = real(*arguments, **named)
        for name, weight in model.named_parameters():
            weight.requires_grad_(weight.requires_grad and "score" not in name)
        return model

    monkeypatch.setattr(reward, "start_adapter", frozen)
    with pytest.raises(StageRefused, match="the reward head was never trained"):
        reward.run(stage(base), training_sets=sets, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_no_head_at_all_is_refused_as_well():
    with pytest.raises(StageRefused, match="the reward head was never trained"):
        reward.refuse_untrained_head({}, {})
    reward.refuse_untrained_head({"score": torch.zeros(2)}, {"score": torch.ones(2)})


def test_order_that_luck_explains_is_a_warning():
    # At least 9 of 16 heads: 0.402; at least 13 of 16: 0.0106.
    assert "which luck does with probability 0.40" in reward.chance_warning(9, 16)
    assert reward.chance_warning(13, 16) is None


def test_a_reward_model_of_another_base_is_refused(trained, tmp_path):
    other = tiny_base(tmp_path, seed=1)
    with pytest.raises(BaseMismatch):
        reward.score(trained / "adapter", tiny_config(other), [(ASKED, "yes")])


def test_an_answer_longer_than_the_model_takes_is_scored_on_its_beginning(base, trained):
    short = tiny_config(base, max_length=64)
    one, other = reward.score(trained / "adapter", short, [(ASKED, "yes" * 100), (ASKED, "yes" * 50)])
    assert one == pytest.approx(other, abs=1e-5)
