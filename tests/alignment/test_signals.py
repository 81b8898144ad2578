"""Real models say how much there is to learn from a set of answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from alignment import dpo, reward, signals
from alignment.config import DpoConfig, RewardConfig
from feedback.schemas import Message, Prompt
from sft.config import LoraConfig
from tests.rows import pair, training_sets
from tests.tiny import tiny_config

PAIRS = [pair(f"q{i}", "yes", "no way") for i in range(16)]
ASKED = Prompt.of([Message(role="user", content="q50")])
OTHER = Prompt.of([Message(role="user", content="q51")])
APART, ALIKE = (ASKED, ("yes", "no way")), (OTHER, ("yes", "yes"))


@pytest.fixture(scope="module")
def policy(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("policy")
    stage = dpo.DpoStage(model=tiny_config(base), lora=LoraConfig(r=4),
                         dpo=DpoConfig(trainer={"learning_rate": 2e-3, "max_steps": 6}))
    dpo.run(stage, training_sets=training_sets(folder / "sets", pairs=PAIRS), parent=None, out=folder / "06")
    return folder / "06" / "adapter"


def test_answers_that_training_told_apart_have_a_margin_and_equal_ones_have_none(base, policy):
    apart, alike = signals.policy_margins(tiny_config(base), policy, None, [APART, ALIKE])
    assert apart > 1
    assert alike == 0


def test_the_ensemble_disagrees_by_a_finite_spread_and_a_single_model_says_nothing(base, tmp_path):
    for members in (1, 2):
        stage = reward.RewardStage(model=tiny_config(base), lora=LoraConfig(r=4), reward=RewardConfig(
            ensemble=members, trainer={"learning_rate": 5e-3, "max_steps": 4}))
        reward.run(stage, training_sets=training_sets(tmp_path / f"sets{members}", pairs=PAIRS), out=tmp_path / f"r{members}")
    assert signals.disagreements(tiny_config(base), tmp_path / "r1", [APART]) == [None]
    judge = signals.judge_of(tiny_config(base), policy=None, parent=None, reward=tmp_path / "r2")
    apart, alike = judge([APART, ALIKE])
    assert apart.disagreement > alike.disagreement == pytest.approx(0, abs=1e-5)
    assert apart.margin is None


def test_without_a_policy_and_a_reward_model_there_is_no_judge(base):
    assert signals.judge_of(tiny_config(base), policy=None, parent=None, reward=None) is None
