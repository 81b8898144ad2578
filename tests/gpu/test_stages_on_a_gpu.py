"""The training stages on one GPU, in bfloat16, from the code that runs on a CPU."""

from __future__ import annotations

import json
import math

import pytest
import torch

from alignment import dpo, reward
from alignment.config import DpoConfig, RewardConfig
from feedback.schemas import Message, Prompt
from sft import generate, train
from sft.adapters import load_policy
from sft.config import SamplingConfig, SftConfig
from tests.rows import example, pair, training_sets
from tests.tiny import tiny_config

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]


def test_sft_dpo_reward_and_sampling_work_on_a_gpu(base, tmp_path):
    sets = training_sets(tmp_path / "sets", examples=[example(f"q{i}", "yes") for i in range(16)],
                         pairs=[pair(f"q{i}", "yes", "no") for i in range(16)])
    model = tiny_config(base, device="cuda")
    train.run(train.SftStage(model=model, sft=SftConfig(trainer={"max_steps": 20, "learning_rate": 1e-2})), training_sets=sets,
              out=tmp_path / "sft")
    dpo.run(dpo.DpoStage(model=model, dpo=DpoConfig(trainer={"max_steps": 3})), training_sets=sets,
            parent=tmp_path / "sft" / "adapter", out=tmp_path / "dpo")
    first = json.loads((tmp_path / "dpo" / "logs" / "curve.jsonl").read_text().splitlines()[0])
    assert first["loss"] == pytest.approx(math.log(2), abs=dpo.TOLERANCE_ROUNDED)
    reward.run(reward.RewardStage(model=model, reward=RewardConfig(trainer={"max_steps": 3, "learning_rate": 1e-2})),
               training_sets=sets, out=tmp_path / "reward")
    policy = load_policy(model, tmp_path / "dpo" / "adapter")
    asked = [Prompt.of([Message(role="user", content="q40")])]
    [row] = generate.sample(policy, asked, SamplingConfig(completions=1, temperature=0, max_new_tokens=8), 0)
    assert row.text == "yes"
